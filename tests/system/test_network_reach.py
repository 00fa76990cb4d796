#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a sandbox reaches and what it does not: every reach, every class of destination, every protocol, names too."""
import atexit
import os
import shutil
import tempfile

from harness import probe, tap, world
from harness.probe import serve, tell
from harness.program import DEBIAN, Monocore
from harness.tap import contains, equal, promise, true

PUBLIC, PRIVATE, METADATA = '8.8.8.8', '172.20.0.5', '169.254.169.254'
ZONE = {
    'good.test': (['8.8.4.4'], 60), 'www.good.test': (['8.8.4.5'], 60), 'bad.test': (['8.8.4.4'], 60),
    'alias.test': (['good.test'], 60), 'inner.test': ([PRIVATE], 60), 'loop.test': (['127.0.0.1'], 60),
    'own.test': ([world.HOST, world.HOST_PUBLIC], 60), 'metadata.test': ([METADATA], 60),
    'many.test': ([f'9.1.{i}.{j}' for i in range(4) for j in range(16)], 60), 'never.test': ('silent', 0),
}
# What stands for each class of destination that is no sandbox, and the reaches that let it through.
CLASSES = {
    'public': (PUBLIC, {'public', 'any'}), 'public, the last before multicast': ('223.255.255.254', {'public', 'any'}),
    'private 10/8': ('10.255.254.7', {'any'}), 'private 172.16/12': (PRIVATE, {'any'}),
    'private 192.168/16': (world.WORLD, {'any'}), 'shared 100.64/10': ('100.64.0.9', {'any'}),
    'link-local, metadata': (METADATA, {'any'}), 'documentation': ('203.0.113.5', {'any'}),
    'benchmarking': ('198.18.0.5', {'any'}), 'IETF assignments': ('192.0.0.9', {'public', 'any'}),
    'the host': (world.HOST, set()), 'the host, public': (world.HOST_PUBLIC, set()),
}
PROTOCOLS = ('tcp', 'udp', 'icmp')

folder = tempfile.mkdtemp(prefix='mc-reach-')
atexit.register(shutil.rmtree, folder, True)
outside = world.World(folder, ZONE)
mc = Monocore(before=outside.before)


def address(name):
    return mc.shell(name, 'hostname -i')


def finish():
    left = mc.clean()
    outside.close()
    return left


def attempts_of(addresses):
    return [(protocol, a) for a in addresses for protocol in PROTOCOLS]


def expect(name, wanted, about):
    """wanted: {address: whether it is reached}, by every protocol; a denial comes at once, not after a wait."""
    attempts = attempts_of(wanted)
    outcomes = tell(mc, name, attempts, 10)
    wrong = [f'{a}: {o} {t!r}' for a, (o, t) in zip(attempts, outcomes)
             if (o == 'open') != wanted[a[1]] or o == 'silent' or (o == 'open' and a[0] != 'icmp' and not t.startswith(a[1]))]
    equal(wrong, [], about)


@promise('each reach lets through what it says, by TCP, UDP and ICMP, and all else is denied at once', limit=240)
def _():
    with mc.sandbox('--group', 'reach', '--name', 'member') as member, mc.sandbox('--name', 'stranger') as stranger:
        serve(mc, member, SERVER)
        serve(mc, stranger, SERVER)
        other, alone = address(member), address(stranger)
        for reach in ('local', 'public', 'any'):
            with mc.sandbox('--group', 'reach', '--reach', reach) as name:
                wanted = {a: reach in reaches for a, reaches in CLASSES.values()}
                expect(name, wanted | {other: True}, reach)
                # The address of another group's is one of the world's here, if it is any.
                for outcome, text in tell(mc, name, [('tcp', alone), ('udp', alone)], 10):
                    equal(outcome == 'open', reach == 'any', text)
                    true(outcome != 'open' or f' {world.HOST}:' in text, f'who answers is the world: {text}')
        with mc.sandbox('--reach', 'none') as name:
            equal(mc.shell(name, 'cat /sys/class/net/eth0/carrier 2>/dev/null || true').strip() in ('', '0'), True)
            outcomes = tell(mc, name, attempts_of([PUBLIC, PRIVATE, other, world.HOST]), 2)
            true(all(outcome != 'open' for outcome, _ in outcomes), outcomes)


