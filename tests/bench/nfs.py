#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures our server of NFSv3 beside nfs-ganesha (FSAL VFS), in turns in one run, under the same load (nfs_load.c), each
on a fresh ext4 of its own: one without a journal, as some virtual machines have, looks for a free inode among all that were
removed in the last minutes, so that who comes later pays for who was before. Every round takes each measure once of each server. Prints a table of medians with their spread,
and writes build/bench-nfs.json.

As root: ganesha opens files by handle. All of it runs in a network namespace of its own, since ganesha wants rpcbind,
which listens on all addresses. What was made is answered by both without waiting for the disk (ganesha never does;
ours: --async); "create, synced" is ours as it is without that option. By an ordinary user, in a directory of /tmp.

nfs.py [--rounds N] [--quick] [--ours] [--only WORD]   at least 5 rounds; --quick: 2, to try it out; --ours: without ganesha
"""
import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from common import REPOSITORY, arguments, run, summary, write

BUILD = os.environ.get('MC_BUILD') or f'{REPOSITORY}/build/release'
PREFIX = os.environ.get('MC_PREFIX') or f'{REPOSITORY}/build/stage'
LOAD = f'{BUILD}/tests/bench/nfs_load'
LOOPBACK = f'{BUILD}/tests/bench/loopback'
CONNECTIONS, CALLS, SECONDS = 4, 8, 1.5
PORT, MOUNT_PORT = 20049, 20048
DISK = 4 << 30
# load of nfs_load, what it is called, calls under way on a connection, bytes of a call (0: calls are counted)
LOADS = (('getattr', 'getattr', CALLS, 0), ('lookup', 'lookup', CALLS, 0), ('create', 'create, remove', CALLS, 0),
         ('read4k', 'read 4 KiB', CALLS, 0), ('write4k', 'write 4 KiB', CALLS, 0), ('read1m', 'read 1 MiB', 2, 1 << 20),
         ('write1m', 'write 1 MiB', 2, 1 << 20), ('list', 'readdirplus, entries', 2, 0))
CONFIG = '''
NFS_CORE_PARAM {{ Protocols = 3; NFS_Port = {port}; MNT_Port = {mount_port}; Enable_NLM = false; Enable_RQUOTA = false;
    mount_path_pseudo = false; }}
EXPORT_DEFAULTS {{ Squash = No_Root_Squash; SecType = sys; }}
EXPORT {{ Export_Id = 1; Path = {path}; Pseudo = /bench; Access_Type = RW; Protocols = 3; Transports = TCP;
    FSAL {{ Name = VFS; }} }}
LOG {{ Default_Log_Level = WARN; }}
'''


def raise_loopback():
    """Of this namespace."""
    with socket.socket() as s:
        request = bytearray(struct.pack('16sh14x', b'lo', 0))
        fcntl.ioctl(s, 0x8913, request)  # SIOCGIFFLAGS
        (flags,) = struct.unpack_from('h', request, 16)
        struct.pack_into('h', request, 16, flags | 1)
        fcntl.ioctl(s, 0x8914, bytes(request))  # SIOCSIFFLAGS


def wait_for_port(port, process, what):
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f'bench: {what} has ended')
        with socket.socket() as s:
            if s.connect_ex(('127.0.0.1', port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f'bench: {what} does not listen')


def mount_fresh(path):
    """A file system, sparse in a file beside it; it goes with this mount namespace."""
    with open(f'{path}.img', 'wb') as f:
        f.truncate(DISK)
    run(['mkfs.ext4', '-q', '-F', f'{path}.img'])
    run(['mount', '-o', 'loop', f'{path}.img', path])


class Server:
    """A process that serves a directory with the files of the load."""
    end = signal.SIGTERM

    def __init__(self, work, name):
        self.name, self.path = name, f'{work}/{name}'
        self.processes = []
        os.mkdir(self.path)
        if os.getuid() == 0:
            mount_fresh(self.path)
        os.mkdir(f'{self.path}/many')
        for number in range(1000):
            with open(f'{self.path}/many/{number}', 'wb') as f:
                f.write(b'x' * 1000)
        with open(f'{self.path}/data', 'wb') as f:
            for _ in range(64):
                f.write(os.urandom(1 << 20))
            os.fsync(f.fileno())

    def start(self, argv, **options):
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **{'stdout': subprocess.DEVNULL, **options})
        self.processes.append(process)
        return process

    def load(self, load, calls):
        return float(run([LOAD, str(self.port), str(self.mount_port), self.export, load, str(CONNECTIONS), str(calls),
                          str(SECONDS)]))

    def cpu(self):
        """Seconds that its process has taken."""
        with open(f'/proc/{self.pid}/stat') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(self.end)
            process.wait()


class Ours(Server):
    def __init__(self, work, *words, name='monocore'):
        super().__init__(work, name)
        env = os.environ | {'MONOCORE_HOME': f'{work}/home'}
        process = self.start([f'{PREFIX}/bin/monocore', 'fs', 'serve', '--json', '--export', 'bench', *words, self.path],
                             stdout=subprocess.PIPE, env=env)
        line = process.stdout.readline()
        if not line:
            raise SystemExit('bench: monocore fs serve does not serve')
        told = json.loads(line)
        self.port = self.mount_port = told['port']
        self.export = told['export']
        (self.pid,) = (int(p) for p in run(['ps', '-o', 'pid=', '--ppid', str(process.pid)]).split())


class Ganesha(Server):
    end = signal.SIGKILL  # it, and rpcbind, take half a minute to end by themselves

    def __init__(self, work):
        super().__init__(work, 'ganesha')
        self.port, self.mount_port, self.export = PORT, MOUNT_PORT, self.path
        wait_for_port(111, self.start(['rpcbind', '-f']), 'rpcbind')
        with open(f'{work}/ganesha.conf', 'w') as f:
            f.write(CONFIG.format(port=PORT, mount_port=MOUNT_PORT, path=self.path))
        process = self.start(['ganesha.nfsd', '-F', '-f', f'{work}/ganesha.conf', '-L', f'{work}/ganesha.log', '-p',
                              f'{work}/ganesha.pid'])
        self.pid = process.pid
        try:
            wait_for_port(PORT, process, 'ganesha.nfsd')
        except SystemExit:
            with open(f'{work}/ganesha.log') as f:
                print(f.read()[-3000:], file=sys.stderr)
            raise


def measure(servers, rounds, values, only):
    for number in range(rounds):
        print(f'round {number + 1} of {rounds}', file=sys.stderr)
        for load, title, calls, size in LOADS:
            if only and only != load:
                continue
            # Who is first changes from round to round.
            for server in servers[number % len(servers):] + servers[:number % len(servers)]:
                if server.name == 'monocore, synced':
                    if load != 'create':
                        continue
                before = server.cpu()
                rate = server.load(load, calls)
                took = server.cpu() - before
                values.setdefault((title, server.name), []).append(rate * (size or 1) / (1e6 if size else 1))
                values.setdefault((f'{title}: CPU', server.name), []).append(took / (rate * SECONDS) * 1e6)
        if not only or only == 'read1m':
            for way in ('copied', 'mapped'):
                values.setdefault(('loopback', way), []).append(
                    float(run([LOOPBACK, f'{servers[0].path}/data', way, str(SECONDS)])))


def print_table(results):
    print(f'\n{"":24}{"":18}{"median":>10} {"quartiles":>19} {"least-most":>19}  n   server CPU a call')
    for _, title, _, size in LOADS:
        for name in ('monocore', 'ganesha', 'monocore, synced'):
            r = results.get(f'{title}, {name}')
            if r:
                cpu = results[f'{title}: CPU, {name}']['median']
                print(f'{title:24}{name:18}{r["median"]:10.0f} {r["lower_quartile"]:9.0f}-{r["upper_quartile"]:<9.0f}'
                      f'{r["least"]:10.0f}-{r["most"]:<9.0f}{r["count"]:2} {cpu:10.1f} us  {"MB/s" if size else "/s"}')
    for way in ('copied', 'mapped'):
        r = results.get(f'loopback, {way}')
        if r:
            print(f'{"loopback alone, 1 MiB":24}{way:18}{r["median"]:10.0f} {r["lower_quartile"]:9.0f}-'
                  f'{r["upper_quartile"]:<9.0f}{r["least"]:10.0f}-{r["most"]:<9.0f}{r["count"]:2} {"":10}     MB/s')


def print_targets(results):
    """How many times ganesha's."""
    standing = []
    print(f'\n{"target":44} {"measured":>12} {"wanted":>10}')
    for _, title, _, size in LOADS:
        if f'{title}, ganesha' not in results:
            continue
        times = results[f'{title}, monocore']['median'] / results[f'{title}, ganesha']['median']
        held = times >= 1.5
        standing.append({'target': f'{title}, times ganesha', 'measured': f'{times:.2f}', 'wanted': '1.5', 'held': held})
        print(f'{title + (" (MB/s)" if size else "") + ", times ganesha":44} {times:12.2f} {"1.5":>10}  '
              f'{"held" if held else "missed"}')
    return standing


