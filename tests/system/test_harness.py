#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tests' own servers and images, held to what they promise by programs of others: skopeo, curl, umoci."""
import atexit
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from harness import httpd, images, oci_images, tap, world
from harness.oci_images import skopeo
from harness.proxy import Bucket, Proxy
from harness.quirks import TABLE, Quirks
from harness.registry import Registry
from harness.tap import contains, equal, promise, true
from harness.token_server import TokenServer

folder = tempfile.mkdtemp(prefix='mc-harness-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
opened = []


def keep(server):
    opened.append(server)
    return server


def finish():
    lines = [line for server in opened for line in getattr(server, 'failures', [])]
    for server in opened:
        server.close()
    return lines


authority = httpd.Authority(f'{folder}/ca')
registry = keep(Registry(f'{folder}/registry'))
BIG = oci_images.random_layer('random', 3 << 20)
small = oci_images.image(f'{folder}/small', [images.layer(images.member('a', b'hello'))])
big = oci_images.image(f'{folder}/big', [images.layer(images.member('a', b'hello')), BIG])
SMALL, LARGE = (oci_images.push(path, registry, 'team/' + name) for path, name in ((small, 'small'), (big, 'big')))
BLOB = oci_images.layers_of(big)[1]['digest']
PLAIN = ('--src-tls-verify=false', '--dest-tls-verify=false')
made = 0


def get(proxy, path, headers=None, method='GET'):
    """(status, headers, body or what was read of it and the error)."""
    connection = http.client.HTTPConnection(proxy.address, proxy.port, timeout=10)
    try:
        connection.request(method, path, headers={'Accept': oci_images.MANIFEST} | (headers or {}))
        answer = connection.getresponse()
        body = bytearray()
        while data := answer.read1(1 << 16):
            body += data
            if len(body) > 64 << 20:
                break
        if answer.length:
            return answer.status, answer.headers, (bytes(body), 'short')
        return answer.status, answer.headers, bytes(body)
    except (ConnectionError, http.client.HTTPException) as error:
        return 0, {}, (bytes(locals().get('body', b'')), type(error).__name__)
    finally:
        connection.close()


def copy(source, *words, check=False):
    """skopeo's copy into a new directory layout; its answer."""
    global made
    made += 1
    return skopeo('copy', '-q', *PLAIN, *words, source, f'oci:{folder}/copy{made}:latest', check=check)


def same(layout, digest):
    """The last copy is this image, byte for byte."""
    equal(oci_images.manifest_of(f'{folder}/copy{made}')[0]['digest'], digest, layout)


@promise('the registry gives skopeo what was put into it, and refuses what is not there')
def _():
    copy(f'docker://{registry.host}/team/big:latest', check=True)
    same(big, LARGE)
    true(copy(f'docker://{registry.host}/team/none:latest').returncode, 'an image that is not there')
    equal(registry.tags('team/small'), ['latest'])
    true(registry.has_blob('team/big', BLOB) and not registry.has_blob('team/small', BLOB), 'blobs belong to repositories')


@promise('with TLS the registry is good for those who trust the CA, and for nobody else; data outlive a stop')
def _():
    secure = keep(Registry(f'{folder}/secure', authority))
    oci_images.skopeo_push(small, secure, 'a/b')
    place = f'docker://{secure.host}/a/b'
    skopeo('inspect', '--cert-dir', authority.trust, place)
    contains(skopeo('inspect', place, check=False).stderr, 'certificate')
    contains(skopeo('inspect', '--tls-verify=true', place, env={'SSL_CERT_FILE': '/dev/null'}, check=False).stderr, 'x509')
    port = secure.port
    secure.stop()
    secure.start()
    equal((secure.port, secure.tags('a/b')), (port, ['latest']))


@promise('basic accounts: the right password, a wrong one, none')
def _():
    closed = keep(Registry(f'{folder}/basic', users={'ann': 'secret word', 'bob': 'x'}))
    equal([closed.request('GET', '/v2/', user=user).status for user in
           (('ann', 'secret word'), ('bob', 'x'), ('bob', 'secret word'), None)], [200, 200, 401, 401])
    oci_images.push(small, closed, 'a', user=('bob', 'x'))
    place = f'docker://{closed.host}/a:latest'
    copy(place, '--src-creds', 'bob:x', check=True)
    true(copy(place).returncode and copy(place, '--src-creds', 'ann:x').returncode, 'others are refused')


@promise('tokens: what the account may do and no more, by GET and POST, until they end')
def _():
    tokens = keep(TokenServer(f'{folder}/tokens', {'ann': 'a', 'bob': 'b'},
                              {'': {'public/.*': 'pull'}, 'ann': {'.*': 'pull,push'}, 'bob': {'bob/.*': 'pull'}}))
    closed = keep(Registry(f'{folder}/closed', tokens=tokens))
    for repository in ('public/x', 'bob/y'):
        skopeo('copy', *PLAIN, '--dest-creds', 'ann:a', f'oci:{small}:latest', f'docker://{closed.host}/{repository}:1')
    copy(f'docker://{closed.host}/public/x:1', check=True)
    true(copy(f'docker://{closed.host}/bob/y:1').returncode, 'bob\'s is not for all')
    copy(f'docker://{closed.host}/bob/y:1', '--src-creds', 'bob:b', check=True)
    contains(skopeo('copy', *PLAIN, '--dest-creds', 'bob:b', f'oci:{small}:latest', f'docker://{closed.host}/bob/z:1',
                    check=False).stderr, 'denied')
    equal(copy(f'docker://{closed.host}/bob/y:1', '--src-creds', 'bob:wrong').returncode, 1)
    equal([(r.user, r.status) for r in tokens.asked[-1:]], [(None, 401)])

    def post(**form):
        connection = http.client.HTTPConnection(tokens.address, tokens.port)
        connection.request('POST', '/token', urllib.parse.urlencode({'service': tokens.service, 'client_id': 'test'} | form))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    status, first = post(grant_type='password', username='bob', password='b', access_type='offline',
                         scope='repository:bob/y:pull,push')
    equal((status, first['scope']), (200, 'repository:bob/y:pull'))
    equal(post(grant_type='password', username='bob', password='c')[0], 401)
    tokens.life = 3
    status, second = post(grant_type='refresh_token', refresh_token=first['refresh_token'], scope='repository:bob/y:pull')
    read = lambda token: closed.request('GET', '/v2/bob/y/manifests/1', user=token).status  # noqa: E731
    equal((status, read(first['token']), read(second['access_token'])), (200, 200, 200))
    equal(post(grant_type='refresh_token', refresh_token='made up')[0], 401)
    tap.until(lambda: read(second['token']) == 401, 'it ends', 10)
    equal(read(first['token']), 200)


@promise('the proxy passes on what it is not told to spoil, and writes it down')
def _():
    with Proxy(registry) as proxy:
        copy(f'docker://{proxy.host}/team/big:latest', check=True)
        same(big, LARGE)
        equal([r.status for r in proxy.seen('GET .*/manifests/latest')], [200])
        row = proxy.seen('GET .*/blobs/' + BLOB)[0]
        equal((row.status, row.sent, row.range), (200, oci_images.layers_of(big)[1]['size'], None))
        true(row.began <= row.first_byte <= row.ended, 'times')
        status, headers, body = get(proxy, f'/v2/team/big/blobs/{BLOB}', {'Range': 'bytes=100-199'})
        equal((status, len(body), proxy.requests[-1].range), (206, 100, 'bytes=100-199'))
        oci_images.push(small, proxy_registry(proxy), 'team/through')
        equal(registry.tags('team/through'), ['latest'])
        equal(proxy.failures, [])


def proxy_registry(proxy):
    """A client of the registry that goes through the proxy."""
    client = Registry(f'{folder}/registry', start=False)
    client.port = proxy.port
    return client


@promise('each fault of the proxy is a fault to a plain client')
def _():
    path, whole = f'/v2/team/big/blobs/{BLOB}', oci_images.layers_of(big)[1]['size']
    data = oci_images._read(big, BLOB)
    with Proxy(registry) as proxy:
        def spoilt(**what):
            proxy.heal()
            proxy.fault('GET .*/v2/', **what)
            answer = get(proxy, path)
            equal(get(proxy, path)[0], 200, f'{what}: only the first')
            return answer
        for size in (0, 1, 100_000):
            status, _, (body, how) = spoilt(cut=size)
            true(len(body) <= size and how, f'cut at {size}: {len(body)}, {how}')
        status, _, (body, how) = spoilt(cut=100_000, end=True)
        equal((status, body, how), (200, data[:100_000], 'short'))
        status, _, body = spoilt(truncate=1000)
        equal((status, body), (200, data[:1000]))
        _, _, body = spoilt(corrupt=70_000)
        equal([i for i in range(whole) if body[i] != data[i]], [70_000])
        started = time.monotonic()
        equal(spoilt(stall=0.5, after=1000)[2], data)
        true(time.monotonic() - started >= 0.5, 'it stalls as long as it was told')
        status, headers, body = spoilt(status=429, headers={'Retry-After': '3'}, body='slow down')
        equal((status, headers['Retry-After'], body), (429, '3', b'slow down'))
        equal(spoilt(endless=True)[0], 200)
        true(len(spoilt(endless=True, length=False)[2]) > 64 << 20, 'it has no end')
        equal(spoilt(length=whole + 5)[2][1], 'short')
        equal(spoilt(length=whole - 5)[2], data[:-5])
        proxy.heal()
        proxy.fault('GET', no_range=True)
        equal(get(proxy, path, {'Range': 'bytes=5-9'})[2], data)
        equal(get(proxy, path, {'Range': 'bytes=5-9'})[2], data[5:10])
        status, headers, _ = spoilt(redirect='file:///etc/passwd')
        equal((status, headers['Location']), (307, 'file:///etc/passwd'))
        _, headers, _ = spoilt(change={'Docker-Content-Digest': 'sha256:' + '0' * 64, 'Content-Type': None})
        equal((headers['Docker-Content-Digest'], headers['Content-Type']), ('sha256:' + '0' * 64, None))
        spoilt(lose_answer=True)
        equal(proxy.failures, [])


@promise('skopeo fails where the proxy corrupts, truncates, lies or leads astray')
def _():
    with Proxy(registry) as proxy:
        place = f'docker://{proxy.host}/team/big:latest'
        for match, what in (('/blobs/', {'corrupt': 0}), ('/blobs/' + BLOB, {'corrupt': 1 << 20}),
                            ('/blobs/' + BLOB, {'truncate': 1 << 20}), ('/manifests/', {'body': '<html>', 'status': 200}),
                            ('/blobs/', {'redirect': lambda x: proxy.url + x.target}), ('/manifests/', {'status': 500}),
                            ('/manifests/', {'corrupt': 30})):
            proxy.heal()
            proxy.fault('GET .*' + match, times=None, **what)
            true(copy(place).returncode, f'skopeo takes it: {what}')
        proxy.heal()
        copy(place, check=True)


class Clock:
    """Time that passes only where somebody sleeps, and then always too long."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds + 0.003


@promise('200 Mbit/s are 200 Mbit/s, over all connections')
def _():
    clock = Clock()
    bucket = Bucket(25_000_000, clock=clock)
    for _piece in range(1000):
        bucket.take(1 << 16)
    true(abs(clock.now - 1000 - 1000 * (1 << 16) / 25e6) < 0.01, f'it took {clock.now - 1000} s')
    # Through sockets, on a machine that has other things to do: never faster.
    with Proxy(registry, rate=25_000_000) as proxy:
        path, size = f'/v2/team/big/blobs/{BLOB}', oci_images.layers_of(big)[1]['size']
        started, used = time.monotonic(), time.process_time()
        getters = [threading.Thread(target=get, args=(proxy, path)) for _ in range(4)]
        for getter in getters:
            getter.start()
        for getter in getters:
            getter.join()
        seconds, used = time.monotonic() - started, time.process_time() - used
        print(f'# {4 * size} bytes in {seconds:.3f} s, {4 * size * 8 / seconds / 1e6:.1f} Mbit/s, {used:.3f} s of CPU '
              'for both ends')
        true(seconds >= 4 * size / 25e6 - 0.05, f'{4 * size} bytes took {seconds:.3f} s')


@promise('as a forward proxy it knows hosts that nobody else knows, by http and by https, and asks who comes')
def _():
    secure = keep(Registry(f'{folder}/named'))
    secure.stop()
    secure.tls, secure.ca, secure.port = authority.server('registry.test', '127.0.0.1'), authority.certificate, 0
    secure.start()
    with Proxy(hosts={'plain.test:80': registry.host, 'registry.test:443': secure.host}, user=('me', 'mine')) as proxy:
        def curl(url, user='me:mine'):
            return subprocess.run(['curl', '-sS', '-x', f'http://{user}@{proxy.host}', '--cacert', authority.certificate,
                                   '-w', '%{http_code}', url], capture_output=True, text=True)
        equal(curl('http://plain.test/v2/').stdout, '{}200')
        equal(curl('https://registry.test/v2/').stdout, '{}200')
        contains(curl('https://registry.test/v2/', 'me:other').stderr, '407')
        contains(curl('http://nowhere.test/').stdout, '502')
        equal([r.target for r in proxy.seen('CONNECT')], ['registry.test:443'] * 2)
        equal(proxy.failures, [])


@promise('skopeo pulls from and pushes to registries of every kind')
def _():
    for kind in set(TABLE) - {'joined'}:
        with Quirks(kind, public={'library/big': {'latest': big}}, private={'team/small': {'1': small, '2': big, '3': big}},
                    users={'ann': 'secret'}) as hub:
            place = f'docker://{hub.host}'
            words = [] if kind != 'ecr' else ['--src-creds', 'ann:secret']
            copy(f'{place}/library/big:latest', *words, check=True)
            same(big, LARGE)
            true(copy(f'{place}/team/small:1').returncode, f'{kind}: a private image without an account')
            copy(f'{place}/team/small:1', '--src-creds', 'ann:secret', check=True)
            true(copy(f'{place}/team/small:1', '--src-creds', 'ann:wrong').returncode, f'{kind}: a wrong password')
            skopeo('copy', *PLAIN, '--dest-creds', 'ann:secret', f'oci:{big}:latest', f'{place}/team/new:1')
            equal(hub.content.tags['team/new', '1'], LARGE, kind)
            if kind not in ('ecr', 'quay.io'):
                listed = skopeo('list-tags', '--tls-verify=false', '--creds', 'ann:secret', f'{place}/team/small')
                equal(json.loads(listed.stdout)['Tags'], ['1', '2', '3'])
            if hub['redirect']:
                true(hub.cdn.requests and not [r for r in hub.cdn.requests if r.authorization], f'{kind}: no blob by the CDN')
            equal(hub.failures + hub.token.failures + hub.cdn.failures, [], kind)


@promise('a hub with a limit says so')
def _():
    with Quirks('redhat', public={'library/small': {'latest': small}}, limit=2, retry_after=9,
                limits=TABLE['docker.io']['limits']) as hub:
        answers = [get(hub, '/v2/library/small/manifests/latest') for _ in range(3)]
        equal([status for status, _, _ in answers], [200, 200, 429])
        equal([headers['ratelimit-remaining'] for _, headers, _ in answers], ['1;w=21600', '0;w=21600', '0;w=21600'])
        equal((answers[2][1]['Retry-After'], json.loads(answers[2][2])['errors'][0]['code']), ('9', 'TOOMANYREQUESTS'))


@promise('images of every form are images to skopeo; what a registry gives back unpacks to the same tree')
def _():
    tars = oci_images.rich(folder)
    expected = oci_images.umoci_tree(oci_images.image(f'{folder}/rich', tars), folder, tars=tars)
    true(len(expected) > 30 and any(entry.twin for entry in expected.values()), 'the tree has what it should')
    oci_images.push(f'{folder}/rich', registry, 'rich')
    copy(f'docker://{registry.host}/rich:latest', check=True)
    found = oci_images.umoci_tree(f'{folder}/copy{made}', folder, tars=tars)
    equal(oci_images.differences(expected, found), [])
    found['/su'] = found['/su']._replace(mode=0o755)
    del found['/empty']
    equal(len(oci_images.differences(expected, found)), 2)
    for number, (name, (pack, _)) in enumerate(oci_images.PACKINGS.items()):
        path = oci_images.image(f'{folder}/pack{number}', tars, name)
        digest = oci_images.push(path, registry, f'pack{number}')
        equal(registry.manifest(f'pack{number}', 'latest')[2], digest, name)
        if 'gzip' in name:
            equal(subprocess.run(['gzip', '-dc'], input=pack(tars[0]), capture_output=True, check=True).stdout, tars[0])
        if 'zstd' in name:
            equal(subprocess.run(['zstd', '-dcq'], input=pack(tars[0]), capture_output=True, check=True).stdout, tars[0])
    oci_images.skopeo_push(small, registry, 'docker/v2s2', form='v2s2')
    oci_images.schema1(f'{folder}/one', registry, 'docker/v2s1')
    for form, media in (('v2s2', oci_images.DOCKER_MANIFEST), ('v2s1', 'application/vnd.docker.distribution.manifest.v1')):
        contains(registry.request('GET', f'/v2/docker/{form}/manifests/latest', headers={'Accept': media})
                 .headers['Content-Type'], media)


@promise('an index of platforms, an index in it, attestations, artifacts and referrers stand in the registry')
def _():
    tars = [images.layer(images.member('a', b'a'))]
    parts = oci_images.Parts(f'{folder}/parts')
    amd = parts.manifest(tars)
    inner = parts.index([amd, parts.attestation(amd)])
    top = parts.index([parts.manifest(tars, 'arm64', 'v8'), inner])
    oci_images.push(parts.finish(top), registry, 'multi')
    sbom = parts.artifact(top)
    tag = oci_images.refer(parts.path, registry, 'multi', sbom)
    equal(registry.tags('multi'), sorted(['latest', tag]))
    equal(json.loads(registry.manifest('multi', tag)[0])['manifests'][0]['digest'], sbom['digest'])
    skopeo('inspect', '--tls-verify=false', '--override-arch', 'arm64', f'docker://{registry.host}/multi:latest')
    skopeo('copy', *PLAIN, '--all', f'docker://{registry.host}/multi@{inner["digest"]}', f'dir:{folder}/multi')

@promise('the world that networks are tried in answers at every address, and who called is told')
def _():
    zone = {'a.test': (['8.8.8.8'], 60), 'alias.test': (['a.test'], 5)}
    line = ('import socket, sys\n'
            'for a in sys.argv[1:]:\n'
            '    print(socket.create_connection((a, 7777), 5).recv(100).decode().split(":")[0])\n'
            '    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(5); u.connect((a, 7777)); u.send(b"x")\n'
            '    print(u.recv(100).decode().split()[0])\n'
            'print(socket.gethostbyname("alias.test"))\n')
    addresses = ['8.8.8.8', '169.254.169.254', '172.20.0.5', world.HOST_PUBLIC, '127.0.0.1']
    with tap.scratch() as place, world.World(place, zone) as w:
        answer = w.run(sys.executable, '-c', line, *addresses)
        equal(answer.stdout.split(), [a for address in addresses for a in (address, address)] + ['8.8.8.8'], answer.stderr)
        equal(w.run('curl', '-sk', 'https://a.test/').stdout, "8.8.8.8 ['a.test', 'a.test']\n")
        true(['world', 'tcp', '8.8.8.8:7777', world.HOST] in w.seen and ['host', 'udp', '127.0.0.1', '127.0.0.1'] in w.seen,
             w.seen)
        true(w.run('ip', 'link', 'set', 'lo', 'down').returncode != 0, 'the caller has no rights there')


tap.main(finish)
