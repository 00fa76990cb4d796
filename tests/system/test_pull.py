#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pulls from the real registry: every form of image, held against what umoci unpacks; platforms, digests, what is
asked of the registry and what is not; mirrors, private CAs, proxies, our own name space."""
import atexit
import json
import os
import shutil
import tempfile
import time

from harness import httpd, images, oci_images, tap
from harness.images import layer, member
from harness.oci_images import differences, read_tree, umoci_tree
from harness.program import PROGRAM, Monocore
from harness.proxy import Proxy
from harness.puller import Puller
from harness.registry import Registry
from harness.tap import contains, equal, promise, true
from harness.terminal import Terminal

folder = tempfile.mkdtemp(prefix='mc-pull-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
registry = Registry(f'{folder}/registry')
runner = Monocore()  # with the templates that are there already
opened, homes = [registry], 0


def home(**env):
    """A new, empty home."""
    global homes
    homes += 1
    return Puller(f'{folder}/home{homes}', **env)


def before(server=registry, **options):
    opened.append(Proxy(server, **options))
    return opened[-1]


def name(repository, tag='latest', server=registry):
    return f'{server.host}/{repository}{"@" if ":" in tag else ":"}{tag}'


def finish():
    lines = [line for server in opened for line in getattr(server, 'failures', [])]
    runner('rmi', '-f', *runner('images', '-q', '127.0.0.1:*').out.split())
    for server in opened:
        server.close()
    return lines + runner.clean()


def tree(reference, *options, mono=runner):
    return read_tree(mono('tmp', '-q', *options, reference, timeout=80).ok().raw.decode('latin-1'))


RICH = oci_images.rich(folder)
rich = oci_images.image(f'{folder}/rich', RICH)
EXPECTED = umoci_tree(rich, folder, tars=RICH)
LAYERS = [layer(oci_images.tree_member(folder)), oci_images.random_layer('one', 300_000),
          oci_images.random_layer('two', 70_000)]
plain = oci_images.image(f'{folder}/plain', LAYERS)
PLAIN = oci_images.push(plain, registry, 'team/plain')


@promise('layers in every packing become the tree that umoci unpacks, entry by entry')
def _():
    for number, packing in enumerate(oci_images.PACKINGS):
        oci_images.push(oci_images.image(f'{folder}/packed{number}', RICH, packing), registry, f'packed{number}')
        equal(differences(dict(EXPECTED), tree(name(f'packed{number}'))), [], packing)


@promise('docker\'s schema 2, as skopeo pushes it, is the same tree')
def _():
    oci_images.skopeo_push(rich, registry, 'docker', form='v2s2')
    equal(differences(dict(EXPECTED), tree(name('docker'))), [])


@promise('devices, file capabilities and owners above 16 bits come as the layers have them')
def _():
    tars = oci_images.devices(folder)
    path = oci_images.image(f'{folder}/devices', tars)
    oci_images.push(path, registry, 'devices')
    equal(differences(umoci_tree(path, folder, tars=tars), tree(name('devices'))), [])


@promise('110 layers are one tree')
def _():
    tars = oci_images.many(folder)
    path = oci_images.image(f'{folder}/many', tars)
    oci_images.push(path, registry, 'many')
    equal(differences(umoci_tree(path, folder, tars=tars), tree(name('many'))), [])


@promise('the platform is chosen among those of an index, nested ones and attestations in it')
def _():
    parts = oci_images.Parts(f'{folder}/platforms')

    def one(text, *platform):
        return parts.manifest([layer(oci_images.tree_member(folder), member('which', text.encode()))], *platform)
    amd, arm, old = one('amd64'), one('arm64', 'arm64', 'v8'), one('arm v6', 'arm', 'v6')
    inner = parts.index([amd, parts.attestation(amd)])
    oci_images.push(parts.finish(parts.index([old, arm, parts.attestation(arm), inner])), registry, 'platforms')
    found = tree(name('platforms'))
    equal(found['/which'].size, len('amd64'))
    nested = home()
    nested('pull', '-q', name('platforms')).ok()
    nested.clean_check()
    nested('image', 'prune').ok()
    true(amd['digest'] in nested.blobs(), 'what an index in an index leads to is kept')
    nested.clean_check()
    other = home()
    other('pull', '-q', '--platform', 'linux/arm64', name('platforms')).ok()
    true(arm['digest'] in other.blobs() and amd['digest'] not in other.blobs(), 'arm64 is fetched, amd64 is not')
    other('pull', '-q', '--platform', 'linux/arm/v6', name('platforms')).ok()
    true(old['digest'] in other.blobs(), 'a variant is chosen')
    other('pull', '--platform', 'linux/s390x', name('platforms')).ok(1).says('s390x')
    other.clean_check()


@promise('what is no image is told apart: schema 1, artifacts, an index with nothing for anybody')
def _():
    mono = home()
    oci_images.schema1(f'{folder}/schema1', registry, 'one')
    mono('pull', name('one')).ok(1).says('schema 1')
    parts = oci_images.Parts(f'{folder}/artifact')
    oci_images.push(parts.finish(parts.artifact()), registry, 'artifact')
    mono('pull', name('artifact')).ok(1).says('artifact')
    empty = oci_images.Parts(f'{folder}/none')
    oci_images.push(empty.finish(empty.index([])), registry, 'none')
    mono('pull', name('none')).ok(1).says('none')
    mono('pull', name('missing')).ok(1).says('missing')
    mono('pull', name('team/plain', 'absent')).ok(1).says('absent')
    equal((mono.listed(), mono.roots()), ({}, set()))
    mono('image', 'prune').ok()
    equal(mono.blobs(), set())


@promise('a second pull of an unchanged tag asks one question')
def _():
    mono, proxy = home(), before()
    mono('pull', '-q', name('team/plain', server=proxy)).ok()
    equal(len(proxy.seen('GET .*/blobs/')), 4, 'three layers and a config')
    proxy.forget()
    mono('pull', '-q', name('team/plain', server=proxy)).ok()
    equal([r.path for r in proxy.forget() if r.path != '/v2/'], ['/v2/team/plain/manifests/latest'])
    by_digest = name('team/plain', PLAIN, server=proxy)
    mono('pull', '-q', by_digest).ok()
    equal(proxy.seen('/blobs/'), [])
    proxy.forget()
    mono('pull', '-q', by_digest).ok()
    true(len(proxy.forget()) <= 1, 'at most one question')


@promise('blobs that are there are not fetched again, whatever image brought them')
def _():
    mono, proxy = home(), before()
    mono('pull', '-q', name('team/plain', server=proxy)).ok()
    new = oci_images.image(f'{folder}/newer', LAYERS[:2] + [oci_images.random_layer('three', 1000)])
    oci_images.push(new, registry, 'team/newer')
    proxy.forget()
    mono('pull', '-q', name('team/newer', server=proxy)).ok()
    fetched = {r.path.rsplit('/', 1)[1] for r in proxy.seen('GET .*/blobs/')}
    row, manifest = oci_images.manifest_of(new)
    equal(fetched, {manifest['config']['digest'], manifest['layers'][2]['digest']})
    equal(mono.listed()[name('team/newer', server=proxy)], row['digest'])


@promise('a tag that moved is followed, and the old image is no longer named by it')
def _():
    mono = home()
    first = oci_images.push(plain, registry, 'moving')
    mono('pull', '-q', name('moving')).ok()
    equal(mono.listed(), {name('moving'): first})
    second = oci_images.push(rich, registry, 'moving')
    mono('pull', '-q', name('moving')).ok()
    equal(mono.listed(), {name('moving'): second})


@promise('two pulls of one image at once share the work: no byte of a blob comes twice')
def _():
    mono, proxy = home(), before(rate=4_000_000)
    tars = [layer(oci_images.tree_member(folder))] + [oci_images.random_layer(f'r{i}', 1 << 20) for i in range(3)]
    path = oci_images.image(f'{folder}/shared', tars)
    digest = oci_images.push(path, registry, 'shared')
    running = [mono.start('pull', '-q', name('shared', server=proxy)) for _ in range(3)]
    answers = [process.communicate(timeout=60) for process in running]
    equal([process.returncode for process in running], [0, 0, 0], str(answers))
    sent = sum(r.sent for r in proxy.seen('GET .*/blobs/'))
    _, manifest = oci_images.manifest_of(path)
    size = sum(row['size'] for row in manifest['layers'] + [manifest['config']])
    true(sent < size * 1.05, f'{sent} bytes of blobs were sent, the image has {size}')
    equal(mono.listed(), {name('shared', server=proxy): digest})
    mono.clean_check()


@promise('images that share a layer, pulled at once, fetch it once; who waits for a pull that is killed goes on with it')
def _():
    mono, proxy = home(), before(rate=4_000_000)
    common = oci_images.random_layer('common', 3 << 20)
    paths = [oci_images.image(f'{folder}/sharing{i}', [common, oci_images.random_layer(f's{i}', 1000)]) for i in range(2)]
    digests = [oci_images.push(path, registry, f'sharing{i}') for i, path in enumerate(paths)]
    layer_path = f'GET .*/blobs/{oci_images.layers_of(paths[0])[0]["digest"]}'
    size = oci_images.layers_of(paths[0])[0]['size']
    running = [mono.start('pull', '-q', name(f'sharing{i}', server=proxy)) for i in range(2)]
    answers = [process.communicate(timeout=60) for process in running]
    equal([process.returncode for process in running], [0, 0], str(answers))
    sent = sum(r.sent for r in proxy.seen(layer_path))
    true(sent < size * 1.05, f'{sent} bytes were sent for {size}')
    other = home()
    proxy.forget()
    running = [other.start('pull', '-q', name('sharing0', server=proxy)) for _ in range(3)]
    tap.until(lambda: sum(r.sent for r in proxy.seen(layer_path)) > 1 << 20, 'a part has come', 20)
    running[0].kill()
    answers = [process.communicate(timeout=60) for process in running]
    equal([process.returncode for process in running[1:]], [0, 0], str(answers))
    equal(list(other.listed().values()), digests[:1])
    for one in (mono, other):
        one.clean_check()


@promise('an image by digest is that image; a digest beside a tag is held against what comes')
def _():
    mono = home()
    mono('pull', '-q', name('team/plain', PLAIN)).ok()
    equal(list(mono.listed().values()), [PLAIN])
    mono('pull', '-q', f'{registry.host}/team/plain:latest@{PLAIN}').ok()
    wrong = 'sha256:' + '1' * 64
    mono('pull', name('team/plain', wrong)).ok(1).says('1' * 12)
    mono('pull', f'{registry.host}/team/plain:latest@{wrong}').ok(1).says('1' * 12)


@promise('a name without a registry is looked for at the default one')
def _():
    mono = home()
    oci_images.push(plain, registry, 'lonely')
    mono.configure(default=registry.host)
    mono('pull', '-q', 'lonely').ok()
    equal(mono.listed(), {name('lonely'): PLAIN})


@promise('mirrors are asked first, in order, and the registry itself where they fail')
def _():
    mono, one, real = home(), before(), before()
    empty = Registry(f'{folder}/empty')
    opened.append(empty)
    two = before(empty)
    oci_images.push(plain, registry, 'mirrored')
    mono.configure({real.host: {'mirrors': [two.host, one.host]}})
    mono('pull', '-q', name('mirrored', server=real)).ok()
    true(two.seen('mirrored/manifests'), 'the first mirror is asked')
    equal(len(one.seen('GET .*/blobs/')), 4, 'the second has it')
    equal(real.seen('blobs'), [])
    equal(list(mono.listed()), [name('mirrored', server=real)])
    again = home()
    again.configure({real.host: {'mirrors': ['127.0.0.1:9', two.host]}})
    again('pull', '-q', name('mirrored', server=real)).ok()
    equal(len(real.seen('GET .*/blobs/')), 4, 'the registry itself')


@promise('a private CA is believed where it is configured, and a stranger\'s certificate is not')
def _():
    authority, other = httpd.Authority(f'{folder}/ca'), httpd.Authority(f'{folder}/other')
    secure = Registry(f'{folder}/secure', authority)
    opened.append(secure)
    oci_images.push(plain, secure, 'a/b')
    mono, place = home(), name('a/b', server=secure)
    mono('pull', place).ok(1).says('certificate')
    mono.configure({secure.host: {'plain_http': False, 'ca_file': other.certificate}})
    mono('pull', place).ok(1).says('certificate')
    equal(mono.listed(), {})
    mono.configure({secure.host: {'plain_http': False, 'ca_file': authority.certificate}})
    mono('pull', '-q', place).ok()
    again = home()
    again.configure({secure.host: {'plain_http': False, 'insecure': True}})
    again('pull', '-q', place).ok()
    # The right CA, another host's certificate.
    secure.stop()
    secure.tls = authority.server('elsewhere.test')
    secure.start()
    mono('pull', place).ok(1).says('certificate')


@promise('plain HTTP goes to loopback, and to others only by configuration or --plain-http')
def _():
    mono = home()
    proxy = before(None, hosts={'plain.test:80': registry.host, 'plain.test:5000': registry.host})
    mono.env['http_proxy'] = mono.env['https_proxy'] = f'http://{proxy.host}'
    # Nobody answers by HTTPS there, which is tried for a while: other things are done meanwhile.
    refused = mono.start('pull', 'plain.test/team/plain')
    for _ in range(3):
        equal(proxy.seen('GET'), [])
        time.sleep(0.2)
    mono('pull', '-q', '--plain-http', 'plain.test/team/plain').ok()
    true(proxy.seen('GET http://plain.test/v2/team/plain/blobs/'), 'by the proxy')
    mono.configure({'plain.test:5000': {'plain_http': True}})
    mono('pull', '-q', 'plain.test:5000/team/plain').ok()
    equal(set(mono.listed().values()), {PLAIN})
    proxy.forget()
    _, err = refused.communicate(timeout=30)
    equal(refused.returncode, 1)
    contains(err.decode(), 'plain.test')
    equal(proxy.seen('GET'), [])


@promise('proxies: https by CONNECT, with their password, and not for what no_proxy names')
def _():
    authority = httpd.Authority(f'{folder}/ca2')
    secure = Registry(f'{folder}/secure2', start=False)
    secure.tls, secure.ca = authority.server('registry.test', '127.0.0.1'), authority.certificate
    secure.start()
    opened.append(secure)
    oci_images.push(plain, secure, 'a/b')
    proxy = before(None, hosts={'registry.test:443': secure.host}, user=('me', 'pass word'))
    mono = home()
    mono.configure({'registry.test': {'ca_file': authority.certificate}})
    mono.env['https_proxy'] = f'http://me:wrong@{proxy.host}'
    refused = mono.start('pull', 'registry.test/a/b')
    mono.env['https_proxy'] = f'http://me:pass%20word@{proxy.host}'
    mono('pull', '-q', 'registry.test/a/b').ok()
    true(all(r.target == 'registry.test:443' for r in proxy.seen('CONNECT')) and proxy.seen('CONNECT'), 'CONNECT')
    equal(list(mono.listed()), ['registry.test/a/b:latest'])
    _, err = refused.communicate(timeout=30)
    equal(refused.returncode, 1)
    contains(err.decode(), '407')
    proxy.forget()
    mono.env['http_proxy'], mono.env['no_proxy'] = f'http://me:pass%20word@{proxy.host}', '127.0.0.1'
    mono('pull', '-q', name('team/plain')).ok()
    equal(proxy.requests, [])


@promise('sandboxes.io is a name space of ours: mapped to where images really are, or an error that says how')
def _():
    mono = home()
    answer = mono('pull', 'sandboxes.io/plain').ok(1)
    for word in ('sandboxes.io', 'registries.json', '"to"'):
        contains(answer.err, word)
    mono.configure({'sandboxes.io': {'to': f'{registry.host}/team'}})
    mono('pull', '-q', 'sandboxes.io/plain').ok()
    equal(mono.listed(), {'sandboxes.io/plain:latest': PLAIN})
    text = json.dumps(mono('inspect', 'sandboxes.io/plain').ok().json())
    contains(text, f'http://{registry.host}/team/plain', 'the real source')
    contains(text, PLAIN)


@promise('several images in one command: what can be pulled is, and one error does not hide another')
def _():
    mono = home()
    answer = mono('pull', '-q', name('team/plain'), name('nowhere'), name('team/newer'), name('nobody')).ok(1)
    contains(answer.err, 'nowhere')
    contains(answer.err, 'nobody')
    equal(set(mono.listed()), {name('team/plain'), name('team/newer')})


@promise('progress: plain lines off a terminal, bars on one, events with --json, nothing with -q')
def _():
    path = oci_images.image(f'{folder}/slow', [oci_images.random_layer('r', 2 << 20),
                                               oci_images.random_layer('q', 1 << 20)])
    oci_images.push(path, registry, 'slow')
    proxy = before(rate=2_500_000)
    place = name('slow', server=proxy)
    quiet = home()('pull', '-q', place).ok()
    equal(quiet.err, '')
    lines = home()('pull', place).ok()
    true('\x1b' not in lines.err and '\r' not in lines.err and lines.err.count('\n') >= 2, str(lines))
    events = home()('pull', '--json', place).ok()
    rows = [json.loads(line) for line in events.out.splitlines()]
    true(len(rows) >= 2 and all(isinstance(row, dict) for row in rows), str(events))
    shown = home()
    with Terminal([PROGRAM, 'pull', place], shown.env) as terminal:
        terminal.expect(r'[0-9.]+ ?[KM]i?B.*[0-9.]+ ?[KM]i?B/s')
        equal(terminal.wait(), 0)


@promise('tmp pulls what is missing, and its streams hold nothing of that')
def _():
    place = name('team/plain')
    runner('rmi', place)
    answer = runner('tmp', '-q', place).ok()
    true(answer.out.startswith('/\t'), answer.out[:200])
    equal(answer.err, '')
    proxy = before()
    runner('tmp', '-q', name('team/plain', server=proxy)).ok()
    proxy.forget()
    started = time.monotonic()
    runner('tmp', '-q', name('team/plain', server=proxy)).ok()
    equal(proxy.requests, [], f'an image that is there is not asked for ({time.monotonic() - started:.2f} s)')
    runner('tmp', name('nowhere')).ok(125).says('nowhere')


tap.main(finish)