def bench(args):
    work = tempfile.mkdtemp(prefix='mc-bench-nfs-')
    servers, values = [], {}
    try:
        servers.append(Ours(work, '--async'))
        servers.append(Ours(work, name='monocore, synced'))
        if not args.ours:
            servers.append(Ganesha(work))
        measure(servers, 2 if args.quick else max(5, args.rounds), values, args.only)
    finally:
        for server in servers:
            server.stop()
            if os.getuid() == 0:
                run(['umount', '--lazy', server.path])
        shutil.rmtree(work, ignore_errors=True)
    results = {f'{title}, {name}': summary(v) for (title, name), v in values.items()}
    print_table(results)
    standing = print_targets(results)
    write('bench-nfs', results, standing, connections=CONNECTIONS, seconds=SECONDS,
          calls={title: calls for _, title, calls, _ in LOADS})


def main():
    parser = arguments(__doc__, 5)
    parser.add_argument('--ours', action='store_true')
    parser.add_argument('--only', choices=[load for load, *_ in LOADS], help='only this load')
    parser.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        raise_loopback()
        if not args.ours:
            run(['mount', '-t', 'tmpfs', 'tmpfs', '/run'])  # rpcbind's lock and socket
        bench(args)
        return
    if os.geteuid() != 0 and not args.ours:
        print('bench: nfs-ganesha runs as root only: only our own server is measured', file=sys.stderr)
        sys.argv.append('--ours')
    run(['ninja', '-C', BUILD, '--quiet', 'tests/bench/nfs_load', 'tests/bench/loopback'])
    # What is started there ends with it, whatever happens.
    words = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
    words += [] if os.geteuid() == 0 else ['--map-current-user', '--keep-caps']
    os.execvp('unshare', words + [sys.executable, os.path.abspath(__file__), '--inside', *sys.argv[1:]])


main()
