# SPDX-License-Identifier: Apache-2.0
"""monocore with a home whose registries, credentials and store the test sees into."""
import json
import os
import subprocess
import tempfile
import time

from .program import PROGRAM, Answer, Monocore
from .tap import ROOM


class Puller(Monocore):
    """home: where; each has a docker configuration of its own. Proxies of the environment do not count."""

    def __init__(self, home, **env):
        self.docker = f'{home}.docker'
        os.makedirs(home, exist_ok=True)
        os.chmod(home, 0o700)
        os.makedirs(self.docker, exist_ok=True)
        super().__init__(home, **({'DOCKER_CONFIG': self.docker} | env))
        for name in ('http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'):
            for spelt in (name, name.upper()):
                if spelt not in env:
                    self.env.pop(spelt, None)

    def configure(self, registries=None, **more):
        """Writes registries.json."""
        with open(f'{self.home}/registries.json', 'w') as f:
            json.dump(({'registries': registries} if registries else {}) | more, f)
        os.chmod(f'{self.home}/registries.json', 0o600)

    def credentials(self, **members):
        """Writes docker's config.json."""
        path = f'{self.docker}/config.json'
        with open(path, 'w') as f:
            json.dump(members, f)
        os.chmod(path, 0o600)

    def docker_config(self):
        try:
            with open(f'{self.docker}/config.json') as f:
                return json.load(f)
        except FileNotFoundError:
            return {}

    def listed(self):
        """Names in the store, canonical, with the digest that each has."""
        return {row['full_name']: row['digest'] for row in self('images', '--json').ok().json()}

    def blobs(self):
        try:
            return {'sha256:' + name for name in os.listdir(f'{self.home}/store/blobs/sha256') if not name.startswith('.')}
        except FileNotFoundError:
            return set()

    def roots(self):
        try:
            return {name for name in os.listdir(f'{self.home}/store/rootfs') if not name.startswith('.')}
        except FileNotFoundError:
            return set()

    def state(self):
        """What a failed command must leave as it was."""
        return self.listed(), self.blobs(), self.roots()

    def clean_check(self):
        """`image check` finds nothing wrong."""
        return self('image', 'check').ok()

    def measured(self, *words, timeout=60, env=None):
        """(Answer, peak of the process's resident memory in MiB). What wait4() tells would hold that of Python, too,
        from before the program was executed."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            started, timeout, peak = time.monotonic(), timeout * ROOM, 0
            process = subprocess.Popen([PROGRAM, *map(os.fspath, words)], stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err, env=self.env | (env or {}), start_new_session=True)
            try:
                while process.poll() is None:
                    peak = max(peak, _peak(process.pid))
                    if time.monotonic() - started > timeout:
                        raise AssertionError(f'{" ".join(map(str, words))} is not done within {timeout} s')
                    time.sleep(0.005)
            finally:
                process.kill()
                process.wait()
            out.seek(0)
            err.seek(0)
            return Answer(list(map(str, words)), process.returncode, out.read(), err.read(),
                          time.monotonic() - started), peak / 1024


def _peak(pid):
    """KiB that a process had resident at most."""
    try:
        with open(f'/proc/{pid}/status') as f:
            return next((int(line.split()[1]) for line in f if line.startswith('VmHWM:')), 0)
    except OSError:
        return 0
