#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Staged volumes: what a sandbox writes stays in it; diff, apply, discard."""
import contextlib
import hashlib
import os
import random
import shutil
import signal
import stat
import tempfile
import time

from harness import tap
from harness.program import DEBIAN, PREFIX, SOURCES, Monocore, supervisor_of
from harness.tap import contains, equal, promise, true

AGENTS = os.environ.get('MC_HOSTILE') or f'{SOURCES}/build/release/tests/hostile'
mc = Monocore()
folder = tempfile.mkdtemp(prefix='mc-stage-')


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, mode)


def read(path):
    with open(path) as f:
        return f.read()


def project(name):
    """A directory as people have them."""
    d = f'{folder}/{name}'
    write(f'{d}/README', 'read me\n')
    write(f'{d}/src/main.c', 'int main;\n')
    write(f'{d}/src/lib/a.c', 'a\n')
    write(f'{d}/src/lib/b.c', 'b\n')
    write(f'{d}/.git/config', '[core]\n')
    write(f'{d}/old', 'old\n')
    return d


def tree(d):
    """Everything that can be seen of a tree, in a few bytes."""
    h = hashlib.sha256()
    for where, folders, files in os.walk(d):
        folders.sort()
        for name in sorted(folders + files):
            path = f'{where}/{name}'
            s = os.lstat(path)
            h.update(f'{path} {s.st_mode} {s.st_uid} {s.st_mtime_ns if not stat.S_ISDIR(s.st_mode) else 0}'.encode())
            if stat.S_ISLNK(s.st_mode):
                h.update(os.readlink(path).encode())
            elif stat.S_ISREG(s.st_mode):
                with open(path, 'rb') as f:
                    h.update(f.read())
    return h.hexdigest()


def names(d):
    return sorted(os.path.relpath(f'{where}/{name}', d) for where, folders, files in os.walk(d) for name in folders + files)


def changes(name, *paths, below='/app/'):
    """{path: kind} of what is staged, conflicts with '!'."""
    return {c['path'].removeprefix(below): c['change'] + '!' * c['conflict']
            for c in mc('volume', 'diff', name, *paths, '--json').ok().json()}


CHANGE = ('cd /app && echo more >>README && rm -rf src/lib && mkdir src/lib && echo new >src/lib/c.c && rm old && mkdir -p d/e && '
          'echo x >d/e/f && chmod 600 src/main.c')
CHANGED = {'README': 'M', 'src/lib/a.c': 'D', 'src/lib/b.c': 'D', 'src/lib/c.c': 'A', 'old': 'D', 'd': 'A', 'd/e': 'A',
           'd/e/f': 'A', 'src/main.c': 'M'}


@promise('what a sandbox writes stays in it, and is the same told while it runs, when it has stopped, and after a new start')
def _():
    d = project('stays')
    before = tree(d)
    with mc.sandbox('-v', f'{d}:/app:stage') as name:
        mc.shell(name, CHANGE)
        equal(mc.shell(name, 'cat /app/README; ls /app/src/lib; stat -c %a /app/src/main.c'), 'read me\nmore\nc.c\n600')
        equal(changes(name), CHANGED)
        mc('snapshot', name).ok(1).says('staged volumes cannot be saved')
        mc('stop', '-t', '0', name).ok()
        equal(changes(name), CHANGED)
        mc('restart', name).ok()
        equal(mc.shell(name, 'cat /app/README; ls /app/src/lib'), 'read me\nmore\nc.c')
        equal(changes(name), CHANGED)
        equal(changes(name, '/app/src'), {k: v for k, v in CHANGED.items() if k.startswith('src')})
        equal(tree(d), before)
        mc('rm', '-f', name).ok()
    equal(tree(d), before)


