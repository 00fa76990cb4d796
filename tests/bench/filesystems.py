#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures unions side by side in one run, on this host's kernel: monocore's, by `fs mount --lower`, and
fuse-overlayfs, over the same lower directory. Every round takes each measure once, with both, in turns. Prints a table of
medians with their spread, and writes build/bench-filesystems.json.

filesystems.py [--rounds N] [--quick] [--only WORD]    at least 5 rounds; --quick: 2, to try it out
"""
import contextlib
import os
import random
import shutil
import subprocess
import sys
import time

from common import REPOSITORY, arguments, measured, medians, prefer, report, run, write

MONOCORE = f'{os.environ.get("MC_PREFIX") or REPOSITORY + "/build/stage"}/bin/monocore'
FILES, FOLDERS = 24000, 1600
WORK_FILES = 6000
LARGE, READS = 256 << 20, 20000
OTHER = 'fuse-overlayfs'
MEASURES = ('untar', 'find, above', 'find, below', 'git status', 'random reads', 'rm -rf')


def make_tree(path, files, folders, seed):
    """Folders four deep and files of sizes as source trees have them: half below 3 KiB, some of 100."""
    chance = random.Random(seed)
    block = chance.randbytes(1 << 20)
    names = [path]
    os.mkdir(path)
    for number in range(folders - 1):
        parent = chance.choice(names[:max(1, len(names) // 2)])
        names.append(f'{parent}/folder{number}')
        os.mkdir(names[-1])
    for number in range(files):
        size = min(int(chance.lognormvariate(8, 1.3)), 100 << 10)
        start = chance.randrange(len(block) - size)
        with open(f'{names[number % folders]}/file{number}.c', 'wb') as f:
            f.write(block[start:start + size])


def make_work_tree(path):
    make_tree(path, WORK_FILES, 400, 2)
    git(path, 'init', '-q')
    git(path, 'add', '-A')
    git(path, 'commit', '-q', '-m', 'all')


def git(path, *words):
    return run(['git', '-C', path, '-c', 'user.name=bench', '-c', 'user.email=bench@localhost', '-c', 'gc.auto=0',
                '-c', 'safe.directory=*', *words])


def read_at_random(path, seed):
    chance = random.Random(seed)
    places = [chance.randrange(LARGE >> 12) << 12 for _ in range(READS)]
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    started = time.perf_counter()
    for place in places:
        if len(os.pread(fd, 4096, place)) != 4096:
            raise SystemExit('bench: a short read')
    elapsed = time.perf_counter() - started
    os.close(fd)
    return elapsed * 1000


class Union:
    """One of the two, over the lower directory, with an upper of its own."""

    def __init__(self, name, lower, place):
        self.name, self.lower = name, lower
        self.upper, self.work, self.view = (f'{place}/{part}' for part in ('upper', 'work', 'view'))
        for path in (place, self.upper, self.work, self.view):
            os.mkdir(path)

    @contextlib.contextmanager
    def mounted(self):
        """With nothing in the kernel's caches of this mount."""
        if self.name == OTHER:
            run([OTHER, '-o', f'lowerdir={self.lower},upperdir={self.upper},workdir={self.work}', self.view])
        else:
            run([MONOCORE, 'fs', 'mount', '--lower', self.lower, self.upper, self.view])
        try:
            yield self.view
        finally:
            run(['fusermount3', '-u', self.view])

    def clear(self):
        for path in (self.upper, self.work):
            run(['chmod', '-R', 'u+rwX', path])
            shutil.rmtree(path)
            os.mkdir(path)


class Bench:
    def __init__(self, work):
        self.work, self.values = work, {}

    def prepare(self):
        print('making trees', file=sys.stderr)
        self.lower, source = f'{self.work}/lower', f'{self.work}/source'
        os.mkdir(self.lower)
        make_tree(f'{self.lower}/tree', FILES, FOLDERS, 1)
        make_work_tree(f'{self.lower}/work')
        with open(f'{self.lower}/large', 'wb') as f:
            for _ in range(LARGE >> 20):
                f.write(os.urandom(1 << 20))
        make_tree(source, FILES, FOLDERS, 3)
        self.archive = f'{self.work}/tree.tar'
        run(['tar', '-C', self.work, '-cf', self.archive, 'source'])
        shutil.rmtree(source)
        self.unions = [Union(name, self.lower, f'{self.work}/{name}') for name in ('monocore', OTHER)]

    def timed(self, what, union, argv):
        started = time.perf_counter()
        run(argv)
        self.note(what, union, (time.perf_counter() - started) * 1000)

    def note(self, what, union, value):
        self.values.setdefault(f'{what}: {union.name}', []).append(value)

    def tree(self, union):
        """What is untarred is looked at, and removed."""
        with union.mounted() as view:
            self.timed('untar', union, ['tar', '-C', view, '-xf', self.archive])
        with union.mounted() as view:
            self.timed('find, above', union, ['find', f'{view}/source', '-printf', '%s %T@ %p\n'])
        with union.mounted() as view:
            self.timed('rm -rf', union, ['rm', '-rf', f'{view}/source'])

    def below(self, union):
        with union.mounted() as view:
            self.timed('find, below', union, ['find', f'{view}/tree', '-printf', '%s %T@ %p\n'])

    def status(self, union):
        """A work tree below, whose index is as the union shows it."""
        with union.mounted() as view:
            git(f'{view}/work', 'status', '--short')
        with union.mounted() as view:
            self.timed('git status', union, ['git', '-c', 'safe.directory=*', '-C', f'{view}/work', 'status', '--short'])

    def reads(self, union):
        with union.mounted() as view:
            self.note('random reads', union, read_at_random(f'{view}/large', 5))

    def measure(self, rounds, only):
        takes = [t for t in (self.tree, self.below, self.status, self.reads) if not only or only == t.__name__]
        for number in range(rounds):
            print(f'round {number + 1} of {rounds}', file=sys.stderr)
            # Whoever is the first finds the host's caches as the other's measure before has left them.
            unions = self.unions if number % 2 else self.unions[::-1]
            for take in takes:
                for union in unions:
                    take(union)
            for union in unions:
                union.clear()


def targets(m):
    """(what, value, bound, text, wanted) of each target; value <= bound holds it."""
    for what in MEASURES:
        ours, theirs = m.get(f'{what}: monocore'), m.get(f'{what}: {OTHER}')
        if ours:
            speed = theirs / ours
            yield f'{what}, faster than {OTHER}', -speed, -1, f'{speed:.2f} times', '1 time'


def main():
    parser = arguments(__doc__, 5)
    parser.add_argument('--only', choices=('tree', 'below', 'status', 'reads'), help='only these measures')
    args = parser.parse_args()
    prefer()
    _, rounds, results = measured(Bench, args, 5, 2, args.only)
    results = {name: r for what in MEASURES for name, r in results.items() if name.startswith(f'{what}: ')}
    standing = report(results, targets(medians(results)), lambda name: False)
    write('bench-filesystems', results, standing, rounds=rounds, files=FILES, reads=READS,
          other=run([OTHER, '--version']).strip())


main()
