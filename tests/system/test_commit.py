#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""monocore commit: what a sandbox has changed, running or stopped, is one layer more of its image; umoci and the
sandbox itself are held against what the committed image shows."""
import atexit
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib

from harness import images, oci_images, state, tap
from harness.images import directory, layer, member, symlink
from harness.oci_images import differences, read_tree, umoci_tree
from harness.program import DEBIAN, IMAGE, PREFIX, SOURCES, Monocore, send
from harness.tap import contains, equal, promise, true, until

AGENTS = os.environ.get('MC_HOSTILE') or f'{SOURCES}/build/release/tests/hostile'
folder = tempfile.mkdtemp(prefix='mc-commit-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
home = f'{folder}/home'
mc = Monocore(home)

# Debian, the program that tells about trees, and something to change.
base = images.over_debian(f'{folder}/base', {'Cmd': ['/tree'], 'Env': ['PATH=/usr/bin:/bin', 'A=1'],
                                             'Labels': {'base': 'yes'}},
                          [layer(oci_images.tree_member(folder), directory('work'), directory('work/full'),
                                 member('work/full/old', b'old'), directory('work/full/deep'),
                                 member('work/full/deep/x', b'x'), member('work/kept', b'kept'),
                                 member('work/gone', b'gone'), member('work/shared', b'shared'))])

CHANGE = r'''
set -e
cd /work
rm gone
rm -r full; mkdir full; echo new >full/new
mkdir -m 1770 dir; chown 7:8 dir
printf 'text\n' >dir/file; chmod 4751 dir/file; chown 1000:100000 dir/file; ln dir/file dir/second; ln dir/file aaa
touch -d '1969-12-31 23:59:58.25 UTC' dir/before
touch -d '2038-01-20 00:00:00.123456789 UTC' dir/after
ln -s ../../nowhere dir/link; touch -h -d '2001-02-03 UTC' dir/link
mknod dir/null c 1 3; mknod dir/loop b 7 5; mkfifo -m 622 dir/pipe
python3 - <<'END'
import os, socket
os.setxattr('/work/dir/file', 'user.note', b'v\0\xff=1')
os.setxattr('/work/dir', 'user.dir', b'd')
os.setxattr('/work/dir/before', 'trusted.mine', b't')
socket.socket(socket.AF_UNIX).bind('/work/dir/socket')
open('/work/' + 'n' * 200, 'w').write('long')
open('/work/odd \t\u00e4\n', 'w').write('odd')
os.makedirs('/work/' + '/'.join(['d' * 60] * 6))
with open('/work/sparse', 'wb') as f:
    f.seek(3000000)
    f.write(b'end')
END
chmod 600 kept
touch -d '2020-01-01 UTC' dir full
'''


def tree_of(name):
    """What stands in /work of a running sandbox."""
    return read_tree(mc('exec', '-u', '0', name, '/tree', '/work', timeout=80).ok().raw.decode('latin-1'))


def tree(image):
    return read_tree(mc('tmp', '-q', '-u', '0', image, '--', '/tree', '/work', timeout=80).ok().raw.decode('latin-1'))


def commit(*words):
    out = mc('-q', 'commit', *words, timeout=80).ok().out
    true(out.startswith('sha256:') and len(out) == 72, out)
    return out.strip()


def blob(digest):
    with open(f'{home}/store/blobs/sha256/{digest.removeprefix("sha256:")}', 'rb') as f:
        return f.read()


def document(digest):
    return json.loads(blob(digest))


def config_of(digest):
    return document(document(digest)['config']['digest'])


def layout_of(digest, path):
    """The image of the store as a layout that others can read."""
    os.makedirs(f'{path}/blobs/sha256')
    manifest = document(digest)
    for row in [{'digest': digest}, manifest['config'], *manifest['layers']]:
        shutil.copy(f'{home}/store/blobs/sha256/{row["digest"][7:]}', f'{path}/blobs/sha256/')
    with open(f'{path}/oci-layout', 'w') as f:
        json.dump({'imageLayoutVersion': '1.0.0'}, f)
    with open(f'{path}/index.json', 'w') as f:
        json.dump({'schemaVersion': 2, 'manifests': [
            {'mediaType': manifest['mediaType'], 'digest': digest, 'size': len(blob(digest)),
             'annotations': {'org.opencontainers.image.ref.name': 'latest'}}]}, f)
    return path


def names_in_layer(digest):
    """The names in an image's last layer."""
    data = blob(document(digest)['layers'][-1]['digest'])
    with open(f'{folder}/layer', 'wb') as f:
        f.write(zlib.decompress(data, 31))
    with tarfile.open(f'{folder}/layer') as tar:
        return tar.getnames()


