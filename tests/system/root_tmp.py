#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""As root: the same answers, and QEMU with a uid of its own."""
import os
import shutil
import tempfile

from harness import state, tap
from harness.program import DEBIAN, Monocore, send
from harness.tap import equal, promise, true, until

mc = Monocore()


def uids(pid):
    with open(f'/proc/{pid}/status') as f:
        return next(line.split()[1:] for line in f if line.startswith('Uid:'))


@promise('tmp runs, returns the exit status and leaves nothing')
def _():
    answer = mc('tmp', '--quiet', DEBIAN, '--', 'sh', '-c', 'echo out; echo err >&2; exit 3').ok(3)
    equal((answer.out, answer.err), ('out\n', 'err\n'))
    equal(mc('tmp', '--no-template', DEBIAN, '--', 'echo', 'booted').ok().out, 'booted\n')
    equal(state.left(mc.home), [])


@promise('each QEMU has a uid of its own, not root\'s and no other\'s, and no capability')
def _():
    with mc.sandbox() as one, mc.sandbox() as two:
        seen = []
        for boss in mc.supervisors():
            for pid in state.engines(boss):
                found = uids(pid)
                equal(len(set(found)), 1, found)
                seen.append(int(found[0]))
                with open(f'/proc/{pid}/status') as f:
                    fields = dict(line.split(':', 1) for line in f if ':' in line)
                for name in ('CapEff', 'CapPrm', 'CapAmb'):
                    equal(int(fields[name], 16), 0, name)
                equal(fields['NoNewPrivs'].strip(), '1')
                equal(fields['Groups'].split(), [], 'groups')
        true(len(seen) == 2 and len(set(seen)) == 2 and 0 not in seen, f'{one}, {two}: {seen}')


@promise('a home beneath /dev is one like any other', limit=120)
def _():
    folder = tempfile.mkdtemp(prefix='mc-homes-', dir='/dev/shm')
    try:
        home = Monocore(f'{folder}/home')
        equal(home('tmp', '-v', 'data:/data', DEBIAN, '--', 'sh', '-c', 'echo kept > /data/file').ok().out, '')
        equal(home('tmp', '-v', 'data:/data:ro', DEBIAN, '--', 'cat', '/data/file').ok().out, 'kept\n')
        equal(state.left(home.home), [])
    finally:
        shutil.rmtree(folder)


@promise('exec, cp, stop, restart and rm work')
def _():
    with mc.sandbox() as name:
        mc('cp', '/etc/hostname', f'{name}:/root/copy').ok()
        with open('/etc/hostname') as f:
            equal(mc('exec', name, 'cat', '/root/copy').ok().out, f.read())
        mc('stop', '-t', '1s', name).ok()
        mc('restart', name).ok()
        equal(mc.shell(name, 'test -e /root/copy && echo kept'), 'kept')


@promise('a killed supervisor takes its QEMU with it, whatever uid that has')
def _():
    with mc.sandbox() as name:
        (boss,) = mc.supervisors()
        pids = state.descendants(boss)
        true(pids, 'QEMU runs')
        send(boss)
        until(lambda: not [pid for pid in pids if state.alive(pid)], 'QEMU has ended')
        equal(mc.row(name)['state'], 'stopped')


assert os.geteuid() == 0, 'this part runs as root'
tap.main(mc.clean)
