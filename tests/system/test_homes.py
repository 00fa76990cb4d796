#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""State directories of every kind: new ones that many want at once, odd paths, ones that cannot be written."""
import os
import stat

from harness import state, tap
from harness.program import DEBIAN, Monocore
from harness.tap import equal, promise, scratch, true

mc = Monocore()


def hello(home, **options):
    equal(home('tmp', DEBIAN, '--', 'echo', 'hello', **options).ok().out, 'hello\n')


@promise('eight first runs at once in an empty home all answer, and make one template and one root file system', limit=120)
def _():
    with scratch() as folder:
        home = Monocore(f'{folder}/home')
        running = [home.start('tmp', DEBIAN, '--', 'echo', str(i)) for i in range(8)]
        answers = [(p.communicate(timeout=110), p.returncode) for p in running]
        for i, ((out, err), status) in enumerate(answers):
            true((status, out) == (0, b'%d\n' % i), f'{i}: status {status}, {out!r}, {err!r}')
        equal(len([n for n in os.listdir(f'{folder}/home/store/rootfs') if n.endswith('.img')]), 1, 'root file systems')
        equal(len([n for n in os.listdir(f'{folder}/home/templates')
                   if os.path.isdir(f'{folder}/home/templates/{n}') and not n.startswith('.')]), 1, 'templates')
        equal(state.left(f'{folder}/home'), [])


@promise('a home with spaces, quotes and other letters works, and so does a path of 200 characters', limit=120)
def _():
    with scratch() as folder:
        odd = f'{folder}/with  spaces, ä "quotes" \'and\' $x;'
        path = odd + '/' + 'long' * 60
        path = path[:200]
        home = Monocore(path)
        true(len(path) == 200, path)
        hello(home)
        with home.sandbox('--name', 'here') as name:
            equal(home.shell(name, 'hostname'), 'here')
            home('stop', '-t', '1s', name).ok()
        equal(state.left(path), [])


@promise('a home is private, and made so again where it is not')
def _():
    mc('ps').ok()
    equal(stat.S_IMODE(os.stat(mc.home).st_mode), 0o700)
    os.chmod(mc.home, 0o755)
    mc('ps').ok()
    equal(stat.S_IMODE(os.stat(mc.home).st_mode), 0o700)
    for where, folders, files in os.walk(mc.home):
        for name in folders + files:
            mode = os.lstat(f'{where}/{name}').st_mode
            true(stat.S_ISLNK(mode) or not mode & 0o022, f'{where}/{name} can be written by others: {oct(mode)}')


@promise('a read-only HOME is named, and MONOCORE_HOME leads around it')
def _():
    if os.geteuid() == 0:
        return  # nothing is read-only for root
    with scratch() as folder:
        os.mkdir(f'{folder}/home', 0o555)
        home = Monocore(HOME=f'{folder}/home')
        home.env.pop('MONOCORE_HOME', None)
        home('ps').ok(1).says(f'{folder}/home/.monocore')
        home('tmp', DEBIAN, 'true').ok(125).says(f'{folder}/home/.monocore')
        hello(Monocore(mc.home, HOME=f'{folder}/home'))


@promise('a home without HOME is the one of the password database, or one that is asked for')
def _():
    other = Monocore(mc.home)
    del other.env['HOME']
    hello(other)


@promise('a start is refused where little of the disk is free, and what is there can still be seen and removed')
def _():
    name = mc('tmp', '-d', DEBIAN, '--', 'true').ok().out.strip()
    mc('wait', name).ok()
    little = {'MONOCORE_DISK_RESERVE': '1000000G'}
    mc('tmp', DEBIAN, '--', 'true', env=little).ok(125).says('free', mc.home, 'MONOCORE_DISK_RESERVE')
    mc('restart', name, env=little).ok(1).says('free')
    mc('log', name, env=little).ok()
    mc('rm', name, env=little).ok()
    equal(mc.names(), [])


@promise('damage to a template is seen, and a new one made')
def _():
    with scratch() as folder:
        home = Monocore(f'{folder}/home')
        hello(home)
        (key,) = [n for n in os.listdir(f'{folder}/home/templates') if not n.startswith('.')
                  and os.path.isdir(f'{folder}/home/templates/{n}')]
        place = f'{folder}/home/templates/{key}'
        os.chmod(place, 0o700)
        small = min((f for f in os.listdir(place) if os.stat(f'{place}/{f}').st_size > 10_000),
                    key=lambda f: os.stat(f'{place}/{f}').st_size)
        os.chmod(f'{place}/{small}', 0o600)
        with open(f'{place}/{small}', 'rb+') as f:
            f.seek(5000)
            f.write(os.urandom(2000))
        hello(home, timeout=90)
        equal(state.left(f'{folder}/home'), [])


tap.main(mc.clean)
