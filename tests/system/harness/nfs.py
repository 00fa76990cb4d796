# SPDX-License-Identifier: Apache-2.0
"""A small NFSv3 client over a raw socket (RFC 1813, RFC 5531): calls as they are asked for, honest or not; and
`monocore fs serve` around it."""
import contextlib
import json
import signal
import socket
import struct

from .tap import equal, true

MOUNT, NFS = 100005, 100003
NULL, GETATTR, LOOKUP, READ, WRITE, CREATE, REMOVE, RENAME, FSINFO, COMMIT = 0, 1, 3, 6, 7, 8, 12, 14, 19, 21
OK, ACCES, EXIST, STALE, BADHANDLE = 0, 13, 17, 70, 10001


def opaque(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack('>I', len(data)) + data + b'\0' * (-len(data) % 4)


class Closed(Exception):
    """The server has ended the connection."""


class Client:
    def __init__(self, port, host='127.0.0.1', uid=0, gid=0):
        self.socket = socket.create_connection((host, port), 10)
        self.xid, self.uid, self.gid = 1, uid, gid

    def close(self):
        self.socket.close()

    def receive(self, size):
        data = b''
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionResetError:
                more = b''
            if not more:
                raise Closed(f'after {len(data)} of {size} bytes')
            data += more
        return data

    def send(self, record):
        try:
            self.socket.sendall(struct.pack('>I', 0x80000000 | len(record)) + record)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from None

    def record(self, program, procedure, arguments, version=3):
        self.xid += 1
        name = opaque('client')
        credential = struct.pack('>I', 0) + name + struct.pack('>III', self.uid, self.gid, 0)
        return (struct.pack('>IIIIII', self.xid, 0, 2, program, version, procedure) + struct.pack('>I', 1)
                + opaque(credential) + struct.pack('>II', 0, 0) + arguments)

    def answer(self):
        """The results of an accepted call."""
        (mark,) = struct.unpack('>I', self.receive(4))
        true(mark & 0x80000000, 'one fragment')
        reply = self.receive(mark & 0x7fffffff)
        xid, kind, denied = struct.unpack_from('>III', reply)
        equal((xid, kind, denied), (self.xid, 1, 0))
        equal(struct.unpack_from('>I', reply, 20)[0], 0, 'accepted and done')
        return reply[24:]

    def call(self, program, procedure, arguments=b''):
        self.send(self.record(program, procedure, arguments))
        return self.answer()

    def status(self, procedure, arguments):
        return struct.unpack_from('>I', self.call(NFS, procedure, arguments))[0]

    def mount(self, path):
        """(status, handle)."""
        results = self.call(MOUNT, 1, opaque(path))
        (status,) = struct.unpack_from('>I', results)
        return status, self.handle_at(results, 4) if status == OK else None

    @staticmethod
    def handle_at(results, offset):
        (size,) = struct.unpack_from('>I', results, offset)
        return results[offset + 4:offset + 4 + size]

    def getattr(self, handle):
        """(status, fileid, size)."""
        results = self.call(NFS, GETATTR, opaque(handle))
        if len(results) == 4:
            return struct.unpack('>I', results)[0], None, None
        return OK, struct.unpack_from('>Q', results, 4 + 52)[0], struct.unpack_from('>Q', results, 4 + 20)[0]

    def lookup(self, directory, name):
        results = self.call(NFS, LOOKUP, opaque(directory) + opaque(name))
        (status,) = struct.unpack_from('>I', results)
        return status, self.handle_at(results, 4) if status == OK else None

    def create(self, directory, name):
        """GUARDED, mode 0644."""
        results = self.call(NFS, CREATE, opaque(directory) + opaque(name) + struct.pack('>IIIIIIII', 1, 1, 0o644, 0, 0, 0, 0, 0))
        status, there = struct.unpack_from('>II', results)
        return status, self.handle_at(results, 8) if status == OK and there else None

    def rename(self, directory, name, to, new_name):
        return self.status(RENAME, opaque(directory) + opaque(name) + opaque(to) + opaque(new_name))

    def remove(self, directory, name):
        return self.status(REMOVE, opaque(directory) + opaque(name))

    def read(self, handle, offset=0, count=65536):
        results = self.call(NFS, READ, opaque(handle) + struct.pack('>QI', offset, count))
        status, attributes = struct.unpack_from('>II', results)
        at = 8 + (84 if attributes else 0)
        return status, self.handle_at(results, at + 8) if status == OK else None

    def write(self, handle, data, stable=0):
        """(status, verifier)."""
        results = self.call(NFS, WRITE, opaque(handle) + struct.pack('>QII', 0, len(data), stable) + opaque(data))
        return struct.unpack_from('>I', results)[0], results[-8:]


class Server:
    """`monocore fs serve` in the background."""

    def __init__(self, mono, *words):
        self.mono, self.words = mono, words
        self.process = None
        self.start()

    def start(self, *more):
        self.process = self.mono.start('fs', 'serve', '--json', *more, *self.words)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.stderr.read().decode())
        self.told = json.loads(line)
        self.port, self.export = self.told['port'], self.told['export']

    def url(self, path=''):
        before, behind = self.told['url'].split('?')
        return f'{before}{path}?{behind}'

    @contextlib.contextmanager
    def client(self, **options):
        client = Client(self.port, **options)
        try:
            yield client
        finally:
            client.close()

    @contextlib.contextmanager
    def mounted(self):
        with self.client() as client:
            status, root = client.mount(self.export)
            equal(status, OK)
            yield client, root

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        status = self.process.wait(20)
        said = self.process.stderr.read().decode()
        self.process.stdout.close()
        self.process.stderr.close()
        return status, said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end()
