#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures start times and sizes side by side in one run: what plain QEMU needs to boot the same kernel and root
file system, and what monocore needs. Every round takes each measure once, so that a busy moment of the machine
hits all of them. Prints a table of medians with their spread, and writes build/bench.json.

bench.py [--rounds N] [--quick]    at least 10 rounds; --quick: 3, to try it out
"""
import contextlib
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from common import REPOSITORY, archive, arguments, measured, medians, report, run, write

BUILD, STAGE = f'{REPOSITORY}/build/release', f'{REPOSITORY}/build/stage'
IMAGE = os.path.realpath(f'{REPOSITORY}/build/images/debian')
DEBIAN = 'oci:' + IMAGE
MONOCORE, AGENT = f'{STAGE}/bin/monocore', f'{STAGE}/libexec/monocore/mcagent'
PARTS = f'{BUILD}/tests/bench/bench_parts'
MEMORY, CLONES = 512, 8
HELLO = [DEBIAN, '--', 'sh', '-c', 'echo hello']


def milliseconds(since):
    return (time.perf_counter() - since) * 1000


class Bench:
    def __init__(self, work):
        self.work, self.home = work, f'{work}/home'
        self.env = os.environ | {'MONOCORE_HOME': self.home}
        self.values = {}

    def note(self, name, value):
        self.values.setdefault(name, []).append(value)

    def monocore(self, *words):
        return run([MONOCORE, *words], env=self.env)

    def prepare(self):
        run(['ninja', '-C', BUILD, '--quiet', 'tests/bench/bench_parts'])
        self.monocore('self', 'template')
        self.monocore('tmp', *HELLO)
        kernels = sorted(glob.glob(f'{self.home}/kernels/*/info.json')
                         + glob.glob('/usr/local/lib/monocore/kernels/*/info.json')
                         + glob.glob('/usr/lib/monocore/kernels/*/info.json'))
        self.kernel = os.path.dirname(kernels[0])
        self.root = glob.glob(f'{self.home}/store/rootfs/*.img')[0]
        self.make_initrd()

    def make_initrd(self):
        """The kernel's modules and our small init, as two archives behind each other."""
        folder = f'{self.work}/initrd'
        os.mkdir(folder)
        run(['musl-gcc', '-static', '-O2', '-o', f'{folder}/init', f'{REPOSITORY}/tests/bench/init.c', '-D_GNU_SOURCE'])
        with open(f'{self.kernel}/modules.cpio', 'rb') as f:
            modules = f.read()
        with open(f'{folder}/init', 'rb') as f:
            init = f.read()
        self.initrd = f'{self.work}/initrd.cpio'
        with open(self.initrd, 'wb') as f:
            f.write(modules + bytes(-len(modules) % 4) + archive({'init': init}))

    def qemu(self, *more):
        with open('/proc/cpuinfo') as f:
            khz = int(float(re.search(r'cpu MHz\s*:\s*([\d.]+)', f.read())[1]) * 1000)
        return ['qemu-system-x86_64', '-M', 'microvm,acpi=on', '-accel', 'tcg', '-cpu', 'max', '-m', str(MEMORY),
                '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
                '-global', 'virtio-mmio.force-legacy=false', '-kernel', f'{self.kernel}/vmlinux', '-initrd', self.initrd,
                '-drive', f'id=d,file={self.root},format=raw,if=none,readonly=on', '-device', 'virtio-blk-device,drive=d',
                '-append', f'console=ttyS0 quiet reboot=t panic=-1 tsc_early_khz={khz}', *more]

    # ---- measures: each notes one value ----

    def until(self, name, argv, word, env=None):
        """Time to the first output that has the word in it, and to the end."""
        started = time.perf_counter()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        text, first = b'', None
        while data := os.read(process.stdout.fileno(), 65536):
            text += data
            if first is None and word in text:
                first = milliseconds(started)
                if name.endswith('QMP'):
                    process.kill()
        process.wait()
        if first is None:
            raise SystemExit(f'bench: {name}: no {word!r} in {text[-500:]!r} {process.stderr.read()[-500:]!r}')
        process.stdout.close()
        process.stderr.close()
        self.note(name, first)
        return started

    def plain_boot(self):
        self.until('plain QEMU boots: first output', self.qemu('-serial', 'stdio'), b'hello')

    def qmp(self):
        self.until('QEMU starts: to QMP', self.qemu('-S', '-qmp', 'stdio'), b'"QMP"')

    def cold(self):
        self.until('monocore boots: first output', [MONOCORE, 'tmp', '--no-template', *HELLO], b'hello', self.env)

    def clone(self):
        there = len(os.listdir(f'{self.home}/sandboxes'))
        started = self.until('monocore clones: first output', [MONOCORE, 'tmp', *HELLO], b'hello', self.env)
        while len(os.listdir(f'{self.home}/sandboxes')) > there:
            time.sleep(0.0005)
        self.note('monocore tmp: all, removal too', milliseconds(started))

    def agent(self):
        answers, mounted = run([PARTS, 'clone', self.home, AGENT, self.root], env=self.env).split()
        self.note('clone: agent answers', float(answers))
        self.note('clone: root is mounted', float(mounted))

    def execute(self):
        started = time.perf_counter()
        self.monocore('exec', 'bench', '/bin/true')
        self.note('monocore exec /bin/true', milliseconds(started))

    def our_root(self):
        with tempfile.TemporaryDirectory(dir=self.work) as home:
            self.note('root file system: monocore', float(run([PARTS, 'image', home, DEBIAN])))

    def their_root(self):
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            started = time.perf_counter()
            run(['umoci', 'unpack', *([] if os.geteuid() == 0 else ['--rootless']), '--image', IMAGE + ':latest',
                 f'{folder}/out'])
            run(['mkfs.erofs', f'{folder}/root.img', f'{folder}/out/rootfs'])
            self.note('root file system: umoci, mkfs.erofs', milliseconds(started))

    def memory(self):
        """PSS of eight idle clones, each."""
        names = [self.monocore('tmp', '-d', DEBIAN, '--', 'sleep', 'infinity').strip() for _ in range(CLONES)]
        try:
            time.sleep(5)
            for name in names:
                boss = json.loads(self.monocore('inspect', name))[0]['status']['pid']
                self.note('memory of an idle clone', sum(pss(pid) for pid in below(boss)))
        finally:
            self.monocore('rm', '-f', *names)

    def measure(self, rounds):
        self.monocore('tmp', '-d', '--name', 'bench', DEBIAN, '--', 'sleep', 'infinity')
        try:
            for number in range(rounds):
                print(f'round {number + 1} of {rounds}', file=sys.stderr)
                for take in (self.plain_boot, self.cold, self.clone, self.qmp, self.agent, self.execute, self.our_root,
                             self.their_root):
                    take()
        finally:
            self.monocore('rm', '-f', 'bench')
        self.memory()

    def end(self):
        with contextlib.suppress(Exception):
            names = self.monocore('ps', '-a', '-q').split()
            if names:
                self.monocore('rm', '-f', *names)


