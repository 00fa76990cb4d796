#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A project's file as the command line finds it, and what is said of it. No sandbox is started."""
import json
import os

from harness import tap
from harness.program import SOURCES, Monocore
from harness.tap import contains, equal, promise, scratch, true

mc = Monocore()


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    return path


@promise('every mistake of a project is told at once, each with its line and what points at it, and the status is 2')
def _():
    with scratch() as folder:
        write(folder, 'monocore.yaml', 'sandboxes:\n  web:\n    imge: x\n    ram: lots\n  db: {image: x, depends_on: [wb]}\n'
              'modules: {db/monocore.yaml: [data]}\n')
        write(folder, 'db/monocore.yaml', 'sandboxes: {data: {image: x, cpus: none}}\n')
        answer = mc('-C', folder, 'up', '--dry-run').ok(2)
        equal(answer.out, '')
        for line in ("monocore.yaml:3:5: unknown key 'imge'; did you mean 'image'?", '        imge: x\n        ^~~~\n',
                     "monocore.yaml:4:10: 'ram': expected a size", "monocore.yaml:5:31: there is no sandbox or build 'wb'; did you mean 'web'?",
                     "db/monocore.yaml:1:36: 'cpus': expected a number"):
            contains(answer.err, line)


@promise('the file is found upwards, in -C, or where -c says, and none is an error that says what to do')
def _():
    with scratch() as folder:
        write(folder, 'a/monocore.yaml', 'nonsense: 1\n')
        write(folder, 'other.yaml', 'otherwise: 1\n')
        os.makedirs(f'{folder}/a/b/c')
        contains(mc('-C', f'{folder}/a/b/c', 'up', '--dry-run').ok(2).err, "monocore.yaml:1:1: unknown key 'nonsense'")
        contains(mc('-C', f'{folder}/a', '-c', '../other.yaml', 'up', '--dry-run').ok(2).err,
                 "../other.yaml:1:1: unknown key 'otherwise'")
        mc('-C', folder, 'up', '--dry-run').ok(1).says('monocore.yaml', 'monocore init')
        mc('-C', folder, '-c', 'none.yaml', 'up', '--dry-run').ok(1).says('none.yaml')


@promise('the schema of the document is the one that the program checks by')
def _():
    with open(f'{SOURCES}/docs/monocore.yaml.md', encoding='utf-8') as f:
        equal(mc('self', 'schema', '--markdown').ok().out, f.read())
    schema = json.loads(mc('self', 'schema').ok().out)
    equal(sorted(schema['properties']), ['<<', 'builds', 'groups', 'meta', 'modules', 'sandboxes'])
    true('healthcheck' in schema['$defs']['sandbox']['properties'], 'sandbox')


tap.main()
