#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`self upgrade` and `self uninstall`: releases by a local server, honest and not, in a prefix of the test's own."""
import base64
import contextlib
import http.server
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading

from harness import tap
from harness.program import DEBIAN, PREFIX, SOURCES, Monocore
from harness.tap import contains, equal, promise, true

BUILD = os.environ.get('MC_BUILD') or f'{SOURCES}/build/release'
ROOM = tempfile.mkdtemp(prefix='mc-upgrade-')
KEY, OTHER_KEY, OURS = f'{ROOM}/key.pem', f'{ROOM}/other.pem', f'{ROOM}/prefix'
PROGRAM = f'{OURS}/bin/monocore'
mc = Monocore(Monocore().home, HOME=f'{ROOM}/user')


def write_key(path, seed):
    der = bytes.fromhex('302e020100300506032b657004220420') + seed
    with open(path, 'w') as f:
        f.write(f'-----BEGIN PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END PRIVATE KEY-----\n')


def set_up():
    """An installation that knows the key, and the tree of a newer release: its program says that it is newer."""
    os.makedirs(f'{ROOM}/user')
    write_key(KEY, bytes(range(32)))
    write_key(OTHER_KEY, bytes(range(1, 33)))
    for tree in (OURS, f'{ROOM}/next'):
        for folder in ('bin', 'libexec', 'share/man'):
            shutil.copytree(f'{PREFIX}/{folder}', f'{tree}/{folder}', symlinks=True)
        shutil.copy2(f'{BUILD}/tests/hostile/upgradable', f'{tree}/bin/monocore')
    newer(f'{ROOM}/next', '9.1.0')
    release('good', '9.1.0')


def newer(tree, version):
    """A program that only says its version; what it was is bin/now."""
    if not os.path.exists(f'{tree}/bin/now'):
        os.rename(f'{tree}/bin/monocore', f'{tree}/bin/now')
    with open(f'{tree}/bin/monocore', 'w') as f:
        f.write(f'#!/bin/sh\necho monocore {version}\n')
    os.chmod(f'{tree}/bin/monocore', 0o755)


def release(name, version, key=KEY, tree=f'{ROOM}/next'):
    path = f'{ROOM}/{name}.tar'
    subprocess.run([f'{SOURCES}/tools/make-release', '--key', key, '--version', version, tree, path], check=True)
    return path


def rewritten(source, name, change):
    """The archive with `change(members)`: a list of [name, bytes]."""
    with tarfile.open(source) as tar:
        members = [[m.name, tar.extractfile(m).read()] for m in tar]
    change(members)
    with tarfile.open(f'{ROOM}/{name}.tar', 'w') as tar:
        for member, data in members:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            with contextlib.closing(tempfile.TemporaryFile()) as f:
                f.write(data)
                f.seek(0)
                tar.addfile(info, f)
    return f'{ROOM}/{name}.tar'


