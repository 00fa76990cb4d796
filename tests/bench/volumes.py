#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures directories of the host in sandboxes, side by side in one run: the sandbox's own disk, a volume as it
comes by itself (FUSE over a serial port), a staged one, one by virtiofs and one by NFS; and QEMU's own virtiofs
server in a plain machine of the same kernel. Large reads and writes, 2,000 small files, and what people do with a
source tree: untar 3,000 small files, `git status`, a build in C. Beside the untar to a volume stands one to the
least that a process of the guest can serve by FUSE, with nothing behind it (fuse_least.c). Prints a table of
medians with their spread, and writes build/bench-volumes.json.

volumes.py [--rounds N] [--quick] [--on DIRECTORY]    at least 3 rounds; --quick: 1, to try it out

--on: the directories that are volumes are in this one, on a file system of another kind: ext4 without a journal takes up to
a millisecond to make a file where thousands were removed within the last minutes, as each round does.
"""
import glob
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

from common import REPOSITORY, archive, arguments, measured, medians, run, standing, table, write

sys.path.insert(0, f'{REPOSITORY}/tests/system')
os.environ.setdefault('MC_PREFIX', f'{REPOSITORY}/build/stage')

from harness import images  # noqa: E402

MONOCORE = f'{os.environ["MC_PREFIX"]}/bin/monocore'
VIRTIOFSD = '/usr/lib/qemu/virtiofsd'
FILES, SOURCES = 3000, 12
KINDS = {'own disk': [], 'volume': [':/bench'], 'staged': [':/bench:stage'],
         'virtiofs': [':/bench', '--volume-driver', 'virtiofs'],
         'nfs': [':/bench', '--volume-driver', 'nfs']}
LEAST = 'FUSE alone'
UNTAR = r'''
set -e
cd /bench
echo 3 >/proc/sys/vm/drop_caches
stamp() { date +%s%N; }
say() { printf '%s\t%s.%06d\tms\n' "$1" $((($3 - $2) / 1000000)) $((($3 - $2) % 1000000)); }
t=$(stamp); tar xf /tools/tree.tar; say 'untar 3,000 files' $t $(stamp)
'''
TREE = UNTAR + r'''
cd tree
export HOME=/root
git config --global safe.directory '*'
git status --short >/dev/null
t=$(stamp); git status --short >/dev/null; say 'git status, again' $t $(stamp)
echo 3 >/proc/sys/vm/drop_caches
t=$(stamp); git status --short >/dev/null; say 'git status, not cached' $t $(stamp)
cd build
t=$(stamp); for f in *.c; do gcc -O1 -c $f; done; gcc -o all *.o; say 'build 12 files in C' $t $(stamp)
./all
cd ../..
t=$(stamp); rm -rf tree; say 'rm -rf' $t $(stamp)
'''


def libraries(program):
    return re.findall(r'(/\S+) \(0x', run(['ldd', program]))


def tools_layer():
    """git and gcc of this machine, which has the image's distribution, with all that they need."""
    paths = {'/usr/bin/git', '/usr/bin/as', '/usr/bin/ld'}
    gcc = os.path.dirname(run(['gcc', '-print-libgcc-file-name']).strip())
    paths |= {'/usr/bin/gcc', f'{gcc}/cc1', f'{gcc}/collect2', f'{gcc}/liblto_plugin.so'}
    for program in list(paths):
        paths |= set(libraries(program))
    for pattern in (f'{gcc}/include/**', f'{gcc}/*.o', f'{gcc}/libgcc*', '/usr/include/**',
                    '/usr/lib/*/libm.so*', '/usr/lib/*/*crt*.o', '/usr/lib/*/libc.so*', '/usr/lib/*/libc_nonshared.a', '/usr/lib/*/libgcc_s*'):
        paths |= {p for p in glob.glob(pattern, recursive=True) if os.path.isfile(p)}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(paths):
            info = tar.gettarinfo(os.path.realpath(path), path.lstrip('/'))
            info.uid = info.gid = 0
            info.type, info.linkname, info.size = tarfile.REGTYPE, '', os.path.getsize(path)
            with open(path, 'rb') as f:
                tar.addfile(info, f)
    return out.getvalue()