made = {}


@promise('the changes of a running sandbox become an image that shows the same tree', limit=180)
def _():
    mc('tmp', '-d', '--name', 'box', '-u', '0', base, '--', 'sleep', 'infinity', timeout=120).ok()
    mc.shell('box', CHANGE)
    made['running'] = commit('box', 'test/running')
    made['tree'] = tree_of('box')
    true(made['tree']['/dir/file'].links == 3 and '/gone' not in made['tree'], 'it was changed')
    expected = {path: entry for path, entry in made['tree'].items() if entry.type != 'socket'}
    equal(differences(expected, tree('test/running')), [])


@promise('it holds what was changed and nothing that the agent has made, each name once and in order')
def _():
    names = names_in_layer(made['running'])
    equal(names[:2], ['work', 'work/aaa'])
    for name in ('work/.wh.gone', 'work/full/.wh..wh..opq', 'work/dir/null', 'work/kept'):
        true(name in names, name)
    for name in ('work/dir/socket', 'work/shared', 'work/full/.wh.old', 'work/full/deep', 'etc/hosts', 'etc/resolv.conf',
                 'etc/machine-id', 'proc', 'dev', 'sys', '.'):
        true(name not in names, name)
    equal(len(names), len(set(names)))
    plain = [os.fsencode(name).split(b'/') for name in names if '.wh.' not in name]
    equal(plain, sorted(plain))


@promise('the same changes give the same digest, running, stopped and once more')
def _():
    equal(commit('box', 'test/again'), made['running'])
    mc('stop', '-t', '1s', 'box').ok()
    before = mc('inspect', 'box').ok().json(), mc('log', 'box').ok().raw
    equal(commit('box', 'test/stopped'), made['running'])
    equal((mc('inspect', 'box').ok().json(), mc('log', 'box').ok().raw), before)


@promise('a stopped sandbox is locked while it is read, and what it was afterwards')
def _():
    reading = mc.start('commit', 'box', 'test/lock')
    until(lambda: state.supervisors(home), 'its disk is read', passing=True)
    send(reading.pid)
    reading.communicate()
    until(lambda: not state.supervisors(home), 'who reads it ends with the one who asked')
    equal(mc.row('box')['state'], 'stopped')
    mc('restart', 'box').ok()
    equal(mc.shell('box', 'cat /work/dir/file'), 'text')
    equal(differences(made['tree'], tree_of('box')), [])


@promise('umoci and skopeo read it, and umoci unpacks the same tree', limit=180)
def _():
    layout = layout_of(made['running'], f'{folder}/layout')
    shown = json.loads(subprocess.run(['skopeo', 'inspect', f'oci:{layout}:latest'], check=True, capture_output=True).stdout)
    equal(len(shown['Layers']), len(document(made['running'])['layers']))
    if os.geteuid():
        return  # devices and owners need root
    there = {path: entry for path, entry in made['tree'].items() if entry.type != 'socket'}
    found = {path.removeprefix('/work'): entry for path, entry in umoci_tree(layout, folder).items()
             if path.startswith('/work/')}
    found = {path: entry._replace(twin=entry.twin and entry.twin.removeprefix('/work')) for path, entry in found.items()}
    # umoci keeps no attributes in "trusted.".
    there['/dir/before'] = there['/dir/before']._replace(xattrs=found['/dir/before'].xattrs)
    equal(differences(there, found), [])


@promise('its config is the base\'s with how the sandbox was run, and the changes that were asked for')
def _():
    mc('tmp', '-d', '--name', 'run', '-u', '7', '-w', '/work', '-e', 'B=2', '--label', 'own=1', '--stop-signal', 'INT', base,
       '--', 'sleep', '1000').ok()
    plain = config_of(commit('run', 'test/plain'))
    equal(plain['config'], {'Cmd': ['sleep', '1000'], 'Env': ['PATH=/usr/bin:/bin', 'A=1', 'B=2'],
                            'Labels': {'base': 'yes', 'own': '1'}, 'User': '7', 'WorkingDir': '/work', 'StopSignal': '2'})
    digest = commit('--author', 'me', '-m', 'why', '--change', 'CMD ["/bin/sh"]', '--change', 'ENV C=$B', '--change', 'EXPOSE 80', 'run',
                    'localhost:5000/test/changed:2')
    config = config_of(digest)
    equal((config['author'], config['config']['Cmd'], config['config']['Env'][-1], config['config']['ExposedPorts']),
          ('me', ['/bin/sh'], 'C=2', {'80/tcp': {}}))
    equal(len(config['rootfs']['diff_ids']), len(document(digest)['layers']))
    equal(mc('tmp', '-q', 'localhost:5000/test/changed:2', '--', 'sh', '-c', 'echo $C; id -u; pwd').ok().out, '2\n7\n/work\n')
    mc('rm', '-f', 'run').ok()


