# SPDX-License-Identifier: Apache-2.0
"""The real registry server: Debian's docker-registry on loopback, plain or with TLS, open or with accounts.

    with Registry(folder) as registry:  registry.host is "127.0.0.1:PORT"
"""
import atexit
import base64
import contextlib
import ctypes
import ctypes.util
import hashlib
import http.client
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import time
import urllib.parse

PROGRAMS = ('docker-registry', 'registry', 'registry-binary')
JSON_TYPES = ', '.join(['application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json',
                        'application/vnd.docker.distribution.manifest.list.v2+json',
                        'application/vnd.docker.distribution.manifest.v2+json'])


def bcrypt(password):
    """A line's second half in an htpasswd file, by the C library's crypt: the registry takes nothing but bcrypt."""
    name = ctypes.util.find_library('crypt') or ctypes.util.find_library('c')
    library = ctypes.CDLL(name)
    library.crypt.restype, library.crypt.argtypes = ctypes.c_char_p, [ctypes.c_char_p, ctypes.c_char_p]
    alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
    # The last of 22 characters holds 2 bits of 16 bytes of salt.
    salt = ''.join(secrets.choice(alphabet) for _ in range(21)) + secrets.choice('.Oeu')
    made = library.crypt(password.encode(), f'$2y$05${salt}'.encode())
    if not made or not made.startswith(b'$2y$'):
        raise RuntimeError('this C library has no bcrypt')
    return made.decode()


class Registry:
    """docker-registry with its data in folder/data; authority: TLS by this httpd.Authority; users: name → password,
    for basic auth; tokens: a token_server.TokenServer whose tokens it takes. start() after stop() has the same
    data and port."""

    def __init__(self, folder, authority=None, users=None, tokens=None, address='127.0.0.1', start=True):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.address, self.process, self.port = folder, address, None, 0
        self.tls = authority.server() if authority else None
        self.ca = authority.certificate if authority else None
        self.users, self.tokens = users, tokens
        self.program = next((p for p in map(shutil.which, PROGRAMS) if p), None)
        if not self.program:
            raise RuntimeError('there is no docker-registry on this machine: install it (tools/packages.txt)')
        if start:
            self.start()

    @property
    def host(self):
        return f'{self.address}:{self.port}'

    @property
    def url(self):
        return f'http{"s" if self.tls else ""}://{self.host}'

    def _config(self):
        # JSON is YAML, too.
        config = {'version': '0.1', 'log': {'level': 'info', 'accesslog': {'disabled': True}},
                  'storage': {'filesystem': {'rootdirectory': f'{self.folder}/data'}, 'delete': {'enabled': True},
                              'maintenance': {'uploadpurging': {'enabled': False}}},
                  'http': {'addr': f'{self.address}:{self.port}', 'secret': 'the tests'},
                  'compatibility': {'schema1': {'enabled': True}}}
        if self.tls:
            config['http']['tls'] = {'certificate': self.tls[0], 'key': self.tls[1]}
        if self.users is not None:
            with open(f'{self.folder}/htpasswd', 'w') as f:
                f.writelines(f'{name}:{bcrypt(word)}\n' for name, word in self.users.items())
            config['auth'] = {'htpasswd': {'realm': 'the tests', 'path': f'{self.folder}/htpasswd'}}
        if self.tokens:
            config['auth'] = {'token': {'realm': self.tokens.realm, 'service': self.tokens.service,
                                        'issuer': self.tokens.issuer, 'rootcertbundle': self.tokens.certificate}}
        return config

    def start(self):
        path, log = f'{self.folder}/config.yml', f'{self.folder}/log'
        with open(path, 'w') as f:
            json.dump(self._config(), f)
        with open(log, 'w') as f:
            # In the test's process group: the runner ends it where the test cannot.
            self.process = subprocess.Popen([self.program, 'serve', path], stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                            env={'PATH': os.environ['PATH'], 'OTEL_TRACES_EXPORTER': 'none'})
        atexit.register(self.stop)
        deadline = time.monotonic() + 20
        while True:
            with open(log) as f:
                text = f.read()
            if 'listening on ' in text:
                # Port 0 asked the kernel for a free one; the log has it.
                words = text.split('listening on ', 1)[1].split('"', 1)[0].split()[0].rstrip(',')
                self.port = int(words.rsplit(':', 1)[1])
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f'docker-registry did not start:\n{text[-2000:]}')
            time.sleep(0.02)
        with contextlib.suppress(ssl.SSLCertVerificationError):  # a test may give it another host's certificate
            if self.request('GET', '/v2/').status not in (200, 401):
                raise RuntimeError('docker-registry does not answer as one')

    def stop(self, number=signal.SIGTERM):
        atexit.unregister(self.stop)
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    close = stop

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # ---- a plain client, to look at the registry without what is tested ----

    def request(self, method, path, body=None, headers=None, user=None):
        """An answer with status, headers and .body; user: (name, password) or a bearer token."""
        fields = {'Accept': JSON_TYPES} | (headers or {})
        if isinstance(user, tuple):
            fields['Authorization'] = 'Basic ' + base64.b64encode(':'.join(user).encode()).decode()
        elif user:
            fields['Authorization'] = 'Bearer ' + user
        if self.tls:
            connection = http.client.HTTPSConnection(self.address, self.port, timeout=20,
                                                     context=ssl.create_default_context(cafile=self.ca))
        else:
            connection = http.client.HTTPConnection(self.address, self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            answer.body = answer.read()
        return answer

    def put_blob(self, repository, data, user=None):
        digest = 'sha256:' + hashlib.sha256(data).hexdigest()
        answer = self.request('POST', f'/v2/{repository}/blobs/uploads/', b'', user=user)
        if answer.status != 202:
            raise RuntimeError(f'POST of a blob: {answer.status} {answer.body!r}')
        where = urllib.parse.urlsplit(answer.headers['Location'])
        query = (where.query + '&' if where.query else '') + 'digest=' + digest
        answer = self.request('PUT', f'{where.path}?{query}', data, {'Content-Type': 'application/octet-stream'}, user)
        if answer.status != 201:
            raise RuntimeError(f'PUT of a blob: {answer.status} {answer.body!r}')
        return digest

    def put_manifest(self, repository, reference, data, media, user=None):
        answer = self.request('PUT', f'/v2/{repository}/manifests/{reference}', data, {'Content-Type': media}, user)
        if answer.status != 201:
            raise RuntimeError(f'PUT of a manifest: {answer.status} {answer.body!r}')
        return answer.headers['Docker-Content-Digest']

    def manifest(self, repository, reference, user=None):
        """(bytes, media type, digest), or None where there is none."""
        answer = self.request('GET', f'/v2/{repository}/manifests/{reference}', user=user)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise RuntimeError(f'GET of a manifest: {answer.status} {answer.body!r}')
        return answer.body, answer.headers['Content-Type'], answer.headers['Docker-Content-Digest']

    def has_blob(self, repository, digest, user=None):
        return self.request('HEAD', f'/v2/{repository}/blobs/{digest}', user=user).status == 200

    def tags(self, repository, user=None):
        answer = self.request('GET', f'/v2/{repository}/tags/list', user=user)
        return sorted(json.loads(answer.body).get('tags') or []) if answer.status == 200 else []

    def blobs_on_disk(self):
        """Digests of the blobs in the registry's own store."""
        found = []
        for base, _, files in os.walk(f'{self.folder}/data/docker/registry/v2/blobs/sha256'):
            if 'data' in files:
                found.append('sha256:' + os.path.basename(base))
        return sorted(found)
