#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sandboxes in the background: every verb that acts on one that is there."""
import io
import json
import os
import signal
import stat
import subprocess
import tarfile
import time

from harness import state, tap
from harness.program import DEBIAN, Monocore
from harness.tap import contains, equal, promise, scratch, true, until

mc = Monocore()
mc('rm', '-f', 'web')
# What it runs says what it gets, and goes on.
line = ('trap "echo hup" HUP; trap "echo term; exit 4" TERM; echo out; echo err >&2; '
        'i=0; while :; do i=$((i + 1)); echo $i >/tmp/count; sleep 0.05; done')


def start_web():
    equal(mc('tmp', '-d', '--name', 'web', '-e', 'KEY=value', '-w', '/srv', '-u', 'root', '--label', 'tier=front',
             '--label', 'n=1', DEBIAN, '--', 'sh', '-c', line).ok().out, 'web\n')
    until(lambda: (answer := mc('log', 'web').ok()).out and answer.err, 'the command is up')


def count():
    return int(mc.shell('web', 'until n=$(cat /tmp/count) && [ "$n" ]; do :; done; echo $n'))  # it may be just written


@promise('-d prints the name alone, and ps shows what runs')
def _():
    start_web()
    row = mc.row('web')
    equal((row['state'], row['image'], row['labels'], row['exit_status'], row['interrupted']),
          ('running', DEBIAN, {'tier': 'front', 'n': '1'}, None, False))
    table = mc('ps').ok().out.splitlines()
    equal(table[0].split(), ['NAME', 'IMAGE', 'COMMAND', 'STATE', 'UPTIME', 'AGE', 'ADDRESS', 'PORTS'])
    contains(table[1], 'web ')
    equal(mc('ps', '-q').ok().out, 'web\n')
    equal(mc('ps', '-q', '--label', 'tier=front').ok().out, 'web\n')
    equal(mc('ps', '-q', '--label', 'tier=back').ok().out, '')


@promise('a name is taken once, and a mistyped one gets the nearest')
def _():
    mc('tmp', '-d', '--name', 'web', DEBIAN).ok(125).says("'web'", 'monocore rm web')
    mc('exec', 'wbe', 'true').ok(1).says("did you mean 'web'?")
    for name in ('-x', 'a/b', '', 'x' * 64, 'ä'):
        true(mc('tmp', f'--name={name}', DEBIAN, 'true').status in (2, 125), name)


@promise('inspect tells all, by name, by id and by the first digits of the id')
def _():
    shown = mc('inspect', 'web').ok().json()[0]
    equal((shown['name'], shown['workdir'], shown['user'], shown['cpus'], shown['memory'], shown['pids']),
          ('web', '/srv', 'root', 1, 512 << 20, 4096))
    equal(shown['status']['state'], 'running')
    contains(json.dumps(shown['argv']), 'trap')
    equal(mc('inspect', shown['id']).ok().json()[0]['name'], 'web')
    equal(mc('inspect', shown['id'][:6], 'web').ok().json()[1]['id'], shown['id'])


@promise('exec runs one more process in the same sandbox, with its environment, user and directory')
def _():
    equal(mc.shell('web', 'pwd; echo $KEY; id -u; hostname'), '/srv\nvalue\n0\nweb')
    equal(mc('exec', '-e', 'KEY=other', '-w', '/tmp', '-u', 'app', 'web', 'sh', '-c', 'pwd; echo $KEY; id -un').ok().out,
          '/tmp\nother\napp\n')
    equal(mc('exec', 'web', 'sh', '-c', 'exit 33').status, 33)
    equal(mc('exec', 'web', 'sh', '-c', 'kill -9 $$').status, 137)
    mc('exec', 'web', 'no-such').ok(127).says('no-such')
    mc('exec', 'web', '/etc/passwd').ok(126).says('/etc/passwd')
    equal(mc('exec', 'web', 'cat', input=b'in').ok().out, 'in')
    true('sleep' in mc.shell('web', 'ps ax') and ' 1 ' in mc.shell('web', 'ps ax'), 'ps in the sandbox')


