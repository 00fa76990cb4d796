# SPDX-License-Identifier: Apache-2.0
"""A second reader of monofs repositories, written from docs/formats/monofs.md alone: it shares no line and no library
of ours with the programs. It reads everything and refuses what the page does not allow; it is in no hurry."""
import hashlib
import hmac
import os
import struct

import nacl.bindings
import nacl.pwhash.argon2id
import zstandard

NONE = bytes(32)
CHUNK, LIST, CONTENT, IDENTITY, ROOT, COMMIT, VALUE = range(1, 8)
MOST = {CHUNK: 1 << 20, LIST: 1 << 16, CONTENT: 1 << 24, IDENTITY: 1 << 24, ROOT: 1 << 17, COMMIT: 1 << 17, VALUE: 1 << 20}
FILE, DIRECTORY, SYMLINK, FIFO, SOCKET, CHARACTER, BLOCK, LINK = range(1, 9)


class Damaged(Exception):
    pass


class WrongKey(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Damaged(what)


class Cursor:
    """Reads values from bytes, in order, and nothing behind their end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(self.at + n <= len(self.data), 'too few bytes')
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form):
        return struct.unpack('<' + form, self.take(struct.calcsize(form)))[0]

    def numbers(self, form, count):
        return list(struct.unpack(f'<{count}{form}', self.take(struct.calcsize(form) * count)))

    def sized(self, form):
        return self.take(self.number(form))

    def left(self):
        return len(self.data) - self.at

    def end(self):
        need(not self.left(), f'{self.left()} bytes behind the end')


def checked_lines(path):
    """A checked file as (words, all lines but the last as text)."""
    with open(path, 'rb') as f:
        data = f.read()
    need(len(data) <= 65536, f'{path} is too long')
    body, found, check = data.rpartition(b'check ')
    need(found and (not body or body.endswith(b'\n')), f'{path} has no check')
    need(check == hashlib.sha256(body).hexdigest().encode() + b'\n', f'{path}: its check is another')
    text = body.decode()
    return dict(line.split(' ', 1) for line in text.splitlines()), text


# ---- keys -----------------------------------------------------------------------------------------------------------

def kdf(key, number, name):
    return hashlib.blake2b(b'', digest_size=32, key=key, salt=struct.pack('<QQ', number, 0), person=name + bytes(8)).digest()


def unseal(key, nonce, sealed, about):
    try:
        return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, about, nonce, key)
    except nacl.exceptions.CryptoError:
        return None


class Plain:
    """Keys of a repository that is not encrypted."""
    chunker = levels = bytes(32)
    tag = 0

    def id_of(self, kind, data):
        return hashlib.sha256(bytes([kind]) + data).digest()

    def open(self, use, salt, number, sealed, about=b''):
        need(salt == bytes(16), 'a salt in a plain repository')
        return sealed


class Encrypted:
    tag = 16

    def __init__(self, base, roots):
        self.ids, self.chunker, self.levels = (kdf(base, n, b'monofsid') for n in (1, 2, 3))
        self.roots = [kdf(base, 4, b'monofsid')] + roots

    def id_of(self, kind, data):
        return hmac.new(self.ids, bytes([kind]) + data, hashlib.sha256).digest()

    def open(self, use, salt, number, sealed, about=b''):
        epoch = struct.unpack('<I', salt[:4])[0]
        need(epoch < len(self.roots), f'epoch {epoch} is not there')
        key = kdf(self.roots[epoch], use, b'monofsse')
        plain = unseal(key, salt + struct.pack('<Q', number), sealed, about)
        need(plain is not None, f'number {number} does not open')
        return plain


def open_slot(path, repository_id, passphrase, key_file):
    words, text = checked_lines(path)
    need(words['monofs-key'] == '1', f'{path} is of another version')
    salt = bytes.fromhex(words['salt'])
    if words['kind'] == 'passphrase':
        if passphrase is None:
            return None
        passes, memory = map(int, words['argon2id'].split())
        key = nacl.pwhash.argon2id.kdf(32, passphrase.encode(), salt, opslimit=passes, memlimit=memory)
    else:
        need(words['kind'] == 'file', f'{path}: another kind')
        if key_file is None:
            return None
        key = hashlib.blake2b(key_file, digest_size=32, key=salt).digest()
    about = repository_id + text[:text.index('\nnonce ') + 1].encode()
    return unseal(key, bytes.fromhex(words['nonce']), bytes.fromhex(words['sealed']), about)


def open_keys(repository, repository_id, passphrase, key_file):
    words, text = checked_lines(f'{repository}/keys/master')
    about = repository_id + text[:text.index('\nnonce ') + 1].encode()
    for name in sorted(os.listdir(f'{repository}/keys')):
        master = open_slot(f'{repository}/keys/{name}', repository_id, passphrase, key_file) if len(name) == 16 else None
        keys = master and unseal(master, bytes.fromhex(words['nonce']), bytes.fromhex(words['sealed']), about)
        if keys:
            need(len(keys) % 32 == 0 and len(keys) // 32 <= 64, 'keys/master has another size')
            parts = [keys[i:i + 32] for i in range(0, len(keys), 32)]
            return Encrypted(parts[0], parts[1:])
    raise WrongKey(repository)


# ---- packs ----------------------------------------------------------------------------------------------------------

def unzstd(data, size, what):
    out = zstandard.ZstdDecompressor().decompressobj().decompress(data) if data else b''
    need(len(out) == size, f'{what}: {len(out)} bytes, and not {size}')
    return out


def padme(n):
    e = n.bit_length() - 1
    last = e - e.bit_length()
    return n if last <= 0 else (n + (1 << last) - 1) >> last << last


class Pack:
    def __init__(self, path, keys):
        self.path, self.keys = path, keys
        with open(path, 'rb') as f:
            self.data = f.read()
        need(hashlib.sha256(self.data).hexdigest() == os.path.basename(path), f'{path} is not what its name says')
        head = Cursor(self.data[:32])
        need(head.take(8) == b'MFSPACK1', f'{path} is no pack')
        self.salt = head.take(16)
        need(head.take(8) == bytes(8), f'{path}: bytes that are not zero')
        self.read_directory()

    def open(self, number, data):
        return self.keys.open(1, self.salt, number, data)

    def read_directory(self):
        trailer = self.open((1 << 64) - 1, self.data[-64 - self.keys.tag:])
        need(hashlib.sha256(trailer[:56]).digest()[:8] == trailer[56:], f'{self.path}: the trailer')
        offset, stored, raw = struct.unpack('<3Q', trailer[:24])
        end = offset + stored
        need(end <= len(self.data) - 64 - self.keys.tag and raw <= 1 << 24, f'{self.path}: the directory')
        size = end + 64 + self.keys.tag
        need(len(self.data) == (padme(size) if self.keys.tag else size), f'{self.path}: the padding')
        sealed = self.data[offset:end]
        need(hashlib.sha256(sealed).digest() == trailer[24:56], f'{self.path}: the directory')
        c = Cursor(unzstd(self.open((1 << 64) - 2, sealed), raw, self.path))
        frames, objects = c.numbers('I', 2)
        self.frames = list(zip(c.numbers('I', frames), c.numbers('I', frames), c.numbers('B', frames), c.numbers('I', frames)))
        self.objects = list(zip(c.numbers('B', objects), c.numbers('I', objects), [c.take(32) for _ in range(objects)]))
        c.end()
        need(32 + sum(f[0] for f in self.frames) == offset, f'{self.path}: its frames leave a gap')
        need(sum(f[3] for f in self.frames) == objects, f'{self.path}: the number of objects')

    def read(self):
        """(id, type, bytes) of all objects."""
        at, first = 32, 0
        for number, (stored, raw, form, count) in enumerate(self.frames):
            data = self.open(number, self.data[at:at + stored])
            need(form in (0, 1) and 0 < raw <= 1 << 24 and count, f'{self.path}: frame {number}')
            data = unzstd(data, raw, self.path) if form else data
            c = Cursor(data)
            for kind, size, name in self.objects[first:first + count]:
                need(kind in MOST and 0 < size <= MOST[kind], f'{self.path}: an object of type {kind}, {size} bytes')
                yield name, kind, c.take(size)
            c.end()
            at, first = at + stored, first + count


# ---- trees ----------------------------------------------------------------------------------------------------------

def read_refs(c, depth):
    refs = [(c.take(32), c.number('Q')) for _ in range(c.number('H'))]
    for before, (name, size) in zip([None] + refs, refs):
        need(size, 'a ref of no bytes')
        need(name != NONE or (depth == 0 and (not before or before[0] != NONE)), 'a hole where none may be')
    return refs


class Entry:
    """What the page's content entry says; children, refs, target … as the kind has them."""

    def __init__(self, data):
        c = Cursor(data)
        self.kind = c.number('B')
        need(FILE <= self.kind <= LINK, f'kind {self.kind}')
        self.inline, self.refs, self.depth, self.size, self.xattrs = None, [], 0, 0, {}
        if self.kind != LINK:
            self.mode, self.uid, self.gid = c.number('H'), c.number('I'), c.number('I')
            need(self.mode <= 0o7777, 'the mode')
            self.mtime = c.number('q'), c.number('I')
            need(self.mtime[1] < 10**9, 'nanoseconds')
            self.read_xattrs(c)
        self.read_kind(c)
        c.end()

    def read_xattrs(self, c):
        names = []
        for _ in range(c.number('H')):
            name, size = c.sized('B'), c.number('I')
            names.append(name)
            self.xattrs[name] = (size, c.take(size if size <= 256 else 32))
        need(names == sorted(set(names)) and not any(b'\0' in n or not n for n in names), 'names of attributes')

    def read_kind(self, c):
        if self.kind == FILE:
            self.size = c.number('Q')
            if self.size <= 256:
                self.inline = c.take(self.size)
                return
            self.depth = c.number('B')
            self.refs = read_refs(c, self.depth)
            need(len(self.refs) <= 256 and sum(r[1] for r in self.refs) == self.size, 'refs of a file')
        elif self.kind == DIRECTORY:
            self.children = c.take(32)
        elif self.kind in (SYMLINK, LINK):
            self.target = c.sized('H')
            need(0 < len(self.target) <= 4095 and b'\0' not in self.target, 'a target')
        elif self.kind in (CHARACTER, BLOCK):
            self.device = c.number('I'), c.number('I')


class Identity:
    def __init__(self, data):
        c = Cursor(data)
        self.id, self.replica, self.clock = c.take(16), c.number('Q'), c.number('Q')
        self.children = c.take(32) if c.left() else NONE
        c.end()


class Commit:
    def __init__(self, data):
        c = Cursor(data)
        need(c.number('B') == 1, 'a commit of another version')
        self.parents = [c.take(32) for _ in range(c.number('B'))]
        self.content, self.identity = c.take(32), c.take(32)
        self.time = c.number('q'), c.number('I')
        self.zone, self.replica, self.clock = c.number('i'), c.number('Q'), c.number('Q')
        self.generation, self.flags = c.number('Q'), c.number('B')
        self.author, self.message = c.sized('I'), c.sized('I')
        need(len(self.parents) <= 16 and self.generation and self.flags <= 1, 'a commit')
        c.end()


class Repository:
    def __init__(self, path, passphrase=None, key_file=None):
        self.path = path
        words, _ = checked_lines(f'{path}/format')
        need(words['monofs'] == '1', 'another version')
        self.id, self.sizes = bytes.fromhex(words['id']), tuple(map(int, words['chunks'].split()))
        encrypted = words['encrypted'] == 'yes'
        self.keys = open_keys(path, self.id, passphrase, key_file) if encrypted else Plain()
        self.objects = {}
        for folder in sorted(os.listdir(f'{path}/packs')):
            for name in sorted(os.listdir(f'{path}/packs/{folder}')) if len(folder) == 2 else []:
                if len(name) == 64 and name.startswith(folder):
                    self.take_pack(Pack(f'{path}/packs/{folder}/{name}', self.keys))
        self.refs = self.read_refs()

    def take_pack(self, pack):
        for name, kind, data in pack.read():
            need(self.keys.id_of(kind, data) == name, f'{name.hex()} has another id')
            self.objects[name] = kind, data

    def get(self, name, kind):
        need(name in self.objects, f'{name.hex()} is missing')
        need(self.objects[name][0] == kind, f'{name.hex()} is of type {self.objects[name][0]}, not {kind}')
        return self.objects[name][1]

    def read_refs(self):
        with open(f'{self.path}/refs', 'rb') as f:
            data = f.read()
        need(data[:8] == b'MFSREFS1', 'refs')
        plain = self.keys.open(2, data[8:24], 0, data[24:], data[:24])
        need(hashlib.sha256(plain[:-32]).digest() == plain[-32:], 'refs: the sum')
        c = Cursor(plain[:-32])
        self.refs_version = c.number('Q')
        refs = {}
        for _ in range(c.number('I')):
            name = c.sized('I')
            refs[name.decode()] = c.take(32), c.sized('I')
        c.end()
        need(list(refs) == sorted(refs), 'refs that are not sorted')
        return refs

    def commit(self, name='main'):
        return Commit(self.get(self.refs[name][0], COMMIT))

    def history(self, name='main'):
        """All commits that one leads to, by id."""
        found, waiting = {}, [self.refs[name][0]]
        while waiting:
            at = waiting.pop()
            if at not in found:
                found[at] = Commit(self.get(at, COMMIT))
                waiting += found[at].parents
                for parent in found[at].parents:
                    before = Commit(self.get(parent, COMMIT))
                    need(before.clock < found[at].clock and before.generation < found[at].generation, 'clocks')
        return found

    # ---- maps

    def level(self, name):
        digest = int.from_bytes(hashlib.sha256(self.keys.levels + name).digest(), 'big')
        return min((256 - digest.bit_length()) // 5, 12)

    def node(self, root, kind, low=None, high=None, level=None, count=None):
        """(name, value) of a node and of all beneath."""
        c, items = Cursor(self.get(root, kind)), []
        own = c.number('B')
        need(own <= 12 and (level is None or own == level), f'{root.hex()}: its level')
        child = self.child(c, own)
        while c.left():
            name, value = c.sized('B'), c.sized('I')
            need(name and b'/' not in name and b'\0' not in name and name not in (b'.', b'..'), f'{root.hex()}: a name')
            need(self.level(name) == own, f'{root.hex()}: {name} is not of its level')
            need((low is None or name > low) and (high is None or name < high), f'{root.hex()}: the order')
            items += self.beneath(child, kind, low, name) + [(name, value)]
            low, child = name, self.child(c, own)
        need(items, f'{root.hex()}: a node of no names')
        items += self.beneath(child, kind, low, high)
        need(count is None or count == len(items), f'{root.hex()}: {len(items)} names, not {count}')
        return items

    @staticmethod
    def child(c, own):
        level = c.number('B') if own else 0
        if not level:
            return None
        need(level - 1 < own, 'a child of too high a level')
        return level - 1, c.take(32), c.number('Q')

    def beneath(self, child, kind, low, high):
        return self.node(child[1], kind, low, high, child[0], child[2]) if child else []

    def map(self, root, kind):
        return self.node(root, kind) if root != NONE else []

    # ---- trees

    def roots(self, commit):
        content, identity = self.get(commit.content, ROOT), self.get(commit.identity, ROOT)
        need(content[0] == CONTENT and identity[0] == IDENTITY, 'a root of another kind')
        return Entry(content[1:]), Identity(identity[1:])

    def walk(self, commit):
        """(path, entry, identity) of everything, directories before what is in them; b'' is the root."""
        yield from self.walk_from(b'', *self.roots(commit))

    def walk_from(self, path, entry, identity):
        yield path, entry, identity
        if entry.kind != DIRECTORY:
            return
        contents, identities = self.map(entry.children, CONTENT), dict(self.map(identity.children, IDENTITY))
        need({n for n, _ in contents} == set(identities), f'{path}: the names of its maps differ')
        for name, value in contents:
            yield from self.walk_from(path + b'/' + name if path else name, Entry(value), Identity(identities[name]))

    def read(self, entry):
        """What a file holds."""
        return entry.inline if entry.inline is not None else b''.join(self.pieces(entry.refs, entry.depth))

    def pieces(self, refs, depth):
        for name, size in refs:
            if name == NONE:
                yield bytes(size)
            elif depth == 0:
                data = self.get(name, CHUNK)
                need(len(data) == size and any(data), f'{name.hex()}: a chunk of another size, or of zeroes')
                yield data
            else:
                yield from self.list(name, size, depth - 1)

    def list(self, name, size, depth):
        c = Cursor(self.get(name, LIST))
        need(c.number('B') == depth, f'{name.hex()}: its depth')
        refs = read_refs(c, depth)
        c.end()
        need(1 <= len(refs) <= 1024 and sum(r[1] for r in refs) == size, f'{name.hex()}: its refs')
        for number, (ref, _) in enumerate(refs[:-1], 1):
            need(ref == NONE or (ref[-1] and number < 1023), f'{name.hex()}: it should have ended before')
        yield from self.pieces(refs, depth)

    def xattr(self, entry, name):
        size, value = entry.xattrs[name]
        data = self.get(value, VALUE) if size > 256 else value
        need(len(data) == size, 'an attribute of another size')
        return data

    # ---- cuts

    def cut(self, data):
        """Where the page says that these bytes are cut: sizes."""
        least, average, most = self.sizes
        gear = [int.from_bytes(hashlib.sha256(self.keys.chunker + bytes([i])).digest()[:8], 'little') for i in range(256)]
        bits = average.bit_length() - 1
        hard, easy = (((1 << 64) - 1) >> (64 - n) << (64 - n) for n in (bits + 2, bits - 2))
        sizes, start = [], 0
        while start < len(data):
            end, value = min(len(data) - start, most), 0
            size = end
            for at in range(least, end):
                value = ((value << 1) + gear[data[start + at]]) & ((1 << 64) - 1)
                if not value & (hard if at < average else easy):
                    size = at + 1
                    break
            sizes.append(size)
            start += size
        return sizes
