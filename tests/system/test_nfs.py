#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`monocore fs serve`: a directory or an image over NFSv3, read and written by libnfs' tools and by raw calls, honest
and not; and what is left after a restart."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

from harness import nfs, state, tap
from harness.nfs import ACCES, BADHANDLE, NFS, OK, STALE, Closed, Server, opaque
from harness.program import DEBIAN, Monocore
from harness.tap import equal, promise, true, until

folder = tempfile.mkdtemp(prefix='mc-nfs-')
mono = Monocore()


def make(name):
    path = f'{folder}/{name}'
    os.makedirs(f'{path}/sub/deeper')
    for at, text in (('file', 'of the host\n'), ('sub/inner', 'inner\n')):
        with open(f'{path}/{at}', 'w') as f:
            f.write(text)
    return path


def tool(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


def read(path):
    with open(path) as f:
        return f.read()


def servers(path):
    """Servers of NFS that serve this directory."""
    directory = os.stat(path)
    return [pid for pid in state.processes() if state.command(pid) == ['mcfs', 'nfs'] and state.serves(pid, directory)]


@promise("libnfs' tools list, read and write a served directory")
def _():
    path = make('tools')
    with Server(mono, '--export', 'tools', path) as server:
        status, out, err = tool('nfs-ls', server.url())
        equal((status, sorted(line.split()[-1] for line in out.splitlines())), (0, ['file', 'sub']), err)
        equal(tool('nfs-ls', server.url('/sub'))[1].split()[-1], 'inner')
        equal(tool('nfs-cat', server.url('/file'))[:2], (0, 'of the host\n'))
        equal(tool('nfs-cat', server.url('/sub/inner'))[:2], (0, 'inner\n'))
        data = os.urandom(3 << 20)
        with open(f'{folder}/data', 'wb') as f:
            f.write(data)
        equal(tool('nfs-cp', f'{folder}/data', server.url('/sub/deeper/data'))[0], 0)
        with open(f'{path}/sub/deeper/data', 'rb') as f:
            true(f.read() == data, 'all bytes arrived')
        equal(tool('nfs-cp', server.url('/sub/deeper/data'), f'{folder}/back')[0], 0)
        with open(f'{folder}/back', 'rb') as f:
            true(f.read() == data, 'all bytes came back')


@promise('what is printed says how to mount it; Ctrl-C ends the server and frees the port')
def _():
    path = make('printed')
    process = mono.start('fs', 'serve', '--read-only', path)
    lines = [process.stdout.readline().decode() for _ in range(4)]
    true(lines[0].startswith(f'{path} is served on 127.0.0.1, port '), lines)
    port = lines[0].split('port ')[1].split(',')[0]
    true(f'mount -t nfs -o vers=3,tcp,port={port},mountport={port},nolock,ro 127.0.0.1:/' in lines[2], lines)
    name = lines[2].split('127.0.0.1:/')[1].split()[0]
    equal(len(name), 32)
    true(lines[3].endswith(f'nfs://127.0.0.1/{name}?nfsport={port}&mountport={port}\n'), lines)
    (pid,) = servers(path)
    true(name not in ' '.join(state.command(pid)), 'the name stands in no argument')
    process.send_signal(signal.SIGINT)
    equal((process.wait(10), process.stderr.read()), (0, b''))
    until(lambda: not servers(path), 'the server ends')
    with socket.socket() as s:
        s.bind(('127.0.0.1', int(port)))


@promise('a command line that is killed takes its server along; a server that is killed is told')
def _():
    path = make('killed')
    server = Server(mono, path)
    server.end(signal.SIGKILL)
    until(lambda: not servers(path), 'the server ends')
    server = Server(mono, path)
    os.kill(servers(path)[0], signal.SIGKILL)
    equal(server.process.wait(10), 1)
    true(b'mcfs ended with 137' in server.process.stderr.read(), 'it says why')


@promise('an image is served, and cannot be changed')
def _():
    with Server(mono, '--export', 'image', DEBIAN) as server:
        status, out, err = tool('nfs-cat', server.url('/etc/debian_version'))
        equal((status, out[:3]), (0, '12.'), err)
        true(server.told['read_only'], 'it says so')
        with server.mounted() as (client, root):
            equal(client.create(root, 'new')[0], 30)


@promise('nothing of a directory that is served read-only can be changed')
def _():
    path = make('read-only')
    with Server(mono, '--read-only', path) as server, server.mounted() as (client, root):
        handle = client.lookup(root, 'file')[1]
        equal(client.read(handle), (OK, b'of the host\n'))
        equal([client.create(root, 'new')[0], client.remove(root, 'file'), client.rename(root, 'file', root, 'moved'),
               client.write(handle, b'changed')[0]], [30] * 4)
        equal(sorted(os.listdir(path)), ['file', 'sub'])


@promise('the name of the export is mounted once, and no other name at all')
def _():
    path = make('names')
    with Server(mono, path) as server, server.client() as client:
        for wrong in ('/', '', '/names', path, server.export[:-1], server.export + '0', '/' + '0' * 32):
            equal(client.mount(wrong), (ACCES, None), wrong)
        equal(client.call(nfs.MOUNT, 5), b'\0\0\0\0', 'nothing is listed')
        equal(client.mount(server.export)[0], OK)
        equal(client.mount(server.export), (ACCES, None))
        with server.client() as other:
            equal(other.mount(server.export), (ACCES, None))


@promise('forged handles, changed ones and those of another directory lead nowhere')
def _():
    with Server(mono, make('forged')) as server, server.mounted() as (client, root), \
            Server(mono, make('foreign')) as foreign, foreign.mounted() as (_, stranger):
        handle = client.lookup(root, 'file')[1]
        forged = [b'', b'\0' * 64, os.urandom(42), handle[:-1], handle + b'\0', stranger]
        forged += [handle[:i] + bytes([handle[i] ^ 1]) + handle[i + 1:] for i in range(len(handle))]
        for bad in forged:
            for procedure, more in ((nfs.GETATTR, b''), (nfs.FSINFO, b''), (nfs.READ, struct.pack('>QI', 0, 10)),
                                    (nfs.LOOKUP, opaque('file'))):
                equal(client.status(procedure, opaque(bad) + more), BADHANDLE, repr(bad))
        equal(client.getattr(handle)[0], OK)


@promise('a name never leads out of the directory, whatever links and names are there')
def _():
    path = make('out')
    os.symlink('/etc', f'{path}/link')
    os.mkdir(f'{folder}/beside')
    with Server(mono, path) as server, server.mounted() as (client, root):
        equal(client.lookup(root, '..')[1], root, 'the parent of the root is the root')
        equal(client.lookup(client.lookup(root, 'link')[1], 'passwd')[0], 20)
        for name in ('/etc/passwd', '../beside', 'sub/inner', 'a\0b'):
            true(client.lookup(root, name)[0] not in (OK,), name)
        sub = client.lookup(root, 'sub')[1]
        inner = client.lookup(sub, 'inner')[1]
        os.rename(f'{path}/sub', f'{folder}/beside/sub')
        until(lambda: client.read(inner)[0] == STALE, 'what was moved out is out of reach')
        until(lambda: client.lookup(sub, 'inner')[0] == STALE, 'nor is what is in it')


@promise('garbage, giant lengths and calls that are cut end their connection and nothing else', limit=60)
def _():
    path = make('garbage')
    with Server(mono, path) as server, server.mounted() as (client, root):
        (pid,) = servers(path)
        good = client.record(NFS, nfs.GETATTR, opaque(root))
        hostile = [b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', os.urandom(4096), b'\x7f\xff\xff\xff',
                   b'\xff\xff\xff\xff' + b'x' * 70000, struct.pack('>I', 0x80000000),
                   struct.pack('>I', 0x80000004) + b'\0\0\0\1',
                   struct.pack('>I', 0x80000000 | len(good)) + struct.pack('>II', 1, 1) + good[8:]]
        for data in hostile:
            with server.client() as other:
                try:
                    other.socket.sendall(data)
                    other.socket.shutdown(socket.SHUT_WR)
                    other.receive(1)
                    raise AssertionError(f'an answer to {data[:40]!r}')
                except (Closed, OSError):
                    pass
        # Lengths within a whole record that say more than there is.
        for arguments in (struct.pack('>I', 0xffffffff), struct.pack('>I', 65) + b'\0' * 68, opaque(root)[:-1], b''):
            client.send(client.record(NFS, nfs.GETATTR, arguments))
            (mark,) = struct.unpack('>I', client.receive(4))
            equal(struct.unpack_from('>I', client.receive(mark & 0x7fffffff), 20)[0], 4, 'garbage arguments')
        # Endless fragments of nothing, and many that promise much and send little.
        with server.client() as other:
            try:
                for _ in range(200):
                    other.socket.sendall(struct.pack('>I', 0) * 1000)
            except OSError:
                pass
        greedy = [nfs.Client(server.port) for _ in range(20)]
        for other in greedy:
            other.socket.sendall(struct.pack('>I', 0x80000000 | 1 << 20) + b'\0' * 1000)
        with open(f'/proc/{pid}/status') as f:
            resident = next(int(line.split()[1]) for line in f if line.startswith('VmHWM'))
        true(resident < 100_000, f'{resident} KiB')
        for other in greedy:
            other.close()
        equal(client.getattr(root)[0], OK)
        equal(servers(path), [pid])


@promise('who connects too often or reads nothing stops himself only')
def _():
    with Server(mono, '--export', 'slow', make('slow')) as server, server.mounted() as (client, root):
        data = client.create(root, 'data')[1]
        equal(client.write(data, b'x' * 500_000)[0], OK)
        with server.client() as slow:
            slow.socket.settimeout(1)
            try:
                while True:
                    slow.send(slow.record(NFS, nfs.READ, opaque(data) + struct.pack('>QI', 0, 1 << 20)))
            except (socket.timeout, BlockingIOError):
                pass
            equal(client.read(data, 0, 10), (OK, b'x' * 10))
        many = [nfs.Client(server.port) for _ in range(40)]
        equal(client.getattr(root)[0], OK)
        for other in many:
            other.close()

        def comes_in():
            try:
                with server.client() as other:
                    return other.getattr(root)[0] == OK
            except (Closed, OSError):
                return False
        until(comes_in, 'there is room again')


@promise('a file that the host removes is stale at once, one that was read just now too, and its space is free soon after')
def _():
    path = make('removed')
    with Server(mono, path) as server, server.mounted() as (client, root):
        (pid,) = servers(path)
        handle = client.lookup(root, 'file')[1]
        equal(client.write(handle, b'written')[0], OK)
        equal(client.read(handle), (OK, b'writtenhost\n'))
        unasked = client.lookup(client.lookup(root, 'sub')[1], 'inner')[1]
        equal(client.read(unasked), (OK, b'inner\n'))
        os.unlink(f'{path}/sub/inner')
        os.unlink(f'{path}/file')
        equal((client.getattr(handle)[0], client.read(handle)[0], client.write(handle, b'more')[0]), (STALE,) * 3)

        def held():
            links = []
            for fd in os.listdir(f'/proc/{pid}/fd'):
                try:
                    links.append(os.readlink(f'/proc/{pid}/fd/{fd}'))
                except OSError:
                    pass
            return [link for link in links if link.endswith('(deleted)')]
        until(lambda: not held(), 'nothing keeps it')
        # Another one in its place is another one.
        with open(f'{path}/file', 'w') as f:
            f.write('new')
        equal(client.getattr(handle)[0], STALE)
        equal(client.read(client.lookup(root, 'file')[1]), (OK, b'new'))


@promise('handles lead to the same objects after a restart, also what was renamed; the write verifier is another')
def _():
    path = make('restart')
    server = Server(mono, path)
    with server.mounted() as (client, root):
        sub = client.lookup(root, 'sub')[1]
        inner = client.lookup(sub, 'inner')[1]
        gone = client.create(root, 'gone')[1]
        many = [client.create(sub, f'file {i}')[1] for i in range(200)]
        status, verifier = client.write(many[7], b'seven')
        equal((status, client.write(many[7], b'seven')[1]), (OK, verifier))
        equal(client.rename(root, 'sub', root, 'renamed'), OK)
        equal(client.remove(root, 'gone'), OK)
        equal(client.getattr(inner)[0], OK)
    for number in (signal.SIGINT, signal.SIGKILL):
        if number == signal.SIGKILL:
            os.kill(servers(path)[0], number)
            server.process.wait(10)
        else:
            equal(server.end(), (0, ''))
        server.start()
        with server.client() as client:
            equal([client.getattr(h)[0] for h in (root, sub, inner, gone)], [OK, OK, OK, STALE])
            equal([client.getattr(h)[0] for h in many], [OK] * 200)
            equal(client.read(inner), (OK, b'inner\n'))
            status, now = client.write(many[7], b'seven')
            equal(status, OK)
            true(now != verifier, 'what was not committed is sent again')
            verifier = now
            # Without MOUNT: a client goes on by what it has.
            equal(client.lookup(root, 'renamed')[1], sub)
    server.end()


@promise('what is served by one server is not served by a second one')
def _():
    path = make('twice')
    with Server(mono, path):
        mono('fs', 'serve', path).ok(1).says(path, 'already')
    with Server(mono, path):
        pass


@promise('where to listen is told by an address; what makes no sense is refused')
def _():
    path = make('listen')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    with Server(mono, '--listen', f'127.0.0.1:{port}', path) as server:
        equal(server.port, port)
    with Server(mono, '--listen', '[::1]:0', '--export', 'six', path) as server, server.client(host='::1') as client:
        equal(client.mount('/six')[0], OK)
        true('tcp6' in server.told['mount'] and '[::1]:/six' in server.told['mount'], server.told)
    for wrong in ('localhost', '1.2.3.4.5', '127.0.0.1:99999', '127.0.0.1:x', '[::1]x'):
        answer = mono('fs', 'serve', '--listen', wrong, path)
        true(answer.status in (1, 2), answer)
    mono('fs', 'serve', '--export', 'a/b', path).ok(1).says('a/b')
    mono('fs', 'serve', f'{folder}/nowhere').ok(1).says('nowhere')
    mono('fs', 'serve', f'{path}/file').ok(1).says('file')


@promise('the server is confined: it has what it serves, and can start nothing and connect to nothing')
def _():
    path = make('confined')
    with Server(mono, path):
        (pid,) = servers(path)
        with open(f'/proc/{pid}/status') as f:
            fields = dict(line.split(':\t', 1) for line in f if ':\t' in line)
        equal((fields['NoNewPrivs'].strip(), fields['Seccomp'].strip()), ('1', '2'))
        equal(int(fields['CapEff'], 16) & ~0x1f, 0, 'of capabilities, those over files at most')
        open_files = {os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')}
        beneath = [name for name in open_files if name.startswith('/') and not name.startswith(('/dev/null', path))]
        true(all(name.startswith(f'{mono.home}/nfs/') or name == '/' for name in beneath), beneath)


@promise('calls that come again are answered again and done once')
def _():
    with Server(mono, make('again')) as server, server.mounted() as (client, root):
        record = client.record(NFS, nfs.REMOVE, opaque(root) + opaque('file'))
        client.send(record)
        first = client.answer()
        with server.client() as other:
            other.xid = client.xid
            other.send(record)
            equal(other.answer(), first)
        equal(client.remove(root, 'file'), 2)


@promise('calls of several connections at once all get their answers', limit=60)
def _():
    with Server(mono, '--async', '--export', 'many', make('many')) as server, server.mounted() as (client, root):
        clients = [nfs.Client(server.port) for _ in range(8)]
        for turn in range(20):
            for number, each in enumerate(clients):
                each.send(each.record(NFS, nfs.CREATE, opaque(root) + opaque(f'{number} {turn}')
                                      + struct.pack('>IIIIIIII', 1, 1, 0o644, 0, 0, 0, 0, 0)))
            for each in clients:
                equal(struct.unpack_from('>I', each.answer())[0], OK)
        for each in clients:
            each.close()
        equal(len(os.listdir(f'{folder}/many')), 162)


def finish():
    left = [f'mcfs {pid} still serves' for name in os.listdir(folder) for pid in servers(f'{folder}/{name}')]
    shutil.rmtree(folder)
    return left + mono.clean()


tap.main(finish)
