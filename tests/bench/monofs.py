#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures monofs beside restic, borg and tar in one run, on the same tree of about 24,000 files and 780 MB: files of
the Debian packages of this machine, in the order of their names. First import, nothing changed, one file changed,
restore, what is stored, the peak of memory; encrypted beside plain; ten versions of the tree; a mounted tree beside the
native directory through the same FUSE adapter; a diff of one file in a million, and opening a repository of a million
chunks. Prints a table of medians with their spread, and writes build/bench-monofs.json.

A restore is measured to the disk and, where there is room, into memory (/dev/shm), `tar -x` of the same tree beside both:
that is about what making the files costs, whoever does it. What was restored to the disk stays until the end: ext4
without a journal passes over numbers of files that were removed in the last minutes, one by one for each file that is
made there (recently_deleted() in the kernel). By that `tar -x` takes three to eight times as long, and so does everybody.

monofs.py [--rounds N] [--quick]    at least 3 rounds; --quick: 1 with smaller trees, to try it out
"""
import glob
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from common import REPOSITORY, arguments, measured, medians, run, standing, table, write

STAGE = os.environ.get('MC_PREFIX') or f'{REPOSITORY}/build/stage'
MONOFS, MONOCORE = f'{STAGE}/bin/monofs', f'{STAGE}/bin/monocore'
FILES, BYTES = 24000, 780 << 20
MILLION = 1000
VERSIONS = 10
MEMORY = '/dev/shm'
BLOCK = 512 << 20
READS = 3


def packaged():
    """Files of Debian's packages, by the names of these."""
    for path in sorted(glob.glob('/var/lib/dpkg/info/*.list')):
        with open(path, encoding='utf-8', errors='surrogateescape') as f:
            for line in f:
                name = line.rstrip('\n')
                if name.startswith('/usr/') and os.path.isfile(name) and not os.path.islink(name):
                    yield name


def make_tree(root, files, size):
    """Small and large files in the same share from the first to the last."""
    count = total = 0
    for path in packaged():
        length = os.path.getsize(path)
        if total >= size:
            break
        if count > files * total / size + 500 and length < 1 << 16 or length > 40 << 20:
            continue
        target = f'{root}/{path}'
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(path, target)
            count, total = count + 1, total + length
    return count, total


