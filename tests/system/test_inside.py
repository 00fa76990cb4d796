#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What programs find inside, that clones are strangers to each other, and that greed stays inside."""
import re
import time

from harness import state, tap
from harness.program import DEBIAN, Monocore
from harness.tap import contains, equal, promise, true, until

mc = Monocore()
for old in ('inside', 'greedy', 'twin-a', 'twin-b'):
    mc('rm', '-f', old)
mc('tmp', '-d', '--name', 'inside', '--pids', '100', DEBIAN, 'sleep', 'infinity').ok()


def inside(line, **options):
    return mc.shell('inside', line, **options)


@promise('/proc, /sys, /dev and what belongs below them are mounted as programs expect')
def _():
    mounts = {}
    for entry in inside('cat /proc/mounts').splitlines():
        _, where, kind, options = entry.split()[:4]
        mounts[where] = (kind, options.split(','))
    for where, kind in (('/proc', 'proc'), ('/sys', 'sysfs'), ('/dev/pts', 'devpts'), ('/dev/shm', 'tmpfs'),
                        ('/sys/fs/cgroup', 'cgroup2')):
        true(where in mounts, f'{where} is not mounted: {sorted(mounts)}')
        equal(mounts[where][0], kind, where)
    for where in ('/proc', '/sys', '/dev/shm'):
        true('nosuid' in mounts[where][1] and 'noexec' in mounts[where][1], f'{where}: {mounts[where]}')
    equal(inside('stat -c %a /tmp /dev/shm /dev/pts /run'), '1777\n1777\n755\n755')
    equal(inside('readlink /dev/fd /dev/stdin /dev/stdout /dev/stderr'),
          '/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2')
    inside('for f in null zero full random urandom tty ptmx; do test -c /dev/$f || { echo $f; exit 1; }; done; '
           'head -c 10 /dev/zero >/dev/null; cat /dev/null; ! echo x >/dev/full 2>/dev/null')
    equal(inside('python3 -c "import pty, os; m, s = pty.openpty(); print(os.ttyname(s)[:9])"'), '/dev/pts/')
    inside('python3 -c "import multiprocessing as m; m.Semaphore(1); m.Lock()"')


@promise('/etc/hosts, hostname, resolv.conf and machine-id are there, and can be changed')
def _():
    hosts = inside('cat /etc/hosts')
    contains(hosts, 'localhost')
    contains(hosts, 'inside')
    equal(inside('cat /etc/hostname; hostname; uname -n'), 'inside\ninside\ninside')
    equal(inside('getent hosts inside >/dev/null && python3 -c "import socket; print(socket.gethostbyname(\'localhost\'))"'),
          '127.0.0.1')
    inside('test -f /etc/resolv.conf && echo "nameserver 192.0.2.1" >/etc/resolv.conf && cat /etc/resolv.conf')
    true(re.fullmatch('[0-9a-f]{32}', inside('cat /etc/machine-id')), 'machine-id')
    inside('echo 10.1.2.3 extra >>/etc/hosts && getent hosts extra')


@promise('loopback is up, and what is no public address is not reached')
def _():
    inside('python3 -c "import socket; s = socket.create_server((\'127.0.0.1\', 0)); '
           'c = socket.create_connection(s.getsockname()); c.sendall(b\'x\'); assert s.accept()[0].recv(1) == b\'x\'"')
    equal(mc('exec', 'inside', 'python3', '-c',
             'import socket; socket.setdefaulttimeout(3); socket.create_connection(("192.0.2.1", 80))').status, 1)


@promise('the root file system takes writes, links and renames over the image')
def _():
    equal(inside('cd /usr/share && mkdir new && echo a >new/f && ln new/f new/g && mv new newer && rm -r /usr/share/perl5 '
                 '2>/dev/null; cat newer/g; echo b >>/etc/debian_version && tail -n 1 /etc/debian_version; '
                 'chmod 600 /etc/issue && stat -c %a /etc/issue; setfattr -n user.x -v y newer/f && '
                 'getfattr --only-values -n user.x newer/f'), 'a\nb\n600\ny')
    equal(inside('ls /proc/fs/jbd2 | wc -l'), '1')  # without a journal, making files after rm -rf is slow


@promise('whiteouts and opaque directories of upper layers hide what is below')
def _():
    equal(inside('test -e /usr/share/bug && echo there || echo gone'), 'gone')
    equal(inside('grep -c app: /etc/passwd; /usr/local/bin/hello'), '1\nhello from the image')


@promise('time is the host\'s, to a fraction of a second')
def _():
    before = time.time()
    guest = float(inside('date +%s.%N'))
    after = time.time()
    true(before - 0.3 < guest < after + 0.3, f'{before:.3f} < {guest:.3f} < {after:.3f}')


