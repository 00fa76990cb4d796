# SPDX-License-Identifier: Apache-2.0
"""Registries as they are in the world: a server that answers as Docker Hub, GHCR, Quay and some others do, with the
peculiarities of each in a table. Only host names are other ones: loopback ports stand for them. The answers were
recorded by users in the issue trackers of docker, GHCR's and Quay's clients, and by the registries' documents.

    hub = Quirks('docker.io', public={'library/small': {'latest': layout}})
    hub.host, hub.token.host, hub.cdn.host          registry, token server, where blobs are redirected to
"""
import base64
import hashlib
import json
import os
import re
import secrets
import string
import time
import urllib.parse

from .httpd import Headers, Server

AMAZON_TWO_WAYS = ('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InvalidArgument</Code><Message>Only one auth '
                   'mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or '
                   'the Authorization header should be specified</Message></Error>')
AZURE_TWO_WAYS = ('\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>InvalidAuthenticationInfo</Code><Message>'
                  'Authentication information is not given in the correct format. Check the value of Authorization '
                  'header.</Message></Error>')
PULL_LIMIT = {'errors': [{'code': 'TOOMANYREQUESTS', 'message':
                          'You have reached your pull rate limit. You may increase the limit by authenticating and '
                          'upgrading: https://www.docker.com/increase-rate-limit'}]}


INDEX = 'application/vnd.oci.image.index.v1+json'


def error(code, message, **more):
    return {'errors': [{'code': code, 'message': message} | more]}


# What a registry does where the table does not say otherwise.
USUAL = {
    'service': 'registry', 'token_path': '/token',
    # 401: the challenge at /v2/ and at a repository, and the body with its type.
    'ping': 'Bearer realm="{realm}",service="{service}"',
    'challenge': 'Bearer realm="{realm}",service="{service}",scope="repository:{repository}:{actions}"',
    'unauthorized': lambda name, action: (error('UNAUTHORIZED', 'authentication required'), 'application/json'),
    'basic': False,                        # basic credentials at the registry itself
    'open': False,                         # public repositories are read without a token
    'refused': 401,                        # a token that is there and does not do: this status
    'bad_token': lambda name, action: (error('UNAUTHORIZED', 'authentication required'), 'application/json'),
    # the token server
    'token_body': lambda token: {'token': token, 'access_token': token, 'expires_in': 300,
                                 'issued_at': '2026-11-26T00:00:00.000000000Z'},
    'token_denied': None,                  # (status, body, type) where nothing can be granted; None: an empty grant
    'wrong_password': (401, {'details': 'incorrect username or password'}, 'application/json'),
    'life': 300,
    # manifests and blobs
    'digest_header': True, 'head': True, 'limits': None, 'accept_needed': False,
    'redirect': None,                      # (status, path and query at the CDN)
    'two_ways': (400, AMAZON_TWO_WAYS),    # the CDN's answer to an Authorization header
    'cdn_head': True,
    # uploads
    'location': '{registry}/v2/{repository}/blobs/uploads/{id}?_state={state}', 'mounts': True,
    'range': lambda first, end: f'0-{max(end - 1, 0)}',
    'search': False, 'referrers': False,
}

