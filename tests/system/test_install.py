#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Commands of this host that run in a sandbox: `install` and `uninstall`."""
import os
import signal
import subprocess
import tempfile

from harness import tap
from harness.program import DEBIAN, PREFIX, Monocore, Process
from harness.tap import contains, equal, promise, scratch, true, until

USER = tempfile.mkdtemp(prefix='mc-install-')  # a home directory: the state stays where that of all tests is
BIN = f'{USER}/.local/bin'
mc = Monocore(Monocore().home, HOME=USER, PATH=f'{BIN}:{PREFIX}/bin:/usr/bin:/bin')


def sh(line, **options):
    return subprocess.run(['sh', '-c', line], env=mc.env, capture_output=True, text=True, timeout=60, **options)


@promise('an installed command behaves in a pipeline as any other: arguments, streams, exit status')
def _():
    equal(mc('install', '--entrypoint', 'python3', DEBIAN, 'py').ok().out, f'{BIN}/py\n')
    answer = sh('printf "import sys\nfor i in range(200000): print(sys.argv, i)\n" | py - a "b c" "" 2>/dev/null | head -2')
    equal((answer.stdout, answer.stderr, answer.returncode), ("['-', 'a', 'b c', ''] 0\n['-', 'a', 'b c', ''] 1\n", '', 0))
    answer = sh('py -c "import sys; print(1, file=sys.stderr); sys.exit(7)" 2>&1; echo "$?"; seq 100000 | py -c '
                '"import sys; print(sum(int(line) for line in sys.stdin))"')
    equal((answer.stdout, answer.stderr), ('1\n7\n5000050000\n', ''))


@promise('what a command is installed with is how it runs each time')
def _():
    mc('install', '--entrypoint', 'sh', '--cpus', '1', '--ram', '512M', '-e', 'A=a b', '-e', 'FROM', '-w', '/usr', '--reach', 'local',
       '--allow', '10.9.9.9:80', '--deny', '10.9.9.8', '-v', f'{USER}:/here:ro', '--platform', 'linux/amd64', DEBIAN, 'set').ok()
    answer = sh(f"""FROM=x {BIN}/set -c 'pwd; nproc; echo $A $FROM; touch /here/x 2>/dev/null || echo refused'""")
    equal((answer.stdout, answer.stderr), ('/usr\n1\na b x\nrefused\n', ''))
    equal(mc('install', '--entrypoint', 'sh', '-p', '0:x', DEBIAN, 'port').ok().out, f'{BIN}/port\n')
    equal(sh('port -c true').returncode, 125)
    mc('uninstall', 'set', 'port').ok()


@promise('signals reach an installed command')
def _():
    # It waits for the signal and nothing else: a handler would miss one that comes just before it goes to sleep.
    line = ('import signal; kinds = [signal.SIGTERM, signal.SIGUSR1]; signal.pthread_sigmask(signal.SIG_BLOCK, kinds); '
            'print(1, flush=True); raise SystemExit(5 if signal.sigwait(kinds) == signal.SIGTERM else 6)')
    process = Process([f'{BIN}/py', '-c', line], env=mc.env, stdout=subprocess.PIPE)
    equal(process.stdout.readline(), b'1\n')
    process.send_signal(signal.SIGTERM)
    equal(process.wait(20), 5)
    process.stdout.close()


@promise('with --mount-cwd an installed command works on the files of the directory that it is called in')
def _():
    mc('install', '--mount-cwd', '-u', 'root', DEBIAN, 'here').ok()
    with scratch() as folder:
        with open(f'{folder}/a file', 'w') as f:
            f.write('content')
        answer = sh('here -c "cat \'a file\' && echo made >\'other file\' && pwd"', cwd=folder)
        equal((answer.stdout, answer.stderr), (f'content{folder}\n', ''))
        mc('uninstall', 'here').ok()
        with open(f'{folder}/other file') as f:
            equal(f.read(), 'made\n')


@promise('a script of the image becomes a command, by its own name where none is given')
def _():
    equal(mc('install', '-q', DEBIAN + '~hello').ok().out, 'hello\n')
    equal(sh('hello').stdout, 'hello from a script\n')
    mc('install', DEBIAN + '~helo').ok(1).says('no script', 'start, hello, version')
    equal([row['name'] for row in mc('install', '--list', '--json').ok().json()], ['hello', 'py'])
    contains(mc('install', '--list').ok().out, DEBIAN + '~hello')
    equal(mc('install', '--list', '-q').ok().out, 'hello\npy\n')


@promise('an installed command keeps its image until it is uninstalled, and then nothing needs it')
def _():
    names = lambda: [i for i in mc('images', '-q').ok().out.split()]
    count = len(names())
    mc('image', 'prune', '--all').ok()
    equal(sh('hello').stdout, 'hello from a script\n')
    equal(mc('uninstall', 'hello').ok().out, 'hello\n')
    true(not os.path.exists(f'{BIN}/hello'), 'the script is still there')
    true(len(names()) <= count, names())
    mc('uninstall', 'hello').ok(1).says("no command 'hello'", '--list')


@promise('no file that install did not write is overwritten or removed, and names are plain')
def _():
    path = f'{BIN}/mine'
    with open(path, 'w') as f:
        f.write('#!/bin/sh\necho mine\n')
    os.chmod(path, 0o755)
    for words in (('install', DEBIAN, 'mine'), ('uninstall', 'mine')):
        mc(*words).ok(1).says(path, 'was not written by')
    with open(f'{BIN}/py', 'a') as f:
        f.write('# changed\n')
    mc('install', DEBIAN, 'py').ok(1).says('changed since')
    mc('uninstall', 'py').ok(1).says('changed since')
    for name in ('../x', 'Py', '-', '.x', 'a b', 'x' * 64):
        true(mc('install', '--', DEBIAN, name).status == 2, name)
    equal(sh('mine').stdout, 'mine\n')
    os.unlink(f'{BIN}/py')
    mc('uninstall', 'py').ok()


@promise('what a new command hides, or is hidden by, is said')
def _():
    contains(mc('install', DEBIAN, 'cat').ok().err, 'cat now stands before /usr/bin/cat')
    contains(mc('install', DEBIAN, 'cat', env={'PATH': f'/usr/bin:{BIN}'}).ok().err, 'cat is hidden by /usr/bin/cat')
    contains(mc('install', DEBIAN, 'cat', env={'PATH': '/usr/bin'}).ok().err, f'{BIN} is not in PATH')
    mc('uninstall', 'cat').ok()


def finish():
    left = mc.clean()
    subprocess.run(['rm', '-rf', USER])
    return left


tap.main(finish)
