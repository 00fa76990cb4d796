#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Encrypted repositories: who opens them and who does not; and both kinds read by a second reader, which was written
from docs/formats/monofs.md alone."""
import contextlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

from harness import tap
from harness.monofs import PROGRAM, Monofs, described, sample
from harness.monofs_reader import (CHUNK, CONTENT, DIRECTORY, FILE, LINK, SYMLINK, Damaged, Repository, WrongKey)
from harness.tap import contains, equal, promise, true
from harness.terminal import Terminal

mono = Monofs()
TREE = mono.path('tree')
sample(TREE)
RIGHT, OTHER = mono.write('right', 'correct horse\n'), mono.write('other', 'battery staple\n')
KEY = mono.write('key', os.urandom(32))


def encrypted(name, *words):
    return mono.repository(name, '--encrypt', *(words or ('--passphrase-file', RIGHT)))


def by(path=RIGHT):
    return {'MONOFS_PASSPHRASE_FILE': path}


@promise('a passphrase or a key file opens a repository; a wrong one is told from damage, and none from both')
def _():
    at = encrypted('opened')
    mono(*at, 'import', TREE, env=by()).ok()
    mono(*at, 'ls', '--passphrase-file', RIGHT).ok()
    mono(*at, 'ls').ok(1).says('no terminal to ask at')
    wrong = mono(*at, 'ls', '--passphrase-file', OTHER).ok(1)
    true('damage' not in wrong.err, wrong.err)
    mono(*at, 'ls', '--key-file', KEY).ok(1)
    mono(*at, 'ls', '--key-file', KEY, '--passphrase-file', RIGHT).ok(2).says('not both')
    mono(*at, 'ls', '--key-file', mono.write('short', 'x')).ok(1).says('at least')
    mono(*at, 'ls', '--passphrase-file', mono.write('lines', 'a\nb\n')).ok(1).says('one line')
    with open(f'{mono.path("opened.monofs")}/keys/master', 'r+b') as f:
        f.seek(30)
        f.write(b'#')
    contains(mono(*at, 'ls', env=by()).ok(1).err, 'damage')
    by_file = encrypted('by-file', '--key-file', KEY)
    mono(*by_file, 'rev', '--key-file', KEY).ok()
    mono(*by_file, 'rev', env=by()).ok(1)
    with open(f'{mono.path("by-file.monofs")}/format', encoding='ascii') as f:
        contains(f.read(), 'encrypted yes')


@promise('keys are added, listed, removed and replaced, and what was written before stays readable')
def _():
    at = encrypted('keyed')
    mono(*at, 'import', TREE, env=by()).ok()
    name = mono(*at, 'key', 'add', '--new-passphrase-file', OTHER, env=by()).ok().out.strip()
    third = mono(*at, 'key', 'add', '--new-key-file', KEY, env=by(OTHER)).ok().out.strip()
    rows = mono(*at, 'key', 'list', '--json', env=by(OTHER)).ok().json()
    equal(sorted((r['kind'], r['used']) for r in rows), [('file', False), ('passphrase', False), ('passphrase', True)])
    equal(sorted(mono(*at, '-q', 'key', 'list', '--key-file', KEY).ok().out.split()), sorted(r['name'] for r in rows))
    mono(*at, 'key', 'remove', name, env=by()).ok()
    mono(*at, 'rev', env=by(OTHER)).ok(1)
    mono(*at, 'key', 'remove', '0' * 16, env=by()).ok(1)
    equal(len(mono(*at, 'key', 'rotate', '--new-passphrase-file', OTHER, env=by()).ok().out.strip()), 16)
    for refused in (by(), {}):
        mono(*at, 'rev', *(['--key-file', KEY] if not refused else []), env=refused).ok(1)
    true(not os.path.exists(f'{mono.path("keyed.monofs")}/keys/{third}'), 'the other slots are gone')
    mono.write('tree-2/after', 'the rotation')
    mono(*at, 'import', mono.path('tree-2'), env=by(OTHER)).ok()
    mono(*at, 'check', '--read-data', env=by(OTHER)).ok()
    mono(*at, 'restore', 'main~1', mono.path('keyed-back'), env=by(OTHER)).ok()
    equal(described(mono.path('keyed-back')), described(TREE))
    mono(*at, 'repack', '--all', '--grace', '0s', env=by(OTHER)).ok()
    mono(*at, 'check', '--read-data', env=by(OTHER)).ok()
    only = mono(*at, '-q', 'key', 'list', env=by(OTHER)).ok().out.strip()
    contains(mono(*at, 'key', 'remove', only, env=by(OTHER)).ok(1).err, only)
    plain = mono.repository('no-keys')
    mono(*plain, 'key', 'list').ok(1).says('not encrypted')
    mono(*plain, 'key', 'add', '--new-passphrase-file', RIGHT).ok(1).says('not encrypted')


@promise('an encrypted repository is cloned, and the copy is opened by the same keys')
def _():
    at = encrypted('cloned')
    mono(*at, 'import', TREE, env=by()).ok()
    mono(*at, 'key', 'add', '--new-key-file', KEY, env=by()).ok()
    mono('clone', 'cloned.monofs', 'cloned-copy', '--no-mount').ok()
    copy = ('-C', mono.path('cloned-copy.monofs'))
    for words, env in (([], by()), (['--key-file', KEY], {})):
        equal(mono(*copy, '-q', 'rev', *words, env=env).ok().out, mono(*at, '-q', 'rev', env=by()).ok().out)
    mono(*copy, 'rev', env=by(OTHER)).ok(1)
    mono(*copy, 'check', '--read-data', env=by()).ok()
    mono('clone', 'cloned.monofs', 'unopened').ok(1).says('unopened.monofs is made, but not mounted', 'passphrase')
    true(not os.path.exists(mono.path('unopened')), 'no mount point is left')


@promise('a copy that is made while keys are rotated is opened by the keys of then, and has all that they seal')
def _():
    key = ('--key-file', KEY)
    at = encrypted('turning', *key)
    mono(*at, 'import', TREE, *key).ok()

    def rotate():
        for number in range(25):
            mono(*at, 'key', 'rotate', *key, '--new-key-file', KEY).ok()
            mono.write('turning-tree/file', f'sealed after {number} rotations\n' * 100)
            mono(*at, 'import', mono.path('turning-tree'), *key).ok()

    with ThreadPoolExecutor(1) as pool:
        rotating, copies = pool.submit(rotate), 0
        while not rotating.done() or copies < 3:
            mono('clone', 'turning.monofs', 'turned', '--no-mount').ok()
            mono('-C', mono.path('turned.monofs'), 'check', '--read-data', *key).ok()
            shutil.rmtree(mono.path('turned.monofs'))
            copies += 1
        rotating.result()


@promise('a passphrase that is needed and cannot be asked for says by what option it is given')
def _():
    mono('init', '--encrypt', '--no-mount', 'asks').ok(1).says('MONOFS_PASSPHRASE_FILE')
    mono('init', '--encrypt', '--no-mount', 'asks', env=by()).ok()
    at = ('-C', mono.path('asks.monofs'))
    mono(*at, 'ls').ok(1).says('--passphrase-file', 'MONOFS_PASSPHRASE_FILE')
    for verb in ('add', 'rotate'):
        mono(*at, 'key', verb, env=by()).ok(1).says('--new-passphrase-file', '--new-key-file')
    mono('init', '--encrypt', 'unasked').ok(1)
    true(not os.path.exists(mono.path('unasked')), 'no mount point is left')


@promise('whoever stores an encrypted repository finds no name, text or size of a file in it')
def _():
    secret = mono.path('secret-tree')
    for name in ('alpha-plan', 'beta/gamma-names'):
        mono.write(f'secret-tree/{name}', b'the eagle lands at midnight ' * 4000)
    plain, hidden = mono.repository('seen'), encrypted('hidden')
    mono(*plain, 'import', secret, '-m', 'delta force').ok()
    mono(*hidden, 'import', secret, '-m', 'delta force', env=by()).ok()
    mono(*hidden, 'tag', 'main', 'epsilon', env=by()).ok()

    def all_bytes(repository):
        for folder, _, names in os.walk(mono.path(repository)):
            for name in names:
                with open(os.path.join(folder, name), 'rb') as f:
                    yield os.path.join(folder, name).encode() + f.read()
    words = (b'alpha-plan', b'gamma-names', b'midnight', b'delta force', b'epsilon', os.fsencode(secret))
    for data in all_bytes('hidden.monofs'):
        equal([word for word in words if word in data], [])
    ids = {name for name, _ in Repository(mono.path('seen.monofs')).objects.items()}
    equal(ids & set(Repository(mono.path('hidden.monofs'), 'correct horse').objects), set(), 'ids are keyed')
    for folder, _, names in os.walk(mono.path('hidden.monofs/packs')):
        for name in names:
            size = os.path.getsize(os.path.join(folder, name))
            e = size.bit_length() - 1
            equal(size % (1 << e - e.bit_length()), 0, 'packs are padded')


@promise('a passphrase is asked for at a terminal, twice for a new repository, and is not shown')
def _():
    with Terminal([PROGRAM, 'init', '--encrypt', '--no-mount', mono.path('asked')], env=mono.env) as t:
        for question in ('New passphrase', 'The same again'):
            t.expect(question)
            t.send('open sesame\r')
        t.expect('is made')
        equal((t.wait(), 'sesame' in t.text), (0, False))
    with Terminal([PROGRAM, '-C', mono.path('asked.monofs'), 'rev'], env=mono.env) as t:
        t.expect('Passphrase of')
        t.send('open sesame\r')
        t.expect('The empty tree')
        equal(t.wait(), 0)


# ---- the second reader ------------------------------------------------------------------------------------------------


def compare(repository, commit, tree):
    """What the reader finds, beside the directory that was imported."""
    expected, seen, links = described(tree), set(), 0
    entries = {path: entry for path, entry, _ in repository.walk(commit)}
    for path, entry in entries.items():
        key = path or b'.'
        row = expected[key]
        seen.add(key)
        if entry.kind == LINK:
            links += 1
            equal(row['same as'] in (entry.target, key), True, key)
            entry = entries[entry.target]
        equal((entry.mode, entry.uid, entry.gid, entry.mtime[0] * 10**9 + entry.mtime[1]),
              (row['mode'], row['uid'], row['gid'], row['mtime']), key)
        equal({os.fsdecode(n): repository.xattr(entry, n) for n in entry.xattrs if n.startswith(b'user.')}, row['xattrs'], key)
        if entry.kind == FILE:
            equal(repository.read(entry) == row['data'], True, key)
        elif entry.kind == SYMLINK:
            equal(entry.target, row['target'], key)
    equal((seen, links), (set(expected), 2))


@promise('the second reader reads what monofs wrote, plain and encrypted, to the last attribute')
def _():
    both = mono.repository('read'), encrypted('read-too')
    for at in both:
        mono(*at, 'import', TREE, '-m', 'with \u2603', env=by()).ok()
        mono(*at, 'tag', 'main', 'one', '-p', 'src', env=by()).ok()
    for name, passphrase in (('read', None), ('read-too', 'correct horse')):
        r = Repository(mono.path(f'{name}.monofs'), passphrase)
        equal((sorted(r.refs), r.refs['tag/one'][1]), (['main', 'tag/one'], b'src'))
        commit = r.commit()
        equal((commit.author, commit.message.decode(), len(r.history())), (b'ann', 'with \u2603', 2))
        compare(r, commit, TREE)
    with contextlib.suppress(WrongKey):
        Repository(mono.path('read-too.monofs'), 'wrong')
        true(False, 'a wrong passphrase opened it')


@promise('files are cut where the page says, and the same ids come of it')
def _():
    for name, passphrase in (('read', None), ('read-too', 'correct horse')):
        r = Repository(mono.path(f'{name}.monofs'), passphrase)
        entry = next(e for p, e, _ in r.walk(r.commit()) if p == b'src/deep/er/x.bin')
        data = r.read(entry)
        equal([size for _, size in entry.refs], r.cut(data), name)
        at = 0
        for ref, size in entry.refs:
            equal(ref, r.keys.id_of(CHUNK, data[at:at + size]))
            at += size


@promise('the second reader and monofs refuse the same damage')
def _():
    shutil.copytree(mono.path('read.monofs'), mono.path('worse.monofs'))
    path = next(os.path.join(f, n) for f, _, names in os.walk(mono.path('worse.monofs/packs')) for n in names)
    with open(path, 'r+b') as f:
        f.truncate(os.path.getsize(path) - 1)
    with contextlib.suppress(Damaged):
        Repository(mono.path('worse.monofs'))
        true(False, 'a cut pack was read')
    mono('-C', mono.path('worse.monofs'), 'check', '--read-data').ok(1)
    r = Repository(mono.path('read.monofs'))
    equal((r.roots(r.commit())[0].kind, r.objects[r.roots(r.commit())[0].children][0]), (DIRECTORY, CONTENT))


tap.main(mono.clean)
