#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random changes of a mounted tree of monofs and, beside it, of a plain directory, for MC_SOAK_MINUTES: with kills
of mfsd, revisions, gc, repack and checks between them. The two are the same all the time, and so is each revision
what the tree was then. `make soak` runs it; it is no part of `make test`. MC_SEED repeats a run."""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

from harness import state, tap
from harness.monofs import Monofs, described
from harness.tap import contains, equal, promise, until

mono = Monofs()
minutes = float(os.environ.get('MC_SOAK_MINUTES') or 10)
seed = int(os.environ.get('MC_SEED') or random.randrange(1 << 32))
print(f'# seed {seed}', flush=True)
chance = random.Random(seed)
TREE, MIRROR, REPOSITORY = mono.path('tree'), mono.path('mirror'), mono.path('tree.monofs')
FILES = f'{TREE}/files'
# Writes all the time, also when mfsd is killed, what is not compared: in a directory of its own.
NOISE = '''import os, sys
n = 0
while True:
    n += 1
    try:
        with open(f'{sys.argv[1]}/{n % 50}', 'wb') as f:
            f.write(os.urandom(n * 7919 % 200000))
        if n % 7 == 0:
            os.unlink(f'{sys.argv[1]}/{(n * 31) % 50}')
    except OSError:
        pass
'''


def both(call):
    """The same done to the tree and to the directory beside it."""
    for root in (MIRROR, FILES):
        call(root)


def paths(kinds):
    """Paths of files (f), directories (d) beside the root."""
    found = []
    for folder, directories, files in os.walk(MIRROR):
        directories.sort()
        found += [os.path.relpath(os.path.join(folder, n), MIRROR) for n in sorted(directories) if 'd' in kinds]
        found += [os.path.relpath(os.path.join(folder, n), MIRROR) for n in sorted(files) if 'f' in kinds]
    return found


def some(kinds):
    found = paths(kinds)
    return chance.choice(found) if found else None


def fresh():
    """A name that is not there, in some directory."""
    folder = chance.choice(['', *paths('d')])
    while True:
        path = os.path.join(folder, f'{chance.randrange(1 << 20):x}' + 'n' * chance.choice((0, 0, 0, 200)))
        if not os.path.lexists(f'{MIRROR}/{path}'):
            return path


def write(root, path, offset, data):
    with open(f'{root}/{path}', 'r+b' if os.path.exists(f'{root}/{path}') else 'wb') as f:
        f.seek(offset)
        f.write(data)


def change():
    kind, path = chance.randrange(12), some('f')
    if kind == 0:
        name = fresh()
        both(lambda root: os.mkdir(f'{root}/{name}'))
    elif kind <= 3 or not path:
        name, data = fresh(), chance.randbytes(chance.choice((0, 10, 300, 5000, 400000)))
        both(lambda root: write(root, name, 0, data))
    elif kind <= 5:
        offset, data = chance.randrange(1 << chance.randrange(1, 21)), chance.randbytes(chance.randrange(1, 100000))
        both(lambda root: write(root, path, offset, data))
    elif kind == 6:
        size = chance.randrange(1 << chance.randrange(1, 21))
        both(lambda root: os.truncate(f'{root}/{path}', size))
    elif kind == 7:
        mode, name = chance.choice((0o600, 0o644, 0o755)), b'%x' % chance.randrange(1 << 30)
        both(lambda root: os.chmod(f'{root}/{path}', mode))
        both(lambda root: os.setxattr(f'{root}/{path}', 'user.x', name))
    elif kind == 8:
        name = fresh()
        both(lambda root: os.link(f'{root}/{path}', f'{root}/{name}'))
    elif kind == 9:
        both(lambda root: os.unlink(f'{root}/{path}'))
    elif kind == 10:
        old, name = some('fd'), fresh()
        if not f'{name}/'.startswith(f'{old}/'):
            both(lambda root: os.rename(f'{root}/{old}', f'{root}/{name}'))
    elif (folder := some('d')) and len(paths('fd')) > 100:
        both(lambda root: shutil.rmtree(f'{root}/{folder}'))


def shown(root):
    return described(root, times=False)


def same():
    equal(shown(FILES), shown(MIRROR), f'seed {seed}')


def mount():
    options = chance.choice(((), (), ('--manual',), ('--quiet-time', '100ms', '--busy-time', '300ms')))
    mono('mount', *options, TREE, timeout=120).ok()


def kill():
    """Everything that was written is there, though it was never synced: the journal had it when write() returned."""
    descriptor = os.open(TREE, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    subprocess.run(['sync', '-f', TREE], check=False)
    for pid in mono.servers():
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: not state.alive(pid), 'it is dead')
    until(lambda: TREE not in mono.mounts() or not subprocess.run(['fusermount3', '-uz', TREE], check=False).returncode,
          'the dead mount goes')
    mount()
    same()


revisions = {}


def commit():
    answer = mono('-C', TREE, '-q', 'commit', '-m', 'soak', timeout=120).ok()
    name = answer.out.strip()
    if name and len(revisions) < 40:
        revisions[name[:12]] = shown(MIRROR)


def look_back():
    if not revisions:
        return
    name = chance.choice(sorted(revisions))
    target = mono.path('then')
    mono('-C', TREE, 'restore', name, target, timeout=120).ok()
    equal(shown(f'{target}/files'), revisions[name], f'revision {name}, seed {seed}')
    shutil.rmtree(target)


def remount():
    mono('detach', '-f', TREE, timeout=120).ok()
    contains(mono('-C', REPOSITORY, 'check', '--read-data', timeout=300).ok().out, 'all whole')
    mount()
    same()


def keep_house():
    words = chance.choice((('gc', '--grace', '0s'), ('repack',), ('repack', '--all'), ('check',), ('check', '--read-data')))
    mono('-C', TREE, *words, timeout=300).ok()


@promise(f'{minutes:g} minutes of changes, kills and housekeeping leave a tree that is what a plain directory is',
         limit=int(minutes * 60) + 600)
def _():
    deadline, rounds = time.monotonic() + minutes * 60, 0
    os.mkdir(MIRROR)
    mono('init', 'tree').ok()
    os.mkdir(f'{TREE}/noise')
    os.mkdir(FILES)
    with subprocess.Popen([sys.executable, '-c', NOISE, f'{TREE}/noise'], start_new_session=True) as noise:
        try:
            while time.monotonic() < deadline:
                for _ in range(chance.randrange(60)):
                    change()
                chance.choice((same, kill, kill, commit, commit, look_back, remount, keep_house))()
                rounds += 1
                if rounds % 20 == 0:
                    print(f'# {rounds} rounds', flush=True)
        finally:
            noise.kill()
    mono('detach', '-f', TREE, timeout=120).ok()
    contains(mono('-C', REPOSITORY, 'check', '--read-data', timeout=300).ok().out, 'all whole')
    mono('gc', '--grace', '0s', REPOSITORY, timeout=300)
    print(f'# {rounds} rounds', flush=True)


tap.main(mono.clean)
