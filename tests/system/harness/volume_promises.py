# SPDX-License-Identifier: Apache-2.0
"""What volumes promise whatever way they come, on one machine for each way: test_volumes.py, test_virtiofs.py and
test_volumes_nfs.py name each promise, and say what is different."""
import os
import signal
import stat
import time

from . import images
from .program import DEBIAN
from .tap import contains, equal, true
from .volumes import Folder, read, server_of, write

BOOT = 120  # seconds for a command that boots a machine

# In /srv/db all that can be filled into a volume, in /var/lib/misc many files; /srv/way leads to the first.
SEED = [images.directory('srv/db', 0o2750, uid=1000, gid=1001, mtime=2),
        images.member('srv/db/seed', b'seed\n', mode=0o4751, uid=1000, gid=1001, mtime=1.5,
                      pax_headers={'SCHILY.xattr.user.kind': 'seed'}),
        images.directory('srv/db/sub', mtime=2), images.hardlink('srv/db/sub/same', 'srv/db/seed'),
        images.symlink('srv/db/sub/link', '../seed'),
        images.member('srv/db/null', kind=images.tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
        images.member('srv/db/pipe', kind=images.tarfile.FIFOTYPE, mode=0o600), images.symlink('srv/way', 'db')]
SEED += [images.member(f'var/lib/misc/{i}') for i in range(300)]
SHOWN = 'cd {}; find . -printf "%P %y %m %U:%G %n %T@ %l\\n" | sort; cat seed'


def seeded(path):
    """Debian's image with SEED; its reference."""
    return 'oci:' + path if os.path.exists(path) else images.over_debian(path, None, [images.layer(*SEED)])


class Volumes:
    """A machine, started when it is needed: /a, /b and /squashed (:squash) can be written, /ro (:ro) cannot. named: more
    volumes, on an image of their own."""

    def __init__(self, mc, kind, *options, named=(), folder=None):
        self.mc, self.kind, self.options, self.named = mc, kind, options, named
        self.directory = folder or Folder(f'volumes-{kind}')
        self.folder = self.directory.path
        self.running = None

    def path(self, letter, name=''):
        return self.directory(f'{letter}/{name}'.rstrip('/'))

    def name(self):
        """The sandbox's."""
        if not self.running:
            places = [('a', '/a'), ('b', '/b'), ('ro', '/ro:ro'), ('squashed', '/squashed:squash')]
            words = [w for source, place in places for w in ('-v', f'{self.directory(source)}:{place}')]
            words += [w for place in self.named for w in ('-v', place)]
            write(f'{self.folder}/ro/file', 'as it was')
            image = seeded(f'{self.folder}/image') if self.named else DEBIAN
            self.running = self.mc('tmp', '-d', *self.options, *words, image, '--', 'sleep', 'infinity', timeout=BOOT).ok().out.strip()
        return self.running

    def forget(self):
        self.running = None

    def server(self, path):
        """The process that serves a directory now, or None."""
        return server_of(self.mc, self.name(), path)


def both_sides(v):
    d = v.path('a', 'both')
    write(f'{d}/from-host', 'hello\n')
    equal(v.mc.shell(v.name(), 'cd /a/both; cat from-host; mkdir -p d/e; echo inside >d/e/file; ln -s file d/e/link; ln d/e/file hard; '
                     'mv d/e/file d/renamed; rm from-host; mkfifo fifo; ls; stat -c %h hard; mount | grep -c "on /a type '
                     f'{v.kind}"'), 'hello\nd\nfifo\nhard\n2\n1')
    equal((read(f'{d}/d/renamed'), os.readlink(f'{d}/d/e/link'), os.stat(f'{d}/hard').st_nlink), ('inside\n', 'file', 2))
    true(not os.path.exists(f'{d}/from-host'), 'it was removed')
    for name in ('d', 'd/e', 'd/renamed', 'hard'):
        equal(os.stat(f'{d}/{name}').st_uid, os.getuid(), name)
    v.mc('exec', v.name(), 'python3', '-c', 'import mmap, os\nos.chdir("/a/both")\n'
         'fd = os.open("mapped", os.O_RDWR | os.O_CREAT)\nos.ftruncate(fd, 1 << 20)\nm = mmap.mmap(fd, 1 << 20)\n'
         'm[5000:5006] = b"mapped"\nm.flush()\nos.utime("hard", ns=(1, 1123456789))\n'
         'open("sparse", "w").truncate(1 << 32)\nopen("n" + "a" * 254, "w")').ok()
    equal(os.stat(f'{d}/hard').st_mtime_ns, 1123456789)
    with open(f'{d}/mapped', 'rb') as f:
        equal(f.read()[5000:5006], b'mapped')
    equal((os.stat(f'{d}/sparse').st_size, os.stat(f'{d}/sparse').st_blocks < 100), (1 << 32, True))


def much_data(v):
    data = os.urandom(16 << 20)
    with open(f'{v.path("a")}/big', 'wb') as f:
        f.write(data)
    v.mc.shell(v.name(), 'cp /a/big /b/copy; dd if=/a/big of=/b/direct bs=1M iflag=direct oflag=direct 2>&1; sync')
    for name in 'copy', 'direct':
        with open(f'{v.folder}/b/{name}', 'rb') as f:
            true(f.read() == data, name)


def read_only(v):
    # Root of the guest takes its kernel's word back, which alone would not be enough.
    answer = v.mc('exec', v.name(), 'sh', '-c', 'cat /ro/file; echo x >/ro/file; mount -o remount,rw /ro; mount | grep "on /ro"; '
                  'echo x >/ro/file; echo x >/ro/new; rm -f /ro/file; mkdir /ro/d; chmod 777 /ro/file')
    equal((read(f'{v.folder}/ro/file'), os.listdir(f'{v.folder}/ro')), ('as it was', ['file']))
    contains(answer.out, 'as it was')
    contains(answer.out, '(rw')
    denied = answer.err.count('Permission denied') if v.kind == 'nfs' else 0  # what ACCESS says
    equal(answer.err.count('Read-only file system') + denied, 6, answer.err)


def owners(v):
    d = v.path('b', 'own')
    equal(v.mc.shell(v.name(), 'cd /b/own; echo x >file; chown 1000:1001 file; chmod 6750 file; mknod null c 1 3; '
                     'stat -c "%n %F %u:%g %a" *; echo a >null; cat null; setpriv --reuid 1234 --clear-groups cat file 2>&1; '
                     'setpriv --reuid 1234 --regid 1001 --clear-groups cat file'),
          'file regular file 1000:1001 6750\nnull character special file 0:0 644\ncat: file: Permission denied\nx')
    for name in os.listdir(d):
        s = os.lstat(f'{d}/{name}')
        equal((s.st_uid, s.st_mode & 0o7000, stat.S_ISREG(s.st_mode)), (os.getuid(), 0, True), name)


def squash(v):
    d = v.path('squashed')
    write(f'{d}/here', 'mine\n')
    equal(v.mc.shell(v.name(), 'cd /squashed; echo x >file; chown 1000:1001 file; chmod 640 file; mkdir dir; chown 7:8 dir; ln -s file link; '
                     'chown -h 9:9 link; chmod 777 .; '
                     'setpriv --reuid 1234 --regid 1234 --clear-groups sh -c "cat file 2>&1; echo by another >other; set -C; echo new >excl; '
                     'chmod 700 other 2>/dev/null || echo not mine; set +C; echo >here" 2>&1; '
                     'stat -c "%n %u:%g %a" *; cat here other excl'),
          'cat: file: Permission denied\nnot mine\nsh: 1: cannot create here: Permission denied\ndir 0:0 755\nexcl 0:0 644\nfile 0:0 640\nhere 0:0 644\nlink 0:0 777\nother 0:0 644\nmine\nby another\nnew')
    for name in os.listdir(d):
        equal((os.lstat(f'{d}/{name}').st_uid, os.listxattr(f'{d}/{name}', follow_symlinks=False)), (os.getuid(), []), name)


# Volumes with names for a machine of the image `seeded`, where they are new.
NAMED = ('whole:/srv/db', 'many:/var/lib/misc:squash', 'bare:/etc/skel:nocopy')


def filled(v):
    below = 'mount --bind / /mnt; '
    equal(v.mc.shell(v.name(), SHOWN.format('/srv/db')), v.mc.shell(v.name(), below + SHOWN.format('/mnt/srv/db')))
    equal(v.mc.shell(v.name(), 'ls -A /mnt/etc/skel | wc -l; ls -A /etc/skel; ls /var/lib/misc | wc -l; stat -c %u:%g /srv/db /var/lib/misc; '
                     'umount /mnt; touch /etc/skel/new'), '3\n300\n1000:1001\n0:0')
    equal([sorted(os.listdir(f'{v.mc.home}/volumes/{name}'))[:2] for name in ('bare', 'whole')], [['new'], ['null', 'pipe']])
    equal([name for name in os.listdir(f'{v.mc.home}/volumes') if name.startswith('.new')], [])


def links(v):
    a, outside = v.path('a', 'rm'), v.directory('outside')
    write(f'{outside}/precious', 'gold')
    os.makedirs(f'{a}/sub')
    for link, target in (('abs', outside), ('rel', '../../outside'), ('sub/up', '../../../outside'), ('file', f'{outside}/precious')):
        os.symlink(target, f'{a}/{link}')
    answer = v.mc('exec', v.name(), 'sh', '-c', 'cd /a/rm; cat abs/precious rel/precious sub/up/precious file; ls ../..; '
                  'cat ../../outside/precious; ln -s / root; ls root/etc/debian_version; cd sub; cat ../../../outside/precious; '
                  'rm -rf /a/rm/*; ls -A /a/rm')
    true('gold' not in answer.out and 'gold' not in answer.err, str(answer))
    equal(answer.out.splitlines()[-1], 'root/etc/debian_version')
    equal((os.listdir(a), read(f'{outside}/precious')), ([], 'gold'))


def stalled(v):
    name = v.name()
    v.mc.shell(name, 'for i in a b; do echo x >/$i/file; done; sync')
    stopped = v.server(v.path('a'))
    os.kill(stopped, signal.SIGSTOP)
    try:
        time.sleep(1.1)  # what the kernel knows is used up
        waiting = v.mc.start('exec', name, 'cat', '/a/file')
        flood = v.mc.start('exec', name, 'sh', '-c', 'head -c 16M /dev/zero >/a/flood; echo done')
        equal(v.mc.shell(name, 'cat /b/file /ro/file; echo y >/b/more; cat /b/more; echo well'), 'x\nas it wasy\nwell')
        v.mc('log', name).ok()
        equal((waiting.poll(), flood.poll()), (None, None))
    finally:
        os.kill(stopped, signal.SIGCONT)
    equal((waiting.communicate(timeout=20)[0], flood.communicate(timeout=60)[0]), (b'x\n', b'done\n'))
    equal(os.path.getsize(f'{v.folder}/a/flood'), 16 << 20)
