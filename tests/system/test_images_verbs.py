#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images in the store without a registry: loaded, listed, named, told about, saved, removed, checked."""
import atexit
import gzip
import json
import os
import shutil
import subprocess
import tarfile
import tempfile

from harness import images, tap
from harness.oci_images import image, manifest_of, skopeo
from harness.program import IMAGE, PROGRAM, Monocore
from harness.puller import Puller
from harness.tap import contains, equal, promise, true

folder = tempfile.mkdtemp(prefix='mc-images-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
mc = Monocore()
homes = 0

FIRST = image(f'{folder}/first', [images.layer(images.member('a', b'1')), images.layer(images.member('b', b'2'))])
SECOND = image(f'{folder}/second', [images.layer(images.member('a', b'1')), images.layer(images.member('c', b'3'))])


def digest_of(layout):
    return manifest_of(layout)[0]['digest']


def home(*loads):
    """An empty home with these (layout, name) in it."""
    global homes
    homes += 1
    mono = Puller(f'{folder}/home{homes}')
    for layout, name in loads:
        equal(mono('load', '--input', layout, name).ok().out, f'Loaded image: {name}\n')
    return mono


def members(archive):
    with tarfile.open(archive) as tar:
        return [(m.name, m.mtime, m.uid, m.gid, m.size) for m in tar.getmembers()]


@promise('a layout is loaded under the name that is given, and listed in every form')
def _():
    mono = home((FIRST, 'quay.io/x/one:1'), (SECOND, 'two:latest'))
    equal(mono.listed(), {'quay.io/x/one:1': digest_of(FIRST), 'docker.io/library/two:latest': digest_of(SECOND)})
    lines = mono('images').ok().out.splitlines()
    equal((len(lines), lines[0].split()[:2]), (3, ['NAME', 'ID']))
    contains(mono('images', '--digests').ok().out, digest_of(FIRST))
    contains(mono('images', '--no-trunc').ok().out, manifest_of(FIRST)[1]['config']['digest'])
    equal(mono('images', '-q', 'two').ok().out, 'two:latest\n')
    equal(mono('images', '-q', 'quay.io/*/*').ok().out, 'quay.io/x/one:1\n')
    equal(mono('images', '-q', 'nothing').ok().out, '')
    equal(mono('image', 'ls', '-q').ok().out, mono('images', '-q').ok().out)
    row = next(r for r in mono('images', '--json').ok().json() if r['name'] == 'two:latest')
    equal((row['platforms'], row['id'], row['source']), (['linux/amd64'], manifest_of(SECOND)[1]['config']['digest'], ''))


@promise('what an archive calls an image it is called here; without a name, or for many, one is asked for')
def _():
    mono = home()
    mono('load', '--input', FIRST).ok(2).says('NAME')
    archive = f'{folder}/named.tar'
    skopeo('copy', '-q', f'oci:{FIRST}:latest', f'docker-archive:{archive}:example/a:7')
    equal(mono('load', '-q', '--input', archive).ok().out, 'example/a:7\n')
    mono('load', '--input', FIRST, 'UPPER').ok(1).says('UPPER')
    mono('load', '--input', f'{folder}/missing').ok(1).says('missing')
    mono('load', '--input', folder, 'x').ok(1).says('index.json')
    mono('load', input=b'').ok(1).says('standard input')
    mono('load', input=b'no tar at all' * 100).ok(1).says('standard input')
    equal(os.listdir(f'{mono.home}/store/tmp'), [], 'what came by a pipe')
    equal(len(mono.listed()), 1)
    mono('image', 'check').ok()


@promise('what is saved has the same bytes each time, is read by skopeo, and comes back with the same digests')
def _():
    mono = home((FIRST, 'one:1'), (SECOND, 'quay.io/y/two:2'))
    archive = f'{folder}/both.tar'
    mono('save', 'quay.io/y/two:2', 'one:1', '-o', archive).ok()
    with open(archive, 'rb') as f:
        data = f.read()
    equal(mono('save', 'one:1', 'quay.io/y/two:2').ok().raw, data, 'another order, on a pipe')
    listed = members(archive)
    equal([m[0] for m in listed], sorted(m[0] for m in listed))
    equal({m[1:4] for m in listed}, {(0, 0, 0)})
    for name, tag, layout in (('one', '1', FIRST), ('quay.io/y/two', '2', SECOND)):
        copy = f'{folder}/copy-{tag}'
        skopeo('copy', '-q', f'oci-archive:{archive}:{tag}', f'oci:{copy}:latest')
        equal(digest_of(copy), digest_of(layout))
        shown = json.loads(skopeo('inspect', '--config', f'docker-archive:{archive}:{name}:{tag}').stdout)
        equal(shown['rootfs']['diff_ids'], images.load(layout, manifest_of(layout)[1]['config']['digest'])['rootfs']['diff_ids'])
    other = home()
    equal(sorted(other('load', '-q', input=gzip.compress(data, 1)).ok().out.split()), ['one:1', 'quay.io/y/two:2'])
    equal(os.listdir(f'{other.home}/store/tmp'), [], 'what came by a pipe')
    equal(other.listed(), mono.listed())
    equal(other('save', 'one:1', 'quay.io/y/two:2').ok().raw, data)
    other('image', 'check').ok()


@promise('each format that save knows is loaded again; a directory must be empty, a file is whole or not there')
def _():
    mono = home((FIRST, 'one:1'))
    mono('save', '--format', 'docker', 'one:1', '-o', f'{folder}/d.tar').ok()
    equal([m[0] for m in members(f'{folder}/d.tar') if not m[0].startswith('blobs')], ['manifest.json'])
    mono('save', '--format', 'oci-dir', 'one:1', '-o', f'{folder}/dir').ok()
    equal(digest_of(f'{folder}/dir'), digest_of(FIRST))
    mono('save', '--format', 'oci-dir', 'one:1', '-o', f'{folder}/dir').ok(1).says('not empty')
    mono('save', '--format', 'oci-dir', 'one:1').ok(2).says('--output')
    mono('save', '--format', 'tgz', 'one:1').ok(2).says('oci-dir')
    for path in ('d.tar', 'dir'):
        other = home()
        equal(other('load', '-q', '--input', f'{folder}/{path}').ok().out, 'one:1\n')
        other('image', 'check').ok()
    mono('save', 'one:1', 'nothing', '-o', f'{folder}/never.tar').ok(1).says('nothing')
    equal([n for n in os.listdir(folder) if n.startswith('never')], [])


@promise('a tag is one name more; a start of an id or a digest names an image, and what is near is told')
def _():
    mono = home((FIRST, 'one:1'))
    row = mono('images', '--json').ok().json()[0]
    mono('tag', row['id'][7:15], 'localhost:5000/a/b').ok()
    mono('tag', 'one@' + row['digest'], 'three').ok()
    equal(mono.listed(), {n: digest_of(FIRST) for n in ('docker.io/library/one:1', 'localhost:5000/a/b:latest',
                                                       'docker.io/library/three:latest')})
    mono('tag', 'one', 'x').ok(1).says("did you mean 'one:1'?")
    mono('history', 'thre').ok(1).says("did you mean 'three")
    mono('rmi', row['id'][7:15]).ok(1).says('several names', 'one:1', 'three:latest')
    equal(mono('rmi', '-q', 'one:1', 'three').ok().out, 'one:1\nthree:latest\n')
    true(mono.blobs(), 'what has a name stays')
    out = mono('rmi', row['digest']).ok().out
    equal(out.splitlines(), ['Untagged: localhost:5000/a/b:latest', 'Deleted: ' + digest_of(FIRST)])
    equal(mono.blobs(), set())


@promise('inspect tells about sandboxes and images; --type says which; history gives each layer its size')
def _():
    mono = home((FIRST, 'one:1'))
    row, manifest = manifest_of(FIRST)
    told = mono('inspect', 'one:1').ok().json()[0]
    equal((told['Id'], told['RepoTags'], told['RepoDigests'], told['Os'], told['Architecture']),
          (manifest['config']['digest'], ['one:1'], ['one@' + row['digest']], 'linux', 'amd64'))
    equal([layer['digest'] for layer in told['Layers']], [layer['digest'] for layer in manifest['layers']])
    equal(len(told['RootFS']['Layers']), 2)
    equal(mono('image', 'inspect', 'one:1').ok().json()[0]['Id'], told['Id'])
    mono('inspect', '--type', 'sandbox', 'one:1').ok(1)
    mono('inspect', 'neither').ok(1).says('neither', 'sandbox', 'image')
    mono('inspect', 'oen:1').ok(1).says("did you mean 'one:1'?")
    mono('inspect', '--platform', 'linux/s390x', 'one:1').ok(1).says('platform')
    steps = mono('history', '--json', 'one:1').ok().json()
    equal([s['layer'] for s in steps], [layer['digest'] for layer in reversed(manifest['layers'])])
    equal([s['size'] for s in steps], [layer['size'] for layer in reversed(manifest['layers'])])
    equal(mono('history', '-q', 'one:1').ok().out.split(), [s['layer'] for s in steps])


@promise('an image that a sandbox is made of is not removed without force, and what the sandbox needs never')
def _():
    mc('load', '--input', IMAGE, 'boxed:1').ok()
    with mc.sandbox(image='boxed:1') as box:
        mc('rmi', 'boxed:1').ok(1).says('boxed:1', box, '--force')
        mc('tag', 'boxed:1', 'boxed:2').ok()
        mc('rmi', 'boxed:1').ok()
        mc('rmi', 'boxed:2').ok(1).says(box)
        mc('image', 'prune', '--all').ok()
        contains(mc('images', '-q').ok().out, 'boxed:2')
        mc('rmi', '-f', 'boxed:2').ok()
        mc('image', 'prune', '--all').ok()
        mc('stop', '-t', '0', box).ok()
        mc('image', 'prune', '-a', '-f').ok()
        mc('restart', box).ok()
        equal(mc.shell(box, 'echo here'), 'here')
    before = mc('image', 'prune', '--dry-run', '--json').ok().json()
    true(before['blobs'] > 0 and not before['removed'], before)
    equal(mc('image', 'prune', '--json').ok().json(), before | {'removed': True})
    equal(mc('image', 'prune', '--json').ok().json()['bytes'], 0)


@promise('prune --all removes the names that no sandbox uses, and says before what it would do')
def _():
    mono = home((FIRST, 'one:1'), (SECOND, 'two:2'))
    blobs = mono.blobs()
    equal(mono('image', 'prune').ok().out.splitlines()[0][:9], 'Removed: ')
    equal(mono.blobs(), blobs)
    contains(mono('image', 'prune', '-a', '--dry-run').ok().out, 'Would be untagged: one:1')
    equal(mono.blobs(), blobs)
    equal(mono('image', 'prune', '-a', '-q').ok().out, 'one:1\ntwo:2\n')
    equal((mono.listed(), mono.blobs()), ({}, set()))


@promise('a damaged layer of a loaded image is found, not saved, removed by --repair, and loaded again')
def _():
    mono = home((FIRST, 'one:1'), (SECOND, 'two:2'))
    layer = manifest_of(FIRST)[1]['layers'][1]['digest']
    path = f'{mono.home}/store/blobs/sha256/{layer[7:]}'
    os.chmod(path, 0o600)
    with open(path, 'r+b') as f:
        f.seek(20)
        f.write(b'\x00\xff')
    answer = mono('image', 'check').ok(1)
    contains(answer.out, layer)
    contains(answer.out, 'one:1')
    true('two:2' not in answer.out, answer)
    mono('save', 'one:1', '-o', f'{folder}/no.tar').ok(1).says(layer, '--repair')
    contains(mono('image', 'check', '--repair').ok(1).out, 'load or build it again')
    mono('load', '--input', FIRST, 'one:1').ok()
    equal(mono('image', 'check').ok().out, 'Everything is whole.\n')


@promise('names of images are completed, those of sandboxes where sandboxes are meant')
def _():
    mono = home((FIRST, 'localhost:5000/a/one:1'))
    equal(mono('self', 'complete-names', 'images').ok().out, 'localhost:5000/a/one:1\n')
    equal(mono('self', 'complete-names').ok().out, '')
    script = mono('self', 'completion', 'bash').ok().out
    line = ('. /usr/share/bash-completion/bash_completion; eval "$0"; '
            'COMP_LINE="monocore rmi localhost:5000/a"; COMP_POINT=${#COMP_LINE}; '
            'COMP_WORDS=(monocore rmi localhost : 5000/a); COMP_CWORD=4; COMPREPLY=(); _monocore; '
            'printf "%s\\n" "${COMPREPLY[@]}"')
    answer = subprocess.run(['bash', '-c', line, script], capture_output=True, text=True,
                            env=mono.env | {'PATH': os.path.dirname(PROGRAM) + ':/usr/bin:/bin'})
    contains(answer.stdout, '5000/a/one:1', answer.stderr)


tap.main(mc.clean)
