#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""monofs without a mount: repositories made, revisions imported, listed, compared, written out, checked, swept."""
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time

from harness import tap
from harness.monofs import Monofs, described, sample
from harness.tap import contains, equal, promise, true

mono = Monofs()
TREE = mono.path('tree')
sample(TREE)


def revisions(*words):
    return mono(*words, 'rev', '--json').ok().json()


@promise('what is imported comes back the same by restore and by tar, and a tree that did not change makes no revision')
def _():
    at = mono.repository('same')
    answer = mono(*at, 'import', TREE, '--json').ok().json()
    equal((answer['made'], answer['skipped']), (True, 0))
    equal((answer['files'], answer['read_files']), (311, 311))
    mono(*at, 'restore', 'main', mono.path('back'), '--no-owners').ok()
    equal(described(mono.path('back')), described(TREE))
    true(os.stat(mono.path('back/sparse')).st_blocks * 512 < 1 << 20, 'holes are holes')
    mono(*at, 'export', 'main', mono.path('same.tar')).ok()
    os.mkdir(mono.path('untarred'))
    subprocess.run(['tar', '--xattrs', '-xpf', mono.path('same.tar'), '-C', mono.path('untarred')], check=True)
    equal(described(mono.path('untarred')), described(TREE))
    true(os.stat(mono.path('untarred/sparse')).st_blocks * 512 < 1 << 20, 'and so they are from an archive')
    contains(mono(*at, 'import', TREE).ok().out, 'has the same already')
    again = mono(*at, 'import', TREE, '--json').ok().json()
    equal((again['made'], again['read_files'], again['new_bytes']), (False, 0, 0))
    equal(mono(*at, 'import', TREE, '--all', '--json').ok().json()['made'], False)
    # The same content is the same root, whichever way it came.
    before = revisions(*at)[0]
    for n, source in enumerate((mono.path('same.tar'), mono.path('back'))):
        other = mono.repository(f'same-{n}')
        mono(*other, 'import', source, '--workers', '1').ok()
        equal(revisions(*other)[0]['content'], before['content'], source)
    with open(mono.path('same.tar'), 'rb') as f:
        zipped = subprocess.run(['zstd', '-c'], stdin=f, capture_output=True, check=True).stdout
    mono(*at, 'import', '-', input=zipped).ok()
    equal(revisions(*at)[0]['content'], before['content'])


