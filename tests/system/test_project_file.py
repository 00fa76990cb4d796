#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A project's file as commands write it, and what of it needs the user's word: init, add, remove, list, tree, --grant."""
import os
import stat
import subprocess

from harness import tap
from harness.program import IMAGE, PROGRAM, Monocore
from harness.tap import contains, equal, promise, scratch, true
from harness.terminal import Terminal

mc = Monocore()
FILE = '''# The shop.
sandboxes:
  db:   # first
    image: 'x/db:1'

  # in front
  web:
    image: x/web:1
    depends_on: [ db ]
'''


def read(folder):
    with open(f'{folder}/monocore.yaml') as f:
        return f.read()


def write(folder, text=FILE):
    with open(f'{folder}/monocore.yaml', 'w') as f:
        f.write(text)


def tells(answer, status, *parts):
    answer.ok(status)
    for part in parts:
        contains(answer.err, part)


@promise('init writes a commented file that is a project, and never overwrites one')
def _():
    with scratch() as folder:
        mc('init', '--yes', cwd=folder).ok().says('monocore up')
        text = read(folder)
        true(text.count('#') > 10, text)
        equal([row['name'] for row in mc('list', '-s', '--json', cwd=folder).ok().json()], ['app'])
        mc('init', cwd=folder).ok(1).says('there already')
        equal((read(folder), os.listdir(folder)), (text, ['monocore.yaml']))
        mc('init', 'new/place', cwd=folder).ok()
        equal(read(f'{folder}/new/place'), text)
        os.symlink('nowhere', f'{folder}/new/monocore.yaml')
        mc('init', 'new', cwd=folder).ok(1)
        equal(os.path.exists(f'{folder}/new/nowhere'), False)
        with Terminal([PROGRAM, '-C', folder, 'init', 'asked'], mc.env) as t:
            for question, answer in (('Image', 'x/y:2'), ('runs', 'echo: #'), ('Memory', '1G')):
                t.expect(question)
                t.send(answer + '\r')
            t.expect('wrote')
        text = read(f'{folder}/asked')
        for part in ('image: x/y:2\n', 'ram: 1G\n', 'start: "echo: #"\n'):
            contains(text, part)


@promise('add and remove change nothing in the file but the component')
def _():
    with scratch() as folder:
        write(folder)
        mc('add', '-g', 'back', '--subnet', '10.91.9.0/24', '-v', 'shared:./shared', cwd=folder).ok()
        mc('add', '-b', 'base', '--image', 'x/base:1', '--export', 'tool=/tool', cwd=folder).ok()
        tells(mc('add', '--sandbox', 'api', '--image', 'x/api:1', '--ram', '256', '--cpus', '2', '--disk', '5G', '--volume', './api:/api:ro',
           '--port', '8080:80', '--env', 'A=b # c', '--env-file', 'api.env', '--depends-on', 'db', '--depends-on', 'base',
           '--workdir', '/api', '--shell', '/bin/bash', '--script', 'start=run: it', '--import', 'tool=/usr/bin/tool', '--group', 'back',
           '--reach', 'local', '--restart', 'on-failure:3', cwd=folder), 2, 'api.env')
        equal(read(folder).count('api'), 0)  # nothing of what was wrong
        open(f'{folder}/api.env', 'w').close()
        mc('add', 'api', '--image', 'x/api:1', '--ram', '256', '--cpus', '2', '--volume', './api:/api:ro', '--port', '8080:80',
           '--env', 'A=b # c', '--env-file', 'api.env', '--depends-on', 'db', '--depends-on', 'base', '--script', 'start=run: it',
           '--import', 'tool=/usr/bin/tool', '--group', 'back', cwd=folder).ok()
        text = read(folder)
        contains(text, FILE.rstrip('\n'))
        rows = {row['name']: row for row in mc('list', '--json', cwd=folder).ok().json()}
        equal((rows['api']['image'], rows['api']['depends_on'], rows['back']['kind']), ('x/api:1', ['db', 'base'], 'group'))
        equal(mc('-q', 'list', '--build', cwd=folder).ok().out, 'base\n')
        equal('back' in mc('list', '--group', cwd=folder).ok().out, True)
        mc('add', 'api', '--image', 'x', cwd=folder).ok(1).says('there already')
        mc('add', '--as-group', '-b', 'both', cwd=folder).ok(2)
        mc('remove', 'db', cwd=folder).ok(1).says('needs db')
        mc('remove', '-b', 'wbe', cwd=folder).ok(1).says("no 'wbe'")
        mc('remove', 'api', 'base', 'back', cwd=folder).ok()
        contains(read(folder), FILE.rstrip('\n'))
        mc('remove', '--force', 'db', cwd=folder).ok()
        equal(read(folder).splitlines()[:3], ['# The shop.', 'sandboxes:', '  # in front'])
        tells(mc('list', cwd=folder), 2, "'db'", '^')