@promise('exec -d goes on by itself')
def _():
    mc('exec', '-d', 'web', 'sh', '-c', 'sleep 0.2; echo done >/tmp/detached').ok()
    until(lambda: mc.shell('web', 'cat /tmp/detached 2>/dev/null || true') == 'done', 'the detached process has run')


@promise('a process whose exec was killed ends, and the sandbox goes on')
def _():
    process = mc.start('exec', 'web', '--', 'sh', '-c', 'echo $$; exec sleep 1000')
    pid = int(process.stdout.readline())
    process.kill()
    process.communicate()
    until(lambda: mc.shell('web', f'[ -e /proc/{pid} ] && echo there || echo gone') == 'gone', 'the process has ended')


@promise('sixteen execs at once answer each their own')
def _():
    running = [mc.start('exec', 'web', '--', 'sh', '-c', f'echo {i}; exit {i}') for i in range(16)]
    equal([(p.communicate(timeout=60)[0], p.returncode) for p in running], [(b'%d\n' % i, i) for i in range(16)])


@promise('log keeps both streams apart, filters, tells times, follows, and prints JSON')
def _():
    answer = mc('log', 'web').ok()
    equal((answer.out, answer.err), ('out\n', 'err\n'))
    equal(mc('log', '--stream', 'err', 'web').ok().out, 'err\n')
    equal(mc('log', '--grep', '^o', 'web').ok().out, 'out\n')
    equal(mc('log', '-n', '1', '--stream', 'out', 'web').ok().out, 'out\n')
    equal(mc('log', '-n', '0', 'web').ok().out, '')
    equal(mc('log', '--since', '1h', '--until', '30m', 'web').ok().out, '')
    contains(mc('log', '-t', 'web').ok().out, time.strftime('%Y-', time.gmtime()))
    lines = [json.loads(text) for text in mc('log', '--json', 'web').ok().out.splitlines()]
    equal({(entry['stream'], entry['text']) for entry in lines}, {('out', 'out'), ('err', 'err')})
    mc('log', '--grep', '(', 'web').ok(1)
    follower = mc.start('log', '-f', 'web')
    equal(follower.stdout.readline(), b'out\n')
    mc('kill', '--signal', 'HUP', 'web').ok()
    equal(follower.stdout.readline(), b'hup\n')
    follower.kill()
    follower.communicate()


@promise('pause stands still, keeps memory, answers at once, and resume goes on')
def _():
    mc('pause', 'web').ok()
    equal(mc.row('web')['state'], 'paused')
    mc('exec', 'web', 'true').ok(1).says('paused', 'monocore resume web')
    mc('pause', 'web').ok(1).says('paused already')
    supervisor = mc('inspect', 'web').ok().json()[0]['status']['pid']

    def used():
        text = [open(f'/proc/{pid}/stat').read().rpartition(')')[2].split() for pid in state.engines(supervisor)]
        return sum(int(fields[11]) + int(fields[12]) for fields in text)
    before = used()
    time.sleep(0.5)
    true(used() - before <= 5, 'a paused machine uses no processor')
    mc('resume', 'web').ok()
    equal(mc.row('web')['state'], 'running')
    first = count()
    until(lambda: count() > first, 'the command goes on')
    mc('resume', 'web').ok(1).says('not paused')


@promise('a sandbox that stood still has the host\'s time again when it goes on')
def _():
    with mc.sandbox() as name:
        mc('pause', name).ok()
        time.sleep(1.5)
        mc('resume', name).ok()

        def right():
            before, there = time.time(), float(mc.shell(name, 'date +%s.%N'))
            return before - 0.5 < there < time.time() + 0.5
        until(right, 'the clock is the host\'s')