@promise('the worst that a sandbox can do to a staged volume never reaches the host')
def _():
    d = project('worst')
    before = tree(d)
    with mc.sandbox('-v', f'{d}:/app:stage') as name:
        mc.shell(name, 'cd / && rm -rf /app/* /app/.git; mount -o remount,rw /app; umount /app; echo x >/app/README; '
                 'rm -rf /app/* /app/.git; true')
        equal(tree(d), before)
    line = mc('tmp', '-v', f'{d}:/app:stage', DEBIAN, '--', 'sh', '-c', 'rm -rf /app/* /app/.git').ok().err
    contains(line, 'volume diff')
    equal(tree(d), before)
    name = line.split("volume diff ")[1].split("'")[0]
    everything = {p: 'D' for p in names(d)}
    equal(changes(name), everything)
    mc('volume', 'apply', name, 'src', '.git').ok()
    equal(names(d), ['README', 'old'])
    equal(changes(name), {'README': 'D', 'old': 'D'})
    mc('volume', 'discard').ok()
    equal((names(d), mc.names()), (['README', 'old'], []))


@promise('a throw-away sandbox is kept as long as something is staged in it, and no longer')
def _():
    d = project('kept')
    before = tree(d)
    answer = mc('tmp', '-v', f'{d}:/app:stage', DEBIAN, '--', 'sh', '-c', 'cat /app/README; exit 3').ok(3)
    equal((answer.out, 'volume diff' in answer.err, mc.names()), ('read me\n', False, []))
    answer = mc('tmp', '--name', 'kept', '--read-only', '-v', f'{d}:/app:stage', DEBIAN, '--', 'sh', '-c',
                'echo a >/app/a; echo b >/app/b; echo x >/x; exit 4').ok(4)
    contains(answer.err, 'monocore volume diff kept')
    equal((tree(d), mc.names()), (before, ['kept']))
    mc('tmp', '--name', 'other', DEBIAN, 'true').ok()  # sweeps
    equal(mc('volume', 'diff').ok().out.split(), 'A /app/a 2 B A /app/b 2 B'.split())
    mc('volume', 'apply', './a').ok()
    equal((read(f'{d}/a'), mc.names()), ('a\n', ['kept']))
    mc('volume', 'apply', 'kept').ok()
    equal((read(f'{d}/b'), mc.names()), ('b\n', []))
    mc('tmp', '-d', '--rm', '--name', 'back', '-v', f'{d}:/app:stage', DEBIAN, '--', 'sh', '-c', 'echo c >/app/c').ok()
    tap.until(lambda: (mc.row('back') or {}).get('state') == 'stopped', 'it stops and stays', 20)
    mc('volume', 'discard', 'back', '/app/c').ok()
    equal((os.path.exists(f'{d}/c'), mc.names()), (False, []))


@promise('what was staged outlives whoever is killed: the command line, the supervisor')
def _():
    d = project('outlives')
    for victim in ('command line', 'supervisor'):
        p = mc.start('tmp', '--name', 'victim', '-v', f'{d}:/app:stage', DEBIAN, '--', 'sh', '-c', 'echo x >/app/x; sync; touch /tmp/synced; sleep 100')
        tap.until(lambda: mc('exec', 'victim', '--', 'test', '-e', '/tmp/synced').status == 0, 'it has written', 40)
        os.kill(p.pid if victim == 'command line' else supervisor_of(mc, 'victim'), signal.SIGKILL)
        p.communicate(timeout=20)
        tap.until(lambda: (mc.row('victim') or {}).get('state') == 'stopped', f'without its {victim} it stops, and stays', 20)
        equal(changes('victim'), {'x': 'A'}, victim)
        mc('volume', 'discard', 'victim').ok()
        equal((mc.names(), os.path.exists(f'{d}/x')), ([], False))


HOSTILE = r'''
cd /app
ln -s /etc/passwd absolute; ln -s ../../../../etc up; ln -s src inside
ln -s /etc src2; mkdir real; mv real src3
ln README hard; mkdir x; ln README x/hard
echo s >setuid; chown 1000:1000 setuid; chmod 6755 setuid
mknod null c 1 3; mknod disk b 8 0; mkfifo fifo
python3 -c 'open("n" * 255, "w").close(); open(b"bad\xff\nname", "w").close(); open("trusted", "w").close()'
python3 -c 'import os; os.setxattr("trusted", "trusted.x", b"1"); os.setxattr("trusted", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))'
mkdir -p .git/hooks .vscode; echo run >.git/hooks/pre-commit; chmod 755 .git/hooks/pre-commit
echo evil >>.git/config; echo '{}' >.vscode/tasks.json; echo x >tool; chmod 755 tool
echo x >.wh.README; echo x >.wh..wh..opq
rm -rf src; ln -s /tmp src
mkdir many; cd many; python3 -c 'for i in range(3000): open(f"f{i}", "w").close()'
'''


