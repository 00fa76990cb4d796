#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What comes into a sandbox by virtiofs: volumes, and a root that the host makes of an image and a directory."""
import os
import shutil
import stat

from harness import state, tap, volume_promises
from harness.program import DEBIAN, Monocore, send, supervisor_of
from harness.tap import contains, equal, promise, true, until
from harness.volume_promises import BOOT, NAMED, Volumes
from harness.volumes import read, server_of, servers, write

mc = Monocore()
VIRTIOFS = ('--volume-driver', 'virtiofs')
vol = Volumes(mc, 'virtiofs', *VIRTIOFS, named=NAMED)
shared, directory = vol.name, vol.directory


def detached(*options, image=DEBIAN):
    return mc('tmp', '-d', *options, image, '--', 'sleep', 'infinity', timeout=BOOT).ok().out.strip()


@promise('a directory is read and written from both sides: contents, names, links, attributes, times, mapped files', limit=150)
def _():
    volume_promises.both_sides(vol)
    mc('exec', shared(), 'python3', '-c', 'import os; os.setxattr("/a/both/hard", "user.x", b"y")').ok()
    equal(os.getxattr(f'{directory("a/both")}/hard', 'user.x'), b'y')


@promise('much data goes both ways unchanged, through the guest\'s cache and beside it')
def _():
    volume_promises.much_data(vol)


@promise('a read-only volume cannot be changed: it is the host that refuses')
def _():
    volume_promises.read_only(vol)


@promise('owners, modes and devices are kept for sandboxes, judge users there, and none of it takes effect here')
def _():
    volume_promises.owners(vol)


@promise('where owners are not kept, everything is root\'s, whoever made it and whatever it is given to')
def _():
    volume_promises.squash(vol)


@promise('a new volume with a name is filled with what the image has there; with nocopy it stays empty')
def _():
    volume_promises.filled(vol)
    equal(mc.shell(shared(), 'python3 -c "import os; print(os.getxattr(\'/srv/db/seed\', \'user.kind\'))"'), "b'seed'")


@promise('links lead nowhere out of a directory, and rm -rf touches nothing else')
def _():
    volume_promises.links(vol)


@promise('a volume that nobody answers stops neither others nor exec and log')
def _():
    volume_promises.stalled(vol)


@promise('a server that ends ends the sandbox, which says so and leaves nothing')
def _():
    name = shared()
    supervisor, seen = supervisor_of(mc, name), servers(mc, name)
    equal(len(seen), 4 + len(NAMED))
    mc('fork', name).ok(1).says('by virtiofs cannot be saved')
    waiting = mc.start('exec', name, 'sh', '-c', 'while :; do echo x >/a/x; done')
    send(vol.server(vol.path('a')))
    until(lambda: not state.alive(supervisor), 'the sandbox ends', 10)
    waiting.communicate(timeout=10)
    true(waiting.returncode != 0, 'so does an exec')
    equal([pid for pid in seen if state.alive(pid)], [])
    row = mc('inspect', name).ok().json()[0]
    equal((row['status']['state'], row['volume_driver']), ('stopped', 'virtiofs'))
    contains(row['status']['reason'], 'the server of the volume /a ended')
    contains(mc('log', '--stream', 'system', name).ok().out, 'the server of the volume /a ended')
    mc('rm', name).ok()
    vol.forget()


@promise('nothing runs on when the supervisor is killed; a directory that has gone is an error that names it')
def _():
    d = directory('again')
    name = detached(*VIRTIOFS, '-v', f'{d}:/again')
    supervisor = supervisor_of(mc, name)
    everybody = state.descendants(supervisor)
    true(servers(mc, name)[0] in everybody and state.engines(supervisor)[0] in everybody, 'they are below it')
    send(supervisor)
    until(lambda: not [pid for pid in everybody if state.alive(pid)], 'all end with it', 10)
    os.rename(d, d + '-moved')
    contains(mc('restart', name, timeout=BOOT).err, d)
    mc('rm', name).ok()


WORK = r'''
set -e
# Over, and away with, what the image has.
echo changed >>/etc/issue
rm /etc/debian_version
rm -rf /usr/share/lintian
mkdir /usr/share/lintian
echo mine >/usr/share/lintian/only
mv /usr/share/bash-completion /usr/share/moved
ln /etc/passwd /etc/passwd.link
echo "u:x:1234:1234::/home/u:/bin/sh" >>/etc/passwd.link
chown 33:44 /etc/hostname.new 2>/dev/null || { echo >/etc/hostname.new; chown 33:44 /etc/hostname.new; }
# A package: dpkg's own ways to write, rename and sync.
mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin /tmp/p/etc
printf 'Package: mine\nVersion: 1\nArchitecture: all\nMaintainer: m <m@m>\nDescription: d\n' >/tmp/p/DEBIAN/control
cp /usr/bin/id /tmp/p/usr/bin/mine
chmod 4755 /tmp/p/usr/bin/mine
echo conf >/tmp/p/etc/mine.conf
echo /etc/mine.conf >/tmp/p/DEBIAN/conffiles
dpkg-deb -Znone --build /tmp/p /tmp/mine.deb >/dev/null
dpkg -i /tmp/mine.deb >/dev/null
rm -r /tmp/p
mkdir /many
i=0; while [ $i -lt 100 ]; do echo $i >/many/f$i; i=$((i + 1)); done
'''

