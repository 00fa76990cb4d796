#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trees of a monofs as volumes of sandboxes: revisions of what runs did there, and runs that are undone."""
import json
import os
import pwd
import signal
import socket
import time

from harness import tap
from harness.monofs import Monofs
from harness.program import DEBIAN, Monocore, send, supervisor_of
from harness.tap import contains, equal, promise, until

mono = Monofs()
mc = Monocore(XDG_RUNTIME_DIR=mono.env['XDG_RUNTIME_DIR'])
KEY = mono.write('key', 'correct horse\n')


def run(volume, command, **options):
    """One command in a sandbox that has the volume at /vol."""
    return mc('tmp', '-v', volume, DEBIAN, '--', 'sh', '-c', command, **options)


def revisions(name):
    """Messages, newest first; the first of all, which `init` made, left out."""
    return [r['message'] for r in mono('-C', mono.path(f'{name}.monofs'), 'rev', '--json').ok().json()][:-1]


def cat(name, path, revision='main'):
    return mono('-C', mono.path(f'{name}.monofs'), 'cat', revision, path)


def detached():
    """Who was mounted for sandboxes alone is gone with them."""
    until(lambda: not mono.servers(), 'its server ends')


@promise('each run is one revision, by its user, and one that fails leaves nothing where that was asked for')
def _():
    mono('init', '--no-mount', 'runs').ok()
    volume = f'monofs://{mono.path("runs")}?commit=on-exit&rollback=on-failure:/vol'
    run(volume, 'mkdir /vol/d && echo one >/vol/d/a && ln /vol/d/a /vol/b && ln -s d/a /vol/l && chown 5:6 /vol/b').ok()
    detached()
    equal(len(revisions('runs')), 1)
    contains(revisions('runs')[0], 'sandbox', 'exited with 0')
    author = mono('-C', mono.path('runs.monofs'), 'rev', '-n', '1', '--json').ok().json()[0]['author']
    equal(author, f'{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}')
    equal(cat('runs', 'd/a').ok().out, 'one\n')
    run(volume, 'rm -rf /vol/d; echo two >/vol/b; exit 3').ok(3)
    detached()
    equal(len(revisions('runs')), 1)
    run(volume, 'cat /vol/d/a /vol/l /vol/b; stat -c "%u %g %h" /vol/b; echo more >>/vol/b').ok()
    detached()
    equal(len(revisions('runs')), 2)
    equal(cat('runs', 'd/a').ok().out, 'one\nmore\n')
    equal(cat('runs', 'd/a', 'main~1').ok().out, 'one\n')
    equal(run(volume, 'cat /vol/b; stat -c "%u %g %h" /vol/b').ok().out, 'one\nmore\n5 6 2\n')
    detached()
    equal(len(revisions('runs')), 2)  # nothing was changed


@promise('a run that is killed with all that serves it has failed: it is undone, and its tree is whole')
def _():
    mono('init', '--no-mount', 'killed').ok()
    volume = f'monofs://{mono.path("killed")}?commit=on-exit&rollback=on-failure:/vol'
    run(volume, 'echo kept >/vol/kept').ok()
    detached()
    with mc.sandbox('-v', volume) as name:
        mc.shell(name, 'echo lost >/vol/lost; rm /vol/kept; sync')
        send(supervisor_of(mc, name))
        detached()
    with mc.sandbox('-v', volume) as name:
        equal(mc.shell(name, 'ls /vol; cat /vol/kept'), 'kept\nkept')
    detached()
    mono('-C', mono.path('killed.monofs'), 'check', '--read-data').ok()


@promise('who asks for a sandbox that has ended waits until its run is a revision, and finds it as it is then')
def _():
    mono('init', '--no-mount', 'slow').ok()
    os.mkdir(mono.path('staged'))
    name = mc('tmp', '-d', '-v', f'{mono.path("staged")}:/app:stage', '-v', f'monofs://{mono.path("slow")}?commit=on-exit:/vol',
              DEBIAN, '--', 'sh', '-c', 'echo x >/app/x; echo y >/vol/y; until [ -e /tmp/go ]; do sleep 0.1; done').ok().out.strip()
    mc.shell(name, 'until [ -s /vol/y ]; do sleep 0.1; done; sync')
    servers = mono.servers()
    for pid in servers:
        os.kill(pid, signal.SIGSTOP)
    try:
        mc.shell(name, 'touch /tmp/go')
        until(lambda: mc.row(name)['state'] == 'stopped', 'its command has ended', 30)
        asking = [mc.start('volume', 'diff', name, '--json'), mc.start('exec', name, 'true'), mc.start('net', 'policy', name, '--reach', 'none')]
        time.sleep(1)
        equal([process.poll() for process in asking], [None] * 3)
    finally:
        for pid in servers:
            os.kill(pid, signal.SIGCONT)
    (diff, _), (_, refused), _ = [process.communicate(timeout=60) for process in asking]
    equal([process.returncode for process in asking], [0, 1, 0])
    equal([change['path'] for change in json.loads(diff)], ['/app/x'])
    contains(refused.decode(), f"'{name}' is not running")
    detached()
    equal(cat('slow', 'y').ok().out, 'y\n')
    mc('volume', 'discard', name).ok()


