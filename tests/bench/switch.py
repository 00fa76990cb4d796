#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the switch of a group alone: frames in memory, their verdicts, copies into an output queue; no sockets. Ten
rules, 1,000 flows. Prints a table of medians with their spread, and writes build/bench-switch.json.

switch.py [--rounds N] [--quick]    at least 5 rounds; --quick: 2, to try it out
"""
from common import REPOSITORY, arguments, measured, medians, run, standing, write

BUILD = f'{REPOSITORY}/build/release'
PROGRAMS = ['tests/bench/bench_switch', 'tests/bench/bench_net_policy']
LARGE = 65534
# measure of switch.c and net_policy.c: what it is
MEASURES = {
    'to-member': '64 bytes, guest to guest',
    'to-world': '64 bytes, guest to the world',
    'from-world': '64 bytes, the world to guest',
    'to-member-200': '64 bytes, guest to guest, 200 ports',
    'to-world-200': '64 bytes, guest to the world, 200 ports',
    'large': f'{LARGE} bytes, guest to guest',
    'new': 'a new connection with each frame',
    'denied': 'a denied connection with each frame',
    'flow-1000': 'finding one of 1,000 flows',
    'flow-60000': 'finding one of 60,000 flows',
    'flow-new': 'a verdict and a flow, pushing out another',
    'verdict': 'a verdict by 10 rules',
    'verdict-domains': 'by 64 domains and 32 names, the worst',
    'beside-flood': '64 bytes, guest to guest, beside a scan',
}


class Bench:
    def __init__(self, work):
        del work
        self.values = {name: [] for name in MEASURES}

    def prepare(self):
        run(['ninja', '-C', BUILD, '--quiet', *PROGRAMS])

    def measure(self, rounds):
        for _ in range(rounds):
            for line in ''.join(run([f'{BUILD}/{program}']) for program in PROGRAMS).splitlines():
                name, nanoseconds = line.split()
                self.values[name].append(float(nanoseconds))


def targets(m):
    """(what, value, bound, text, wanted) of each target; value <= bound holds it."""
    for name in ('to-member', 'to-world', 'from-world'):
        yield MEASURES[name], m[name], 500, f'{1000 / m[name]:.1f} M/s', '2 M/s'
    gigabits = LARGE * 8 / m['large']
    yield MEASURES['large'], -gigabits, -10, f'{gigabits:.0f} Gbit/s', '10 Gbit/s'
    for name in ('to-member', 'to-world'):
        ratio = m[f'{name}-200'] / m[name]
        yield f'{MEASURES[name]}, 200 ports beside 2', ratio, 1.25, f'{ratio:.2f} times', '1.25 times'
    ratio = m['to-member'] / m['beside-flood']
    yield 'throughput that a third guest\'s scan leaves', -ratio, -0.5, f'{ratio:.2f}', '0.5'


def main():
    _, rounds, results = measured(Bench, arguments(__doc__, 5).parse_args(), 5, 2)
    print(f'\n{"processor time of a frame":42} {"median":>10} {"least-most":>19}  n')
    for name, r in results.items():
        print(f'{MEASURES[name]:42} {r["median"]:7.0f} ns {r["least"]:9.0f}-{r["most"]:<9.0f} {r["count"]:2}')
    write('bench-switch', results, standing(targets(medians(results))), rounds=rounds)


main()
