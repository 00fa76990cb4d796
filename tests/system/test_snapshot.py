#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Running sandboxes, saved and brought back, and cloned live: what goes on, what is its own, what refuses."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

from harness import tap
from harness.program import DEBIAN, Monocore, send, supervisor_of
from harness.tap import contains, equal, promise, true, until

mc = Monocore()
SNAPSHOTS = f'{mc.home}/snapshots'


def there():
    """What there is of snapshots, half-made ones too."""
    return sorted(name for name in os.listdir(SNAPSHOTS) if name != '.making')


# Counts in memory and on the disk, and prints what the kernel's generator gives it, with the boot id from before:
# where that is the copy's own, the bytes were drawn in the copy.
PROGRAM = r'''
import os, signal, time
signal.signal(signal.SIGUSR1, lambda *_: print("hello", flush=True))
kept = bytearray(os.urandom(1 << 20)) * 20
count = os.open("/count", os.O_CREAT | os.O_WRONLY)
i = 0
while True:
    i += 1; time.sleep(0.02)
    kept[i % len(kept)] ^= i & 255
    os.pwrite(count, b"%d" % i, 0)  # over the one before, which is never longer: who reads it finds one
    os.fsync(count) if i % 64 == 0 else None
    with open("/proc/sys/kernel/random/boot_id") as f:
        print(i, f.read().strip(), os.urandom(8).hex(), flush=True)
'''


ADDED = 'added-by-the-source'  # to its /etc/hosts

# Says its own name to who connects.
SERVER = 'import socket; s = socket.create_server(("", 80))\nwhile True: c = s.accept()[0]; c.sendall(b"%s"); c.close()'


# Appends to a file that it holds open, and reads it back.
APPENDER = r'''
import time
f = open("/data/file", "a+")
g = open("/kept/file", "a+")
i = 0
while True:
    i += 1
    for file in (f, g):
        file.write(f"{i}\\n")
        file.flush()
    f.seek(0)
    open("/data/seen").read()
    print(i, "-", "ok" if f"\\n{i}\\n" in "\\n" + f.read() else "lost", flush=True)
    time.sleep(0.03)
'''


# Holds a file and its directory, and has looked at another and at one that is not there: what it sees of them, a line each
# time that it looks.
HOLDER = r'''
import os, time
os.chdir("/data/deep")
os.mkdir("made")
held = os.open("held", os.O_RDONLY)
other = os.open("other", os.O_RDONLY)
with open("/looks", "w", buffering=1) as looks:
    while True:
        with open("/proc/sys/kernel/random/boot_id") as f:
            boot = f.read().strip()
        print(boot, os.fstat(held).st_size, os.stat("/data/deep/held").st_size, os.pread(held, 99, 0).decode(),
              os.stat("other").st_size, os.path.exists("made/new"), file=looks)
        time.sleep(0.05)
'''


def write(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def looks(name):
    """Of those that began in this very copy."""
    own = mc.shell(name, 'cat /proc/sys/kernel/random/boot_id')
    return [line[len(own) + 1:] for line in mc.shell(name, 'cat /looks').splitlines() if line.startswith(own)]


def ask(name, whom):
    line = f'import socket; s = socket.create_connection(("{whom}", 80), 3); print(s.recv(9).decode(), end="")'
    return mc('exec', name, '--', 'python3', '-ISc', line).out


def lines(name):
    return [line.split() for line in mc('log', name).ok().out.splitlines()]


def counted(name):
    found = [int(words[0]) for words in lines(name) if len(words) == 3]
    return found[-1] if found else 0


def random_of(name):
    own = mc.shell(name, 'cat /proc/sys/kernel/random/boot_id')
    return {words[2] for words in lines(name) if len(words) == 3 and words[1] == own}


def identity(name):
    return mc.shell(name, 'hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id; '
                          'tail -n 1 /etc/hosts; cat /sys/class/net/eth0/address').split()


def copy(source, target):
    subprocess.run(['cp', '--sparse=always', source, target], check=True)
    os.utime(target, (0, 0))
    os.chmod(target, 0o600)


def forget():
    tags = mc('snapshots', 'ls', '-q').ok().out.split()
    if tags:
        mc('snapshots', 'rm', *tags).ok()


def start():
    mc('tmp', '-d', '--name', 'src', '--ram', '192M', '-p', '0:80', DEBIAN, '--', 'python3', '-ISc', PROGRAM).ok()
    until(lambda: counted('src') > 20, 'it counts')


def snapshots():
    return [s['tag'] for s in mc('snapshots', 'ls', '--json').ok().json()]


@promise('a snapshot is made of a sandbox that goes on, and restore brings it back where it was, under writes')
def _():
    forget()
    start()
    mc.shell('src', f'for i in $(seq 100); do echo 192.0.2.1 {ADDED}; done >>/etc/hosts')
    equal(mc('snapshot', 'src', 'one').ok().out, 'one\n')
    before = counted('src')
    until(lambda: counted('src') > before, 'the source goes on')
    equal(mc('restore', 'one', 'back').ok().out, 'back\n')
    until(lambda: len(lines('back')) > 20, 'the copy goes on')
    numbers = [int(words[0]) for words in lines('back') if len(words) == 3]
    equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), 'not one is lost or said twice')
    true(1 < numbers[0] <= before + 1, (numbers[0], before))
    said = [int(words[0]) for words in lines('src') if len(words) == 3]
    equal(said, list(range(1, len(said) + 1)), 'the source lost nothing either')