@promise('rev, diff, ls and cat tell what changed when, by whom, and what it was')
def _():
    at = mono.repository('told')
    tree = mono.path('told-tree')
    subprocess.run(['cp', '-a', TREE, tree], check=True)
    mono(*at, 'import', tree, '-m', 'the first', '--author', 'bob').ok()
    mono(*at, 'tag', 'main', 'one').ok()
    os.rename(f'{tree}/many/file-007', f'{tree}/src/moved')
    with open(f'{tree}/src/text', 'r+', encoding='ascii') as f:
        text = f.read().replace('line 100\n', 'line one hundred\n')
        f.seek(0)
        f.truncate()
        f.write(text)
    os.unlink(f'{tree}/none')
    os.chmod(f'{tree}/edge', 0o600)
    with open(f'{tree}/new.bin', 'wb') as f:
        f.write(b'\0\1\2')
    mono(*at, 'import', tree, '-m', 'the second\n\nwith more to say').ok()
    rows = revisions(*at)
    equal([row['message'] for row in rows], ['the second\n\nwith more to say', 'the first', 'The empty tree'])
    equal([row['author'] for row in rows], ['ann', 'bob', ''])
    equal([row['names'] for row in rows], [['main'], ['tag/one'], []])
    plain = mono(*at, 'rev', '-n', '1').ok().out
    contains(plain, '[main]')
    contains(plain, 'the second\n')
    forged = mono.repository('forged')
    mono(*forged, 'import', mono.path('tree'), '--author', 'ann\n0123456789ab  a line of its own').ok()
    equal(len(mono(*forged, 'rev').ok().out.splitlines()), 2)
    equal(mono(*at, '-q', 'rev', 'one').ok().out.split(), [rows[1]['revision'][:12], rows[2]['revision'][:12]])
    equal(len(mono(*at, 'rev', '-p', 'new.bin').ok().out.splitlines()), 2)
    changes = json.loads(mono(*at, 'rev', '-p', 'src', '--json').ok().out)
    equal(len(changes), 2)
    equal(sorted(c['path'] for c in changes[0]['changes']), ['src/moved', 'src/text'])

    names = {line[3:]: line[:2].strip() for line in mono(*at, 'diff', 'one').ok().out.splitlines()}
    equal((names['edge'], names['none'], names['new.bin'], names['src/text']), ('P', 'D', 'A', 'M'))
    equal(mono(*at, 'diff', 'one', 'main', '--name-only', '-p', 'src').ok().out.split(), ['src/moved', 'src/text'])
    equal(mono(*at, 'diff', 'main', 'main').ok().out, '')
    stat = mono(*at, 'diff', 'one', '--stat').ok().out
    contains(stat, '+1 -1')
    contains(stat, '0 -> 3 bytes')
    answer = mono(*at, 'diff', 'one', '--json', '--times', '--no-renames').ok().json()
    contains([(c['change'], c['path']) for c in answer['changes']], ('removed', 'many/file-007'))
    mono(*at, 'diff', 'one', '--json', '--stat').ok(2).says('not several')

    listed = {row['path']: row for row in map(json.loads, mono(*at, 'ls', 'one', '-r', '--json').ok().out.splitlines())}
    equal((listed['src/deep/er/x.bin']['size'], listed['link']['target'], listed['fifo']['kind']), (3 << 20, 'README', 'fifo'))
    equal((listed['edge']['mode'], listed['aaa-same']['size']), (0o4751, listed['src/zzz-same']['size']))
    contains(mono(*at, 'ls', 'main', 'src').ok().out, 'dangling -> /nowhere/at/all')
    equal(mono(*at, '-q', 'ls', 'main', 'empty').ok().out, '')
    equal(mono(*at, 'cat', 'one', 'README', './none', 'edge').ok().raw, b'# A tree\n\nline 2\n' + bytes(range(256)))
    mono(*at, 'cat', 'main', 'src').ok(1).says('no file, but a directory')
    mono(*at, 'cat', 'main', '../x').ok(2).says("has no '..'")
    mono(*at, 'cat', 'main', 'src/nothing').ok(1).says('src/nothing')


@promise('a patch is one that patch takes, and leads from one revision to the other')
def _():
    at = mono.repository('patched')
    tree = mono.path('patched-tree')
    versions = [{'a': 'one\ntwo\nthree\n', 'b/c': 'x\n' * 50, 'gone': 'bye\n', 'end': 'no newline'},
                {'a': 'one\n2\nthree\nfour\n', 'b/c': 'x\n' * 25 + 'y\n' + 'x\n' * 24, 'fresh': 'hello\n', 'end': 'no newline at all'}]
    for files in versions:
        shutil.rmtree(tree, ignore_errors=True)
        for name, text in files.items():
            mono.write(f'patched-tree/{name}', text)
        mono(*at, 'import', tree).ok()
    patch = mono(*at, 'diff', 'main~1', 'main', '--patch').ok().raw
    mono(*at, 'checkout', 'main~1', '--to', mono.path('old')).ok()
    subprocess.run(['patch', '-p1', '-s', '-E', '-d', mono.path('old')], input=patch, check=True, timeout=20)
    found = {os.path.relpath(os.path.join(f, n), mono.path('old')): open(os.path.join(f, n), encoding='ascii').read()
             for f, _, names in os.walk(mono.path('old')) for n in names}
    equal(found, versions[1])
    contains(patch.decode(), 'deleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-bye\n')
    with open(f'{tree}/a', 'wb') as f:
        f.write(b'\0' * 300)
    mono(*at, 'import', tree).ok()
    contains(mono(*at, 'diff', 'main~1', '--patch').ok().out, 'Binary files a/a and b/a differ')