def make_tree(work):
    """A git work tree with small files as `npm ci` leaves them, and a program in C, as a tar."""
    path = f'{work}/tree'
    for number in range(FILES):
        folder = f'{path}/node_modules/package{number // 10}/lib'
        os.makedirs(folder, exist_ok=True)
        with open(f'{folder}/file{number}.js', 'w') as f:
            f.write(f'module.exports = {number};\n' * (1 + number * 7919 % 200))
    os.mkdir(f'{path}/build')
    for number in range(SOURCES):
        with open(f'{path}/build/part{number}.c', 'w') as f:
            f.write('#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n')
            f.write(f'int part{number}(int x) {{ char s[64]; return snprintf(s, sizeof s, "%d", x) + {number}; }}\n')
    with open(f'{path}/build/main.c', 'w') as f:
        f.writelines(f'int part{number}(int x);\n' for number in range(SOURCES))
        f.write('int main(void) { return ' + ' + '.join(f'part{number}(1)' for number in range(SOURCES)) + ' == 0; }\n')
    for words in (['init', '-q'], ['add', '-A'], ['commit', '-q', '-m', 'all'], ['gc', '-q']):
        run(['git', '-C', path, '-c', 'user.name=bench', '-c', 'user.email=bench@localhost', *words])
    run(['tar', '-C', work, '-cf', f'{work}/tools/tree.tar', 'tree'])
    shutil.rmtree(path)


