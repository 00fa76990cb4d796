#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A project's sandboxes: up, down, apply and status, whatever fails, is killed or changes meanwhile."""
import os
import shutil
import signal
import tempfile
import time

from harness import state, tap
from harness.program import DEBIAN, PROGRAM, Monocore, send
from harness.tap import contains, equal, promise, true, until
from harness.terminal import Terminal

mc = Monocore()
where = tempfile.mkdtemp(prefix='mc-project-')
place = os.path.join(where, 'mcshop')  # the project, and so its sandboxes, are called by this name

DB = f'''  db:
    image: {DEBIAN}
    scripts: {{start: "echo db is up; sleep 0.3; touch /tmp/ready; exec sleep 1000"}}
    groups: {{back: {{volumes: {{shared: /shared}}}}}}
    healthcheck: {{exec: test -e /tmp/ready, interval: 1s, retries: 20}}
    volumes: [data:/data]
'''
WEB = f'''  web:
    image: {DEBIAN}
    depends_on: [db]
    envs: [MODE=one]
    groups: {{back: {{volumes: {{shared: /shared}}}}, front: {{network: {{hostname: www}}}}}}
    scripts: {{start: "test $(getent hosts db | wc -l) = 1 && echo found; exec sleep 1000"}}
'''
FREE = f'''  free:
    image: {DEBIAN}
    scripts: {{start: "exec sleep 1000"}}
'''
GROUPS = '''groups:
  back: {envs: [TIER=back, MODE=group], volumes: {shared: ./shared}}
  front: {network: {subnet: 10.91.7.0/24}}
'''


def write(*sandboxes, groups=GROUPS):
    os.makedirs(os.path.join(place, 'shared'), exist_ok=True)
    with open(os.path.join(place, 'monocore.yaml'), 'w') as f:
        f.write('sandboxes:\n' + ''.join(sandboxes) + groups)


def granted(*words):
    """The image lies outside of the project."""
    return words + ('--grant',) if words[0] in ('up', 'apply') else words


def run(*words, **options):
    answer = mc(*granted(*words), cwd=place, **options)
    if answer.status == 0:
        answer.err = ''.join(line for line in answer.err.splitlines(True) if line.startswith('monocore: '))
    return answer


def stands():
    return {row['name']: row['state'] for row in run('status', '--json').ok().json()}


def steps(*words):
    return [f'{s["verb"]} {s["component"]}' for s in run(*words, '--dry-run', '--json').ok().json()]


def ids():
    return {row['name']: row['id'] for row in mc('ps', '-a', '--json').ok().json()}


def clean():
    mc('rm', '-f', *[name for name in mc.names() if name.startswith('mcshop-')])
    mc('volume', 'rm', 'mcshop_data')
    shutil.rmtree(where)
    return state.left(mc.home)


@promise('up starts what is needed first, once it is healthy, and the same again does nothing')
def _():
    write(WEB, DB)
    equal(steps('up'), ['create db', 'start db', 'wait for db', 'create web', 'start web'])
    equal(stands(), {'web': None, 'db': None})
    told = run('up', '--wait', '--build').ok().err
    true(told.index('db: ready') < told.index('web: started'), told)
    equal(stands(), {'web': 'running', 'db': 'running'})
    until(lambda: 'found' in mc('log', 'mcshop-web').ok().out, 'web found db as it began')
    before = ids()
    equal(run('up').ok().err + run('apply').ok().err, '')
    equal(steps('up'), [])
    equal(ids(), before)
    run('up', 'wbe').ok(1).says("did you mean 'web'?")


@promise('groups give their members names, an environment, a network and volumes')
def _():
    web = 'getent hosts db.back.internal | cut -d" " -f1; echo $TIER $MODE; hostname; echo hello >/shared/web'
    address, environment, hostname = mc.shell('mcshop-web', web).splitlines()
    equal((environment, hostname), ('back one', 'web'))
    db = mc.shell('mcshop-db', 'cat /shared/web; echo $MODE; getent hosts web.back.internal >&2; echo 1 >/data/x')
    equal(db, 'hello\ngroup')
    rows = {row['name']: row for row in run('status', '--json').ok().json()}
    equal(rows['db']['addresses'], [address])
    true(rows['web']['addresses'][1].startswith('10.91.7.'), str(rows['web']))
    contains(run('status').ok().out, 'running, healthy')
    with open(os.path.join(place, 'shared', 'web')) as f:
        equal(f.read(), 'hello\n')
    contains(mc('volume', 'ls', '-q').ok().out, 'mcshop_data')