@promise('git takes a patch of odd names, of links, and of what became something of another kind')
def _():
    at = mono.repository('odd')
    link, gone = 'odd-link', 'odd-gone'
    versions = [{'sp ace': 'x\n', 'trail ': 'x\n', 'tab\t"\\': 'x\n', 'new\nline': 'x\n', '\udcff': 'x\n', '-dash': 'x\n',
                 'kind': 'a file\n', 'other': (link,), 'link': (link,), 'file/was': 'a directory\n', 'directory': 'a file\n',
                 'none': '', 'some': 'x', 'private': 'x\n', gone: (link,), 'd/same': 'x\n'},
                {'sp ace': 'y\n', 'trail ': 'y\n', 'tab\t"\\': 'y\n', 'new\nline': 'y\n', '\udcff': 'y\n', '-dash': 'y\n',
                 'kind': (gone,), 'other': 'a file\n', 'link': (gone,), 'file': 'a file\n', 'directory/is': 'one\n',
                 'none': 'x', 'some': '', 'private': 'y\n', link: (gone,), 'd/same': 'x\n'}]
    for files in versions:
        shutil.rmtree(mono.path('odd-tree'), ignore_errors=True)
        for name, text in files.items():
            if isinstance(text, str):
                mono.write(f'odd-tree/{name}', text)
            else:
                os.symlink(text[0], mono.path(f'odd-tree/{name}'))
        mono(*at, 'import', mono.path('odd-tree')).ok()
    patch = mono(*at, 'diff', 'main~1', 'main', '--patch').ok().raw
    mono(*at, 'checkout', 'main~1', '--to', mono.path('odd-old')).ok()
    subprocess.run(['git', 'apply', '-'], cwd=mono.path('odd-old'), input=patch, check=True, timeout=20,
                   env={**os.environ, 'GIT_CEILING_DIRECTORIES': mono.path('')})
    found = {}
    for folder, folders, names in os.walk(mono.path('odd-old')):
        for path in (os.path.join(folder, name) for name in names + folders):
            if os.path.islink(path):
                found[os.path.relpath(path, mono.path('odd-old'))] = (os.readlink(path),)
            elif os.path.isfile(path):
                with open(path, encoding='ascii') as f:
                    found[os.path.relpath(path, mono.path('odd-old'))] = f.read()
    equal(found, versions[1])
    # patch(1) finds a name with a space in it.
    mono(*at, 'checkout', 'main~1', '--to', mono.path('odd-spaced')).ok()
    patch = mono(*at, 'diff', 'main~1', 'main', '--patch', '-p', 'sp ace').ok().raw
    subprocess.run(['patch', '-p1', '-s', '-d', mono.path('odd-spaced')], input=patch, check=True, timeout=20)
    with open(mono.path('odd-spaced/sp ace'), encoding='ascii') as f:
        equal(f.read(), 'y\n')


@promise('revisions are called by name, id, parent and time; what is none is told')
def _():
    at = mono.repository('called')
    for n in range(3):
        mono.write('called-tree/x', f'{n}\n')
        mono(*at, 'import', mono.path('called-tree')).ok()
    ids = [row['revision'] for row in revisions(*at)]
    for name, expected in ((ids[1], 1), (ids[1][:8], 1), ('main', 0), ('main~2', 2), ('main^1~1', 2), ('main@{0s}', 0), ('main@{now}', 0)):
        if name == 'main@{now}':
            continue
        equal(mono(*at, '-q', 'rev', name, '-n', '1').ok().out.strip(), ids[expected][:12], name)
    mono(*at, 'rev', 'main@{2 days ago}').ok(1)
    mono(*at, 'rev', 'main~9').ok(1)
    mono(*at, 'rev', 'mian~1').ok(1).says('mian~1', "did you mean 'main'?")
    mono(*at, 'rev', 'elsewhere').ok(1).says('elsewhere', "'monofs rev' lists them")
    equal(mono(*at, 'tag', 'main~1', 'v1.0', '-p', 'x').ok().out.split(), [ids[1][:12], 'v1.0'])
    mono(*at, 'tag', 'main', 'v1.0').ok(1).says('-f moves it')
    mono(*at, 'tag', '--force', 'main', 'v1.0').ok()
    equal(mono(*at, 'tag', '--json').ok().json(), [{'name': 'v1.0', 'revision': ids[0], 'path': ''}])
    mono(*at, 'tag', 'main', 'a~b').ok(1)
    mono(*at, 'tag', '--remove', 'v1.1').ok(1).says("did you mean 'v1.0'?")
    mono(*at, 'diff', 'v1.1').ok(1).says("did you mean 'v1.0'?")
    mono(*at, 'tag', '--remove', 'v1.0').ok()
    mono(*at, 'tag', '--remove', 'v1.0').ok(1).says('no tag', "'monofs tag' lists them")
    equal(mono(*at, 'tag').ok().out, '')


