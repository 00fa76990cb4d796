#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`monocore tmp`: a real image in a microVM, its streams, its exit status, and nothing left behind."""
import os
import platform
import subprocess

from harness import images, state, tap
from harness.program import DEBIAN, PROGRAM, Monocore
from harness.tap import contains, equal, promise, scratch, true

mc = Monocore()


def tmp(*words, **options):
    return mc('tmp', *words, **options)


@promise('Python of a Debian image runs under a kernel of its own, and nothing is left')
def _():
    tmp('--quiet', DEBIAN, '--', 'true').ok()  # a user's first start makes image and template, and says so
    answer = tmp(DEBIAN, '--', 'python3', '-c', 'import platform; print(platform.uname())').ok()
    contains(answer.out, "system='Linux'")
    true(platform.release() not in answer.out, f'the host runs this kernel too: {answer.out}')
    kernels = mc('self', 'kernel', 'list').ok().out.split()
    contains(answer.out, kernels[0])
    equal(answer.err, '')
    equal(mc.names(), [])
    equal(state.left(mc.home), [])


@promise('standard output and standard error stay apart, byte for byte')
def _():
    answer = tmp(DEBIAN, '--', 'python3', '-c', 'import os; os.write(1, bytes(range(256))); os.write(2, b"e\\0\\xff")').ok()
    equal(answer.raw, bytes(range(256)))
    equal(answer.raw_err, b'e\0\xff')


@promise('standard input reaches the command, and its end too')
def _():
    equal(tmp(DEBIAN, 'sh', '-c', 'cat; echo end', input=b'one\ntwo').ok().out, 'one\ntwoend\n')
    equal(tmp(DEBIAN, 'cat').ok().out, '')


@promise('the exit status is the command\'s, and 128+N where a signal ended it')
def _():
    for line, status in (('exit 0', 0), ('exit 1', 1), ('exit 77', 77), ('exit 255', 255), ('kill -TERM $$', 143),
                         ('kill -SEGV $$', 139)):
        equal(tmp(DEBIAN, '--', 'sh', '-c', line).status, status, line)


@promise('a command that is not there has status 127, one that cannot be executed 126, and both are named')
def _():
    tmp(DEBIAN, '--', 'no-such-command').ok(127).says('no-such-command')
    tmp(DEBIAN, '--', '/etc/passwd').ok(126).says('/etc/passwd')
    tmp(DEBIAN, '--', '/etc').ok(126).says('/etc')
    equal(mc.names(), [])


@promise('an image that is not there, or is none, has status 125 and is named')
def _():
    tmp('oci:/no/such/image', '--', 'true').ok(125).says('/no/such/image')
    with scratch() as folder:
        tmp('oci:' + folder, '--', 'true').ok(125).says(folder)
        tmp('docker-archive:' + folder + '/none.tar', 'true').ok(125).says('none.tar')
    tmp('debian:12', '--', 'true').ok(125).says('debian:12')
    tmp('', '--', 'true').ok(2).says('image')


@promise('environment, files of it, working directory, user and host name are as asked for')
def _():
    with scratch() as folder:
        with open(f'{folder}/env', 'w') as f:
            f.write('# a comment\nFROM_FILE=file value\nBOTH=file\n')
        answer = tmp('-e', 'A=1 2', '-e', 'BOTH=option', '-e', 'FROM_HERE', '-e', 'NOT_HERE', '--env-file', f'{folder}/env',
                     '-w', '/made/for/this', '-u', 'app:extra', '--hostname', 'box', DEBIAN, '--', 'sh', '-c',
                     'pwd; id; hostname; echo $HOME $HOSTNAME; env', env={'FROM_HERE': 'host'}).ok().out.splitlines()
    equal(answer[0], '/made/for/this')
    contains(answer[1], 'uid=1000(app) gid=1001(extra)')
    equal(answer[2:4], ['box', '/home/app box'])
    for line in ('A=1 2', 'BOTH=option', 'FROM_HERE=host', 'FROM_FILE=file value', 'LANG=C.UTF-8'):
        true(line in answer, f'{line} is missing: {answer}')
    true(not any('NOT_HERE' in line for line in answer), answer)


@promise('users and groups are found by name or number in the image, and unknown ones are named')
def _():
    for user, expected in (('1000', 'uid=1000(app) gid=1000(app) groups=1000(app),1001(extra)'),
                           ('app', 'uid=1000(app) gid=1000(app) groups=1000(app),1001(extra)'),
                           ('4321', 'uid=4321 gid=0(root)'), ('4321:77', 'uid=4321 gid=77'), ('daemon', 'uid=1(daemon)')):
        contains(tmp('-u', user, DEBIAN, 'id').ok().out, expected)
    tmp('-u', 'nobody-knows', DEBIAN, 'id').ok(125).says('nobody-knows')
    tmp('-u', 'app:nogroup-knows', DEBIAN, 'id').ok(125).says('nogroup-knows')


