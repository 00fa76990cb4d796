#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts, uses, kills and removes sandboxes for MC_SOAK_MINUTES and looks for what grows. `make soak` runs it;
it is no part of `make test`. MC_SEED repeats a run."""
import os
import random
import shutil
import tempfile
import time

from harness import state, tap
from harness.program import DEBIAN, SOURCES, Monocore, send, supervisor_of
from harness.tap import equal, promise, true, until

BUILD = os.environ.get('MC_BUILD') or f'{SOURCES}/build/release'
mc = Monocore()
minutes = float(os.environ.get('MC_SOAK_MINUTES') or 10)
seed = int(os.environ.get('MC_SEED') or random.randrange(1 << 32))
print(f'# seed {seed}')
chance = random.Random(seed)


def resident(pid):
    with open(f'/proc/{pid}/statm') as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGESIZE') >> 10


def foreground():
    status = chance.randrange(100)
    equal(mc('tmp', DEBIAN, '--', 'sh', '-c', f'echo hello; exit {status}').ok(status).out, 'hello\n')


def killed():
    process = mc.start('tmp', DEBIAN, '--', 'sleep', '1')
    time.sleep(chance.uniform(0, 1))
    victims = [process.pid] + [pid for boss in mc.supervisors() for pid in [boss] + state.engines(boss)]
    send(chance.choice(victims))
    process.communicate(timeout=60)


def background():
    with mc.sandbox() as name:
        for _ in range(chance.randrange(5)):
            equal(mc.shell(name, 'seq 1000 | tail -n 1'), '1000')
        if chance.random() < 0.5:
            mc('restart', '-t', '1s', name).ok()
            mc('pause', name).ok()
            mc('resume', name).ok()


def volume():
    """Random operations on a file of a volume, whose server is killed now and then."""
    with tempfile.TemporaryDirectory(prefix='mc-soak-') as path:
        shutil.copy(f'{BUILD}/tests/unit/fsx', path)
        with mc.sandbox('-v', f'{path}:/vol') as name:
            number = str(chance.randrange(1 << 32))
            process = mc.start('exec', name, '/vol/fsx', '/vol/file', number, '2000')
            while process.poll() is None:
                time.sleep(chance.uniform(0, 3))
                for pid in state.volume_servers(supervisor_of(mc, name)):
                    send(pid)
            out, err = process.communicate()
            equal(out.decode(), '2000 operations\n', f'seed {number}: {err.decode()}')


@promise(f'{minutes:g} minutes of use leave nothing behind', limit=int(minutes * 60) + 240)
def _():
    deadline, rounds = time.monotonic() + minutes * 60, 0
    while time.monotonic() < deadline:
        chance.choice((foreground, killed, background, volume))()
        rounds += 1
        if rounds % 20 == 0:
            mc('ps').ok()
            equal(state.left(mc.home, 10), [])
            print(f'# {rounds} rounds', flush=True)


@promise('a supervisor does not grow by a thousand execs and a flood of output', limit=int(minutes * 60) + 240)
def _():
    with mc.sandbox(command=('sh', '-c', 'while :; do seq 20000; sleep 0.5; done')) as name:
        (boss,) = mc.supervisors()
        for _ in range(100):
            mc('exec', name, 'true').ok()
        before = resident(boss)
        for _ in range(1000):
            mc('exec', name, 'true').ok()
        true(resident(boss) < before + 2048, f'{before} KiB became {resident(boss)} KiB')


@promise('at the end no process and no file is left')
def _():
    until(lambda: not mc.supervisors(), 'all have ended')
    mc('ps').ok()
    equal(state.left(mc.home, 10), [])


tap.main(mc.clean)
