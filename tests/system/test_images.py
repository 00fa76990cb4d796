#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images from disk in every form, what their layers may hold, and strangers' images that mean no good."""
import atexit
import base64
import gzip
import json
import os
import random
import shutil
import subprocess
import tarfile
import tempfile

from harness import images, state, tap
from harness.images import Layout, directory, hardlink, layer, member, sha256, symlink
from harness.program import Monocore
from harness.tap import contains, equal, promise, true

mc = Monocore()
folder = tempfile.mkdtemp(prefix='mc-images-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
PRINTER = images.printer(folder)
made = 0


def new():
    global made
    made += 1
    return f'{folder}/{made}'


def small(*members):
    """A layer with the printing program and these members."""
    return layer(member('p', PRINTER, mode=0o755), *members)


def look(reference, *paths):
    """What the printing program says of these paths, by path."""
    lines = mc('tmp', '--entrypoint', '/p', reference, *paths).ok().out.splitlines()
    return {line.split(': ', 1)[0]: line.split(': ', 1)[1] for line in lines if ': ' in line}, \
        {line.removeprefix('entry ') for line in lines if line.startswith('entry ')}


def hello(reference):
    equal(mc('tmp', '--entrypoint', '/p', reference).ok().out, 'hello from a small image\n')


def refused(reference, *parts):
    """The image is refused with one line that names these things, and nothing of it stays."""
    mc('tmp', reference, '/p').ok(125).says(*parts)
    equal(state.left(mc.home, 0.5), [])


def digests():
    return set(os.listdir(f'{mc.home}/store/rootfs')) if os.path.isdir(f'{mc.home}/store/rootfs') else set()


@promise('layers in gzip, zstd and plain are the same image, in a layout directory and in a tar of one')
def _():
    tar, top = small(), layer(member('etc/new', b'top'))
    before = digests()
    for pack, media in ((lambda t: gzip.compress(t, mtime=0), '+gzip'), (images.zstd, '+zstd'), (lambda t: t, '')):
        layout = Layout(new())
        reference = layout.finish([layout.blob(pack(t), images.LAYER + media) for t in (tar, top)],
                                  [sha256(tar), sha256(top)])
        contains(look(reference, '/etc/new')[0]['/etc/new'], 'holds top')
    equal(len([name for name in digests() - before if name.endswith('.img')]), 1, 'root file systems')
    subprocess.run(['tar', '-C', layout.path, '-cf', f'{folder}/layout.tar', '.'], check=True)
    hello(f'oci:{folder}/layout.tar')
    hello(f'{folder}/layout.tar')
    hello(layout.path)


@promise('gzip of several members, as pigz and bgzip write it, is read to its end')
def _():
    tar = small(member('last', b'here'))
    layout = Layout(new())
    packed = b''.join(gzip.compress(tar[i:i + 5000], mtime=0) for i in range(0, len(tar), 5000))
    contains(look(layout.finish([layout.blob(packed, images.LAYER + '+gzip')], [sha256(tar)]), '/last')[0]['/last'],
             'holds here')


@promise('a docker archive, by path, by tag, and with several images in it')
def _():
    layout = new()
    images.image(layout, [small(member('which', b'one'))], {'Cmd': ['/p', '/which']})
    archive = f'{folder}/docker.tar'
    subprocess.run(['skopeo', '--insecure-policy', 'copy', '-q', f'oci:{layout}:latest',
                    f'docker-archive:{archive}:example/one:v1'], check=True, capture_output=True)
    for reference in (f'docker-archive:{archive}', f'docker-archive:{archive}:example/one:v1', archive):
        contains(mc('tmp', reference).ok().out, 'holds one')
    refused(f'docker-archive:{archive}:example/two:v1', 'example/two:v1')


@promise('a plain directory is a root file system')
def _():
    root = new()
    os.makedirs(f'{root}/sub/deep')
    with open(f'{root}/p', 'wb') as f:
        f.write(PRINTER)
    os.chmod(f'{root}/p', 0o755)
    os.symlink('../p', f'{root}/sub/link')
    os.link(f'{root}/p', f'{root}/sub/hard')
    os.mkfifo(f'{root}/sub/pipe', 0o640)
    found, _ = look(f'rootfs:{root}', '/sub/link', '/sub/hard', '/sub/pipe')
    contains(found['/sub/link'], 'to ../p')
    contains(found['/sub/hard'], 'links 2')
    contains(found['/sub/pipe'], 'mode 10640')


@promise('tags and digests choose among the images of a layout, platforms among those of an index')
def _():
    path = new()
    layout = Layout(path)
    rows = []
    for name, architecture in (('one', 'amd64'), ('two', 'amd64'), ('arm', 'arm64')):
        tar = small(member('which', name.encode()))
        config = layout.blob_json({'architecture': architecture, 'os': 'linux', 'config': {'Cmd': ['/p', '/which']},
                                   'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + sha256(tar)]}}, images.CONFIG)
        row = layout.blob_json({'schemaVersion': 2, 'mediaType': images.MANIFEST, 'config': config,
                                'layers': [layout.blob(tar, images.LAYER)]}, images.MANIFEST)
        row['annotations'] = {'org.opencontainers.image.ref.name': name}
        rows.append(row)
    layout.index(rows)
    for name in ('one', 'two'):
        contains(mc('tmp', f'oci:{path}:{name}').ok().out, f'holds {name}')
    contains(mc('tmp', f'oci:{path}@{rows[1]["digest"]}').ok().out, 'holds two')
    refused(f'oci:{path}:three', 'three')
    refused(f'oci:{path}:arm', 'arm64')
    nested = layout.blob_json({'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.index.v1+json', 'manifests': [
        rows[2] | {'platform': {'architecture': 'arm64', 'os': 'linux'}},
        rows[0] | {'platform': {'architecture': 'amd64', 'os': 'linux'}}]}, 'application/vnd.oci.image.index.v1+json')
    layout.index([nested])
    contains(mc('tmp', f'oci:{path}').ok().out, 'holds one')


@promise('whiteouts, opaque directories and replacements hide what older layers hold, and nothing else')
def _():
    reference = images.image(new(), [
        small(directory('d'), member('d/gone', b'1'), member('d/stays', b'1'), directory('o'), member('o/old', b'1'),
              member('file', b'1'), directory('dir'), member('dir/child', b'1'), directory('keep', mode=0o711),
              member('keep/a', b'1')),
        layer(member('d/.wh.gone'), member('o/.wh..wh..opq'), member('o/new', b'2'), directory('file'),
              member('file/child', b'2'), member('dir', b'2'), directory('keep', mode=0o755), member('.wh.absent')),
        layer(member('d/gone2', b'3'), member('o/third', b'3'))])
    found, names = look(reference, '-/d', '/file', '/dir', '/keep', '/keep/a', '/o/old', '/o/new', '/o/third')
    equal(names, {'stays', 'gone2'})
    contains(found['/file'], 'mode 40755')
    contains(found['/dir'], 'holds 2')
    contains(found['/keep'], 'mode 40755')
    contains(found['/keep/a'], 'holds 1')
    equal(found['/o/old'], 'not there')
    contains(found['/o/new'] + found['/o/third'], 'holds 3')


@promise('hard links within and across layers, devices, fifos, times, owners and modes are kept')
def _():
    reference = images.image(new(), [
        small(member('a', b'data', mtime=-1.5, uid=12, gid=34), hardlink('b', 'a'),
              member('null', kind=tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
              member('loop', kind=tarfile.BLKTYPE, mode=0o600, devmajor=7, devminor=200),
              member('pipe', kind=tarfile.FIFOTYPE, mode=0o600), member('su', b'x', mode=0o4755, uid=3_000_000_000)),
        layer(hardlink('c', 'b'), member('future', b'', mtime=5_000_000_000.25))])
    found, _ = look(reference, '/a', '/b', '/c', '/null', '/loop', '/pipe', '/su', '/future')
    for name in ('/a', '/b', '/c'):
        contains(found[name], 'uid 12 gid 34 links 3 size 4 mtime -2.500000000')
    contains(found['/null'], 'mode 20666')
    contains(found['/null'], 'rdev 1:3')
    contains(found['/loop'], 'mode 60600')
    contains(found['/loop'], 'rdev 7:200')
    contains(found['/pipe'], 'mode 10600')
    contains(found['/su'], 'mode 104755 uid 3000000000')
    contains(found['/future'], 'mtime 5000000000.250000000')


@promise('names of 250 bytes, deep paths, odd bytes and GNU\'s long names are kept')
def _():
    long, deep = 'l' * 250, '/'.join(['deep' * 20] * 12)
    odd = 'odd\n\udcff ä\\'
    tar = layer(member('p', PRINTER, mode=0o755), member(long, b'1'), member(f'{deep}/f', b'2'), member(odd, b'3'),
                symlink('far', 'x' * 300), format=tarfile.GNU_FORMAT)
    found, names = look(images.image(new(), [tar]), f'/{long}', f'/{deep}/f', '/far')
    contains(found[f'/{long}'], 'holds 1')
    contains(found[f'/{deep}/f'], 'holds 2')
    contains(found['/far'], 'size 300')
    answer = mc('tmp', '--entrypoint', '/p', images.image(new(), [tar]), '-/')
    contains(answer.raw, 'entry odd\n'.encode() + b'\xff' + ' ä\\\n'.encode())


@promise('sparse files and files over 8 GiB keep size and content, and cost what they hold')
def _():
    root = new()
    os.mkdir(root)
    with open(f'{root}/huge', 'wb') as f:
        f.truncate(9 << 30)
        f.seek((8 << 30) + 12345)
        f.write(b'far away')
    with open(f'{root}/p', 'wb') as f:
        f.write(PRINTER)
    os.chmod(f'{root}/p', 0o755)
    for form in ('gnu', 'posix'):
        subprocess.run(['tar', '-C', root, f'--format={form}', '-S', '-cf', f'{folder}/sparse.tar', 'huge', 'p'], check=True)
        with open(f'{folder}/sparse.tar', 'rb') as f:
            tar = f.read()
        before = digests()
        contains(look(images.image(new(), [tar]), '/huge')[0]['/huge'], f'size {9 << 30}')
        for name in digests() - before:
            used = os.stat(f'{mc.home}/store/rootfs/{name}').st_blocks * 512
            true(used < 16 << 20, f'{name} takes {used} bytes')


@promise('extended attributes and file capabilities are kept, and capabilities work')
def _():
    capability = bytes.fromhex('0100000200040000000000000000000000000000').decode()
    with open('/usr/bin/true', 'rb') as f:
        program = f.read()
    reference = images.over_debian(new(), {'Cmd': ['bash']}, [layer(
        member('opt/cap', program, mode=0o755, pax_headers={'SCHILY.xattr.security.capability': capability}),
        member('opt/attr', b'x', pax_headers={'SCHILY.xattr.user.note': 'värde',
                                              'LIBARCHIVE.xattr.user.other': base64.b64encode(b'o').decode()}),
        directory('opt/sub', pax_headers={'SCHILY.xattr.user.dir': 'yes'}))])
    answer = mc('tmp', reference, 'sh', '-c', 'getcap /opt/cap; getfattr --only-values -n user.note /opt/attr; echo; '
                'getfattr --only-values -n user.dir /opt/sub').ok().out
    contains(answer, '/opt/cap cap_net_bind_service=ep')
    contains(answer, 'värde\nyes')


# ---- strangers ----

@promise('a path that climbs out of the root is refused by name')
def _():
    for name in ('../escape', 'a/../../escape', '/../../escape'):
        refused(images.image(new(), [small(member(name, b'x'))]), '..')
    refused(images.image(new(), [small(hardlink('x', '../../etc/passwd'))]), '..')


@promise('links are never followed out of the image: what stands behind one stays inside')
def _():
    target = f'{folder}/outside'
    os.mkdir(target)
    reference = images.image(new(), [small(directory('opt/real'), symlink('abs', '/opt/real'),
                                           symlink('up', '../../../../../../opt/real'), symlink('out', target)),
                                     layer(member('abs/one', b'1'), member('up/two', b'2'))])
    found, _ = look(reference, '/opt/real/one', '/opt/real/two')
    contains(found['/opt/real/one'], 'holds 1')
    contains(found['/opt/real/two'], 'holds 2')
    mc('tmp', images.image(new(), [small(symlink('out', target)), layer(member('out/evil', b'x'))]), '/p')
    equal(os.listdir(target), [])


@promise('a digest that lies, of a layer, a config or a manifest, is refused by its name')
def _():
    tar = small()
    lie = sha256(b'something else')
    layout = Layout(new())
    refused(layout.finish([layout.blob(gzip.compress(tar), images.LAYER + '+gzip', lie)], [sha256(tar)]), lie[:12])
    layout = Layout(new())
    refused(layout.finish([layout.blob(gzip.compress(tar), images.LAYER + '+gzip')], [lie]), lie[:12])
    path = new()
    images.image(path, [tar])
    with open(f'{path}/index.json') as f:
        digest = json.load(f)['manifests'][0]['digest'].removeprefix('sha256:')
    with open(f'{path}/blobs/sha256/{digest}', 'a') as f:
        f.write(' ')
    refused('oci:' + path, digest[:12])


@promise('sizes that lie, blobs that are missing, and digests that are paths are refused')
def _():
    tar = small()
    for change in ({'size': 10}, {'size': 1 << 40}, {'size': -1}, {'digest': 'sha256:../../../etc/passwd'},
                   {'digest': 'sha256:' + 'a' * 64}, {'digest': 'md5:abc'}, {'mediaType': 'text/plain'}):
        layout = Layout(new())
        described = layout.blob(tar, images.LAYER) | change
        refused(layout.finish([described], [sha256(tar)]))
    layout = Layout(new())
    refused(layout.finish([layout.blob(tar, images.LAYER)], []), '')


@promise('a truncated or damaged layer is refused, in gzip, zstd and plain')
def _():
    tar = small(member('random', os.urandom(300_000)))
    packed, squeezed = gzip.compress(tar, mtime=0), images.zstd(tar)
    broken = bytearray(packed)
    broken[len(broken) // 2] ^= 0x55
    for data, media in ((packed[:-9], '+gzip'), (packed[:len(packed) // 2], '+gzip'), (bytes(broken), '+gzip'),
                        (squeezed[:len(squeezed) // 2], '+zstd'), (tar[:100_000], ''), (b'', '+gzip'),
                        (b'not compressed at all', '+gzip')):
        layout = Layout(new())
        refused(layout.finish([layout.blob(data, images.LAYER + media)], [sha256(tar)]))


@promise('a decompression bomb is refused, soon and with little memory')
def _():
    tar = layer(member('zeros', bytes(400 << 20)))
    layout = Layout(new())
    bomb = layout.blob(images.zstd(tar), images.LAYER + '+zstd')
    true(bomb['size'] < 100_000, f'the bomb has {bomb["size"]} bytes')
    reference = layout.finish([bomb], [sha256(tar)])
    del tar
    refused(reference, 'MONOCORE_IMAGE_LIMITS')
    # Whoever means it can have it: then it is the command that is missing.
    mc('tmp', '-q', reference, '--', 'nothing', env={'MONOCORE_IMAGE_LIMITS': 'ratio=1000000'}).ok(127).says('nothing')
    mc('tmp', '-q', reference, '--', 'nothing', env={'MONOCORE_IMAGE_LIMITS': 'ratoi=1'}).ok(125).says('ratoi', 'ratio')


@promise('an image for another architecture or system is refused by the name of that')
def _():
    refused(images.image(new(), [small()], architecture='arm64'), 'arm64')
    refused(images.image(new(), [small()], architecture='riscv64'), 'riscv64')


@promise('nonsense in place of JSON is refused, however deep or long')
def _():
    for text in ('', '{', 'null', '[]', '[' * 100_000, '{"manifests": [' + '{"digest": "x"},' * 10_000 + '{}]}',
                 '{"schemaVersion": 2, "manifests": []}', '{"schemaVersion": 2}', '\0' * 100, '{"a": "\ud800"}'):
        path = new()
        images.image(path, [small()])
        with open(f'{path}/index.json', 'w', errors='surrogatepass') as f:
            f.write(text)
        refused('oci:' + path)
    path = new()
    images.image(path, [small()])
    os.unlink(f'{path}/index.json')
    os.mkfifo(f'{path}/index.json')
    refused('oci:' + path)


@promise('random damage to a layout is an error or an image, and never a crash')
def _():
    seed = random.randrange(1 << 32)
    print(f'# seed {seed}')
    chance = random.Random(seed)
    for _ in range(25):
        path = new()
        images.image(path, [small(member('a', b'x' * 1000), symlink('l', 'a')), layer(member('.wh.a'))], packed=False)
        blobs = [f'{path}/index.json'] + [f'{path}/blobs/sha256/{name}' for name in sorted(os.listdir(f'{path}/blobs/sha256'))]
        victim = chance.choice(blobs)
        with open(victim, 'rb+') as f:
            data = bytearray(f.read())
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            f.seek(0)
            f.write(data)
        answer = mc('tmp', 'oci:' + path, '/p')
        true(answer.status in (0, 125), f'{victim}: {answer}')
        shutil.rmtree(path)


@promise('two processes that want the same new image build it once')
def _():
    reference = images.over_debian(new(), {'Cmd': ['cat', '/once']}, [layer(member('once', os.urandom(8).hex().encode()))])
    before = digests()
    running = [mc.start('tmp', reference) for _ in range(3)]
    answers = [p.communicate(timeout=60) for p in running]
    equal([p.returncode for p in running], [0, 0, 0], answers)
    equal(len({a[0] for a in answers}), 1)
    equal(len([n for n in digests() - before if n.endswith('.img')]), 1, 'root file systems')


tap.main(mc.clean)
