#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Directories of this host as volumes of sandboxes, and volumes that have names."""
import contextlib
import fcntl
import hashlib
import os
import signal
import stat
import struct
import subprocess
import time

from harness import state, tap, volume_promises
from harness.program import DEBIAN, Monocore, send, supervisor_of
from harness.tap import contains, equal, promise, true, until
from harness.volume_promises import SHOWN, Volumes, seeded
from harness.volumes import Folder, comm, read, servers, write

mc = Monocore()
directory = Folder('volumes')
vol = Volumes(mc, 'fuse', folder=directory)


def keeper(name):
    return next(pid for pid in state.descendants(supervisor_of(mc, name)) if comm(pid) == 'mcfs-volumes')


def run(*volumes, line, **options):
    words = [w for v in volumes for w in ('-v', v)]
    return mc('tmp', *words, DEBIAN, '--', 'sh', '-c', line, **options)


@promise('a directory is read and written from both sides, and what the sandbox makes belongs to the user here')
def _():
    volume_promises.both_sides(vol)


@promise('a path is one by how it begins; it is taken from where the command line stands')
def _():
    d = directory('here/sub')
    write(f'{d}/x', 'x')
    equal(run('./sub:/vol', line='cat /vol/x', cwd=f'{directory.path}/here').ok().out, 'x')
    equal(run('../../here:/vol', line='cat /vol/sub/x', cwd=d).ok().out, 'x')
    equal(run('.:/vol/', line='cat /vol/x', cwd=d).ok().out, 'x')
    equal(run('~/sub:/vol', line='cat /vol/x', env={'HOME': f'{directory.path}/here', 'MONOCORE_HOME': mc.home}).ok().out, 'x')


@promise('a read-only volume cannot be changed: it is the host that refuses')
def _():
    volume_promises.read_only(vol)


@promise('owners, modes, devices and attributes are kept for sandboxes, and none of it takes effect here')
def _():
    d = directory('owners')
    run(f'{d}:/vol', line='cd /vol; echo x >file; chown 1000:1001 file; chmod 6755 file; mkdir dir; chown 7:8 dir; chmod 1777 dir; '
        'mknod null c 1 3; mkfifo fifo; echo y >plain; chmod 640 plain; touch -d @1.123456789 plain').ok()
    shown = 'cd /vol; stat -c "%n %F %u:%g %a %t,%T" *; stat -c %.9Y plain; echo a >null; cat null'
    first = run(f'{d}:/vol', line=shown).ok().out
    equal(first, 'dir directory 7:8 1777 0,0\nfifo fifo 0:0 644 0,0\nfile regular file 1000:1001 6755 0,0\n'
          'null character special file 0:0 644 1,3\nplain regular file 0:0 640 0,0\n1.123456789\n')
    for name in os.listdir(d):
        s = os.lstat(f'{d}/{name}')
        equal((s.st_uid, s.st_mode & 0o7000), (os.getuid(), 0), name)
        true(stat.S_ISREG(s.st_mode) or stat.S_ISDIR(s.st_mode), f'{name} is what it may be here')


PRIVILEGES = r'''
import os, stat, sys
os.chdir(sys.argv[1])
CAP = bytes.fromhex("0100000200040000000000000000000000000000")
def look(what, path="f"):
    s = os.stat(path)
    try:
        cap = len(os.getxattr(path, "security.capability"))
    except OSError:
        cap = 0
    print(what, oct(stat.S_IMODE(s.st_mode)), cap)
def make():
    with open("f", "w") as f:
        f.write("x" * 10000)
    os.chown("f", 1000, 1000)
    os.chmod("f", 0o6777)
    os.setxattr("f", "security.capability", CAP)
def as_user(act):
    if os.fork() == 0:
        os.setgroups([])
        os.setgid(2000)
        os.setuid(2000)
        act()
        os._exit(0)
    os.wait()
def write():
    fd = os.open("f", os.O_WRONLY)
    os.write(fd, b"y")
    os.close(fd)
def truncate():
    os.truncate("f", 5)
def cut():
    os.close(os.open("f", os.O_WRONLY | os.O_TRUNC))
def own():
    os.chown("f", 1000, 1001)
for act in (write, truncate, cut, own):
    make()
    look("made")
    act()
    look(act.__name__ + " by root")
    make()
    if act is not own:
        as_user(act)
        look(act.__name__ + " by another")
'''