@promise('a path that no revision has is told, by diff and rev as by ls and cat')
def _():
    at = mono.repository('slipped')
    mono.write('slipped-tree/src/x', '1\n')
    mono(*at, 'import', mono.path('slipped-tree')).ok()
    mono.write('slipped-tree/later', '2\n')
    equal(mono(*at, 'import', mono.path('slipped-tree')).ok().out.split(': ')[1].split(',')[0], '2 files')
    for words in (['diff', 'main~1'], ['diff', 'main~1', '--json'], ['rev'], ['rev', '--json']):
        mono(*at, *words, '-p', 'scr/x').ok(1).says('scr/x')
    for verb in ('ls', 'cat'):
        mono(*at, verb, 'main', 'scr/x').ok(1).says('scr: it is not there')
    equal(mono(*at, 'diff', 'main~1', '-p', 'src/x').ok().out, '')
    equal(mono(*at, 'diff', 'main~1', '-p', 'later').ok().out, 'A  later\n')
    mono(*at, 'rev', 'main~1', '-p', 'later').ok(1).says('later')
    equal(len(mono(*at, '-q', 'rev', '-p', 'src').ok().out.split()), 1)
    mono(*at, 'cat', 'main').ok(2).says("see 'monofs help cat'")


@promise('checkout takes a tree that is not mounted back, by a new revision; --to writes one path elsewhere')
def _():
    at = mono.repository('taken')
    mono.write('taken-tree/x', 'old\n')
    mono(*at, 'import', mono.path('taken-tree')).ok()
    mono.write('taken-tree/x', 'new\n')
    mono(*at, 'import', mono.path('taken-tree')).ok()
    mono(*at, 'checkout', 'main~1').ok()
    rows = revisions(*at)
    equal((len(rows), rows[0]['content'] == rows[2]['content']), (4, True))
    contains(rows[0]['message'], 'checkout of main~1')
    mono(*at, 'checkout', 'main~1', '-p', 'x').ok(1).says('mount it')
    mono.write('other/y', 'y\n')
    mono(*at, 'import', mono.path('other')).ok()
    mono(*at, 'restore', 'main', mono.path('taken-tree')).ok(1)
    equal(mono(*at, 'restore', 'main', mono.path('taken-tree'), '--mirror', '--json').ok().json()['removed'], 1)
    equal(os.listdir(mono.path('taken-tree')), ['y'])


@promise('what cannot be read fails an import, or is left out and told')
def _():
    at = mono.repository('unread')
    mono.write('unread-tree/yes', 'y')
    os.chmod(mono.write('unread-tree/no', 'n'), 0)
    mono(*at, 'import', mono.path('unread-tree')).ok(1).says('no')
    answer = mono(*at, 'import', '--keep-going', mono.path('unread-tree'), '--json').ok(1)
    contains(answer.err, 'is left out')
    equal((answer.json()['skipped'], answer.json()['files']), (1, 1))
    mono(*at, 'import', mono.path('nowhere')).ok(1).says('nowhere')
    mono(*at, 'import', mono.write('broken.tar', b'no tar at all' * 100)).ok(1)
    mono('-C', '/', 'import', mono.path('unread-tree')).ok(1)
    # What was to write the archive has failed: that is no empty tree.
    mono(*at, 'import', '-', input=b'').ok(1).says('standard input', 'nothing in it')
    mono(*at, 'import', mono.write('empty.tar')).ok(1).says('empty.tar', 'nothing in it')
    mono(*at, 'import', mono.path('unread.monofs')).ok(1).says('unread.monofs', 'the repository itself')
    with tarfile.open(mono.path('evil.tar'), 'w') as tar:
        tar.addfile(tarfile.TarInfo('../../outside'), io.BytesIO(b''))
    mono(*at, 'import', mono.path('evil.tar')).ok(1)


