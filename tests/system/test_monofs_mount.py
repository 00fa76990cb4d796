#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trees of monofs mounted: written to, made revisions of, shown as they were, killed, detached."""
import contextlib
import errno
import os
import re
import signal
import struct
import subprocess

from harness import nfs, state, tap
from harness.monofs import Monofs, described, sample
from harness.monofs_reader import Repository
from harness.tap import contains, equal, promise, true, until

mono = Monofs()
RIGHT = mono.write('right', 'correct horse\n')


@contextlib.contextmanager
def tree(name, *options):
    """A mounted tree; its directory."""
    mono('init', *options, name).ok()
    try:
        yield mono.path(name)
    finally:
        if mono.path(name) in mono.mounts():
            mono('detach', '-f', name)


def revisions(directory):
    return mono('-C', directory, 'rev', '--json').ok().json()


def write(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


@promise('a tree is written to as any directory, becomes a revision when told, and is there again after a detach')
def _():
    with tree('written') as d:
        sample(f'{d}/files')
        before = described(d)
        first = mono('-C', d, '-q', 'commit', '-m', 'all of it').ok().out.strip()
        contains(mono('-C', d, 'commit', '-m', 'nothing').ok().out, 'has the same already')
        rows = revisions(d)
        equal((rows[0]['message'], rows[0]['author'], rows[0]['revision'][:12]), ('all of it', 'ann', first))
        equal(mono('detach', d).ok().out, f'{d} is detached\n')
        equal(os.listdir(d), [])
        until(lambda: not mono.servers(), 'its process ends')
        equal(mono('mount', d).ok().out, f'{d}.monofs is mounted at {d}\n')
        equal(described(d), before)
        inode = os.stat(f'{d}/files/README').st_ino
        os.rename(f'{d}/files/README', f'{d}/files/renamed')
        mono('-q', 'detach', d).ok()
        mono('mount', '--fuse', '-C', f'{d}.monofs').ok()
        equal(os.stat(f'{d}/files/renamed').st_ino, inode)
        contains(mono('-C', d, 'diff', first).ok().out, 'R  files/README -> files/renamed')
    r = Repository(f'{d}.monofs')
    equal({p for p, _, _ in r.walk(r.commit())} >= {b'files/renamed', b'files/not-\xff-utf8'}, True)


@promise('what was written becomes a revision by itself, and what a tag names is the tree as it is')
def _():
    mono('init', '--no-mount', 'quiet').ok()
    mono('mount', mono.path('quiet'), '--quiet-time', '200ms', '--busy-time', '5s').ok()
    d = mono.path('quiet')
    write(f'{d}/a', 'one')
    until(lambda: len(revisions(d)) == 2, 'a revision comes by itself')
    equal((revisions(d)[0]['automatic'], revisions(d)[0]['author']), (True, 'ann'))
    mono('detach', d).ok()
    mono('mount', '--manual', d).ok()
    write(f'{d}/a', 'two')
    mono('-C', d, 'tag', 'main', 'two').ok()
    equal(mono('-C', d, 'cat', 'two', 'a').ok().out, 'two')
    write(f'{d}/a', 'three')
    equal(mono('-C', d, 'cat', 'main', 'a').ok().out, 'two')
    mono('detach', d).ok()
    equal(mono('-C', f'{d}.monofs', 'cat', 'main', 'a').ok().out, 'three')


@promise('a revision is shown as it was, read-only, while the tree goes on')
def _():
    with tree('shown') as d:
        write(f'{d}/x', 'then')
        mono('-C', d, 'commit', '-m', 'then').ok()
        then = mono.path('then')
        mono('-C', d, 'mount', '--rev', 'main', then).ok()
        write(f'{d}/x', 'now')
        os.mkdir(f'{d}/more')
        mono('-C', d, 'commit', '-m', 'now').ok()
        equal((read(f'{then}/x'), os.listdir(then)), ('then', ['x']))
        try:
            write(f'{then}/x', 'never')
            true(False, 'a revision was written to')
        except OSError as e:
            equal(e.errno, errno.EROFS)
        past = mono.path('past')
        mono('mount', f'{d}.monofs', past, '--rev', 'main~1').ok()
        equal(read(f'{past}/x'), 'then')
        mono('detach', then, past).ok()
        mono('-C', d, 'mount', '--rev', 'main').ok(2).says('say where')


@promise('what cannot be mounted says why, and leaves no directory behind')
def _():
    with tree('taken') as d:
        write(f'{d}/x', 'x')
        for verb in ('mount', 'init'):
            mono(verb, d).ok(1).says('is mounted already', f'{d}.monofs')
        for words in (['mount', '--rev', 'main'], ['init'], ['tmp']):
            mono('-C', d, *words, './inside').ok(1).says('lies in the tree that is mounted at', d, 'outside')
        equal(os.listdir(d), ['x'])
        mono('-C', d, 'mount', '--rev', 'v1', '../elsewhere').ok(1).says("'v1'")
        mono('mount', d, 'elsewhere').ok(1).says('in use', d)
        mono('clone', d, 'taken/copy').ok(1)
        equal([name for name in os.listdir(mono.folder) if name.startswith(('elsewhere', 'copy'))], [])
        equal(os.listdir(d), ['x'])
        # From within the tree, as documented.
        mono('mount', '--rev', 'main', '../beside', cwd=d).ok()
        equal(os.listdir(mono.path('beside')), ['x'])
        mono('detach', '../beside', cwd=d).ok()


@promise('checkout takes a mounted tree, or one path of it, back; what it had before is a revision')
def _():
    with tree('back') as d:
        sample(f'{d}/files')
        mono('-C', d, 'commit', '-m', 'whole').ok()
        whole = described(d, times=False)
        os.unlink(f'{d}/files/edge')
        write(f'{d}/files/README', 'changed')
        write(f'{d}/new', 'new')
        mono('-C', d, 'checkout', 'main', '-p', 'files/README').ok()
        equal((read(f'{d}/files/README'), read(f'{d}/new')), ('changed', 'new'))
        oldest = next(r['revision'] for r in revisions(d) if r['message'] == 'whole')
        mono('-C', d, 'checkout', oldest, '-p', 'files/README').ok()
        equal((read(f'{d}/files/README')[:8], read(f'{d}/new')), ('# A tree', 'new'))
        mono('-C', d, 'checkout', oldest).ok()
        equal(described(d, times=False), whole)
        equal(revisions(d)[0]['message'], f'checkout of {oldest}')
        equal(mono('-C', d, 'diff', oldest).ok().out, '')


@promise('detach says who keeps a mount busy, and -f detaches it all the same')
def _():
    with tree('busy') as d:
        write(f'{d}/open', 'x')
        os.mkdir(f'{d}/place')
        holders = [subprocess.Popen(['sleep', '100'], cwd=f'{d}/place'),
                   subprocess.Popen(['sleep', '100'], stdin=open(f'{d}/open', 'rb'), cwd='/')]
        try:
            answer = mono('detach', d).ok(1)
            contains(answer.err, f'{holders[0].pid} sleep: works in it')
            contains(answer.err, f'monofs: detach: {d}: something in it is open\n')
            contains(answer.err, f'{holders[1].pid} sleep: has open open')
            equal(read(f'{d}/open'), 'x')
            write(f'{d}/last', 'word')
            mono('detach', '-f', d).ok()
        finally:
            for holder in holders:
                holder.kill()
                holder.wait()
        equal(mono.mounts(), [])
        equal(mono('-C', f'{d}.monofs', 'cat', 'main', 'last').ok().out, 'word')


@promise('while a tree is mounted nobody else moves main, and who has it is said')
def _():
    with tree('claimed') as d:
        mono.write('outside/x', 'x')
        contains(mono('import', mono.path('outside'), d).ok(1).err, d)
        contains(mono('mount', f'{d}.monofs', mono.path('elsewhere')).ok(1).err, d)
        mono('check', d).ok()
        mono('gc', d).ok()
        mono('stats', d).ok()


@promise('mfsd killed at any time loses nothing that fsync told, and what was written is there after the next mount')
def _():
    with tree('killed') as d:
        for n in range(5):
            with open(f'{d}/synced', 'w', encoding='ascii') as f:
                f.write(f'{n}\n' * 10000)
                os.fsync(f.fileno())
            write(f'{d}/file-{n}', f'{n}')
            pid, = mono.servers()
            os.kill(pid, signal.SIGKILL)
            until(lambda: not state.alive(pid), 'it is dead')
            until(lambda: d not in mono.mounts(), 'the dead mount goes')
            if n == 0:  # nobody moves on before that is a revision
                contains(mono('-C', f'{d}.monofs', 'checkout', 'main').ok(1).err, 'mount it, and detach it')
            mono('mount', d).ok()
            equal(read(f'{d}/synced'), f'{n}\n' * 10000)
            equal(sorted(os.listdir(d)), [f'file-{i}' for i in range(n + 1)] + ['synced'])
        mono('detach', d).ok()
        contains(mono('-C', f'{d}.monofs', 'check', '--read-data').ok().out, 'all whole')


@promise('a mount whose process was killed with the one that keeps it is mounted again, or detached')
def _():
    def kill():
        write(f'{d}/file', 'still there')
        os.listdir(d)
        pid, = mono.servers()
        with open(f'/proc/{pid}/stat', encoding='ascii') as f:
            keeper = int(f.read().rpartition(')')[2].split()[1])
        os.kill(keeper, signal.SIGSTOP)  # it must not come to taking the mount away
        os.kill(pid, signal.SIGKILL)
        os.kill(keeper, signal.SIGKILL)
        until(lambda: not state.alive(pid) and not state.alive(keeper), 'both are dead')
        true(d in mono.mounts(), 'the mount is left')

    with tree('orphan') as d:
        kill()
        mono('mount', d).ok()
        equal(read(f'{d}/file'), 'still there')
        kill()
        mono('detach', d).ok(1).says('becomes one when it is mounted again')
        equal((d in mono.mounts(), os.listdir(d)), (False, []))
        mono('detach', d).ok(1).says('is not mounted')
        mono('mount', d).ok()
        equal(read(f'{d}/file'), 'still there')


@promise('a detach whose revision fails says that what was written comes back with the next mount, and it does')
def _():
    with tree('unfinished') as d:
        write(f'{d}/file', 'not yet in a pack')
        subprocess.run(['chmod', '-R', 'a-w', f'{d}.monofs/packs'], check=True)
        try:
            mono('detach', d).ok(1).says('Permission denied', 'becomes one by the next mount')
        finally:
            subprocess.run(['chmod', '-R', 'u+w', f'{d}.monofs/packs'], check=True)
        mono('mount', d).ok()
        equal(read(f'{d}/file'), 'not yet in a pack')


@promise('a tree is mounted and detached by the name of its repository, too')
def _():
    with tree('named') as d:
        equal(mono('detach', f'{d}.monofs').ok().out, f'{d} is detached\n')
        equal(mono('mount', f'{d}.monofs').ok().out, f'{d}.monofs is mounted at {d}\n')


@promise('an ACL, which nobody would heed in a mount, is refused there, so cp -p keeps modes; one imported is kept')
def _():
    name, owner, user, group, mask, other = 'system.posix_acl_access', 1, 2, 4, 16, 32
    entries = ((owner, 6, -1), (user, 6, 4321), (group, 4, -1), (mask, 6, -1), (other, 0, -1))
    acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHi', *e) for e in entries)
    os.mkdir(mono.path('with-acl'))
    write(mono.path('with-acl/x'), 'x')
    os.setxattr(mono.path('with-acl/x'), name, acl)
    os.chmod(mono.path('with-acl/x'), 0o660)
    mono('init', '--no-mount', 'heedless').ok()
    mono('import', mono.path('with-acl'), mono.path('heedless.monofs')).ok()
    d = mono.path('heedless')
    mono('mount', d).ok()
    equal(os.getxattr(f'{d}/x', name), acl)
    write(f'{d}/y', 'y')
    os.chmod(f'{d}/y', 0o640)
    try:
        os.setxattr(f'{d}/y', name, acl)
        true(False, 'an ACL was taken')
    except OSError as e:
        equal(e.errno, errno.EOPNOTSUPP)
    subprocess.run(['cp', '-p', f'{d}/y', f'{d}/z'], check=True)
    equal(os.stat(f'{d}/z').st_mode & 0o777, 0o640)
    os.chmod(f'{d}/x', 0o640)
    mono('-C', d, 'restore', 'main', mono.path('acl-again')).ok()
    mono('detach', d).ok()
    equal(os.stat(mono.path('acl-again/x')).st_mode & 0o777, 0o660)
    mono('-C', f'{d}.monofs', 'restore', 'main', mono.path('acl-less')).ok()
    kept = os.getxattr(mono.path('acl-less/x'), name)
    equal([struct.unpack_from('<HHi', kept, 4 + 8 * i)[1] for i in range(5)], [6, 6, 4, 4, 0])


@promise('revisions of a repository that nobody may write to are mounted')
def _():
    with tree('sealed') as d:
        write(f'{d}/x', 'then')
        mono('detach', d).ok()
        subprocess.run(['chmod', '-R', 'a-w', f'{d}.monofs'], check=True)
        try:
            mono('mount', f'{d}.monofs', d, '--rev', 'main').ok()
            equal(read(f'{d}/x'), 'then')
            mono('detach', d).ok()
        finally:
            subprocess.run(['chmod', '-R', 'u+w', f'{d}.monofs'], check=True)


@promise('an encrypted tree asks for its passphrase once, and is nowhere on disk in the clear')
def _():
    with tree('hidden', '--encrypt', '--passphrase-file', RIGHT) as d:
        write(f'{d}/secret-name', 'the eagle has landed' * 100)
        mono('-C', d, 'commit', '-m', 'x').ok()
        equal(len(revisions(d)), 2)
        equal(mono('-C', d, 'cat', 'main', 'secret-name').ok().out, 'the eagle has landed' * 100)
        write(f'{d}/another-secret', 'in the journal alone: the eagle has landed')
        for folder, _, names in os.walk(f'{d}.monofs'):
            for name in names:
                data = name.encode()
                with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, name), 'rb') as f:  # of a moment
                    data += f.read()
                equal([w for w in (b'secret', b'eagle') if w in data], [], name)
        mono('detach', d).ok()
        mono('mount', d).ok(1).says('no terminal')
        mono('mount', d, env={'MONOFS_PASSPHRASE_FILE': RIGHT}).ok()
        equal(sorted(os.listdir(d)), ['another-secret', 'secret-name'])
    r = Repository(mono.path('hidden.monofs'), 'correct horse')
    equal(sorted(p for p, _, _ in r.walk(r.commit())), [b'', b'another-secret', b'secret-name'])


