# SPDX-License-Identifier: Apache-2.0
"""A server of tokens for the real registry (docker's token authentication): GET with basic credentials or without,
and OAuth2's POST with a password or a refresh token. It grants what the account may do, and no more.

    rights = {'': {'public/.*': 'pull'}, 'ann': {'.*': 'pull,push'}}        '' is who has no account
"""
import base64
import hashlib
import json
import os
import re
import secrets
import subprocess
import time
import urllib.parse

from .httpd import Server

LEEWAY = 60  # seconds that docker-registry still takes a token after its end


def _plain64(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


class TokenRequest:
    """What was asked and what was given."""

    def __init__(self, method, form):
        self.method, self.service = method, form.get('service', [''])[0]
        self.scopes = [scope for text in form.get('scope', []) for scope in text.split()]
        self.grant_type, self.client_id = form.get('grant_type', [''])[0], form.get('client_id', [''])[0]
        self.offline = form.get('offline_token', [''])[0] == 'true' or form.get('access_type', [''])[0] == 'offline'
        self.account, self.user, self.granted, self.status = form.get('account', [''])[0], None, [], 0

    def __repr__(self):
        return (f'<{self.method} {self.grant_type} by {self.user!r} for {self.scopes}: {self.status}, {self.granted}'
                + (', offline' if self.offline else '') + '>')


class TokenServer(Server):
    """expires_in: what tokens say of their life, and (life) what it really is, both in seconds; form: in which member
    the token stands: token, access_token or both; say_expiry False: expires_in is left out. All may be changed
    while it runs."""

    def __init__(self, folder, users=None, rights=None, expires_in=300, life=None, service='the.tests', tls=None,
                 address='127.0.0.1', path='/token'):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.users, self.rights = folder, users or {}, rights or {'': {'.*': 'pull,push'}}
        self.expires_in, self.life, self.service, self.issuer = expires_in, life, service, 'tests of monocore'
        self.form, self.say_expiry, self.offers_refresh, self.takes_post = 'both', True, True, True
        self.token_path, self.asked, self.refresh, self.issued = path, [], {}, 0
        self.key, self.certificate = f'{folder}/token.key', f'{folder}/token.pem'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=tokens',
                        '-keyout', self.key, '-out', self.certificate], check=True, capture_output=True)
        public = subprocess.run(['openssl', 'pkey', '-in', self.key, '-pubout', '-outform', 'DER'], check=True,
                                capture_output=True).stdout
        # The name of a key, as docker's libtrust makes it: 240 bits of its SHA-256 in base32, in groups of four.
        name = base64.b32encode(hashlib.sha256(public).digest()[:30]).decode()
        self.key_name = ':'.join(name[i:i + 4] for i in range(0, len(name), 4))
        super().__init__(tls, address)

    @property
    def realm(self):
        return self.url + self.token_path

    def may(self, user, repository):
        """Set of actions that a user has on a repository; everybody has what those without an account have."""
        actions = set()
        for who in {user, ''}:
            for pattern, allowed in self.rights.get(who, {}).items():
                if re.fullmatch(pattern, repository):
                    actions |= set(allowed.split(','))
        return actions

    def token(self, user, access, life=None):
        """A JWT in RS256 for this access list."""
        now = int(time.time())
        self.issued += 1
        if life is None:
            life = self.expires_in if self.life is None else self.life
        claims = {'iss': self.issuer, 'sub': user, 'aud': self.service, 'nbf': now - 10 - LEEWAY, 'iat': now - LEEWAY,
                  'exp': int(now + life - LEEWAY), 'jti': secrets.token_hex(8), 'access': access}
        header = {'typ': 'JWT', 'alg': 'RS256', 'kid': self.key_name}
        text = '.'.join(_plain64(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', self.key], input=text.encode(), check=True,
                                   capture_output=True).stdout
        return f'{text}.{_plain64(signature)}'

    # ---- requests ----

    def handle(self, exchange):
        if exchange.path != self.token_path:
            exchange.answer(404, {'details': 'no such page'})
        elif exchange.method == 'GET':
            self._answer(exchange, TokenRequest('GET', exchange.query), self._basic(exchange))
        elif exchange.method == 'POST' and self.takes_post:
            form = urllib.parse.parse_qs(exchange.whole_body().decode(), keep_blank_values=True)
            self._answer(exchange, TokenRequest('POST', form), self._oauth(form))
        else:
            exchange.whole_body()
            exchange.answer(405, {'details': 'use GET'})

    def _basic(self, exchange):
        """The user's name; '' without credentials, None where they are wrong."""
        text = exchange.headers.get('Authorization')
        if not text:
            return ''
        kind, _, value = text.partition(' ')
        try:
            name, _, word = base64.b64decode(value).decode().partition(':')
        except ValueError:
            return None
        if kind.lower() == 'basic' and name == '<token>':  # docker's form of an identity token over GET
            return self.refresh.get(word)
        return name if kind.lower() == 'basic' and self.users.get(name) == word else None

    def _oauth(self, form):
        kind = form.get('grant_type', [''])[0]
        if kind == 'password':
            name = form.get('username', [''])[0]
            return name if name in self.users and self.users[name] == form.get('password', [''])[0] else None
        if kind == 'refresh_token':
            return self.refresh.get(form.get('refresh_token', [''])[0])
        return None

    def _answer(self, exchange, request, user):
        request.user = user
        with self.lock:
            self.asked.append(request)
        if user is None or request.service != self.service:
            request.status = 401 if user is None else 400
            exchange.answer(request.status, {'details': 'incorrect username or password' if user is None
                                             else 'no such service'})
            return
        access = []
        for scope in request.scopes:
            kind, _, rest = scope.partition(':')
            name, _, actions = rest.rpartition(':')
            allowed = sorted(self.may(user, name) & set(actions.split(','))) if kind == 'repository' else \
                (['*'] if kind == 'registry' and user else [])
            if allowed:
                access.append({'type': kind, 'name': name, 'actions': allowed})
                request.granted.append(f'{kind}:{name}:{",".join(allowed)}')
        request.status = 200
        exchange.answer(200, self._body(request, user, self.token(user, access)), {'Cache-Control': 'no-store'})

    def _body(self, request, user, token):
        body = {}
        if self.form in ('token', 'both'):
            body['token'] = token
        if self.form in ('access_token', 'both'):
            body['access_token'] = token
        if self.say_expiry:
            body['expires_in'] = self.expires_in
            body['issued_at'] = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
        if request.method == 'POST':
            body['scope'] = ' '.join(request.granted)
        if user and self.offers_refresh and (request.offline or request.grant_type == 'refresh_token'):
            value = secrets.token_urlsafe(24)
            self.refresh[value] = user
            body['refresh_token'] = value
        return body
