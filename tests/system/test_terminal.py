#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: vi, top, Ctrl-C, a window that changes its size, and modes that come back."""
import hashlib
import signal

from harness import state, tap
from harness.program import DEBIAN, PROGRAM, Monocore
from harness.tap import equal, promise, true, until
from harness.terminal import Terminal

mc = Monocore()


def terminal(*words, **options):
    return Terminal([PROGRAM, *words], mc.env, **options)


@promise('a command gets a terminal where we have one, of its size, and follows when it changes')
def _():
    with terminal('tmp', DEBIAN, '--', 'bash', rows=33, columns=101) as t:
        t.expect(r'# ')
        t.send('tty; stty size; echo $TERM\r')
        t.expect(r'/dev/pts/\d+.*33 101.*xterm')
        t.expect(r'# ')
        t.send('trap "stty size" WINCH; echo ready$((1 + 1))\r')
        t.expect('ready2.*# ')
        t.resize(40, 120)
        t.expect('40 120')
        t.send('exit 3\r')
        equal(t.wait(), 3)
        true(t.restored(), 'the terminal is as it was')


@promise('Ctrl-C interrupts what runs in front, job control works, Ctrl-D ends the shell')
def _():
    def in_front():
        t.send("sh -c 'echo up; exec sleep 1000'\r")
        t.expect('[\r\n]up\r')

    with terminal('tmp', DEBIAN, '--', 'bash') as t:
        t.expect(r'# ')
        in_front()
        t.send('\x03')
        t.expect(r'\^C.*# ')
        t.send('echo status $?\r')
        t.expect('status 130')
        in_front()
        t.send('\x1a')
        t.expect('Stopped.*# ')
        # USR1 waits until the job goes on; TERM would have bash let it go on, and forget it or not before 'wait'.
        t.send('jobs; kill -USR1 %1; fg; echo status $?\r')
        t.expect('Stopped.*status 138.*# ')
        t.send('\x04')
        equal(t.wait(), 0)
        true(t.restored(), 'the terminal is as it was')


@promise('Ctrl-C ends a command that has no shell in front of it')
def _():
    with terminal('tmp', DEBIAN, '--', 'sh', '-c', 'echo up; exec sleep 1000') as t:
        t.expect('up')
        t.send('\x03')
        equal(t.wait(), 130)
        true(t.restored(), 'the terminal is as it was')
    equal(state.left(mc.home), [])


@promise('vi edits a file, and top shows processes until q')
def _():
    with mc.sandbox() as name:
        with terminal('exec', name, 'vi', '/root/note') as t:
            t.expect('note.*New')
            t.send('iwritten in vi\x1b:wq\r')
            equal(t.wait(), 0)
            true(t.restored(), 'the terminal is as it was after vi')
        equal(mc.shell(name, 'cat /root/note'), 'written in vi')
        with terminal('exec', name, 'top', '-d', '0.2') as t:
            t.expect('PID.*init')
            t.resize(10, 60)
            t.expect('PID')
            t.send('q')
            equal(t.wait(), 0)
            true(t.restored(), 'the terminal is as it was after top')


@promise('--no-tty gives none on a terminal, -t gives one off it')
def _():
    with terminal('tmp', '--no-tty', DEBIAN, '--', 'sh', '-c', 'tty; exit 0') as t:
        t.expect('not a tty')
        equal(t.wait(), 0)
    equal(mc('tmp', '-t', DEBIAN, '--', 'tty').ok().out[:9], '/dev/pts/')


@promise('a terminal that goes away ends the sandbox, and leaves nothing')
def _():
    t = terminal('tmp', DEBIAN, '--', 'bash')
    t.expect('# ')
    t.process.send_signal(signal.SIGHUP)
    t.wait()
    t.close()
    until(lambda: not mc.supervisors(), 'the sandbox has ended')
    equal(state.left(mc.home), [])


@promise('a killed command line leaves the sandbox to nobody: it ends')
def _():
    with terminal('tmp', DEBIAN, '--', 'bash') as t:
        t.expect('# ')
        t.process.kill()
        t.process.wait()
        until(lambda: not mc.supervisors(), 'the sandbox has ended')
        equal(state.left(mc.home), [])


@promise('pasting 64 KiB into a raw terminal loses nothing')
def _():
    with terminal('tmp', DEBIAN, '--', 'sh', '-c', 'stty raw -echo; echo ready; head -c 65536 | sha256sum; stty sane') as t:
        t.expect('ready')
        text = ''.join(chr(32 + i % 90) for i in range(65536))
        t.send(text)
        t.expect(hashlib.sha256(text.encode()).hexdigest(), 30)
        equal(t.wait(), 0)


tap.main(mc.clean)
