#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The configuration of a project is what the host says, whatever a guest tries that has it in a volume."""
import hashlib
import json
import os
import shutil
import signal
import tempfile

from harness import state, tap
from harness.program import DEBIAN, Monocore
from harness.tap import contains, equal, promise, true, until

mc = Monocore()
where = tempfile.mkdtemp(prefix='mc-guard-')
place = os.path.join(where, 'up', 'mcguard')  # the volume is `up`: above the project, and a directory of it below

VOLUMES = '[..:/above, .:/app, ./db:/below, ./monocore.yaml:/file, "./staged:/staged:stage"]'
CONFIG = f'''modules:
  ./db/monocore.yaml: {{db: {{}}}}
sandboxes:
  web:
    image: {DEBIAN}
    env_file: [link.env]
    volumes: {VOLUMES}
    scripts: {{start: "exec sleep 1000"}}
'''
MODULE = f'''sandboxes:
  db: {{image: {DEBIAN}, env_file: ../sets/real.env}}
'''

# Each line is tried, and says so where it was not refused.
ATTACKS = r'''cat free >>monocore.yaml
: >monocore.yaml
truncate -s 0 monocore.yaml
dd if=/dev/zero of=monocore.yaml bs=1 count=1 conv=notrunc oflag=sync
sed -i s/web/evil/ monocore.yaml
rm -f monocore.yaml && test ! -e monocore.yaml
mv monocore.yaml away
mv -f free monocore.yaml
ln monocore.yaml hard && echo x >>hard && sync hard
echo x >>hard.before && sync hard.before
cp free hard.before
cp --remove-destination free monocore.yaml
chmod 777 monocore.yaml
chown 1234 monocore.yaml
touch -d 2001-01-01 monocore.yaml
setfattr -n user.x -v y monocore.yaml
perl -e 'open(F, "+<", "monocore.yaml") && syswrite(F, "x") == 1 or exit 1; close(F) or exit 1'
echo A=b >.env
mkdir .env
ln -s free .env
mv free .env
ln free .env
cp free .monocore-id
mv .monocore-id away
ln -sf free link.env
mv link.env away
rm -f link.env && test ! -e link.env
cat free >>sets/real.env
mv sets old
mv db old
rm -rf db && mkdir db
perl -e 'exit(syscall(316, -100, "other", -100, "db", 2) == 0 ? 0 : 1)'
'''
ABOVE = '''mv ../mcguard ../old
mkdir ../other && mv -T ../other ../mcguard
'''
SCRIPT = '''cd %s || exit 9; mkdir -p other; echo fine >free || exit 9; echo as it was >before; mv before after || exit 9
while read -r line; do sh -c "$line" >/dev/null 2>&1 </dev/null && echo "not refused: $line"; done <<'EOT'
%sEOT
sync; cat free; rm -rf other after; echo "end"'''


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)


def make():
    write(f'{place}/monocore.yaml', CONFIG)
    write(f'{place}/db/monocore.yaml', MODULE)
    write(f'{place}/sets/real.env', 'A=1\n')
    write(f'{place}/staged/x', 'x\n')
    os.symlink('sets/web.env', f'{place}/link.env')
    write(f'{place}/sets/web.env', 'B=2\n')
    os.link(f'{place}/monocore.yaml', f'{place}/hard.before')


def configuration():
    """All of it that the next command reads, and what there must not be."""
    found = {}
    for name in ('monocore.yaml', 'db/monocore.yaml', 'sets/real.env', 'sets/web.env', 'link.env', '.env', '.monocore-id'):
        path = f'{place}/{name}'
        s = os.lstat(path) if os.path.lexists(path) else None
        if s and os.path.islink(path):
            found[name] = os.readlink(path)
        elif s:
            with open(path, 'rb') as f:
                found[name] = (hashlib.sha256(f.read()).hexdigest(), s.st_ino, s.st_mode, s.st_uid, s.st_mtime_ns)
    return found


def attack(name, directory, attacks=ATTACKS):
    before = configuration()
    equal(mc.shell(name, SCRIPT % (directory, attacks)), 'fine\nend')
    equal(configuration(), before)
    with open(f'{place}/free') as f:
        equal(f.read(), 'fine\n')


def servers():
    return [pid for boss in state.supervisors(mc.home) for pid in state.volume_servers(boss)]


def clean():
    mc('rm', '-f', *[name for name in mc.names() if name.startswith('mcguard')])
    shutil.rmtree(where)
    return state.left(mc.home)


make()


@promise('a guest that has its project in a volume, or what is above it or below, changes nothing of its configuration')
def _():
    mc('up', 'web', '--grant', cwd=place).ok()
    attack('mcguard-web', '/app')
    attack('mcguard-web', '/above/mcguard', ABOVE)
    below = 'echo x >>/below/monocore.yaml; rm -f /below/monocore.yaml; mv /below/monocore.yaml /below/x; echo x >>/file; : >/file;'
    before = configuration()
    equal(mc.shell('mcguard-web', f'({below} sync) 2>/dev/null; echo y >/below/data; cat /below/data; grep -c image /file'), 'y\n1')
    equal(configuration(), before)
    equal(mc('up', 'web', '--dry-run', '--json', cwd=place).ok().json(), [])


