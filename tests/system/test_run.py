#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run, start and shell: scripts of a project's components, and components' names in all other verbs."""
import os
import signal
import tempfile

from harness import images, tap
from harness.program import IMAGE, PROGRAM, Monocore
from harness.tap import contains, equal, promise, true, until
from harness.terminal import Terminal

mc = Monocore()
place = tempfile.TemporaryDirectory(prefix='mc-run-')
shop = os.path.join(place.name, 'runs')
image = images.over_debian(os.path.join(place.name, 'image'), {
    'Entrypoint': ['echo', 'entry'], 'Cmd': ['point'], 'Labels': {'dev.monocore.scripts': '{"greet": "echo greetings $@"}'}})


def write():
    os.makedirs(f'{shop}/deep')
    with open(f'{shop}/monocore.yaml', 'w', encoding='utf-8') as f:
        f.write(f'''
sandboxes:
  db:
    image: oci:{IMAGE}
    scripts: {{start: 'echo db is up; exec sleep infinity'}}
    restart: always
  web:
    image: oci:{IMAGE}
    depends_on: [db]
    envs: [KEY=value]
    workdir: /srv
    shell: /bin/bash
    scripts:
      start: 'trap "echo term; exit 3" TERM; echo up $KEY $EXTRA; while :; do sleep 0.05; echo tick; done'
      test: 'echo $0 $KEY "$@" in $(pwd) by $BASH; exit 7'
  tool:
    image: {image}
''')


def monocore(*words, **options):
    return mc(*words, cwd=f'{shop}/deep', **options)


@promise('a script of a sandbox that was never started is its command, and what it depends on runs')
def _():
    write()
    answer = monocore('run', '--grant', 'web~test', '--', 'a b', 'c').ok(7)
    equal(answer.out, 'test value a b c in /srv by /bin/bash\n')
    equal((mc.row('runs-web')['state'], mc.row('runs-web')['exit_status'], mc.row('runs-db')['state']), ('stopped', 7, 'running'))
    equal(monocore('run', 'web', '--exec', 'exit 9').status, 9)
    equal(monocore('run', 'web', '--exec', 'kill -9 $$').status, 137)


@promise('where it runs a script is one more command in it, and run alone shows what it does')
def _():
    equal(monocore('run', '-d', 'web').ok().out, 'runs-web\n')
    equal(monocore('run', '-d', 'web').ok().out, 'runs-web\n')
    contains(monocore('run', 'web~test', '--', 'x').ok(7).out, 'test value x')
    equal(monocore('run', '-e', 'EXTRA=more', 'web', '--exec', 'echo $EXTRA').ok().out, 'more\n')
    equal(monocore('shell', 'web', input=b'echo $KEY; exit 5').ok(5).out, 'value\n')
    until(lambda: 'tick' in mc('log', 'runs-web').ok().out, 'its command is up')
    looks = mc.start('-C', shop, 'run', 'web')
    equal(looks.stdout.readline(), b'tick\n')
    monocore('stop', 'web').ok()
    out = looks.communicate(timeout=20)[0]
    equal((out.removeprefix(b'tick\n' * out.count(b'tick\n')), looks.returncode), (b'term\n', 3))


@promise('in the foreground the sandbox is stopped with who has started it, its signals go on, and nothing starts it again')
def _():
    runs = mc.start('-C', shop, 'start', '-e', 'EXTRA=more', 'web')
    equal(runs.stdout.readline(), b'up value more\n')
    runs.send_signal(signal.SIGTERM)
    true(runs.communicate(timeout=20)[0].endswith(b'term\n'), 'it was told')
    equal(runs.returncode, 3)
    monocore('stop', '-t', '0s', 'db').ok()
    runs = mc.start('-C', shop, 'start', 'db')
    equal(runs.stdout.readline(), b'db is up\n')
    runs.kill()
    runs.wait()
    until(lambda: mc.row('runs-db')['state'] == 'stopped', 'it stops')
    equal(mc.row('runs-db')['restarts'], 0)


