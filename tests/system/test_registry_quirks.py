#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Docker Hub, GHCR, Quay and others as they answer in the world (harness/quirks.py has the table): pulls, pushes,
refusals, limits, lists of tags and searches against each of them."""
import atexit
import base64
import json
import os
import shutil
import tempfile
import time

from harness import httpd, oci_images, tap
from harness.proxy import Proxy
from harness.puller import Puller
from harness.quirks import TABLE, Quirks
from harness.tap import contains, equal, promise, true

folder = tempfile.mkdtemp(prefix='mc-quirks-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
ANN = ('ann', 'secret')
IMAGE = oci_images.image(f'{folder}/image', [oci_images.random_layer(f'r{i}', 200_000) for i in range(3)])
DIGEST = oci_images.manifest_of(IMAGE)[0]['digest']
parts = oci_images.Parts(f'{folder}/index')
one = parts.manifest([oci_images.random_layer('x', 1000)])
INDEX = parts.finish(parts.index([one, parts.attestation(one), parts.manifest([oci_images.random_layer('y', 10)], 'arm64')]))
opened, homes = [], 0


def hub(kind, **more):
    more = {'public': {'library/small': {'latest': IMAGE, 'multi': INDEX}, 'acme/other': {'1': IMAGE}},
            'private': {'acme/private': {tag: IMAGE for tag in ('1', '2', '3', '4', '5')}}, 'users': dict([ANN])} | more
    opened.append(Quirks(kind, **more))
    return opened[-1]


def home(server=None, user=ANN):
    global homes
    homes += 1
    mono = Puller(f'{folder}/home{homes}')
    if server:
        mono.credentials(auths={server.host: {'auth': base64.b64encode(':'.join(user).encode()).decode()}})
    return mono


def finish():
    lines = []
    for server in opened:
        for part in (server, getattr(server, 'token', server), getattr(server, 'cdn', server)):
            lines += getattr(part, 'failures', [])
        server.close()
    return lines


def each(*without):
    for kind in TABLE:
        if kind not in without:
            yield kind, hub(kind)


@promise('public images come from every registry, by its challenges, tokens and redirects')
def _():
    for kind, server in each():
        mono = home(server if kind == 'ecr' else None)
        mono('pull', '-q', f'{server.host}/library/small').ok()
        equal(mono.listed(), {f'{server.host}/library/small:latest': DIGEST}, kind)
        mono('pull', '-q', f'{server.host}/library/small:multi').ok()
        true(one['digest'] in mono.blobs(), kind)
        mono.clean_check()


@promise('no credentials reach a CDN, and every blob comes from there where the registry says so')
def _():
    for kind, server in each():
        if server['redirect']:
            home(server)('pull', '-q', f'{server.host}/library/small').ok()
            true(len(server.cdn.requests) >= 4, f'{kind}: {server.cdn.requests}')
            equal([r for r in server.cdn.requests if r.authorization], [], kind)
            equal([r.status for r in server.cdn.requests if r.status not in (200, 206)], [], kind)


@promise('private images: with an account, without one, with a wrong password; what to do is said')
def _():
    for kind, server in each():
        place = f'{server.host}/acme/private:1'
        home(server)('pull', '-q', place).ok()
        home()('pull', place).ok(1).says(server.host)
        answer = home(server, ('ann', 'wrong'))('pull', place).ok(1).says(server.host)
        contains(answer.err, 'login', kind)


@promise('a second pull of an unchanged tag costs one question about the manifest')
def _():
    for kind, server in each():
        mono = home(server)
        mono('pull', '-q', f'{server.host}/library/small').ok()
        server.forget()
        mono('pull', '-q', f'{server.host}/library/small').ok()
        # HEAD says which image it is only where it says a digest: else the manifest comes again.
        rows = [r for r in server.requests if '/manifests/' in r.path and r.status == 200]
        equal(len(rows), 2 if server['head'] and not server['digest_header'] else 1, f'{kind}: {server.requests}')
        equal([r for r in server.requests if '/blobs/' in r.path], [], kind)


@promise('what is not there is not there, and is not called forbidden where the registry knows better')
def _():
    for kind, server in each():
        mono = home(server)
        mono('pull', f'{server.host}/library/small:absent').ok(1).says('absent')
        mono('pull', f'{server.host}/library/nothing').ok(1).says('library/nothing')


@promise('Docker Hub\'s limit: said in its own words, and waited out where it says how long')
def _():
    spent, waits = hub('docker.io', limit=0), hub('docker.io', limit=0, retry_after=2)
    started = time.monotonic()
    refused = home().start('pull', '-q', f'{spent.host}/library/small')
    patient = home().start('pull', '-q', f'{waits.host}/library/small')
    tap.until(lambda: any(r.status == 429 for r in waits.requests), 'it was told to wait')
    waits.left = 9
    _, err = patient.communicate(timeout=30)
    equal(patient.returncode, 0, str(err))
    true(time.monotonic() - started >= 2, 'Retry-After is heeded')
    _, err = refused.communicate(timeout=30)
    equal(refused.returncode, 1)
    contains(err.decode(), 'rate limit')


@promise('a pull takes one from what Docker Hub allows, and a second one that finds nothing new takes none')
def _():
    # HEAD is free there, and every GET of a manifest is a pull: that of the image, none to look what refers to it.
    server = hub('docker.io', limit=9)
    mono = home()
    mono('pull', '-q', f'{server.host}/library/small').ok()
    equal(server.left, 8, str([r for r in server.requests if '/manifests/' in r.path]))
    mono('pull', '-q', f'{server.host}/library/small').ok()
    equal(server.left, 8)
    # Nor is the pull held up or spoilt by a limit that is reached only then.
    server = hub('docker.io', limit=1)
    home()('pull', '-q', f'{server.host}/library/small').ok()
    true(sum(r.status == 429 for r in server.requests) <= 1, server.requests)


@promise('a token\'s life is what the server says, or what it turns out to be')
def _():
    for kind in ('docker.io', 'ghcr.io', 'quay.io'):
        server = hub(kind, life=0.6)
        proxy = Proxy(server, rate=400_000)
        opened.append(proxy)
        mono = home(proxy)
        if kind == 'ghcr.io':
            continue  # it answers 403 to a token that has ended, and says nothing of how to get another
        mono('pull', '-q', f'{proxy.host}/acme/private:1').ok()


@promise('images go up to every registry, by its Location, Range and mounts')
def _():
    for kind, server in each():
        mono = home(server)
        mono('load', '--input', IMAGE, 'image:1').ok()
        mono('tag', 'image:1', f'{server.host}/acme/new:1').ok()
        mono('push', '-q', f'{server.host}/acme/new:1').ok()
        equal(server.content.tags['acme/new', '1'], DIGEST, kind)
        server.content.blobs.clear()
        mono('tag', 'image:1', f'{server.host}/acme/fresh:1').ok()
        mono('push', '-q', f'{server.host}/acme/fresh:1').ok()
        equal((server.content.tags['acme/fresh', '1'], len(server.content.blobs)), (DIGEST, 5), kind)


@promise('a push without the right says so; nothing of it is under the tag')
def _():
    for kind, server in each():
        mono = home()
        mono('load', '--input', IMAGE, f'{server.host}/acme/forbidden:1').ok()
        mono('push', '-q', f'{server.host}/acme/forbidden:1').ok(1).says(server.host)
        true(('acme/forbidden', '1') not in server.content.tags, kind)


@promise('search asks where there is a search, and tags are listed over all pages')
def _():
    for kind in ('docker.io', 'quay.io'):
        server = hub(kind)
        answer = home()('search', f'{server.host}/small', '--json').ok()
        rows = answer.json()
        true(any('small' in row['name'] for row in rows), f'{kind}: {answer}')
    for kind, server in each():
        answer = home(server)('search', '--list-tags', f'{server.host}/acme/private', '-q').ok()
        equal(answer.out.split(), [f'{server.host}/acme/private:{tag}' for tag in range(1, 6)], kind)


@promise('what refers to an image is found by the list of referrers where there is one, and goes on from there')
def _():
    signed = oci_images.Parts(f'{folder}/signed')
    row = signed.manifest([oci_images.random_layer('s', 1000)])
    signature = signed.artifact(row, 'application/vnd.example.signature.v1', b'{"signed": true}')
    server, other = hub('joined', private={'acme/signed': {'1': signed.finish(row)}}), hub('joined')
    mono = home()
    mono.credentials(auths={s.host: {'auth': base64.b64encode(':'.join(ANN).encode()).decode()} for s in (server, other)})
    mono('pull', '-q', f'{server.host}/acme/signed:1').ok()
    true(signature['digest'] in mono.blobs(), 'the signature is here')
    mono('tag', f'{server.host}/acme/signed:1', f'{other.host}/acme/copy:1').ok()
    mono('push', '-q', f'{other.host}/acme/copy:1').ok()
    true(signature['digest'] in other.content.manifests, 'and there')
    # Such a registry keeps the list itself: there is no tag for it.
    equal([tag for _, tag in other.content.tags if tag.startswith('sha256-')], [])
    mono('rmi', f'{server.host}/acme/signed:1', f'{other.host}/acme/copy:1').ok()
    equal(mono.blobs(), set())


@promise('docker.io is Docker Hub: its registry, its token server, its CDN by their own names')
def _():
    authority = httpd.Authority(f'{folder}/ca')
    names = ('registry-1.docker.io', 'auth.docker.io', 'production.cloudflare.docker.com', 'index.docker.io')
    server = hub('docker.io', tls=authority.server(*names, '127.0.0.1', '127.0.0.2'))
    proxy = Proxy(hosts={'registry-1.docker.io:443': server.host, 'index.docker.io:443': server.host})
    opened.append(proxy)
    mono = home()
    mono.env['https_proxy'], mono.env['no_proxy'] = f'http://{proxy.host}', '127.0.0.1,127.0.0.2'
    mono.configure({'docker.io': {'ca_file': authority.certificate}})
    mono.credentials(auths={'https://index.docker.io/v1/': {'auth': base64.b64encode(':'.join(ANN).encode()).decode()}})
    mono('pull', '-q', 'small').ok()
    equal(mono.listed(), {'docker.io/library/small:latest': DIGEST})
    contains(mono('images').ok().out, 'small')
    mono('pull', '-q', 'acme/private:1').ok()
    equal([r.target for r in proxy.requests if r.target != 'registry-1.docker.io:443'], [])
    rows = mono('search', 'small', '--json').ok().json()
    true(any(row['name'].endswith('small') for row in rows), json.dumps(rows))


tap.main(finish)
