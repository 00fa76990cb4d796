#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures projects in one run: ten sandboxes brought up by `up` beside ten clones made one behind the other, an `apply`
with nothing to do, the reading of a large file, and `status` of many sandboxes. Every round takes each measure once.
Prints a table of medians with their spread, and writes build/bench-projects.json.

projects.py [--rounds N] [--quick]    at least 5 rounds; --quick: 2, to try it out
"""
import contextlib
import os
import sys
import time

from common import REPOSITORY, arguments, measured, medians, report, run, write

MONOCORE = f'{os.environ.get("MC_PREFIX") or REPOSITORY + "/build/stage"}/bin/monocore'
IMAGE = 'oci:' + os.path.realpath(f'{REPOSITORY}/build/images/debian')
LINES = 10000
SANDBOXES, RUNNING = 100, 8
UP, CLONES = 'up of 10, three deep', '10 clones, one by one'
APPLY, READ, STATUS = 'apply with nothing to do', f'a file of {LINES} lines', f'status of {SANDBOXES}, {RUNNING} running'
# Who depends on whom: three layers.
LAYERS = (('a', 4), ('b', 3), ('c', 3))


def component(name, needs=()):
    text = f'  {name}:\n    image: {IMAGE}\n    ram: 256\n    scripts: {{start: sleep infinity}}\n'
    return text + (f'    depends_on: [{", ".join(needs)}]\n' if needs else '')


def layered():
    text, before = 'sandboxes:\n', ()
    for letter, count in LAYERS:
        names = [f'{letter}{i}' for i in range(count)]
        text += ''.join(component(name, before) for name in names)
        before = names
    return text


def many(count):
    return 'sandboxes:\n' + ''.join(component(f's{i}') for i in range(count))


def large():
    """A file with all that components have, of LINES lines."""
    lines = ['sandboxes:']
    while len(lines) < LINES:
        number = len(lines)
        lines += [f'  s{number}:', f'    image: {IMAGE}', '    ram: 512MiB', '    cpus: 2',
                  f'    ports: ["{10000 + number}:80"]', '    envs:', '      - KEY=value', f'      - NUMBER={number}',
                  '    workdir: /app', '    scripts:', '      start: sleep infinity  # for ever', '      test: "true"',
                  '    reach: local', '    restart: on-failure', '    healthcheck: {exec: "true", interval: 30s, retries: 3}']
    return '\n'.join(lines[:1 + (LINES - 1) // 15 * 15]) + '\n'


class Bench:
    def __init__(self, work):
        self.work, self.values = work, {}
        self.env = os.environ | {'MONOCORE_HOME': f'{work}/home'}

    def monocore(self, project, *words):
        return run([MONOCORE, '-C', f'{self.work}/{project}', *words], env=self.env)

    def timed(self, what, project, *words):
        started = time.perf_counter()
        self.monocore(project, *words)
        self.values.setdefault(what, []).append((time.perf_counter() - started) * 1000)

    def prepare(self):
        for name, text in (('layered', layered()), ('many', many(SANDBOXES)), ('large', large())):
            os.mkdir(f'{self.work}/{name}')
            with open(f'{self.work}/{name}/monocore.yaml', 'w') as f:
                f.write(text)
        self.monocore('layered', 'tmp', '--ram', '256M', IMAGE, '--', 'true')
        # All of them are made; those that depend on nothing can be stopped again.
        self.monocore('many', 'up')
        self.monocore('many', 'stop', *(f's{i}' for i in range(RUNNING, SANDBOXES)))

    def clones(self):
        started = time.perf_counter()
        names = [self.monocore('layered', 'tmp', '-d', '--ram', '256M', IMAGE, '--', 'sleep', 'infinity').strip()
                 for _ in range(sum(count for _, count in LAYERS))]
        self.values.setdefault(CLONES, []).append((time.perf_counter() - started) * 1000)
        self.monocore('layered', 'rm', '-f', *names)

    def measure(self, rounds):
        for number in range(rounds):
            print(f'round {number + 1} of {rounds}', file=sys.stderr)
            self.clones()
            self.timed(UP, 'layered', 'up')
            time.sleep(1)  # the last machines have processors at work, behind it
            self.timed(APPLY, 'layered', 'apply')
            self.monocore('layered', 'down')
            self.timed(READ, 'large', 'list', '-q')
            self.timed(STATUS, 'many', 'status')

    def end(self):
        for project in ('layered', 'many'):
            with contextlib.suppress(SystemExit):
                self.monocore(project, 'down')


def targets(m):
    """(what, value, bound, text, wanted) of each target; value <= bound holds it."""
    ratio = m[UP] / m[CLONES]
    yield 'up of 10, by 10 clones', ratio, 0.7, f'{ratio:.2f} times', '0.7'
    for what, bound in ((APPLY, 30), (READ, 50), (STATUS, 50)):
        yield what, m[what], bound, f'{m[what]:.0f} ms', f'{bound} ms'


def main():
    args = arguments(__doc__, 5).parse_args()
    _, rounds, results = measured(Bench, args, 5, 2)
    write('bench-projects', results, report(results, targets(medians(results)), lambda name: False), rounds=rounds)


main()