@promise('scripts of the image are found, arguments replace its Cmd, and an unknown script lists those there are')
def _():
    equal(monocore('run', 'tool').ok().out, 'entry point\n')
    equal(monocore('run', 'tool', '--', 'other', 'words').ok().out, 'entry other words\n')
    equal(monocore('run', 'tool~greet', '--', 'you').ok().out, 'greetings you\n')
    monocore('run', 'tool~gret').ok(1).says("'gret'", 'greet', 'start')
    monocore('run', 'tol').ok(1).says("did you mean 'tool'?")


@promise('a component stands for its sandbox in every verb, whatever the file says by now, and only in its project')
def _():
    monocore('start', '-d', 'db').ok()
    with open(f'{shop}/monocore.yaml', 'a', encoding='utf-8') as f:
        f.write('wrong: [\n')
    true(monocore('exec', 'db', 'hostname').ok().out == 'db\n', 'exec')
    until(lambda: 'db is up' in monocore('log', 'db').ok().out, 'what it says is kept')
    equal(monocore('inspect', 'db').ok().json()[0]['name'], 'runs-db')
    monocore('cp', f'{shop}/monocore.yaml', 'db:/tmp/').ok()
    equal(mc('exec', 'runs-db', 'ls', '/tmp/monocore.yaml').ok().out, '/tmp/monocore.yaml\n')
    mc('-C', shop, 'pause', 'db').ok()
    mc('-c', f'{shop}/monocore.yaml', 'resume', 'db').ok()
    mc('exec', 'db', 'true').ok(1)
    equal(mc('run', 'runs-db', '--exec', 'echo outside').ok().out, 'outside\n')
    equal(monocore('rm', '-f', 'db').ok().out, 'runs-db\n')


@promise('what the project reaches outside is asked for by run, start and shell, before anything is started')
def _():
    with open(f'{shop}/monocore.yaml', encoding='utf-8') as f:
        text = f.read().replace('wrong: [\n', '')
    with open(f'{shop}/.env.test', 'w', encoding='utf-8') as f:
        f.write('FROM=file\n')
    for verb in ('run', 'start', 'shell'):
        with open(f'{shop}/monocore.yaml', 'w', encoding='utf-8') as f:
            f.write(text + f"    volumes: ['{place.name}/outside-{verb}:/out']\n")
        os.mkdir(f'{place.name}/outside-{verb}')
        contains(monocore(verb, 'tool').ok(1).err, '--grant')
        equal(mc.row('runs-tool')['state'], 'stopped')
        line = ['--exec', 'echo $FROM'] if verb == 'run' else []
        answer = monocore(verb, 'tool', '--grant', '--env-file', f'{shop}/.env.test', *line, input=b'echo $FROM')
        equal(answer.ok().out, 'entry point\n' if verb == 'start' else 'file\n')
        monocore(verb, 'tool').ok()
    with open(f'{shop}/monocore.yaml', 'w', encoding='utf-8') as f:
        f.write(text)
    equal(monocore('run', '--no-tty', '--interactive', 'tool', '--exec', 'cat', input=b'typed').ok().out, 'typed')
    equal(monocore('start', '--no-tty', 'tool').ok().out, 'entry point\n')


@promise('shell has a real terminal')
def _():
    with Terminal([PROGRAM, '-C', shop, 'shell', 'web'], mc.env, rows=33, columns=101) as t:
        t.expect(r'# ')
        t.send('tty; stty size; echo $KEY $0\r')
        t.expect(r'/dev/pts/\d+.*33 101.*value /bin/bash')
        t.send('exit 6\r')
        equal(t.wait(), 6)
        true(t.restored(), 'the terminal is as it was')


@promise('what names components of the file, or a tag, is not taken for their sandboxes')
def _():
    monocore('run', '-d', 'web').ok()
    equal(monocore('snapshot', 'web', 'web').ok().out, 'web\n')
    monocore('snapshots', 'rm', 'web').ok()
    contains(monocore('tree', 'web').ok().out, 'db')
    monocore('remove', 'web').ok()
    with open(f'{shop}/monocore.yaml', encoding='utf-8') as f:
        true('web:' not in f.read(), 'it is gone from the file')


tap.main(mc.clean)
