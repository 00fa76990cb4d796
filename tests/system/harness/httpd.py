# SPDX-License-Identifier: Apache-2.0
"""What the servers of the tests share: HTTP/1.1 in threads, close enough to the socket that an answer can be wrong
in every way. token_server.py, proxy.py and quirks.py are made of it. And certificates: a private CA by openssl."""
import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

BLOCK = 256 << 10


class Gone(Exception):
    """The other side closed, or this connection is to be closed without another word."""


class Headers:
    """Header fields in order; names without regard to case."""

    def __init__(self, pairs=()):
        self.pairs = [(str(k), str(v)) for k, v in (pairs.items() if isinstance(pairs, dict) else pairs)]

    def __iter__(self):
        return iter(self.pairs)

    def get(self, name, default=None):
        return next((v for k, v in self.pairs if k.lower() == name.lower()), default)

    def __contains__(self, name):
        return self.get(name) is not None

    def without(self, *names):
        gone = {name.lower() for name in names}
        return Headers((k, v) for k, v in self.pairs if k.lower() not in gone)

    def replaced(self, changes):
        """With these fields in place of theirs; a value of None removes the field."""
        kept = self.without(*changes).pairs
        return Headers(kept + [(k, v) for k, v in changes.items() if v is not None])

    def __repr__(self):
        return repr(self.pairs)


class Record:
    """One request as it came and what was answered; times are of time.monotonic()."""

    def __init__(self, method, target, headers, connection):
        self.method, self.target, self.headers, self.connection = method, target, headers, connection
        self.status, self.sent, self.received, self.fault, self.stalled = None, 0, 0, '', False
        self.began, self.first_byte, self.ended = time.monotonic(), None, None

    @property
    def path(self):
        return urllib.parse.urlsplit(self.target).path

    @property
    def query(self):
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.target).query, keep_blank_values=True)

    @property
    def authorization(self):
        return self.headers.get('Authorization')

    @property
    def range(self):
        return self.headers.get('Range')

    def __repr__(self):
        return (f'<{self.method} {self.target} {self.status}, {self.sent} sent'
                + (f', Range {self.range}' if self.range else '') + (f', {self.fault}' if self.fault else '') + '>')


