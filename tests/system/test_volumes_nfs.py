#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Volumes by the guest's own NFS client, whose connection goes over the port of volumes (--volume-driver nfs)."""
import contextlib
import functools
import os
import shutil
import signal
import stat
import time

from harness import state, tap
from harness.program import DEBIAN, SOURCES, Monocore, send, supervisor_of
from harness.tap import contains, equal, promise, true, until
from harness.volumes import Folder, read, write

BUILD = os.environ.get('MC_BUILD') or f'{SOURCES}/build/release'
NFS = ('--volume-driver', 'nfs')
BOOT = 120  # seconds for a command that boots a machine

mc = Monocore()
directory = Folder('volumes-nfs')
folder = directory.path


@functools.cache
def shared():
    """One machine for all: /a and /b can be written, /ro cannot."""
    for name in 'a', 'b', 'ro':
        directory(name)
    write(f'{folder}/ro/file', 'as it was')
    shutil.copy(f'{BUILD}/tests/unit/fsx', f'{folder}/a/fsx')
    return mc('tmp', '-d', *NFS, '-v', f'{folder}/a:/a', '-v', f'{folder}/b:/b', '-v', f'{folder}/ro:/ro:ro', DEBIAN, '--',
              'sleep', 'infinity', timeout=BOOT).ok().out.strip()


def server_of(path):
    """The process that serves a directory now. There may be none for a moment."""
    for pid in state.volume_servers(supervisor_of(mc, shared())):
        with contextlib.suppress(OSError):
            s = os.stat(f'/proc/{pid}/fd/3')
            if (s.st_dev, s.st_ino) == (os.stat(path).st_dev, os.stat(path).st_ino):
                return pid
    return None


@promise('a directory is read and written from both sides: contents, names, links, attributes, times, mapped files', limit=180)
def _():
    name, a = shared(), directory('a')
    write(f'{a}/from-host', 'hello\n')
    equal(mc.shell(name, 'cd /a; cat from-host; mkdir -p d/e; echo inside >d/e/file; ln -s file d/e/link; ln d/e/file hard; '
                   'mv d/e/file d/renamed; rm from-host; mkfifo fifo; ls; stat -c %h hard; mount | grep -c "on /a type nfs"'),
          'hello\nd\nfifo\nfsx\nhard\n2\n1')
    equal((read(f'{a}/d/renamed'), os.readlink(f'{a}/d/e/link'), os.stat(f'{a}/hard').st_nlink), ('inside\n', 'file', 2))
    true(not os.path.exists(f'{a}/from-host'), 'it was removed')
    mc('exec', name, 'python3', '-c', 'import mmap, os\n'
       'fd = os.open("/a/mapped", os.O_RDWR | os.O_CREAT)\nos.ftruncate(fd, 1 << 20)\nm = mmap.mmap(fd, 1 << 20)\n'
       'm[5000:5006] = b"mapped"\nm.flush()\nos.utime("/a/hard", ns=(1, 1123456789))\n'
       'open("/a/sparse", "w").truncate(1 << 32)\nopen("/a/n" + "a" * 254, "w")').ok()
    equal(os.stat(f'{a}/hard').st_mtime_ns, 1123456789)
    with open(f'{a}/mapped', 'rb') as f:
        equal(f.read()[5000:5006], b'mapped')
    equal((os.stat(f'{a}/sparse').st_size, os.stat(f'{a}/sparse').st_blocks < 100), (1 << 32, True))
    data = os.urandom(12 << 20)
    with open(f'{a}/big', 'wb') as f:
        f.write(data)
    mc.shell(name, 'cp /a/big /b/copy; sync')
    with open(f'{folder}/b/copy', 'rb') as f:
        true(f.read() == data, 'much data goes both ways unchanged')


@promise('a read-only volume cannot be changed: it is the host that refuses', limit=180)
def _():
    # Root of the guest takes its kernel's word back, which alone would not be enough.
    answer = mc('exec', shared(), 'sh', '-c', 'cat /ro/file; echo x >/ro/file; mount -o remount,rw /ro; mount | grep "on /ro"; '
                'echo x >/ro/file; echo x >/ro/new; rm -f /ro/file; mkdir /ro/d; chmod 777 /ro/file')
    equal((read(f'{folder}/ro/file'), os.listdir(f'{folder}/ro')), ('as it was', ['file']))
    contains(answer.out, 'as it was')
    contains(answer.out, '(rw')
    equal(answer.err.count('Read-only file system') + answer.err.count('Permission denied'), 6, answer.err)