@promise('nothing is written into the repository itself, and a mirror of what it lies in leaves it there')
def _():
    around = mono.path('around')
    mono.write('around/x', 'x')
    at = ('-C', mono.path('around/own.monofs'))
    mono('init', '--no-mount', mono.path('around/own')).ok()
    mono(*at, 'import', around).ok()
    before = sorted(os.listdir(at[1]))
    for words in (('restore', 'main', 'new'), ('restore', 'main', '.', '--mirror'), ('restore', 'main', 'packs/x/y'),
                  ('checkout', 'main', '--to', 'new'), ('export', 'main', 'new.tar'), ('export', 'main', 'refs')):
        mono(*at, *words).ok(1).says('lies in the repository', 'own.monofs')
        equal(sorted(os.listdir(at[1])), before)
    os.unlink(mono.path('around/x'))
    mono.write('around/y', 'y')
    equal(mono(*at, 'restore', 'main', around, '--mirror', '--json').ok().json()['removed'], 1)
    equal(sorted(os.listdir(around)), ['own.monofs', 'x'])
    # A directory that has it, and that the revision does not have; and a name that the revision has for something else.
    os.mkdir(mono.path('around/deep'))
    os.rename(at[1], mono.path('around/deep/own.monofs'))
    at = ('-C', mono.path('around/deep/own.monofs'))
    mono(*at, 'restore', 'main', around, '--mirror').ok(1).says('deep is not removed')
    mono.write('other-deep/deep', 'a file')
    mono(*at, 'import', mono.path('other-deep')).ok()
    mono(*at, 'restore', 'main', around, '--mirror').ok(1).says('deep is not removed')
    mono(*at, 'check').ok()


def is_open(path):
    for process in os.listdir('/proc'):
        try:
            if process.isdigit() and any(os.readlink(f'/proc/{process}/fd/{fd}') == path
                                         for fd in os.listdir(f'/proc/{process}/fd')):
                return True
        except OSError:
            pass
    return False


@promise('a file that is removed while an import goes on is not in the revision, and is no failure')
def _():
    at = mono.repository('fleeting')
    first = mono.write('fleeting-tree/a', os.urandom(64 << 20))
    rest = [mono.write(f'fleeting-tree/b{n}', f'{n}') for n in range(20)]
    answers = []
    thread = threading.Thread(target=lambda: answers.append(
        mono(*at, 'import', mono.path('fleeting-tree'), '--workers', '1', '--json')))
    thread.start()
    # While the first is read, the walk has gone on to all that is behind it.
    while thread.is_alive() and not is_open(first):
        pass
    time.sleep(0.05)
    for path in rest:
        os.unlink(path)
    thread.join()
    equal(answers[0].ok().json()['skipped'], 0)
    listed = mono(*at, 'ls', 'main', '-q').ok().out.split()
    equal(answers[0].json()['files'], len(listed))
    mono(*at, 'import', mono.path('fleeting-tree')).ok()
    equal(mono(*at, 'ls', 'main', '-q').ok().out.split(), ['a'])


@promise('an archive has no sockets: those left out are told, and no link in it leads to one')
def _():
    at = mono.repository('sockets')
    mono.write('sockets-tree/d/file', 'f')
    with socket.socket(socket.AF_UNIX) as s:
        here = os.open('.', os.O_RDONLY)
        os.chdir(mono.path('sockets-tree'))
        s.bind('a')
        os.fchdir(here)
        os.close(here)
    for name in 'd/b', 'd/c':
        os.link(mono.path('sockets-tree/a'), mono.path('sockets-tree/' + name))
    mono(*at, 'import', mono.path('sockets-tree')).ok()
    parts = ((), ('a', 'd/b', 'd/c'), ['.', 'd', 'd/file']), (('-p', 'd'), ('b', 'c'), ['.', 'file'])
    for n, (words, told, there) in enumerate(parts):
        archive = mono.path(f'sockets-{n}.tar')
        answer = mono(*at, 'export', 'main', archive, *words).ok()
        equal(answer.err.splitlines(),
              [f'monofs: export: {name} is left out: an archive has no sockets' for name in told])
        with tarfile.open(archive) as tar:
            equal(sorted(tar.getnames()), there)
        mono(*mono.repository(f'sockets-{n}'), 'import', archive).ok()