@promise('what tmp mounts is gone after its detach')
def _():
    before = set(os.listdir(mono.folder))
    d = mono('-q', 'tmp').ok().out.strip()
    write(f'{d}/x', 'x')
    mono('-C', d, 'commit', '-m', 'x').ok()
    mono('detach', d).ok()
    equal((set(os.listdir(mono.folder)) - before, os.path.exists(d)), (set(), False))
    mono('tmp', '--memory', 'scratch').ok()
    equal(len([n for n in os.listdir('/dev/shm') if n.startswith('monofs-tmp-') and os.access(f'/dev/shm/{n}', os.R_OK)]), 1)
    mono('detach', 'scratch').ok()
    true(not os.path.exists(mono.path('scratch')), 'the mount point that it made is gone')
    os.mkdir(mono.path('mine'))
    mono('tmp', 'mine').ok()
    mono('detach', 'mine').ok()
    equal(os.listdir(mono.path('mine')), [])


@promise('a clone of a mounted tree has what was written to it')
def _():
    with tree('source') as d:
        write(f'{d}/x', 'not yet a revision')
        mono('clone', d, 'copy').ok()
        copy = mono.path('copy')
        equal(read(f'{copy}/x'), 'not yet a revision')
        write(f'{copy}/y', 'y')
        mono('detach', copy).ok()
        equal(os.listdir(d), ['x'])


