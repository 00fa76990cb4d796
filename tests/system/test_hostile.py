#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest that means harm: its agent is one of tests/hostile, which lies, floods or says nothing. It must end
in a clear error, leave nothing, take a bounded amount of its supervisor's memory, and harm nobody else: an
honest sandbox runs beside it in the same home all the time."""
import concurrent.futures
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import struct
import tempfile
import termios
import threading
import time

from harness import state, tap
from harness.program import DEBIAN, PREFIX, SOURCES, Monocore
from harness.tap import contains, equal, promise, true, until

AGENTS = os.environ.get('MC_HOSTILE') or f'{SOURCES}/build/release/tests/hostile'
MEMORY = 100 << 20  # bytes that a supervisor may have at most
BROKE = 'the guest broke the agent\'s protocol: '
EXEC, SIGNAL, LIST = 5, 11, 19  # docs/formats/control.md
LOST = 'the sandbox broke down: '

folder = tempfile.mkdtemp(prefix='mc-hostile-')
home = f'{folder}/home'
honest = Monocore(home)
making = threading.Lock()  # of an installation


def hostile(agent='hello', **env):
    """monocore with the programs of the installation, but for the agent."""
    place = f'{folder}/{agent}'
    with making:
        if not os.path.isdir(place):
            os.mkdir(place)
            for name in ('mcrun', 'mckrun', 'mcfs', 'mcnet'):
                shutil.copy2(f'{PREFIX}/libexec/monocore/{name}', place)
            shutil.copy2(f'{AGENTS}/{agent}', f'{place}/mcagent')
    return Monocore(home, MONOCORE_LIBEXEC=place, **env)


class Watch(threading.Thread):
    """Looks at all supervisors of the home: the most memory that one ever had (its own kernel keeps that, so that few
    looks are enough), and their processes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.looks, self.processes, self.done = 0, 0, set(), threading.Event()

    def look(self):
        for pid in state.supervisors(home):
            self.processes |= {pid, *state.descendants(pid)}
            with contextlib.suppress(OSError), open(f'/proc/{pid}/status') as f:
                status = dict(line.split(':', 1) for line in f)
                # A child of it may have become QEMU in between, and one that is ending has no memory any more.
                if status['Name'].strip() == 'mcrun' and 'VmHWM' in status:
                    self.most = max(self.most, int(status['VmHWM'].split()[0]) << 10)
                    self.looks += 1

    def run(self):
        while not self.done.wait(0.1):
            self.look()


watch = Watch()
before = []  # what the honest sandbox is made of


def well():
    """Nothing is left of anybody but the honest sandbox, which is well; no supervisor was too large."""
    until(lambda: state.left(home, 0) == before, 'nothing is left of the hostile: ' + str(state.left(home, 0)), 10)
    until(lambda: watch.looks > 3, 'the supervisors are looked at')
    true(watch.most < MEMORY, f'a supervisor had {watch.most >> 20} MiB')
    equal(honest('exec', 'honest', 'echo', 'well', timeout=10).ok().out, 'well\n')


def run(act, *options, agent='hello', timeout=60.0, **env):
    return hostile(agent, **env)('-q', 'tmp', *options, DEBIAN, '--', act, timeout=timeout)


def together(*calls, at_a_time=2):
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        for running in [pool.submit(call) for call in calls]:
            running.result()


def refused(act, *parts, least=0.0, most=40.0, out='', options=(), agent='hello', **env):
    """A call that runs it: it ends with 125 and one line that says this, in its time."""
    def call():
        answer = run(act, *options, agent=agent, timeout=most, **env).ok(125).says(*parts)
        equal(answer.out, out, str(answer))
        true(answer.seconds >= least, answer)
        true(answer.err.rstrip('\n').isprintable() and len(answer.err) < 1200, answer)
    return call


def broken(act, *parts, **options):
    """As refused(), of a guest whose command was running."""
    return refused(act, LOST, *parts, out='before\n', **options)


