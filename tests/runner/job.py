# SPDX-License-Identifier: Apache-2.0
"""One test program: run in a process group of its own, within its time, as its user."""
import os
import select
import signal
import subprocess
import threading
import time

from . import place
from .tap import Reader


class Job:
    def __init__(self, name, argv, limit=120, env=None, protocol='tap', root=False, weight=1.0, leaves=None,
                 processor=None, machines=False):
        self.name, self.argv, self.limit, self.env = name, argv, limit, env or {}
        self.protocol, self.root, self.weight = protocol, root, weight
        # Seconds of a processor after which it is told to end (SIGUSR1), however long that takes: it may run beside
        # others, with what they leave of the processors.
        self.processor, self.patient = processor, processor is not None
        self.machines = machines  # it starts virtual machines: two of these at a time are enough
        self.leaves = leaves  # called with the user after the run: lines that tell what was left
        self.results, self.seconds, self.output = [], 0.0, []
        self.taken = 0.0  # seconds of a processor, of all but what it left to others to wait for


def environment(user, job, tmp):
    base = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LANG': 'C.UTF-8',
            'HOME': user.home, 'USER': user.name, 'LOGNAME': user.name, 'SHELL': '/bin/bash', 'TMPDIR': tmp,
            'PYTHONDONTWRITEBYTECODE': '1'}
    return base | job.env


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def processor_time(pid):
    """Seconds that it has taken."""
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def step_back(pid, nice):
    """Lets others go before this leader of a session. Where sessions share processors evenly (autogroup), its own
    nice(1) says nothing."""
    try:
        with open(f'/proc/{pid}/autogroup', 'w') as f:
            f.write(str(nice))
    except OSError:
        pass  # it has ended, or there is no such thing


def reap(process):
    """Waits for it; the seconds of a processor that it and its children took."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def wait(process, job):
    """False: it did not end in time. It is not reaped: until then nobody else has the number of its group."""
    deadline, ended = time.monotonic() + job.limit, os.pidfd_open(process.pid)
    try:
        while (left := deadline - time.monotonic()) > 0:
            if select.select([ended], [], [], min(left, 0.5) if job.patient else left)[0]:
                return True
            taken = processor_time(process.pid) if job.patient else 0
            if job.patient and taken >= job.processor + 10:  # of a fuzz target: on one input
                return False
            if job.patient and taken >= job.processor:
                process.send_signal(signal.SIGUSR1)
        return False
    finally:
        os.close(ended)


def run(job, user, workdir, register):
    """Runs job as user and fills job.results. register(process, True/False) tells who lives."""
    tmp = os.path.join(user.home, 'tmp')
    as_user = {} if os.geteuid() or job.root else {'user': user.uid, 'group': user.gid, 'extra_groups': []}
    subprocess.run(['mkdir', '-p', '-m', '700', tmp], check=True, **as_user)
    reader, timed_out, started = Reader(), False, time.monotonic()
    process = subprocess.Popen(job.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=environment(user, job, tmp), cwd=workdir, start_new_session=True, umask=0o022,
                               **as_user)
    register(process, True)
    if job.patient:
        step_back(process.pid, 10)

    def pump():
        for raw in process.stdout:
            line = raw.decode(errors='replace').rstrip('\n')
            if job.protocol == 'tap':
                reader.feed(line)
            else:
                reader.pending.append(line)
    pumping = threading.Thread(target=pump, daemon=True)
    pumping.start()
    timed_out = not wait(process, job)
    kill_group(process)
    register(process, False)
    job.taken = reap(process)
    # Somebody that left the group may still hold the pipe.
    pumping.join(2)
    job.seconds = time.monotonic() - started
    if job.protocol != 'tap':
        reader.feed('ok - it succeeds' if process.returncode == 0 and not timed_out else 'not ok - it succeeds')
        reader.plan = 1
    reader.finish(process.returncode, timed_out, job.limit)
    left = job.leaves(user) if job.leaves else []
    if left:
        reader.pending = ['# ' + line for line in left]
        reader.fail('nothing is left of the sandboxes')
    user.end_processes()
    job.results = reader.results


def left_processes(user):
    """What still runs as this user, given a moment to end by itself."""
    deadline = time.monotonic() + 5
    while user.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    return ['still running: ' + place.describe(pid) for pid in user.processes()]
