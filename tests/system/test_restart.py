#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that are started again, and those that are asked whether they are well."""
import os
import signal

from harness import images, tap
from harness.program import DEBIAN, Monocore, send, supervisor_of
from harness.tap import contains, equal, promise, scratch, true, until

mc = Monocore()


def status(name):
    return mc('inspect', name).ok().json()[0]['status']


def lives_of(keeper):
    """Children of a keeper: the supervisor of the present life."""
    with open(f'/proc/{keeper}/task/{keeper}/children', encoding='ascii') as f:
        return [int(pid) for pid in f.read().split()]


@promise('a sandbox that fails is started again on its disk, as often as was said')
def _():
    mc('tmp', '-d', '--name', 'fails', '--restart', 'on-failure:2', DEBIAN, 'sh', '-c',
       'echo x >>/lives; echo life $(wc -l </lives); exit 3').ok()
    until(lambda: mc.row('fails')['state'] == 'stopped', 'it is given up')
    row = mc.row('fails')
    equal((row['exit_status'], row['restarts'], row['interrupted']), (3, 2, False))
    equal(mc('log', 'fails').ok().out, 'life 1\nlife 2\nlife 3\n')
    contains(mc('log', '--stream', 'system', 'fails').ok().out, 'ended with status 3: it is started again in 0.2 s')
    equal(mc('wait', 'fails').ok().out, '3\n')


@promise('one that ends well is left alone by on-failure, and a first start that fails is just told')
def _():
    mc('tmp', '-d', '--name', 'well', '--restart', 'on-failure', DEBIAN, 'true').ok()
    until(lambda: mc.row('well')['state'] == 'stopped', 'it has ended')
    equal((mc.row('well')['exit_status'], mc.row('well')['restarts']), (0, 0))
    mc('tmp', '-d', '--name', 'bad', '--restart', 'always', DEBIAN, 'no-such').ok(127)
    equal(mc.row('bad'), None)


@promise('a crash loop has a name, says that it is one, and is ended by stop')
def _():
    mc('tmp', '-d', '--name', 'loop', '--restart', 'always', DEBIAN, 'sh', '-c', 'exit 4').ok()
    until(lambda: 'crash loop' in mc.row('loop')['reason'], 'it is called a crash loop', 40)
    until(lambda: mc.row('loop')['state'] == 'restarting', 'it is between two lives')
    row = mc.row('loop')
    equal(row['exit_status'], 4)
    contains(mc('ps').ok().out, 'restarting (4)')
    equal(mc('wait', 'loop').ok().out, '4\n')
    mc('exec', 'loop', 'true').ok(1)
    mc('stop', 'loop').ok()
    row = mc.row('loop')
    equal((row['state'], row['reason'], row['interrupted']), ('stopped', '', False))
    mc('rm', 'loop').ok()


@promise('stop, kill and a signal to its supervisor end what would be started again')
def _():
    line = 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done'
    with mc.sandbox('--restart', 'always', '--name', 'ends', command=('sh', '-c', line)):
        until(lambda: mc('log', 'ends').ok().out, 'its trap is set')
        mc('stop', 'ends').ok()
        equal((mc.row('ends')['state'], mc.row('ends')['exit_status']), ('stopped', 5))
        for end in (lambda: mc('kill', 'ends').ok(), lambda: send(supervisor_of(mc, 'ends'), signal.SIGTERM)):
            mc('restart', 'ends').ok()
            end()
            until(lambda: mc.row('ends')['state'] == 'stopped', 'it has ended')
            equal((mc.row('ends')['restarts'], mc.row('ends')['interrupted']), (0, False))


@promise('a killed supervisor is followed by another, and nothing of it is left when the first of all is killed')
def _():
    with mc.sandbox('--restart', 'on-failure', '--name', 'kept', command=('sh', '-c', 'echo up; sleep infinity')):
        keeper = supervisor_of(mc, 'kept')
        send(lives_of(keeper)[0])
        until(lambda: mc.row('kept')['restarts'] == 1 and mc.row('kept')['state'] == 'running', 'it lives again')
        equal(supervisor_of(mc, 'kept'), keeper)
        equal(mc.shell('kept', 'echo well'), 'well')
        send(keeper)
        until(lambda: mc.row('kept')['state'] == 'stopped', 'it is gone')
        equal(mc.row('kept')['interrupted'], True)
        until(lambda: not mc.supervisors(), 'nothing of it runs')