@promise('an honest sandbox starts')
def _():
    honest('tmp', '-d', '--name', 'honest', DEBIAN, 'sleep', 'infinity').ok()
    watch.start()
    before.extend(state.left(home, 0))
    well()


@promise('an agent that begins with anything but HELLO is told so, and so is one that never speaks', limit=120)
def _():
    boot = 'boot the guest: ' + BROKE
    together(refused('x', 'did not come up in time', agent='mute', least=3, MONOCORE_START_TIMEOUT='1s'),
             refused('x', boot + 'frame: a length of', agent='noise'),
             refused('x', boot + 'frame: a length of 4294967295 bytes', agent='giant'),
             refused('x', boot + 'the guest\'s agent speaks version ', agent='version'))
    well()


@promise('garbage in place of an answer to the set-up ends the start; the template is made anew first, once', limit=120)
def _():
    run('exit').ok(3)
    refused('noise', 'start the sandbox: ' + BROKE + 'frame: a length of')()
    run('exit').ok(3)
    together(refused('wrong-stream', BROKE + 'STARTED in place of STARTED'),
             refused('refuse', 'start the sandbox: ?[31mevil?]0;title?', '...'))
    well()


def ignored_stop():
    mc = hostile()
    name = mc('tmp', '-d', DEBIAN, '--', 'deaf').ok().out.strip()
    mc('stop', '-t', '1s', name, timeout=25).ok()
    contains(mc.row(name)['reason'], 'did not shut down in time')
    mc('rm', name).ok()


@promise('a guest that is silent, stops in the middle of a word, or answers another question, ends in time', limit=300)
def _():
    run('exit').ok(3)  # so that there is a template
    # The time is one for all steps, and one of them is to boot, beside others on a busy host.
    cold = {'options': ['--no-template'], 'MONOCORE_START_TIMEOUT': '30s', 'most': 180}
    together(refused('silent', 'wait for the guest\'s READY: no answer in time', least=30, **cold),
             refused('half', 'wait for the guest\'s READY: no answer in time', least=30, **cold),
             refused('never-started', 'wait for the guest\'s STARTED: no answer in time', least=2, most=15,
                     MONOCORE_START_TIMEOUT='2s'),
             ignored_stop,
             refused('pong', BROKE + 'PONG in place of READY', **cold),
             refused('refuse-long', 'ERROR message', **cold), at_a_time=4)
    refused('x', 'MONOCORE_START_TIMEOUT', MONOCORE_START_TIMEOUT='soon')()
    refused('x', 'MONOCORE_START_TIMEOUT', MONOCORE_START_TIMEOUT='0')()
    well()


VOLUMES = LOST + 'the guest broke the volumes\' protocol: '
ACROSS = """init 0
lookup '..' -22
lookup '.' -22
lookup '' -22
lookup '../outside' -22
lookup 'dir/../../outside/gold' -22
lookup '/etc/passwd' -22
lookup long -36
lookup link 0
through link -20
open link -38
read link -40
unknown node -116
unknown directory -116
unknown opcode 1
"""


@promise('a guest that talks nonsense on the port of volumes ends its sandbox', limit=120)
def _():
    d = f'{folder}/nonsense'
    os.mkdir(d)
    together(*(broken(f'volume-{act}', VOLUMES, options=['-v', f'{d}:/vol']) for act in ('noise', 'credit', 'giant')))
    together(broken('volume-window', VOLUMES + 'volume 0: more data than its window', options=['-v', f'{d}:/vol']))
    well()


