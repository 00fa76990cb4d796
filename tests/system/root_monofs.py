#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""monofs as root: owners and devices; and a second user, who gets nothing of another's tree."""
import os
import pwd
import subprocess
import sys

from harness import tap
from harness.monofs import Monofs, described
from harness.tap import equal, promise, true

OWNER, OTHER = pwd.getpwnam(os.environ['MC_USER_A']), pwd.getpwnam(os.environ['MC_USER_B'])


def by(entry):
    return ['setpriv', f'--reuid={entry.pw_uid}', f'--regid={entry.pw_gid}', '--clear-groups', '--']


root = Monofs()
owner = Monofs(by(OWNER), (OWNER.pw_uid, OWNER.pw_gid), HOME=OWNER.pw_dir)
os.chmod(owner.folder, 0o755)


@promise('owners and devices that root imports come back, and the caller owns all where he says so')
def _():
    at = root.repository('owned')
    tree = root.path('tree')
    os.mkdir(tree)
    os.mknod(f'{tree}/null', 0o20666, os.makedev(1, 3))
    os.mknod(f'{tree}/disk', 0o60640, os.makedev(259, 70000))
    root.write('tree/file', 'x')
    for name, uid, gid in (('null', 1, 2), ('file', OWNER.pw_uid, 70000), ('disk', 4294967294, 6)):
        os.chown(f'{tree}/{name}', uid, gid)
    os.chmod(f'{tree}/file', 0o6755)
    root(*at, 'import', tree).ok()
    root(*at, 'restore', 'main', root.path('back')).ok()
    equal(described(root.path('back')), described(tree))
    root(*at, 'restore', 'main', root.path('mine'), '--no-owners').ok()
    equal({row['uid'] for row in described(root.path('mine')).values()}, {0})


def attempt(code):
    """Python that the other user runs; what it prints."""
    answer = subprocess.run([*by(OTHER), sys.executable, '-c', code], capture_output=True, text=True, check=False)
    equal(answer.stderr, '')
    return answer.stdout.strip()


@promise('what is served over NFS on loopback is of its user alone: a connection of another gets nothing')
def _():
    owner('init', '--no-mount', 'served').ok()
    line = owner('-q', 'mount', '--nfs', owner.path('served')).ok().out
    port = int(line.split(',port=')[1].split(',')[0])
    try:
        code = (f'import socket\ns = socket.create_connection(("127.0.0.1", {port}), 5)\ntry:\n    s.sendall(bytes.fromhex('
                f'"80000028" + "00000001" + "00000000" + "00000002" + "000186a5" + "00000003" + "00000000" * 5))\n    print(len(s.recv(1)))\n'
                f'except OSError:\n    print(0)')
        equal(attempt(code), '0')
        answer = subprocess.run([*by(OWNER), sys.executable, '-c', code], capture_output=True, text=True, check=False)
        equal(answer.stdout.strip(), '1')  # MOUNT's NULL is answered
    finally:
        owner('detach', owner.path('served')).ok()


@promise('another user reaches neither the repository nor the mount nor its socket')
def _():
    owner('init', 'tree').ok()
    d = owner.path('tree')
    try:
        subprocess.run([*by(OWNER), 'sh', '-c', f'echo secret >{d}/file'], check=True)
        socket = f'{owner.folder}/run/monofs'
        for path in (f'{d}.monofs', f'{d}.monofs/format', d, f'{d}/file', socket):
            equal(attempt(f'try:\n    open({path!r}).read()\n    print("reached")\nexcept OSError as e:\n    print(e.errno)'), '13', path)
        stranger = Monofs(by(OTHER), (OTHER.pw_uid, OTHER.pw_gid), HOME=OTHER.pw_dir, XDG_RUNTIME_DIR=f'{owner.folder}/run')
        try:
            for words in (('stats',), ('commit', '-m', 'x'), ('check',)):
                answer = stranger('-C', owner.folder, *words, d)
                true(answer.status in (1, 2) and answer.out == '', answer)
            stranger('-C', owner.folder, 'check', 'tree.monofs').ok(1).says('tree.monofs', 'Permission denied')
            true(stranger('detach', d).status == 1, 'it was detached by another')
        finally:
            equal(stranger.clean(), [])
        pid, = owner.servers()
        equal(attempt(f'import os\ntry:\n    os.kill({pid}, 0)\n    print("reached")\nexcept OSError as e:\n    print(e.errno)'), '1')
    finally:
        owner('detach', '-f', d)


@promise('a directory for sockets in /tmp that another user has made is not used, and its owner is told what helps')
def _():
    taken = f'/tmp/monofs-{OWNER.pw_uid}'
    owner('init', '--no-mount', 'taken').ok()
    subprocess.run([*by(OTHER), 'mkdir', '-m', '755', taken], check=True)
    try:
        owner('mount', owner.path('taken'), env={'XDG_RUNTIME_DIR': ''}).ok(1).says(taken, 'set XDG_RUNTIME_DIR')
        true(not os.path.exists(owner.path('taken')), 'a directory is left of a mount that failed')
        subprocess.run([*by(OWNER), 'mkdir', owner.path('taken')], check=True)
        owner('detach', owner.path('taken'), env={'XDG_RUNTIME_DIR': ''}).ok(1).says(taken, 'set XDG_RUNTIME_DIR')
        equal(os.listdir(taken), [])
    finally:
        os.rmdir(taken)
    owner('mount', owner.path('taken')).ok()
    owner('detach', owner.path('taken')).ok()


tap.main(lambda: root.clean() + owner.clean())