@promise('memory and disk of a copy are of one moment, and the disk is whole')
def _():
    # The file that is written before each line is never behind it, nor more than one ahead.
    first = next(int(words[0]) for words in lines('back') if len(words) == 3)
    mc('restore', 'one', 'again').ok()
    until(lambda: len(lines('again')) > 3, 'it goes on')
    equal(next(int(words[0]) for words in lines('again') if len(words) == 3), first, 'each begins at the same place')
    equal(mc.shell('again', 'test $(cat /count) -ge %d && echo yes' % first), 'yes')
    mc('stop', '-t', '0', 'again').ok()
    equal(mc('restart', 'again').ok().out, 'again\n')  # its disk mounts, and what was written is there
    until(lambda: mc.shell('again', 'cat /count') > '0', 'the count')


@promise('one whose start failed is started again from its snapshot, but on no other machine, and not once its disk was written to')
def _():
    mc('stop', '-t', '0', 'again').ok()
    place = f'{mc.home}/sandboxes/{mc.row("again")["id"]}'
    os.mkdir(f'{place}/resume')  # what restore leaves before the start
    for part in ('memory', 'state', 'hello', 'waiting', 'machine.json'):
        os.link(f'{SNAPSHOTS}/one/{part}', f'{place}/resume/{part}')
    copy(f'{SNAPSHOTS}/one/disk', f'{place}/disk')
    write(f'{place}/resume/disk.json', '{"mtime": 0}')
    os.utime(f'{place}/disk', (1, 1))
    mc('restart', 'again').ok(1).says('its disk has changed', 'restore the snapshot again')
    equal(mc.row('again')['state'], 'stopped', 'and it does not boot either')
    os.utime(f'{place}/disk', (0, 0))
    with open(f'{place}/resume/machine.json', encoding='utf-8') as f:
        machine = json.load(f)
    os.unlink(f'{place}/resume/machine.json')
    write(f'{place}/resume/machine.json', json.dumps(machine | {'machine': '0' * 64}))
    mc('restart', 'again').ok(1).says('saved on another machine')
    write(f'{place}/resume/machine.json', json.dumps(machine))
    mc('restart', 'again').ok()
    equal(mc('inspect', 'again').ok().json()[0]['status']['origin'], 'snapshot')
    true(not os.path.exists(f'{place}/resume'), 'it is used once')
    mc('rm', '-f', 'again').ok()


@promise('each copy has a name, a host name, ids and addresses of its own')
def _():
    both = identity('src'), identity('back')
    equal((both[0][0], both[1][0]), ('src', 'back'))
    for mine, other in zip(*both):
        true(mine != other, both)
    true('back' in both[1][4], both[1])
    contains(mc.shell('src', 'cat /etc/hosts'), ADDED)
    true(ADDED not in mc.shell('back', 'cat /etc/hosts'), 'nothing is left of the name of another')
    equal(mc.shell('back', 'cat /proc/net/route | wc -l'), mc.shell('src', 'cat /proc/net/route | wc -l'))


@promise('forks never print the same random bytes, neither among themselves nor as their source')
def _():
    names = mc('fork', '--count', '3', '--name', 'f{}', 'src').ok().out.split()
    equal(names, ['f1', 'f2', 'f3'])
    until(lambda: all(len(lines(name)) > 30 for name in names), 'they go on')
    seen = random_of('src')
    for name in ['back', *names]:
        mine = random_of(name)
        true(len(mine) > 10 and not mine & seen, f'{name}: {mine & seen}')
        seen |= mine
    equal(snapshots(), ['one'], 'a fork leaves no snapshot')


