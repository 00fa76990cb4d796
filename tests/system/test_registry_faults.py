#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A network and a registry that fail in every way: pulls that recover, and those that must not, with a clear error,
bounded memory and a store that is as it was."""
import atexit
import concurrent.futures
import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time

from harness import httpd, oci_images, tap
from harness.oci_images import INDEX, MANIFEST
from harness.proxy import Proxy
from harness.puller import Puller
from harness.registry import Registry
from harness.tap import equal, promise, true

MEMORY = 150  # MiB that a pull may take, whatever the registry sends

folder = tempfile.mkdtemp(prefix='mc-faults-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
registry = Registry(f'{folder}/registry')
LAYERS = [oci_images.random_layer('one', 6 << 20), oci_images.random_layer('two', 700_000)]
path = oci_images.image(f'{folder}/image', LAYERS)
DIGEST = oci_images.push(path, registry, 'team/app')
ROW, MANIFEST_VALUE = oci_images.manifest_of(path)
BIG, SMALL = (row['digest'] for row in MANIFEST_VALUE['layers'])
CONFIG = MANIFEST_VALUE['config']['digest']
SIZE = sum(row['size'] for row in MANIFEST_VALUE['layers']) + MANIFEST_VALUE['config']['size']
proxies, homes, lock = [], 0, threading.Lock()
waiting = concurrent.futures.ThreadPoolExecutor(8)


class Case:
    """A home and a proxy of its own, so that many can go on at once: most of their time is waiting."""

    def __init__(self, pattern=None, server=registry, **what):
        global homes
        with lock:
            homes += 1
            self.home = Puller(f'{folder}/home{homes}')
            self.proxy = Proxy(server)
            proxies.append(self.proxy)
        self.place, self.what = f'{self.proxy.host}/team/app:latest', what
        self.fault = self.proxy.fault(pattern, **what) if pattern else None

    def pull(self, *words, seconds=30, **options):
        return self.home('pull', '-q', *words, self.place, timeout=seconds, **options)

    def has(self, digest=DIGEST):
        """The image is whole in the store, or, with None, no image is."""
        equal(self.home.listed(), {self.place: digest} if digest else {}, str(self.what))
        for name in self.home.blobs():
            with open(f'{self.home.home}/store/blobs/sha256/{name.removeprefix("sha256:")}', 'rb') as f:
                equal(oci_images.digest_of(f.read()), name, f'{self.what}: a blob is not what it is called')
        self.home.clean_check()

    def sent(self, pattern='GET .*/blobs/'):
        return sum(r.sent for r in self.proxy.seen(pattern))

    def happened(self):
        true(self.fault.hits, f'{self.what} never happened')

    def heals(self):
        """It is not broken for ever."""
        self.proxy.heal()
        self.pull().ok()
        self.has()


def recovers(pattern, most=1.3, seconds=25, **what):
    """A pull succeeds although this happens; the case and the answer. most: how often the bytes may come."""
    case = Case(pattern, **what)
    answer = case.pull(seconds=seconds).ok()
    case.happened()
    case.has()
    true(case.sent() < SIZE * most, f'{what}: {case.sent()} bytes of blobs were sent for {SIZE}')
    return case, answer


def fails(pattern, *words, seconds=45, **what):
    """A pull does not succeed, says so in one line with these words, and leaves the store as it was."""
    case = Case(pattern, **({'times': None} | what))
    answer, memory = case.home.measured('pull', '-q', case.place, timeout=seconds)
    case.happened()
    answer.ok(1).says(*words)
    true(memory < MEMORY, f'{what}: {memory:.0f} MiB of memory')
    true(case.sent() < 20 * SIZE, f'{what}: {case.sent()} bytes were read')
    case.has(None)
    case.heals()
    return case, answer


def harmless(pattern, seconds=45, **what):
    """Whether a pull succeeds or not: what is in the store afterwards is right, and memory was bounded. How many
    requests it took."""
    case = Case(pattern, **({'times': None} | what))
    answer, memory = case.home.measured('pull', '-q', case.place, timeout=seconds)
    case.happened()
    true(answer.status in (0, 1) and memory < MEMORY, f'{what}: {memory:.0f} MiB, {answer}')
    case.has(DIGEST if answer.status == 0 else None)
    true(case.sent() < 20 * SIZE, f'{what}: {case.sent()} bytes were read')
    requests = len(case.proxy.requests)
    case.heals()
    return requests


def together(call, rows):
    """call(*words, **what) for all rows (words..., what) at once."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(call, *row[:-1], **row[-1]) for row in rows]
        return [job.result() for job in running]


def beside(sentence):
    """A promise that waits most of its time: it starts at once, and runs beside the others."""
    def register(function):
        if not sys.argv[1:] or any(word in sentence for word in sys.argv[1:]):
            started = waiting.submit(function)
            promise(sentence)(started.result)
        return function
    return register