@promise('memory, processors, disk, process and resource limits are as asked for')
def _():
    answer = tmp('--ram', '1G', '--cpus', '2', '--disk', '2G', '--pids', '77', '--ulimit', 'nofile=123:456',
                 '--ulimit', 'core=0', DEBIAN, '--', 'sh', '-c',
                 'nproc; awk "/MemTotal/ {print \\$2}" /proc/meminfo; df -B1M --output=size / | tail -n 1; '
                 'cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/pids.max; ulimit -Sn; ulimit -Hn; ulimit -c').ok()
    cpus, memory, disk, pids, soft, hard, core = answer.out.split()
    equal(cpus, '2')
    true(900_000 < int(memory) < 1_048_576, f'{memory} KiB of memory')
    true(1700 < int(disk) <= 2048, f'a disk of {disk} MiB')
    equal((soft, hard, core), ('123', '456', '0'))
    true(pids in ('77', 'max'), f'pids.max {pids}')


@promise('a read-only sandbox writes nowhere but into /tmp, /run and /dev/shm')
def _():
    answer = tmp('--read-only', DEBIAN, '--', 'sh', '-c',
                 'for d in / /etc /usr /home/app; do touch $d/x 2>/dev/null && echo "wrote $d"; done; '
                 'for d in /tmp /dev/shm /run; do echo good >$d/x && cat $d/x; done; exit 0')
    equal((answer.status, answer.out), (0, 'good\ngood\ngood\n'), str(answer))


@promise('--exec runs a shell line, ~SCRIPT one of the image, ~start its command, others are listed')
def _():
    equal(tmp('--exec', 'echo $((6 * 7)) | tr 4 5', DEBIAN).ok().out, '52\n')
    equal(tmp(DEBIAN + '~hello').ok().out, 'hello from a script\n')
    contains(tmp(DEBIAN + '~version').ok().out, 'Python 3.')
    equal(tmp(DEBIAN + '~start', input=b'echo started').ok().out, 'started\n')
    tmp(DEBIAN + '~absent').ok(125).says("'absent'", 'hello', 'version', 'start')


@promise('options behind the image belong to the command, with and without --')
def _():
    equal(tmp(DEBIAN, 'echo', '-e', 'a\\tb', '--rm', '-d').ok().out, 'a\tb --rm -d\n')
    equal(tmp(DEBIAN, '--', 'echo', '--', '-d').ok().out, '-- -d\n')
    equal(tmp(DEBIAN, '--', 'echo', '', 'ä ö', '*', '$HOME').ok().out, ' ä ö * $HOME\n')


@promise('a command and an environment of a megabyte arrive whole')
def _():
    big = 'x' * 100_000
    words = [big] * 6
    answer = tmp('-e', 'BIG=' + big, DEBIAN, '--', 'python3', '-c',
                 'import os, sys; print(len(sys.argv), sum(map(len, sys.argv[1:])), len(os.environ["BIG"]))', *words).ok()
    equal(answer.out, '7 600000 100000\n')


@promise('without a template it boots, and ends the same')
def _():
    with mc.sandbox('--no-template') as name:
        equal(mc('inspect', name).ok().json()[0]['status']['clone'], False)
        equal(mc.shell(name, 'echo booted'), 'booted')
    equal(tmp('--no-template', DEBIAN, '--', 'sh', '-c', 'echo hello; exit 5').ok(5).out, 'hello\n')


@promise('by default it is a clone of a template')
def _():
    with mc.sandbox() as name:
        status = mc('inspect', name).ok().json()[0]['status']
        equal((status['clone'], status['engine'], status['state']), (True, 'qemu', 'running'))


@promise('signals that the command line gets are the command\'s')
def _():
    line = 'trap "echo got TERM; exit 9" TERM; trap "echo got USR1" USR1; echo ready; while :; do sleep 0.05; done'
    process = mc.start('tmp', DEBIAN, '--', 'sh', '-c', line)
    equal(process.stdout.readline(), b'ready\n')
    process.send_signal(10)
    equal(process.stdout.readline(), b'got USR1\n')
    process.terminate()
    out, err = process.communicate(timeout=30)
    equal((out, err, process.returncode), (b'got TERM\n', b'', 9))
    equal(state.left(mc.home), [])


@promise('--platform of another architecture and --engine krun without libkrun are one clear line')
def _():
    tmp('--platform', 'linux/s390x', DEBIAN, '--', 'true').ok(125).says('s390x')
    true(tmp('--engine', 'krun', DEBIAN, '--', 'true').says('libkrun').status == 125, 'krun')


@promise('progress is shown off a terminal as plain lines, and not at all with --quiet')
def _():
    with scratch() as folder:
        ref = images.over_debian(f'{folder}/image', {'Cmd': ['true']}, [images.layer(images.member('new'))])
        answer = tmp('--quiet', ref).ok()
        equal((answer.out, answer.err), ('', ''))


@promise('the program works with standard streams closed, and from a directory that is gone')
def _():
    line = f'"{PROGRAM}" tmp {DEBIAN} -- true <&- >&- 2>&-; echo $?'
    equal(subprocess.run(['sh', '-c', line], env=mc.env, capture_output=True, text=True).stdout, '0\n')
    with scratch() as folder:
        os.mkdir(f'{folder}/gone')
        line = f'cd {folder}/gone && rmdir {folder}/gone && "{PROGRAM}" tmp {DEBIAN} -- echo here'
        equal(subprocess.run(['sh', '-c', line], env=mc.env, capture_output=True, text=True).stdout, 'here\n')


tap.main(mc.clean)