def served(name):
    """What `mount --nfs` says: the port and the export."""
    line = mono('-q', 'mount', '--nfs', mono.path(name)).ok().out
    port, export = re.search(r'port=(\d+),mountport=\d+ 127.0.0.1:(/[0-9a-f]{32}) ', line).groups()
    return int(port), export


@promise('a tree is served over NFS as well, with handles that are good after a detach, and becomes a revision')
def _():
    mono('init', '--no-mount', 'served').ok()
    port, export = served('served')
    client = nfs.Client(port)
    equal(client.mount('/' + '0' * 32)[0], nfs.ACCES)
    status, root = client.mount(export)
    equal(status, nfs.OK)
    status, file = client.create(root, 'file')
    equal(status, nfs.OK)
    equal(client.write(file, b'over the network', stable=2)[0], nfs.OK)
    client.close()
    mono('detach', mono.path('served')).ok()
    equal(mono('-C', mono.path('served.monofs'), 'cat', 'main', 'file').ok().out, 'over the network')
    port, other = served('served')
    true(other != export, 'the export has another name')
    client = nfs.Client(port)
    equal(client.read(file), (nfs.OK, b'over the network'))
    equal(client.remove(root, 'file'), nfs.OK)
    equal(client.read(file)[0], nfs.STALE)
    client.close()
    mono('detach', '-f', mono.path('served')).ok()
    equal(mono('-C', mono.path('served.monofs'), 'ls', 'main').ok().out, '')


@promise('a directory that is not empty is not hidden by a mount, and --fuse and --nfs exclude each other')
def _():
    mono.write('full/x', 'x')
    mono('init', 'full').ok(1).says('is not empty')
    true(not os.path.exists(mono.path('full.monofs')), 'nothing is made')
    mono('init', '--no-mount', 'empty').ok()
    mono('mount', '--fuse', '--nfs', mono.path('empty')).ok(2)
    mono('mount', '--allow-other', mono.path('empty'))
    mono('detach', '-f', mono.path('empty'))


tap.main(mono.clean)
