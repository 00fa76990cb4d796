#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bytes in great number: pipes of 100 MiB, closed pipes, floods, readers that sleep."""
import hashlib
import os
import subprocess
import threading
import time

from harness import state, tap
from harness.program import DEBIAN, PROGRAM, Monocore
from harness.tap import equal, promise, true, until

mc = Monocore()
SIZE = 100 << 20


class Source(threading.Thread):
    """Writes SIZE bytes that nobody could guess into a pipe; their digest."""

    def __init__(self, fd):
        super().__init__(daemon=True)
        self.fd, self.digest, self.broken = fd, hashlib.sha256(), False
        self.start()

    def run(self):
        block = os.urandom(1 << 20)
        try:
            for i in range(SIZE >> 20):
                part = i.to_bytes(8, 'big') + block[8:]
                self.digest.update(part)
                with memoryview(part) as view:
                    at = 0
                    while at < len(part):
                        at += os.write(self.fd, view[at:])
        except BrokenPipeError:
            self.broken = True
        os.close(self.fd)


@promise('standard input of 100 MiB from a pipe arrives whole', limit=120)
def _():
    reader, writer = os.pipe()
    source = Source(writer)
    answer = mc('tmp', DEBIAN, '--', 'sha256sum', stdin=reader, timeout=110).ok()
    os.close(reader)
    source.join()
    equal(answer.out.split()[0], source.digest.hexdigest())


@promise('output of 100 MiB comes whole, through the log\'s ring as well', limit=120)
def _():
    line = 'head -c 104857600 /dev/zero | tr "\\0" "m"'
    process = mc.start('tmp', DEBIAN, '--', 'sh', '-c', line)
    digest, size = hashlib.sha256(), 0
    while block := process.stdout.read(1 << 20):
        digest.update(block)
        size += len(block)
    err = process.stderr.read()
    equal((process.wait(), size, err), (0, SIZE, b''))
    equal(digest.hexdigest(), hashlib.sha256(b'm' * SIZE).hexdigest())


@promise('output into a closed pipe ends the command as in a shell, and leaves nothing')
def _():
    for line, kept in (('yes', b'y\n'), ('while :; do echo y; done', b'y\n')):
        process = subprocess.Popen(['bash', '-c', f'"{PROGRAM}" tmp {DEBIAN} -- sh -c "{line}" | head -n 1; '
                                    'echo ${PIPESTATUS[0]}'], env=mc.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=40)
        true(out.startswith(kept) and out.split()[1] not in (b'0', b'125'), f'{line}: {out!r} {err!r}')
        until(lambda: not mc.supervisors(), 'the sandbox has ended')
    equal(state.left(mc.home), [])


@promise('a command that does not read its input ends when it wants to')
def _():
    reader, writer = os.pipe()
    source = Source(writer)
    equal(mc('tmp', DEBIAN, '--', 'head', '-c', '3', stdin=reader).ok().raw[:2], b'\0\0')
    os.close(reader)
    source.join(20)
    true(source.broken, 'the writer learned it')


@promise('a command that closes its output early goes on to its end')
def _():
    answer = mc('tmp', DEBIAN, '--', 'sh', '-c', 'echo first; exec >&- 2>&-; sleep 0.3; exit 6').ok(6)
    equal(answer.out, 'first\n')


@promise('a flood of output holds up neither exec nor stop')
def _():
    with mc.sandbox(command=('sh', '-c', 'yes flood & yes flood >&2 & wait')) as name:
        until(lambda: mc('log', '-n', '1', '--stream', 'out', name).ok().out, 'it floods')
        for _ in range(5):
            equal(mc.shell(name, 'echo here', timeout=30), 'here')
        shown = mc('log', '-n', '3', '--stream', 'out', name).ok().out
        true(len(shown) > 12 and ('flood\n' * 3).startswith(shown), f'the last lines, of which one is being written: {shown!r}')
        log = f'{mc.home}/sandboxes/{mc("inspect", name).ok().json()[0]["id"]}/log'
        true(sum(state.sizes(log)) <= (64 << 20) + (8 << 20), 'the log is a ring')
        mc('stop', '-t', '1s', name, timeout=40).ok()


@promise('a reader that sleeps slows its process, not its neighbours, and loses nothing')
def _():
    with mc.sandbox() as name:
        slow = mc.start('exec', name, '--', 'sh', '-c', 'seq 400000')
        time.sleep(0.5)
        equal(mc.shell(name, 'echo neighbour'), 'neighbour')
        out = slow.stdout.read()
        equal(slow.wait(), 0)
        true(out == b''.join(b'%d\n' % i for i in range(1, 400001)), f'{len(out)} bytes came')


@promise('both streams at once come whole, each in its order')
def _():
    process = mc.start('tmp', DEBIAN, '--', 'sh', '-c', 'seq 100000 & seq 100000 >&2; wait')
    out, err = process.communicate(timeout=60)
    expected = b''.join(b'%d\n' % i for i in range(1, 100001))
    true(out == expected and err == expected, f'{len(out)} and {len(err)} of {len(expected)} bytes')


tap.main(mc.clean)