@promise('what is no file in place of one of the repository is refused, and nobody waits for it')
def _():
    secret = ('--key-file', mono.write('fifo-key', 'k' * 32))
    mono('init', '--encrypt', '--no-mount', *secret, mono.path('fifo')).ok()
    mono.write('fifo-tree/x', 'x')
    at = ('-C', mono.path('fifo.monofs'))
    slot = next(name for name in os.listdir(mono.path('fifo.monofs/keys')) if name != 'master')
    for name in 'format', 'refs', 'replica', 'keys/master', 'keys/' + slot, 'journal/base':
        path = mono.path('fifo.monofs/' + name)
        if os.path.exists(path):
            os.rename(path, mono.path('fifo-kept'))
        os.mkfifo(path)
        # A copy makes a replica of its own where it has none that is whole.
        mono(*at, 'import', mono.path('fifo-tree'), *secret, timeout=20).ok(0 if name == 'replica' else 1)
        os.unlink(path)
        if os.path.exists(mono.path('fifo-kept')):
            os.rename(mono.path('fifo-kept'), path)
    mono(*at, 'import', mono.path('fifo-tree'), *secret).ok()
    # Who reads needs no index, and it can always be made again.
    for name in os.listdir(at[1]):
        if name.startswith('index.db'):
            os.unlink(mono.path('fifo.monofs/' + name))
    os.mkdir(mono.path('fifo.monofs/index.db'))
    mono(*at, 'ls', *secret).ok()
    mono(*at, 'import', mono.path('fifo-tree'), *secret).ok(1).says('index.db is no file', 'remove it')
    os.rmdir(mono.path('fifo.monofs/index.db'))
    mono(*at, 'import', mono.path('fifo-tree'), *secret).ok()


@promise('what is in the way of a clone, and what keeps a writer out, is named with what to do')
def _():
    at = mono.repository('guarded')
    os.mkdir(mono.path('stopped.monofs'))
    mono('clone', at[1], mono.path('stopped'), '--no-mount').ok(1).says('stopped.monofs', 'remove it')
    os.chmod(mono.path('guarded.monofs/sessions'), 0o500)
    mono(*at, 'tag', 'main', 'one').ok(1).says('sessions: ')
    os.chmod(mono.path('guarded.monofs/sessions'), 0o700)
    mono(*at, 'tag', 'main', 'one').ok()


@promise('what an archive has and no tree can hold is refused by its name')
def _():
    at = mono.repository('held')
    for name, headers in (('long', {'SCHILY.xattr.user.a': 'v' * 70000}),
                          ('many', {f'SCHILY.xattr.user.{n}': 'v' * 1000 for n in range(70)})):
        with tarfile.open(mono.path('held.tar'), 'w', format=tarfile.PAX_FORMAT) as tar:
            entry = tarfile.TarInfo('d/' + name)
            entry.pax_headers = headers
            tar.addfile(entry)
        mono(*at, 'import', mono.path('held.tar')).ok(1).says(f'd/{name}: ', 'extended attribute')


@promise('a flipped byte anywhere in the packs is found, and named with the path that needs it')
def _():
    at = mono.repository('flipped')
    tree = mono.path('flipped-tree')
    os.makedirs(tree)
    with open(f'{tree}/big', 'wb') as f:
        f.write(os.urandom(400000))
    mono(*at, 'import', tree).ok()
    contains(mono(*at, 'check', '--read-data').ok().out, 'all whole')
    packs = [os.path.join(f, n) for f, _, names in os.walk(mono.path('flipped.monofs/packs')) for n in names]
    checked = mono(*at, 'check', '--json').ok().json()
    equal((checked['damaged'], checked['files'], checked['packs']), ([], 1, len(packs)))
    equal(checked['bytes'], sum(map(os.path.getsize, packs)))
    contains(mono(*at, 'check').ok().out, f', {len(packs)} packs: ')
    large = max(packs, key=os.path.getsize)
    with open(large, 'r+b') as f:
        f.seek(1000)
        byte = f.read(1)
        f.seek(1000)
        f.write(bytes([byte[0] ^ 1]))
    answer = mono(*at, 'check', '--read-data').ok(1)
    contains(answer.out, 'big')
    contains(answer.out, os.path.basename(large)[:12])
    found = mono(*at, 'check', '--read-data', '--json').ok(1).json()['damaged']
    true(any(d['path'] == 'big' for d in found), found)
    mono(*at, 'cat', 'main', 'big').ok(1)
    mono(*at, 'clone', mono.path('flipped.monofs'), mono.path('flipped-copy'), '--no-mount').ok(1).says('damaged')
    true(not os.path.exists(mono.path('flipped-copy.monofs')), 'nothing is left of a clone that failed')


