#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures builds: one of twenty steps with everything in the cache, with its last file changed, and one RUN. Every round
takes each measure once. Prints a table of medians with their spread, and writes build/bench-build.json.

build.py [--rounds N] [--quick]    at least 5 rounds; --quick: 2, to try it out
"""
import contextlib
import os
import sys
import time

from common import REPOSITORY, arguments, measured, medians, report, run, write

MONOCORE = f'{os.environ.get("MC_PREFIX") or REPOSITORY + "/build/stage"}/bin/monocore'
IMAGE = 'oci:' + os.path.realpath(f'{REPOSITORY}/build/images/debian')
CACHED, COPIED, RUN = 'everything cached', 'the last COPY anew', 'one RUN anew'
FILES, SIZE = 1000, 10000
STEPS = 20


class Bench:
    def __init__(self, work):
        self.work, self.values = work, {}
        self.env = os.environ | {'MONOCORE_HOME': f'{work}/home'}

    def write(self, name, text):
        path = f'{self.work}/context/{name}'
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as f:
            f.write(text)

    def build(self, what=None, *words):
        started = time.perf_counter()
        run([MONOCORE, '-q', 'build', '-t', 'bench/app', *words, f'{self.work}/context'], env=self.env)
        if what:
            self.values.setdefault(what, []).append((time.perf_counter() - started) * 1000)

    def prepare(self):
        for number in range(FILES):
            self.write(f'tree/{number % 20}/{number}', str(number) * (SIZE // len(str(number))))
        self.write('last', '0')
        self.write('Dockerfile', f'FROM {IMAGE}\nRUN echo made >/made\nCOPY tree /tree/\n'
                   + ''.join(f'ENV V{i}={i}\n' for i in range(STEPS - 3)) + 'COPY last /last\n')
        # Another command: what it makes anew must not be what the cached steps stand on.
        self.write('Run', f'FROM {IMAGE}\nRUN echo other >/made\n')
        self.build()

    def measure(self, rounds):
        for number in range(rounds):
            print(f'round {number + 1} of {rounds}', file=sys.stderr)
            self.build(CACHED)
            self.write('last', f'{number + 1}')
            self.build(COPIED)
            self.build(RUN, '--no-cache', '-f', f'{self.work}/context/Run')

    def end(self):
        with contextlib.suppress(SystemExit):
            run([MONOCORE, 'image', 'prune', '--all'], env=self.env)


def targets(m):
    """(what, value, bound, text, wanted) of each target; value <= bound holds it."""
    yield f'build of {STEPS} steps, all cached', m[CACHED], 200, f'{m[CACHED]:.0f} ms', '200 ms'


def main():
    args = arguments(__doc__, 5).parse_args()
    _, rounds, results = measured(Bench, args, 5, 2)
    write('bench-build', results, report(results, targets(medians(results)), lambda name: False), rounds=rounds)


main()