def edit(root, version):
    """What a new version of a tree is like: some files changed in the middle, some new, gone, and renamed."""
    chance = random.Random(version)
    paths = sorted(os.path.join(f, n) for f, _, names in os.walk(root) for n in names)
    for path in chance.sample(paths, len(paths) // 100):
        with open(path, 'r+b') as f:
            data = f.read()
            at = chance.randrange(len(data) + 1)
            f.seek(at)
            f.write(b'edited in version %d\n' % version + data[at:])
    for path in chance.sample(paths, len(paths) // 400):
        os.rename(path, f'{path}.v{version}')
    for number, path in enumerate(chance.sample(paths, len(paths) // 400)):
        if os.path.exists(path):
            os.unlink(path)
        with open(f'{root}/new-{version}-{number}', 'wb') as f:
            f.write(chance.randbytes(chance.randrange(20000)))


def size_of(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.lstat(os.path.join(f, n)).st_size for f, _, names in os.walk(path) for n in names)


class Tool:
    """Of each tool the commands for one repository."""

    def __init__(self, bench, name):
        self.bench, self.name, self.path = bench, name, f'{bench.work}/' + ''.join(c if c.isalnum() else '-' for c in name)
        self.env = bench.env

    def run(self, argv):
        """(milliseconds, MiB of the largest process)"""
        started = time.perf_counter()
        process = subprocess.Popen(argv, env=self.env, cwd=self.bench.tree, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        error = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f'bench: {" ".join(argv)}: {error.decode()[-1000:]}')
        return (time.perf_counter() - started) * 1000, usage.ru_maxrss / 1024

    def stored(self):
        return size_of(self.path)

    def new(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.run(self.init())


class Monofs(Tool):
    def __init__(self, bench, name, *secret):
        super().__init__(bench, name)
        self.secret = list(secret)
        self.path += '.monofs'

    def init(self):
        return [MONOFS, 'init', '--no-mount', self.path.removesuffix('.monofs')] + (['--encrypt'] + self.secret if self.secret else [])

    def command(self, *words):
        return [MONOFS, '-C', self.path, *self.secret, *words]

    def backup(self, tree):
        return self.command('import', tree)

    def restore(self, target):
        return self.command('restore', 'main', target)

    def stored(self):
        return size_of(f'{self.path}/packs')


class Restic(Tool):
    def command(self, *words):
        return ['restic', '-q', '-r', self.path, *words]

    def init(self):
        return self.command('init')

    def backup(self, _tree):
        return self.command('backup', '.')

    def restore(self, target):
        return self.command('restore', 'latest', '--target', target)


class Borg(Tool):
    count = 0

    def init(self):
        return ['borg', 'init', '-e', 'none', self.path]

    def backup(self, _tree):
        self.count += 1
        return ['borg', 'create', '-C', 'zstd,3', f'{self.path}::{self.count}', '.']

    def restore(self, target):
        return ['sh', '-c', f'mkdir {target} && cd {target} && exec borg extract {self.path}::{self.count}']


class Tar(Tool):
    def init(self):
        return ['true']

    def backup(self, _tree):
        return ['sh', '-c', f'tar c . | zstd -q -T2 -3 -f -o {self.path}']

    def restore(self, target):
        return ['sh', '-c', f'mkdir {target} && tar -xf {self.bench.tree}.tar -C {target}']


class Bench:
    def __init__(self, work):
        self.work, self.values, self.units = work, {}, {}
        self.tree = f'{work}/tree'
        self.env = os.environ | {'RESTIC_PASSWORD': 'x', 'RESTIC_CACHE_DIR': f'{work}/cache', 'BORG_BASE_DIR': f'{work}/borg-home',
                                 'BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK': 'yes', 'XDG_RUNTIME_DIR': f'{work}/run',
                                 'MONOCORE_HOME': f'{work}/home'}
        self.quick, self.mounts, self.restored = False, [], 0

    def keep(self, name, value, unit='ms'):
        self.values.setdefault(name, []).append(value)
        self.units[name] = unit

    def prepare(self):
        os.mkdir(f'{self.work}/run', 0o700)
        with open(f'{self.work}/passphrase', 'w', encoding='ascii') as f:
            f.write('benchmark\n')

    def end(self):
        for place in self.mounts:
            subprocess.run([MONOFS, 'detach', '-f', place], env=self.env, capture_output=True, check=False)
            subprocess.run(['fusermount3', '-uz', place], capture_output=True, check=False)

    def tools(self):
        return [Tar(self, 'tar | zstd'), Restic(self, 'restic'), Borg(self, 'borg'), Monofs(self, 'monofs'),
                Monofs(self, 'monofs encrypted', '--passphrase-file', f'{self.work}/passphrase')]

    def measure(self, rounds, quick):
        self.quick = quick
        print('making a tree', file=sys.stderr)
        self.count, self.bytes = make_tree(self.tree, *((2000, 60 << 20) if quick else (FILES, BYTES)))
        subprocess.run(['tar', '-C', self.tree, '-cf', f'{self.tree}.tar', '.'], check=True)
        self.changed = max((os.path.join(f, n) for f, _, names in os.walk(self.tree) for n in names
                            if n.endswith('.h') or n.endswith('.py')), key=os.path.getsize)
        for number in range(rounds):
            # Encrypted is always next to plain: what was just freed, by whoever, is taken faster.
            tools = self.tools()[::-1 if number % 2 else 1]
            for tool in tools:
                print(f'round {number + 1}: {tool.name}', file=sys.stderr)
                self.one(tool)
            self.restore_in_turn([t for t in tools if isinstance(t, Monofs)])
        self.many_versions()
        for number in range(rounds):
            print(f'round {number + 1}: mounted', file=sys.stderr)
            self.mounted()
        self.million(rounds)

    # ---- backups

    def warm(self):
        subprocess.run(f'find {self.tree} -type f -print0 | xargs -0 cat >/dev/null', shell=True, check=True)
        os.sync()

    def one(self, tool):
        tool.new()
        self.warm()
        taken, memory = tool.run(tool.backup(self.tree))
        self.keep(f'{tool.name}: first', taken)
        self.keep(f'{tool.name}: stored', tool.stored() / (1 << 20), 'MiB')
        if tool.name.startswith('tar'):
            self.restore(tool, 'tar -x')
            return
        self.keep(f'{tool.name}: memory', memory, 'MiB')
        index = glob.glob(f'{tool.path}/index.db*')
        if index:
            self.keep(f'{tool.name}: index', sum(map(os.path.getsize, index)) / (1 << 20), 'MiB')
        os.sync()
        self.keep(f'{tool.name}: nothing changed', tool.run(tool.backup(self.tree))[0])
        with open(self.changed, 'a', encoding='ascii') as f:
            f.write('/* changed */\n')
        os.sync()
        self.keep(f'{tool.name}: one file changed', tool.run(tool.backup(self.tree))[0])
        if not isinstance(tool, Monofs):
            self.restore(tool, f'{tool.name}: restore')
            shutil.rmtree(tool.path)

    def restore_in_turn(self, tools):
        """Plain and encrypted differ by less than one restore does from the next: several of each, in turn."""
        for number in range(1 if self.quick else READS):
            for tool in tools[::-1 if number % 2 else 1]:
                self.restore(tool, f'{tool.name}: restore')
        for tool in tools:
            shutil.rmtree(tool.path)

    def restore(self, tool, name):
        """To the disk, and into memory where that has room."""
        self.restored += 1
        target = f'{self.work}/restored-{self.restored}'
        os.sync()
        self.keep(name, tool.run(tool.restore(target))[0])
        if shutil.disk_usage(self.work).free < 8 * self.bytes:
            subprocess.run(['chmod', '-R', 'u+rwX', target], check=True)
            shutil.rmtree(target)
        if os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free > 2 * self.bytes:
            os.sync()  # what goes to the disk meanwhile takes processors, too
            with tempfile.TemporaryDirectory(prefix='mc-bench-', dir=MEMORY) as memory:
                self.keep(f'{name} into memory', tool.run(tool.restore(f'{memory}/target'))[0])
                subprocess.run(['chmod', '-R', 'u+rwX', memory], check=True)

    def many_versions(self):
        """Stored once, for it does not vary."""
        print('ten versions', file=sys.stderr)
        tools = [t for t in self.tools() if t.name in ('borg', 'monofs', 'restic')]
        copy = f'{self.work}/copy'
        subprocess.run(['cp', '-a', self.tree, copy], check=True)
        whole, self.tree = self.tree, copy
        for tool in tools:
            tool.new()
        for version in range(VERSIONS):
            if version:
                edit(copy, version)
            for tool in tools:
                tool.run(tool.backup(copy))
        for tool in tools:
            self.keep(f'{tool.name}: {VERSIONS} versions', tool.stored() / (1 << 20), 'MiB')
            shutil.rmtree(tool.path)
        shutil.rmtree(copy)
        self.tree = whole

    # ---- mounts

    def mounted(self):
        source = f'{self.work}/native'
        subprocess.run(['cp', '-a', self.tree, source], check=True)
        places = {'native': f'{self.work}/through', 'monofs': f'{self.work}/view'}
        tool = Monofs(self, 'monofs mounted')
        tool.new()
        tool.run(tool.backup(self.tree))
        os.rename(tool.path, f'{self.work}/view.monofs')
        for kind, place in places.items():
            self.mounts.append(place)
            self.try_mount(kind, place, source)
        # In turn, behind all that writes: neither is read in the wake of what the other has made busy.
        for number in range(READS):
            for kind in list(places)[::-1 if number % 2 else 1]:
                self.read(kind, places[kind], source)
        shutil.rmtree(source)
        shutil.rmtree(f'{self.work}/view.monofs')

    def mount(self, kind, place, source):
        os.makedirs(place, exist_ok=True)
        run([MONOFS, 'mount', place] if kind == 'monofs' else [MONOCORE, 'fs', 'mount', source, place], env=self.env)

    def unmount(self, kind, place):
        run([MONOFS, 'detach', place] if kind == 'monofs' else ['fusermount3', '-u', place], env=self.env)
        os.sync()

    def timed(self, name, line, place):
        started = time.perf_counter()
        subprocess.run(['sh', '-c', line], cwd=place, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.keep(name, (time.perf_counter() - started) * 1000)

    def block(self):
        """MiB of the large file."""
        return (64 << 20 if self.quick else BLOCK) >> 20

    def read(self, kind, place, source):
        self.mount(kind, place, source)
        os.sync()
        self.timed(f'{kind} mounted: read {self.block()} MiB', 'dd if=block of=/dev/null bs=1M status=none', place)
        self.unmount(kind, place)

    def try_mount(self, kind, place, source):
        block = self.block()
        archive, bare = self.archive()
        self.mount(kind, place, source)
        self.timed(f'{kind} mounted: find', 'find . -printf %s', place)
        self.timed(f'{kind} mounted: write {block} MiB', f'dd if={self.work}/noise of=block bs=1M conv=fsync status=none', place)
        self.timed(f'{kind} mounted: untar', f'tar xf {archive}', place)
        self.timed(f'{kind} mounted: git clone', f'git clone -q {bare} cloned', place)
        self.unmount(kind, place)

    def archive(self):
        """A tar of 3,000 small files and a git repository of them; and bytes to write."""
        archive, bare = f'{self.work}/small.tar', f'{self.work}/bare'
        if not os.path.exists(archive):
            small = f'{self.work}/small'
            for number in range(3000):
                os.makedirs(f'{small}/{number // 10}', exist_ok=True)
                with open(f'{small}/{number // 10}/{number}.js', 'w', encoding='ascii') as f:
                    f.write(f'module.exports = {number};\n' * (1 + number * 7919 % 200))
            run(['tar', '-C', self.work, '-cf', archive, 'small'])
            for words in (['init', '-q'], ['add', '-A'], ['commit', '-q', '-m', 'all']):
                run(['git', '-C', small, '-c', 'user.name=bench', '-c', 'user.email=bench@localhost', *words])
            os.rename(small, bare)
            with open(f'{self.work}/noise', 'wb') as f:
                for _ in range(self.block()):
                    f.write(random.randbytes(1 << 20))
        return archive, bare

    # ---- a million

    def write_million(self, out, changed):
        """A tar of MILLION x MILLION files (or fewer), each of 300 bytes of its own."""
        most = 100 if self.quick else MILLION
        for folder in range(most):
            for number in range(most):
                name = b'%03d/%03d' % (folder, number)
                data = b'%s %d ' % (name, changed and number == folder == 7) + b'x' * 300
                header = bytearray(512)
                header[:len(name)] = name
                header[100:108], header[108:116], header[116:124] = b'0000644\0', b'0000000\0', b'0000000\0'
                header[124:136], header[136:148], header[156] = b'%011o\0' % len(data), b'%011o\0' % 1700000000, 0x30
                header[257:265], header[148:156] = b'ustar\00000', b' ' * 8
                header[148:156] = b'%06o\0 ' % sum(header)
                out.write(bytes(header) + data + bytes(-len(data) % 512))
        out.write(bytes(1024))

    def million(self, rounds):
        print('a million files', file=sys.stderr)
        tool = Monofs(self, 'a million')
        tool.new()
        for changed in (False, True):
            with subprocess.Popen(tool.command('import', '-'), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self.env) as p:
                self.write_million(p.stdin, changed)
                p.stdin.close()
                _, status, usage = os.wait4(p.pid, 0)
                p.returncode = status
            if status:
                raise SystemExit('bench: the import of a million files failed')
        self.keep('a million files: memory of the import', usage.ru_maxrss / 1024, 'MiB')
        self.keep('a million files: stored', tool.stored() / (1 << 20), 'MiB')
        for _ in range(max(5, rounds)):
            self.keep('a million files: diff of one', tool.run(tool.command('diff', 'main~1'))[0])
            self.keep('a million chunks: open', tool.run(tool.command('tag'))[0])
            self.keep('no repository: start of the program', tool.run([MONOFS, '--version'])[0])


def targets(m, quick):
    block = 64 if quick else 512
    ratios = [('first import, to tar | zstd', 'monofs: first', 'tar | zstd: first', 1.3),
              ('first import, to restic', 'monofs: first', 'restic: first', 1 / 2),
              ('nothing changed, to restic', 'monofs: nothing changed', 'restic: nothing changed', 1 / 8),
              ('one file changed, to nothing changed', 'monofs: one file changed', 'monofs: nothing changed', 1.2),
              ('stored, to borg', 'monofs: stored', 'borg: stored', 1),
              ('restore, to restic', 'monofs: restore', 'restic: restore', 1 / 2),
              ('restore into memory, to restic', 'monofs: restore into memory', 'restic: restore into memory', 1 / 2),
              ('encrypted first import, to plain', 'monofs encrypted: first', 'monofs: first', 1.15),
              ('encrypted restore, to plain', 'monofs encrypted: restore', 'monofs: restore', 1.15),
              ('encrypted restore into memory, to plain', 'monofs encrypted: restore into memory', 'monofs: restore into memory', 1.15),
              (f'{VERSIONS} versions, to borg', f'monofs: {VERSIONS} versions', f'borg: {VERSIONS} versions', 1.1)]
    ratios += [(f'mounted {what}, to native', f'monofs mounted: {what}', f'native mounted: {what}', 2)
               for what in (f'read {block} MiB', f'write {block} MiB', 'git clone', 'untar', 'find')]
    rows = [(what, m[a] / m[b], bound, f'{m[a] / m[b]:.3f}', f'{bound:.3g}') for what, a, b, bound in ratios
            if a in m and b in m]
    for what, name, bound, unit in (('peak of memory', 'monofs: memory', 250, 'MiB'),
                                    ('peak of memory, a million files', 'a million files: memory of the import', 250, 'MiB'),
                                    ('open with a million chunks', 'a million chunks: open', 50, 'ms')):
        rows.append((what, m[name], bound, f'{m[name]:.1f} {unit}', f'{bound} {unit}'))
    diff = m['a million files: diff of one'] - m['a million chunks: open']
    rows.append(('diff of one in a million, beyond opening', diff, 10, f'{diff:.1f} ms', '10 ms'))
    return rows


def main():
    args = arguments(__doc__, 3).parse_args()
    versions = [run([*words]).strip().strip('* ').split('\n')[0] for words in (['restic', 'version'], ['borg', '--version'], ['zstd', '--version'])]
    print(', '.join(versions), file=sys.stderr)
    bench, rounds, results = measured(Bench, args, 3, 1, args.quick)
    print(f'{bench.count} files, {bench.bytes >> 20} MiB; {"; ".join(versions)}')
    table(results, bench.units, 42)
    held = standing(targets(medians(results), args.quick))
    write('bench-monofs', results, held, rounds=rounds, versions=versions, files=bench.count, bytes=bench.bytes)


main()