class Bench:
    def __init__(self, work, on):
        self.work, self.values, self.units = work, {}, {}
        self.shared = tempfile.mkdtemp(prefix='mc-bench-', dir=on or work)

    def prepare(self):
        print('making an image and trees', file=sys.stderr)
        for name in ('tools', 'home', 'initrd'):
            os.mkdir(f'{self.work}/{name}', 0o700)
        self.env = os.environ | {'MONOCORE_HOME': f'{self.work}/home'}
        make_tree(self.work)
        for program in ('volume_guest', 'fuse_least'):
            run(['musl-gcc', '-static', '-O2', '-D_GNU_SOURCE', '-idirafter', '/usr/include', '-o',
                 f'{self.work}/tools/{program}', f'{REPOSITORY}/tests/bench/{program}.c'])
        self.image = images.over_debian(f'{self.work}/image', images.debian_parts()[1]['config'], [tools_layer()])
        run([MONOCORE, 'tmp', self.image, 'true'], env=self.env)
        self.make_initrd()

    def make_initrd(self):
        kernels = sorted(glob.glob(f'{self.work}/home/kernels/*/info.json')
                         + glob.glob('/usr/local/lib/monocore/kernels/*/info.json')
                         + glob.glob('/usr/lib/monocore/kernels/*/info.json'))
        self.kernel = os.path.dirname(kernels[0])
        with open(f'{self.kernel}/modules.cpio', 'rb') as f:
            modules = f.read()
        with open(f'{self.work}/tools/volume_guest', 'rb') as f:
            init = f.read()
        with open(f'{self.work}/initrd/initrd.cpio', 'wb') as f:
            f.write(modules + bytes(-len(modules) % 4) + archive({'init': init}))

    def note(self, kind, text):
        for line in text.splitlines():
            words = line.strip().split('\t')
            if len(words) == 3:
                self.values.setdefault(f'{words[0]}: {kind}', []).append(float(words[1]))
                self.units[f'{words[0]}: {kind}'] = words[2]

    def sandbox(self, kind, script):
        """All of it in one sandbox, whose directory /bench is of that kind."""
        options = KINDS.get(kind)
        volume = ['-v', f'{self.shared}{options[0]}', *options[1:]] if options else []
        text = run([MONOCORE, 'tmp', '--name', 'bench', '-v', f'{self.work}/tools:/tools:ro', *volume, self.image, '--',
                    'sh', '-c', f'mkdir -p /bench\n{script}'], env=self.env)
        self.note(kind, text)
        subprocess.run([MONOCORE, 'rm', '-f', 'bench'], env=self.env, capture_output=True, check=False)
        for name in os.listdir(self.shared):
            shutil.rmtree(f'{self.shared}/{name}')

    def virtiofsd(self):
        """QEMU's own server, in a machine that does nothing else."""
        socket = f'{self.work}/virtiofsd.sock'
        with open('/proc/cpuinfo') as f:
            khz = int(float(re.search(r'cpu MHz\s*:\s*([\d.]+)', f.read())[1]) * 1000)
        server = subprocess.Popen([VIRTIOFSD, f'--socket-path={socket}', '-o', f'source={self.shared}', '-o', 'cache=auto'],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                if os.path.exists(socket):
                    break
                time.sleep(0.05)
            text = run(['qemu-system-x86_64', '-M', 'microvm,acpi=on,memory-backend=m', '-accel', 'tcg', '-cpu', 'max', '-m', '512',
                        '-object', 'memory-backend-memfd,id=m,size=512M,share=on', '-nodefaults', '-no-user-config',
                        '-display', 'none', '-no-reboot', '-global', 'virtio-mmio.force-legacy=false',
                        '-kernel', f'{self.kernel}/vmlinux', '-initrd', f'{self.work}/initrd/initrd.cpio', '-serial', 'stdio',
                        '-chardev', f'socket,id=fs,path={socket}',
                        '-device', 'vhost-user-fs-device,chardev=fs,tag=bench,queue-size=1024',
                        '-append', f'console=ttyS0 quiet reboot=t panic=-1 tsc_early_khz={khz}'], timeout=600)
        finally:
            server.wait(20) if server.poll() is None and not time.sleep(1) else None
            server.kill()
        if 'failed:' in text:
            raise SystemExit(f'bench: {text[-500:]}')
        self.note("QEMU's virtiofsd", text)

    def end(self):
        shutil.rmtree(self.shared, ignore_errors=True)

    def measure(self, rounds):
        for number in range(rounds):
            print(f'round {number + 1} of {rounds}', file=sys.stderr)
            for kind in KINDS if number % 2 else reversed(KINDS):
                self.sandbox(kind, '/tools/volume_guest /bench')
                self.sandbox(kind, TREE)
            self.sandbox(LEAST, '/tools/fuse_least /bench\n' + UNTAR)
            if os.geteuid() == 0 and os.path.exists(VIRTIOFSD):
                self.virtiofsd()


def targets(m):
    """(what, value, bound, text, wanted) of each target; value <= bound holds it."""
    for what, least in (('read, buffered', 75), ('read, direct', 120), ('write 1 MiB blocks, fsync', 40)):
        value = m[f'{what}: volume']
        yield f'volume: {what}', -value, -least, f'{value:.0f} MB/s', f'{least} MB/s'
    for what, kind, other, most in (('create, write and close 2,000 files', 'volume', 'virtiofs', 3),
                                    ('stat 2,000 files, cached', 'volume', 'virtiofs', 1.5),
                                    ('untar 3,000 files', 'volume', 'own disk', 4),
                                    ('untar 3,000 files', 'staged', 'own disk', 1.5)):
        ratio = m[f'{what}: {kind}'] / m[f'{what}: {other}']
        yield f'{what}: {kind} to {other}', ratio, most, f'{ratio:.2f} times', f'{most:g} times'


def main():
    parser = arguments(__doc__, 3)
    parser.add_argument('--on', metavar='DIRECTORY')
    args = parser.parse_args()
    bench, rounds, results = measured(lambda work: Bench(work, args.on), args, 3, 1)
    results = dict(sorted(results.items()))
    table(results, bench.units, 54)
    held = standing(targets(medians(results)))
    write('bench-volumes', results, held, rounds=rounds, units=bench.units,
          qemu=run(['qemu-system-x86_64', '--version']).splitlines()[0])


main()