@promise('clocks of copies are right, and signals reach their main process')
def _():
    true(abs(int(mc.shell('f1', 'date +%s')) - int(mc.shell('src', 'date +%s'))) <= 5, 'the clock')
    mc('kill', '--signal', 'USR1', 'f1').ok()
    until(lambda: ['hello'] in lines('f1'), 'it hears the signal')
    equal(['hello'] in lines('src'), False)


@promise("a fork's ports are chosen anew, and a restore whose port is taken refuses and leaves nothing")
def _():
    ports = {mc('port', 'ls', name).ok().out for name in ('src', 'f1', 'f2')}
    equal(len(ports), 3, ports)
    mc('rm', '-f', 'f1', 'f2', 'f3', 'back').ok()


@promise('a fork of a fork, and a snapshot of what was restored, are as good')
def _():
    mc('restore', 'one', 'back').ok()
    equal(mc('fork', 'back').ok().out, 'back-1\n')
    equal(mc('fork', 'back-1').ok().out, 'back-1-1\n')
    until(lambda: len(lines('back-1-1')) > 5, 'it goes on')
    mc('rm', '-f', 'back', 'back-1', 'back-1-1').ok()


@promise('who waits for a process in the source goes on with it; in the copy it hears HUP')
def _():
    waiting = mc.start('exec', 'src', '--', 'sh', '-c', 'trap "echo >/hup" HUP; echo up; while :; do sleep 0.1; done')
    equal(waiting.stdout.readline(), b'up\n')
    mc('fork', '--name', 'f', 'src').ok()
    until(lambda: mc('exec', 'f', 'test', '-e', '/hup').status == 0, 'HUP in the copy')
    equal((mc('exec', 'src', 'test', '-e', '/hup').status, waiting.poll()), (1, None))
    waiting.kill()
    waiting.communicate()
    mc('rm', '-f', 'f').ok()


@promise('names, tags and states that make no sense are told, and nothing is left')
def _():
    mc('snapshot', 'src', 'one').ok(1).says("'one' is there already", 'snapshots rm')
    mc('snapshot', 'sr').ok(1).says("did you mean 'src'?")
    mc('restore', 'on', 'x').ok(1).says("did you mean 'one'?")
    mc('restore', 'one', 'src').ok(1).says("'src'")
    mc('restore', 'one', 'a/b').ok(1).says('a/b')
    mc('fork', '--count', '2', '--name', 'src', 'src').ok()
    mc('rm', '-f', 'src-1', 'src-2').ok()
    mc('fork', '--name', 'src', 'src').ok(1).says("'src'")
    mc('pause', 'src').ok()
    mc('snapshot', 'src').ok(1).says('monocore resume src')
    mc('resume', 'src').ok()
    with mc.sandbox('--no-template') as booted:
        mc('fork', booted).ok(1).says('--no-template', 'was booted')
    equal((mc.names(), there()), (['src'], ['one']))


@promise('a process that does not stand still makes a snapshot fail, and the sandbox goes on')
def _():
    # A process of the agent's that the freezer does not reach would do no harm; one that waits for a device would.
    mc.shell('src', 'mknod /fuse c 10 229 2>/dev/null; mkdir -p /hang; '
                    'python3 - <<END >/dev/null 2>&1 &\n'
                    'import ctypes, os\n'
                    'fd = os.open("/dev/fuse", os.O_RDWR)\n'
                    'c = ctypes.CDLL(None)\n'
                    'c.mount(b"x", b"/hang", b"fuse", 0, b"fd=%d,rootmode=40000,user_id=0,group_id=0" % fd)\n'
                    'child = os.fork()\n'
                    'if child == 0:\n'
                    '    os.close(fd)\n'
                    '    os.stat("/hang")\n'
                    'open("/hung", "w").write(f"{child} {os.getpid()}")\n'
                    'import time; time.sleep(1000)\n'
                    'END\n'
                    'until test -s /hung && grep -q fuse /proc/$(cut -d " " -f 1 /hung)/stack; do sleep 0.1; done')
    before = counted('src')
    mc('snapshot', 'src').ok(1).says('does not stand still')
    until(lambda: counted('src') > before, 'it goes on')
    mc.shell('src', 'kill -9 $(cat /hung)')
    until(lambda: mc('snapshot', 'src', 'two').status == 0, 'it can be saved again')
    mc('snapshots', 'rm', 'two').ok()