@promise('setuid bits and capabilities go with writes as they do on the sandbox\'s own disk')
def _():
    d = directory('privileges')
    write(f'{d}/privileges.py', PRIVILEGES)
    outs = [mc('tmp', '-v', f'{d}:/vol', DEBIAN, '--', 'sh', '-c',
               f'mkdir -p {at}/t; chmod 777 {at}/t; python3 /vol/privileges.py {at}/t').ok().out for at in ('/srv', '/vol')]
    equal(outs[1], outs[0])
    equal((outs[0].count('0o777 0'), outs[0].count('0o6777 20')), (4, 4), outs[0])


@promise('a volume with a name is made at its first use and keeps what is in it; in use it is not removed')
def _():
    equal(run('keep:/data', line='ls -A /data; echo kept >/data/file').ok().out, '')
    equal(run('keep:/other', line='cat /other/file').ok().out, 'kept\n')
    path = f'{mc.home}/volumes/keep'
    equal((stat.S_IMODE(os.stat(path).st_mode), read(f'{path}/file')), (0o755, 'kept\n'))
    row = mc('volume', 'inspect', 'keep').ok().json()[0]
    equal((row['name'], row['directory'], row['sandboxes']), ('keep', path, []))
    equal(mc('volume', 'inspect', 'none').ok(1).json(), [])
    with mc.sandbox('-v', 'keep:/data') as name:
        equal([r['sandboxes'] for r in mc('volume', 'ls', '--json').ok().json() if r['name'] == 'keep'], [[name]])
        contains(mc('volume', 'ls').ok().out, name)
        mc('volume', 'rm', 'keep').ok(1).says('in use', name)
        mc('stop', name).ok()
        mc('volume', 'rm', 'keep').ok(1).says('in use', name)
        shown = mc('inspect', name).ok().json()[0]['mounts']
        equal(shown, [{'type': 'volume', 'source': 'keep', 'target': '/data', 'read_only': False, 'squash': False,
                       'stage': False, 'nocopy': False, 'revision': '', 'mark': False, 'undo': False}])
    equal(mc('volume', 'rm', 'keep').ok().out, 'keep\n')
    equal(mc('volume', 'ls', '-q').ok().out, '')
    mc('volume', 'rm', 'keep').ok(1).says("'keep'")


@promise('a new volume is filled with what the image has there, once and whole, by one of those that start with it', limit=180)
def _():
    seed = seeded(f'{directory.path}/image')
    def tmp(*words, **options):
        return mc('tmp', *words, **options)
    image = tmp(seed, 'sh', '-c', SHOWN.format('/srv/db')).ok().out
    contains(image, 'seed f 4751 1000:1001 2 1.5')
    equal(tmp('-v', 'empty:/srv/db:nocopy', seed, 'ls', '-A', '/srv/db').ok().out, '')
    equal(tmp('-v', 'empty:/srv/db', seed, 'ls', '-A', '/srv/db').ok().out, '')
    equal(tmp('-v', 'db:/srv/db:ro', seed, 'ls', '-A', '/srv/db').ok().out, '')
    equal(tmp('-v', 'db:/srv/way', '-v', 'none:/no/such', seed, 'sh', '-c', SHOWN.format('/srv/way/')).ok().out, image)
    equal(tmp('-v', 'db:/x', '-v', 'none:/n', seed, 'sh', '-c', 'rm /x/seed; ls /x; stat -c "%a %u" /n; ls -A /n').ok().out,
          'null\npipe\nsub\n755 0\n')
    equal(tmp('-v', 'db:/srv/db', seed, 'ls', '/srv/db').ok().out, 'null\npipe\nsub\n')
    tmp('-v', f'{directory("bind")}:/x:nocopy', seed, 'true').ok(125).says('nocopy')
    # Killed in the middle, and started twice at once.
    half = mc.start('tmp', '-v', 'big:/var/lib/misc', seed, 'true')
    until(lambda: os.path.isdir(f'{mc.home}/volumes/big') and len(os.listdir(f'{mc.home}/volumes/big')) > 20, 'it is being filled', passing=True)
    for pid in mc.supervisors():
        if 'big' in str(os.listdir(f'{mc.home}/volumes')) and pid in state.descendants(half.pid):
            send(pid)
    half.kill()
    half.communicate()
    count = ('sh', '-c', 'ls /var/lib/misc | wc -l; touch /var/lib/misc/more')
    both = [mc.start('tmp', '-v', 'big:/var/lib/misc', seed, *count) for _ in range(2)]
    equal(sorted(p.communicate(timeout=120)[0] for p in both)[0], b'300\n')
    equal(len(os.listdir(f'{mc.home}/volumes/big')), 301)
    equal([n for n in os.listdir(f'{mc.home}/volumes') if n.startswith('.new')], [])


