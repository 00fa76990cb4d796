#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who we are at a registry: basic accounts and tokens, scopes, refresh tokens, tokens that end in mid-pull, docker's
config.json and credential helpers; and that nobody else learns of it."""
import atexit
import base64
import json
import os
import shutil
import stat
import tempfile

from harness import httpd, oci_images, tap
from harness.program import PROGRAM
from harness.proxy import Proxy
from harness.puller import Puller
from harness.registry import Registry
from harness.tap import contains, equal, promise, true
from harness.terminal import Terminal
from harness.token_server import TokenServer

folder = tempfile.mkdtemp(prefix='mc-auth-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
USERS = {'ann': 'a secret: with "signs" & ü', 'bob': 'b'}
RIGHTS = {'': {'public/.*': 'pull'}, 'ann': {'.*': 'pull,push'}, 'bob': {'bob/.*': 'pull'}}
tokens = TokenServer(f'{folder}/tokens', USERS, RIGHTS)
closed = Registry(f'{folder}/closed', tokens=tokens)
basic = Registry(f'{folder}/basic', users=USERS)
opened, homes = [tokens, closed, basic], 0
path = oci_images.image(f'{folder}/image', [oci_images.random_layer(f'r{i}', 300_000) for i in range(3)])
ANN, BOB = ('ann', USERS['ann']), ('bob', 'b')


def token_for(user, repository):
    return tokens.token(user, [{'type': 'repository', 'name': repository, 'actions': ['pull', 'push']}], 600)


for place in ('public/x', 'bob/y', 'ann/z'):
    DIGEST = oci_images.push(path, closed, place, user=token_for('ann', place))
oci_images.push(path, basic, 'team/app', user=ANN)


def home(*who, server=None):
    """A new home; who: these users' credentials in docker's config.json."""
    global homes
    homes += 1
    mono = Puller(f'{folder}/home{homes}')
    if who:
        mono.credentials(auths={(server or closed).host: {'auth': auth(who[0])}})
    return mono


def auth(user):
    return base64.b64encode(':'.join(user).encode()).decode()


def finish():
    lines = [line for server in opened for line in getattr(server, 'failures', [])]
    for server in opened:
        server.close()
    return lines


def asked():
    """What the token server was asked since the last time."""
    seen, tokens.asked = tokens.asked, []
    return seen


def pulls(mono, repository, server=closed):
    return mono('pull', '-q', f'{server.host}/{repository}')


@promise('basic accounts: the right password pulls, a wrong one and none say what to do')
def _():
    place = f'{basic.host}/team/app'
    pulls(home(ANN, server=basic), 'team/app', basic).ok()
    for mono in (home(), home(('ann', 'wrong'), server=basic)):
        mono('pull', place).ok(1).says('login', basic.host)
        equal(mono.listed(), {})


@promise('an anonymous token pulls what is public, and what is not is refused with a way out')
def _():
    mono = home()
    asked()
    pulls(mono, 'public/x').ok()
    rows = asked()
    equal({(r.user, r.method) for r in rows}, {('', 'GET')})
    equal({scope for r in rows for scope in r.scopes}, {'repository:public/x:pull'})
    mono('pull', f'{closed.host}/bob/y').ok(1).says('login', closed.host)


@promise('credentials get a token for what is asked and no more; one token serves a whole pull')
def _():
    mono = home(BOB)
    asked()
    pulls(mono, 'bob/y').ok()
    rows = asked()
    equal([(r.user, r.scopes, r.status) for r in rows], [('bob', ['repository:bob/y:pull'], 200)])
    mono('pull', f'{closed.host}/ann/z').ok(1).says('ann/z')
    home(('bob', 'wrong'))('pull', f'{closed.host}/bob/y').ok(1).says('login')


@promise('every form of a token server\'s answer: token, access_token, without an expiry')
def _():
    for form in ('token', 'access_token', 'both'):
        for tokens.say_expiry in (True, False):
            tokens.form = form
            pulls(home(BOB), 'bob/y').ok()
    tokens.form, tokens.say_expiry = 'both', True


@promise('tokens that end in mid-pull are got anew, and no byte comes twice for it')
def _():
    proxy = Proxy(closed, rate=350_000)
    opened.append(proxy)
    mono = home()
    mono.credentials(auths={proxy.host: {'auth': auth(BOB)}})
    asked()
    for tokens.expires_in, tokens.life in ((1, 1), (300, 1), (2, 2)):
        mono = home()
        mono.credentials(auths={proxy.host: {'auth': auth(BOB)}})
        proxy.forget()
        mono('pull', '-q', f'{proxy.host}/bob/y').ok()
        sent = sum(r.sent for r in proxy.seen('GET .*/blobs/') if r.status in (200, 206))
        true(sent < 950_000, f'{sent} bytes came')
    true(len(asked()) >= 4, 'a token was got again')
    tokens.expires_in, tokens.life = 300, None


@promise('an identity token is exchanged by POST, and what replaces it is used')
def _():
    refresh = 'the refresh token of bob'
    tokens.refresh[refresh] = 'bob'
    mono = home()
    mono.credentials(auths={closed.host: {'auth': auth(('<token>', '')), 'identitytoken': refresh}})
    asked()
    pulls(mono, 'bob/y').ok()
    rows = asked()
    equal([(r.method, r.grant_type, r.user) for r in rows], [('POST', 'refresh_token', 'bob')])
    true(rows[0].client_id, 'OAuth2 wants the name of a client')
    del tokens.refresh[refresh]
    home_of_other = home()
    home_of_other.credentials(auths={closed.host: {'identitytoken': 'one that has ended'}})
    pulls(home_of_other, 'bob/y').ok(1).says('login')


@promise('a registry token is sent as it is, and no token server is asked')
def _():
    mono = home()
    mono.credentials(auths={closed.host: {'registrytoken': token_for('bob', 'bob/y')}})
    asked()
    pulls(mono, 'bob/y').ok()
    equal(asked(), [])


@promise('login checks before it keeps; the password comes by standard input and stands in no argument')
def _():
    mono = home()
    mono('login', '-u', 'ann', '--password-stdin', closed.host, input=b'wrong\n').ok(1)
    equal(mono.docker_config(), {})
    mono('login', '-u', 'ann', '--password-stdin', closed.host, input=ANN[1].encode() + b'\n').ok()
    config = mono.docker_config()
    equal(list(config['auths']), [closed.host])
    mode = stat.S_IMODE(os.stat(f'{mono.docker}/config.json').st_mode)
    equal(mode, 0o600)
    pulls(mono, 'ann/z').ok()
    mono('logout', closed.host).ok()
    equal(mono.docker_config().get('auths', {}), {})
    pulls(mono, 'ann/z').ok(1)
    mono('logout', closed.host)
    # Basic accounts, too.
    mono('login', '-u', 'bob', '--password-stdin', basic.host, input=b'b').ok()
    pulls(mono, 'team/app', basic).ok()


@promise('what docker or skopeo has kept is read, and what login keeps they read; other members stay')
def _():
    mono = home()
    mono.credentials(auths={'other.test': {'auth': 'eDp5'}}, HttpHeaders={'X': 'y'}, detachKeys='ctrl-e', psFormat='x')
    mono('login', '-u', 'bob', '--password-stdin', closed.host, input=b'b').ok()
    config = mono.docker_config()
    equal((config['HttpHeaders'], config['detachKeys'], config['auths']['other.test']),
          ({'X': 'y'}, 'ctrl-e', {'auth': 'eDp5'}))
    oci_images.skopeo('inspect', '--tls-verify=false', f'docker://{closed.host}/bob/y', env={'DOCKER_CONFIG': mono.docker,
                      'REGISTRY_AUTH_FILE': f'{mono.docker}/config.json'})
    other = home()
    oci_images.skopeo('login', '--tls-verify=false', '-u', 'bob', '-p', 'b', '--authfile', f'{other.docker}/config.json',
                      closed.host)
    pulls(other, 'bob/y').ok()


@promise('login asks on a terminal, and does not show the password')
def _():
    mono = home()
    with Terminal([PROGRAM, 'login', closed.host], mono.env) as terminal:
        terminal.expect('[Uu]ser')
        terminal.send('bob\n')
        terminal.expect('[Pp]assword')
        terminal.send('b\n')
        equal(terminal.wait(), 0)
        true(terminal.restored(), 'the terminal is as it was')
    contains(json.dumps(mono.docker_config()), closed.host)
    home()('login', closed.host).ok(1).says('terminal')


HELPER = '''#!/bin/sh
# A credential helper of docker's protocol that keeps what it is given in a file for each server.
name=$(cat)
echo "$1" >>"$HELPER_FOLDER/log"
case $1 in
store) server=$(echo "$name" | sed 's/.*"ServerURL" *: *"\\([^"]*\\)".*/\\1/') ;;
*) server=$name ;;
esac
file=$HELPER_FOLDER/$(echo "$server" | tr -c 'a-z0-9.\\n' _)
case $1 in
get) test -f "$file" || { echo "credentials not found in native keychain"; exit 1; }
     cat "$file" ;;
store) echo "$name" >"$file" ;;
erase) rm "$file" ;;
esac
'''


def helper(mono, name, text=HELPER):
    kept = f'{mono.home}.helper'
    os.makedirs(f'{kept}/bin', exist_ok=True)
    with open(f'{kept}/bin/docker-credential-{name}', 'w') as f:
        f.write(text)
    os.chmod(f'{kept}/bin/docker-credential-{name}', 0o755)
    mono.env |= {'HELPER_FOLDER': kept, 'PATH': f'{kept}/bin:{mono.env["PATH"]}'}
    return kept


@promise('credential helpers keep what login gives them, and config.json holds no secret then')
def _():
    mono = home()
    kept = helper(mono, 'tests')
    mono.credentials(credsStore='tests')
    mono('login', '-u', 'bob', '--password-stdin', closed.host, input=b'b').ok()
    true('Ymo' not in json.dumps(mono.docker_config()), 'no secret in the file')
    pulls(mono, 'bob/y').ok()
    mono('logout', closed.host).ok()
    with open(f'{kept}/log') as f:
        equal(set(f.read().split()), {'get', 'store', 'erase'})
    pulls(mono, 'bob/y').ok(1)


@promise('a helper for one registry, an identity token from one, and helpers that fail or hang')
def _():
    mono = home()
    helper(mono, 'one', '#!/bin/sh\ncat >/dev/null; echo \'{"ServerURL":"x","Username":"bob","Secret":"b"}\'\n')
    mono.credentials(credHelpers={closed.host: 'one'}, credsStore='missing')
    pulls(mono, 'bob/y').ok()
    tokens.refresh['from a helper'] = 'bob'
    mono = home()
    helper(mono, 'one', '#!/bin/sh\ncat >/dev/null; echo \'{"ServerURL":"x","Username":"<token>","Secret":"from a helper"}\'\n')
    mono.credentials(credHelpers={closed.host: 'one'})
    asked()
    pulls(mono, 'bob/y').ok()
    equal([r.grant_type for r in asked()], ['refresh_token'])
    for text, words in (('#!/bin/sh\necho broken; exit 3\n', ('docker-credential-one',)),
                        ('#!/bin/sh\necho no json\n', ('docker-credential-one',)),
                        ('#!/bin/sh\nyes\n', ('docker-credential-one',))):
        mono = home()
        helper(mono, 'one', text)
        mono.credentials(credHelpers={closed.host: 'one'})
        mono('pull', f'{closed.host}/bob/y').ok(1).says(*words)


@promise('a config.json that is none is named, with where it is wrong')
def _():
    for text in ('{', '[]', '{"auths": 7}', '{"auths": {"%s": {"auth": "***"}}}' % closed.host):
        mono = home()
        with open(f'{mono.docker}/config.json', 'w') as f:
            f.write(text)
        mono('pull', f'{closed.host}/bob/y').ok(1).says('config.json')


@promise('credentials go to the registry and its token server, and to nobody that these lead to')
def _():
    stranger = Proxy(closed, address='127.0.0.2')
    front = Proxy(closed)
    opened.extend([stranger, front])
    mono = home()
    mono.credentials(auths={front.host: {'auth': auth(BOB)}})
    # Manifests and blobs that are elsewhere.
    front.fault('GET .*/(blobs|manifests)/', times=None, redirect=lambda x: stranger.url + x.target)
    mono('pull', '-q', f'{front.host}/bob/y')
    true(stranger.requests, 'the redirect was followed')
    equal([r.authorization for r in stranger.requests if r.authorization], [])
    # A token server over plain HTTP that a registry with TLS names.
    authority = httpd.Authority(f'{folder}/ca')
    with Proxy(closed, tls=authority.server()) as secure:
        mono = home()
        mono.configure({secure.host: {'plain_http': False, 'ca_file': authority.certificate}})
        mono.credentials(auths={secure.host: {'auth': auth(BOB)}})
        asked()
        mono('pull', f'{secure.host}/bob/y').ok(1)
        equal([r.user for r in asked() if r.user], [], 'a password went over plain HTTP')


@promise('a realm that is no server of tokens: files, circles, HTML, a token of 10 MB, one that never does')
def _():
    front = Proxy(closed)
    opened.append(front)
    for realm in ('file:///etc/passwd', 'gopher://127.0.0.1/', '', 'x' * 9000, front.url + '/v2/', registry_page()):
        front.heal()
        front.fault('/v2/', times=None, status=401, body='{}', headers={
            'WWW-Authenticate': f'Bearer realm="{realm}",service="x",scope="repository:bob/y:pull"'})
        mono = home()
        mono.credentials(auths={front.host: {'auth': auth(BOB)}})
        answer, memory = mono.measured('pull', f'{front.host}/bob/y')
        answer.ok(1)
        true(memory < 100 and len(front.requests) < 40, f'{realm[:60]}: {memory:.0f} MiB, {len(front.requests)} requests')
    for header in ('Bearer', 'Bearer realm=', 'Bearer realm="', 'Digest realm="x"', 'Basic', ',,,,', 'Bearer ' + 'a="b",' * 3000):
        front.heal()
        front.fault('/v2/', times=None, status=401, body='{}', headers={'WWW-Authenticate': header})
        answer = home()('pull', f'{front.host}/bob/y').ok(1)
        true(len(front.requests) < 40, f'{header[:60]}: {len(front.requests)} requests: {answer}')


class Page(httpd.Server):
    """A server of tokens with something else in its answers, one after the other."""
    BODIES = (b'<html>', b'{}', b'{"token": 7}', b'{"token": ""}', b'{"token": "%s"}' % (b'a' * 10_000_000),
              b'{"token": "a\\r\\nX-Evil: 1"}', b'[' * 200_000)

    def handle(self, exchange):
        exchange.answer(200, self.BODIES[len(self.requests) % len(self.BODIES)])


def registry_page():
    page = Page()
    opened.append(page)
    return page.url + '/token'


@promise('answers of a token server that are none are an error, each of them')
def _():
    page, front = Page(), Proxy(closed)
    opened.extend([page, front])
    for body in Page.BODIES:
        page.BODIES = (body,)
        front.heal()
        front.fault('/v2/', times=None, status=401, body='{}', headers={
            'WWW-Authenticate': f'Bearer realm="{page.url}/t",service="x",scope="repository:bob/y:pull"'})
        mono = home()
        mono('pull', f'{front.host}/bob/y').ok(1)
        equal([r for r in front.requests if 'X-Evil' in r.headers], [])


tap.main(finish)