@promise('cp moves trees both ways, with modes, links and odd names, as docker cp does')
def _():
    with scratch() as folder:
        os.makedirs(f'{folder}/tree/deep')
        data = os.urandom(3_000_000)
        with open(f'{folder}/tree/deep/big', 'wb') as f:
            f.write(data)
        os.symlink('deep/big', f'{folder}/tree/link')
        with open(f'{folder}/tree/odd name\nä', 'w') as f:
            f.write('odd')
        os.chmod(f'{folder}/tree/deep/big', 0o640)
        mc('cp', f'{folder}/tree', 'web:/opt').ok()
        equal(mc.shell('web', 'stat -c "%a %u %s" /opt/tree/deep/big; readlink /opt/tree/link; ls /opt/tree | wc -l'),
              '640 0 3000000\ndeep/big\n4')
        mc('cp', f'{folder}/tree/.', 'web:/srv/contents').ok()
        contains(mc.shell('web', 'ls /srv/contents'), 'deep')
        mc('cp', 'web:/opt/tree', f'{folder}/back').ok()
        with open(f'{folder}/back/deep/big', 'rb') as f:
            true(f.read() == data, 'the bytes are the same')
        equal(os.readlink(f'{folder}/back/link'), 'deep/big')
        with open(f'{folder}/back/odd name\nä') as f:
            equal(f.read(), 'odd')
        mc('cp', 'web:/etc/hostname', folder).ok()
        with open(f'{folder}/hostname') as f:
            equal(f.read(), 'web\n')
        mc('cp', 'web:/no/such', folder).ok(1).says('/no/such')
        mc('cp', f'{folder}/none', 'web:/').ok(1).says(f'{folder}/none')


@promise('cp of a tar stream goes in and out')
def _():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as tar:
        info = tarfile.TarInfo('a/file')
        info.size = 4
        tar.addfile(info, io.BytesIO(b'text'))
    mc('cp', '-', 'web:/var/tmp', input=out.getvalue()).ok()
    equal(mc.shell('web', 'cat /var/tmp/a/file'), 'text')
    answer = mc('cp', 'web:/var/tmp/a', '-').ok()
    with tarfile.open(fileobj=io.BytesIO(answer.raw)) as tar:
        equal(sorted(m.name.rstrip('/') for m in tar), ['a', 'a/file'])
    mc('cp', '-', 'web:/var/tmp', input=b'this is no tar' * 100).ok(1)
    mc('cp', '-', 'web:/var/tmp', input=out.getvalue()[:700]).ok(1)


@promise('what comes out of a sandbox has no setuid bit, no device, and never writes outside its target')
def _():
    mc.shell('web', 'mkdir /evil && cd /evil && cp /bin/true suid && chmod 6755 suid && mknod null c 1 3 && '
                    'ln -s /tmp/outside link && mkfifo pipe')
    with scratch() as folder:
        mc('cp', 'web:/evil', f'{folder}/evil')
        mode = os.lstat(f'{folder}/evil/suid').st_mode
        true(not mode & (stat.S_ISUID | stat.S_ISGID), oct(mode))
        for name in os.listdir(f'{folder}/evil'):
            mode = os.lstat(f'{folder}/evil/{name}').st_mode
            true(stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISFIFO(mode), f'{name}: {oct(mode)}')
        # A second copy must not go through the link that the first has made.
        mc.shell('web', 'rm /evil/link && mkdir /evil/link && echo x >/evil/link/file')
        mc('cp', 'web:/evil/.', f'{folder}/evil')
        true(not os.path.exists('/tmp/outside'), 'something was written through a link')


@promise('a restart keeps the disk, gives a new boot id, and comes up in the background')
def _():
    mc.shell('web', 'echo kept >/srv/kept; sync')
    before = mc.shell('web', 'cat /proc/sys/kernel/random/boot_id; cat /etc/machine-id')
    mc('restart', 'web').ok()
    equal(mc.row('web')['state'], 'running')
    equal(mc.shell('web', 'cat /srv/kept'), 'kept')
    after = mc.shell('web', 'cat /proc/sys/kernel/random/boot_id; cat /etc/machine-id')
    true(before.split()[0] != after.split()[0], 'the boot id is another')
    equal(before.split()[1], after.split()[1], 'the machine id')
    until(lambda: mc('log', '--stream', 'out', 'web').ok().out.count('out\n') == 2, 'the command is up again')