@promise('what makes no sense, or would give monocore\'s own away, is refused in one line')
def _():
    run(line='true').ok()  # so that nothing else is said below: the image is ready
    d, before = directory('refused'), mc.names()
    write(f'{d}/file', '')
    os.mkfifo(f'{d}/fifo')
    os.mkdir(f'{d}/closed', 0)
    os.makedirs(mc.home, exist_ok=True)
    os.symlink(mc.home, f'{d}/link')
    write(f'{mc.home}/mine', '')
    for volume, status, says in (
            (f'{d}/none:/vol', 125, f'{d}/none'),
            (f'{d}/closed:/vol', 125, f'{d}/closed: look at what is above it: Permission denied'), (f'{d}/fifo:/vol', 125, 'neither a directory nor a regular file'),
            (f'{mc.home}/mine:/vol', 125, 'cannot be a volume'), (f'{d}/file:/etc/passwd', 125, 'users'),
            (f'{mc.home}:/vol', 125, 'cannot be a volume'), (f'{os.path.dirname(mc.home)}:/vol', 125, 'cannot be a volume'),
            (f'{mc.home}/store:/vol', 125, 'cannot be a volume'), (f'{d}/link:/vol', 125, 'cannot be a volume'),
            ('/:/vol', 125, 'cannot be a volume'), (f'{d}:vol', 125, 'no absolute path'), (f'{d}:/', 125, 'root'),
            (f'{d}:/a/../b', 125, '..'), (f'{d}:/proc/x', 125, 'kernel'), (f'{d}:/etc', 125, 'users'), (f'{d}:/vol:wild', 125, 'wild'),
            (f'{d}:/vol:stage,ro', 125, 'stage'), (f'{d}', 125, 'SOURCE:PATH[:OPTIONS]'),
            (f'{d}:/vol:squash:stage', 125, 'commas'), ('-x:/vol', 125, '-x'),
            ('a/b:/vol', 125, './a/b'), ('x' * 64 + ':/vol', 125, 'name')):
        run(volume, line='true').ok(status).says(says)
    run(f'{d}:/vol', f'{d}:/vol/', line='true').ok(125).says('two volumes', '/vol')
    true(mc('tmp', '--volume-driver', 'smb', '-v', f'{d}:/vol', DEBIAN, 'true').says('smb').status != 0, 'no such driver')
    contains(run(f'{d}/file:/usr', line='true').ok(125).err, '/usr: Is a directory')
    contains(mc('tmp', '--volume-driver', 'virtiofs', '-v', f'{d}/file:/x', DEBIAN, 'true').ok(125).err, 'by the driver fuse alone')
    contains(run(f'{d}:/etc/os-release', line='true').ok(125).err, '/etc/os-release: Not a directory')
    for volumes in (('unmade:/etc',), ('unmade:/vol', f'{mc.home}:/x'), ('unmade:/vol', f'{d}:/vol')):
        run(*volumes, line='true').ok(125)
        true(not os.path.exists(f'{mc.home}/volumes/unmade'), f'{volumes} made a volume')
    until(lambda: mc.names() == before, 'nothing is left')
    os.unlink(f'{mc.home}/mine')


FILE = r'''
cat /etc/app.json /made/here/x; echo inside >>/etc/app.json; cat /etc/app.json
chown 5:6 /etc/app.json; chmod 4750 /etc/app.json; stat -c '%u:%g %a %F' /etc/app.json
echo x >/made/here/x && echo written
rm /etc/app.json 2>&1; mv /made/here/x /made/here/y 2>&1; ls /etc/app.json/.. 2>&1; mkdir /etc/app.json/d 2>&1; echo; ls /made/here
'''