@promise('what nobody needs goes by gc and repack, and the rest stays whole')
def _():
    at = mono.repository('swept')
    tree = mono.path('swept-tree')
    os.makedirs(tree)
    for name in ('keep', 'drop'):
        with open(f'{tree}/{name}', 'wb') as f:
            f.write(os.urandom(1 << 20))
    mono(*at, 'import', tree).ok()
    mono(*at, 'tag', 'main', 'both').ok()
    before = mono(*at, 'stats', '--json').ok().json()
    equal((before['tags'], before['types']['commit']['objects']), (1, 2))
    contains(mono(*at, 'stats').ok().out, 'packs')
    equal(mono(*at, 'gc', '--grace', '0s', '--json').ok().json()['removed_packs'], 0)
    contains(mono(*at, 'gc', '--dry-run').ok().out, 'it would be')
    contains(mono(*at, 'repack', '--all', '--grace', '0s').ok().out, 'written anew')
    mono(*at, 'repack', '--needed', '90', '--grace', '0s', '--json').ok()
    mono(*at, 'gc', '--grace', '0s').ok()
    contains(mono(*at, 'check', '--read-data').ok().out, 'all whole')
    mono(*at, 'restore', 'both', mono.path('swept-back')).ok()
    equal(described(mono.path('swept-back')), described(tree))
    after = mono(*at, 'stats', '--json').ok().json()
    true(after['pack_bytes'] <= before['pack_bytes'] * 1.1, (before, after))
    os.unlink(mono.path('swept.monofs/index.db'))
    equal(mono(*at, '-q', 'ls', 'both').ok().out.split(), ['drop', 'keep'])


@promise('a clone is a replica of its own with all revisions, and both go on')
def _():
    at = mono.repository('first')
    mono.write('first-tree/x', '1')
    mono(*at, 'import', mono.path('first-tree')).ok()
    equal(mono('clone', 'first.monofs', 'second', '--no-mount', '--full').ok().out, f'{mono.path("second.monofs")} is made\n')
    other = ('-C', mono.path('second.monofs'))
    equal([r['revision'] for r in revisions(*other)], [r['revision'] for r in revisions(*at)])
    contains(mono(*other, 'check', '--read-data').ok().out, 'all whole')
    mono.write('first-tree/x', '2')
    mono(*other, 'import', mono.path('first-tree')).ok()
    true(revisions(*other)[0]['replica'] != revisions(*at)[0]['replica'], 'another replica')
    mono(*other, 'check', '--read-data').ok()
    mono('clone', 'first.monofs', 'second', '--no-mount').ok(1).says('second.monofs')
    mono('clone', 's3://bucket/x').ok(1).says('only paths')
    mono('clone', 'http://x/y').ok(2)
    mono('sync', 'x').ok(1).says('not yet available')


@promise('the repository is found from within, beside and above; where there is none that is told')
def _():
    mono.repository('found')
    os.makedirs(mono.path('found/in/side'))
    for place in ('found', 'found.monofs', 'found/in/side'):
        equal(mono('-C', mono.path(place), '-q', 'rev').ok().out.count('\n'), 1, place)
    mono('rev', cwd='/').ok(1)
    mono('rev', '-C', mono.path('nothing')).ok(1).says('nothing')
    mono('init', '--no-mount', 'found').ok(1).says('found.monofs')
    mono('comit').ok(2).says("did you mean 'commit'?")
    mono('rev', '--jsn').ok(2).says("did you mean '--json'?")
    mono('--version').ok()
    true(mono('version', '--json').ok().json()['version'], 'a version')
    mono('commit', '-m', 'x', 'found').ok(1).says('not mounted')
    mono('detach', 'found').ok(1)


tap.main(mono.clean)