def finish():
    lines = [line for proxy in proxies for line in proxy.failures]
    if registry.process is None or registry.process.poll() is not None:
        lines.append('the registry has died')
    for server in proxies + [registry]:
        server.close()
    return lines


def pushed(value, media=MANIFEST):
    """What the proxy answers in place of a manifest: (its digest, the fault)."""
    data = json.dumps(value).encode()
    return oci_images.digest_of(data), {'status': 200, 'body': data, 'headers': {
        'Content-Type': media, 'Docker-Content-Digest': oci_images.digest_of(data)}}


# ---- what heals ----

@promise('a connection that breaks in a blob is gone on with from where it broke, by Range')
def _():
    for case, _ in together(recovers, [(f'GET .*/blobs/{BIG}', {'cut': cut, 'end': end})
                                       for cut in (1, 100_000, 1_500_000) for end in (False, True)]):
        ranges = [r.range for r in case.proxy.seen(f'GET .*/blobs/{BIG}')]
        broke = [int(text.split('=')[1].split('-')[0]) for text in ranges if text]
        true(any(start not in (0, 4 << 20) for start in broke), f'{case.what}: {ranges}')


@promise('many breaks one after the other are survived as long as bytes come')
def _():
    recovers(f'GET .*/blobs/{BIG}', times=6, cut=600_000, seconds=40)


@promise('a registry that knows no ranges gives the whole blob again after a break')
def _():
    case = Case(f'GET .*/blobs/{BIG}', cut=1 << 20, no_range=True)
    case.proxy.fault('GET .*/blobs/', times=None, no_range=True)
    case.pull().ok()
    case.has()


@promise('a break before the answer, of a blob, a manifest, or the first of all, is tried again')
def _():
    together(recovers, [(pattern, what) for pattern in (f'GET .*/blobs/{SMALL}', '/manifests/', '/v2/')
                        for what in ({'lose_answer': True}, {'cut': 0})])


@beside('429 is waited out as Retry-After says; 500, 502, 503 and 504 are tried again')
def _():
    for _, answer in together(recovers, [(pattern, {'status': 429, 'headers': {'Retry-After': '2'}, 'body': 'slow down'})
                                         for pattern in ('/manifests/latest', f'GET .*/blobs/{BIG}')]):
        true(answer.seconds >= 2, f'it took {answer.seconds:.1f} s')
    together(recovers, [(f'GET .*/blobs/{SMALL}', {'status': status, 'times': 2}) for status in (500, 502, 503, 504)]
             + [('/manifests/latest', {'status': 503, 'times': 2})])


def half():
    """A case whose pull was killed with a half of the big blob there."""
    case = Case(f'GET .*/blobs/{BIG}', times=None, stall=30, after=3 << 20)
    process = case.home.start('pull', '-q', case.place)

    def has_come():
        """What it goes on with is what is written without a gap."""
        try:
            with open(f'{case.home.home}/store/partial/{BIG.removeprefix("sha256:")}', 'rb') as f:
                return os.lseek(f.fileno(), 0, os.SEEK_HOLE) >= 5 << 19
        except OSError:
            return False
    tap.until(has_come, f'a part has come: {case.proxy.requests}', 20)
    process.kill()
    process.communicate()
    case.proxy.heal()
    return case


@promise('a pull that was killed is gone on with: what had come does not come again')
def _():
    case = half()
    case.pull().ok()
    sent = case.sent(f'GET .*{BIG}')
    true(sent < 4 << 20, f'{sent} bytes came the second time')
    case.has()


@promise('what a killed pull left of a blob is not believed: damaged, it is fetched anew')
def _():
    case = half()
    halves = [os.path.join(base, file) for base, _, files in os.walk(f'{case.home.home}/store/partial') for file in files]
    true(halves, 'a half is there')
    for name in halves:
        os.chmod(name, 0o600)
        with open(name, 'r+b') as f:
            f.write(b'damaged')
    case.pull().ok()
    case.has()


@beside('a connection on which nothing moves is given up, and gone on with on another; a slow one is not')
def _():
    soon = {'env': {'MONOCORE_STALL_TIMEOUT': '1s'}}

    def stalls():
        case = Case(f'GET .*/blobs/{BIG}', stall=120, after=1 << 20)
        case.pull(**soon).ok()
        case.happened()
        case.has()

    def says_nothing():
        case = Case('(GET|HEAD) .*/manifests/', times=None, status=200, body='x', stall=120)
        case.pull(**soon).ok(1).says(case.proxy.host)

    def is_slow():
        with Proxy(registry, rate=2_500_000) as slow:
            Case().home('pull', '-q', f'{slow.host}/team/app', **soon).ok()
    together(lambda call: call(), [(call, {}) for call in (stalls, says_nothing, is_slow)])


