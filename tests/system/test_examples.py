#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The projects in examples/, as a reader runs them."""
import json
import os
import shutil
import socket
import tempfile
import urllib.parse
import urllib.request

from harness import tap
from harness.program import SOURCES, Monocore
from harness.tap import contains, equal, promise, true

folder = tempfile.mkdtemp(prefix='mc-examples-')
mono = Monocore()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def example(name):
    """A copy of it, as a clone of the repository has it, with a port that is free; returns the directory and the port."""
    directory, port = f'{folder}/{name}/examples/{name}', free_port()
    shutil.copytree(f'{SOURCES}/examples/{name}', directory)
    os.mkdir(f'{folder}/{name}/build')
    os.symlink(f'{SOURCES}/build/images', f'{folder}/{name}/build/images')
    with open(f'{directory}/.env', 'w') as f:
        f.write(f'PORT={port}\n')
    return directory, port


def ask(port, query='', data=None):
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/{query}', data, timeout=30) as answer:
        return answer.read().decode()


@promise('a web program, its database and its cache come up in two networks, and keep what they have over a restart', limit=240)
def _():
    directory, port = example('web')
    project = lambda *words, **options: mono('-C', directory, *words, **options)
    project('up', '--wait', timeout=180).ok()
    equal(json.loads(ask(port, '?who=ann')), {'visits': 1, 'before': None})
    equal(json.loads(ask(port, '?who=' + urllib.parse.quote("bob'; DROP TABLE visits; --"))),
          {'visits': 2, 'before': 'ann'})
    # The cache sees the database's network, and nothing beyond it.
    contains(project('exec', 'cache', '--', 'getent', 'hosts', 'database').ok().out, 'database')
    rows = {row['name']: row for row in project('status', '--json').ok().json()}
    equal(sorted(rows), ['cache', 'database', 'web'])
    equal({row['state'] for row in rows.values()}, {'running'})
    project('restart', 'database', timeout=60).ok()
    project('restart', 'web', timeout=60).ok()
    answer = tap.until(lambda: attempt(port, '?who=cid'), 'the program answers again', 90)
    equal(json.loads(answer)['visits'], 3)
    project('down', timeout=60).ok()
    true(not answers(port), 'nothing listens any more')


def attempt(port, query):
    try:
        return ask(port, query)
    except OSError:  # urllib's errors are some, too
        return None


def answers(port):
    try:
        socket.create_connection(('127.0.0.1', port), 2).close()
    except OSError:
        return False
    return True


@promise('a program is compiled in one image, tested, and shipped in another, and all of it once', limit=240)
def _():
    directory, _ = example('ci')
    project = lambda *words, **options: mono('-C', directory, *words, **options)
    project('build', 'release', timeout=180).ok()
    equal(project('run', 'words', input=b'one two  three\n').ok().out, '3\n')
    equal(project('run', 'words~test').ok().out, 'passed\n')
    again = project('build', 'release', timeout=60).ok()
    true('done' not in again.err and 'CACHED' in again.err, str(again))
    project('down').ok()


@promise('a notebook remembers what it was told, until it is thrown away')
def _():
    directory, port = example('notebook')
    project = lambda *words, **options: mono('-C', directory, *words, **options)
    project('up', '--wait', timeout=60).ok()
    equal(ask(port, data=b'x = 6 * 7'), '')
    equal(ask(port, data=b'print("x is"); x'), 'x is\n42\n')
    contains(ask(port, data=b'1 / 0'), 'ZeroDivisionError')
    contains(ask(port), '<textarea')
    equal(project('run', 'notebook~python', '--', '-c', 'print(1 + 1)').ok().out, '2\n')
    project('down').ok()


def finish():
    lines = mono.clean()
    shutil.rmtree(folder)
    return lines


tap.main(finish)
