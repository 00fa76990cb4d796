#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two users of one machine, made for this run: the second tries to reach the first one's sandbox, store and
guest. This program is root only to be both of them."""
import os
import pwd
import subprocess
import sys
import tempfile

from harness import state, tap
from harness.nfs import FSINFO, MOUNT, NFS, OK, Server, opaque
from harness.program import DEBIAN, Monocore
from harness.tap import equal, promise, true

OWNER, OTHER = pwd.getpwnam(os.environ['MC_USER_A']), pwd.getpwnam(os.environ['MC_USER_B'])
SECRET = 'a-secret-nobody-else-may-see'


def as_user(entry, **env):
    before = ['setpriv', f'--reuid={entry.pw_uid}', f'--regid={entry.pw_gid}', '--clear-groups', '--']
    mono = Monocore(f'{entry.pw_dir}/.monocore', before, HOME=entry.pw_dir, USER=entry.pw_name, **env)
    mono.env.pop('TMPDIR', None)
    return mono


owner, other = as_user(OWNER), as_user(OTHER)
name = owner('tmp', '-d', '-v', 'shared:/data', '-v', 'staged:/staged:stage', '-e', f'SECRET={SECRET}', DEBIAN, '--', 'sh', '-c', f'echo {SECRET}; exec sleep infinity',
             timeout=90).ok().out.strip()
(boss,) = owner.supervisors()
pids = [boss] + state.descendants(boss)  # with the server of the volume
shown = owner('inspect', name).ok().json()[0]
SOCKET = f'{owner.home}/sandboxes/{shown["id"]}/control'


def attempt(code):
    """Python that the other user runs; what it prints."""
    answer = subprocess.run(other.before + [sys.executable, '-c', code], capture_output=True, text=True, env=other.env)
    equal(answer.stderr, '')
    return answer.stdout.strip()


@promise('another user cannot list, read or enter the home')
def _():
    for path in (owner.home, f'{owner.home}/store', f'{owner.home}/volumes/shared', SOCKET, f'{owner.home}/sandboxes/{shown["id"]}/disk'):
        equal(attempt(f'import os\ntry:\n    os.stat({path + "/."!r} if os.path.isdir({path!r}) else {path!r})\n'
                      f'    os.listdir({path!r})\n    print("reached")\nexcept OSError as e:\n    print(e.errno)'), '13', path)


@promise('another user cannot name the home as his own')
def _():
    stranger = Monocore(owner.home, other.before, HOME=OTHER.pw_dir)
    for words in (('ps', '-a'), ('exec', name, 'id'), ('rm', '-f', name), ('log', name), ('volume', 'diff', name),
                  ('volume', 'apply', name), ('volume', 'discard', name)):
        answer = stranger(*words)
        equal((answer.status, answer.out), (1, ''))
        answer.says(owner.home)
    equal(other('ps', '-a', '-q').ok().out, '')


@promise('another user cannot signal, trace or look into supervisor and engine')
def _():
    for pid in pids:
        equal(attempt(f'import ctypes, os\nbad = []\n'
                      f'for what in ("mem", "maps", "environ", "root/.", "cwd/.", "fd/0"):\n'
                      f'    try:\n        open("/proc/{pid}/" + what, "rb").read(1) if "/" not in what '
                      f'else os.stat("/proc/{pid}/" + what)\n        bad.append(what)\n'
                      f'    except OSError:\n        pass\n'
                      f'try:\n    os.kill({pid}, 0)\n    bad.append("kill")\nexcept PermissionError:\n    pass\n'
                      f'libc = ctypes.CDLL(None, use_errno=True)\n'
                      f'if libc.ptrace(16, {pid}, 0, 0) == 0:\n    bad.append("ptrace")\nprint(bad)'), '[]', state.describe(pid))


@promise('the control socket refuses another user even where every folder lets him in')
def _():
    folders = [OWNER.pw_dir, owner.home, f'{owner.home}/sandboxes', f'{owner.home}/sandboxes/{shown["id"]}']
    modes = [os.stat(path).st_mode & 0o7777 for path in folders]
    try:
        for path in folders:
            os.chmod(path, 0o755)
        os.chmod(SOCKET, 0o777)
        said = attempt(f'import os, socket, struct\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(5)\n'
                       f'd = os.open({folders[-1]!r}, os.O_RDONLY)\ns.connect(f"/proc/self/fd/{{d}}/control")\n'
                       f'try:\n    s.sendall(struct.pack("<IIHHQ", 16, 1, 258, 0, 0))\n    print(s.recv(100))\n'
                       f'except OSError as e:\n    print(b"")')
        equal(said, "b''")
        true(state.alive(boss), 'the sandbox runs on')
    finally:
        os.chmod(SOCKET, 0o600)
        for path, mode in zip(folders, modes):
            os.chmod(path, mode)
    equal(owner.shell(name, 'echo well'), 'well')


@promise('another user gets nothing of what is served over NFS on loopback, not even with the handle of its root')
def _():
    path = f'{OWNER.pw_dir}/served'
    os.mkdir(path)
    os.chown(path, OWNER.pw_uid, OWNER.pw_gid)
    with Server(owner, '--export', 'served', path) as server, server.client(uid=OWNER.pw_uid) as client:
        # This process is root: as the kernel's own client it may.
        status, root = client.mount('/served')
        equal((status, client.status(FSINFO, opaque(root))), (OK, OK))
        calls = [client.record(program, procedure, arguments) for program, procedure, arguments in
                 ((NFS, 0, b''), (MOUNT, 0, b''), (MOUNT, 1, opaque('/served')), (NFS, FSINFO, opaque(root)))]
        got = attempt(f'import socket, struct\ngot = b""\nfor call in {calls!r}:\n'
                      f'    s = socket.create_connection(("127.0.0.1", {server.port}), 10)\n'
                      f'    try:\n        s.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)\n'
                      f'        got += s.recv(100)\n    except ConnectionError:\n        pass\nprint(got)')
        equal(got, "b''")
        equal(client.status(FSINFO, opaque(root)), OK)
    os.rmdir(path)


@promise('no secret stands in the arguments of a process or in a file that others can read')
def _():
    for pid in pids:
        true(SECRET not in ' '.join(state.command(pid)), state.describe(pid))
    said = attempt(f'import os\nfound = []\nfor where, _, files in os.walk({OWNER.pw_dir!r}):\n    found += files\nprint(found)')
    equal(said, '[]')


@promise("another user's project is nobody else's: it is not seen, entered, changed or held up, though its directory can be read")
def _():
    with tempfile.TemporaryDirectory(prefix='mc-users-', dir='/tmp') as where:
        os.chmod(where, 0o755)
        place = f'{where}/mcours'
        os.mkdir(place)
        text = f'sandboxes:\n  web: {{image: "{DEBIAN}", envs: [SECRET={SECRET}], scripts: {{start: "exec sleep 1000"}}, volumes: [data:/data]}}\n'
        with open(f'{place}/monocore.yaml', 'w') as f:
            f.write(text)
        for path in (place, f'{place}/monocore.yaml'):
            os.chown(path, OWNER.pw_uid, OWNER.pw_gid)
        owner('-C', place, 'up', '--grant', timeout=90).ok()
        with open(f'{place}/.monocore-id') as f:
            identity = f.read()
        row = owner.row('mcours-web')
        equal(other('-C', place, 'status', '--json').ok().json()[0]['state'], None)
        for words in (('exec', 'web', 'id'), ('log', 'web'), ('attach', 'web'), ('stop', 'mcours-web'), ('rm', '-f', 'mcours-web'),
                      ('kill', 'web'), ('inspect', 'mcours-web'), ('snapshot', 'web')):
            equal((other('-C', place, *words).status, words) != (0, words), True)
        true(other('-C', place, 'add', 'worse', '--image', 'alpine').status != 0, 'he has changed the file')
        true(other('-C', place, 'remove', 'web').status != 0, 'he has changed the file')
        other('-C', place, 'down').ok()
        # What he makes of it, if anything, is his own, in his own home.
        other('-C', place, 'up', '--grant', timeout=90)
        other('-C', place, 'down', timeout=90)
        other.clean()
        with open(f'{place}/monocore.yaml') as f:
            equal(f.read(), text)
        with open(f'{place}/.monocore-id') as f:
            equal(f.read(), identity)
        equal(owner.row('mcours-web'), row)
        project = f'{owner.home}/projects/{identity.split()[-1]}'
        true(os.path.isdir(project), project)
        equal(attempt(f'import fcntl, os\ntry:\n    fcntl.flock(os.open({project + "/lock"!r}, os.O_RDONLY), fcntl.LOCK_EX)\n    print("held")\n'
                      f'except OSError as e:\n    print(e.errno)'), '13')
        equal(owner('-C', place, 'up').ok().out, '')
        owner('-C', place, 'down').ok()
        owner('rm', 'mcours-web').ok()
        owner('volume', 'rm', 'mcours_data').ok()


@promise('both users run sandboxes of their own at once')
def _():
    equal(other('tmp', DEBIAN, '--', 'echo', 'mine', timeout=90).ok().out, 'mine\n')
    equal(owner.shell(name, 'echo still here'), 'still here')


@promise('root may see and stop a user\'s sandbox only as that user: its own commands leave it alone')
def _():
    mine = Monocore()
    equal(mine('ps', '-a', '-q').ok().out, '')
    Monocore(owner.home)('ps').ok(1).says(owner.home)


tap.main(lambda: owner.clean() + other.clean())