@promise('a snapshot that is not whole is refused, and nothing comes up')
def _():
    for part in ('memory', 'state', 'disk', 'machine.json', 'hello', 'waiting', 'snapshot.json'):
        broken = f'{SNAPSHOTS}/broken'
        shutil.copytree(f'{SNAPSHOTS}/one', broken, copy_function=os.link)
        path = f'{broken}/{part}'
        with open(path, 'rb') as f:
            head = f.read(1 << 16)
        os.unlink(path)
        with open(path, 'wb') as f:
            f.write(head + b'more')
        mc('restore', 'broken', 'x').ok(1).says("restore 'broken'")
        os.unlink(path)
        mc('restore', 'broken', 'x').ok(1).says("restore 'broken'")
        mc('snapshots', 'rm', 'broken').ok()
    shutil.copytree(f'{SNAPSHOTS}/one', f'{SNAPSHOTS}/broken', copy_function=copy)
    mc('restore', 'broken', 'x').ok()  # a copy is as good
    mc('rm', '-f', 'x').ok()
    for part in ('disk', 'memory'):
        with open(f'{SNAPSHOTS}/broken/{part}', 'r+b') as f:
            f.seek(8192)
            kept = f.read(1)
            f.seek(8192)
            f.write(bytes([kept[0] ^ 1]))
        mc('restore', 'broken', 'x').ok(1).says('its ' + part)
        with open(f'{SNAPSHOTS}/broken/{part}', 'r+b') as f:
            f.seek(8192)
            f.write(kept)
    mc('restore', 'broken', 'x').ok()
    mc('rm', '-f', 'x').ok()
    mc('snapshots', 'rm', 'broken').ok()
    with open(f'{SNAPSHOTS}/one/machine.json', encoding='utf-8') as f:
        machine = json.load(f)
    equal(len(machine['machine']), 64)
    equal((mc.names(), snapshots()), (['src'], ['one']))


@promise('killed at any moment, nothing is left but the sandbox as it was')
def _():
    making = mc.start('snapshot', 'src', 'never')
    until(lambda: any(name.startswith('.new-') for name in os.listdir(SNAPSHOTS)), 'it is being made', passing=True)
    send(making.pid, signal.SIGKILL)
    making.communicate()
    before = counted('src')
    until(lambda: counted('src') > before, 'the source goes on')
    until(lambda: (mc('ps').ok(), there())[1] == ['one'], 'what was half made is gone')
    forking = mc.start('fork', '--count', '2', '--name', 'k', 'src')
    until(lambda: mc.row('k-1'), 'a copy is there')
    send(supervisor_of(mc, 'k-1') or forking.pid, signal.SIGKILL)
    forking.communicate()
    mc('rm', '-f', *[name for name in mc.names() if name.startswith('k-')])


@promise('a group is cloned at one moment into one of its own, whose members find each other and nobody else')
def _():
    for name in ('ga', 'gb'):
        mc('tmp', '-d', '--name', name, '--ram', '192M', '--group', 'pair', DEBIAN, '--', 'python3', '-ISc', SERVER % name).ok()
    until(lambda: ask('ga', 'gb') == 'gb', 'the originals find each other')
    equal(sorted(mc('fork', '-g', 'pair').ok().out.split()), ['ga-1', 'gb-1'])
    until(lambda: ask('ga-1', 'gb') == 'gb', 'a copy finds the other')
    equal(ask('ga', 'gb'), 'gb', 'the originals still do')
    groups = {name: mc('inspect', name).ok().json()[0]['network']['groups'][0] for name in ('ga', 'gb', 'ga-1', 'gb-1')}
    equal([groups[name]['name'] for name in groups], ['pair', 'pair', 'pair-1', 'pair-1'])
    true(mc.shell('ga-1', 'getent hosts gb').split()[0] == groups['gb-1']['address'], groups)
    mc('fork', '-g', 'none').ok(1).says("'none'")
    mc('fork', '-g', 'pair', 'ga').ok(2)
    mc('fork').ok(2)
    mc('rm', '-f', 'ga', 'gb', 'ga-1', 'gb-1').ok()