@promise('raw requests name nothing outside of a volume, and change nothing of a read-only one', limit=120)
def _():
    d, outside = f'{folder}/volume', f'{folder}/outside'
    for path in (d, f'{d}/dir', outside):
        os.mkdir(path)
    for path, text in ((f'{outside}/gold', 'gold'), (f'{d}/file', 'as it was')):
        with open(path, 'w') as f:
            f.write(text)
    os.symlink(outside, f'{d}/link')
    # Files are not opened: -38 is for all of them.
    changes = ('write', 'create', 'mkdir', 'unlink', 'symlink', 'truncate')
    answer = run('volume-requests', '-v', f'{d}:/vol:ro').ok()
    equal(answer.out, 'before\n' + ACROSS + ''.join(f'{c} -30\n' for c in changes) + 'open -38\n')
    equal(sorted(os.listdir(d)), ['dir', 'file', 'link'])
    with open(f'{d}/file') as f:
        equal((f.read(), os.fstat(f.fileno()).st_mode & 0o7000), ('as it was', 0))
    answer = run('volume-requests', '-v', f'{d}:/vol').ok()
    equal(answer.out.removeprefix('before\n')[:len(ACROSS)], ACROSS)
    with open(f'{outside}/gold') as f:
        equal((f.read(), os.listdir(outside)), ('gold', ['gold']))
    well()


@promise('a start that its caller gives up ends, however silent the guest is')
def _():
    process = hostile().start('tmp', DEBIAN, '--', 'silent')
    until(lambda: sum(len(state.engines(pid)) for pid in state.supervisors(home)) == 2, 'its machine runs')
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    well()


@promise('a running guest that breaks the protocol in any way ends, and what it had said before is not lost', limit=120)
def _():
    out_of_place = 'out of its place on a stream of EXEC'
    together(broken('late-noise', BROKE + 'frame: a length of'),
             broken('late-giant', BROKE + 'frame: a length of 4294967295 bytes'),
             broken('late-endless', BROKE + 'frame: a message is over'),
             broken('unknown-stream', BROKE + 'DATA on a stream that was never opened'),
             broken('unknown-type', BROKE, 'type 999', out_of_place),
             broken('unknown-channel', BROKE + 'DATA', out_of_place),
             broken('hello-again', BROKE + 'HELLO out of turn'),
             broken('usage', BROKE + 'USAGE', out_of_place),
             broken('error', BROKE + 'ERROR', out_of_place),
             broken('credit', BROKE + 'credit for input that was not sent'),
             broken('nothing', BROKE + 'DATA', out_of_place),
             broken('ends', BROKE + 'END', out_of_place),
             broken('started', BROKE + 'STARTED', out_of_place),
             broken('bad-exit', BROKE + 'EXITED message'),
             broken('reset', 'the guest shut itself down'))
    well()