@promise('a single file is a volume, where it has a name in the image and where it has none')
def _():
    d = directory('single')
    write(f'{d}/app', 'first\n')
    write(f'{d}/ro', 'only read\n')
    write(f'{d}/beside', 'gold')
    with mc.sandbox('-v', f'{d}/app:/etc/app.json', '-v', f'{d}/ro:/made/here/x:ro', '-v', f'{d}:/outer',
                    '-v', f'{d}/app:/outer/made/file', '-v', f'{d}/ro:/etc/hostname') as name:
        out = mc('exec', name, 'sh', '-c', FILE).out.split('\n')
        equal(out[:5], ['first', 'only read', 'first', 'inside', '5:6 4750 regular file'])
        for line, error in zip(out[5:9], ('busy', 'busy', 'Not a directory', 'Not a directory')):
            contains(line, error)
        equal(out[9:], ['', 'x', ''])
        equal((read(f'{d}/app'), read(f'{d}/ro')), ('first\ninside\n', 'only read\n'))
        equal((stat.S_IMODE(os.stat(f'{d}/app').st_mode) & 0o7000, os.stat(f'{d}/app').st_uid), (0, os.getuid()))
        equal((os.listdir(f'{d}/made'), os.listxattr(f'{d}/made/file')), (['file'], []))
        equal(mc.shell(name, 'cat /etc/hostname'), 'only read')
        for pid in servers(mc, name):
            send(pid)
        write(f'{d}/app', 'again\n')
        until(lambda: mc.shell(name, 'cat /etc/app.json /outer/made/file') == 'again\nagain', 'it is seen', 5)
        write(f'{d}/new', 'another\n')
        os.rename(f'{d}/new', f'{d}/app')
        time.sleep(1.1)
        for pid in servers(mc, name):
            send(pid)
        equal(mc.shell(name, 'cat /etc/app.json'), 'again')
        mc('commit', name, 'volumes:file', timeout=90).ok()
        mc('stop', '-t', '1', name).ok()
        mc('restart', name).ok()
        equal(mc.shell(name, 'cat /etc/app.json'), 'another')
    equal(mc('tmp', 'volumes:file', 'sh', '-c', 'ls /made /etc/app.json; cat /etc/hostname').out.count('only'), 0)


@promise('a change on the host is seen within a second: contents, new names and removed ones')
def _():
    d = directory('seen')
    write(f'{d}/file', 'one')
    write(f'{d}/goes', '')
    with mc.sandbox('-v', f'{d}:/vol') as name:
        look = 'cat /vol/file; ls /vol; test -e /vol/comes && echo there'
        equal(mc('exec', name, 'sh', '-c', look).out, 'onefile\ngoes\n')
        write(f'{d}/file', 'two')
        write(f'{d}/comes', '')
        os.unlink(f'{d}/goes')
        until(lambda: mc('exec', name, 'sh', '-c', look).out == 'twocomes\nfile\nthere\n', 'it is seen', 1)


@promise('a file that both sides append to gets all of it')
def _():
    d = directory('log')
    write(f'{d}/log', '')
    with mc.sandbox('-v', f'{d}:/vol') as name:
        inside = mc.start('exec', name, 'sh', '-c', 'echo go; for i in $(seq 200); do echo "inside $i" >>/vol/log; done')
        equal(inside.stdout.readline(), b'go\n')
        with open(f'{d}/log', 'a') as f:
            for i in range(200):
                f.write(f'here {i}\n')
                f.flush()
                time.sleep(0.005)
        equal(inside.wait(60), 0)
    lines = read(f'{d}/log').splitlines()
    equal((sum(line.startswith('inside') for line in lines), sum(line.startswith('here') for line in lines)), (200, 200))


@promise('what is known of a volume is kept until somebody changes it: the host is asked once, by servers that follow, too')
def _():
    d = directory('kept')
    for i in range(50):
        write(f'{d}/f{i}', f'{i}\n')
    os.mkdir(f'{d}/sub')
    look = 'cat /vol/f*; ls -l /vol /vol/sub; ! test -e /vol/none'
    with mc.sandbox('-v', f'{d}:/vol') as name:
        for _ in range(3):  # after what was read at first it asks for the time of that once
            before = mc.shell(name, look)
        server, = servers(mc, name)
        os.kill(server, signal.SIGSTOP)
        time.sleep(2.1)
        try:
            equal(mc.shell(name, look, timeout=20), before, 'nobody was there to ask')
        finally:
            os.kill(server, signal.SIGCONT)
        for kill in (False, True):
            if kill:
                send(server)
                until(lambda: servers(mc, name) not in ([], [server]), 'another server')
                time.sleep(0.5)
            os.rename(f'{d}/f1', f'{d}/sub/moved{kill}')
            write(f'{d}/f2', f'other{kill}')
            os.chmod(f'{d}/f3', 0o600 if kill else 0o640)
            write(f'{d}/none{kill}', '')
            write(f'{d}/f1', 'new')
            until(lambda: mc.shell(name, f'ls /vol/sub; cat /vol/f2; stat -c %a /vol/f3; cat /vol/f1; test -e /vol/none{kill}; echo $?')
                  == '\n'.join([f'moved{k}' for k in (False, True)[:kill + 1]] + [f'other{kill}' + ('600' if kill else '640'), 'new0']),
                  'what was changed', 5)