# Echoes on all addresses, as the servers of the world do.
SERVER = r'''
import socket, threading
def tcp(s):
    while True:
        c, peer = s.accept()
        c.sendall(("%s:%d %s:%d\n" % (*c.getsockname(), *peer)).encode())
        c.close()
def udp(s, own):
    while True:
        data, peer = s.recvfrom(65536)
        s.sendto((own + " %s:%d\n" % peer).encode() + data, peer)
own = socket.gethostbyname(socket.gethostname())
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("0.0.0.0", 7777)); t = socket.create_server(("0.0.0.0", 7777))
threading.Thread(target=tcp, args=(t,)).start(); udp(u, own)
'''


@promise('the host\'s loopback and own addresses are reached only by a rule that says so, on the port that it says')
def _():
    with mc.sandbox('--reach', 'any') as name:
        equal([o for o, _ in tell(mc, name, [('tcp', '127.0.0.2'), ('tcp', world.HOST), ('tcp', world.HOST_PUBLIC)])],
              ['refused'] * 3)
        inner = address(name)
        alias = '.'.join(inner.split('.')[:3] + ['2'])
        equal(mc.shell(name, 'getent ahostsv4 host.internal | head -1').split()[0], alias)
        equal(tell(mc, name, [('tcp', alias)])[0][0], 'refused')
        contains(mc('net', 'why', name).ok().out, 'host.internal')
    with mc.sandbox('--reach', 'local', '--allow', 'host.internal:7777/tcp', '--allow', f'{world.HOST}:7777') as name:
        alias = '.'.join(address(name).split('.')[:3] + ['2'])
        outcome, text = tell(mc, name, [('tcp', alias)])[0]
        equal(outcome, 'open')
        true(text.startswith('127.0.0.1:7777 127.0.0.1:'), text)
        equal([o for o, _ in tell(mc, name, [('udp', alias), ('tcp', alias, 22), ('tcp', world.HOST), ('tcp', world.HOST_PUBLIC)])],
              ['prohibited', 'refused', 'open', 'refused'])


@promise('an address that the host gets is the host\'s within a moment')
def _():
    with mc.sandbox('--reach', 'any') as name:
        equal(tell(mc, name, [('tcp', '11.99.0.1')])[0][0], 'open')
        outside.administer('ip', 'addr', 'add', '11.99.0.1/32', 'dev', 'lo')
        tap.until(lambda: tell(mc, name, [('tcp', '11.99.0.1')])[0][0] == 'refused', 'it is denied', 10)
        outside.administer('ip', 'addr', 'del', '11.99.0.1/32', 'dev', 'lo')
        tap.until(lambda: tell(mc, name, [('tcp', '11.99.0.1')])[0][0] == 'open', 'it is open again', 10)
        outside.administer('ip', 'route', 'add', 'local', '11.99.1.0/24', 'dev', 'lo')
        tap.until(lambda: tell(mc, name, [('tcp', '11.99.1.77')])[0][0] == 'refused', 'a whole network is its own', 10)
        outside.administer('ip', 'route', 'del', 'local', '11.99.1.0/24', 'dev', 'lo')


@promise('rules go beyond reach and take from it, by network, port and protocol, and a denial names the rule')
def _():
    with mc.sandbox('--reach', 'local', '--allow', '172.20.0.0/16:7777/tcp', '--allow', f'{PUBLIC}', '--deny',
                    '172.20.9.0/24') as name:
        attempts = [('tcp', PRIVATE), ('udp', PRIVATE), ('tcp', PRIVATE, 80), ('tcp', '172.20.9.1'), ('tcp', PUBLIC),
                    ('udp', PUBLIC), ('icmp', PUBLIC), ('tcp', '8.8.8.9')]
        equal([o == 'open' for o, _ in tell(mc, name, attempts, 10)],
              [True, False, False, False, True, True, True, False])
        contains(mc('net', 'why', name).ok().out, 'deny 172.20.9.0/24')
    with mc.sandbox('--deny', '8.8.0.0/16:7777/udp') as name:
        equal([o == 'open' for o, _ in tell(mc, name, [('tcp', PUBLIC), ('udp', PUBLIC), ('udp', '9.8.8.8')], 10)],
              [True, False, True])
    for rule, part in (('10.0.0.0/33', '/33'), ('*.good.*', '*.good.*'), ('1.2.3.4:99999', '99999'), ('host.internl', 'host.internal'),
                       ('1.2.3.4/tpc', 'tcp')):
        answer = mc('tmp', '--allow', rule, DEBIAN, '--', 'true')
        true(answer.status in (2, 125) and part in answer.err, answer)