@promise('volumes come along: what is open stays open, what changed meanwhile is seen, and another directory is refused')
def _():
    folder = tempfile.mkdtemp(prefix='mc-snapshot-')
    try:
        os.mkdir(f'{folder}/deep')
        write(f'{folder}/seen', 'old')
        write(f'{folder}/deep/held', 'old')
        write(f'{folder}/deep/other', 'other')
        mc('tmp', '-d', '--name', 'v', '--ram', '192M', '-v', f'{folder}:/data', '-v', 'kept:/kept', DEBIAN, '--',
           'python3', '-ISc', APPENDER).ok()
        until(lambda: counted('v') > 10, 'it appends')
        mc('exec', '-d', 'v', '--', 'python3', '-ISc', HOLDER).ok()
        until(lambda: mc('exec', 'v', 'test', '-s', '/looks').status == 0 and looks('v')[-1] == '3 3 old 5 False', 'it looks')
        mc('snapshot', 'v', 'vol').ok()
        equal(mc('fork', 'v').ok().out, 'v-1\n')
        until(lambda: len(lines('v-1')) > 10 and 'ok' in lines('v-1')[-1], 'the copy appends')
        mc('rm', '-f', 'v-1', 'v').ok()
        write(f'{folder}/seen', 'newer')
        write(f'{folder}/deep/held', 'newer')  # the same file
        write(f'{folder}/deep/.other', 'another')
        os.rename(f'{folder}/deep/.other', f'{folder}/deep/other')  # another one
        write(f'{folder}/deep/made/new', '')
        mc('restore', 'vol', 'w').ok()
        until(lambda: len(looks('w')) > 3, 'it looks on')
        equal(set(looks('w')), {'5 5 newer 7 True'})
        write(f'{folder}/deep/held', 'newest')
        until(lambda: looks('w')[-1] == '6 6 newest 7 True', 'what changes from then on is seen')
        until(lambda: ['newer'] == mc.shell('w', 'cat /data/seen').split(), 'what changed is seen')
        mc.shell('w', 'echo one >/data/made; echo two >/kept/made; ls /kept')
        with open(f'{folder}/made') as f:
            equal(f.read(), 'one\n')
        mc('rm', '-f', 'w').ok()
        os.rename(folder, f'{folder}.away')
        mc('restore', 'vol', 'w').ok(1).says("restore 'vol'")
        os.mkdir(folder)
        mc('restore', 'vol', 'w').ok(1).says('not the directory')
        true('w' not in mc.names(), 'nothing comes up')
    finally:
        mc('snapshots', 'rm', 'vol')
        shutil.rmtree(folder, True)
        shutil.rmtree(f'{folder}.away', True)
    mc('volume', 'rm', 'kept').ok()


@promise('snapshots are listed, keep their image, and go')
def _():
    row = mc('snapshots', 'ls', '--json').ok().json()[0]
    equal((row['tag'], row['sandbox'], row['image'], row['memory']), ('one', 'src', DEBIAN, 192 << 20))
    true(0 < row['size'] < 192 << 20, row)
    equal(mc('snapshots', 'ls', '-q').ok().out, 'one\n')
    equal(mc('self', 'complete-names', 'snapshots').ok().out, 'one\n')
    mc('rm', '-f', 'src').ok()
    mc('image', 'prune', '--all', '--force').ok()
    mc('restore', 'one', 'last').ok()
    equal(mc('snapshots', 'rm', 'one').ok().out, 'one\n')
    before = counted('last')
    until(lambda: counted('last') > before, 'what was restored runs on')
    equal(mc('snapshots', 'ls', '-q').ok().out, '')


BUILT = r"""
builds:
  app:
    image: %s
    ram: 192M
    volumes: [./data:/data]
    steps: [{env: {WHAT: %s}}]
    scripts:
      start: sleep 0.5; echo ready >/ready; while :; do n=$((n+1)); echo $n >/count; echo $n $(cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid); sleep 0.1; done
    healthcheck: {exec: test -e /ready}
  ends: {image: app, scripts: {start: echo what went wrong; exit 3}}
sandboxes:
  web: {image: app, ram: 192M, volumes: [./data:/data], ports: ["0:80"], reach: none}
  more: {image: app, ram: 192M, volumes: [./data:/data], labels: {a: b}, healthcheck: {exec: "test -e /ready", interval: 60s}}
  env: {image: app, ram: 192M, volumes: [./data:/data], envs: [A=B]}
  asked: {image: app, ram: 192M, volumes: [./data:/data], scripts: {test: echo $WHAT; cat /ready}}
  moved: {image: app, ram: 192M, volumes: [./data:/data]}
"""


