#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the command line, the supervisor or QEMU at any moment: the next command sees the truth, and
nothing is left of what was killed. MC_SEED repeats a run."""
import os
import random
import signal
import time

from harness import images, state, tap
from harness.program import DEBIAN, Monocore, send
from harness.tap import equal, promise, scratch, true, until

# Of each kind, each in its part of the time that a run takes; the seed is another one each time, and `make soak` goes
# on for as long as one likes.
ROUNDS = 6
ALIVE = ('running', 'starting', 'paused')

mc = Monocore()
seed = int(os.environ.get('MC_SEED') or random.randrange(1 << 32))
print(f'# seed {seed}')
chance = random.Random(seed)


def below(home):
    """All processes of all supervisors of a home."""
    return [pid for boss in state.supervisors(home) for pid in [boss] + state.descendants(boss)]


def all_gone(pids, about):
    until(lambda: not [pid for pid in pids if state.alive(pid)],
          f'{about}: ended: ' + ', '.join(state.describe(pid) for pid in pids if state.alive(pid)), 10)


def strike(victim, process, home):
    """Kills the victim where it lives yet; returns all processes that were there."""
    seen = below(home)
    if victim == 'command line':
        process.kill()
    else:
        for boss in state.supervisors(home):
            for pid in state.engines(boss) if victim == 'QEMU' else [boss]:
                send(pid)
    return seen


def round_of(victim, detached, part, parts=ROUNDS):
    delay = chance.uniform(part, part + 1) / parts * 0.8
    about = f'{victim} after {delay:.3f} s{" of -d" if detached else ""}'
    words = ['-d'] if detached else []
    process = mc.start('tmp', *words, DEBIAN, '--', 'sh', '-c', 'echo hello; sleep 0.4; exit 7')
    time.sleep(delay)
    seen = strike(victim, process, mc.home)
    process.wait(40)
    out, err = process.communicate()
    if victim != 'command line':
        true(process.returncode in ((7, 125, 137) if not detached else (0, 125)),
             f'{about}: status {process.returncode}, {out!r}, {err!r}')
    if victim != 'command line' or not detached:
        # A foreground sandbox ends with its command line; a killed supervisor takes QEMU with it.
        all_gone(seen, about) if not detached or victim == 'supervisor' else None
    rows = mc('ps', '-a', '--json').ok().json()
    if not detached:
        until(lambda: not mc('ps', '-a', '-q').ok().out, f'{about}: no row is left', 10)
        equal(state.left(mc.home), [], about)
        return
    for row in rows:
        alive = row['state'] in ALIVE
        # It may have ended since the rows were read: then that shows by now.
        true(not alive or mc.supervisors() or mc.row(row['name'])['state'] not in ALIVE, f'{about}: nobody runs {row}')
        if not alive and row['state'] != 'created' and victim == 'supervisor' and row['interrupted']:
            equal(row['state'], 'stopped', about)
    names = [row['name'] for row in rows]
    if names:
        mc('rm', '-f', *names).ok()
    all_gone(seen, about)
    equal(mc.names(), [], about)
    equal(state.left(mc.home), [], about)


@promise('the command line, killed at any moment, takes its sandbox with it', limit=120)
def _():
    for part in range(ROUNDS):
        round_of('command line', False, part)


@promise('the supervisor, killed at any moment, takes QEMU with it, and its sandbox is told to be gone', limit=120)
def _():
    for part in range(ROUNDS):
        round_of('supervisor', False, part)


@promise('QEMU, killed at any moment, ends its sandbox', limit=120)
def _():
    for part in range(ROUNDS):
        round_of('QEMU', False, part)


@promise('a sandbox in the background, killed in any part, can be seen as it is and removed', limit=120)
def _():
    for part in range(3):
        for victim in ('command line', 'supervisor', 'QEMU'):
            round_of(victim, True, part, 3)


@promise('what was killed while it ran shows as stopped and interrupted, keeps its disk, and starts again')
def _():
    with mc.sandbox('--name', 'victim') as name:
        mc.shell(name, 'echo kept >/root/kept; sync')
        (boss,) = mc.supervisors()
        pids = [boss] + state.descendants(boss)
        send(boss)
        all_gone(pids, 'the supervisor was killed')
        row = mc.row(name)
        equal((row['state'], row['interrupted']), ('stopped', True))
        equal(mc('wait', name).ok().out, '137\n')
        mc('exec', name, 'true').ok(1).says(name)
        mc('restart', name).ok()
        equal(mc.shell(name, 'cat /root/kept'), 'kept')
        (boss,) = mc.supervisors()
        for pid in state.engines(boss):
            send(pid)
        until(lambda: mc.row(name)['state'] == 'stopped', 'it is stopped')
        true(mc.row(name)['reason'], 'a reason is kept')


@promise('a stopped machine, supervisor and all, is no reason to wait for ever')
def _():
    with mc.sandbox() as name:
        (boss,) = mc.supervisors()
        os.kill(boss, signal.SIGSTOP)
        answer = mc('ps', '--json').ok()
        equal([row['name'] for row in answer.json()], [name])
        os.kill(boss, signal.SIGCONT)
        equal(mc.shell(name, 'echo on'), 'on')


@promise('makers of templates and root file systems, killed at any moment, leave a home that works', limit=150)
def _():
    with scratch() as folder:
        home = Monocore(f'{folder}/home')
        for i in range(5):
            process = home.start('self', 'template')
            time.sleep(chance.uniform(0.05, 2.5))
            seen = [process.pid] + state.descendants(process.pid)
            process.kill()
            process.communicate()
            all_gone(seen, 'the maker of a template was killed')
        reference = images.over_debian(f'{folder}/image', {'Cmd': ['cat', '/top']}, [images.layer(images.member('top', b'top'))])
        for i in range(5):
            process = home.start('tmp', reference)
            time.sleep(chance.uniform(0.02, 0.5))
            process.kill()
            process.communicate()
        equal(home('tmp', reference, timeout=90).ok().out, 'top')
        until(lambda: not home.supervisors(), 'all have ended')
        home('ps').ok()
        equal(state.left(folder + '/home'), [])


tap.main(mc.clean)