class Exchange:
    """One request on its connection, and the means to answer it."""

    def __init__(self, server, sock, reader, record):
        self.server, self.sock, self.reader, self.record = server, sock, reader, record
        self.method, self.target, self.headers = record.method, record.target, record.headers
        self.path, self.query = record.path, record.query
        self.continued, self.unread, self.close_after = False, self._length(), False

    def _length(self):
        if 'chunked' in self.headers.get('Transfer-Encoding', '').lower():
            return -1
        return int(self.headers.get('Content-Length') or 0)

    def body(self):
        """The request's body, in blocks."""
        if self.unread and not self.continued and self.headers.get('Expect', '').lower() == '100-continue':
            self.sock.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
        self.continued = True
        if self.unread < 0:
            yield from self._chunks()
        while self.unread > 0:
            data = self.reader.read1(min(BLOCK, self.unread))
            if not data:
                raise Gone()
            self.unread -= len(data)
            self.record.received += len(data)
            yield data
        self.unread = 0

    def _chunks(self):
        while True:
            left = int(self.reader.readline().split(b';')[0] or b'0', 16)
            if not left:
                while self.reader.readline().strip():
                    pass
                return
            while left:
                data = self.reader.read1(min(BLOCK, left))
                if not data:
                    raise Gone()
                left -= len(data)
                self.record.received += len(data)
                yield data
            self.reader.readline()

    def whole_body(self):
        return b''.join(self.body())

    def head(self, status, headers):
        """Sends status line and header fields, as they are given."""
        self.record.status = status
        reason = http.client.responses.get(status, 'Unknown')
        lines = [f'HTTP/1.1 {status} {reason}'] + [f'{k}: {v}' for k, v in Headers(headers).pairs]
        self.write(('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1'), count=False)

    def write(self, data, count=True):
        try:
            self.sock.sendall(data)
        except OSError:
            raise Gone() from None
        if count:
            self.record.first_byte = self.record.first_byte or time.monotonic()
            self.record.sent += len(data)

    def answer(self, status, body=b'', headers=(), kind='application/json'):
        """A whole answer, with its length; body: bytes, text or what becomes JSON."""
        if not isinstance(body, (bytes, bytearray, str)):
            body = json.dumps(body)
        body = body.encode() if isinstance(body, str) else bytes(body)
        fields = Headers(headers)
        if 'Content-Type' not in fields and body:
            fields.pairs.append(('Content-Type', kind))
        if 'Content-Length' not in fields and status not in (204, 304):
            fields.pairs.append(('Content-Length', str(len(body))))
        if self.unread:
            # The body was not asked for: this connection is at its end.
            fields.pairs.append(('Connection', 'close'))
            self.close_after = True
        self.head(status, fields)
        if self.method != 'HEAD' and body:
            self.write(body)

    def cut(self):
        """Closes the connection hard: the other side sees a reset."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        raise Gone()


class Server:
    """Listens on loopback and calls handle(exchange) for each request, in a thread for each connection.

    tls: (certificate file, key file). address: 127.0.0.1, or another of 127/8, which is another host to a client."""

    def __init__(self, tls=None, address='127.0.0.1', port=0):
        self.requests, self.lock, self.closing = [], threading.Lock(), False
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
        self.listener = socket.create_server((address, port), backlog=128)
        self.address, self.port = self.listener.getsockname()[:2]
        self.connections, self.count, self.failures = set(), 0, []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host(self):
        return f'{self.address}:{self.port}'

    @property
    def url(self):
        return f'http{"s" if self.context else ""}://{self.host}'

    def handle(self, exchange):
        raise NotImplementedError

    def close(self):
        self.closing = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for sock in self.connections:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def forget(self):
        """Forgets the requests that were recorded; returns them."""
        with self.lock:
            seen, self.requests = self.requests, []
        return seen

    def seen(self, pattern):
        """The records whose "METHOD target" matches."""
        with self.lock:
            return [r for r in self.requests if re.search(pattern, f'{r.method} {r.target}')]

    def _accept(self):
        while not self.closing:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self._serve, args=(sock, self.count), daemon=True).start()

    def _serve(self, sock, number):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            with self.lock:
                self.connections.add(sock)
            with sock, sock.makefile('rb', BLOCK) as reader:
                while not self.closing and self._one(sock, reader, number):
                    pass
        except (OSError, Gone, ValueError):
            pass  # the client went away, or does not trust the certificate
        finally:
            with self.lock:
                self.connections.discard(sock)
            sock.close()

    def _one(self, sock, reader, number):
        """Reads one request and answers it; whether the connection goes on."""
        line = reader.readline(65537).decode('latin-1').split()
        if len(line) != 3 or not line[2].startswith('HTTP/1.'):
            return False  # nothing more, or TLS where there is none
        fields = []
        while (raw := reader.readline(65537).decode('latin-1').rstrip('\r\n')):
            name, _, value = raw.partition(':')
            fields.append((name.strip(), value.strip()))
        record = Record(line[0], line[1], Headers(fields), number)
        with self.lock:
            self.requests.append(record)
        exchange = Exchange(self, sock, reader, record)
        try:
            self.handle(exchange)
        except Gone:
            return False
        except OSError:
            return False
        except Exception as error:  # a mistake in the tests' own server: shown, not lost in a thread
            self.failures.append(f'{record}: {error!r}')
            raise
        finally:
            record.ended = time.monotonic()
        if exchange.close_after:
            _drain(sock)
        elif exchange.unread:
            for _ in exchange.body():
                pass
        return not exchange.close_after and record.headers.get('Connection', '').lower() != 'close'


def _drain(sock):
    """Reads what the other side still sends, for a moment: closing over unread bytes would reset the connection, and
    the answer with it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(0.5)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and sock.recv(BLOCK):
            pass


class Authority:
    """A private CA and the certificates that it signs, as files in a folder."""

    def __init__(self, folder, name='monocore tests'):
        os.makedirs(f'{folder}/trust', exist_ok=True)
        self.folder, self.made = folder, 0
        self.trust = f'{folder}/trust'  # a folder with nothing but the CA, as docker and skopeo want it
        self.certificate, self.key = f'{self.trust}/ca.crt', f'{folder}/ca.key'
        self._openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                      '-days', '2', '-subj', f'/CN={name} CA', '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
                      '-keyout', self.key, '-out', self.certificate)

    @staticmethod
    def _openssl(*words):
        subprocess.run(['openssl', *words], check=True, capture_output=True)

    def server(self, *names):
        """(certificate, key) for these host names and addresses; without any: loopback."""
        names = names or ('localhost', '127.0.0.1', '127.0.0.2', '::1')
        self.made += 1
        base = f'{self.folder}/server{self.made}'
        alternatives = ','.join(('IP:' if re.fullmatch(r'[\d.]+|.*:.*', n) else 'DNS:') + n for n in names)
        with open(f'{base}.ext', 'w') as f:
            f.write(f'subjectAltName={alternatives}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n')
        self._openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj',
                      f'/CN={names[0]}'[:60], '-keyout', f'{base}.key', '-out', f'{base}.csr')
        self._openssl('x509', '-req', '-in', f'{base}.csr', '-CA', self.certificate, '-CAkey', self.key, '-days', '2',
                      '-set_serial', str(time.time_ns()), '-extfile', f'{base}.ext', '-out', f'{base}.pem')
        return f'{base}.pem', f'{base}.key'