@promise('orphans are reaped, and the number of processes does not grow')
def _():
    inside('for i in $(seq 60); do sh -c "sleep 0.01 & exec true"; done')
    until(lambda: inside('ps ax -o stat= | grep -c Z || true') == '0', 'no zombie is left')


@promise('two clones of one template print different random bytes, and share no identity')
def _():
    def ask(name):
        return mc.shell(name, 'head -c 32 /dev/urandom | od -An -tx1 | tr -d " \\n"; echo; '
                              'python3 -c "import os, random, uuid; print(os.urandom(16).hex(), random.random(), uuid.uuid4())"; '
                              'cat /proc/sys/kernel/random/boot_id /etc/machine-id; hostname; '
                              'cat /proc/sys/kernel/random/uuid').splitlines()
    line = ('head -c 32 /dev/urandom | od -An -tx1 | tr -d " \\n"; echo; cat /proc/sys/kernel/random/boot_id '
            '/etc/machine-id; hostname; exec sleep infinity')
    twins = [mc('tmp', '-d', '--name', name, DEBIAN, 'sh', '-c', line).ok().out.strip() for name in ('twin-a', 'twin-b')]
    first = [until(lambda: (text := mc('log', name).ok().out.split()) and len(text) == 4 and text, 'its first output')
             for name in twins]
    later = [ask(name) for name in twins]
    for a, b in zip(first[0] + later[0], first[1] + later[1]):
        true(a != b, f'both say {a}')
    # Nor do they share them with the first thing that a third one prints.
    third = mc('tmp', DEBIAN, 'sh', '-c', 'head -c 32 /dev/urandom | od -An -tx1 | tr -d " \\n"').ok().out
    true(third not in (first[0][0], first[1][0]), third)
    for name, said, now in zip(twins, first, later):
        equal((said[1], said[2], said[3]), (now[2], now[3], name))
    mc('rm', '-f', *twins).ok()


@promise('a fork bomb stops at the limit, and the sandbox still answers')
def _():
    answer = mc('exec', 'inside', 'python3', '-c',
                'import os, time\nn = 0\n'
                'try:\n    while n < 5000:\n        if os.fork() == 0:\n            time.sleep(1000)\n        n += 1\n'
                'except OSError as e:\n    print(n, e.errno)\n').ok()
    number, errno = map(int, answer.out.split())
    equal(errno, 11)
    true(50 < number <= 100, f'{number} processes with --pids 100')
    # No room for a process of ours at this moment: that is an answer too, and the limit holds.
    mc('exec', 'inside', 'true')
    equal(mc.row('inside')['state'], 'running')
    mc('restart', '-t', '1s', 'inside').ok()
    equal(inside('echo well'), 'well')


@promise('a process that uses up the memory is killed, others and the sandbox live', limit=120)
def _():
    mc('tmp', '-d', '--name', 'greedy', '--ram', '256M', DEBIAN, 'sleep', 'infinity').ok()
    hog = 'x = []\nwhile True:\n    x.append(bytearray(b"x" * 16_000_000))'
    answer = mc('exec', 'greedy', 'python3', '-c', hog, timeout=100)
    equal(answer.status, 137, answer)
    equal(mc.shell('greedy', 'echo well'), 'well')
    mc('rm', '-f', 'greedy').ok()


@promise('a main process that uses up the memory ends its sandbox, and the reason is kept', limit=120)
def _():
    name = mc('tmp', '-d', '--ram', '256M', DEBIAN, 'python3', '-c',
              'x = []\nwhile True:\n    x.append(bytearray(b"x" * 16_000_000))').ok().out.strip()
    equal(mc('wait', name, timeout=100).ok().out, '137\n')
    contains(mc.row(name)['reason'], 'memory')
    mc('rm', name).ok()


@promise('a full disk is the command\'s error, and the sandbox still answers')
def _():
    with mc.sandbox('--disk', '64M') as name:
        answer = mc('exec', name, 'sh', '-c', 'head -c 200M /dev/zero >/big')
        true(answer.status == 1 and 'No space left' in answer.err, answer)
        equal(mc.shell(name, 'rm /big; echo again >/small; cat /small'), 'again')


@promise('the guest cannot see the host: no shared file, no host process, no way to its console')
def _():
    inside('test ! -e /proc/1/root/work && test "$(cat /proc/1/comm)" = mcagent -o -n "$(cat /proc/1/comm)"')
    supervisor = mc('inspect', 'inside').ok().json()[0]['status']['pid']
    true(state.engines(supervisor), 'QEMU runs below its supervisor')


tap.main(mc.clean)