@promise('where owners are not kept, everything is root\'s, whoever made it and whatever it is given to')
def _():
    volume_promises.squash(vol)


@promise('links lead nowhere out of a directory, and rm -rf touches nothing else')
def _():
    volume_promises.links(vol)


@promise('a volume that nobody answers stops neither others nor exec, log and stop')
def _():
    name = vol.name()
    mc.shell(name, 'mv /etc/passwd /a/passwd; ln -s /a/passwd /etc/passwd')
    volume_promises.stalled(vol)
    stopped = vol.server(vol.path('a'))
    os.kill(stopped, signal.SIGSTOP)
    mc.start('exec', '-d', name, 'cat', '/a/flood').wait(20)
    mc('stop', '-t', '1', name, timeout=40).ok()
    true(not state.alive(stopped), 'its server ended')
    vol.forget()


@promise('a volume may lie in another, whatever the order that they are named in')
def _():
    outer, inner = directory('outer'), directory('inner')
    write(f'{outer}/o', 'outer')
    write(f'{inner}/i', 'inner')
    equal(run(f'{inner}:/vol/deep/in', f'{outer}:/vol', line='cat /vol/o /vol/deep/in/i; echo x >/vol/deep/in/new').ok().out,
          'outerinner')
    equal((os.listdir(f'{outer}/deep'), os.listdir(f'{outer}/deep/in'), sorted(os.listdir(inner))), (['in'], [], ['i', 'new']))
    equal([os.listxattr(path) for path in (outer, f'{outer}/deep', f'{outer}/deep/in')], [[], [], []])


ATTRIBUTES = r'''
list() { (cd $1 && find . -mindepth 1 -printf '%P %m %U:%G %T@\n' | sort); }
copy() {
    mkdir /vol/$1
    case $2 in cp) cp -a /tmp/from/. /vol/$1;; tar) tar -C /tmp/from -cf - --format=posix . | tar -C /vol/$1 -xpf -; esac
}
test -d /tmp/from || { mkdir -p /tmp/from/a/b && cd /tmp/from || exit 1
for i in $(seq 15); do
    echo $i >a/b/f$i; chmod $((i % 8))$((i % 7))4 a/b/f$i; chown $i:$((i * 2)) a/b/f$i; touch -d @$((1000000 + i)).$i a/b/f$i
done
chmod 4711 a/b/f1; chmod 2555 a; chown 5:6 a/b; touch -d @77.5 a/b a; }
'''


ROUNDS = 150
SET_OVER_AND_OVER = f'''
import os
os.mkdir("/vol/k")
files = ["/vol/k/%d" % i for i in range(10)]
for f in files:
    open(f, "w").close()
print("made", flush=True)
for n in range(1, {ROUNDS} + 1):
    for i, f in enumerate(files):
        os.utime(f, ns=(0, n * 10**9 + i))
        os.chown(f, n, i)
        os.chmod(f, 0o640 if n % 2 == {ROUNDS} % 2 else 0o600)
print("done", flush=True)
'''


def kept_here(path):
    """What stands here of what was set: names with modes, owners and times, as the list of the sandbox has them."""
    lines = []
    for where, folders, files in os.walk(path):
        for name in folders + files:
            s = os.stat(f'{where}/{name}')
            owner, group, mode = '0', '0', f'{stat.S_IMODE(s.st_mode):o}'
            with contextlib.suppress(OSError):
                owner, group, mode = os.getxattr(f'{where}/{name}', 'user.containers.override_stat').decode().split(':')[:3]
            at = f'{s.st_mtime_ns // 10**9}.{s.st_mtime_ns % 10**9:09d}0'
            lines.append(f'{os.path.relpath(f"{where}/{name}", path)} {mode.lstrip("0") or "0"} {owner}:{group} {at}')
    return sorted(lines)


@promise('times, modes and owners that tar and cp -a set are here with the command\'s end, with the sandbox\'s, and after servers were killed',
         limit=180)
