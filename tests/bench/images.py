#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures pulls side by side in one run, from the same registry on loopback: monocore, skopeo and umoci, podman; an
image of nine gzip layers and over 500 MB. Every round takes each measure once. Prints a table of medians with their
spread, and writes build/bench-images.json.

images.py [--rounds N] [--quick]    at least 5 rounds; --quick: 2, to try it out
"""
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time

from common import REPOSITORY, arguments, measured, medians, report, run, write

sys.path.insert(0, f'{REPOSITORY}/tests/system')
os.environ.setdefault('MC_PREFIX', f'{REPOSITORY}/build/stage')

from harness import images  # noqa: E402
from harness.proxy import Proxy  # noqa: E402
from harness.registry import Registry  # noqa: E402

BUILD = os.environ.get('MC_BUILD') or f'{REPOSITORY}/build/release'
MONOCORE = f'{os.environ["MC_PREFIX"]}/bin/monocore'
PARTS = f'{BUILD}/tests/bench/bench_parts'
DEBIAN = os.path.realpath(f'{REPOSITORY}/build/images/debian')
LAYERS, BYTES = 8, 400 << 20
LINK = 200_000_000 // 8
ROOT = os.geteuid() == 0


def files():
    """Files of this machine as a distribution has them: programs, libraries, headers, documents."""
    for folder in ('/usr/lib/gcc', '/usr/lib/x86_64-linux-gnu', '/usr/include', '/usr/share/doc', '/usr/lib/python3',
                   '/usr/bin', '/usr/share'):
        for where, names, here in os.walk(folder):
            names.sort()
            for name in sorted(here):
                path = f'{where}/{name}'
                if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.R_OK):
                    yield path


def make_image(path):
    """The Debian image below, and layers of real files above it, as gzip has them by default."""
    budget, tars, source = BYTES // LAYERS, [], files()
    for number in range(LAYERS):
        out, size = io.BytesIO(), 0
        with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
            for name in source:
                info = tar.gettarinfo(name, f'opt/{number}{name}')
                info.uid = info.gid = 0
                info.type, info.linkname = tarfile.REGTYPE, ''
                info.size = os.path.getsize(name)
                with open(name, 'rb') as f:
                    tar.addfile(info, f)
                size += info.size
                if size >= budget:
                    break
        tars.append(out.getvalue())
    manifest, below = images.debian_parts()
    layout = images.Layout(path)
    for part in manifest['layers']:
        name = part['digest'].removeprefix('sha256:')
        shutil.copy(f'{DEBIAN}/blobs/sha256/{name}', f'{path}/blobs/sha256/{name}')
    layers = manifest['layers'] + [layout.blob(gzip.compress(tar, 6, mtime=0), images.LAYER + '+gzip') for tar in tars]
    diff_ids = [d.removeprefix('sha256:') for d in below['rootfs']['diff_ids']] + [images.sha256(tar) for tar in tars]
    layout.finish(layers, diff_ids, {'Cmd': ['/bin/sh']})
    return {'plain': sum(map(len, tars)), 'packed': sum(layer['size'] for layer in layers), 'layers': len(layers)}


class Bench:
    def __init__(self, work):
        self.work, self.values, self.number = work, {}, 0

    def note(self, name, value):
        self.values.setdefault(name, []).append(value)

    def prepare(self):
        run(['ninja', '-C', BUILD, '--quiet', 'tests/bench/bench_parts'])
        print('making the image', file=sys.stderr)
        self.layout = f'{self.work}/image'
        # By a process of its own: what this one holds counts as its children's.
        made = json.loads(run([sys.executable, os.path.abspath(__file__), '--make', self.layout]))
        self.plain, self.packed = made['plain'], made['packed']
        self.registry = Registry(f'{self.work}/registry')
        self.name = f'{self.registry.host}/bench/image:1'
        run(['skopeo', 'copy', '-q', '--dest-tls-verify=false', f'oci:{self.layout}:latest', f'docker://{self.name}'])
        self.warm = self.home()
        run([MONOCORE, 'self', 'template'], self.warm)
        print(f'{made["layers"]} layers, {self.packed >> 20} MiB packed, Debian and {self.plain >> 20} MiB', file=sys.stderr)

    def home(self):
        self.number += 1
        home = f'{self.work}/home{self.number}'
        return os.environ | {'MONOCORE_HOME': home}

    def timed(self, name, argv, env=None):
        """Wall time in ms, CPU seconds and the most memory in MiB, of a command and its children."""
        started = time.perf_counter()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
        text = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f'bench: {" ".join(argv)}: {text.decode()[-1000:]}')
        elapsed = (time.perf_counter() - started) * 1000
        self.note(f'{name}', elapsed)
        self.note(f'{name}: CPU', (usage.ru_utime + usage.ru_stime) * 1000)
        self.note(f'{name}: memory', usage.ru_maxrss / 1024)
        return elapsed

    def ours(self):
        env = self.home()
        self.timed('monocore pull', [MONOCORE, '-q', 'pull', self.name], env)
        self.timed('monocore pull, unchanged', [MONOCORE, '-q', 'pull', self.name], env)
        shutil.rmtree(env['MONOCORE_HOME'])

    def skopeo(self):
        folder = f'{self.work}/skopeo'
        os.mkdir(folder)
        first = self.timed('skopeo copy', ['skopeo', 'copy', '-q', '--src-tls-verify=false', f'docker://{self.name}',
                                           f'oci:{folder}/image:1'])
        second = self.timed('umoci unpack', ['umoci', 'unpack', *([] if ROOT else ['--rootless']), '--image',
                                             f'{folder}/image:1', f'{folder}/out'])
        self.note('skopeo copy, umoci unpack', first + second)
        run(['chmod', '-R', 'u+rwX', folder])
        shutil.rmtree(folder)

    def podman(self):
        folder = f'{self.work}/podman'
        os.mkdir(folder)
        argv = ['podman', '--root', f'{folder}/root', '--runroot', f'{folder}/run', '--cgroup-manager', 'cgroupfs']
        self.timed('podman pull', argv + ['pull', '-q', '--tls-verify=false', self.name])
        run(argv + ['rmi', '-a', '-f'])
        run(['rm', '-rf', folder] if ROOT else ['podman', 'unshare', 'rm', '-rf', folder])

    def link(self):
        """Over a link of 200 Mbit/s, with the image absent: from the last byte that arrived to the first output."""
        env = self.home()
        shutil.copytree(self.warm['MONOCORE_HOME'], env['MONOCORE_HOME'])
        with Proxy(self.registry, rate=LINK) as proxy:
            name = f'{proxy.host}/bench/image:1'
            process = subprocess.Popen([MONOCORE, '-q', 'tmp', name, 'echo', 'hello'], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
            text = process.stdout.read(6)
            first = time.monotonic()
            error = process.stderr.read()
            process.wait()
            if text != b'hello\n':
                raise SystemExit(f'bench: {text!r} {error[-1000:]!r}')
            last = max(r.ended for r in proxy.seen('GET .*/blobs/'))
            began = min(r.began for r in proxy.seen('.*'))
        self.note('200 Mbit/s: last byte to first output', (first - last) * 1000)
        self.note('200 Mbit/s: all, to first output', (first - began) * 1000)
        shutil.rmtree(env['MONOCORE_HOME'])

    def stages(self):
        for line in run([PARTS, 'stages', self.layout]).splitlines():
            name, value = line.rsplit(' ', 1)
            self.note(f'stage: {name}', float(value))

    def measure(self, rounds):
        for number in range(rounds):
            print(f'round {number + 1} of {rounds}', file=sys.stderr)
            for take in (self.ours, self.skopeo, self.podman, self.link, self.stages):
                take()

    def end(self):
        if hasattr(self, 'registry'):
            self.registry.stop()


def targets(m):
    """(what, value, bound, text, wanted) of each target; value <= bound holds it."""
    ours = m['monocore pull']
    speed = m['skopeo copy, umoci unpack'] / ours
    yield 'pull, faster than skopeo copy and umoci unpack', -speed, -3, f'{speed:.1f} times', '3 times'
    speed = m['podman pull'] / ours
    yield 'pull, faster than podman pull', -speed, -1.5, f'{speed:.1f} times', '1.5 times'
    memory = m['monocore pull: memory']
    yield 'memory of a pull', memory, 150, f'{memory:.0f} MiB', '150 MiB'
    rest = m['200 Mbit/s: last byte to first output']
    yield 'last byte to first output of tmp, 200 Mbit/s', rest, 800, f'{rest:.0f} ms', '800 ms'


def main():
    parser = arguments(__doc__, 5)
    parser.add_argument('--make', metavar='DIR', help='only make the image')
    args = parser.parse_args()
    if args.make:
        print(json.dumps(make_image(args.make)))
        return
    bench, rounds, results = measured(Bench, args, 5, 2)
    standing = report(results, targets(medians(results)), lambda name: name.endswith('memory'))
    write('bench-images', results, standing, rounds=rounds, image={'packed': bench.packed, 'plain above Debian': bench.plain},
          skopeo=run(['skopeo', '--version']).strip(), podman=run(['podman', '--version']).strip())


main()
