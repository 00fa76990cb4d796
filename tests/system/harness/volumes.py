# SPDX-License-Identifier: Apache-2.0
"""What the tests of volumes share: directories of this host, and the processes that serve them."""
import contextlib
import os
import tempfile

from . import state
from .program import supervisor_of


class Folder:
    """A folder of the test's own, and directories in it."""

    def __init__(self, name):
        self.path = tempfile.mkdtemp(prefix=f'mc-{name}-')

    def __call__(self, name):
        path = f'{self.path}/{name}'
        os.makedirs(path, exist_ok=True)
        return path


def write(path, text):
    with open(path, 'w') as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read()


def comm(pid):
    with contextlib.suppress(OSError):
        return read(f'/proc/{pid}/comm').strip()


def servers(mc, name):
    """Process ids of a sandbox's servers, in no order."""
    return state.volume_servers(supervisor_of(mc, name))


def server_of(mc, name, path):
    """The one that serves a directory now. There may be none for a moment."""
    directory = os.stat(path)
    return next((pid for pid in servers(mc, name) if state.serves(pid, directory)), None)