@promise('a sandbox of no project is held to the same, whether anything was ever made of the project or not')
def _():
    write(f'{where}/fresh/monocore.yaml', 'oops: [')  # which a guest could mend
    write(f'{where}/fresh/sub/x', 'x')
    os.mkdir(f'{where}/none')
    volumes = {'above': f'{where}/up', 'app': place, 'sub': f'{where}/fresh/sub', 'fresh': f'{where}/fresh', 'none': f'{where}/none',
               'staged': f'{place}:/staged:stage'}
    mc('tmp', '-d', '--name', 'mcguard-tmp', *[word for name, path in volumes.items() for word in
                                               ('-v', path if ':' in path else f'{path}:/{name}')], DEBIAN, '--', 'sleep', '1000').ok()
    attack('mcguard-tmp', '/app')
    attack('mcguard-tmp', '/above/mcguard', ABOVE)
    line = '(echo x >>/fresh/monocore.yaml; echo A=b >/fresh/.env; echo x >>/staged/monocore.yaml; cd /fresh; mv sub other) 2>/dev/null'
    equal(mc.shell('mcguard-tmp', f'{line}; ls -A /fresh; echo y >/none/monocore.yaml; cat /none/monocore.yaml'), 'monocore.yaml\nother\ny')
    equal(os.listdir(f'{where}/none'), ['monocore.yaml'])  # there is no project whose it would be
    mc('volume', 'apply', 'mcguard-tmp').ok(1).says('--configuration')
    mc('rm', '-f', 'mcguard-tmp').ok()


@promise('a server of the volume that is killed is followed by one that keeps the same')
def _():
    for pid in servers():
        os.kill(pid, signal.SIGKILL)
    attack('mcguard-web', '/app', 'echo x >>monocore.yaml && sync monocore.yaml\nmv db old\nln free .env\n')


@promise('what the host makes of its configuration meanwhile is kept as well')
def _():
    writes = 'exec 7>>mine; while sleep 0.1; do echo x >&7; done'
    mc.shell('mcguard-web', f"cd /app; sh -c '{writes}' >/dev/null 2>&1 & echo $! >/tmp/pid")
    until(lambda: os.path.exists(f'{place}/mine') and os.path.getsize(f'{place}/mine'), 'the guest writes')
    os.rename(f'{place}/mine', f'{place}/.env')  # by the user, who has looked at it
    mc.shell('mcguard-web', 'sleep 0.5')
    size = os.path.getsize(f'{place}/.env')
    mc.shell('mcguard-web', 'sleep 0.5; kill $(cat /tmp/pid)')
    equal(os.path.getsize(f'{place}/.env'), size)
    os.unlink(f'{place}/.env')
    write(f'{place}/new', CONFIG)
    os.rename(f'{place}/new', f'{place}/monocore.yaml')  # as editors do
    os.unlink(f'{place}/hard.before')
    os.link(f'{place}/monocore.yaml', f'{place}/hard.before')
    attack('mcguard-web', '/app', 'echo x >>monocore.yaml && sync monocore.yaml\necho x >>hard.before && sync hard.before\n: >monocore.yaml\n')


@promise('a staged change of the configuration is applied only by a word of its own')
def _():
    mc('down', cwd=place).ok()
    write(f'{place}/monocore.yaml', CONFIG.replace(VOLUMES, '[".:/app:stage"]'))
    mc('up', 'web', '--grant', cwd=place).ok()
    before = configuration()
    mc.shell('mcguard-web', 'cd /app && echo "#" >>monocore.yaml && echo A=b >.env && echo x >free && rm -rf sets && ln -s db sets')
    equal(configuration(), before)
    rows = {row['path']: row['mark'] for row in mc('volume', 'diff', 'mcguard-web', '--json').ok().json()}
    for path in ('/app/monocore.yaml', '/app/.env', '/app/sets', '/app/sets/web.env'):
        equal((path, rows[path]), (path, "the project's configuration"))
    equal(rows['/app/free'], None)
    mc('volume', 'apply', 'mcguard-web').ok(1).says('--configuration')
    mc('volume', 'apply', 'mcguard-web', '--force').ok(1).says('--configuration')
    equal(configuration(), before)
    mc('volume', 'apply', 'mcguard-web', '/app/free').ok()
    with open(f'{place}/free') as f:
        equal(f.read(), 'x\n')
    mc('volume', 'apply', 'mcguard-web', '/app/.env', '--configuration').ok()
    with open(f'{place}/.env') as f:
        equal(f.read(), 'A=b\n')
    os.unlink(f'{place}/.env')
    mc('rm', '-f', 'mcguard-web').ok()


@promise('the steps of a build change nothing of it either')
def _():
    step = 'cd /src; (echo x >>monocore.yaml; rm -f monocore.yaml; mv db old; echo A=b >.env) 2>/dev/null; echo y >built'
    write(f'{place}/monocore.yaml', CONFIG + f"""builds:
  made: {{image: {DEBIAN}, reach: none, volumes: [.:/src], steps: ["{step}"]}}
""")
    before = configuration() | {'.monocore-id': None}  # which the build may be the first to write
    mc('build', '--grant', 'made', cwd=place, timeout=100).ok()
    equal(configuration() | {'.monocore-id': None}, before)
    true(os.path.exists(f'{place}/built'), 'the step was done')


def by_driver(driver):
    """Projects have the driver fuse: the sandbox is given another."""
    mc('rm', '-f', 'mcguard-web')
    write(f'{place}/monocore.yaml', CONFIG.replace(VOLUMES, '[..:/above, .:/app]'))
    mc('up', 'web', '--grant', cwd=place).ok()
    mc('stop', '-t', '0', 'mcguard-web').ok()
    path = f'{mc.home}/sandboxes/{mc.row("mcguard-web")["id"]}/config.json'
    with open(path) as f:
        record = json.load(f)
    record['volume_driver'] = driver
    with open(path, 'w') as f:
        json.dump(record, f)
    mc('start', '-d', 'mcguard-web').ok()
    attack('mcguard-web', '/above/mcguard', ATTACKS + ABOVE)


@promise('the same holds for volumes by NFS')
def _():
    by_driver('nfs')


@promise('the same holds for volumes by virtiofs')
def _():
    by_driver('virtiofs')


tap.main(clean)
