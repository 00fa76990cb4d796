#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""monocore login, logout and search, as somebody types them: prompts, options, what they say and where they keep it.
What a pull does with what they keep is in test_registry_auth.py."""
import atexit
import base64
import json
import os
import shutil
import signal
import stat
import tempfile
import termios

from harness import httpd, oci_images, tap
from harness.program import IMAGE, PROGRAM
from harness.puller import Puller
from harness.registry import Registry
from harness.tap import contains, equal, promise, true, until
from harness.terminal import Terminal
from harness.token_server import TokenServer

folder = tempfile.mkdtemp(prefix='mc-login-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
USERS = {'ann': 'a secret: with "signs" & ü', 'bob': 'b'}
RIGHTS = {'': {'public/.*': 'pull'}, 'ann': {'.*': 'pull,push'}, 'bob': {'bob/.*': 'pull'}}
tokens = TokenServer(f'{folder}/tokens', USERS, RIGHTS)
closed = Registry(f'{folder}/closed', tokens=tokens)
basic = Registry(f'{folder}/basic', users=USERS)
plain = Registry(f'{folder}/plain')
opened, homes = [tokens, closed, basic, plain], 0


def home(**env):
    global homes
    homes += 1
    return Puller(f'{folder}/home{homes}', **env)


def finish():
    lines = [line for server in opened for line in getattr(server, 'failures', [])]
    for server in opened:
        server.close()
    return lines


def auth(name, password):
    return base64.b64encode(f'{name}:{password}'.encode()).decode()


def login(mono, server, name='bob', password='b', *more):
    return mono('login', '-u', name, '--password-stdin', *more, server.host, input=password.encode() + b'\n')


@promise('a password that the registry takes is kept, in a file for nobody else; it is said where')
def _():
    mono = home()
    answer = login(mono, basic, 'ann', USERS['ann']).ok()
    contains(answer.out, f'ann is logged in at {basic.host}')
    contains(answer.out, f'{mono.docker}/config.json')
    equal(answer.err, '')
    equal(mono.docker_config(), {'auths': {basic.host: {'auth': auth('ann', USERS['ann'])}}})
    equal(stat.S_IMODE(os.stat(f'{mono.docker}/config.json').st_mode), 0o600)
    equal(login(mono, basic, 'bob', 'b', '-q').ok().out, f'{basic.host}\n')


@promise('a token that the registry gives for later takes the password\'s place, and is good for a login')
def _():
    mono = home()
    login(mono, closed).ok()
    entry = mono.docker_config()['auths'][closed.host]
    true(entry['identitytoken'] in tokens.refresh, f'{entry}')
    equal(base64.b64decode(entry['auth']).decode(), 'bob:')
    contains(mono('login', closed.host).ok().out, 'bob is logged in')
    # The server gave another one: that is kept now.
    renewed = mono.docker_config()['auths'][closed.host]['identitytoken']
    true(renewed != entry['identitytoken'] and renewed in tokens.refresh, renewed)
    tokens.offers_refresh = False
    login(mono, closed).ok()
    tokens.offers_refresh = True
    equal(mono.docker_config()['auths'], {closed.host: {'auth': auth('bob', 'b')}})


@promise('what the registry does not take is not kept, and what was kept stays')
def _():
    for server in (basic, closed):
        mono = home()
        mono.credentials(auths={server.host: {'auth': auth('bob', 'b')}}, detachKeys='ctrl-e')
        before = mono.docker_config()
        for name, password in (('bob', 'wrong'), ('nobody', 'b')):
            login(mono, server, name, password).ok(1).says(name)
        login(mono, server, 'b:b').ok(1).says('colon')
        for text in (b'', b'\n', b'a\0b', b'x' * 70000):
            mono('login', '-u', 'bob', '--password-stdin', server.host, input=text).ok(1).says('standard input')
        equal(mono.docker_config(), before)


@promise('credentials that are there are checked, and named as what they are: good, bad, none')
def _():
    for server in (basic, closed):
        mono = home()
        mono('login', server.host).ok(1).says('terminal', '--password-stdin')
        mono.credentials(auths={server.host: {'auth': auth('bob', 'b')}})
        contains(mono('login', server.host).ok().out, 'bob is logged in')
        mono.credentials(auths={server.host: {'auth': auth('bob', 'changed')}})
        mono('login', server.host).ok(1).says('bob')


@promise('--password works and warns; options that contradict each other are wrong usage')
def _():
    mono = home()
    answer = mono('login', '-u', 'bob', '--password', 'b', basic.host).ok().says('warning', '--password-stdin')
    contains(answer.out, 'bob is logged in')
    home()('login', '--password', 'b', '--password-stdin', '-u', 'bob', basic.host).ok(2)
    home()('login', '--password-stdin', basic.host, input=b'b').ok(2).says('--username')
    home()('login', '-u', 'bob', basic.host).ok(1).says('--password-stdin')
    home()('login', '--password', 'b', basic.host).ok(1)
    # -p is a port, in all verbs.
    home()('login', '-u', 'bob', '-p', 'b', basic.host).ok(2).says('-p')


@promise('the names of a registry: with a scheme, docker\'s own, mapped, with a repository, none')
def _():
    mono = home()
    mono('login', '-u', 'bob', '--password-stdin', f'http://{basic.host}/v2/', input=b'b').ok()
    equal(list(mono.docker_config()['auths']), [basic.host])
    mono('login', f'{basic.host}/team').ok(1).says('without a repository')
    mono('login', 'a b').ok(1)
    mono('login', 'sandboxes.io').ok(1).says('registries.json')
    # Where a mapping leads is who keeps the account.
    mono = home()
    mono.configure({'sandboxes.io': {'to': f'{basic.host}/acme'}}, default=basic.host)
    contains(mono('login', '-u', 'bob', '--password-stdin', 'sandboxes.io', input=b'b').ok().out, basic.host)
    equal(list(mono.docker_config()['auths']), [basic.host])
    contains(mono('login').ok().out, basic.host)
    mono('logout', 'sandboxes.io').ok()
    equal(mono.docker_config().get('auths', {}), {})


@promise('TLS, a private CA, and nobody who answers: no password goes out, and the reason is said')
def _():
    authority = httpd.Authority(f'{folder}/ca')
    secure = Registry(f'{folder}/secure', authority=authority, users=USERS)
    opened.append(secure)
    mono = home()
    login(mono, secure).ok(1).says('certificate')
    mono.configure({secure.host: {'ca_file': authority.certificate}})
    login(mono, secure).ok()
    secure.stop()
    login(mono, secure).ok(1).says(secure.host)


@promise('a registry that asks for nothing: credentials are kept, and shown to it once')
def _():
    mono = home()
    login(mono, plain).ok()
    equal(list(mono.docker_config()['auths']), [plain.host])


@promise('logout forgets, says so, and is content where nobody was logged in')
def _():
    mono = home()
    mono.credentials(auths={'other.test': {'auth': 'eDp5'}, basic.host: {'auth': auth('bob', 'b')}}, psFormat='x')
    contains(mono('logout', basic.host).ok().out, 'removed')
    equal(mono.docker_config(), {'auths': {'other.test': {'auth': 'eDp5'}}, 'psFormat': 'x'})
    contains(mono('logout', basic.host).ok().out, 'nobody')
    contains(mono('logout').ok().out, 'docker.io')
    equal(home()('logout', '-q', basic.host).ok().out, f'{basic.host}\n')


HELPER = '''#!/bin/sh
# A credential helper in docker's protocol, for one registry.
echo "$1" >>"$HELPER_FOLDER/log"
case $1 in
store) cat >"$HELPER_FOLDER/kept" ;;
get) test -f "$HELPER_FOLDER/kept" || { echo "credentials not found in native keychain"; exit 1; }
     cat "$HELPER_FOLDER/kept" ;;
erase) rm -f "$HELPER_FOLDER/kept" ;;
esac
'''


@promise('a credential helper keeps them in place of the file, and is named as the place')
def _():
    mono = home()
    kept = f'{mono.home}.helper'
    os.makedirs(kept)
    with open(f'{kept}/docker-credential-shell', 'w') as f:
        f.write(HELPER)
    os.chmod(f'{kept}/docker-credential-shell', 0o755)
    mono.env |= {'HELPER_FOLDER': kept, 'PATH': f'{kept}:{mono.env["PATH"]}'}
    mono.credentials(credHelpers={basic.host: 'shell'})
    contains(login(mono, basic).ok().out, 'docker-credential-shell')
    with open(f'{kept}/kept') as f:
        equal(json.load(f), {'ServerURL': basic.host, 'Username': 'bob', 'Secret': 'b'})
    equal(mono.docker_config(), {'credHelpers': {basic.host: 'shell'}})
    contains(mono('login', basic.host).ok().out, 'bob is logged in')
    contains(mono('logout', basic.host).ok().out, 'removed')
    true(not os.path.exists(f'{kept}/kept'), 'the helper was told to forget')


@promise('on a terminal it asks for what is missing; the password is not shown, and the terminal is as before')
def _():
    for server in (basic, closed):
        mono = home()
        mono.credentials(auths={server.host: {'auth': auth('bob', 'old')}})
        with Terminal([PROGRAM, 'login', server.host], mono.env) as terminal:
            terminal.expect('does not do')
            terminal.expect('Username: ')
            terminal.send('ann\n')
            terminal.expect('Password: ')
            terminal.send(USERS['ann'] + '\n')
            equal(terminal.wait(), 0)
            contains(terminal.text, 'ann is logged in')
            true('signs' not in terminal.text, terminal.text)
            true(terminal.restored(), 'the terminal is as it was')
    with Terminal([PROGRAM, 'login', '-u', 'bob', basic.host], home().env) as terminal:
        terminal.expect('Password: ')
        terminal.send('wrong\n')
        equal(terminal.wait(), 1)
        contains(terminal.text, 'bob')
    with Terminal([PROGRAM, 'login', basic.host], home().env) as terminal:
        terminal.expect('Username: ')
        terminal.send('\x04')
        equal(terminal.wait(), 1)


@promise('signals at the password prompt end the program and bring the terminal back')
def _():
    for number, key in ((signal.SIGINT, '\x03'), (signal.SIGQUIT, '\x1c'), (signal.SIGTERM, None), (signal.SIGHUP, None)):
        with Terminal([PROGRAM, 'login', '-u', 'bob', basic.host], home().env) as terminal:
            terminal.expect('Password: ')
            true(not termios.tcgetattr(terminal.slave)[3] & termios.ECHO, 'what is typed is not shown')
            if key:
                terminal.send(key)
            else:
                terminal.process.send_signal(number)
            equal(terminal.wait(), -number)
            true(terminal.restored(), 'the terminal is as it was')
    with Terminal([PROGRAM, 'login', '-u', 'bob', basic.host], home().env) as terminal:
        terminal.expect('Password: ')
        terminal.send('\x1a')
        until(terminal.restored, 'a shell gets its terminal back while it is suspended')
        terminal.process.send_signal(signal.SIGCONT)
        until(lambda: not termios.tcgetattr(terminal.slave)[3] & termios.ECHO, 'hidden again')
        terminal.send('b\n')
        equal(terminal.wait(), 0)
        true(terminal.restored(), 'the terminal is as it was')


# ---- search ----

path = oci_images.image(f'{folder}/image', [oci_images.random_layer('r', 1000)])
for place in ('team/app', 'team/web-app', 'other'):
    for tag in ('1', '2'):
        oci_images.push(path, plain, place, tag)
        oci_images.push(path, basic, place, tag, user=('ann', USERS['ann']))


@promise('a registry that lists its repositories is searched by them; tables, names alone, JSON')
def _():
    mono = home()
    equal(mono('search', '-q', f'{plain.host}/APP').ok().out.split(), [f'{plain.host}/team/app', f'{plain.host}/team/web-app'])
    equal(len(mono('search', '-q', f'{plain.host}/').ok().out.split()), 3)
    equal(len(mono('search', '-q', '--limit', '1', f'{plain.host}/app').ok().out.split()), 1)
    rows = mono('search', '--json', f'{plain.host}/other').ok().json()
    equal(rows, [{'name': f'{plain.host}/other', 'description': '', 'stars': 0, 'official': False}])
    table = mono('search', f'{plain.host}/other').ok().out.splitlines()
    equal(table[0].split(), ['NAME', 'DESCRIPTION', 'STARS', 'OFFICIAL'])
    equal(mono('search', '--json', f'{plain.host}/nothing').ok().json(), [])
    equal(mono('search', '-q', '--filter', 'stars=1', f'{plain.host}/app').ok().out, '')
    for words in (('--filter', 'colour=red'), ('--filter', 'stars=x'), ('--limit', '0x'), ('--limit', '1001')):
        mono('search', *words, f'{plain.host}/app').ok(2)
    # By default, and through a mapping, names are as they are pulled.
    mono.configure({'sandboxes.io': {'to': f'{plain.host}/team'}}, default=plain.host)
    equal(mono('search', '-q', 'web').ok().out, 'team/web-app\n')
    equal(mono('search', '-q', 'sandboxes.io/').ok().out.split(), ['sandboxes.io/app', 'sandboxes.io/web-app'])


@promise('tags of a repository; what is not there, and who may not look')
def _():
    mono = home()
    rows = mono('search', '--tags', '--json', f'{plain.host}/team/app').ok().json()
    equal({(row['name'], row['tag']) for row in rows}, {(f'{plain.host}/team/app', tag) for tag in ('1', '2')})
    equal(sorted(mono('search', '--list-tags', '-q', f'{plain.host}/other').ok().out.split()),
          [f'{plain.host}/other:{tag}' for tag in ('1', '2')])
    mono('search', '--tags', f'{plain.host}/none').ok(1).says('none')
    mono('search', f'{basic.host}/app').ok(1).says('login')
    login(mono, basic).ok()
    equal(len(mono('search', '-q', f'{basic.host}/app').ok().out.split()), 2)
    mono('logout', basic.host).ok()


class Index(httpd.Server):
    """A registry that has docker's /v1/search and no list of repositories; pages of two."""
    NAMES = ['a/one', 'b/two', 'c/three', 'd/four', 'e/five']
    body = None

    def handle(self, exchange):
        if exchange.path != '/v1/search' or self.body == 404:
            exchange.answer(404, {'errors': [{'code': 'NOT_FOUND', 'message': 'no such page'}]})
        elif self.body is not None:
            exchange.answer(200, self.body)
        else:
            page = int(exchange.query['page'][0])
            exchange.answer(200, {'page': page, 'num_pages': 3, 'results': [
                {'name': name, 'description': 'the \x1b[31mbest\nof all ' + name + ' x' * 60, 'star_count': 5 - i,
                 'is_official': i == 0} for i, name in enumerate(self.NAMES)][2 * page - 2:2 * page]})