@promise('owners, modes and devices are kept for sandboxes, judge users there, and none of it takes effect here', limit=180)
def _():
    d = directory('b')
    equal(mc.shell(shared(), 'mkdir /b/own; cd /b/own; echo x >file; chown 1000:1001 file; chmod 6750 file; mknod null c 1 3; '
                   'stat -c "%n %F %u:%g %a" *; echo a >null; cat null; setpriv --reuid 1234 --clear-groups cat file 2>&1; '
                   'setpriv --reuid 1234 --regid 1001 --clear-groups cat file'),
          'file regular file 1000:1001 6750\nnull character special file 0:0 644\ncat: file: Permission denied\nx')
    for name in os.listdir(f'{d}/own'):
        s = os.lstat(f'{d}/own/{name}')
        equal((s.st_uid, s.st_mode & 0o7000, stat.S_ISREG(s.st_mode)), (os.getuid(), 0, True), name)


FORGED = r'''
import os, socket, struct
port = int([w for line in open("/proc/mounts") if " /b nfs" in line for w in line.split()[3].split(",") if w.startswith("port=")][0][5:])
# MOUNT's MNT, as root by its own word.
who = struct.pack(">IIIIII", 0, 1, 0x78000000, 0, 0, 0)
call = struct.pack(">IIIIII", 1, 0, 2, 100005, 3, 1) + struct.pack(">II", 1, len(who)) + who + struct.pack(">II", 0, 0)
call += struct.pack(">I", 7) + b"/volume\0"
os.setresuid(1234, 1234, 1234)
s = socket.create_connection(("127.0.0.1", port))
s.settimeout(30)
try:
    s.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
    print(len(s.recv(100)))
except ConnectionError:
    print(0)
'''


@promise('no user of the sandbox but root can speak with the server and say who he is', limit=180)
def _():
    run = mc.start('exec', shared(), 'python3', '-c', FORGED)
    time.sleep(1)
    # It is judged when the kernel's own connection makes room.
    send(server_of(f'{folder}/b'))
    out, err = run.communicate(timeout=60)
    equal(out, b'0\n', err.decode())
    equal(mc.shell(shared(), 'echo well >/b/well; cat /b/well'), 'well')


@promise('a file is what a buffer is, after 300 random operations, though the server is killed all the time', limit=180)
def _():
    kills, run = 0, mc.start('exec', shared(), '/a/fsx', '/b/file', '1', '300', 'no-holes')
    while run.poll() is None and kills < 60:
        pid = server_of(f'{folder}/b')
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                kills += 1
        time.sleep(0.5)
    out, err = run.communicate(timeout=120)
    equal(out.decode(), '300 operations\n', err.decode())
    true(kills > 1, f'{kills} kills')


@promise('a server that is killed is replaced, and work, open files and a tree that is known go on', limit=180)
def _():
    run = mc.start('exec', shared(), 'sh', '-c', 'mkdir -p /b/tree/x/y; cd /b/tree/x/y; exec 3>open; i=0; while [ $i -lt 50 ]; '
                   'do echo $i >&3; echo $i >f$i; mv f$i g$i; i=$((i + 1)); done; exec 3>&-; wc -l <open; cat g* | wc -l; pwd')
    for _ in range(3):
        time.sleep(0.3)
        send(server_of(f'{folder}/b') or until(lambda: server_of(f'{folder}/b'), 'there is another', 20))
    out, err = run.communicate(timeout=60)
    equal((out.decode(), err.decode()), ('50\n50\n/b/tree/x/y\n', ''))
    equal(len(os.listdir(f'{folder}/b/tree/x/y')), 51)
    contains(mc('log', '--stream', 'system', shared()).ok().out, 'another takes over')


@promise('a volume that nobody answers stops neither others nor exec and log', limit=180)
def _():
    name = shared()
    mc.shell(name, 'for i in a b; do echo x >/$i/file; done; sync')
    stopped = server_of(f'{folder}/a')
    os.kill(stopped, signal.SIGSTOP)
    try:
        time.sleep(1.1)  # what the kernel knows is used up
        waiting = mc.start('exec', name, 'cat', '/a/file')
        flood = mc.start('exec', name, 'sh', '-c', 'head -c 16M /dev/zero >/a/flood; echo done')
        equal(mc.shell(name, 'cat /b/file /ro/file; echo y >/b/more; cat /b/more; echo well'), 'x\nas it wasy\nwell')
        mc('log', name).ok()
        equal((waiting.poll(), flood.poll()), (None, None))
    finally:
        os.kill(stopped, signal.SIGCONT)
    equal((waiting.communicate(timeout=20)[0], flood.communicate(timeout=60)[0]), (b'x\n', b'done\n'))
    equal(os.path.getsize(f'{folder}/a/flood'), 16 << 20)


@promise('what does not go together is refused in one line')
def _():
    d, before = directory('refused'), mc.names()
    write(f'{d}/file', 'x')
    for words, says in (((*NFS, '--engine', 'krun', '-v', f'{d}:/v'), 'qemu'), ((*NFS, '-v', f'{d}:/v:stage'), 'stage'),
                        ((*NFS, '-v', f'{d}/file:/v'), 'a file comes by the driver fuse')):
        mc('tmp', *words, DEBIAN, 'true').ok(125).says(says)
    equal(mc.names(), before)


def finish():
    lines = mc.clean()
    shutil.rmtree(folder)
    return lines


tap.main(finish)