# ---- what must not pass ----

@promise('a byte that is another one is found out, in a layer, the config and the manifest')
def _():
    together(fails, [(f'GET .*/blobs/{BIG}', BIG[:19], {'corrupt': 5 << 20}),
                     (f'GET .*/blobs/{SMALL}', SMALL[:19], {'corrupt': 0}),
                     (f'GET .*/blobs/{CONFIG}', CONFIG[:19], {'corrupt': 10}), ('GET .*/manifests/', {'corrupt': 50})])


@beside('answers shorter or longer than they should be, or than they say, are no reason to wait for ever')
def _():
    pattern = f'GET .*/blobs/{BIG}'
    together(harmless, [(pattern, what) for what in (
        {'truncate': 0}, {'truncate': 1 << 20}, {'length': SIZE * 10}, {'cut': 0},
        {'change': {'Content-Range': 'bytes 0-99/100'}}, {'change': {'Content-Range': None}},
        {'change': {'Content-Range': 'bytes 7-18446744073709551615/3'}}, {'change': {'Content-Encoding': 'gzip'}})])


@beside('a registry that gives next to nothing each time is left in the end, and not asked a hundred times a second')
def _():
    for requests in together(harmless, [(f'GET .*/blobs/{BIG}', what) for what in (
            {'length': 100}, {'cut': 1}, {'truncate': 1000})]):
        true(requests < 500, f'{requests} requests')


@promise('endless bodies are left: of a blob, a config, a manifest')
def _():
    together(fails, [(pattern, {'endless': True, 'length': length}) for pattern in (
        f'GET .*/blobs/{SMALL}', f'GET .*/blobs/{CONFIG}', 'GET .*/manifests/') for length in (None, False)])
    case = Case('GET .*/manifests/', times=None, endless=True)
    case.pull().ok(1)
    true(all(r.sent < 32 << 20 for r in case.proxy.seen('manifests')), f'{case.proxy.requests}')


@promise('HTML with 200, and JSON that is none, in place of a manifest')
def _():
    together(fails, [('(GET|HEAD) .*/manifests/', {'status': 200, 'body': body, 'headers': {'Content-Type': kind}})
                     for kind in ('text/html', MANIFEST) for body in (
                         '<!DOCTYPE html><html><body>Please log in to this network</body></html>', '', '{}', '[]', 'null',
                         '{', '[' * 100_000, '{"schemaVersion": 2}', '{"schemaVersion": 2, "config": 7, "layers": "x"}')])


@promise('a digest in the header that is not that of the bytes is a lie; one that is none is not looked at')
def _():
    pattern = '(GET|HEAD) .*/manifests/'
    fails(pattern, 'b' * 12, change={'Docker-Content-Digest': 'sha256:' + 'b' * 64})
    harmless(pattern, change={'Docker-Content-Digest': 'sha256:../../../etc/passwd'})


@beside('redirects in circles, to files, to nowhere and down to plain HTTP are not followed')
def _():
    def here(exchange):
        return f'http://{exchange.headers.get("Host")}{exchange.target}'
    together(fails, [(f'GET .*/blobs/{BIG}', {'redirect': where}) for where in (
        here, lambda x: here(x) + '1', 'file:///etc/passwd', 'gopher://127.0.0.1/', 'http://', '//', 'http://127.0.0.1:1/',
        'ftp://127.0.0.1/x', '\t')] + [('(GET|HEAD) .*/manifests/', {'redirect': 'file:///etc/passwd'})])
    authority = httpd.Authority(f'{folder}/ca')
    with Proxy(registry, tls=authority.server()) as secure:
        mono = Case().home
        mono.configure({secure.host: {'ca_file': authority.certificate}})
        secure.fault('GET .*/blobs/', times=None, redirect=lambda x: registry.url + x.target)
        mono('pull', '-q', f'{secure.host}/team/app').ok(1).says('http')
        secure.heal()
        mono('pull', '-q', f'{secure.host}/team/app').ok()


@promise('a redirect to another host is followed, and no credentials go there')
def _():
    closed = Registry(f'{folder}/closed', users={'ann': 'secret'})
    oci_images.push(path, closed, 'team/app', user=('ann', 'secret'))
    with Proxy(registry, address='127.0.0.2') as cdn, closed:
        case = Case('GET .*/blobs/', closed, times=None, redirect=lambda x: cdn.url + x.target)
        case.home.credentials(auths={case.proxy.host: {'auth': 'YW5uOnNlY3JldA=='}})
        case.pull().ok()
        case.has()
        true(cdn.requests, 'the other host gave the blobs')
        equal([r for r in cdn.requests if r.authorization or 'Cookie' in r.headers], [])
        true([r for r in case.proxy.requests if r.authorization], 'the registry itself had them')