@promise('a sandbox that has changed nothing adds no layer, and neither does a read-only one')
def _():
    for options in ([], ['--read-only']):
        mc('tmp', '-d', '--name', 'idle', *options, base, '--', 'sleep', 'infinity').ok()
        running = document(commit('idle', 'test/idle'))
        mc('stop', '-t', '0s', 'idle').ok()
        equal(document(commit('idle', 'test/idle')), running)
        equal(running['layers'], [dict(row) for row in document(made['running'])['layers'][:-1]])
        mc('rm', 'idle').ok()


@promise('an image without the places that the agent needs gets none of them from it')
def _():
    bare = oci_images.image(f'{folder}/bare', [layer(oci_images.tree_member(folder), symlink('sys', 'nowhere'))],
                            config={'Cmd': ['/tree'], 'Volumes': {'/var/data': {}}})
    mc('tmp', '-d', '--name', 'bare', f'oci:{bare}', '--', '/tree').ok()
    until(lambda: mc.row('bare')['state'] == 'stopped', 'it has run')
    digest = commit('bare', 'test/bare')
    equal(len(document(digest)['layers']), 1)
    mc('rm', 'bare').ok()


@promise('an image of an archive, and a committed one, can be committed', limit=180)
def _():
    archive = f'{folder}/archive.tar'
    subprocess.run(['skopeo', 'copy', '-q', f'oci:{folder}/base:latest', f'docker-archive:{archive}:a/b:1'], check=True,
                   capture_output=True)
    mc('tmp', '-d', '--name', 'docker', '-u', '0', f'docker-archive:{archive}', '--', 'sleep', 'infinity', timeout=80).ok()
    mc.shell('docker', 'echo one >/work/one')
    first = commit('docker', 'test/one')
    mc('tmp', '-d', '--name', 'second', '-u', '0', 'test/one', '--', 'sleep', 'infinity').ok()
    mc.shell('second', 'cat /work/one; rm /work/one; echo two >/work/two')
    second = commit('second', 'test/two')
    equal(document(second)['layers'][:-1], document(first)['layers'])
    equal(mc('tmp', '-q', 'test/two', '--', 'sh', '-c', 'ls /work/one 2>/dev/null; cat /work/two').ok().out, 'two\n')
    mc('rm', '-f', 'docker', 'second').ok()


# Two files that always say the same number, but for the moment between the two writes.
PAIR = '''
import os
i = 0
big = b'x' * 200000
while True:
    i += 1
    for name in ('a', 'z'):
        with open('/work/' + name, 'r+b' if os.path.exists('/work/' + name) else 'wb') as f:
            f.write(b'%09d' % i)
    with open('/work/m', 'wb') as f:
        f.write(big)
'''


@promise('processes stand still meanwhile, so that files are of one moment, and go on afterwards', limit=180)
def _():
    mc('tmp', '-d', '--name', 'writer', '-u', '0', base, '--', 'python3', '-c', PAIR).ok()
    until(lambda: mc.shell('writer', 'cat /work/z 2>/dev/null || true'), 'it writes')
    mc.shell('writer', 'head -c 20000000 /dev/urandom >/work/n')
    for _ in range(4):
        manifest = document(commit('writer', 'test/pair'))
        data = zlib.decompress(blob(manifest['layers'][-1]['digest']), 31)
        with open(f'{folder}/layer', 'wb') as f:
            f.write(data)
        with tarfile.open(f'{folder}/layer') as tar:
            one, two = (int(tar.extractfile('work/' + name).read() or 0) for name in 'az')
        true(0 <= one - two <= 1, (one, two))
        before = int(mc.shell('writer', 'cat /work/z'))
        until(lambda: int(mc.shell('writer', 'cat /work/z') or 0) > before, 'it goes on')  # noqa: B023
    mc('rm', '-f', 'writer').ok()


