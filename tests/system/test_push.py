#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pushes to the real registry: what goes up, in which order, and what does not go up twice; skopeo reads it."""
import atexit
import base64
import json
import os
import shutil
import tarfile
import tempfile

from harness import oci_images, tap
from harness.oci_images import skopeo
from harness.program import Monocore
from harness.proxy import Proxy
from harness.puller import Puller
from harness.registry import Registry
from harness.tap import equal, promise, true
from harness.token_server import TokenServer

folder = tempfile.mkdtemp(prefix='mc-push-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
registry = Registry(f'{folder}/registry')
target = Registry(f'{folder}/target')
proxy = Proxy(target)
opened, homes = [registry, target, proxy], 0
path = oci_images.image(f'{folder}/image', [oci_images.random_layer('small', 9000),
                                            oci_images.random_layer('big', 30 << 20)])
DIGEST = oci_images.push(path, registry, 'team/app')
ROW, VALUE = oci_images.manifest_of(path)
BIG = VALUE['layers'][-1]
SOURCE = f'{registry.host}/team/app'


def home(pull=SOURCE):
    global homes
    homes += 1
    mono = Puller(f'{folder}/home{homes}')
    if pull:
        mono('pull', '-q', pull).ok()
    return mono


def finish():
    lines = proxy.failures
    for server in opened:
        server.close()
    return lines


def push(mono, place, *options, source=SOURCE, **more):
    mono('tag', source, place).ok()
    return mono('push', '-q', *options, place, **more)


@promise('skopeo reads what was pushed: the same bytes, the same digests, the same tree')
def _():
    tars = oci_images.rich(folder)
    rich = oci_images.image(f'{folder}/rich', tars)
    digest = oci_images.push(rich, registry, 'rich')
    mono = home(f'{registry.host}/rich')
    push(mono, f'{target.host}/a/b:1', source=f'{registry.host}/rich').ok()
    equal(target.manifest('a/b', '1')[2], digest)
    skopeo('copy', '-q', '--src-tls-verify=false', f'docker://{target.host}/a/b:1', f'oci:{folder}/back:latest')
    equal(oci_images.manifest_of(f'{folder}/back')[0]['digest'], digest)
    equal(oci_images.differences(oci_images.umoci_tree(rich, folder, tars=tars),
                                 oci_images.umoci_tree(f'{folder}/back', folder, tars=tars), set()), [])


@promise('a blob that is there is asked for and not sent; the manifest goes last')
def _():
    mono = home()
    proxy.heal()
    push(mono, f'{proxy.host}/order:1').ok()
    rows = proxy.forget()
    equal((rows[-1].method, rows[-1].path), ('PUT', '/v2/order/manifests/1'))
    heads = {r.path.rsplit('/', 1)[1] for r in rows if r.method == 'HEAD' and '/blobs/' in r.path}
    blobs = {row['digest'] for row in VALUE['layers'] + [VALUE['config']]}
    equal(heads, blobs, 'HEAD before an upload')
    push(mono, f'{proxy.host}/order:2').ok()
    rows = proxy.forget()
    equal([r for r in rows if r.method in ('POST', 'PATCH') or (r.method == 'PUT' and '/manifests/' not in r.path)], [])
    equal(target.tags('order'), ['1', '2'])


@promise('blobs of another repository of the same registry are mounted, not sent')
def _():
    mono = home()
    push(mono, f'{proxy.host}/first:1').ok()
    proxy.forget()
    push(mono, f'{proxy.host}/second:1').ok()
    rows = proxy.forget()
    mounts = [r for r in rows if r.method == 'POST' and 'mount' in r.query]
    true(mounts and all(r.query['from'] for r in mounts), f'{rows}')
    true(sum(r.received for r in rows if '/blobs/' in r.path) < 1000, 'no bytes of blobs are sent')
    equal(target.manifest('second', '1')[2], DIGEST)


@promise('an upload that is cut goes on from where the registry stands')
def _():
    mono = home()
    for number, cut in enumerate((1 << 20, 11 << 20)):
        fresh = Registry(f'{folder}/fresh{number}')
        opened.append(fresh)
        with Proxy(fresh) as front:
            fault = front.fault('(PATCH|PUT) .*/blobs/uploads/', cut_upload=cut)
            push(mono, f'{front.host}/cut:1', timeout=60).ok()
            true(fault.hits, 'it was cut')
            sent = sum(r.received for r in front.requests if '/blobs/' in r.path)
            size = sum(row['size'] for row in VALUE['layers'] + [VALUE['config']])
            true(sent < size + cut + (17 << 20), f'{sent} bytes were sent for {size}')
            equal(fresh.manifest('cut', '1')[2], DIGEST)


@promise('503 and 429 in the middle of a push, and an answer that is lost, do not end it')
def _():
    mono = home()
    for number, (pattern, what) in enumerate((
            ('POST .*/uploads/', {'status': 503}), ('(PATCH|PUT) .*/uploads/', {'status': 503}),
            ('(PATCH|PUT) .*/uploads/', {'lose_answer': True}), ('PUT .*/manifests/', {'status': 429, 'headers': {
                'Retry-After': '1'}}), ('PUT .*/manifests/', {'lose_answer': True}), ('HEAD', {'status': 500}))):
        fresh = Registry(f'{folder}/again{number}')
        opened.append(fresh)
        with Proxy(fresh) as front:
            fault = front.fault(pattern, **what)
            push(mono, f'{front.host}/again:1', timeout=60).ok()
            true(fault.hits, f'{what} happened')
            equal(fresh.manifest('again', '1')[2], DIGEST, str(what))


@promise('a push that fails leaves no tag, and says why')
def _():
    mono = home()
    for number, (pattern, what, word) in enumerate((
            ('PUT .*/manifests/', {'status': 400, 'body': json.dumps({'errors': [
                {'code': 'MANIFEST_INVALID', 'message': 'we do not like it'}]})}, 'we do not like it'),
            ('POST .*/uploads/', {'status': 507, 'body': 'full'}, '507'),
            ('(PATCH|PUT) .*/blobs/', {'status': 413, 'body': '<html>413 Request Entity Too Large'}, '413'))):
        fresh = Registry(f'{folder}/refused{number}')
        opened.append(fresh)
        with Proxy(fresh) as front:
            front.fault(pattern, times=None, **what)
            push(mono, f'{front.host}/no:1', timeout=60).ok(1).says(word)
            equal(fresh.tags('no'), [])


@promise('a push with a token asks for the right to push, and to read what it mounts from')
def _():
    tokens = TokenServer(f'{folder}/tokens', {'ann': 'a', 'bob': 'b'}, {'ann': {'.*': 'pull,push'}, 'bob': {'.*': 'pull'}})
    closed = Registry(f'{folder}/closed', tokens=tokens)
    opened.extend([tokens, closed])
    mono = home()
    mono.credentials(auths={closed.host: {'auth': base64.b64encode(b'ann:a').decode()}})
    push(mono, f'{closed.host}/team/one:1').ok()
    push(mono, f'{closed.host}/team/two:1').ok()
    scopes = {scope for request in tokens.asked for scope in request.scopes}
    true(any(s.startswith('repository:team/two:') and 'push' in s for s in scopes), f'{scopes}')
    true(any(s.startswith('repository:team/one:') and 'pull' in s for s in scopes), f'{scopes}')
    mono.credentials(auths={closed.host: {'auth': base64.b64encode(b'bob:b').decode()}})
    push(mono, f'{closed.host}/team/three:1').ok(1).says('team/three')
    # Tokens that end while blobs go up.
    mono.credentials(auths={closed.host: {'auth': base64.b64encode(b'ann:a').decode()}})
    tokens.life = tokens.expires_in = 1
    fresh = home(None)
    fresh.credentials(auths={closed.host: {'auth': base64.b64encode(b'ann:a').decode()}})
    other = oci_images.image(f'{folder}/other', [oci_images.random_layer(f'o{i}', 4 << 20) for i in range(6)])
    kept = f'{registry.host}/team/other'
    oci_images.push(other, registry, 'team/other')
    fresh('pull', '-q', kept).ok()
    push(fresh, f'{closed.host}/team/four:1', source=kept).ok()


@promise('an index goes up whole where all of it is here, children first; of another, the platform that is here')
def _():
    parts = oci_images.Parts(f'{folder}/index')
    rows = [parts.manifest([oci_images.random_layer(arch, 1000)], arch) for arch in ('amd64', 'arm64')]
    digest = oci_images.push(parts.finish(parts.index(rows)), registry, 'multi')
    source = f'{registry.host}/multi'
    mono = home(source)
    push(mono, f'{target.host}/single:1', source=source).ok()
    equal(target.manifest('single', '1')[2], rows[0]['digest'])
    mono('pull', '-q', '--platform', 'linux/arm64', source).ok()
    proxy.heal()
    push(mono, f'{proxy.host}/multi:1', source=source).ok()
    order = [r.path.rsplit('/', 1)[1] for r in proxy.seen('PUT .*/manifests/')]
    equal((set(order[:-1]), order[-1]), ({row['digest'] for row in rows}, '1'))
    equal(target.manifest('multi', '1')[2], digest)
    skopeo('inspect', '--tls-verify=false', '--override-arch', 'arm64', f'docker://{target.host}/multi:1')


@promise('referrers of an image come with it and go on with it')
def _():
    parts = oci_images.Parts(f'{folder}/signed')
    row = parts.manifest([oci_images.random_layer('s', 1000)])
    oci_images.push(parts.finish(row), registry, 'signed')
    signature = parts.artifact(row, 'application/vnd.example.signature.v1', b'{"signed": true}')
    tag = oci_images.refer(parts.path, registry, 'signed', signature)
    mono = home(f'{registry.host}/signed')
    push(mono, f'{target.host}/signed:1', source=f'{registry.host}/signed').ok()
    found = target.manifest('signed', tag)
    true(found and signature['digest'] in found[0].decode(), f'{target.tags("signed")}')
    equal(target.manifest('signed', signature['digest'])[2], signature['digest'])


@promise('what is not there is not pushed')
def _():
    mono = home(None)
    mono('push', f'{target.host}/never:1').ok(1).says('never')


@promise('a commit goes up, and skopeo and umoci read it')
def _():
    mono = Monocore()
    name = f'{target.host}/committed:1'
    with mono.sandbox() as box:
        mono.shell(box, 'echo changed >/root/new; rm /etc/issue')
        mono('commit', box, name, timeout=90).ok()
    mono('push', '-q', name).ok()
    skopeo('copy', '-q', '--src-tls-verify=false', f'docker://{name}', f'oci:{folder}/committed:latest')
    top = oci_images.layers_of(f'{folder}/committed')[-1]['digest'].removeprefix('sha256:')
    with tarfile.open(f'{folder}/committed/blobs/sha256/{top}') as tar:
        names = {entry.strip('./') for entry in tar.getnames()}
    true({'root/new', 'etc/.wh.issue'} <= names, f'{names}')
    mono('rmi', name).ok()
    equal(mono('tmp', '-q', name, '--', 'cat', '/root/new').ok().out, 'changed\n')
    mono('rmi', name).ok()


tap.main(finish)