@promise('once its host is up again what ran is started by its policy, and by always what had been stopped by hand as well')
def _():
    def up():
        return sorted(name for name in mc.names() if mc.row(name)['state'] == 'running')

    def go_down():
        for pid in [supervisor_of(mc, name) for name in up()]:
            send(pid)
        until(lambda: not mc.supervisors() and not up(), 'nothing runs')

    for policy in ('no', 'always', 'unless-stopped'):
        words = () if policy == 'no' else ('--restart', policy)
        mc('tmp', '-d', '--name', f'is-{policy}', *words, DEBIAN, 'sleep', 'infinity').ok()
    go_down()
    equal(mc('start', '--recover').ok().out, 'is-always\nis-unless-stopped\n')
    equal(up(), ['is-always', 'is-unless-stopped'])
    equal(mc('start', '--recover').ok().out, '')
    mc('stop', '-t', '0s', 'is-always', 'is-unless-stopped').ok()
    equal(mc('start', '--recover').ok().out, 'is-always\n')
    equal(up(), ['is-always'])
    mc('start', '--recover', 'is-always').ok(2)
    mc('start').ok(2)
    mc('rm', '-f', *[name for name in mc.names() if name.startswith('is-')]).ok()


@promise('a sandbox is healthy as soon as it is well, and unhealthy after so many failures in a row')
def _():
    with mc.sandbox('--name', 'ill', '--health-cmd', 'test -e /ok || { echo it is ill; exit 1; }', '--health-interval', '1s',
                    '--health-retries', '2', '--health-timeout', '20s', '--health-start-period', '1s'):
        equal(mc.row('ill')['health'], 'starting')
        mc('exec', 'ill', 'touch', '/ok').ok()
        until(lambda: mc.row('ill')['health'] == 'healthy', 'it is well')
        contains(mc('ps').ok().out, 'running (healthy)')
        mc('exec', 'ill', 'rm', '/ok').ok()
        until(lambda: mc.row('ill')['health'] == 'unhealthy', 'it is ill')
        equal(status('ill')['health'], 'unhealthy')
        contains(mc('log', '--stream', 'system', 'ill').ok().out, 'status 1: it is ill: the sandbox is unhealthy')
        mc('pause', 'ill').ok()
        equal(mc.row('ill')['state'], 'paused')
        mc('resume', 'ill').ok()
        mc('stop', '-t', '0s', 'ill').ok()
        equal((mc.row('ill')['health'], status('ill')['health']), ('', ''))


@promise('a HEALTHCHECK of the image counts, one that hangs is killed, and --no-healthcheck turns it off')
def _():
    with scratch() as folder:
        check = {'Test': ['CMD-SHELL', 'exec sleep 1000'], 'Interval': 10**9, 'Timeout': 10**8, 'Retries': 1}
        image = images.over_debian(os.path.join(folder, 'image'), {'Healthcheck': check})
        with mc.sandbox('--name', 'hangs', image=image):
            until(lambda: mc.row('hangs')['health'] == 'unhealthy', 'it is given up')
            contains(mc('log', '--stream', 'system', 'hangs').ok().out, 'it took too long')
            true(int(mc.shell('hangs', 'ps -e | grep -c "sleep$"')) <= 2, 'no more than one check is there')
        with mc.sandbox('--no-healthcheck', '--name', 'unasked', image=image):
            equal(mc.row('unasked')['health'], '')
            equal(mc('inspect', 'unasked').ok().json()[0]['health_command'], [])


@promise('what is no policy and no time of a healthcheck is refused before anything is made')
def _():
    for words in (['--restart', 'sometimes'], ['--restart', 'on-failure:x'], ['--restart', 'always', '--rm'],
                  ['--health-cmd', 'true', '--health-retries', '-1']):
        true(mc('tmp', '-d', '--name', 'none', *words, DEBIAN, 'true').status in (2, 125), words)
        equal(mc.row('none'), None)
    mc('tmp', '--restart', 'always', DEBIAN, 'true').ok(2).says('--detach')


tap.main(mc.clean)
