# SPDX-License-Identifier: Apache-2.0
"""monocore as a user starts it: from the staged installation, with a home and an environment of its own."""
import contextlib
import json
import os
import re
import signal
import subprocess
import time

from . import state
from .tap import ROOM

SOURCES = os.environ.get('MC_SOURCES') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
PREFIX = os.environ.get('MC_PREFIX') or f'{SOURCES}/build/stage'
IMAGE = os.path.realpath(os.environ.get('MC_IMAGE') or f'{SOURCES}/build/images/debian')
DEBIAN = 'oci:' + IMAGE
PROGRAM = f'{PREFIX}/bin/monocore'


PROGRESS = re.compile(r'^monocore: [\w ]+: ([\d.]+ \w+|done, [\d.]+ \w+ in [\d.]+ s)\n', re.MULTILINE)


class Answer:
    def __init__(self, words, status, out, err, seconds):
        self.words, self.status, self.raw, self.raw_err, self.seconds = words, status, out, err, seconds
        self.out, self.err = out.decode(errors='replace'), err.decode(errors='replace')

    def __str__(self):
        return (f'{" ".join(self.words)[:300]}: status {self.status} after {self.seconds:.2f} s\n'
                f'out: {self.out[-1500:]!r}\nerr: {self.err[-1500:]!r}')

    def ok(self, status=0):
        if self.status != status:
            raise AssertionError(f'expected status {status}\n{self}')
        return self

    def says(self, *parts):
        """Standard error names these things, in one line and nothing else but how far a step is that takes long, as
        any may on a busy machine."""
        for part in parts:
            if part not in self.err:
                raise AssertionError(f'standard error does not say {part!r}\n{self}')
        if PROGRESS.sub('', self.err).count('\n') != 1:
            raise AssertionError(f'expected one line on standard error\n{self}')
        return self

    def json(self):
        return json.loads(self.raw)


class Process(subprocess.Popen):
    """Who waits for it has room."""

    def wait(self, timeout=None):
        return super().wait(timeout and timeout * ROOM)

    def communicate(self, input=None, timeout=None):
        return super().communicate(input, timeout and timeout * ROOM)


def run(program, words, timeout, input=None, stdin=subprocess.DEVNULL, **options):
    """Runs a program to its end; where it does not come, who stands where is told."""
    started, timeout, words = time.monotonic(), timeout * ROOM, [os.fspath(w) for w in words]
    process = subprocess.Popen(program + words, stdin=subprocess.PIPE if input is not None else stdin,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options)
    try:
        out, err = process.communicate(input, timeout)
    except subprocess.TimeoutExpired:
        stand = '\n'.join(state.stand(process.pid))
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            out, err = process.communicate(timeout=5)
            raise AssertionError(f'not done within {timeout} s: {Answer(words, "none", out, err, timeout)}\n{stand}') from None
        raise AssertionError(f'not done within {timeout} s, and its output is held: {" ".join(words)}\n{stand}') from None
    except BaseException:
        process.kill()
        raise
    return Answer(words, process.returncode, out, err, time.monotonic() - started)


class Monocore:
    """One state directory, and the program run against it. home None: the user's own."""

    def __init__(self, home=None, before=(), **env):
        self.before = list(before)  # words in front of the program: what it is started by
        self.env = dict(os.environ)
        for name in ('MONOCORE_HOME', 'MONOCORE_DEBUG', 'MONOCORE_LIBEXEC', 'NO_COLOR'):
            self.env.pop(name, None)
        if home is None and not os.environ.get('MC_PREFIX'):
            home = f'/tmp/mc-direct-{os.getuid()}'
        if home is not None:
            self.env['MONOCORE_HOME'] = home
        self.env.update(env)
        self.home = home or os.path.join(self.env['HOME'], '.monocore')

    def __call__(self, *words, input=None, timeout=60, env=None, cwd=None, stdin=subprocess.DEVNULL, program=PROGRAM):
        return run(self.before + [program], words, timeout, input, stdin, env=self.env | (env or {}), cwd=cwd)

    def start(self, *words, **options):
        """The program in the background, as a Process in a session of its own."""
        options = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE,
                   'start_new_session': True} | options
        return Process(self.before + [PROGRAM] + [os.fspath(w) for w in words], env=self.env, **options)

    def shell(self, name, line, **options):
        """A shell line in a running sandbox; its standard output, without the last newline."""
        return self('exec', name, '--', 'sh', '-c', line, **options).ok().out.removesuffix('\n')

    def names(self):
        return sorted(self('ps', '-a', '-q').ok().out.split())

    def row(self, name):
        return next((row for row in self('ps', '-a', '--json').ok().json() if row['name'] == name), None)

    @contextlib.contextmanager
    def sandbox(self, *options, image=DEBIAN, command=('sleep', 'infinity')):
        """A sandbox in the background; its name. Removed at the end."""
        name = self('tmp', '-d', *options, image, '--', *command).ok().out.strip()
        try:
            yield name
        finally:
            self('rm', '-f', name)

    def supervisors(self):
        return state.supervisors(self.home)

    def clean(self):
        """Removes every sandbox; lines that tell what is left all the same."""
        names = self('ps', '-a', '-q').out.split()
        if names:
            self('rm', '-f', *names)
        return state.left(self.home)


def supervisor_of(mono, name):
    """The process id of a running sandbox's mcrun."""
    return mono('inspect', name).ok().json()[0]['status']['pid']


def send(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