def _():
    d = directory('attributes')
    with mc.sandbox('-v', f'{d}:/vol') as name:
        mc.shell(name, f'cat >/tmp/do <<"EOF"\n{ATTRIBUTES}\nEOF\n. /tmp/do')
        shown = mc.shell(name, '. /tmp/do; list /tmp/from')
        want = sorted(shown.splitlines())
        for how in ('cp', 'tar'):
            mc.shell(name, f'. /tmp/do; copy {how} {how}; sync')
            equal(kept_here(f'{d}/{how}'), want, how)
            equal(mc.shell(name, f'. /tmp/do; list /vol/{how}'), shown)
        load = mc.start('exec', name, 'python3', '-c', SET_OVER_AND_OVER)
        equal(load.stdout.readline(), b'made\n')  # which a killed server may have done twice
        while load.poll() is None:
            for pid in servers(mc, name):
                send(pid)
            time.sleep(0.4)
        equal(load.communicate(timeout=60), (b'done\n', b''))
        equal(kept_here(f'{d}/k'), sorted(f'{i} 640 {ROUNDS}:{i} {ROUNDS}.00000000{i}0' for i in range(10)))
        mc.shell(name, 'mkdir /vol/last; echo x >/vol/last/x; stat /vol/last/x')
        server, = servers(mc, name)
        os.kill(server, signal.SIGSTOP)
        try:
            mc.shell(name, 'python3 -c "import os; f = \'/vol/last/x\'; os.chown(f, 9, 8); os.chmod(f, 0o604); os.utime(f, (1, 9.5))"', timeout=20)
            stop = mc.start('stop', '-t', '1', name)
            time.sleep(0.5)
        finally:
            os.kill(server, signal.SIGCONT)
        equal(stop.wait(40), 0)
        equal(kept_here(f'{d}/last'), ['x 604 9:8 9.5000000000'])


def set_immutable(path, on):
    """False: only root can, and only on some file systems."""
    get, put, bit = 0x80086601, 0x40086602, 0x10
    with open(path) as f, contextlib.suppress(OSError):
        flags = struct.unpack('l', fcntl.ioctl(f, get, bytes(8)))[0]
        fcntl.ioctl(f, put, struct.pack('l', flags | bit if on else flags & ~bit))
        return True
    return False


REFUSED = r'''
import os, sys
fd = os.open("/vol/file", os.O_CREAT | os.O_WRONLY, 0o600)
os.write(fd, b"x")
print("made", flush=True)
sys.stdin.readline()
os.fchmod(fd, 0o640)
print("acknowledged", flush=True)
for what in (os.fsync, os.fsync, os.fstat):
    try:
        what(fd)
        print("well", flush=True)
    except OSError as e:
        print(e.strerror, flush=True)
print(oct(os.fstat(fd).st_mode), flush=True)
'''


@promise('what was acknowledged before the host knew and is refused by it is told by the next fsync, once')
def _():
    d = directory('refused-behind')
    with mc.sandbox('-v', f'{d}:/vol') as name:
        inside = mc.start('exec', name, 'python3', '-c', REFUSED, stdin=subprocess.PIPE)
        equal(inside.stdout.readline(), b'made\n')
        server, = servers(mc, name)
        os.kill(server, signal.SIGSTOP)
        try:
            refused = set_immutable(f'{d}/file', True)
            inside.stdin.write(b'go\n')
            inside.stdin.flush()
            equal(inside.stdout.readline(), b'acknowledged\n')
            os.kill(server, signal.SIGCONT)
            equal(inside.communicate(timeout=30)[0],
                  b'Operation not permitted\nwell\nwell\n0o100600\n' if refused else b'well\nwell\nwell\n0o100640\n')
        finally:
            os.kill(server, signal.SIGCONT)
            set_immutable(f'{d}/file', False)


LOAD = r'''
cd /vol && mkdir t && cd t || exit 1
exec 9>>open
i=0
mkdir d0 d1 d2 d3 d4 d5 d6
while [ $i -lt 150 ] || [ ! -e /vol/enough ]; do
    echo "line $i" >d$((i % 7))/f$i && read line <d$((i % 7))/f$i && [ "$line" = "line $i" ] || echo "bad $i"
    echo $i >&9 || echo "bad open $i"
    i=$((i + 1))
done
echo $i $(find . -name 'f*' | wc -l) $(wc -l <open) $(sort -n open | uniq | wc -l)
'''