@promise('a tree is the same for two sandboxes and the host where it is mounted, and a revision shows what was')
def _():
    mono('init', 'shared').ok()
    try:
        place = mono.path('shared')
        with open(f'{place}/host', 'w', encoding='ascii') as f:
            f.write('from the host\n')
        mono('-C', place, 'commit', '-m', 'before').ok()
        volume = f'monofs://{place}:/vol'
        with mc.sandbox('-v', volume, '-v', f'monofs://{place}?rev=main:/old') as one, mc.sandbox('-v', f'{volume}:ro') as two:
            equal(mc.shell(one, 'cat /vol/host /old/host; echo from one >/vol/one; ls /old'),
                  'from the host\nfrom the host\nhost')
            until(lambda: mc('exec', two, '--', 'cat', '/vol/one').out == 'from one\n', 'it is seen', 10)
            with open(f'{place}/one', encoding='ascii') as f:
                equal(f.read(), 'from one\n')
            contains(mc.shell(two, 'touch /vol/two; echo $?', timeout=60), '1')
            contains(mc.shell(one, 'touch /old/two; echo $?', timeout=60), '1')
            contains(mono('detach', place).ok(1).err, 'has it as a volume')
            mc('tmp', '-v', f'monofs://{place}?rollback=on-failure:/vol', DEBIAN, '--', 'true').ok(125).says(
                'others', 'Detach it first')
        equal(mono.mounts(), [place])  # what the user mounted stays
    finally:
        mono('detach', '-f', 'shared')


@promise('an encrypted tree is a volume once it is mounted, and what cannot be one says why')
def _():
    mono('init', '--encrypt', '--passphrase-file', KEY, '--no-mount', 'secret').ok()
    volume = f'monofs://{mono.path("secret")}:/vol'
    run(volume, 'true').ok(125).says('is encrypted', 'mount it first')
    mono('mount', mono.path('secret'), '--passphrase-file', KEY).ok()
    run(volume, 'echo secret >/vol/s').ok()
    mono('detach', 'secret').ok()
    run(f'monofs://{mono.path("nowhere")}:/vol', 'true').ok(125).says('nowhere')
    run(f'monofs://{mono.path("secret")}?commit=never:/vol', 'true').ok(125).says('commit=never', 'commit=on-exit')
    run(f'monofs://{mono.path("secret")}:/vol:stage', 'true').ok(125).says('no option but ro')


@promise('a tree comes along with a snapshot and a fork: it is the same one, as it is by then; a run that may be undone is not forked')
def _():
    mono('init', '--no-mount', 'copied').ok()
    try:
        mc('tmp', '-d', '--name', 'src', '--ram', '192M', '-v', f'monofs://{mono.path("copied")}:/vol', DEBIAN, '--', 'sh', '-c',
           'exec 3>>/vol/held; while :; do echo . >&3; sleep 0.1; done').ok()
        mc('exec', 'src', '--', 'sh', '-c', 'until [ -s /vol/held ]; do sleep 0.1; done; echo one >/vol/a').ok()
        mc('snapshot', 'src', 'tree').ok()
        mc('fork', '--name', 'copy', 'src').ok()
        equal(mc('exec', 'copy', '--', 'sh', '-c', 'cat /vol/a; echo two >/vol/b').ok().out, 'one\n')
        equal(mc('exec', 'src', '--', 'cat', '/vol/b').ok().out, 'two\n')
        mc('rm', '-f', 'src', 'copy').ok()
        detached()
        mc('restore', 'tree', 'back').ok()
        equal(mc('exec', 'back', '--', 'sh', '-c', 'cat /vol/a /vol/b; echo three >/vol/c').ok().out, 'one\ntwo\n')
        before = mc('exec', 'back', '--', 'stat', '-c', '%s', '/vol/held').ok().out
        until(lambda: mc('exec', 'back', '--', 'stat', '-c', '%s', '/vol/held').out != before, 'what was open is written to')
        mc('rm', '-f', 'back').ok()
        detached()
        equal(cat('copied', 'c').ok().out, 'three\n')
        mono('init', '--no-mount', 'undone').ok()
        mc('tmp', '-d', '--name', 'run', '--ram', '192M', '-v',
           f'monofs://{mono.path("undone")}?commit=on-exit&rollback=on-failure:/vol', DEBIAN, '--', 'sleep', '1000').ok()
        mc('fork', '--name', 'copy', 'run').ok(1).says('is used by others as well', 'undone')
        equal(mc('exec', 'run', '--', 'sh', '-c', 'echo still >/vol/a; cat /vol/a').ok().out, 'still\n')
    finally:
        mc('rm', '-f', *[name for name in ('src', 'copy', 'back', 'run') if name in mc.names()])
        mc('snapshots', 'rm', 'tree')
    detached()


@promise('monocore.yaml names a tree as it names a directory')
def _():
    mono.write('project/monocore.yaml', f'''sandboxes:
  app:
    image: {DEBIAN}
    volumes: ["monofs://./notes?commit=on-exit:/notes"]
    scripts: {{start: "echo noted >/notes/n"}}
''')
    mono('init', '--no-mount', 'project/notes').ok()
    mc('-C', mono.path('project'), 'run', 'app').ok()
    mc('-C', mono.path('project'), 'down').ok()
    detached()
    equal(cat('project/notes', 'n').ok().out, 'noted\n')
    wrong = mono.write('wrong/monocore.yaml', f'''sandboxes:
  app: {{image: {DEBIAN}, volumes: ["monofs://notes:/notes", "monofs://./n?commit=no:/m"]}}
''')
    shown = mc('-C', os.path.dirname(wrong), 'apply', '--dry-run').ok(2).err
    contains(shown, "'notes' is no path", "'commit=no' is nothing that a monofs can be asked for")


tap.main(lambda: mc.clean() + mono.clean())
