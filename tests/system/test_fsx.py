#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random operations of a guest on files of volumes, each compared with a buffer in its memory (tests/unit/fsx.h):
reads, writes, maps, truncations, holes, renames. On the host they are tried with 20,000 operations each; here one
takes a millisecond or two, so they are fewer."""
import os
import shutil
import tempfile
import time

from harness import state, tap
from harness.program import SOURCES, Monocore, send, supervisor_of
from harness.tap import equal, promise, true

BUILD = os.environ.get('MC_BUILD') or f'{SOURCES}/build/release'
SEEDS = (1, 2, 3)

mc = Monocore()
folder = tempfile.mkdtemp(prefix='mc-fsx-')


def volume(name):
    path = f'{folder}/{name}'
    os.mkdir(path)
    shutil.copy(f'{BUILD}/tests/unit/fsx', path)
    return path


def start(name, operations):
    """All seeds at once."""
    return [mc.start('exec', name, '/vol/fsx', f'/vol/file{seed}', str(seed), operations) for seed in SEEDS]


def finish_all(runs, operations):
    for run in runs:
        out, err = run.communicate(timeout=170)
        equal(out.decode(), f'{operations} operations\n', err.decode())


@promise('a file on a volume is what a buffer is, after 2,000 random operations from each of three seeds', limit=180)
def _():
    path = volume('still')
    with mc.sandbox('-v', f'{path}:/vol') as name:
        finish_all(start(name, '2000'), 2000)
    equal(os.listdir(path), ['fsx'])


@promise('so it is after 500, though the server is killed all the time', limit=180)
def _():
    path, kills = volume('killed'), 0
    with mc.sandbox('-v', f'{path}:/vol') as name:
        runs = start(name, '500')
        while any(run.poll() is None for run in runs) and kills < 100:
            for pid in state.volume_servers(supervisor_of(mc, name)):
                send(pid)
                kills += 1
            time.sleep(0.5)
        finish_all(runs, 500)
    true(kills > 1, f'{kills} kills')
    equal(os.listdir(path), ['fsx'])


@promise('nor does it differ on the sandbox\'s own disk: what is run tells nothing wrong by itself')
def _():
    path = volume('beside')
    with mc.sandbox('-v', f'{path}:/vol:ro') as name:
        equal(mc.shell(name, '/vol/fsx /root/file 1 2000'), '2000 operations')


def finish():
    shutil.rmtree(folder)
    return mc.clean()


tap.main(finish)
