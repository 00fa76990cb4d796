#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Volumes by the guest's own NFS client, whose connection goes over the port of volumes (--volume-driver nfs)."""
import contextlib
import os
import shutil
import signal
import time

from harness import tap, volume_promises
from harness.program import DEBIAN, SOURCES, Monocore, send
from harness.tap import contains, equal, promise, true, until
from harness.volume_promises import NAMED, Volumes
from harness.volumes import read, write

BUILD = os.environ.get('MC_BUILD') or f'{SOURCES}/build/release'
NFS = ('--volume-driver', 'nfs')

mc = Monocore()
vol = Volumes(mc, 'nfs', *NFS, named=NAMED)
shared, directory, folder = vol.name, vol.directory, vol.folder


@promise('a directory is read and written from both sides: contents, names, links, attributes, times, mapped files', limit=180)
def _():
    volume_promises.both_sides(vol)


@promise('much data goes both ways unchanged, through the guest\'s cache and beside it', limit=180)
def _():
    volume_promises.much_data(vol)


@promise('a read-only volume cannot be changed: it is the host that refuses', limit=180)
def _():
    volume_promises.read_only(vol)


@promise('owners, modes and devices are kept for sandboxes, judge users there, and none of it takes effect here', limit=180)
def _():
    volume_promises.owners(vol)


@promise('where owners are not kept, everything is root\'s, whoever made it and whatever it is given to', limit=180)
def _():
    volume_promises.squash(vol)


@promise('a new volume with a name is filled with what the image has there, but for xattrs; with nocopy it stays empty', limit=180)
def _():
    volume_promises.filled(vol)


@promise('links lead nowhere out of a directory, and rm -rf touches nothing else', limit=180)
def _():
    volume_promises.links(vol)


FORGED = r'''
import os, socket, struct
port = int([w for line in open("/proc/mounts") if " /b nfs" in line for w in line.split()[3].split(",") if w.startswith("port=")][0][5:])
# MOUNT's MNT, as root by its own word.
who = struct.pack(">IIIIII", 0, 1, 0x78000000, 0, 0, 0)
call = struct.pack(">IIIIII", 1, 0, 2, 100005, 3, 1) + struct.pack(">II", 1, len(who)) + who + struct.pack(">II", 0, 0)
call += struct.pack(">I", 7) + b"/volume\0"
os.setresuid(1234, 1234, 1234)
s = socket.create_connection(("127.0.0.1", port))
s.settimeout(100)
print("connected", flush=True)
try:
    s.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
    print(len(s.recv(100)))
except ConnectionError:
    print(0)
'''


@promise('a sandbox with such volumes is not saved while it runs, and says why')
def _():
    mc('fork', shared()).ok(1).says('volumes by nfs', 'was booted')


@promise('no user of the sandbox but root can speak with the server and say who he is', limit=180)
def _():
    run = mc.start('exec', shared(), 'python3', '-c', FORGED)
    equal(run.stdout.readline(), b'connected\n')
    # It is judged when the kernel's own connection makes room.
    send(vol.server(f'{folder}/b'))
    out, err = run.communicate(timeout=60)
    equal(out, b'0\n', err.decode())
    equal(mc.shell(shared(), 'echo well >/b/well; cat /b/well'), 'well')


@promise('a file is what a buffer is, after 300 random operations, though the server is killed all the time', limit=180)
def _():
    shutil.copy(f'{BUILD}/tests/unit/fsx', f'{vol.path("a")}/fsx')
    kills, run = 0, mc.start('exec', shared(), '/a/fsx', '/b/file', '1', '300', 'no-holes')
    while run.poll() is None and kills < 60:
        pid = vol.server(f'{folder}/b')
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
        send(vol.server(f'{folder}/b') or until(lambda: vol.server(f'{folder}/b'), 'there is another', 20))
    out, err = run.communicate(timeout=60)
    equal((out.decode(), err.decode()), ('50\n50\n/b/tree/x/y\n', ''))
    equal(len(os.listdir(f'{folder}/b/tree/x/y')), 51)
    contains(mc('log', '--stream', 'system', shared()).ok().out, 'another takes over')


@promise('a volume that nobody answers stops neither others nor exec and log', limit=180)
def _():
    volume_promises.stalled(vol)


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
    mc('volume', 'rm', *(place.split(':')[0] for place in NAMED))
    shutil.rmtree(folder)
    return lines


tap.main(finish)
