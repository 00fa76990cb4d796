# SPDX-License-Identifier: Apache-2.0
"""What sandboxes leave while they run and must not leave afterwards: processes, rows, files, locks."""
import contextlib
import fcntl
import os
import time

from .tap import ROOM


def _read(path):
    try:
        with open(path, 'rb') as f:
            return f.read()
    except OSError:
        return b''


def _stat(pid):
    """(state, parent) of a process, or None."""
    fields = _read(f'/proc/{pid}/stat').rpartition(b')')[2].split()
    return (fields[0].decode(), int(fields[1])) if len(fields) > 2 else None


def alive(pid):
    found = _stat(pid)
    return bool(found) and found[0] not in 'ZX'


def processes():
    return [int(name) for name in os.listdir('/proc') if name.isdigit()]


def command(pid):
    return [word.decode(errors='replace') for word in _read(f'/proc/{pid}/cmdline').split(b'\0')[:-1]]


def describe(pid):
    return f'process {pid}: ' + ' '.join(command(pid))[:160]


def _stand_of(pid):
    for thread in sorted(os.listdir(f'/proc/{pid}/task'), key=int):
        at = f'/proc/{pid}/task/{thread}'
        found = [_read(f'{at}/{name}').decode(errors='replace').strip() for name in ('comm', 'wchan', 'syscall')]
        yield f'    {thread} {(_stat(thread) or "?")[0]} ' + ' '.join(found)


def stand(waiting):
    """Lines about where a process, what it has started and the others of this user stand, and the locks of files: for
    one that waits without an end."""
    lines = []
    first = [waiting, *descendants(waiting)]
    for pid in first + [pid for pid in processes() if pid not in first]:
        with contextlib.suppress(OSError):
            if os.stat(f'/proc/{pid}').st_uid == os.getuid():
                lines += [describe(pid), *_stand_of(pid)]
    return lines[:100] + _read('/proc/locks').decode().splitlines()[:40]


def pending(pid):
    """Whether a signal was sent to a process that has not taken it yet."""
    return any(int(line.split()[1], 16) for line in _read(f'/proc/{pid}/status').splitlines() if line.startswith(b'ShdPnd'))


def supervisors(home):
    """Process ids of the mcrun of this home, without their dialers."""
    return [pid for pid in processes() if _read(f'/proc/{pid}/comm') == b'mcrun\n' and alive(pid)
            and len(words := command(pid)) > 2 and os.path.basename(words[0]) == 'mcrun' and words[1] == home]


def descendants(pid):
    children = {}
    for other in processes():
        found = _stat(other)
        if found:
            children.setdefault(found[1], []).append(other)
    todo, all_of_them = [pid], []
    while todo:
        below = children.get(todo.pop(), [])
        all_of_them += below
        todo += below
    return all_of_them


def engines(supervisor):
    """Process ids of the QEMU below a supervisor."""
    return [pid for pid in descendants(supervisor) if 'qemu-system' in (command(pid) or [''])[0]]


def serves(pid, directory):
    """Whether a process of mcfs serves a directory, of which this is what os.stat() says: its descriptor 3."""
    try:
        return os.path.samestat(os.stat(f'/proc/{pid}/fd/3'), directory)
    except OSError:
        return False


def volume_servers(supervisor):
    """Process ids of the servers of a sandbox's volumes, in no order: two mcfs may start them side by side."""
    return [pid for pid in descendants(supervisor) if _read(f'/proc/{pid}/comm') == b'mcfs-volume\n']


def _entries(path):
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def sizes(folder):
    """Of the files in it in bytes, without those that go in the moment."""
    found = []
    for name in _entries(folder):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.stat(f'{folder}/{name}').st_size)
    return found


def locked(path):
    """Whether somebody has it locked (flock)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(fd)


def _left_now(home):
    lines = [describe(pid) for pid in supervisors(home)]
    lines += [f'sandboxes/{name}' for name in _entries(f'{home}/sandboxes') if name != '.making']
    lines += [f'names/{name}' for name in _entries(f'{home}/names') if name != '.lock']
    lines += [f'slots/{name} is locked' for name in _entries(f'{home}/slots') if locked(f'{home}/slots/{name}')]
    lines += [f'net/{name}' for name in _entries(f'{home}/net') if locked(f'{home}/net/{name}/lock')]
    # What is being made has a temporary name: a dot in front, or a place of its own.
    lines += [f'store/tmp/{name}' for name in _entries(f'{home}/store/tmp')]
    for folder in ('templates', 'kernels', 'store/rootfs', 'store/blobs/sha256'):
        lines += [f'{folder}/{name}' for name in _entries(f'{home}/{folder}')
                  if name.startswith(('.new', '.tmp', '.trash', 'new-', 'tmp-'))]
    return lines


def left(home, seconds=5.0):
    """Lines about what is left of sandboxes in a home, given a moment to go away by itself."""
    deadline = time.monotonic() + seconds * ROOM
    while (lines := _left_now(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return lines