@promise('apply changes what has changed, rules and ports of what runs in place, and stops what the file has no more')
def _():
    before = ids()
    write(WEB + '    ports: ["127.0.0.1::80"]\n    reach: local\n', DB)
    equal(steps('apply'), ['update web'])
    contains(run('status').ok().out, 'to be changed')
    run('apply').ok()
    equal(ids(), before)
    row = mc.row('mcshop-web')
    true(len(row['ports']) == 1 and row['ports'][0].endswith(':80/tcp'), str(row))
    write(DB)
    equal(steps('apply'), ['stop web'])
    equal(steps('up'), [])
    run('apply').ok()
    equal(mc.row('mcshop-web')['state'], 'stopped')
    contains(run('status').ok().out, 'removed from the file')
    write(WEB.replace('MODE=one', 'MODE=two'), DB)
    equal(steps('apply'), ['remove web', 'create web', 'start web'])
    run('apply').ok()
    equal(mc.shell('mcshop-web', 'echo $MODE'), 'two')
    after = ids()
    equal(after['mcshop-db'], before['mcshop-db'])
    true(after['mcshop-web'] != before['mcshop-web'], 'web was made anew')


@promise('every process killed at once: status tells the truth, and up recovers')
def _():
    every = [pid for boss in state.supervisors(mc.home) for pid in [boss] + state.descendants(boss)]
    for pid in every:
        send(pid, signal.SIGKILL)
    until(lambda: not [pid for pid in every if state.alive(pid)], 'all are gone')
    rows = {row['name']: row for row in run('status', '--json').ok().json()}
    equal([(row['state'], row['interrupted']) for row in rows.values()], [('stopped', True)] * 2)
    run('up').ok()
    equal(stands(), {'web': 'running', 'db': 'running'})
    equal(mc.shell('mcshop-db', 'cat /data/x'), '1')


@promise('a directory that is moved is the same project')
def _():
    global place
    before, old = ids(), place
    place = os.path.join(where, 'elsewhere')
    os.rename(old, place)
    try:
        equal(stands(), {'web': 'running', 'db': 'running'})
    finally:
        os.rename(place, old)
        place = old
    equal(ids(), before)


@promise('down stops before what it needs, and leaves the rest of what there is')
def _():
    equal(steps('down'), ['stop web', 'stop db'])
    run('down', '--time', '5s', 'mcshop-web').ok()  # a sandbox's name says its component, too
    equal(stands(), {'web': 'stopped', 'db': 'running'})
    equal([row['name'] for row in run('status', '--json', 'mcshop-db').ok().json()], ['db'])
    run('down', 'mcshop-none').ok(1).says("'mcshop-none'")
    run('down').ok()
    equal(stands(), {'web': 'stopped', 'db': 'stopped'})
    equal(run('down').ok().err, '')


@promise('a failure leaves out what needs it, names the step and shows the last lines of its log')
def _():
    broken = DB.replace('touch /tmp/ready; exec sleep 1000', 'echo no space >&2; exit 3')
    write(WEB, broken, FREE)
    answer = run('up')
    equal(answer.status, 125, str(answer))
    contains(answer.err, 'wait for db: it has ended, with status 3')
    contains(answer.err, '    no space')
    contains(answer.err, 'start web: left out')
    equal(stands(), {'web': 'created', 'db': 'stopped', 'free': 'running'})
    run('down').ok()


@promise('what a sandbox imports comes from a build, and another content of that makes it anew')
def _():
    def tool(text):
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, 'tool'), 'w') as f:
            f.write(f'echo {text}\n')
    job = FREE.replace('exec sleep', 'sh /opt/tool; exec sleep') + \
        '    depends_on: [maker]\n    imports: {tool: /opt/tool}\n'
    maker = f'builds:\n  maker: {{image: {DEBIAN}, steps: [{{copy: [tool, /out/]}}], exports: {{tool: /out/tool}}}}\n'
    mc('rm', '-f', 'mcshop-free')
    tool('one')
    write(job, groups=maker)
    try:
        equal(steps('up'), ['build maker', 'build free.imports', 'create free', 'start free'])
        run('up').ok()
        until(lambda: 'one' in mc('log', 'mcshop-free').out, 'the tool has run')
        tool('two')
        run('up').ok()
        until(lambda: 'two' in mc('log', 'mcshop-free').out, 'the other tool has run')
        before = ids()
        run('up', '--build').ok()
        equal((ids(), mc.row('mcshop-free')['state']), (before, 'running'))
    finally:
        mc('rm', '-f', 'mcshop-free')
        mc('rmi', '-f', 'monocore.local/mcshop/maker', 'monocore.local/mcshop/free.imports')