@contextlib.contextmanager
def server(answers):
    """answers: path → bytes, or the place that it leads to."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers.get(self.path)
            self.send_response(404 if answer is None else 302 if isinstance(answer, str) else 200)
            if isinstance(answer, str):
                self.send_header('Location', answer)
            body = answer if isinstance(answer, bytes) else b''
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        try:
            yield f'http://127.0.0.1:{httpd.server_address[1]}'
        finally:
            httpd.shutdown()


def upgrade(source, *options, **more):
    return mc('self', 'upgrade', '--from', source, *options, program=PROGRAM, **more)


def unchanged():
    """Nothing was switched, and nothing half made is left."""
    true(not os.path.islink(PROGRAM), 'the program was switched')
    releases = f'{OURS}/lib/monocore/releases'
    equal([n for n in os.listdir(releases) if n != '.lock'] if os.path.exists(releases) else [], [])


@promise('a program without a key, or without a place to look, says so')
def _():
    mc('self', 'upgrade', '--from', '/dev/null').ok(1).says('without the key of releases')
    mc('self', 'upgrade', program=PROGRAM).ok(2).says('--from URL|FILE')
    upgrade('http://192.0.2.1/x').ok(1).says('--plain-http')
    upgrade(f'{ROOM}/nothing').ok(1).says('nothing')


@promise('what is not signed by the key, or is not what the manifest says, changes nothing')
def _():
    good = f'{ROOM}/good.tar'

    def tamper(members):
        next(m for m in members if m[0] == 'bin/monocore')[1] += b'\n'

    def grow(members):
        members.append(['bin/more', b'x'])

    def lose(members):
        members.remove(next(m for m in members if m[0] == 'libexec/monocore/mcrun'))

    def twice(members):
        members.append(members[2])

    def lie(members):
        members[0][1] = members[0][1].replace(b'9.1.0', b'9.2.0')

    def swap(members):
        data = bytearray(next(m for m in members if m[0] == 'bin/now')[1])
        data[100] ^= 1
        next(m for m in members if m[0] == 'bin/now')[1] = bytes(data)
    for change, part in ((tamper, 'as large'), (grow, 'does not name'), (lose, 'missing'), (twice, 'twice'), (lie, 'signature'),
                         (swap, 'not what the manifest says'), (lambda m: m.pop(0), 'no release'),
                         (lambda m: m.pop(1), 'no release'), (lambda m: m.clear(), 'no release')):
        upgrade(rewritten(good, 'bad', change)).ok(1).says(part)
        unchanged()
    upgrade(release('stranger', '9.1.0', OTHER_KEY)).ok(1).says('signature')
    with open(good, 'rb') as f:
        cut = f.read()[:-300000]
    with open(f'{ROOM}/cut.tar', 'wb') as f:
        f.write(cut)
    upgrade(f'{ROOM}/cut.tar').ok(1)
    unchanged()


@promise('an older release, one for another machine and one that does not run here are refused')
def _():
    upgrade(release('old', '0.0.9')).ok(1).says('--force')
    now = mc('version', program=PROGRAM).ok().out.split()[1]
    contains(upgrade(release('same', now)).ok().out, 'is the newest')
    upgrade(release('wrong', '9.9.9')).ok(1).says('does not run here')
    unchanged()
    equal(upgrade(f'{ROOM}/good.tar', '--dry-run').ok().out, 'monocore 9.1.0 would be installed\n')
    unchanged()


@promise('a release from a server replaces the program by one rename, and running sandboxes keep theirs')
def _():
    name = mc('tmp', '-d', DEBIAN, 'sleep', 'infinity', program=PROGRAM).ok().out.strip()
    try:
        before = os.stat(PROGRAM).st_ino
        with open(f'{ROOM}/good.tar', 'rb') as f, server({'/new': '/moved', '/moved': f.read(), '/loop': '/loop'}) as url:
            upgrade(url + '/gone').ok(1).says('404')
            upgrade(url + '/loop').ok(1).says('leads on')
            equal(upgrade(url + '/new').ok().out, 'monocore 9.1.0 is installed\n')
        true(os.path.islink(PROGRAM) and os.stat(PROGRAM).st_ino != before, 'not switched')
        equal(mc('version', program=PROGRAM).ok().out, 'monocore 9.1.0\n')
        equal(mc.shell(name, 'echo "$0"'), 'sh')
        newer(f'{ROOM}/next', '9.2.0')
        # The release's program is what it would be: it knows its release, and its prefix.
        inside = f'{OURS}/lib/monocore/releases/9.1.0/bin'
        os.replace(f'{inside}/now', f'{inside}/monocore')
        equal(upgrade(release('newer', '9.2.0'), '-q').ok().out, '9.2.0\n')
        equal(sorted(os.listdir(f'{OURS}/lib/monocore/releases')), ['.lock', '9.1.0', '9.2.0'])
        for name_of in ('monocore', 'monofs'):
            equal(os.readlink(f'{OURS}/bin/{name_of}'), f'../lib/monocore/releases/9.2.0/bin/{name_of}')
    finally:
        mc('rm', '-f', name)


@promise('self uninstall lists and removes this program, its commands and nothing else')
def _():
    program = f'{OURS}/lib/monocore/releases/9.1.0/bin/monocore'
    if not os.path.exists(program):  # this promise by itself
        upgrade(f'{ROOM}/good.tar').ok()
        os.replace(f'{os.path.dirname(program)}/now', program)
    mc('install', '-q', DEBIAN + '~hello').ok()
    other = f'{OURS}/share/man/man1/other.1'
    with open(other, 'w'):
        pass
    listed = mc('self', 'uninstall', '--dry-run', program=program).ok().out.split('\n')
    for path in (PROGRAM, f'{OURS}/libexec/monocore', f'{OURS}/lib/monocore/releases', f'{ROOM}/user/.local/bin/hello'):
        true(path in listed, (path, listed))
    true(not any(mc.home in path or path == other for path in listed), listed)
    mc('self', 'uninstall', program=program).ok(2).says('--yes')
    with mc.sandbox():
        mc('self', 'uninstall', '--yes', program=program).ok(1).says('1 sandbox runs')
    contains(mc('self', 'uninstall', '--yes', program=program).ok().err, f'{mc.home} stays')
    left = [os.path.join(where, name) for where, _, names in os.walk(OURS) for name in names]
    equal(left, [other])
    equal(os.listdir(f'{ROOM}/user/.local/bin'), [])
    true(os.path.exists(mc.home), 'the home is gone')


def finish():
    left = mc.clean()
    mc('uninstall', 'hello')
    shutil.rmtree(ROOM)
    return left


set_up()
tap.main(finish)