def below(pid):
    """The QEMU processes under a supervisor."""
    found = []
    for entry in os.listdir('/proc'):
        with contextlib.suppress(OSError, ValueError):
            number = int(entry)
            with open(f'/proc/{number}/stat') as f:
                text = f.read()
            if int(text.rpartition(')')[2].split()[1]) == pid:
                found += ([number] if 'qemu' in text.split('(', 1)[1] else []) + below(number)
    return found


def pss(pid):
    try:
        with open(f'/proc/{pid}/smaps_rollup') as f:
            return int(re.search(r'^Pss:\s+(\d+)', f.read(), re.M)[1]) / 1024
    except OSError as error:
        raise SystemExit(f'bench: the memory of QEMU cannot be read: {error}') from error


def targets(m):
    """(what, value, bound, text) of each target; value <= bound holds it."""
    plain, clone = m['plain QEMU boots: first output'], m['monocore clones: first output']
    yield 'first output of a clone, of plain QEMU\'s boot', clone / plain, 1 / 6, '1/{:.1f}'.format(plain / clone), '1/6'
    rest = m['monocore tmp: all, removal too'] - clone
    yield 'monocore tmp beyond its first output', rest, 100, f'{rest:.0f} ms', '100 ms'
    ratio = m['clone: agent answers'] / m['QEMU starts: to QMP']
    yield 'agent answers, by QEMU\'s start to QMP', ratio, 3, f'{ratio:.2f} times', '3 times'
    execute = m['monocore exec /bin/true']
    yield 'exec of /bin/true', execute, 60, f'{execute:.0f} ms', '60 ms'
    speed = m['root file system: umoci, mkfs.erofs'] / m['root file system: monocore']
    yield 'root file system, faster than umoci and mkfs.erofs', -speed, -5, f'{speed:.1f} times', '5 times'
    memory = m['memory of an idle clone']
    yield f'memory of an idle clone of {CLONES}', memory, 60, f'{memory:.0f} MiB', '60 MiB'


def main():
    args = arguments(__doc__, 10).parse_args()
    _, rounds, results = measured(Bench, args, 10, 3)
    standing = report(results, targets(medians(results)), lambda name: name.startswith('memory'))
    write('bench', results, standing, rounds=rounds, qemu=run(['qemu-system-x86_64', '--version']).splitlines()[0])


main()
