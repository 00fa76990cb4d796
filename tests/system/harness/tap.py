# SPDX-License-Identifier: Apache-2.0
"""Promises: each test function is named by the sentence it keeps, runs alone and in order, within its time."""
import contextlib
import faulthandler
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

TESTS = []
LIMIT = 90  # seconds for a test that names no limit
# Limits are those of a machine that does little else: they end what hangs, and say nothing of how fast anything is.
ROOM = 3


def promise(sentence, limit=LIMIT):
    def register(function):
        TESTS.append((sentence, limit, function))
        return function
    return register


class TimeUp(BaseException):
    """Not an Exception, so that no test swallows it."""


def _alarm(_number, _frame):
    raise TimeUp()


def _run(sentence, limit, function):
    """The lines that tell why it failed; none: it passed."""
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(limit * ROOM)
    try:
        function()
    except TimeUp:
        return [f'not done within {limit * ROOM} s'] + traceback.format_exc().splitlines()[-12:]
    except AssertionError as error:
        where = traceback.extract_tb(error.__traceback__)
        own = [f for f in where if f.filename == sys.argv[0]] or where
        return str(error).splitlines() + [f'{os.path.basename(f.filename)}:{f.lineno}: {f.line}' for f in own]
    except Exception:
        return traceback.format_exc().splitlines()
    finally:
        signal.alarm(0)
    return []


def main(finish=None):
    """Runs all promises of the program (those whose name contains a word of argv, if any). finish() is called
    at the end whatever happened; what it returns are lines about what was left behind."""
    faulthandler.register(signal.SIGUSR1)
    # A runner's SIGTERM, a Ctrl-C: the clean-up runs all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [t for t in TESTS if not sys.argv[1:] or any(word in t[0] for word in sys.argv[1:])]
    print(f'1..{len(chosen) + bool(finish)}', flush=True)
    failed, number, left = 0, 0, []
    try:
        for number, (sentence, limit, function) in enumerate(chosen, 1):
            started = time.monotonic()
            lines = _run(sentence, limit, function)
            failed += bool(lines)
            for line in lines:
                print('#', line)
            print(f'# {time.monotonic() - started:.2f} s')  # what comes before a result belongs to it
            print(f'{"not ok" if lines else "ok"} {number} - {sentence}', flush=True)
    finally:
        if finish:
            left = finish()
    if finish:
        for line in left:
            print('#', line)
        print(f'{"not ok" if left else "ok"} {number + 1} - nothing is left when all is done', flush=True)
    sys.exit(1 if failed or left else 0)


def equal(got, expected, about=''):
    if got != expected:
        raise AssertionError(f'{about + ": " if about else ""}got {got!r}\nexpected {expected!r}')


def contains(text, part, about=''):
    if part not in text:
        raise AssertionError(f'{about + ": " if about else ""}no {part!r} in {text!r}')


def true(condition, about):
    if not condition:
        raise AssertionError(about)


def until(condition, about, seconds=20.0, passing=False):
    """Waits until condition() is true and returns what it returned. What takes long is asked for less often: most
    conditions start a program, which takes the time of what is waited for. passing: it is not true for long."""
    pause, seconds = 0.02, seconds * ROOM
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {seconds:g} s: {about}')
        time.sleep(pause)
        pause = pause if passing else min(pause * 1.2, 0.1)


@contextlib.contextmanager
def scratch(prefix='mc-'):
    path = tempfile.mkdtemp(prefix=prefix)
    try:
        yield path
    finally:
        def again(function, name, _):
            for place in (os.path.dirname(name), name):
                with contextlib.suppress(OSError):
                    os.chmod(place, 0o700)
            with contextlib.suppress(OSError):
                function(name)
        shutil.rmtree(path, onerror=again)
