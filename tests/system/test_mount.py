#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images and directories mounted on this host: image mount, fs mount."""
import os
import shutil
import signal
import subprocess
import tempfile

from harness import tap
from harness.program import DEBIAN, Monocore
from harness.tap import equal, promise, true, until

folder = tempfile.mkdtemp(prefix='mc-mount-')
mono = Monocore()


def mounted(directory):
    with open('/proc/self/mountinfo') as f:
        return any(line.split()[4] == os.path.realpath(directory) for line in f)


def unmount(directory):
    subprocess.run(['fusermount3', '-u', directory], check=True)
    until(lambda: not servers(), 'the server ends')


def servers():
    """Processes of ours that serve something beneath the folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline') as f:
                words = f.read().split('\0')
        except OSError:
            continue
        if words[0] == 'mcfs' and any(word.startswith(folder) for word in words):
            found.append(int(pid))
    return found


@promise('an image is mounted, read, and unmounted; what is read is what a sandbox sees')
def _():
    directory = f'{folder}/files'
    os.mkdir(directory)
    mono('image', 'mount', DEBIAN, directory).ok()
    true(mounted(directory), 'it is mounted')
    with open(f'{directory}/etc/debian_version') as f:
        text = f.read()
    equal(mono('tmp', DEBIAN, 'cat', '/etc/debian_version').ok().out, text)
    listed = subprocess.run(['find', '.', '-printf', r'%p %m %U %G %s %l %T@\n'], cwd=directory, check=True,
                            capture_output=True, text=True).stdout
    inside = mono('tmp', DEBIAN, '--', 'find', '/usr/share', '-printf', r'.%p %m %U %G %s %l %T@\n').ok().out
    ours = sorted(line for line in listed.splitlines() if line.startswith('./usr/share'))
    equal(len(ours) > 500, True)
    equal([l.rsplit('.', 1) for l in ours], [l.rsplit('.', 1) for l in sorted(inside.splitlines())])
    unmount(directory)
    true(not mounted(directory), 'it is unmounted')


@promise('what is mounted where another was unmounted a moment ago stays mounted when the other\'s server ends')
def _():
    view = f'{folder}/again'
    os.mkdir(view)
    for name in ('first', 'second'):
        os.makedirs(f'{folder}/{name}/{name}')
    mono('fs', 'mount', f'{folder}/first', view).ok()
    slow = servers()
    for pid in slow:
        os.kill(pid, signal.SIGSTOP)
    subprocess.run(['fusermount3', '-u', view], check=True)
    mono('fs', 'mount', f'{folder}/second', view).ok()
    for pid in slow:
        os.kill(pid, signal.SIGCONT)
    until(lambda: not set(slow) & set(servers()), 'the first server ends')
    equal(os.listdir(view), ['second'])
    unmount(view)


@promise('nothing can be written, not even by its owner')
def _():
    directory = f'{folder}/ro'
    os.mkdir(directory)
    mono('image', 'mount', DEBIAN, directory).ok()
    for call in (lambda: open(f'{directory}/x', 'w'), lambda: os.mkdir(f'{directory}/d'),
                 lambda: os.unlink(f'{directory}/etc/passwd'), lambda: os.chmod(f'{directory}/etc', 0o777)):
        try:
            call()
            true(False, 'it was changed')
        except OSError:
            pass
    unmount(directory)


@promise('a server that is killed takes its mount along')
def _():
    directory = f'{folder}/killed'
    os.mkdir(directory)
    mono('image', 'mount', DEBIAN, directory).ok()
    os.kill(max(servers()), signal.SIGKILL)
    until(lambda: not mounted(directory), 'the mount is gone')
    until(lambda: not servers(), 'so is the server')
    equal(os.listdir(directory), [])


@promise('what serves it has given up everything but its descriptors')
def _():
    directory = f'{folder}/confined'
    os.mkdir(directory)
    mono('image', 'mount', DEBIAN, directory).ok()
    child = max(servers())
    with open(f'/proc/{child}/status') as f:
        status = dict(line.split(':\t', 1) for line in f.read().splitlines() if ':\t' in line)
    equal((status['NoNewPrivs'].strip(), status['Seccomp'].strip()), ('1', '2'))
    unmount(directory)


@promise('where something is mounted already, that is what is said of a second mount')
def _():
    source, directory = f'{folder}/below', f'{folder}/taken'
    os.mkdir(source)
    os.mkdir(directory)
    mono('fs', 'mount', source, directory).ok()
    err = mono('fs', 'mount', source, directory).ok(1).err  # fusermount3 has a line of its own
    unmount(directory)
    true(f'mount on {directory}: FUSE refused (something is mounted there already)' in err, err)


@promise('a directory that is not there, a file, an image that is none: errors that name them')
def _():
    mono('image', 'mount', DEBIAN, f'{folder}/absent').ok(1).says('absent')
    mono('image', 'mount', DEBIAN, '/etc/passwd').ok(1).says('/etc/passwd')
    mono('image', 'mount', 'oci:/nowhere', folder).ok(1).says('/nowhere')
    equal(servers(), [])


@promise('a directory is mounted on another: what is done in one shows in the other, git works in it')
def _():
    source, directory = f'{folder}/source', f'{folder}/view'
    os.mkdir(source)
    os.mkdir(directory)
    with open(f'{source}/a', 'w') as f:
        f.write('one')
    mono('fs', 'mount', source, directory).ok()
    true(mounted(directory), 'it is mounted')
    with open(f'{directory}/a') as f:
        equal(f.read(), 'one')
    for number in range(200):
        with open(f'{directory}/file{number}', 'w') as f:
            f.write(str(number))
    os.rename(f'{directory}/file0', f'{directory}/moved')
    os.symlink('moved', f'{directory}/link')
    equal(sorted(os.listdir(source)), sorted(os.listdir(directory)))
    with open(f'{source}/link') as f:
        equal(f.read(), '0')

    def git(*words):
        return subprocess.run(['git', '-c', 'user.name=t', '-c', 'user.email=t@t', *words], cwd=directory, check=True,
                              capture_output=True, text=True).stdout

    git('init', '-q')
    git('add', '-A')
    git('commit', '-q', '-m', 'all')
    equal(git('status', '--short'), '')
    with open(f'{source}/a', 'w') as f:
        f.write('another')
    until(lambda: 'a' in git('status', '--short'), 'a change on the host shows', 5)
    unmount(directory)


@promise('a link in a directory that is mounted leads nowhere but where it always has, for who mounts it')
def _():
    source, directory = f'{folder}/linked', f'{folder}/linked-view'
    os.mkdir(source)
    os.mkdir(directory)
    os.symlink('/etc/hostname', f'{source}/out')
    mono('fs', 'mount', '--read-only', source, directory).ok()
    equal(os.readlink(f'{directory}/out'), '/etc/hostname')
    for call in (lambda: open(f'{directory}/new', 'w'), lambda: os.unlink(f'{directory}/out')):
        try:
            call()
            true(False, 'it was changed')
        except OSError:
            pass
    equal(os.listdir(source), ['out'])
    unmount(directory)


def tree(top):
    """All names beneath a directory with what they are."""
    found = {}
    for where, folders, files in os.walk(top):
        for name in folders:
            found[os.path.relpath(f'{where}/{name}', top)] = None
        for name in files:
            with open(f'{where}/{name}') as f:
                found[os.path.relpath(f'{where}/{name}', top)] = f.read()
    return found


def plant(top, **files):
    for name, text in files.items():
        path = f'{top}/{name.replace("__", "/")}'
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as f:
            f.write(text)


@promise('a union takes all changes above, shows them after it is mounted again, and leaves what is below as it was')
def _():
    upper, low, lowest, directory = (f'{folder}/union-{name}' for name in ('upper', 'low', 'lowest', 'view'))
    for path in (upper, directory):
        os.mkdir(path)
    plant(low, both='low', low='low', dir__low='low')
    plant(lowest, both='lowest', lowest='lowest', dir__lowest='lowest', dir__gone='lowest', old__file='lowest')
    below = tree(low), tree(lowest)
    mono('fs', 'mount', '--lower', low, '--lower', lowest, upper, directory).ok()
    expected = {'both': 'low', 'low': 'low', 'lowest': 'lowest', 'dir': None, 'dir/low': 'low', 'dir/lowest': 'lowest',
                'dir/gone': 'lowest', 'old': None, 'old/file': 'lowest'}
    equal(tree(directory), expected)
    with open(f'{directory}/both', 'a') as f:
        f.write('+above')
    os.unlink(f'{directory}/dir/gone')
    shutil.rmtree(f'{directory}/old')
    os.rename(f'{directory}/lowest', f'{directory}/moved')
    plant(directory, new__file='above')
    expected |= {'both': 'low+above', 'moved': 'lowest', 'new': None, 'new/file': 'above'}
    for name in ('dir/gone', 'old', 'old/file', 'lowest'):
        del expected[name]
    equal(tree(directory), expected)
    unmount(directory)
    equal((tree(low), tree(lowest)), below)
    mono('fs', 'mount', '--read-only', '--lower', low, '--lower', lowest, upper, directory).ok()
    equal(tree(directory), expected)
    try:
        plant(directory, more='no')
        true(False, 'it was changed')
    except OSError:
        pass
    unmount(directory)
    mono('fs', 'mount', '--lower', low, '--lower', lowest, upper, directory).ok()
    equal(tree(directory), expected)
    child = max(servers())
    with open(f'/proc/{child}/status') as f:
        true('Seccomp:\t2\n' in f.read(), 'it is confined')
    unmount(directory)


@promise('a union of a directory and what is in it, or above it, is refused')
def _():
    inner = f'{folder}/union-low/dir'
    for upper, lower in ((inner, f'{folder}/union-low'), (f'{folder}/union-low', inner), (inner, inner)):
        mono('fs', 'mount', '--lower', lower, upper, f'{folder}/union-view').ok(1).says('in one another')
    mono('fs', 'mount', '--lower', f'{folder}/absent', inner, f'{folder}/union-view').ok(1).says('absent')
    equal(servers(), [])


def finish():
    left = mono.clean() or []
    left += [f'a server, {pid}' for pid in servers()]
    shutil.rmtree(folder)
    return left


tap.main(finish)
