# SPDX-License-Identifier: Apache-2.0
"""Reads TAP line by line. Each result gets the lines printed since the one before it, and the time it took."""
import re
import time

RESULT = re.compile(r'(not )?ok\b\s*(\d+)?\s*(?:-\s*)?(.*)')
SKIP = re.compile(r'#\s*skip\w*\s*(.*)', re.I)


class Result:
    def __init__(self, name, state, output, seconds=0.0, reason=''):
        self.name, self.state, self.output, self.seconds, self.reason = name, state, output, seconds, reason


class Reader:
    OUTPUT_LINES = 200

    def __init__(self):
        self.results, self.pending, self.plan, self.since = [], [], None, time.monotonic()

    def feed(self, line):
        match = RESULT.match(line)
        if match:
            self._result(match)
        elif re.match(r'1\.\.\d+', line):
            self.plan = int(line[3:].split()[0])
        else:
            self.pending.append(line)
            if len(self.pending) > 2 * self.OUTPUT_LINES:
                del self.pending[self.OUTPUT_LINES // 2:-self.OUTPUT_LINES]

    def _result(self, match):
        now = time.monotonic()
        text, skip = match[3], SKIP.search(match[3])
        state = 'failed' if match[1] else 'skipped' if skip else 'passed'
        if skip:
            text = text[:skip.start()].strip()
        self.results.append(Result(text, state, self.pending, now - self.since, skip[1] if skip else ''))
        self.pending, self.since = [], now

    def fail(self, why):
        self.results.append(Result(why, 'failed', self.pending, time.monotonic() - self.since))
        self.pending = []

    def finish(self, status, timed_out, limit):
        """After the program has ended: what its results do not say by themselves."""
        if timed_out:
            self.fail(f'the program must end within {limit:.0f} s')
        elif status < 0:
            self.fail(f'the program must not be ended by signal {-status}')
        elif status and not any(r.state == 'failed' for r in self.results):
            self.fail(f'the program must not exit with {status} when all its tests passed')
        elif self.plan is None:
            self.fail('the program must print how many tests it has')
        elif self.plan != len(self.results):
            self.fail(f'the program must run all its tests: it announced {self.plan} and ran {len(self.results)}')
        elif not self.results:
            self.fail('the program must run a test')
