#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures networks of sandboxes, side by side in one run with those that QEMU has itself: between two guests (our
group; QEMU's `-netdev socket` pair) and between guest and host, both ways (our egress; QEMU's `-netdev user`), by
iperf3, with ten rules in force on our side. QEMU's machines have the same kernel, and an MTU of 1,500, as they come,
and of 65,520. Then the first packet of a sandbox, its first name and connection, and what mcnet needs when it is idle
(switch.py times the switch alone). Prints a table of medians with their spread, and writes build/bench-network.json.

network.py [--rounds N] [--quick]    at least 3 rounds; --quick: 1, to try it out
"""
import calendar
import contextlib
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

from common import REPOSITORY, archive, arguments, measured, medians, run, standing, table, write

sys.path.insert(0, f'{REPOSITORY}/tests/system')
os.environ.setdefault('MC_PREFIX', f'{REPOSITORY}/build/stage')

from harness.program import DEBIAN  # noqa: E402

MONOCORE = f'{os.environ["MC_PREFIX"]}/bin/monocore'
SECONDS, IPERF = 5, '/usr/bin/iperf3'
RULES = [word for n in range(9) for word in ('--deny', f'203.0.{n}.0/24:{1000 + n}-{2000 + n}/tcp')]
# In a third sandbox, meanwhile: the same work for its processor without and with frames that it sends.
BUSY = 'while True: bytes(64)'
FLOOD = r'''
import socket, time
to, s = None, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while not to:
    try:
        to = socket.gethostbyname("server")
    except OSError:
        time.sleep(0.1)
while True:
    try:
        s.sendto(bytes(64), (to, 9))
    except OSError:
        pass
'''


def libraries(program):
    return re.findall(r'(/\S+) \(0x', run(['ldd', program]))


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as s:
        return s.getsockname()[1]


def rate(text):
    """MB/s that the receiver of an iperf3 run saw; its JSON may stand among a console's other words."""
    text = text.replace('\r', '')
    with contextlib.suppress(ValueError):
        report = json.loads(text[text.index('{'):text.rindex('}') + 1])
        if 'sum_received' in report.get('end', ()):
            return report['end']['sum_received']['bits_per_second'] / 8e6
    raise SystemExit(f'bench: iperf3 in a guest: {text[-1000:]}')