@promise('servers that are killed over and over under load are replaced, and nothing is lost', limit=240)
def _():
    d = directory('killed')
    with mc.sandbox('-v', f'{d}:/vol') as name:
        load = mc.start('exec', name, 'sh', '-c', LOAD)
        kills = 0
        while load.poll() is None and kills < 12:
            for pid in servers(mc, name):
                send(pid)
                kills += 1
            time.sleep(0.25)
        write(f'{d}/enough', '')
        out, err = load.communicate(timeout=150)
        rounds, *counts = out.split()
        equal(counts, [rounds] * 3, f'{kills} kills, {err}')
        true(kills >= 12, f'{kills} kills')
        contains(mc('log', '--stream', 'system', name).ok().out, 'another takes over')
        # Nor does a process whose directory it is notice.
        inside = mc.start('exec', name, 'sh', '-c', 'cd /vol/t/d3; echo in; read go; cat f3; echo more >f3; cat f3',
                          stdin=subprocess.PIPE)
        equal(inside.stdout.readline(), b'in\n')
        for pid in servers(mc, name):
            send(pid)
        equal(inside.communicate(b'go\n', timeout=30)[0], b'line 3\nmore\n')


@promise('where no server can be started any more, processes get an error and do not hang; the sandbox goes on')
def _():
    d = directory('gone')
    with mc.sandbox('-v', f'{d}:/vol') as name:
        mc.shell(name, 'echo x >/vol/x')
        seen = servers(mc, name)
        send(keeper(name))
        until(lambda: not [pid for pid in seen if state.alive(pid)], 'the servers end with it')
        answer = mc('exec', name, 'sh', '-c', 'cat /vol/x; ls /vol; echo alive', timeout=30)
        equal(answer.out, 'alive\n')
        contains(answer.err, 'not connected')


RACE = r'''
import ctypes, os, threading, time
libc, end, seen = ctypes.CDLL(None), time.time() + 2, []
def swap():
    while time.time() < end:
        libc.renameat2(-100, b"/v1/dir", -100, b"/v1/link", 2)
        seen.append(0)
def use():
    acts = (lambda: print(open("/v2/dir/gold").read()), lambda: open("/v2/dir/made", "w").write("x"), lambda: os.mkdir("/v2/dir/d"),
            lambda: os.unlink("/v2/dir/gold"), lambda: os.rename("/v2/dir/made", "/v2/dir/gold"), lambda: os.chmod("/v2/dir", 0o777))
    while time.time() < end:
        for act in acts:
            try:
                act()
            except OSError:
                pass
        if os.path.exists("/v2/dir/gold"):
            os.unlink("/v2/dir/gold")
threads = [threading.Thread(target=t) for t in (swap, use, use)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("moves" if len(seen) > 20 else len(seen))
'''


@promise('no moves by one volume lead another of the same directory out of it')
def _():
    d, outside = directory('moves'), directory('moves-outside')
    os.chmod(outside, 0o755)
    os.makedirs(f'{d}/dir')
    os.symlink('../moves-outside', f'{d}/link')
    write(f'{outside}/gold', 'gold')
    answer = mc('tmp', '-v', f'{d}:/v1', '-v', f'{d}:/v2', DEBIAN, 'python3', '-c', RACE)
    true('gold' not in answer.out and answer.out.endswith('moves\n'), str(answer))
    equal((os.listdir(outside), read(f'{outside}/gold'), stat.S_IMODE(os.stat(outside).st_mode)), (['gold'], 'gold', 0o755))


@promise('a tree of 1,000 files is the same on both sides, as tar, find and checksums see it', limit=180)
def _():
    d = directory('tree')
    script = ('import os\nfor i in range(1000):\n    p = "/vol/d%d/e%d" % (i % 40, i % 7)\n    i < 280 and os.makedirs(p, exist_ok=True)\n'
              '    open(p + "/f%d" % i, "w").write("contents of %d\\n" % i * (i % 50))\n'
              'open("/vol/sparse", "w").truncate(1 << 30)\nopen("/vol/n" + "a" * 254, "w")\n'
              # Many open files without a name keep what is in them.
              'files = [open("/vol/u%d" % i, "w+") for i in range(600)]\n'
              'for i in range(600):\n    os.unlink("/vol/u%d" % i)\n    files[i].write("%d" % i)\n    files[i].flush()\n'
              'for i in range(600):\n    files[i].seek(0)\n    assert files[i].read() == "%d" % i\n')
    with mc.sandbox('-v', f'{d}:/vol') as name:
        mc('exec', name, 'python3', '-c', script, timeout=120).ok()
        inside = mc.shell(name, r"cd /vol; find . -type f ! -name sparse -print0 | sort -z | xargs -0 sha256sum | sha256sum; "
                          r"find . -printf '%P %s %m %l\n' | sort | sha256sum; "
                          r"tar c --sort=name --mtime=@0 --owner=0 --group=0 --exclude=sparse . | sha256sum", timeout=120)
    here = subprocess.run(['sh', '-c', r"find . -type f ! -name sparse -print0 | sort -z | xargs -0 sha256sum | sha256sum; "
                           r"find . -printf '%P %s %m %l\n' | sort | sha256sum; "
                           r"tar c --sort=name --mtime=@0 --owner=0 --group=0 --exclude=sparse . | sha256sum"],
                          cwd=d, check=True, capture_output=True, text=True, env=os.environ | {'LC_ALL': 'C'}).stdout
    equal(inside + '\n', here)
    true(os.stat(f'{d}/sparse').st_blocks < 100, 'holes stay holes')
    equal(hashlib.sha256(read(f'{d}/d3/e5/f243').encode()).hexdigest(),
          hashlib.sha256(b'contents of 243\n' * 43).hexdigest())


