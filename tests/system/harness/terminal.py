# SPDX-License-Identifier: Apache-2.0
"""A program on a pseudo terminal: what a person at a keyboard sees and types."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time


class Terminal:
    def __init__(self, argv, env, rows=24, columns=80):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.slave, self.text = slave, ''

        def lead():
            # A suite that was started in the background ignores them, and would pass that on.
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, preexec_fn=lead,
                                        env=env | {'TERM': 'xterm'})

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def send(self, text):
        data = text.encode()
        while data:
            data = data[os.write(self.master, data):]

    def expect(self, pattern, seconds=20):
        """Reads until pattern matches what came since the last match; the match."""
        deadline = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.text, re.S)
            if match:
                self.text = self.text[match.end():]
                return match
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f'the terminal does not show {pattern!r} within {seconds} s: {self.text[-1500:]!r}')
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b''
            if not data:
                raise AssertionError(f'the terminal is gone before it shows {pattern!r}: {self.text[-1500:]!r}')
            self.text += data.decode(errors='replace')

    def wait(self, seconds=20):
        """Reads all there is until the program has ended; its exit status."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f'the program has not ended within {seconds} s: {self.text[-1500:]!r}')
            if select.select([self.master], [], [], 0.05)[0]:
                self.text += os.read(self.master, 65536).decode(errors='replace')
        return self.process.returncode

    def restored(self):
        """The terminal's modes are again what they were."""
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