@promise('a hostile tree comes to the host as harmless as by any volume, marked where the host would run it', limit=240)
def _():
    d = project('hostile')
    outside = f'{folder}/outside'
    os.makedirs(outside, exist_ok=True)
    with mc.sandbox('-v', f'{d}:/app:stage') as name:
        mc('exec', name, '--', 'sh', '-c', HOSTILE, timeout=60).ok()
        told = {c['path'].removeprefix('/app/'): c for c in mc('volume', 'diff', name, '--json').ok().json()}
        equal({p: told[p]['mark'] for p in ('absolute', 'up', 'inside', '.git/hooks/pre-commit', '.git/config', 'tool',
                                            '.vscode/tasks.json', '.wh.README', 'src')},
              {'absolute': 'leads out', 'up': 'leads out', 'inside': None, '.git/hooks/pre-commit': 'run by git',
               '.git/config': 'run by git', 'tool': 'executable', '.vscode/tasks.json': 'run by the editor',
               '.wh.README': None, 'src': 'leads out'})
        equal((told['src']['change'], told['src/lib/a.c']['change'], len([p for p in told if p.startswith('many/')])),
              ('T', 'D', 3000))
        true('\n' not in mc('volume', 'diff', name, './bad\udcff\nname'.encode(errors='surrogateescape')).ok().out[:-1],
             'names drive no terminal')
        # The host sets a trap of its own, where the sandbox has a directory.
        os.symlink(outside, f'{d}/x')
        mc('volume', 'apply', name, 'x').ok(1).says('/app/x')
        mc('volume', 'apply', name, '--force', 'x').ok()
        equal(os.listdir(outside), [])
        mc('volume', 'apply', '-q', name, timeout=120).ok()
        for where, folders, files in os.walk(d):
            for entry in folders + files:
                s = os.lstat(f'{where}/{entry}')
                true(s.st_uid == os.getuid() and not s.st_mode & 0o7000, f'{entry} is ours, with no such bits')
                true(stat.S_ISREG(s.st_mode) or stat.S_ISDIR(s.st_mode) or stat.S_ISLNK(s.st_mode), f'{entry} is no device')
        equal((os.readlink(f'{d}/src'), os.listdir(outside), len(os.listdir(f'{d}/many'))), ('/tmp', [], 3000))
        equal(os.stat(f'{d}/README').st_nlink, 3)
        equal(set(os.listxattr(f'{d}/trusted')) - {'user.containers.override_stat'},
              {'user.containers.override_trusted.x', 'user.containers.override_security.capability'})
        equal(mc('volume', 'diff', name).ok().out, '')
        # As the sandbox has it, another sees it, too.
        equal(mc('tmp', '-v', f'{d}:/app:ro', DEBIAN, '--', 'stat', '-c', '%F %u %a', '/app/null', '/app/setuid').ok().out,
              'character special file 0 644\nregular file 1000 6755\n')


