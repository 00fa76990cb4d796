# SPDX-License-Identifier: Apache-2.0
"""Where tests run, and as whom: a folder that every user can read, with copies of what was built, and
ordinary users made for the time of the run.

The names of both hold the process id of the run, so that a later run can sweep away what a killed one left.
A caller who is not root gets no users: everything runs as the caller, in homes of its own.
"""
import contextlib
import fcntl
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

NAME = re.compile(r'mc-test-(\d+)(?:-[a-z]+)?')


class User:
    def __init__(self, name, home, uid, gid, own):
        self.name, self.home, self.uid, self.gid = name, home, uid, gid
        self.own = own  # this account was made for the run, and is still there: all its processes are ours
        self.lock = threading.Lock()  # a number that was given back is soon another run's

    def processes(self):
        """Ids of the processes that run as this user."""
        if not self.own:
            return []
        return [pid for pid in pids() if self.uid in uids_of(pid)]

    def end_processes(self):
        for _ in range(50):
            with self.lock:
                left = self.processes()
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            if not left:
                return
            time.sleep(0.1)


def pids():
    return [int(name) for name in os.listdir('/proc') if name.isdigit()]


def uids_of(pid):
    try:
        with open(f'/proc/{pid}/status') as f:
            fields = dict(line.split(':', 1) for line in f if ':' in line)
    except OSError:
        return set()
    return set() if fields.get('State', '').strip().startswith('Z') else {int(u) for u in fields['Uid'].split()}


def describe(pid):
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as f:
            return f'{pid} ' + f.read().replace(b'\0', b' ').decode(errors='replace')[:160]
    except OSError:
        return f'{pid} (ended)'


def holders(folder):
    """Processes with a file open beneath folder (root sees everybody's)."""
    found = []
    for pid in pids():
        try:
            for fd in os.listdir(f'/proc/{pid}/fd'):
                if os.readlink(f'/proc/{pid}/fd/{fd}').startswith(folder + '/'):
                    found.append(pid)
                    break
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


@contextlib.contextmanager
def alone():
    """One run at a time makes users and removes them. A run that looks for what others left would otherwise end the
    processes of a user that has been removed and whose number another run has got since."""
    fd = os.open(f'/tmp/mc-test-lock-{os.geteuid()}', os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def alive(pid):
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as f:  # tests/run, from whichever folder it was started
            return any(os.path.basename(word) == b'run' for word in f.read().split(b'\0'))
    except OSError:
        return False


def sweep():
    """Removes what killed runs left behind."""
    if os.geteuid() == 0:
        for entry in pwd.getpwall():
            match = NAME.fullmatch(entry.pw_name)
            if match and not alive(int(match[1])):
                remove_user(User(entry.pw_name, entry.pw_dir, entry.pw_uid, entry.pw_gid, True))
    for name in os.listdir(tempfile.gettempdir()):
        match = NAME.fullmatch(name)
        path = os.path.join(tempfile.gettempdir(), name)
        if match and not alive(int(match[1])) and os.lstat(path).st_uid == os.geteuid():
            remove_tree(path)


def unmount_beneath(path):
    """What a killed test has left mounted there."""
    with open('/proc/self/mountinfo') as f:
        points = [line.split()[4] for line in f]
    for point in sorted((p for p in points if p.startswith(path + '/')), reverse=True):
        subprocess.run(['umount', '--lazy', point] if os.geteuid() == 0 else ['fusermount3', '-u', '-z', point],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def remove_tree(path):
    def again(function, name, _):
        try:
            if name != path:  # what is above it is not ours
                os.chmod(os.path.dirname(name), 0o700)
            os.chmod(name, 0o700)
            function(name)
        except OSError:
            pass
    unmount_beneath(path)
    shutil.rmtree(path, onerror=again)


def remove_user(user):
    user.end_processes()
    with user.lock:
        user.own = False
    subprocess.run(['userdel', '--force', user.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Place:
    """The folder of one run: src/ has copies under the names they have in the repository."""

    def __init__(self, repository):
        with alone():
            sweep()
        os.umask(0o022)
        self.repository, self.users, self.root = repository, [], os.geteuid() == 0
        self.folder = os.path.join(tempfile.gettempdir(), f'mc-test-{os.getpid()}')
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)
        self.sources, self.copied, self.all_copied = self.folder + '/src', [], set()
        os.mkdir(self.folder + '/home')
        os.chmod(self.folder + '/home', 0o755)

    def copy(self, path, programs_only=False):
        """Copies a file or folder of the repository, once; programs_only: of a build folder only what runs."""
        if (path, programs_only) in self.all_copied:
            return
        self.all_copied.add((path, programs_only))
        source, target = os.path.join(self.repository, path), os.path.join(self.sources, path)

        def ignore(where, names):
            # Meson makes the links of a library before the library, which a build in part never makes.
            return [name for name in names if name.endswith('.p') or name.startswith('meson-')
                    or not os.path.exists(os.path.join(where, name))
                    or (not os.path.isdir(os.path.join(where, name))
                        and not os.access(os.path.join(where, name), os.X_OK) and '.so' not in name)]
        if os.path.isdir(source):
            self.copied.append(target)
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignore
                            if programs_only else shutil.ignore_patterns('__pycache__'))
        elif os.path.exists(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            self.copied.append(target)
            shutil.copy2(source, target)

    def open_to_all(self):
        """Lets every user read what was copied since the last time, whatever the umask of the clone was."""
        if self.copied:
            subprocess.run(['chmod', '-R', 'u+rwX,go+rX,go-w'] + self.copied, check=True)
        self.copied = []

    def map(self, text):
        """A path in the repository as the tests see it."""
        return text.replace(self.repository + '/', self.sources + '/') if isinstance(text, str) else text

    def user(self, letter):
        """An ordinary user of this run (the caller, where the caller is one already)."""
        home = f'{self.folder}/home/{letter}'
        os.mkdir(home, 0o700)
        if not self.root:
            return User(pwd.getpwuid(os.getuid()).pw_name, home, os.getuid(), os.getgid(), False)
        name = f'mc-test-{os.getpid()}-{letter}'
        with alone():
            subprocess.run(['useradd', '--system', '--user-group', '--no-create-home', '--no-log-init', '--home-dir', home,
                            '--shell', '/bin/bash', name], check=True, stdout=subprocess.DEVNULL)
        entry = pwd.getpwnam(name)
        user = User(name, home, entry.pw_uid, entry.pw_gid, True)
        self.users.append(user)
        os.chown(home, user.uid, user.gid)
        return user

    def close(self, keep=False):
        with alone():
            for user in self.users:
                remove_user(user)
        if keep:
            print(f'kept: {self.folder}')
        else:
            remove_tree(self.folder)