TABLE = {
    'docker.io': {
        'service': 'registry.docker.io',
        'unauthorized': lambda name, action: (error('UNAUTHORIZED', 'authentication required', detail=[
            {'Type': 'repository', 'Class': '', 'Name': name, 'Action': action}] if name else None), 'application/json'),
        'limits': {'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '{left};w=21600',
                   'docker-ratelimit-source': '192.0.2.7'},
        'redirect': (307, '/registry-v2/docker/registry/v2/blobs/sha256/{hex2}/{hex}/data?verify={secret}-x%2Fy%3D'),
        'search': True,
    },
    'ghcr.io': {
        # The scope at /v2/ is these very words, whatever is asked for afterwards.
        'service': 'ghcr.io',
        'ping': 'Bearer realm="{realm}",service="{service}",scope="repository:user/image:pull"',
        'refused': 403, 'bad_token': lambda name, action: (error('DENIED', 'invalid token'), 'application/json'),
        'token_body': lambda token: {'token': token},
        'token_denied': (403, error('DENIED', 'requested access to the resource is denied'), 'application/json'),
        'wrong_password': (403, error('DENIED', 'denied'), 'application/json'),
        'redirect': (307, '/ghcr1/blobs/sha256:{hex}?se=2026-11-26T12%3A00%3A00Z&sig={secret}%3D&sp=r&spr=https&sr=b'),
        'two_ways': (400, AZURE_TWO_WAYS), 'cdn_head': False, 'accept_needed': True,
        'location': '/v2/{repository}/blobs/upload/{id}',
    },
    'quay.io': {
        'service': 'quay.io', 'token_path': '/v2/auth', 'open': True,
        'unauthorized': lambda name, action: (('true', 'text/html; charset=utf-8') if not name else (error(
            'UNAUTHORIZED', 'access to the requested resource is not authorized', detail={}), 'application/json')),
        'token_body': lambda token: {'token': token},
        'wrong_password': (401, '<!DOCTYPE html>\n<title>401 Unauthorized</title><h1>Unauthorized</h1>\n',
                           'text/html; charset=utf-8'),
        'redirect': (302, '/quayio-production-s3/sha256/{hex2}/{hex}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential='
                     'AKIA%2F20261126%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Expires=600&X-Amz-Signature={secret}'),
        'search': True,
    },
    # Basic credentials for everything, no digest in the header, and a Range that stays where it was.
    'ecr': {
        'basic': True, 'ping': 'Basic realm="{registry}/",service="ecr.amazonaws.com"',
        'challenge': 'Basic realm="{registry}/",service="ecr.amazonaws.com"',
        'unauthorized': lambda name, action: ('Not Authorized\n', 'text/plain; charset=utf-8'),
        'digest_header': False, 'mounts': False, 'location': '{registry}/v2/{repository}/blobs/uploads/{id}',
        'range': lambda first, end: f'0-{max((first or end) - 1, 0)}',
    },
    # Two ways, words in other letters, quoted pairs, parameters nobody knows.
    'artifactory': {
        'service': 'art,"fact"ory', 'head': False,
        'ping': ['bearer  error="x, y" ,Realm="{realm}" , SERVICE="{quoted}"', 'Basic realm="Artifactory Realm"'],
        'challenge': ['bearer  error="x, y" ,Realm="{realm}" , SERVICE="{quoted}",scope="repository:{repository}:{actions}"',
                      'Basic realm="Artifactory Realm"'],
        'token_body': lambda token: {'access_token': token, 'expires_in': 3600, 'scope': None},
        'range': lambda first, end: f'bytes=0-{max(end - 1, 0)}', 'location': '{path}/{id}',
    },
    # All challenges in one line, the one that is meant last (RFC 9110 11.6.1); skopeo does not read this.
    'joined': {
        'referrers': True, 'ping': 'Negotiate, Basic realm="a, b", Bearer realm="{realm}",service="{service}"',
        'challenge': 'Negotiate, Basic realm="a, b", Bearer realm="{realm}",service="{service}",'
                     'scope="repository:{repository}:{actions}"',
    },
    # Red Hat's: neither a digest in the header nor HEAD, and a registry that is open.
    'redhat': {'open': True, 'digest_header': False, 'head': False, 'redirect': (302, '/cdn/{hex}?_auth_=exp={secret}'),
               'range': lambda first, end: None},
}