@promise('a sandbox that is stopped has written what it mapped, and finds its volumes when it starts again')
def _():
    d = directory('again')
    line = ('import mmap, os, signal, time\nfd = os.open("/vol/mapped", os.O_RDWR | os.O_CREAT)\nos.ftruncate(fd, 8192)\n'
            'm = mmap.mmap(fd, 8192)\nm[0:6] = b"mapped"\nopen("/vol/starts", "a").write("x")\ntime.sleep(1000)\n')
    with mc.sandbox('-v', f'{d}:/vol', command=('python3', '-c', line)) as name:
        until(lambda: os.path.exists(f'{d}/starts') and read(f'{d}/starts') == 'x', 'it runs')
        mc('stop', '-t', '1', name).ok()
        equal(read(f'{d}/mapped')[:6], 'mapped')
        mc('restart', name).ok()
        until(lambda: read(f'{d}/starts') == 'xx', 'it runs again')
        os.rename(d, d + '-moved')
        mc('stop', '-t', '1', name).ok()
        # A directory that is not there any more is an error that names it.
        contains(mc('restart', name).err, d)
        os.rename(d + '-moved', d)


@promise('a command in a volume, and a working directory there, are found')
def _():
    d = directory('command')
    write(f'{d}/hello', '#!/bin/sh\necho hello from $PWD\n')
    os.chmod(f'{d}/hello', 0o755)
    equal(mc('tmp', '-v', f'{d}:/vol', '-w', '/vol/new/dir', DEBIAN, '--', '/vol/hello').ok().out, 'hello from /vol/new/dir\n')
    true(os.path.isdir(f'{d}/new/dir'), 'it was made here')


@promise('volumes work in a machine that boots, in a read-only sandbox, and are no part of a commit')
def _():
    d = directory('modes')
    equal(mc('tmp', '--no-template', '-v', f'{d}:/vol', DEBIAN, '--', 'sh', '-c', 'echo booted >/vol/b; cat /vol/b',
             timeout=90).ok().out, 'booted\n')
    equal(mc('tmp', '--read-only', '-v', f'{d}:/made/here', DEBIAN, '--', 'sh', '-c',
             'cat /made/here/b; echo x >/made/here/x; echo y >/made/y').out, 'booted\n')
    equal(sorted(os.listdir(d)), ['b', 'x'])
    with mc.sandbox('-v', f'{d}:/made/here') as name:
        mc.shell(name, 'cat /made/here/b; echo kept >/kept')
        mc('commit', name, 'volumes:test', timeout=90).ok()
    equal(mc('tmp', 'volumes:test', 'sh', '-c', 'cat /kept; ls -d /made').out, 'kept\n')
    mc('rmi', 'volumes:test').ok()


def finish():
    lines = mc.clean()
    mc('rmi', 'volumes:file')
    names = mc('volume', 'ls', '-q').out.split()
    if names:
        mc('volume', 'rm', *names)
    until(lambda: not [p for p in state.processes() if comm(p) in ('mcfs-volume', 'mcfs-volumes') and owned(p) and state.alive(p)],
          'servers of volumes end', 5)
    subprocess.run(['rm', '-rf', directory.path], check=False)
    return lines


def owned(pid):
    with contextlib.suppress(OSError):
        return os.stat(f'/proc/{pid}').st_uid == os.getuid() and not (mc.supervisors() and os.environ.get('MC_PREFIX'))
    return False


tap.main(finish)