@promise('a file keeps its mode and its link, and what cannot be read is left as it is')
def _():
    with scratch() as folder:
        os.mkdir(f'{folder}/real')
        write(f'{folder}/real')
        os.chmod(f'{folder}/real/monocore.yaml', 0o640)
        os.symlink('real/monocore.yaml', f'{folder}/monocore.yaml')
        mc('-c', f'{folder}/monocore.yaml', 'add', 'more', '--image', 'x/y', cwd='/').ok()
        true(os.path.islink(f'{folder}/monocore.yaml'), 'the link')
        equal(stat.S_IMODE(os.stat(f'{folder}/monocore.yaml').st_mode), 0o640)
        equal((read(folder).count('more'), os.listdir(f'{folder}/real')), (1, ['monocore.yaml']))
        for bad in ('sandboxes: [\n', 'sandboxes:\n  a: &a {image: x}\n  b: *a\nsandboxes: {}\n'):
            write(folder, bad)
            tells(mc('add', 'more', '--image', 'x/y', cwd=folder), 2, 'monocore.yaml:')
            equal(read(folder), bad)


@promise('tree shows what components are made of, down to the layers, and which of these are shared')
def _():
    with scratch() as folder:
        write(folder, "builds:\n  own: {image: 'mc-tree/b:1'}\nsandboxes:\n  web: {image: own, depends_on: [db]}\n"
                      "  db: {image: 'mc-tree/a:1'}\n")
        try:
            for name in ('mc-tree/a:1', 'mc-tree/b:1'):
                mc('load', '--input', IMAGE, name).ok()
            web, db, own = mc('tree', '--json', cwd=folder).ok().json()
            equal([(part['kind'], part['name']) for part in web['parts']], [('build', 'own'), ('sandbox', 'db')])
            image = web['parts'][1]['parts'][0]
            equal((image['name'], image['size']), ('mc-tree/a:1', sum(layer['size'] for layer in image['parts'])))
            equal([layer['shared'] for layer in image['parts']], [True] * len(image['parts']))
            equal((db['parts'], own['parts']), ([], []))  # as above
            equal(mc('tree', 'web', '-L', '2', cwd=folder).ok().out.splitlines()[0], 'sandbox web')
            equal(len(mc('tree', '--depth', '1', cwd=folder).ok().out.splitlines()), 3)
            contains(mc('tree', cwd=folder).ok().out, '(shared)')
            mc('tree', 'nope', cwd=folder).ok(1).says("'nope'")
            layers = [(layer['name'], layer['size']) for layer in image['parts']]
            write(folder, f"sandboxes:\n  disk: {{image: 'oci:{IMAGE}'}}\n")
            disk, = mc('tree', '--json', cwd=folder).ok().json()
            equal([(layer['name'], layer['size']) for layer in disk['parts'][0]['parts']], layers, 'of an image by its path')
        finally:
            mc('rmi', 'mc-tree/a:1', 'mc-tree/b:1')


@promise('edits at the same time all come in, one behind the other')
def _():
    with scratch() as folder:
        write(folder)
        several = [mc.start('add', f'more{i}', '--image', 'x/y', cwd=folder) for i in range(8)]
        equal([p.wait(60) for p in several], [0] * 8)
        equal(len(mc('-q', 'list', '-s', cwd=folder).ok().out.split()), 10)
        contains(read(folder), FILE.rstrip('\n'))


@promise('what reaches out of a project needs the user, once for each value, and for each project')
def _():
    with scratch() as folder:
        outside = f'{folder}/outside'
        os.mkdir(outside)
        shop = f'{folder}/mcgrants'
        os.mkdir(shop)

        def project(where, options=':ro'):
            write(where, f'sandboxes:\n  web:\n    image: oci:./missing\n    volumes: [{outside}:/o{options}]\n')
        project(shop)
        for verb in (('up',), ('apply',), ('run', 'web')):
            tells(mc(*verb, cwd=shop), 1, f'mounts {os.path.realpath(outside)} (read-only)', 'monocore.yaml:4:', '--grant')
        equal(os.listdir(shop), ['monocore.yaml'])  # nothing was begun
        with Terminal([PROGRAM, '-C', shop, 'up'], mc.env) as t:
            t.expect('[y/N]')
            t.send('\r')
            t.expect('nothing was allowed')
        true('missing' in mc('up', '--grant', cwd=shop).err, 'it went on')
        true('reaches out' not in mc('up', cwd=shop).err, 'asked once')
        project(shop, '')
        tells(mc('apply', cwd=shop), 1, '(writable)')
        true('missing' in mc('apply', '--grant', cwd=shop).err, 'it went on')
        # A copy, with the file that names the first one, has none of its grants; the moved one keeps them.
        subprocess.run(['cp', '-a', shop, f'{folder}/copy'], check=True)
        tells(mc('up', cwd=f'{folder}/copy'), 1, '--grant')
        os.rename(shop, f'{folder}/moved')
        true('reaches out' not in mc('up', cwd=f'{folder}/moved').err, 'it moved')


tap.main(mc.clean)