class Content:
    """Blobs, manifests and tags of all repositories."""

    def __init__(self):
        self.blobs, self.manifests, self.tags = {}, {}, {}

    def add(self, repository, tag, layout):
        """A layout's image under this tag (all that its index.json lists, if the tag is None)."""
        with open(f'{layout}/index.json') as f:
            rows = json.load(f)['manifests']
        names = os.listdir(f'{layout}/blobs/sha256')
        for name in names:
            with open(f'{layout}/blobs/sha256/{name}', 'rb') as f:
                data = f.read()
            self.blobs['sha256:' + name] = data
            media = self._media(data)
            if media:
                self.manifests['sha256:' + name] = (data, media)
        for row in rows if tag is None else rows[:1]:
            self.tags[repository, tag or row['annotations']['org.opencontainers.image.ref.name']] = row['digest']

    @staticmethod
    def _media(data):
        try:
            value = json.loads(data)
            return value.get('mediaType') if isinstance(value, dict) and 'schemaVersion' in value else None
        except ValueError:
            return None

    def manifest(self, repository, reference):
        digest = reference if ':' in reference else self.tags.get((repository, reference))
        return (digest, *self.manifests[digest]) if digest in self.manifests else None


class _Part(Server):
    """Token server or CDN of a registry."""

    def __init__(self, answer, tls, address):
        self._handler = answer
        super().__init__(tls, address)

    def handle(self, exchange):
        self._handler(exchange)