@promise('what was changed on both sides is shown as a conflict, and applied by force only')
def _():
    d = project('conflicts')
    with mc.sandbox('-v', f'{d}:/app:stage') as name:
        mc.shell(name, 'cd /app; echo inside >README; rm old; echo x >both; echo y >>src/main.c')
        write(f'{d}/README', 'outside, too\n')
        write(f'{d}/both', 'made here\n')
        os.remove(f'{d}/src/main.c')
        equal(changes(name), {'README': 'M!', 'old': 'D', 'both': 'M!', 'src/main.c': 'A!'})
        contains(mc('volume', 'diff', name).ok().out, 'CONFLICT')
        before = tree(d)
        mc('volume', 'apply', name).ok(1).says('/app/README', '--force')
        equal(tree(d), before)
        mc('volume', 'apply', name, 'old').ok()
        mc('volume', 'apply', name, '--force', 'README', 'src').ok()
        equal((read(f'{d}/README'), read(f'{d}/both'), os.path.exists(f'{d}/old')), ('inside\n', 'made here\n', False))
        mc.shell(name, 'echo again >/app/README')
        equal(changes(name), {'README': 'M', 'both': 'M!'})  # what was applied from here is no change of the host's
        mc.shell(name, 'cd /app; mkdir made; echo m >made/m')
        mc('volume', 'apply', name, 'made').ok()
        mc.shell(name, 'rm -r /app/made')  # of which its overlay keeps no trace
        equal(changes(name, 'made'), {'made': 'D', 'made/m': 'D'})
        mc('volume', 'apply', name, 'made').ok()
        true(not os.path.exists(f'{d}/made'), 'it is deleted here')
        mc('volume', 'discard', name, 'both').ok()
        equal((mc.shell(name, 'cat /app/both'), changes(name)), ('made here', {'README': 'M'}))


@promise('what is discarded is as the host has it, in a sandbox that runs and in one that does not')
def _():
    d = project('discard')
    before = tree(d)
    with mc.sandbox('-v', f'{d}:/app:stage') as name:
        look = 'cd /app; find . | sort; cat README old src/lib/a.c; stat -c %a src/main.c'
        clean = mc.shell(name, look)
        mc.shell(name, CHANGE)
        mc('volume', 'discard', name, '/app/src', 'd').ok()
        equal(changes(name), {'README': 'M', 'old': 'D'})
        equal(mc.shell(name, 'ls /app/src/lib; cat /app/src/lib/a.c; stat -c %a /app/src/main.c'), 'a.c\nb.c\na\n644')
        mc('volume', 'discard', name).ok()
        equal((changes(name), mc.shell(name, look)), ({}, clean))
        mc.shell(name, CHANGE)
        mc('stop', '-t', '0', name).ok()
        mc('volume', 'discard', name, 'nothing').ok(1).says("nothing is staged at '/app/nothing'")
        mc('volume', 'discard', name, 'd', 'README').ok()
        equal(changes(name), {k: v for k, v in CHANGED.items() if k[0] != 'd' and k != 'README'})
        mc('volume', 'discard', name, 'src/lib/b.c').ok(1).says('replaced as a whole')
        mc('volume', 'discard', name).ok()
        equal(changes(name), {})
        mc('restart', name).ok()
        equal(mc.shell(name, look), clean)
        equal(tree(d), before)


@promise('whoever kills an apply leaves each file old or new, and the next does the rest', limit=120)
def _():
    d = project('killed')
    for i in range(400):
        write(f'{d}/f/{i}', 'old')
    new = 'new' * 3000
    mc('tmp', '--name', 'killed', '-v', f'{d}:/app:stage', DEBIAN, '--', 'python3', '-c',
       'for i in range(400):\n open(f"/app/f/{i}", "w").write("new" * 3000)', timeout=60).ok()
    shuffled = random.Random(os.environ.get('MC_SEED'))
    for _attempt in range(3):
        p = mc.start('volume', 'apply', 'killed')
        tap.until(lambda p=p: p.poll() is not None or any(len(read(f'{d}/f/{i}')) > 3 for i in range(0, 400, 20)), 'it begins', 20, True)
        time.sleep(shuffled.random() / 20)
        p.send_signal(signal.SIGKILL)
        p.communicate()
        true({read(f'{d}/f/{i}') for i in range(400)} <= {'old', new}, 'each is old or new')
        if p.returncode == 0:
            break
    if 'killed' in mc.names():
        tap.until(lambda: mc('volume', 'apply', 'killed').status == 0, 'the rest', 20)
    equal(({read(f'{d}/f/{i}') for i in range(400)}, [n for n in os.listdir(d) if 'apply' in n], mc.names()), ({new}, [], []))


