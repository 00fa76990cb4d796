# SPDX-License-Identifier: Apache-2.0
"""A host with a network of its own, and the world beyond it, in network namespaces of an ordinary user.

    the host    192.168.77.1/24, and the public address 11.22.33.1 as its own; monocore runs here
    the world   192.168.77.2, the host's default route: a machine that is every other address there is

In the world every address answers: on TCP and UDP port 7777 by an echo that first says whom it was called and
who called, on 80 by HTTP, on 443 by TLS, on 53 by a name server. The host's own servers are an echo on 7777 of
all its addresses, loopback too. What the servers see is in `world.seen`.
"""
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading

if __name__ == '__main__':
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import dns

HOST, WORLD, HOST_PUBLIC = '192.168.77.1', '192.168.77.2', '11.22.33.1'
PORT = 7777  # of the echo
INSIDE = ['unshare', '--user', '--map-current-user', '--mount', '--net', '--keep-caps', '--kill-child', '--fork']


class World:
    """zone: {name: ([address or name…], ttl)} of the name server that the host's resolv.conf names."""

    def __init__(self, folder, zone=None):
        self.folder, self.log = folder, f'{folder}/seen'
        with open(f'{folder}/zone.json', 'w') as f:
            json.dump(zone or {}, f)
        with open(f'{folder}/resolv.conf', 'w') as f:
            f.write(f'nameserver {WORLD}\noptions timeout:1 attempts:2\n')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days',
                        '2', '-subj', '/CN=world', '-keyout', f'{folder}/key.pem', '-out', f'{folder}/cert.pem'],
                       check=True, capture_output=True)
        self.process = subprocess.Popen(INSIDE + [sys.executable, '-B', os.path.abspath(__file__), 'host', folder],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.pid = int(self.process.stdout.readline() or 0)
        if not self.pid:
            raise AssertionError(f'no network namespaces: {self.process.wait()}')
        # Words before a program that is to run on this host: as the user that the caller is, without rights.
        self.before = ['nsenter', '--preserve-credentials', '--user', '--mount', '--net', f'--target={self.pid}', '--']

    def run(self, *words, **options):
        return subprocess.run(self.before + list(words), capture_output=True, text=True, timeout=30, **options)

    def administer(self, *words):
        """`ip` words on the host, with the rights for it; other words would need them, too."""
        self.process.stdin.write(json.dumps(words) + '\n')
        self.process.stdin.flush()
        status = self.process.stdout.readline().strip()
        if status != '0':
            raise AssertionError(f'{words}: status {status}')

    def names(self, zone):
        """Another zone, from now on."""
        with open(f'{self.folder}/zone.new', 'w') as f:
            json.dump(zone, f)
        os.rename(f'{self.folder}/zone.new', f'{self.folder}/zone.json')

    @property
    def seen(self):
        """[where, what, …] of each connection, datagram and question so far."""
        with contextlib.suppress(FileNotFoundError):
            with open(self.log) as f:
                return [json.loads(line) for line in f]
        return []

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- what runs inside ----------------------------------------------------------------------------------------

class Zone(dict):
    """The file's, read again when it has changed."""

    def __init__(self, path):
        super().__init__()
        self.path, self.stamp = path, None

    def get(self, name, default=None):
        stamp = os.stat(self.path).st_mtime_ns, os.stat(self.path).st_ino
        if stamp != self.stamp:
            with open(self.path) as f:
                self.clear()
                self.update(json.load(f))
            self.stamp = stamp
        return super().get(name, default)


def logger(folder, where):
    lock = threading.Lock()

    def log(*what):
        with lock, open(f'{folder}/seen', 'a') as f:
            f.write(json.dumps([where, *what]) + '\n')
    return log


def text_of(address):
    return f'{address[0]}:{address[1]}'


def echo_tcp(listener, log):
    def serve(connection, peer):
        with connection, contextlib.suppress(OSError):
            local = text_of(connection.getsockname())
            log('tcp', local, peer[0])
            connection.sendall(f'{local} {text_of(peer)}\n'.encode())
            while data := connection.recv(65536):
                connection.sendall(data)
    while True:
        connection, peer = listener.accept()
        threading.Thread(target=serve, args=(connection, peer), daemon=True).start()


def echo_udp(server, log):
    while True:
        data, peer, called = dns.receive(server)
        local = socket.inet_ntoa(called)
        log('udp', local, peer[0])
        dns.send(server, f'{local} {text_of(peer)}\n'.encode() + data, peer, called)


def serve_web(listener, log, context):
    """Answers each connection by the name that it was asked for: of the hello (TLS), of the request."""
    def serve(connection):
        names = []
        with contextlib.suppress(OSError), connection:
            connection.settimeout(10)
            local = connection.getsockname()[0]
            if context:
                own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                own.load_cert_chain(f'{context}/cert.pem', f'{context}/key.pem')
                own.sni_callback = lambda _socket, name, _context: names.append(name)
                connection = own.wrap_socket(connection, server_side=True)
            request = connection.recv(65536).decode(errors='replace')
            names += [line[5:].strip() for line in request.split('\r\n') if line.lower().startswith('host:')]
            log('tls' if context else 'http', local, names)
            body = f'{local} {names}\n'
            connection.sendall(f'HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}'.encode())
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def start(function, *words):
    threading.Thread(target=function, args=words, daemon=True).start()


def start_echo(log):
    start(echo_tcp, socket.create_server(('0.0.0.0', PORT), backlog=512), log)
    start(echo_udp, dns.open_udp(PORT), log)


def run(*words):
    subprocess.run(words, check=True, stdout=sys.stderr)


def be_world(folder):
    log = logger(folder, 'world')
    run('ip', 'link', 'set', 'lo', 'up')
    print('made', flush=True)
    sys.stdin.readline()  # the device is here now
    run('ip', 'addr', 'add', f'{WORLD}/24', 'dev', 'world0')
    run('ip', 'link', 'set', 'world0', 'up')
    run('ip', 'route', 'add', 'local', 'default', 'dev', 'lo', 'table', 'main')
    start_echo(log)
    start(serve_web, socket.create_server(('0.0.0.0', 80)), log, None)
    start(serve_web, socket.create_server(('0.0.0.0', 443)), log, folder)
    dns.start(Zone(f'{folder}/zone.json'), log)
    print('ready', flush=True)
    sys.stdin.read()


def be_host(folder):
    run('ip', 'link', 'set', 'lo', 'up')
    run('ip', 'addr', 'add', f'{HOST_PUBLIC}/32', 'dev', 'lo')
    with open('/proc/sys/net/ipv4/ping_group_range', 'w') as f:  # as distributions have it: who may ping
        f.write(f'{os.getgid()} {os.getgid()}')
    run('mount', '--bind', f'{folder}/resolv.conf', os.path.realpath('/etc/resolv.conf'))
    world = subprocess.Popen(['unshare', '--net', sys.executable, '-B', os.path.abspath(__file__), 'world', folder],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    world.stdout.readline()
    run('ip', 'link', 'add', 'host0', 'type', 'veth', 'peer', 'name', 'world0', 'netns', str(world.pid))
    run('ip', 'addr', 'add', f'{HOST}/24', 'dev', 'host0')
    run('ip', 'link', 'set', 'host0', 'up')
    world.stdin.write('\n')
    world.stdin.flush()
    world.stdout.readline()
    run('ip', 'route', 'add', 'default', 'via', WORLD)
    start_echo(logger(folder, 'host'))
    print(os.getpid(), flush=True)
    for line in sys.stdin:
        print(subprocess.run(json.loads(line), stdout=sys.stderr).returncode, flush=True)
    world.stdin.close()
    world.wait()


if __name__ == '__main__':
    {'host': be_host, 'world': be_world}[sys.argv[1]](sys.argv[2])
