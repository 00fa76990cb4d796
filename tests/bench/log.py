#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures a log of 1 GiB, written as a supervisor writes it (log_fill.c): the time to write it, its size on the disk, and how long `log` takes
for all of it, for what was written since a time near its end, for a time in its middle, and for its last ten lines. Writes
build/bench-log.json.

log.py [--rounds N] [--quick]    at least 5 rounds; --quick: 2 rounds, of a log of 128 MiB
"""
import contextlib
import json
import os
import subprocess
import time

from common import REPOSITORY, arguments, measured, medians, report, run, write

MONOCORE = f'{os.environ.get("MC_PREFIX") or REPOSITORY + "/build/stage"}/bin/monocore'
IMAGE = 'oci:' + os.path.realpath(f'{REPOSITORY}/build/images/debian')
ALL, LATE, MIDDLE, LAST = 'log, all of it', 'log --since, the last 1/64', 'log --since --until, 1/64', 'log -n 10'
BUILD = os.environ.get('MC_BUILD') or f'{REPOSITORY}/build/release'


class Bench:
    size = 1 << 30

    def __init__(self, work):
        self.work, self.values = work, {}
        self.env = os.environ | {'MONOCORE_HOME': f'{work}/home'}

    def log(self, what, *words):
        """Reads the log, and counts its bytes."""
        started = time.perf_counter()
        reader = subprocess.Popen([MONOCORE, 'log', *words, 'writer'], env=self.env, stdout=subprocess.PIPE)
        count = 0
        while data := reader.stdout.read1(1 << 20):
            count += len(data)
        if reader.wait():
            raise SystemExit(f'bench: log failed: {words}')
        self.values.setdefault(what, []).append((time.perf_counter() - started) * 1000)
        return count

    def prepare(self):
        run(['ninja', '-C', BUILD, '--quiet', 'tests/bench/bench_log_fill'])
        run([MONOCORE, 'tmp', '-d', '--name', 'writer', IMAGE, '--', 'true'], env=self.env)
        run([MONOCORE, 'wait', 'writer'], env=self.env)
        sandbox = json.loads(run([MONOCORE, 'inspect', 'writer'], env=self.env))[0]['id']
        folder = os.path.join(self.work, 'home/sandboxes', sandbox)
        started = time.perf_counter()
        run([f'{BUILD}/tests/bench/bench_log_fill', folder, str(self.size >> 20)])
        self.written = time.perf_counter() - started
        marks = run([MONOCORE, 'log', '--json', '--grep', '^mark ', 'writer'], env=self.env).splitlines()
        self.marks = [json.loads(mark)['time'] for mark in marks]
        self.kept = sum(entry.stat().st_size for entry in os.scandir(f'{folder}/log'))

    def measure(self, rounds):
        for _ in range(rounds):
            self.whole = self.log(ALL)
            self.late = self.log(LATE, '--since', self.marks[-1])
            self.middle = self.log(MIDDLE, '--since', self.marks[len(self.marks) // 2], '--until',
                                   self.marks[len(self.marks) // 2 + 1])
            self.log(LAST, '-n', '10')

    def end(self):
        with contextlib.suppress(SystemExit):
            run([MONOCORE, 'rm', '-f', 'writer'], env=self.env)


class Quick(Bench):
    size = 128 << 20


def main():
    args = arguments(__doc__, 5).parse_args()
    bench, rounds, results = measured(Quick if args.quick else Bench, args, 5, 2)
    m = medians(results)
    print(f'{bench.whole / 2**20:.0f} MiB written in {bench.written:.1f} s, kept in {bench.kept / 2**20:.1f} MiB; of the last '
          f'1/64 {bench.late / 2**20:.1f} MiB, of one in the middle {bench.middle / 2**20:.1f} MiB')
    targets = [(LATE + ', by all of it', m[LATE] / m[ALL], 0.1, f'{m[LATE] / m[ALL]:.3f} times', '0.1')]
    write('bench-log', results, report(results, targets, lambda name: False), rounds=rounds, bytes=bench.whole,
          kept=bench.kept)


main()