@promise('volumes of all kinds can be staged, and what a commit takes is not theirs')
def _():
    d, inner = project('kinds'), project('inner')
    before = tree(inner)
    with mc.sandbox('-v', f'{d}:/app:stage,squash', '-v', f'{inner}:/app/in/ner', '-v', 'stagedname:/named:stage',
                    '-v', f'{inner}:/app/ro:ro') as name:
        mc.shell(name, 'echo 1 >/app/one; chown 5:5 /app/one; echo 2 >/named/two; echo 3 >/app/in/ner/three; rm -r /app/src')
        equal(sorted(changes(name, below='')), ['/app/one', '/app/src', '/app/src/lib', '/app/src/lib/a.c', '/app/src/lib/b.c',
                                                '/app/src/main.c', '/named/two'])
        mc('volume', 'apply', name, 'one').ok(2).says('several staged volumes')
        mc('volume', 'apply', name, '/tmp').ok(1).says('no staged volume')
        mc('commit', name, 'test/staged').ok()
        mc('volume', 'apply', name, '/').ok()
        equal((read(f'{d}/one'), read(f'{inner}/three'), os.listxattr(f'{d}/one')), ('1\n', '3\n', []))
        equal(mc('volume', 'diff', name).ok().out, '')
        equal(read(f'{mc.home}/volumes/stagedname/two'), '2\n')
    equal(mc('tmp', 'test/staged', '--', 'sh', '-c', 'ls -d /app /named 2>/dev/null; find / -xdev -name one -o -xdev -name two').ok().out,
          '')  # nor the places that the agent has made
    mc('volume', 'rm', 'stagedname').ok()
    mc('rmi', 'test/staged').ok()
    os.remove(f'{inner}/three')
    equal(tree(inner), before)


@promise('what makes no sense is told')
def _():
    d = project('sense')
    mc('tmp', '-v', f'{d}:/app:stage,ro', DEBIAN, 'true').ok(125).says('either ro')
    mc('volume', 'diff').ok(1).says('no sandbox has a staged volume')
    mc('volume', 'diff', 'nobody').ok(1).says('nobody')
    with mc.sandbox() as plain:
        mc('volume', 'diff', plain).ok(1).says('no staged volume')
        mc('volume', 'apply').ok(1).says('no sandbox')
    mc('tmp', '--name', 'one', '-v', f'{d}:/app:stage', DEBIAN, 'touch', '/app/x').ok()
    mc('tmp', '--name', 'two', '-v', f'{d}:/app:stage', DEBIAN, 'touch', '/app/x').ok()
    mc('volume', 'diff').ok(2).says('one, two')
    mc('volume', 'diff', 'one', '../x').ok(2).says("'..'")
    mc('volume', 'discard', 'one').ok()
    equal(mc('volume', 'diff').ok().out.split(), ['A', '/app/x', '0', 'B'])
    mc('volume', 'apply', 'x').ok(1)  # a sandbox of this name
    mc('rm', 'two').ok()


@promise('changes that a guest makes up are refused, and nothing comes to the host', limit=120)
def _():
    d, place = project('lies'), f'{folder}/libexec'
    before = tree(d)
    shutil.copytree(f'{PREFIX}/libexec/monocore', place, symlinks=True)
    shutil.copy2(f'{AGENTS}/hello', f'{place}/mcagent')
    evil = Monocore(mc.home, MONOCORE_LIBEXEC=place)
    name = evil('tmp', '-d', '-v', f'{d}:/app:stage', DEBIAN, '--', 'serve', timeout=80).ok().out.strip()
    for kind, text in {'escape': 'no path in a volume', 'absolute': 'no path', 'link': 'without the directory',
                       'hard': 'no path', 'twice': 'out of order', 'cut': 'cut', 'noise': 'tar archive', 'large': 'cut'}.items():
        evil('exec', name, '--', f'upper-{kind}').ok()
        evil('-q', 'volume', 'apply', name).ok(1).says(text)
    evil('rm', '-f', name).ok()
    equal(tree(d), before)


def finish():
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    return mc.clean()


tap.main(finish)
