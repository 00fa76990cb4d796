# SPDX-License-Identifier: Apache-2.0
"""monofs as a user starts it, in a folder of its own; its mounts, and what they leave."""
import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
import time

from . import state
from .program import PREFIX, run

PROGRAM = f'{PREFIX}/bin/monofs'
FREE = ('MONOFS_PASSPHRASE_FILE', 'MONOFS_AUTHOR', 'MONOCORE_LIBEXEC', 'NO_COLOR')


class Monofs:
    """A folder, and the program run in it. What runs for its mounts is found by a runtime directory that is its own."""

    def __init__(self, before=(), owner=None, **env):
        """before: words in front of the program, what it is started by; owner: (uid, gid) of the folder then."""
        self.before = list(before)
        # What another user is to reach does not lie in a home of ours.
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix='mc-monofs-', dir='/tmp' if owner else None))
        self.env = {name: value for name, value in os.environ.items() if name not in FREE}
        self.env |= {'XDG_RUNTIME_DIR': f'{self.folder}/run', 'TMPDIR': self.folder, 'MONOFS_AUTHOR': 'ann'} | env
        os.mkdir(f'{self.folder}/run', 0o700)
        for path in (self.folder, f'{self.folder}/run') if owner else ():
            os.chown(path, *owner)

    def __call__(self, *words, input=None, timeout=60, env=None, cwd=None, stdin=subprocess.DEVNULL):
        return run([*self.before, PROGRAM], words, timeout, input, stdin, env=self.env | (env or {}), cwd=cwd or self.folder)

    def path(self, name):
        return f'{self.folder}/{name}'

    def repository(self, name, *options):
        """A new one without a mount; the words that name it."""
        self('init', '--no-mount', *options, name).ok()
        return '-C', self.path(f'{name}.monofs')

    def write(self, name, data=b''):
        """A file; its path."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return path

    def servers(self):
        """Process ids of the mfsd of this folder. A killed one leaves its id, which may be another program's by now."""
        found = []
        for name in os.listdir(self.path('run/monofs')) if os.path.isdir(self.path('run/monofs')) else []:
            if name.isdigit() and state.alive(int(name)) and state.command(name) == ['mfsd']:
                found.append(int(name))
        return found

    def mounts(self):
        with open('/proc/self/mountinfo', encoding='utf-8') as f:
            return sorted(place for line in f if (place := line.split()[4]).startswith(self.folder + '/'))

    def clean(self):
        """Detaches all and removes the folder; lines that tell what was left."""
        for place in self.mounts():
            self('detach', '-f', place)
        left = [f'{place} is mounted' for place in self.mounts()]
        for place in self.mounts():
            subprocess.run(['fusermount3', '-uz', place], check=False)
        deadline = time.monotonic() + 10
        while self.servers() and time.monotonic() < deadline:
            time.sleep(0.05)
        left += [state.describe(pid) for pid in self.servers()]
        if not left:
            subprocess.run(['chmod', '-R', 'u+rwX', self.folder], check=False)
            shutil.rmtree(self.folder)
        return left


def described(root, times=True):
    """All that POSIX shows of a tree, for comparison with another: path → what it is. Hard links by their first path."""
    found, links = {}, {}
    for folder, directories, files in os.walk(os.fsencode(root)):
        directories.sort()
        for name in [b'.'] * (folder == os.fsencode(root)) + directories + sorted(files):
            path = os.path.join(folder, name)
            key = os.path.relpath(path, os.fsencode(root))
            found[key] = describe(path, key, links, times)
    return found


def describe(path, key, links, times):
    st = os.lstat(path)
    kind = stat.S_IFMT(st.st_mode)
    row = {'kind': kind, 'mode': stat.S_IMODE(st.st_mode), 'uid': st.st_uid, 'gid': st.st_gid, 'xattrs': {}}
    if times:
        row['mtime'] = st.st_mtime_ns
    with contextlib.suppress(OSError):
        row['xattrs'] = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)
                         if n.startswith('user.')}
    if kind != stat.S_IFDIR and st.st_nlink > 1:
        row['same as'] = links.setdefault(st.st_ino, key)
    if kind == stat.S_IFREG:
        with open(path, 'rb') as f:
            row['data'] = f.read()
    elif kind == stat.S_IFLNK:
        row['target'] = os.readlink(path)
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        row['device'] = st.st_rdev
    return row


def sample(root, seed=7):
    """A tree with something of everything that an ordinary user can make."""
    import random
    chance = random.Random(seed)
    os.makedirs(f'{root}/src/deep/er')
    os.makedirs(f'{root}/empty')
    os.mkdir(f'{root}/many')
    files = {'README': b'# A tree\n\nline 2\n', 'none': b'', 'edge': bytes(range(256)), 'past': bytes(range(256)) + b'x',
             'src/main.c': b'int main(void);\n' * 200, 'src/deep/er/x.bin': chance.randbytes(3 << 20),
             'src/text': b''.join(b'line %d\n' % i for i in range(200)), 'src/zeroes': bytes(1 << 20), 'caf\u00e9 \u2603'.encode().decode(): b'unicode\n'}
    for name, data in files.items():
        with open(f'{root}/{name}', 'wb') as f:
            f.write(data)
    for i in range(300):
        with open(f'{root}/many/file-{i:03}', 'w', encoding='ascii') as f:
            f.write(f'{i}\n' * (i % 7))
    with open(os.fsencode(root) + b'/not-\xff-utf8', 'wb') as f:
        f.write(b'bytes\n')
    with open(f'{root}/sparse', 'wb') as f:
        f.write(b'begin')
        f.seek(5 << 20)
        f.write(b'middle')
        f.truncate(9 << 20)
    os.symlink('README', f'{root}/link')
    os.symlink('/nowhere/at/all', f'{root}/src/dangling')
    os.link(f'{root}/src/main.c', f'{root}/aaa-same')
    os.link(f'{root}/src/main.c', f'{root}/src/zzz-same')
    os.mkfifo(f'{root}/fifo', 0o620)
    os.chmod(f'{root}/edge', 0o4751)
    os.chmod(f'{root}/many', 0o2750)
    with contextlib.suppress(OSError):
        os.setxattr(f'{root}/README', 'user.small', b'value')
        os.setxattr(f'{root}/README', 'user.large', bytes(range(256)) * 2)
    os.utime(f'{root}/past', ns=(1, 1234567890123456789))
    os.utime(f'{root}/none', ns=(1, -1500000000))
    os.utime(f'{root}/link', ns=(1, 987654321), follow_symlinks=False)
    os.utime(f'{root}/src', ns=(1, 1700000000000000001))
