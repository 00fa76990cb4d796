#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that is full while the store, a template or a sandbox writes to it. The home is a small tmpfs in a
mount namespace of our own; monocore runs there as the ordinary user again."""
import ctypes
import os
import subprocess
import sys

from harness import state, tap
from harness.program import DEBIAN, Monocore
from harness.tap import contains, equal, promise, true

USER = int(os.environ.get('MC_FULL_USER') or os.getuid() or 1000)
if 'MC_FULL_USER' not in os.environ:
    os.environ['MC_FULL_USER'] = str(USER)
    os.execvp('unshare', ['unshare', '-Urm', sys.executable, '-B'] + sys.argv)

folder = os.path.join(os.environ.get('TMPDIR', '/tmp'), f'mc-full-{os.getpid()}')
home = folder + '/home'
mc = Monocore(home, ['unshare', '-U', f'--map-user={USER}', f'--map-group={USER}', '--'], MONOCORE_DISK_RESERVE='0')


def disk(size, folder=folder):
    """The home's disk, of so many MiB: new, or with what it holds."""
    # mount(8) would repeat the owner on a remount, by a number that has no meaning in this namespace.
    remount = 32 if os.path.ismount(folder) else 0
    os.makedirs(folder, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f'size={size}M' if remount else f'size={size}M,mode=700'
    if libc.mount(b'tmpfs', folder.encode(), b'tmpfs', remount, options.encode()):
        raise OSError(ctypes.get_errno(), f'mount a disk of {size} MiB')


def fill(left):
    """Leaves so many MiB free."""
    with open(folder + '/filler', 'wb', buffering=0) as f:
        found = os.statvfs(folder)
        size = found.f_bfree * found.f_frsize - (left << 20)
        os.posix_fallocate(f.fileno(), 0, size)


def empty():
    os.unlink(folder + '/filler')


def wipe():
    for path in (home + '/templates', folder):
        if os.path.ismount(path):
            subprocess.run(['umount', '-l', path], check=True)


def used():
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize >> 20


@promise('full while the store is filled: an error that says so, and the space is free again')
def _():
    disk(40)
    mc('tmp', DEBIAN, '--', 'true').ok(125).says('No space left')
    mc('ps', '-a').ok()
    equal(state.left(home), [])
    true(used() < 5, f'{used()} MiB are still used')


@promise('full while a template is made: an error that says so, and the space is free again', limit=120)
def _():
    disk(30)
    mc('self', 'template', timeout=110).ok(1).says('No space left')
    equal(state.left(home), [])
    true(used() < 5, f'{used()} MiB are still used')


@promise('with room again, the same home works')
def _():
    disk(1500)
    # A tmpfs, unlike a disk, needs space for a file's holes when they are read: a clone's memory lies elsewhere.
    disk(600, home + '/templates')
    equal(mc('tmp', DEBIAN, '--', 'echo', 'hello').ok().out, 'hello\n')


@promise('full while a sandbox is made: an error that says so, and no half of it stays')
def _():
    fill(0)
    answer = mc('tmp', DEBIAN, '--', 'true')
    empty()
    answer.ok(125).says('No space left')
    equal(state.left(home), [])


@promise('full while a sandbox writes: an error inside, and neither a hang nor a loss outside', limit=120)
def _():
    name = mc('tmp', '-d', DEBIAN, '--', 'sleep', 'infinity').ok().out.strip()
    fill(20)
    answer = mc('exec', name, 'sh', '-c', 'head -c 100M /dev/urandom >/root/big && sync /root/big', timeout=60)
    shown = mc.row(name)['state']
    empty()
    true(answer.status != 0, f'a full disk was not told: {answer}')
    equal(shown, 'running')
    equal(mc('exec', name, 'echo', 'well').ok().out, 'well\n')
    mc('rm', '-f', name).ok()
    equal(state.left(home), [])


@promise('full while output is kept: the command goes on, and the log says what it lacks', limit=120)
def _():
    line = 'until [ -e /dev/shm/full ]; do sleep 0.1; done; seq 2000000; exit 3'
    name = mc('tmp', '-d', DEBIAN, '--', 'sh', '-c', line).ok().out.strip()
    fill(1)
    mc.shell(name, 'touch /dev/shm/full')
    answer = mc('wait', name, timeout=100)
    empty()
    equal(answer.ok().out, '3\n')
    contains(mc('log', '--stream', 'system', name).ok().out, 'could not be kept')
    mc('rm', '-f', name).ok()


def finish():
    lines = mc.clean()
    wipe()
    os.rmdir(folder)
    return lines


tap.main(finish)