@promise('stop sends the stop signal, keeps log and disk, and wait tells the exit status')
def _():
    waiter = mc.start('wait', 'web')
    time.sleep(0.2)
    mc('stop', 'web').ok()
    out, err = waiter.communicate(timeout=30)
    equal((out, err, waiter.returncode), (b'4\n', b'', 0))
    row = mc.row('web')
    equal((row['state'], row['exit_status']), ('stopped', 4))
    contains(mc('log', 'web').ok().out, 'term\n')
    equal(mc('ps', '-q').ok().out, '')
    equal(mc('wait', 'web').ok().out, '4\n')
    mc('stop', 'web').ok()
    for verb in ('exec web true', 'kill web', 'pause web', 'resume web'):
        mc(*verb.split()).ok(1).says('web', 'not running')


@promise('one that does not listen to its stop signal is killed after the time it was given')
def _():
    with mc.sandbox(command=('sh', '-c', 'trap "echo term" TERM; echo deaf; while :; do sleep 0.1; echo tick; done')) as name:
        until(lambda: 'deaf' in mc('log', name).out, 'the command no longer listens')
        answer = mc('stop', '-t', '1s', name).ok()
        true(answer.seconds >= 1, answer)
        # By its own clock it had less than the ten seconds that it has otherwise.
        true(mc('log', name).ok().out.partition('term\n')[2].count('tick') < 90, answer)
        equal(mc.row(name)['exit_status'], 137)


@promise('kill sends any signal, KILL where none is named')
def _():
    with mc.sandbox() as name:
        mc('kill', '--signal', 'TERM', name).ok()
        equal(mc('wait', name).ok().out, '143\n')
        equal(mc.row(name)['exit_status'], 143)
    with mc.sandbox() as name:
        mc('kill', name).ok()
        equal(mc('wait', name).ok().out, '137\n')


@promise('rm refuses one that runs, unless forced, and removes all of it')
def _():
    mc('restart', 'web').ok()
    mc('rm', 'web').ok(1).says('web', '--force')
    equal(mc('rm', '-f', 'web').ok().out, 'web\n')
    equal(mc.row('web'), None)
    equal(state.left(mc.home), [])


@promise('--rm -d removes itself when its command ends')
def _():
    name = mc('tmp', '-d', '--rm', DEBIAN, '--', 'sleep', '0.3').ok().out.strip()
    until(lambda: mc.row(name) is None, 'it is gone')
    equal(state.left(mc.home), [])


@promise('verbs act in bulk on names and labels')
def _():
    names = [mc('tmp', '-d', '--label', 'bulk=yes', DEBIAN, 'sleep', 'infinity').ok().out.strip() for _ in range(3)]
    equal(sorted(mc('stop', '-t', '1s', '--label', 'bulk=yes').ok().out.split()), sorted(names))
    equal(mc('wait', *names).ok().out, '143\n143\n143\n')
    answer = mc('rm', 'nobody', *names)
    equal((answer.status, sorted(answer.out.split())), (1, sorted(names)))
    contains(answer.err, "'nobody'")


@promise('an end of the guest from within is told apart from an end of its command')
def _():
    name = mc('tmp', '-d', DEBIAN, 'sh', '-c', 'echo b >/proc/sysrq-trigger; sleep 60').ok().out.strip()
    status = mc('wait', name).ok().out
    row = mc.row(name)
    equal((row['state'], status), ('stopped', f'{row["exit_status"]}\n'))
    true(row['exit_status'] != 0 and row['reason'], row)
    mc('rm', name).ok()


tap.main(mc.clean)