@promise('sandboxes of a build whose running state was saved start from it, and those that ask for something else boot', 240)
def _():
    folder = tempfile.mkdtemp(prefix='mc-built-')

    def project(*words, **how):
        return mc('-C', f'{folder}/saved', *words, **how)

    def write_project(what):
        with open(f'{folder}/saved/monocore.yaml', 'w', encoding='utf-8') as f:
            f.write(BUILT % (DEBIAN, what))

    def origins():
        return {c['name']: c['origin'] for c in project('status', '--json').ok().json() if c['state'] == 'running'}

    try:
        os.makedirs(f'{folder}/saved/data')
        os.mkdir(f'{folder}/file')
        write_project('one')
        project('build', '--snapshot').ok(2).says('which builds')
        true('SNAPSHOT  done' in project('build', '--snapshot', 'app', timeout=90).ok().err, 'it was saved')
        true('SNAPSHOT  CACHED' in project('build', '--snapshot', 'app').ok().err, 'once')
        tag, = snapshots()
        said = project('--verbose', 'up', '--wait', 'web', 'more', 'env', timeout=90).ok().err
        equal(origins(), {'web': 'snapshot', 'more': 'snapshot', 'env': 'template'})
        true('saved-env starts anew, not from the saved state of its image: not the same environment' in said, said)
        equal(mc('inspect', 'saved-web').ok().json()[0]['snapshot'], tag)
        both = until(lambda: all(found := [random_of(f'saved-{name}') for name in ('web', 'more')]) and found, 'they draw')
        true(not both[0] & both[1], 'what they draw is their own')
        equal(identity('saved-web')[0], 'web')
        until(lambda: int(mc.shell('saved-more', 'cat /count') or 0) > 2, 'it went on')  # it may be just written
        # A sandbox that was stopped boots from its own disk; one that is to run something else never went on.
        mc.shell('saved-web', 'echo mine >/mine')
        mc('restart', '-t', '0', 'saved-web').ok()
        equal((mc.shell('saved-web', 'cat /mine'), origins()['web']), ('mine', 'template'))
        equal(project('run', 'asked~test').ok(1).out, 'one\n')
        # What cannot go on here boots on a disk of its own.
        os.rename(f'{folder}/saved/data', f'{folder}/data')
        os.mkdir(f'{folder}/saved/data')
        project('up', '--wait', 'moved').ok()
        equal(origins()['moved'], 'template')
        true('it does not start from the saved state of its image' in mc('log', '--stream', 'system', 'saved-moved').ok().out, 'why')
        project('down').ok()
        # Another image, another state; one that ends has none, and says why.
        write_project('two')
        true('SNAPSHOT  done' in project('build', '--snapshot', 'app', timeout=90).ok().err, 'it was saved anew')
        true(len(snapshots()) == 1 and tag not in snapshots(), snapshots())
        true('what went wrong' in project('build', '--snapshot', 'ends').ok(125).err, 'its words')
        mc('snapshot', 'saved-env', tag).ok(2).says('choose another one')
        # Of a Dockerfile as well, which needs a name for that.
        write(f'{folder}/file/Dockerfile', 'FROM monocore.local/saved/app:latest\nENV WHAT=file\n')
        mc('build', '--snapshot', f'{folder}/file').ok(2).says('-t NAME')
        said = mc('build', '-t', 'saved/file', '--snapshot', '--ram', '192M', f'{folder}/file', timeout=90).ok().err
        true('SNAPSHOT  done' in said and len(snapshots()) == 2, said)
        said = mc('--verbose', 'tmp', '-d', '--name', 'filed', '--ram', '192M', 'saved/file~start').ok().err
        said += mc('log', '--stream', 'system', 'filed').ok().out
        equal(mc('inspect', 'filed').ok().json()[0]['status']['origin'], 'snapshot', said)
        equal(mc.shell('filed', 'test -s /ready && echo $WHAT'), 'file')
        mc('rm', '-f', 'filed').ok()
        mc('rmi', 'saved/file').ok()
        mc('snapshots', 'rm', snapshots()[-1]).ok()
        # What is saved goes with the image.
        kinds = [row['kind'] for row in project('clean', '--dry-run', '--json').ok().json()]
        true('snapshot' not in kinds and len(snapshots()) == 1, kinds)
        project('clean').ok()
        mc('rmi', 'monocore.local/saved/app:latest', 'monocore.local/saved/ends:latest').ok()
        row, = [row for row in project('clean', '--json').ok().json() if row['kind'] == 'snapshot']
        true(row['bytes'] > 1 << 20 and row['removed'] and not snapshots(), row)
    finally:
        project('down')
        shutil.rmtree(folder, True)
        mc('rm', '-f', *mc.names())
        forget()


def clean():
    forget()
    return mc.clean()


tap.main(clean)
