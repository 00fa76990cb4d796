#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The networks of sandboxes from end to end: groups and names, ports, what may be reached and how that changes, and
what becomes of all this when the group's process is killed."""
import contextlib
import functools
import http.server
import json
import signal
import socket
import socketserver
import threading
import urllib.request

from harness import tap
from harness.probe import serve
from harness.program import DEBIAN, Monocore, send
from harness.tap import contains, equal, promise, true, until

mc = Monocore()
GROUP = 'test-net'
SUBNET = '10.213.77.0/24'
WEB, DB = '10.213.77.10', '10.213.77.20'

# A guest's program: what it says to "HOST PORT" each on a line of standard input.
DIAL = '''
import socket, sys
for line in sys.stdin:
    host, port = line.split()
    try:
        with socket.create_connection((host, int(port)), timeout=20) as s:
            s.settimeout(20)
            s.sendall(b"GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n")
            print("open", s.recv(100).split(b"\\r")[0].decode())
    except OSError as e:
        print(type(e).__name__, e.errno)
'''
SERVE = '''
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(f"{os.uname().nodename} to {self.client_address[0]}".encode())
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("", 80), Handler)
open("/ready", "w").close()
server.serve_forever()
'''


def start(name, *options, program=SERVE):
    mc('tmp', '-d', '--name', name, *options, DEBIAN, '--', 'python3', '-ISc', program, timeout=150).ok()


@functools.cache
def group():
    """Two servers in one group."""
    start('web', '--group', f'{GROUP}:{WEB}', '--subnet', SUBNET, '--alias', 'www')
    start('db', '--group', GROUP, '--ip', DB)
    for name in ('web', 'db'):
        mc.shell(name, 'until [ -e /ready ]; do sleep 0.1; done')


def dial(name, *places):
    """What becomes of connections that a sandbox opens: 'open HTTP/1.0 200 OK', 'ConnectionRefusedError 111'."""
    words = '\n'.join(f'{host} {port}' for host, port in places)
    answer = mc('exec', '-i', name, '--', 'python3', '-ISc', DIAL, input=words.encode() + b'\n', timeout=120).ok()
    return answer.out.splitlines()