@promise('between groups nothing passes but what a rule says, from the side that has the rule')
def _():
    with mc.sandbox('--group', 'shop', '--reach', 'any') as server:
        serve(mc, server, SERVER)
        far = address(server)
        with mc.sandbox('--group', 'office', '--reach', 'local', '--allow', f'{far}:7777/tcp', '--allow', f'{far}/32/icmp',
                        '--allow', f'{far}:7777/udp') as client, mc.sandbox('--group', 'office', '--reach', 'any') as other:
            near = address(client)
            tap.until(lambda: tell(mc, client, [('tcp', far)], 5)[0][0] == 'open', 'the way is there')
            outcomes = tell(mc, client, [('tcp', far), ('udp', far), ('icmp', far), ('tcp', far, 7778), ('udp', far, 9)], 10)
            equal([o for o, _ in outcomes], ['open', 'open', 'open', 'refused', 'prohibited'])
            true(all(f' {near}:' in text for _, text in outcomes[:2]), f'the server sees the client itself: {outcomes}')
            for name, to in ((other, far), (server, near)):  # any reach is no rule: this is the world's, if it is any
                true(f' {near}:' not in str(tell(mc, name, [('tcp', to), ('udp', to)], 10)), name)
            mc('net', 'policy', client, '--reach', 'local', '--deny', far).ok()
            equal(tell(mc, client, [('tcp', far)])[0][0], 'refused')


@promise('the policy of a running sandbox changes at once, for connections that stand, too')
def _():
    with mc.sandbox('--reach', 'any') as name:
        keep = mc.start('exec', '-i', name, '--', 'python3', '-ISuc', KEEP, PRIVATE, stdin=-1)
        true(keep.stdout.readline().startswith(PRIVATE.encode()), 'it is connected')
        keep.stdin.write(b'one\n')
        keep.stdin.flush()
        equal(keep.stdout.readline(), b'one\n')
        mc('net', 'policy', name, '--reach', 'local').ok()
        keep.stdin.write(b'two\n')
        keep.stdin.flush()
        contains(keep.communicate(timeout=20)[0].decode(), 'reset')
        equal([o for o, _ in tell(mc, name, [('tcp', PRIVATE), ('tcp', PUBLIC)])], ['refused'] * 2)
        mc('net', 'policy', name, '--reach', 'none').ok()
        tap.until(lambda: tell(mc, name, [('tcp', PUBLIC)], 2)[0][0] in ('silent', 'no route', 'prohibited'), 'no link', 10)
        mc('net', 'policy', name, '--reach', 'public').ok()
        tap.until(lambda: tell(mc, name, [('tcp', PUBLIC)], 2)[0][0] == 'open', 'the link is back', 20)
        equal(tell(mc, name, [('tcp', PRIVATE)])[0][0], 'refused')
        mc('stop', name).ok()
        mc('start', '-d', name).ok()
        equal(tell(mc, name, [('tcp', PRIVATE)])[0][0], 'refused', 'the policy outlives a restart')


KEEP = r'''
import socket, sys
s = socket.create_connection((sys.argv[1], 7777), 5)
s.settimeout(10)
print(s.recv(100).decode(), end="")
try:
    for line in sys.stdin:
        s.sendall(line.encode())
        print(s.recv(100).decode(), end="")
except ConnectionResetError:
    print("reset")
'''


# Asks for a page by a name at an address, and says what came: python3 -c WEB https|http ADDRESS NAME [HOST]
WEB = r'''
import socket, ssl, sys
kind, address, name = sys.argv[1:4]
try:
    s = socket.create_connection((address, 443 if kind == "https" else 80), 5)
    if kind == "https":
        c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
        s = c.wrap_socket(s, server_hostname=name if name != "-" else None)
    s.sendall(("GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % sys.argv[-1]).encode())
    print(s.recv(1000).decode().split("\r\n\r\n")[-1])
except (OSError, EOFError) as error:
    print(type(error).__name__)
'''


def web(name, kind, *words):
    return mc('exec', name, '--', 'python3', '-ISc', WEB, kind, *words, timeout=60).ok().out.strip()


