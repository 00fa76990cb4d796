#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures snapshots and forks: how long a busy source stands still, how long a clone takes until it answers, eight
forks of a running sandbox against eight starts of the same, and the start of a sandbox whose image was saved running
against an ordinary one, each until it is healthy. Prints a table of medians, and writes build/bench-snapshot.json.

snapshot.py [--rounds N] [--quick]    at least 5 rounds; --quick: 2, to try it out
"""
import os
import re
import time

from common import REPOSITORY, arguments, measured, medians, report, run, write

STAGE = f'{REPOSITORY}/build/stage'
DEBIAN = 'oci:' + os.path.realpath(f'{REPOSITORY}/build/images/debian')
CLONES = 8
# A server that takes a while until it answers.
PROJECT = '''
builds:
  app:
    image: %s
    scripts:
      start: python3 -c "import json, http.server, asyncio, ssl, sqlite3" && touch /ready && exec sleep infinity
    healthcheck: {exec: test -e /ready}
sandboxes:
  saved: {image: app}
  booted: {image: app, envs: [A=B]}
'''


class Bench:
    def __init__(self, work):
        self.env = os.environ | {'MONOCORE_HOME': f'{work}/home'}
        self.project = f'{work}/project'
        self.values = {}

    def note(self, name, value):
        self.values.setdefault(name, []).append(value)

    def monocore(self, *words):
        return run([f'{STAGE}/bin/monocore', *words], env=self.env)

    def timed(self, name, *words):
        since = time.perf_counter()
        out = self.monocore(*words)
        self.note(name, (time.perf_counter() - since) * 1000)
        return out.split()

    def prepare(self):
        self.monocore('tmp', '-d', '--name', 'source', DEBIAN, '--', 'sh', '-c', 'while :; do date; sleep 0.01; done')
        self.monocore('tmp', '-d', '--name', 'idle', DEBIAN, '--', 'sleep', 'infinity')
        os.makedirs(self.project)
        with open(f'{self.project}/monocore.yaml', 'w', encoding='utf-8') as f:
            f.write(PROJECT % DEBIAN)
        self.monocore('-C', self.project, 'build', '--snapshot', 'app')

    def stood_still(self):
        said = self.monocore('log', '--stream', 'system', 'source')
        return [float(ms) for ms in re.findall(r'stood still for (\d+) ms', said)][-1]

    def measure(self, rounds):
        for _ in range(rounds):
            tag = self.timed('snapshot', 'snapshot', 'source')[0]
            self.note('source stands still', self.stood_still())
            self.timed('restore', 'restore', tag, 'back')
            self.monocore('rm', '-f', 'back')
            self.monocore('snapshots', 'rm', tag)
            self.monocore('pause', 'source')
            forks = self.timed(f'fork --count {CLONES}', 'fork', '--count', str(CLONES), 'idle')
            self.monocore('rm', '-f', *forks)
            since = time.perf_counter()
            started = [self.monocore('tmp', '-d', DEBIAN, '--', 'sleep', 'infinity').strip() for _ in range(CLONES)]
            self.note(f'{CLONES} starts', (time.perf_counter() - since) * 1000)
            self.monocore('rm', '-f', *started)
            for name in ('saved', 'booted'):
                self.timed(f'up, {name}', '-C', self.project, 'up', '--wait', name)
                self.monocore('rm', '-f', f'project-{name}')
            self.monocore('resume', 'source')

    def end(self):
        self.monocore('rm', '-f', 'source', 'idle')


def targets(m):
    forks, starts = m[f'fork --count {CLONES}'], m[f'{CLONES} starts']
    return [('a source stands still', m['source stands still'], 120, f'{m["source stands still"]:.0f} ms', '120 ms'),
            (f'{CLONES} forks, as part of {CLONES} starts', forks / starts, 0.25, f'{forks / starts:.2f}', '0.25'),
            ('a build saved running, as part of a start', m['up, saved'] / m['up, booted'], 1,
             f'{m["up, saved"] / m["up, booted"]:.2f}', '1')]


def main():
    _, _, results = measured(Bench, arguments(__doc__, 5).parse_args(), 5, 2)
    write('bench-snapshot', results, report(results, targets(medians(results)), lambda _: False))


main()