class Server:
    """iperf3's server on this host, for one client; `first` in place of it for a listener that answers at once."""

    def __init__(self):
        self.port = free_port()

    def __enter__(self):
        self.process = subprocess.Popen([IPERF, '-s', '-1', '-B', '127.0.0.1', '-p', str(self.port)],
                                        stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Bench:
    def __init__(self, work):
        self.work, self.values, self.units = work, {}, {}

    def note(self, name, value, unit):
        self.values.setdefault(name, []).append(value)
        self.units[name] = unit

    def prepare(self):
        print('making machines', file=sys.stderr)
        for name in ('tools', 'home', 'initrd'):
            os.mkdir(f'{self.work}/{name}', 0o700)
        self.env = os.environ | {'MONOCORE_HOME': f'{self.work}/home'}
        for path in [IPERF, *libraries(IPERF)]:
            shutil.copy(os.path.realpath(path), f'{self.work}/tools/{os.path.basename(path)}')
        run([MONOCORE, 'tmp', DEBIAN, 'true'], env=self.env)
        kernels = sorted(glob.glob(f'{self.work}/home/kernels/*/info.json')
                         + glob.glob('/usr/local/lib/monocore/kernels/*/info.json')
                         + glob.glob('/usr/lib/monocore/kernels/*/info.json'))
        self.kernel = os.path.dirname(kernels[0])
        run(['musl-gcc', '-static', '-O2', '-D_GNU_SOURCE', '-o', f'{self.work}/init',
             f'{REPOSITORY}/tests/bench/network_guest.c'])
        shutil.copy(f'{self.work}/init', f'{self.work}/tools/network_guest')
        files = {'init': f'{self.work}/init'}
        files |= {f'tools/{name}': f'{self.work}/tools/{name}' for name in os.listdir(f'{self.work}/tools') if name != 'network_guest'}
        data = {}
        for name, path in files.items():
            with open(path, 'rb') as f:
                data[name] = f.read()
        with open(f'{self.kernel}/modules.cpio', 'rb') as f:
            modules = f.read()
        with open(f'{self.work}/initrd/initrd.cpio', 'wb') as f:
            f.write(modules + bytes(-len(modules) % 4) + archive(data, ['tools']))

    # ---- QEMU's own -----------------------------------------------------------------------------------------

    def machine(self, netdev, number, gateway, mtu, *command):
        """Words that start a plain machine which runs iperf3 with these words and ends."""
        with open('/proc/cpuinfo') as f:
            khz = int(float(re.search(r'cpu MHz\s*:\s*([\d.]+)', f.read())[1]) * 1000)
        loader = next(os.path.basename(p) for p in libraries(IPERF) if 'ld-linux' in p)
        words = [f'10.0.2.{number}', gateway, str(mtu), f'/tools/{loader}', '--library-path', '/tools', '/tools/iperf3', *command]
        return ['qemu-system-x86_64', '-M', 'microvm,acpi=on', '-accel', 'tcg,tb-size=256', '-cpu', 'max,-erms', '-m', '512',
                '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-global', 'virtio-mmio.force-legacy=false',
                '-kernel', f'{self.kernel}/vmlinux', '-initrd', f'{self.work}/initrd/initrd.cpio', '-serial', 'stdio',
                '-netdev', netdev, '-device', f'virtio-net-device,netdev=n,mac=52:54:00:12:34:{number:02x}',
                '-append', f'console=ttyS0 quiet reboot=t panic=-1 tsc=reliable tsc_early_khz={khz} -- ' + ' '.join(words)]

    def qemu_pair(self, mtu):
        port = free_port()
        server = subprocess.Popen(self.machine(f'socket,id=n,listen=127.0.0.1:{port}', 20, '10.0.2.2', mtu, '-s', '-1',
                                               '--forceflush'), stdout=subprocess.PIPE, text=True)
        try:
            for line in server.stdout:
                if 'listening' in line:
                    break
            text = run(self.machine(f'socket,id=n,connect=127.0.0.1:{port}', 21, '10.0.2.2', mtu, '-c', '10.0.2.20', '-t',
                                    str(SECONDS), '-J'), timeout=300)
        finally:
            server.kill()
            server.wait()
        return rate(text)

    def qemu_user(self, mtu, *more):
        with Server() as server:
            return rate(run(self.machine('user,id=n', 15, '10.0.2.2', mtu, '-c', '10.0.2.2', '-p', str(server.port), '-t',
                                         str(SECONDS), '-J', *more), timeout=300))

    # ---- ours -----------------------------------------------------------------------------------------------

    def sandbox(self, *words):
        return [MONOCORE, 'tmp', '-v', f'{self.work}/tools:/tools:ro', *RULES, *words]

    @staticmethod
    def iperf(*words):
        return ['env', 'LD_LIBRARY_PATH=/tools', '/tools/iperf3', *words]

    @contextlib.contextmanager
    def running(self, name, *words):
        run(self.sandbox('-d', '--name', name, *words), env=self.env)
        try:
            yield
        finally:
            subprocess.run([MONOCORE, 'rm', '-f', name], env=self.env, capture_output=True, check=False)

    def our_pair(self):
        with self.running('server', '--group', 'bench', DEBIAN, '--', *self.iperf('-s', '-1')):
            time.sleep(1)
            return rate(run(self.sandbox('--group', 'bench', DEBIAN, '--', *self.iperf('-c', 'server', '-t', str(SECONDS), '-J')),
                            env=self.env, timeout=300))

    def our_pair_beside(self, work):
        with self.running('other', '--group', 'bench', DEBIAN, '--', 'python3', '-c', work):
            return self.our_pair()

    def our_host(self, *more):
        with Server() as server:
            return rate(run(self.sandbox('--allow', f'host.internal:{server.port}', DEBIAN, '--',
                                         *self.iperf('-c', 'host.internal', '-p', str(server.port), '-t', str(SECONDS), '-J',
                                                     *more)), env=self.env, timeout=300))

    def first_connection(self):
        with socket.create_server(('127.0.0.1', 0)) as listener:
            port = listener.getsockname()[1]

            def serve():
                with contextlib.suppress(OSError):
                    listener.accept()[0].sendall(b'x')
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            text = run(self.sandbox('--allow', f'host.internal:{port}', DEBIAN, '--', '/tools/network_guest', 'host.internal',
                                    str(port)), env=self.env, timeout=120)
        for name, value in zip(('name', 'connection'), text.split()):
            self.note(f'first {name} of a sandbox', float(value), 'ms')

    def first_packet(self):
        """From the agent's wake: until a sandbox is set up, and until the switch saw its program's first datagram."""
        with open(f'{self.work}/said', 'w+') as said:
            subprocess.run([*self.sandbox('-d', '--name', 'first', '--group', 'first', '--deny', '203.0.113.0/24', DEBIAN), '--',
                            '/tools/network_guest', '203.0.113.1'], env=self.env | {'MONOCORE_DEBUG': '1'}, stdout=subprocess.DEVNULL,
                           stderr=said, check=True)
            said.seek(0)
            at = {what: float(seconds) for seconds, what in
                  re.findall(r'debug: ([\d.]+): (?:the agent of )?first is (woken|set up)', said.read())}
        try:
            line, until = '', time.monotonic() + 10
            while '203.0.113.1' not in line and time.monotonic() < until:
                line = run([MONOCORE, 'net', 'why', 'first'], env=self.env)
        finally:
            subprocess.run([MONOCORE, 'rm', '-f', 'first'], env=self.env, capture_output=True, check=False)
        day, rest = line.split('.', 1)
        seen = calendar.timegm(time.strptime(day, '%Y-%m-%dT%H:%M:%S')) + float('0.' + rest.split('Z')[0])
        self.note('a sandbox is set up, from its wake', (at['set up'] - at['woken']) * 1e3, 'ms')
        self.note('first packet of its program, from its wake', (seen - at['woken']) * 1e3, 'ms')

    def idle(self):
        """PSS of the process of a group of one sandbox, in KiB."""
        with self.running('idle', '--group', 'idle', DEBIAN, '--', 'sleep', 'infinity'):
            time.sleep(3)
            for path in glob.glob('/proc/[0-9]*/cmdline'):
                with contextlib.suppress(OSError):
                    with open(path, 'rb') as f:
                        words = f.read().split(b'\0')
                    if os.path.basename(words[0]) == b'mcnet' and b'idle' in words:
                        with open(f'{os.path.dirname(path)}/smaps_rollup') as f:
                            return int(re.search(r'Pss:\s+(\d+)', f.read())[1]) / 1024
        raise SystemExit('bench: no mcnet of the group idle')

    def measure(self, rounds):
        for number in range(rounds):
            print(f'round {number + 1} of {rounds}', file=sys.stderr)
            turns = [
                lambda: self.note('guest to guest: group', self.our_pair(), 'MB/s'),
                lambda: self.note('guest to guest: group, beside a busy guest', self.our_pair_beside(BUSY), 'MB/s'),
                lambda: self.note('guest to guest: group, beside one that floods', self.our_pair_beside(FLOOD), 'MB/s'),
                lambda: self.note("guest to guest: QEMU's socket pair", self.qemu_pair(1500), 'MB/s'),
                lambda: self.note("guest to guest: QEMU's socket pair, MTU 65520", self.qemu_pair(65520), 'MB/s'),
                lambda: self.note('guest to host: monocore', self.our_host(), 'MB/s'),
                lambda: self.note("guest to host: QEMU's user network", self.qemu_user(1500), 'MB/s'),
                lambda: self.note("guest to host: QEMU's user network, MTU 65520", self.qemu_user(65520), 'MB/s'),
                lambda: self.note('host to guest: monocore', self.our_host('-R'), 'MB/s'),
                lambda: self.note("host to guest: QEMU's user network", self.qemu_user(1500, '-R'), 'MB/s'),
                lambda: self.note("host to guest: QEMU's user network, MTU 65520", self.qemu_user(65520, '-R'), 'MB/s'),
                self.first_connection,
                self.first_packet,
                lambda: self.note('mcnet, idle', self.idle(), 'MiB'),
            ]
            for turn in turns if number % 2 else reversed(turns):
                turn()


def targets(m):
    """(what, value, bound, text, wanted) of each target; value <= bound holds it."""
    for what, ours, theirs in (('guest to guest', 'group', "QEMU's socket pair"),
                               ('guest to host', 'monocore', "QEMU's user network"),
                               ('host to guest', 'monocore', "QEMU's user network")):
        ratio = m[f'{what}: {ours}'] / m[f'{what}: {theirs}']
        yield f"{what}, to QEMU's own", -ratio, -1, f'{ratio:.2f} times', '1 times'
    ratio = m['guest to guest: group, beside one that floods'] / m['guest to guest: group, beside a busy guest']
    yield 'guest to guest, beside a flood', -ratio, -0.5, f'{ratio:.2f} times', '0.5 times'
    first = m['first packet of its program, from its wake']
    yield 'first packet, from the wake of the agent', first, 20, f'{first:.0f} ms', '20 ms'
    yield 'mcnet, idle', m['mcnet, idle'], 10, f'{m["mcnet, idle"]:.1f} MiB', '10 MiB'


def main():
    bench, rounds, results = measured(Bench, arguments(__doc__, 3).parse_args(), 3, 1)
    results = dict(sorted(results.items()))
    table(results, bench.units, 62)
    held = standing(targets(medians(results)))
    write('bench-network', results, held, rounds=rounds, units=bench.units,
          qemu=run(['qemu-system-x86_64', '--version']).splitlines()[0])


main()