@promise('/v1/search: page after page, its stars and descriptions made harmless; a registry without a search says so')
def _():
    with Index() as server:
        opened.append(server)
        mono = home()
        rows = mono('search', '--json', f'{server.host}/x y&n=9').ok().json()
        equal([row['name'] for row in rows], [f'{server.host}/{name}' for name in Index.NAMES])
        equal([row['stars'] for row in rows], [5, 4, 3, 2, 1])
        true(all('\x1b' not in row['description'] and '\n' not in row['description'] for row in rows), f'{rows}')
        equal(server.requests[-1].target.split('?')[1], 'q=x%20y%26n%3D9&n=25&page=3')
        equal(len(mono('search', '-q', '--limit', '3', f'{server.host}/x').ok().out.split()), 3)
        equal(mono('search', '-q', '--filter', 'is-official=true', f'{server.host}/x').ok().out, f'{server.host}/a/one\n')
        equal(len(mono('search', '-q', '--filter', 'stars=3', f'{server.host}/x').ok().out.split()), 3)
        for words, whole in (((), False), (('--no-trunc',), True)):
            equal(' x' * 60 in mono('search', *words, f'{server.host}/x').ok().out, whole)
        for body in (404, '<html>', {}, {'results': 7}, {'results': [{'name': '../x'}]}):
            server.body = body
            mono('search', f'{server.host}/x').ok(1).says('has no search')
    mono('search', 'docker.io/').ok(1).says('too large')


@promise('push, search and login speak plain HTTP to a registry elsewhere only where they are told to')
def _():
    with httpd.Server() as proxy:  # which everything goes through: what is asked shows how
        proxy.handle = lambda exchange: exchange.answer(404, {})
        opened.append(proxy)
        mono = home()
        mono('load', '--input', IMAGE, 'example.test/a/x:1').ok()
        env = {'http_proxy': f'http://{proxy.host}', 'https_proxy': f'http://{proxy.host}', 'no_proxy': ''}
        for words in (('push', 'example.test/a/x:1'), ('search', 'example.test/x'), ('login', '-u', 'me', '--password-stdin', 'example.test')):
            for option in ([], ['--plain-http']):
                count = len(proxy.requests)
                true(mono(words[0], *option, *words[1:], env=env, input=b'secret').status != 0, words)
                true(all(r.target.startswith('http://example.test/') == bool(option) for r in proxy.requests[count:]),
                     (words, option, [r.target for r in proxy.requests[count:]]))
                true(len(proxy.requests) > count or not option, words)


tap.main(finish)