LOOK = r'''
tail -n 1 /etc/issue; ls /usr/share/lintian; find /usr/share/moved | wc -l; ls -d /usr/share/bash-completion /etc/debian_version
tail -n 1 /etc/passwd | cut -d: -f1; stat -c %h /etc/passwd; stat -c %u:%g /etc/hostname.new; stat -c %a:%u /usr/bin/mine
setpriv --reuid 1234 --clear-groups /usr/bin/mine -u; dpkg -s mine | grep Status; cat /many/f* | wc -l
find /usr/share -xdev -type f -name 'only' | wc -l
'''


def look(name):
    answer = mc('exec', name, 'sh', '-c', LOOK)
    equal(answer.err.count('No such file'), 2, answer.err)
    lines = answer.ok().out.splitlines()
    equal(lines[:2] + lines[3:], ['changed', 'only', 'u', '2', '33:44', '4755:0', '0', 'Status: install ok installed', '100', '1'])
    true(int(lines[2]) > 50, 'what was renamed is whole')


@promise('a root of an image and a directory bears all work, and keeps it when the sandbox starts again', limit=300)
def _():
    v = directory('with')
    name = detached('--rootfs', 'overlay', '-v', f'{v}:/with')
    try:
        equal(mc.shell(name, 'stat -f -c %T /; stat -c %Y:%a:%u / /usr | uniq | wc -l; echo y >/with/x; cat /with/x'), 'fuseblk\n1\ny')
        mc('exec', name, 'sh', '-c', WORK, timeout=120).ok()
        look(name)
        write(f'{directory.path}/in', 'copied in')
        mc('cp', f'{directory.path}/in', f'{name}:/root/in').ok()
        mc('commit', name, 'overlay:test').ok(1).says('--rootfs overlay', f'monocore stop {name}')
        mc('stop', '-t', '1', name, timeout=60).ok()
        mc('commit', name, 'overlay:test', timeout=BOOT).ok()
        mc('restart', name, timeout=BOOT).ok()
        look(name)
        mc('cp', f'{name}:/root/in', f'{directory.path}/out').ok()
        equal(read(f'{directory.path}/out'), 'copied in')
        row = mc('inspect', name).ok().json()[0]
        home = f'{mc.home}/sandboxes/{row["id"]}'
        equal((row['rootfs'], os.path.exists(f'{home}/disk'), os.path.isdir(f'{home}/overlay/upper/many')), ('overlay', False, True))
        # Nothing of it means anything here.
        for at, _, files in os.walk(f'{home}/overlay'):
            for file in files:
                s = os.lstat(f'{at}/{file}')
                equal((s.st_uid, s.st_mode & 0o7000), (os.getuid(), 0), file)
                true(stat.S_ISREG(s.st_mode) or stat.S_ISLNK(s.st_mode), f'{at}/{file}')
        send(server_of(mc, name, f'{home}/overlay'))
        until(lambda: mc.row(name)['state'] == 'stopped', 'it ends with the server of its root', 10)
        contains(mc('inspect', name).json()[0]['status']['reason'], 'root file system')
    finally:
        mc('rm', '-f', name)
    true(not os.path.exists(home), 'and is gone with the sandbox')
    # Its changes are a layer of an image now, which a sandbox with a disk has as well.
    with_disk = detached(image='overlay:test')
    try:
        equal(mc.shell(with_disk, 'cat /root/in; ls -A /with; ls -A / | grep "^[.]wh"; ls /usr/share/lintian; stat -c %a:%u /usr/bin/mine; '
                       'ls -d /usr/share/bash-completion /etc/debian_version 2>&1 | grep -c "No such"'), 'copied inonly\n4755:0\n2')
    finally:
        mc('rm', '-f', with_disk)
        mc('rmi', 'overlay:test')


@promise('a read-only root by the host is the image, and cannot be written; a throw-away one leaves nothing')
def _():
    before = os.listdir(f'{mc.home}/sandboxes')
    answer = mc('tmp', '--rootfs', 'overlay', '--read-only', DEBIAN, '--', 'sh', '-c',
                'cat /etc/debian_version; echo x >/etc/x; rm -f /bin/true; mount -o remount,rw /; echo x >/usr/x; echo y >/tmp/y; cat /tmp/y',
                timeout=BOOT)
    contains(answer.err, 'Read-only file system')
    equal(answer.out.splitlines()[-1], 'y')
    equal(os.listdir(f'{mc.home}/sandboxes'), before)


@promise('what does not go together is refused in one line')
def _():
    d, before = directory('refused'), mc.names()
    for words, says in ((('--rootfs', 'overlay', '--disk', '1G'), 'directory of this host'),
                        (('--rootfs', 'overlay', '--engine', 'krun'), 'qemu'),
                        ((*VIRTIOFS, '--engine', 'krun', '-v', f'{d}:/v'), 'qemu'),
                        ((*VIRTIOFS, *(w for i in range(17) for w in ('-v', f'{d}:/v{i}'))), 'virtiofs')):
        mc('tmp', *words, DEBIAN, 'true').ok(125).says(says)
    equal(mc.names(), before)


def finish():
    lines = mc.clean()
    mc('volume', 'rm', *(place.split(':')[0] for place in NAMED))
    shutil.rmtree(directory.path)
    return lines


tap.main(finish)