def error(code, message):
    return {'headers': {'Content-Type': 'application/json'}, 'body': json.dumps(
        {'errors': [{'code': code, 'message': message}]})}


@beside('a registry that is not there, refuses, or always fails is an error that says so, soon')
def _():
    def nobody():
        Case().home('pull', '-q', '127.0.0.1:1/team/app', timeout=45).ok(1).says('127.0.0.1:1')
    together(lambda call, *words, **what: call(*words, **what), [
        (nobody, {}), (fails, '/v2/', '503', {'status': 503}), (fails, f'GET .*/blobs/{SMALL}', '503', {'status': 503}),
        (fails, '/manifests/', 'too much', {'status': 429} | error('TOOMANYREQUESTS', 'too much')),
        (fails, '/manifests/', '429', {'status': 429, 'headers': {'Retry-After': '100000'}}),
        (fails, '(GET|HEAD) .*/manifests/', 'not yours', {'status': 403} | error('DENIED', 'not yours'))])


@promise('what a registry says in an error cannot drive the terminal')
def _():
    evil = '\x1b]0;gone\x07\x1b[2J\r\n\n' + 'a' * 100_000
    for _, answer in together(fails, [('(GET|HEAD) .*/manifests/', {'status': 403} | error('DENIED', evil)),
                                      ('GET .*/blobs/', {'status': 400} | error(evil, '')),
                                      ('GET .*/blobs/', {'status': 400, 'body': evil})]):
        true(not any(ord(c) < 32 and c != '\n' for c in answer.err), repr(answer.err[:200]))
        true(len(answer.err) < 2000, f'{len(answer.err)} bytes')


def odd(descriptors):
    """A manifest of these layers, over the config of the honest image."""
    return pushed({'schemaVersion': 2, 'mediaType': MANIFEST, 'config': MANIFEST_VALUE['config'], 'layers': descriptors})[1]


@promise('sizes, digests and numbers of layers that lie are refused before or as they show')
def _():
    honest = MANIFEST_VALUE['layers']
    rows = [[honest[0] | change, honest[1]] for change in (
        {'size': 10}, {'size': 1 << 50}, {'size': -1}, {'size': '7'}, {'digest': 'sha256:' + 'a' * 64},
        {'digest': 'sha256:../../x'}, {'digest': 'md5:' + 'a' * 32}, {'mediaType': 'text/plain'})]
    rows += [[], honest[:1], honest + honest, honest * 5000]
    together(fails, [('(GET|HEAD) .*/manifests/', odd(row)) for row in rows])


@promise('an index that nests without end is refused; one with 15,000 platforms costs little')
def _():
    case, made = Case(), {}
    data = json.dumps({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [
        ROW | {'platform': {'architecture': 'amd64', 'os': 'linux'}}]}).encode()
    for _ in range(200):
        digest = oci_images.digest_of(data)
        made[digest] = data
        data = json.dumps({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [
            {'mediaType': INDEX, 'digest': digest, 'size': len(data)}]}).encode()
    for name, body in (made | {'latest': data}).items():
        case.proxy.fault(f'(GET|HEAD) .*/manifests/{name}', times=None, status=200, body=body,
                         headers={'Content-Type': INDEX, 'Docker-Content-Digest': oci_images.digest_of(body)})
    answer, memory = case.home.measured('pull', '-q', case.place)
    answer.ok(1)
    true(memory < MEMORY and len(case.proxy.requests) < 60, f'{memory} MiB, {len(case.proxy.requests)} requests')
    case.has(None)
    case.heals()
    wide = [{'mediaType': MANIFEST, 'digest': 'sha256:' + hashlib.sha256(str(i).encode()).hexdigest(), 'size': 500,
             'platform': {'architecture': f'cpu{i}', 'os': 'linux'}} for i in range(15_000)]
    _, answer = pushed({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': wide}, INDEX)
    fails('(GET|HEAD) .*/manifests/', **answer)


@promise('a large image takes no more memory than a small one')
def _():
    peaks = []
    for count in (1, 8):
        tars = [oci_images.random_layer(f'r{i}', 8 << 20) for i in range(count)]
        oci_images.push(oci_images.image(f'{folder}/large{count}', tars, 'plain'), registry, f'team/large{count}')
        answer, memory = Case().home.measured('pull', '-q', f'{registry.host}/team/large{count}')
        answer.ok()
        peaks.append(memory)
        print(f'# {memory:.0f} MiB for an image of {8 * count} MiB, {answer.seconds:.2f} s')
    true(peaks[1] < peaks[0] + 10 and peaks[1] < MEMORY, f'{peaks}')


tap.main(finish)
