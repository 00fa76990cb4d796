#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A host whose clock is set, by days and both ways, while sandboxes run: what is to happen after a time does."""
import datetime
import os
import struct
import tempfile

from harness import tap
from harness.program import DEBIAN, SOURCES, Monocore, send, supervisor_of
from harness.tap import contains, equal, promise, true, until

LIBRARY = os.path.join(os.environ.get('MC_HOSTILE') or f'{SOURCES}/build/release/tests/hostile', 'libjump.so')
DAY = 24 * 3600
folder = tempfile.mkdtemp(prefix='mc-clock-')
CLOCK = f'{folder}/clock'


def jump(seconds):
    """The clock of all that were started with it is so far from the host's."""
    with open(CLOCK, 'r+b' if os.path.exists(CLOCK) else 'wb') as f:
        f.write(struct.pack('<q', seconds * 10**9))


jump(-DAY)
mc = Monocore(LD_PRELOAD=LIBRARY, MC_CLOCK=CLOCK)
plain = Monocore()  # by the host's own clock

LINE = 'echo begun; touch /ok; n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.1; done'


def row():
    return plain.row('clock')


def ticks(*words):
    return mc('log', 'clock', *words).ok().out.count('tick')


def at(offset, seconds=0):
    """A time as log takes it, by a clock that is so far off."""
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset + seconds)
    return now.strftime('%Y-%m-%dT%H:%M:%SZ')


def grows(what):
    before = ticks()
    until(lambda: ticks() > before + 2, what)


@promise('a sandbox with a volume starts whatever the clock says, and is healthy and ill in its time')
def _():
    true(os.path.exists(LIBRARY), LIBRARY)
    mc('tmp', '-d', '--name', 'clock', '-v', f'{folder}:/folder', '--restart', 'always', '--health-cmd', 'test -e /ok',
       '--health-interval', '300ms', '--health-retries', '1', DEBIAN, 'sh', '-c', LINE).ok()
    until(lambda: row()['health'] == 'healthy', 'it is well')
    year = mc('inspect', 'clock').ok().json()[0]['status']['started'] // 10**9
    true(abs(year - (datetime.datetime.now().timestamp() - DAY)) < 600, 'it was started yesterday')
    jump(2 * DAY)
    mc('exec', 'clock', 'rm', '/ok').ok()
    until(lambda: row()['health'] == 'unhealthy', 'it is ill')
    jump(-3 * DAY)
    mc('exec', 'clock', 'touch', '/ok').ok()
    until(lambda: row()['health'] == 'healthy', 'it is well again')


@promise('the log goes on, and what is asked for by time is found by the times of its lines')
def _():
    for offset in (5 * DAY, -5 * DAY, 0):
        jump(offset)
        grows('lines come')
    times = [line.split()[0] for line in mc('log', '-t', 'clock').ok().out.splitlines()]
    true(times != sorted(times), 'the clock went back')
    true(0 < ticks('--since', at(5 * DAY, -300)) < ticks(), 'what was said in five days')
    equal(ticks('--since', at(5 * DAY, 300)), 0)
    old = ticks('--until', at(-5 * DAY, 300))
    true(0 < old < ticks(), 'what was said five days ago')
    equal(ticks('--until', at(-5 * DAY, 300), '-n', '3'), 3)
    contains(mc('log', 'clock', '--until', at(-DAY, 600)).ok().out, 'begun')


@promise('it is started again after its pause, and stopped within its grace')
def _():
    for offset in (30 * DAY, -30 * DAY):
        lives = row()['restarts']
        keeper = supervisor_of(plain, 'clock')
        with open(f'/proc/{keeper}/task/{keeper}/children', encoding='ascii') as f:
            (life,) = [int(pid) for pid in f.read().split()]
        jump(offset)
        send(life)
        until(lambda: row()['restarts'] == lives + 1 and row()['state'] == 'running', 'it runs again')
    jump(0)
    contains(plain('ps').ok().out, 'clock')
    jump(DAY)
    mc('stop', '-t', '1s', 'clock').ok()
    equal((row()['state'], row()['interrupted']), ('stopped', False))


def clean():
    lines = plain.clean()
    os.unlink(CLOCK)
    os.rmdir(folder)
    return lines


tap.main(clean)