@promise('a rule for a domain opens what that name resolves to, by that name alone', limit=150)
def _():
    with mc.sandbox('--reach', 'local', '--allow', 'good.test:443', '--allow', '*.good.test:80', '--allow', 'many.test') as name:
        equal(web(name, 'https', '8.8.4.4', 'good.test').startswith('8.8.4.4'), False, 'not before it was asked for')
        equal(mc.shell(name, 'getent ahostsv4 good.test | head -1').split()[0], '8.8.4.4')
        true(web(name, 'https', '8.8.4.4', 'good.test').startswith("8.8.4.4 ['good.test'"), 'its own name')
        for other in ('bad.test', '-'):
            true('Error' in web(name, 'https', '8.8.4.4', other), f'{other} at the same address')
        contains(mc('net', 'why', name).ok().out, 'bad.test')
        true('Error' in web(name, 'http', '8.8.4.4', 'good.test'), 'port 80 is not in the rule')
        mc.shell(name, 'getent ahostsv4 www.good.test')
        true(web(name, 'http', '8.8.4.5', '-', 'www.good.test').startswith('8.8.4.5'), 'below the domain, by http')
        true('Error' in web(name, 'http', '8.8.4.5', '-', 'bad.test'), 'another Host')
        answer = mc('exec', name, '--', 'python3', '-ISc', 'import socket; socket.gethostbyname("bad.test")')
        true(answer.status == 1 and 'gaierror' in answer.err, 'a name that no rule allows is not even asked for')
        equal([s for s in outside.seen if s[1:] == ['udp', 'bad.test']], [])
        mc.shell(name, 'getent ahostsv4 many.test')
        equal(tell(mc, name, [('tcp', '9.1.3.15'), ('tcp', '9.1.4.1'), ('udp', '9.1.3.15', 443)])[0][0], 'open')
        equal([o for o, _ in tell(mc, name, [('tcp', PUBLIC, 53), ('udp', PUBLIC, 53), ('tcp', PUBLIC, 853)])],
              ['refused', 'prohibited', 'refused'], 'other resolvers')


@promise('a name that resolves to what may not be reached opens nothing')
def _():
    with mc.sandbox('--allow', '*.test') as name:
        for host, address_of in (('inner.test', PRIVATE), ('loop.test', '127.0.0.1'), ('own.test', world.HOST),
                                 ('own.test', world.HOST_PUBLIC), ('metadata.test', METADATA)):
            contains(mc.shell(name, f'getent ahostsv4 {host}'), address_of)
            if not address_of.startswith('127.'):
                equal(tell(mc, name, [('tcp', address_of)])[0][0], 'refused', host)
        contains(mc('net', 'why', name).ok().out, METADATA)


@promise('DNS answers by UDP and TCP, large answers too, and a server that is silent stops nobody else')
def _():
    with mc.sandbox() as name:
        slow = mc.start('exec', name, '--', 'python3', '-ISc', 'import socket; socket.gethostbyname("never.test")')
        line = ('import socket; print(len({a[4][0] for a in socket.getaddrinfo("many.test", 1)}), '
                'socket.gethostbyname("alias.test"))')
        equal(mc('exec', name, '--', 'python3', '-ISc', line).ok().out.split(), ['64', '8.8.4.4'])
        answer = mc('exec', name, '--', 'python3', '-ISc', 'import socket; socket.gethostbyname("none.test")')
        true(answer.status == 1 and 'gaierror' in answer.err, answer)
        slow.communicate(timeout=40)
        true(slow.returncode != 0, 'nobody answered')


@promise('every attempt is told while it is made, and the last denials afterwards')
def _():
    with mc.sandbox('--reach', 'local', '--allow', PUBLIC) as name:
        trace = mc.start('net', 'trace', name)
        tap.until(lambda: tell(mc, name, [('tcp', PUBLIC), ('udp', PRIVATE)]) and len(seen_lines(trace)) > 1, 'two lines', 20)
        trace.terminate()
        trace.communicate(timeout=10)
        why = mc('net', 'why', name, '--json').ok().json()
        true(why and PRIVATE in str(why), why)
        true(mc('inspect', name).ok().json()[0]['network']['live'][0]['counters']['denied'] > 0, 'denials are counted')


def seen_lines(process, lines=[]):
    """What a trace has written so far."""
    os.set_blocking(process.stdout.fileno(), False)
    lines += (process.stdout.read() or b'').decode().splitlines()
    return lines


tap.main(finish)