def fetch(port, host='127.0.0.1'):
    with urllib.request.urlopen(f'http://{host}:{port}/', timeout=20) as reply:
        return reply.read().decode()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def host_server():
    """A server on this host's loopback; its port."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

    server = Server(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def status(name=GROUP):
    return mc('net', 'inspect', name).ok().json()[0]['status']


OPEN, REFUSED = 'open HTTP/1.0 200 OK', 'ConnectionRefusedError 111'


@promise('sandboxes of a group reach each other by name, alias and address, and are told what they are connected to', limit=240)
def _():
    group()
    equal(dial('web', ('db', 80), ('db.' + GROUP + '.internal', 80), (DB, 80)), [OPEN] * 3)
    equal(dial('db', ('web', 80), ('www', 80), (WEB, 80)), [OPEN] * 3)
    equal(mc.shell('web', 'cat /etc/resolv.conf; hostname -i; cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address'),
          f'nameserver 10.213.77.1\nsearch {GROUP}.internal\n{WEB}\n65520\n52:4d:0a:d5:4d:0a')
    equal(mc.row('web')['addresses'], [WEB])
    row = next(row for row in mc('net', 'ls', '--json').ok().json() if row['group'] == GROUP)
    equal((row['network'], row['up'], {s['name']: s['address'] for s in row['sandboxes']}),
          (SUBNET, True, {'web': WEB, 'db': DB}))
    contains(mc('net', 'ls').ok().out, SUBNET)


@promise('a sandbox of another group is not reached, nor found by its name; one of two groups has an interface and names in each', limit=150)
def _():
    group()
    with mc.sandbox() as alone, mc.sandbox('--group', 'test-other', '--group', GROUP) as both:
        equal(dial(alone, (DB, 80), ('db', 80)), [REFUSED, 'gaierror -2'])
        equal(len(mc.row(both)['addresses']), 2)
        equal(dial(both, (DB, 80), ('db', 80), (f'db.{GROUP}.internal', 80)), [OPEN] * 3)
        equal(dial(both, ('nobody', 80), ('nobody.test-other.internal', 80))[1], 'gaierror -2')
        equal(mc.shell(both, 'ls /sys/class/net').split(), ['eth0', 'eth1', 'lo'])
        contains(mc.shell(both, 'cat /proc/net/route').splitlines()[1], 'eth0\t00000000')


@promise('what is denied is refused at once, and the reason is told; the host is reached by a rule that names it, and no longer without', limit=150)
def _():
    group()
    with host_server() as port:
        places = (('169.254.169.254', 80), ('192.168.1.1', 80), ('host.internal', port), ('10.213.77.1', 80))
        equal(dial('web', *places), [REFUSED] * 4)
        told = mc('net', 'why', 'web').ok().out
        for words in ('169.254.169.254:80 denied', 'link-local', 'RFC 1918', 'gateway', 'host.internal'):
            contains(told, words)
        mc('net', 'policy', 'web', '--allow', f'host.internal:{port}').ok()
        equal(dial('web', ('host.internal', port), ('host.internal', port + 1)), [OPEN, REFUSED])
        mc('net', 'policy', 'web', '--deny', f'{DB}/32').ok()
        equal(dial('web', ('host.internal', port), (DB, 80)), [OPEN, REFUSED])
        equal(mc('net', 'policy', 'web').ok().out, f'reach public\nallow host.internal:{port}\ndeny {DB}\n')
        mc('net', 'policy', 'web', '--clear').ok()
        equal(dial('web', (DB, 80)), [OPEN])
        equal(dial('web', ('host.internal', port)), [REFUSED])
        true(mc('inspect', 'web').ok().json()[0]['network']['live'][0]['counters']['denied'] > 0, 'denials are counted')


@promise('verdicts can be followed as they are made')
def _():
    group()
    trace = mc.start('net', 'trace', 'web')
    try:
        lines = []
        threading.Thread(target=lambda: lines.extend(iter(trace.stdout.readline, b'')), daemon=True).start()

        def seen():
            dial('web', ('192.168.3.4', 5), (DB, 80))
            return any(b'192.168.3.4:5 denied' in line for line in lines) and any(
                f'{DB}:80 allowed'.encode() in line for line in lines)
        until(seen, 'a denial and an allowance in the trace', 60)
    finally:
        trace.kill()
        trace.wait()


@promise('a port of the host leads to the sandbox; ports of a running one are added and removed, and lists tell which there are')
def _():
    group()
    port = free_port()
    with mc.sandbox('-p', f'{port}:80', '-p', '80', '--port', f'{free_port()}:5353/udp', command=('python3', '-ISc', SERVE)) as name:
        mc.shell(name, 'until [ -e /ready ]; do sleep 0.1; done')
        contains(fetch(port), f'{name} to ')
        listed = mc('port', 'ls', name).ok().out.split()
        equal(len(listed), 3)
        chosen = int(listed[1].split(':')[1])
        true(chosen > 0, listed)
        contains(fetch(chosen), name)
        equal(mc.row(name)['ports'], listed)
        added = mc('port', 'add', name, '0:80').ok().out.strip()
        contains(fetch(int(added.split(':')[1])), name)
        mc('port', 'remove', name, str(port)).ok()
        with socket.socket() as s:
            true(s.connect_ex(('127.0.0.1', port)) != 0, 'a removed port is closed')
        equal(mc('port', 'ls', name).ok().out.split(), listed[1:] + [added])
        mc('port', 'remove', name, str(port)).ok(1).says(str(port), 'not published')


@promise('a port that is in use fails the start, which says so, and leaves nothing; adding one does no harm')
def _():
    group()
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        port = s.getsockname()[1]
        mc('tmp', '-d', '--name', 'no-port', '-p', f'{port}:80', DEBIAN, '--', 'true').ok(125).says(str(port), 'used already')
        equal(mc.row('no-port'), None)
        mc('port', 'add', 'db', f'{port}:80').ok(1).says(str(port), 'used already')
        equal(mc('port', 'ls', 'db').ok().out, '')
    equal(dial('web', ('db', 80)), [OPEN])


@promise('reach none is no network at all, and ends and begins while the sandbox runs')
def _():
    group()
    with mc.sandbox('--group', GROUP, '--reach', 'none', '--name', 'quiet') as name:
        equal(dial(name, (DB, 80)), ['OSError 101'])
        equal(mc.shell('web', 'getent hosts quiet || echo none'), 'none')
        mc('net', 'policy', name, '--reach', 'local').ok()
        equal(dial(name, (DB, 80), ('db', 80)), [OPEN] * 2)
        mc('net', 'policy', name, '--reach', 'none').ok()
        equal(dial(name, (DB, 80)), ['OSError 101'])


@promise('a killed mcnet is replaced at once: the guests go on, their ports and rules are there again, and connections never hang', limit=150)
def _():
    group()
    with host_server() as port:
        published = mc('port', 'add', 'db', '0:80').ok().out.split(':')[1]
        mc('net', 'policy', 'web', '--allow', f'host.internal:{port}', '--deny', '192.168.7.0/24').ok()
        # A connection within the group that is open meanwhile.
        serve(mc, 'db', 'import socket\nc = socket.create_server(("", 7)).accept()[0]\nwhile d := c.recv(9): c.sendall(d)', 7)
        talk = mc.start('exec', '-i', 'web', '--', 'python3', '-ISuc',
                        'import socket, sys\ns = socket.create_connection(("db", 7)); s.settimeout(30)\n'
                        'for line in sys.stdin:\n s.sendall(line.encode()); print(s.recv(9).decode(), end="")', stdin=-1)
        try:
            def say(word):
                talk.stdin.write(word + b'\n')
                talk.stdin.flush()
                return talk.stdout.readline()
            equal(say(b'one'), b'one\n')
            before = status()['pid']
            for _ in range(3):
                send(status()['pid'])
                until(lambda: status() and len(status()['sandboxes']) == 2 and all(s['link'] for s in status()['sandboxes']),
                      'both sandboxes are attached to another mcnet')
            true(status()['pid'] != before, 'another process')
            equal(say(b'two'), b'two\n')
        finally:
            talk.kill()
            talk.wait()
        equal(dial('web', ('db', 80), ('host.internal', port), ('192.168.7.1', 80)), [OPEN] * 2 + [REFUSED])
        contains(fetch(published), 'db to ')
        contains(mc('log', '--stream', 'system', 'web').ok().out, 'is up again')
    mc('net', 'policy', 'web', '--clear').ok()
    mc('port', 'remove', 'db', published).ok()


@promise('addresses are kept over a restart, given once, and given back with the sandbox; what cannot be given is said')
def _():
    group()
    mc('tmp', '-d', '--name', 'twice', '--group', f'{GROUP}:{DB}', DEBIAN, '--', 'true').ok(125).says(DB, 'db')
    mc('tmp', '-d', '--name', 'apart', '--group', GROUP, '--subnet', '10.99.0.0/24', DEBIAN, '--', 'true').ok(125).says(SUBNET)
    mc('tmp', '-d', '--name', 'over', '--group', 'test-over', '--subnet', '10.213.0.0/16', DEBIAN, '--', 'true').ok(125).says(GROUP)
    mc('tmp', '-d', '--group', 'No such', DEBIAN, '--', 'true').ok(125).says('No such')
    mc('tmp', '-d', '--allow', '10.1.2.3/8', DEBIAN, '--', 'true').ok(125).says('10.0.0.0/8')
    equal([n for n in mc.names() if n in ('twice', 'apart', 'over')], [])
    with mc.sandbox('--group', GROUP) as name:
        address = mc.row(name)['addresses']
        mc('restart', name).ok()
        equal(mc.row(name)['addresses'], address)
        equal(mc.shell(name, 'hostname -i'), address[0])
    with mc.sandbox('--group', GROUP) as name:
        equal(mc.row(name)['addresses'], address)


@promise('a policy and ports of a stopped sandbox are changed as well, and hold when it runs')
def _():
    with mc.sandbox() as name:
        mc('stop', name).ok()
        mc('net', 'policy', name, '--reach', 'none', '--bandwidth', '5M').ok()
        port = free_port()
        mc('port', 'add', name, f'{port}:80').ok()
        equal(mc('port', 'ls', name).ok().out, f'127.0.0.1:{port}:80/tcp\n')
        equal(mc('net', 'policy', name, '--json').ok().json(), {'reach': 'none', 'rules': [], 'bandwidth': 5 << 20})
        mc('restart', name).ok()
        equal(dial(name, ('192.0.2.1', 80)), ['OSError 101'])
        equal(mc.row(name)['ports'], [f'127.0.0.1:{port}:80/tcp'])


@promise('a hanging mcnet stops neither exec nor output, and its end is as that of a killed one', limit=150)
def _():
    group()
    victim = status()['pid']
    send(victim, signal.SIGSTOP)
    try:
        equal(mc.shell('web', 'echo still here'), 'still here')
        mc('log', 'web').ok()
    finally:
        send(victim)
    until(lambda: status() and len(status()['sandboxes']) == 2 and all(s['link'] for s in status()['sandboxes']),
          'both are attached again')
    equal(dial('web', ('db', 80)), [OPEN])


def finish():
    lines = mc.clean()
    rows = mc('net', 'ls', '--json', '-a').out
    return lines + ([] if json.loads(rows or '[]') == [] else [f'networks are left: {rows}'])


tap.main(finish)