class Quirks(Server):
    """kind: a row of TABLE; more: what this one does in another way. public, private: repository → {tag: layout};
    users may read and write all. limit: manifests that are given before 429."""

    def __init__(self, kind, public=None, private=None, users=None, tls=None, limit=None, retry_after=None, **more):
        self.kind, self.table, self.content, self.users = kind, USUAL | TABLE[kind] | more, Content(), users or {}
        self.public, self.limit, self.left, self.retry_after = set(public or ()), limit, limit, retry_after
        self.tokens, self.uploads, self.secret = {}, {}, secrets.token_hex(8)
        for repository, tags in list((public or {}).items()) + list((private or {}).items()):
            for tag, layout in tags.items():
                self.content.add(repository, tag, layout)
        self.token = _Part(self._token, tls, '127.0.0.1')
        # Another host, not just another port: credentials of one port may be thought good for the next.
        self.cdn = _Part(self._cdn, tls, '127.0.0.2')
        super().__init__(tls)

    def close(self):
        super().close()
        self.token.close()
        self.cdn.close()

    def __getitem__(self, name):
        return self.table[name]

    # ---- who may do what ----

    def _words(self, repository, actions):
        service = self['service']
        return {'realm': self.token.url + self['token_path'], 'service': service, 'registry': self.url,
                'quoted': service.replace('\\', '\\\\').replace('"', '\\"'), 'repository': repository, 'actions': actions}

    def _challenge(self, exchange, repository, action, insufficient=False):
        actions = 'pull' if action == 'pull' else 'pull,push'
        lines = self['challenge' if repository else 'ping']
        lines = [line.format(**self._words(repository, actions)) for line in ([lines] if isinstance(lines, str) else lines)]
        if insufficient and lines[0].startswith('Bearer'):
            lines[0] += ',error="insufficient_scope"'
        body, kind = self['unauthorized'](repository, action)
        exchange.answer(401, body, [('WWW-Authenticate', line) for line in lines]
                        + [('Docker-Distribution-Api-Version', 'registry/2.0')], kind)

    def _basic(self, exchange):
        """Name of the user of basic credentials; None: wrong ones, '': none."""
        kind, _, value = exchange.headers.get('Authorization', '').partition(' ')
        if kind.lower() != 'basic':
            return ''
        name, _, word = base64.b64decode(value).decode().partition(':')
        return name if self.users.get(name) == word else None

    def _allowed(self, exchange, repository, action):
        """True where it may; otherwise the refusal has been sent."""
        if self['open'] and action == 'pull' and repository in self.public:
            return True
        shown = exchange.headers.get('Authorization', '')
        if self['basic']:
            if self._basic(exchange):
                return True
        elif shown[:7].lower() == 'bearer ':
            until, access = self.tokens.get(shown[7:], (0, None))
            if until > time.monotonic() and (not repository or action in access.get(repository, ())):
                return True
            if self['refused'] != 401:
                body, kind = self['bad_token'](repository, action)
                exchange.answer(self['refused'], body, (), kind)
                return False
            self._challenge(exchange, repository, action, until > time.monotonic())
            return False
        self._challenge(exchange, repository, action)
        return False

    def _token(self, exchange):
        if exchange.path != self['token_path'] or exchange.method != 'GET':
            exchange.whole_body()
            exchange.answer(404 if exchange.method == 'GET' else 405, '<h1>not here</h1>', (), 'text/html')
            return
        user = self._basic(exchange)
        if user is None or exchange.query.get('service') != [self['service']]:
            status, body, kind = self['wrong_password'] if user is None else (400, error('X', 'no such service'),
                                                                              'application/json')
            exchange.answer(status, body, (), kind)
            return
        access = {}
        for scope in ' '.join(exchange.query.get('scope', [])).split():
            _, name, actions = scope.split(':')
            granted = set(actions.split(',')) & ({'pull', 'push'} if user else {'pull'} if name in self.public else set())
            if granted:
                access[name] = access.get(name, set()) | granted
        if exchange.query.get('scope') and not access and self['token_denied']:
            status, body, kind = self['token_denied']
            exchange.answer(status, body, (), kind)
            return
        token = base64.urlsafe_b64encode(secrets.token_bytes(24)).decode() + '==='  # also in the alphabet of tokens
        self.tokens[token] = (time.monotonic() + self['life'], access)
        exchange.answer(200, self['token_body'](token))

    # ---- the registry ----

    def handle(self, exchange):
        path = exchange.path
        if self['search'] and path == '/v1/search':
            self._search(exchange)
        elif path.rstrip('/') == '/v2':
            if self._allowed(exchange, '', 'pull'):
                exchange.answer(200, {}, {'Docker-Distribution-Api-Version': 'registry/2.0'})
        elif self['referrers'] and (m := re.fullmatch(r'/v2/(.+)/referrers/([^/]+)', path)):
            if self._allowed(exchange, m[1], 'pull'):
                self._referrers(exchange, m[1], m[2])
        elif (m := re.fullmatch(r'/v2/(.+)/(manifests|blobs|tags)/([^/]+)', path)) and m[3] not in ('upload', 'uploads'):
            writes = exchange.method in ('PUT', 'DELETE', 'PATCH', 'POST')
            if self._allowed(exchange, m[1], 'push' if writes else 'pull'):
                getattr(self, '_' + m[2])(exchange, m[1], urllib.parse.unquote(m[3]))
        elif m := re.fullmatch(r'/v2/(.+)/blobs/uploads?/([^/]*)', path):
            if self._allowed(exchange, m[1], 'push'):
                self._upload(exchange, m[1], m[2])
        else:
            exchange.answer(404, '<html><h1>404</h1></html>', (), 'text/html')

    def _search(self, exchange):
        word = exchange.query.get('q', [''])[0]
        size = min(int(exchange.query.get('n', ['25'])[0]), 100)
        names = sorted(name.removeprefix('library/') for name in self.public if word in name)
        exchange.answer(200, {'num_pages': 1, 'num_results': len(names), 'page_size': size, 'page': 1, 'query': word,
                              'results': [{'name': name, 'description': f'the image {name}', 'star_count': 7,
                                           'pull_count': 99, 'is_trusted': False, 'is_automated': False,
                                           'is_official': '/' not in name} for name in names[:size]]})

    def _tags(self, exchange, repository, _):
        names = sorted(tag for name, tag in self.content.tags if name == repository)
        if not names:
            exchange.answer(404, error('NAME_UNKNOWN', 'repository name not known to registry'))
            return
        # One page holds two names, and the link to the next is a relative one.
        last, size = exchange.query.get('last', [''])[0], min(int(exchange.query.get('n', ['2'])[0]), 2)
        names = [name for name in names if name > last]
        more = {'Link': f'</v2/{repository}/tags/list?last={names[size - 1]}&n={size}>; rel="next"'} \
            if len(names) > size else {}
        exchange.answer(200, {'name': repository, 'tags': names[:size]}, more)

    def _referrers(self, exchange, repository, digest):
        rows = [{'mediaType': media, 'digest': name, 'size': len(data)}
                | {k: v for k, v in json.loads(data).items() if k in ('artifactType', 'annotations')}
                for name, (data, media) in self.content.manifests.items()
                if json.loads(data).get('subject', {}).get('digest') == digest]
        wanted = exchange.query.get('artifactType')
        rows = [row for row in rows if not wanted or row.get('artifactType') in wanted]
        exchange.answer(200, {'schemaVersion': 2, 'mediaType': INDEX, 'manifests': rows},
                        {'Content-Type': INDEX} | ({'OCI-Filters-Applied': 'artifactType'} if wanted else {}))

    def _manifests(self, exchange, repository, reference):
        if exchange.method == 'PUT':
            data = exchange.whole_body()
            digest = 'sha256:' + hashlib.sha256(data).hexdigest()
            # All that it lists must be here; its subject may come later.
            listed = json.dumps({k: v for k, v in json.loads(data).items() if k != 'subject'})
            missing = [d for d in re.findall(r'"digest": "(sha256:\w+)"', listed) if d not in self.content.blobs]
            if missing:
                exchange.answer(400, error('MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry', detail=missing[0]))
                return
            self.content.blobs[digest] = data
            self.content.manifests[digest] = (data, exchange.headers.get('Content-Type'))
            if ':' not in reference:
                self.content.tags[repository, reference] = digest
            subject = json.loads(data).get('subject', {}).get('digest')
            exchange.answer(201, b'', {'Location': f'/v2/{repository}/manifests/{digest}', 'Docker-Content-Digest': digest}
                            | ({'OCI-Subject': subject} if subject and self['referrers'] else {}))
            return
        if exchange.method == 'HEAD' and not self['head']:
            exchange.answer(405, '<h1>Method Not Allowed</h1>', {'Allow': 'GET'}, 'text/html')
            return
        spent = self.limit is not None and exchange.method == 'GET' and self.left == 0
        if self.limit is not None and exchange.method == 'GET' and self.left:
            self.left -= 1
        limits = {k: v.format(left=self.left) for k, v in (self['limits'] or {}).items()} if self.limit is not None else {}
        if spent:
            exchange.answer(429, PULL_LIMIT, limits | ({'Retry-After': str(self.retry_after)} if self.retry_after else {}))
            return
        found = self.content.manifest(repository, reference)
        if found and self['accept_needed'] and 'index' in found[2] and found[2] not in exchange.headers.get('Accept', ''):
            exchange.answer(404, error('MANIFEST_UNKNOWN', 'OCI index found, but Accept header does not support OCI indexes'))
        elif not found:
            exchange.answer(404, error('MANIFEST_UNKNOWN', 'manifest unknown', detail={'Tag': reference}))
        else:
            digest, data, media = found
            named = {'Docker-Content-Digest': digest, 'ETag': f'"{digest}"'} if self['digest_header'] else {}
            exchange.answer(200, data, named | limits | {'Content-Type': media})

    def _blobs(self, exchange, repository, digest):
        data = self.content.blobs.get(digest)
        if data is None:
            exchange.answer(404, error('BLOB_UNKNOWN', 'blob unknown to registry'))
        elif self['redirect'] and exchange.method == 'GET':
            status, path = self['redirect']
            hexes = digest.removeprefix('sha256:')
            exchange.answer(status, b'', {'Location': self.cdn.url + path.format(hex=hexes, hex2=hexes[:2],
                                                                                 secret=self.secret)})
        else:
            self._bytes(exchange, data)

    def _cdn(self, exchange):
        found = re.search(r'[0-9a-f]{64}', exchange.path)
        if 'Authorization' in exchange.headers:
            status, body = self['two_ways']
            exchange.answer(status, body, (), 'application/xml')
        elif not found or self.secret not in exchange.target or (exchange.method == 'HEAD' and not self['cdn_head']):
            exchange.answer(403, '<Error><Code>SignatureDoesNotMatch</Code></Error>', (), 'application/xml')
        else:
            self._bytes(exchange, self.content.blobs['sha256:' + found[0]])

    @staticmethod
    def _bytes(exchange, data):
        wanted = re.fullmatch(r'bytes=(\d+)-(\d*)', exchange.headers.get('Range', ''))
        kind = {'Content-Type': 'application/octet-stream', 'Accept-Ranges': 'bytes'}
        if wanted and int(wanted[1]) < len(data):
            first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
            exchange.answer(206, data[first:last + 1], kind | {'Content-Range': f'bytes {first}-{last}/{len(data)}'})
        elif wanted:
            exchange.answer(416, b'', {'Content-Range': f'bytes */{len(data)}'})
        else:
            exchange.answer(200, data, kind)

    # ---- uploads ----

    def _where(self, repository, number):
        words = self._words(repository, '') | {'id': number, 'state': secrets.token_urlsafe(6) + '%3D%3D',
                                               'path': f'/v2/{repository}/blobs/uploads'}
        return self['location'].format(**words)

    def _upload(self, exchange, repository, number):
        digest = exchange.query.get('digest', [''])[0]
        if exchange.method == 'POST':
            mount = exchange.query.get('mount', [''])[0]
            exchange.whole_body()
            if mount and self['mounts'] and mount in self.content.blobs:
                exchange.answer(201, b'', {'Location': f'/v2/{repository}/blobs/{mount}', 'Docker-Content-Digest': mount})
                return
            number = ''.join(secrets.choice(string.ascii_lowercase) for _ in range(16))
            self.uploads[number] = [bytearray(), 0]
            self._state(exchange, repository, number, 202)
        elif number not in self.uploads:
            exchange.whole_body()
            exchange.answer(404, error('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry'))
        elif exchange.method == 'GET':
            self._state(exchange, repository, number, 204)
        elif exchange.method == 'DELETE':
            del self.uploads[number]
            exchange.answer(204)
        else:
            self._take(exchange, repository, number, digest)

    def _state(self, exchange, repository, number, status):
        data, first = self.uploads[number]
        exchange.answer(status, b'', Headers({'Location': self._where(repository, number)}).replaced(
            {'Range': self['range'](first, len(data)), 'Docker-Upload-UUID': number}))

    def _take(self, exchange, repository, number, digest):
        """PATCH or PUT with a part, or with all."""
        data, first = self.uploads[number]
        wanted = re.fullmatch(r'(?:bytes[ =])?(\d+)-(\d+)(?:/.*)?', exchange.headers.get('Content-Range', ''))
        if wanted and int(wanted[1]) != len(data):
            exchange.whole_body()
            self._state(exchange, repository, number, 416)
            return
        for block in exchange.body():
            data += block
        self.uploads[number][1] = first or len(data)
        if exchange.method == 'PATCH':
            self._state(exchange, repository, number, 202)
        elif 'sha256:' + hashlib.sha256(data).hexdigest() != digest:
            exchange.answer(400, error('DIGEST_INVALID', 'provided digest did not match uploaded content'))
        else:
            self.content.blobs[digest] = bytes(data)
            del self.uploads[number]
            exchange.answer(201, b'', {'Location': f'/v2/{repository}/blobs/{digest}', 'Docker-Content-Digest': digest})