@promise('kill -9 at any step of a plan: the next apply does the rest', 120)
def _():
    over = FREE.replace('  free:', '  over:') + '    depends_on: [free]\n'
    write(FREE, over)
    run('up').ok()
    for at, (all_of_it, killed_at) in enumerate([(True, n) for n in range(5)] + [(False, n) for n in range(4)]):
        if all_of_it:  # create, create, start, start
            mc('rm', '-f', 'mcshop-free', 'mcshop-over')
            write(FREE, over)
        else:  # stop, stop, remove, remove, and as before
            write(FREE.replace('1000', f'{at}000'), over.replace('1000', f'{at}000'))
        process = mc.start('apply', '--parallel', '1', cwd=place)
        for _ in range(killed_at):
            process.stderr.readline()
        time.sleep(0.05 * (at % 3))  # the next one is under way, or is not yet
        process.kill()
        process.communicate()
        equal(set(stands()) & {'free', 'over'}, {'free', 'over'})
        run('apply').ok()
        equal(steps('apply'), [], f'{at}')
        equal({name: state for name, state in stands().items() if name in ('free', 'over')},
              {'free': 'running', 'over': 'running'})
    mc('rm', '-f', 'mcshop-free', 'mcshop-over').ok()


@promise('Ctrl-C begins nothing more, leaves what is up and says so; a second one ends at once')
def _():
    write(WEB, DB.replace('echo db is up; sleep 0.3', "trap 'echo told' TERM; echo up; while :; do sleep 0.2; done"))
    mc('rm', '-f', 'mcshop-db')
    process = mc.start('up', '--grant', cwd=place)
    until(lambda: 'up\n' in mc('log', 'mcshop-db').out, 'db runs, and will neither be healthy nor stop')
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=20)[1].decode()
    equal(process.returncode, 130, err)
    contains(err, 'what is up stays up')
    equal(mc.row('mcshop-db')['state'], 'running')
    process = mc.start('down', '-t', '100', cwd=place)
    until(lambda: 'told' in mc('log', 'mcshop-db').ok().out, 'db is told to stop')
    process.send_signal(signal.SIGINT)
    until(lambda: not state.pending(process.pid), 'the first is taken')
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=20)[1].decode()
    equal((process.returncode, err), (130, ''))
    equal(mc.row('mcshop-db')['state'], 'running')
    mc('rm', '-f', 'mcshop-db').ok()


@promise('of two that change a project at once, one waits and says so')
def _():
    write(WEB, DB.replace('sleep 0.3', 'sleep 1000'))
    first = mc.start('up', '--grant', cwd=place)
    until(lambda: (row := mc.row('mcshop-db')) and row['state'] == 'running', 'db runs, and is waited for: it will not be healthy')
    second = mc.start('down', cwd=place)
    line = second.stderr.readline().decode()
    contains(line, 'another command changes this project')
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=10)
    second.communicate(timeout=20)
    equal(second.returncode, 0)
    equal(stands()['db'], 'stopped')


@promise('on a terminal up draws a row for each, and status --watch goes on until Ctrl-C')
def _():
    write(WEB, DB)
    with Terminal([PROGRAM, '-C', place, 'up', '--grant'], mc.env) as t:
        t.expect('mcshop-web +.*(waiting|creating|starting)')
        t.expect('mcshop-web +.*started')
        equal(t.wait(), 0)
    with Terminal([PROGRAM, '-C', place, 'status', '--watch'], mc.env, columns=160) as t:
        t.expect('db +.*running')
        t.expect('db +.*running')
        t.send('\x03')
        t.wait()
    run('down').ok()


if __name__ == '__main__':
    tap.main(clean)