def waiting_bytes(pipe):
    return struct.unpack('i', fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


@promise('output beyond the window ends the guest, and what was within it still comes')
def _():
    process = hostile().start('tmp', DEBIAN, '--', 'window')
    until(lambda: waiting_bytes(process.stdout) > 60000, 'nobody reads, and the pipe is full')
    until(lambda: len(state.supervisors(home)) == 1, 'the sandbox has ended')
    out, err = process.communicate(timeout=20)
    equal(process.returncode, 125)
    contains(err.decode(), BROKE + 'more output than its window holds')
    true(out.startswith(b'before\n' + bytes(65536)) and len(out) <= 7 + 64 * 65536, f'{len(out)} bytes came')
    well()


@promise('the first end of the command counts, whatever comes behind it')
def _():
    together(*[lambda act=act: equal(run(act).ok(3).out + run(act).err, 'before\n') for act in
               ('exit', 'exit-twice', 'exit-noise')])
    well()


@promise('floods that nobody asked for hold up nobody, and an honest end behind them is believed')
def _():
    def flood(act):
        equal(run(act).ok().out, 'before\nafter the flood\n')

    def neighbour():
        for _ in range(5):
            honest('exec', 'honest', 'true', timeout=8).ok()
            time.sleep(0.2)
    together(lambda: flood('flood'), neighbour)
    together(lambda: flood('complain'), lambda: flood('console'))
    well()


@promise('a guest that takes no input, or crumbles its output for one who does not read, fills windows and no more')
def _():
    with open('/dev/zero', 'rb') as zero:
        deaf = hostile().start('tmp', DEBIAN, '--', 'deaf', stdin=zero)
        crumbs = hostile().start('tmp', DEBIAN, '--', 'crumbs')
        for process in (deaf, crumbs):
            equal(process.stdout.read(7), b'before\n')
        crumbs.send_signal(signal.SIGSTOP)
        time.sleep(3)
    for process in (deaf, crumbs):
        process.kill()
        process.communicate()
    well()


@promise('a sandbox in the background whose guest answers nonsense ends, and says why to all who ask')
def _():
    mc = hostile()
    for words in (['{}:/x', f'{folder}/x'], [f'{folder}/hello/mcagent', '{}:/x']):
        name = mc('tmp', '-d', DEBIAN, '--', 'serve').ok().out.strip()
        equal(mc('exec', name, '--', 'exit').ok(3).out, 'before\n')
        waiting = mc.start('exec', name, '--', 'serve')
        equal(waiting.stdout.read(7), b'before\n')
        answer = mc('cp', *[word.format(name) for word in words]).ok(1).says('the sandbox has stopped', BROKE + 'ENTRY')
        true(not os.path.exists(f'{folder}/x'), answer)
        out, err = waiting.communicate(timeout=10)
        equal((waiting.returncode, out, err.count(b'\n')), (1, b'', 1))
        contains(err.decode(), BROKE + 'ENTRY')
        until(lambda: mc.row(name)['state'] == 'stopped', 'it is stopped')
        contains(mc.row(name)['reason'], BROKE + 'ENTRY')
        contains(mc('log', '--stream', 'system', name).ok().out, BROKE + 'ENTRY')
        mc('rm', name).ok()
    well()


def control(mc, name):
    """A connection of our own to a sandbox's supervisor."""
    connection = socket.socket(socket.AF_UNIX)
    place = os.open(f'{home}/sandboxes/{mc("inspect", name).ok().json()[0]["id"]}', os.O_PATH)
    connection.connect(f'/proc/self/fd/{place}/control')
    os.close(place)
    return connection


def frame(kind, payload=b''):
    return struct.pack('<IIHH', 8 + len(payload), 1, kind, 0) + payload


def text(value):
    return struct.pack('<I', len(value)) + value


@promise('who reads nothing of what the guest says without end is dropped, and the sandbox goes on')
def _():
    mc = hostile()
    name = mc('tmp', '-d', DEBIAN, '--', 'serve').ok().out.strip()
    with control(mc, name) as idle:
        idle.sendall(frame(LIST, text(b'/')))
        equal(mc('exec', name, '--', 'exit', timeout=30).ok(3).out, 'before\n')
        idle.settimeout(20)
        size = 0
        with contextlib.suppress(ConnectionResetError):
            while got := idle.recv(1 << 20):
                size += len(got)
        true(size < 80 << 20, f'{size >> 20} MiB were kept for it')
    mc('exec', name, '--', 'reset').ok(1).says('the sandbox has stopped: the guest shut itself down')
    mc('rm', name).ok()
    well()


@promise('a guest that takes nothing of what is sent to it is given up before that fills the memory')
def _():
    mc = hostile()
    name = mc('tmp', '-d', DEBIAN, '--', 'serve').ok().out.strip()
    with control(mc, name) as busy:
        busy.sendall(frame(EXEC, bytes(4) + struct.pack('<I', 1) + text(b'deaf') + bytes(20)))
        true(busy.recv(1 << 16), 'it is started')
        signals = frame(SIGNAL, struct.pack('<I', 1)) * 65536
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(80):
                busy.sendall(signals)
    until(lambda: mc.row(name)['state'] == 'stopped', 'it is stopped')
    contains(mc.row(name)['reason'], 'the guest takes nothing of what is sent to it')
    mc('rm', name).ok()
    well()


def finish():
    watch.done.set()
    names = honest('ps', '-a', '-q').out.split()
    if names:
        honest('rm', '-f', *names)
    lines = state.left(home)
    lines += [state.describe(pid) for pid in watch.processes if state.alive(pid)]
    print(f'# a supervisor had {watch.most >> 20} MiB at most')
    shutil.rmtree(folder, ignore_errors=True)
    return lines


tap.main(finish)