@promise('who is killed leaves no image, and the sandbox goes on', limit=180)
def _():
    mc.shell('box', 'head -c 60000000 /dev/urandom >/work/large; sync')
    names = set(os.listdir(f'{home}/store/blobs/sha256'))
    for victim in ('commit', 'mcrun'):
        committing = mc.start('commit', 'box', 'test/killed')
        until(lambda: any(size > 1 << 20 for size in state.sizes(f'{home}/store/tmp')), 'its layer is written', passing=True)
        send(committing.pid if victim == 'commit' else mc('inspect', 'box').ok().json()[0]['status']['pid'])
        committing.communicate(timeout=20)
        true(committing.returncode != 0, victim)
        if victim == 'commit':
            equal(mc.shell('box', 'echo well'), 'well')
        mc('tmp', '--pull', 'never', 'test/killed', 'true').ok(125)
        equal(set(os.listdir(f'{home}/store/blobs/sha256')), names)
    until(lambda: not state.supervisors(home), 'its supervisor was killed')
    equal(mc.row('box')['state'], 'stopped')
    for victim in ('commit', 'mcrun'):
        committing = mc.start('commit', 'box', 'test/killed')
        until(lambda: state.supervisors(home), 'its disk is read', passing=True)
        mc('rm', 'box').ok(1).says("'box'")
        send(committing.pid if victim == 'commit' else state.supervisors(home)[0])
        committing.communicate(timeout=20)
        true(committing.returncode != 0, victim)
        until(lambda: not state.supervisors(home), 'nobody reads it any more')
        mc('tmp', '--pull', 'never', 'test/killed', 'true').ok(125)
        equal(set(os.listdir(f'{home}/store/blobs/sha256')), names)
    digest = commit('box', 'test/after')  # the journal of its disk is replayed
    true('work/large' in names_in_layer(digest), 'it is read all the same')
    mc('rm', '-f', 'box').ok()


@promise('what cannot be committed is told, and nothing is left')
def _():
    mc('tmp', '-d', '--name', 'odd', '-u', '0', base, '--', 'sleep', 'infinity').ok()
    mc('commit', 'odd', 'test/UPPER').ok(1).says('test/UPPER')
    mc('commit', 'odd', 'test/x@sha256:' + 'a' * 64).ok(2).says('digest')
    mc('commit', 'od', 'test/x').ok(1).says("did you mean 'odd'")
    mc('commit', '--change', 'RUN ls', 'odd', 'test/x').ok(2).says('RUN ls', 'CMD, ENTRYPOINT')
    mc('commit', 'odd').ok(2)
    mc.shell('odd', 'touch /work/.wh.file')
    mc('commit', 'odd', 'test/x').ok(1).says('/work/.wh.file'[1:], '.wh.')
    mc('pause', 'odd').ok()
    mc('commit', 'odd', 'test/x').ok(1).says('monocore resume odd')
    mc('rm', '-f', 'odd').ok()
    os.mkdir(f'{folder}/root')
    shutil.copy(oci_images.tree_program(folder), f'{folder}/root/tree')
    mc('tmp', '-d', '--name', 'dir', f'rootfs:{folder}/root', '--', '/tree').ok()
    mc('commit', 'dir', 'test/x').ok(1).says('directory')
    mc('rm', '-f', 'dir').ok()
    mc('tmp', '--pull', 'never', 'test/x', 'true').ok(125)


@promise('changes that a guest makes up are refused, and the store is as it was', limit=180)
def _():
    place = f'{folder}/hostile'
    os.mkdir(place)
    for name in ('mcrun', 'mckrun', 'mcnet'):
        shutil.copy2(f'{PREFIX}/libexec/monocore/{name}', place)
    shutil.copy2(f'{AGENTS}/hello', f'{place}/mcagent')
    evil = Monocore(home, MONOCORE_LIBEXEC=place)
    name = evil('tmp', '-d', base, '--', 'serve', timeout=80).ok().out.strip()
    blobs = set(os.listdir(f'{home}/store/blobs/sha256'))
    for kind, text in {'escape': '".."', 'absolute': 'absolute', 'link': 'no directory', 'hard': '".."', 'twice': 'twice',
                       'large': 'over', 'cut': 'cut', 'noise': 'tar archive'}.items():
        evil('exec', name, '--', f'upper-{kind}').ok()
        evil('-q', 'commit', name, 'test/evil').ok(1).says(text)
    for kind in ('entry', 'reset'):
        if kind == 'reset':
            name = evil('tmp', '-d', base, '--', 'serve').ok().out.strip()
        evil('exec', name, '--', f'upper-{kind}').ok()
        contains(evil('-q', 'commit', name, 'test/evil').ok(1).err, 'commit')
        evil('rm', '-f', name).ok()
    equal(set(os.listdir(f'{home}/store/blobs/sha256')), blobs)
    mc('tmp', '--pull', 'never', 'test/evil', 'true').ok(125)


def finish():
    lines = mc.clean()
    left = os.listdir(f'{home}/store/tmp')
    return lines + [f'store/tmp has {left}'] * bool(left)


tap.main(finish)
