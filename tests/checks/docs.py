#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Documents against the tree: what they name is there, and what is there is named. Prints TAP."""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCS = ['README.md', 'docs/*.md', 'docs/formats/*.md']


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as f:
        return f.read()


def documents():
    return {os.path.relpath(p, ROOT): read(p) for pattern in DOCS for p in sorted(glob.glob(f'{ROOT}/{pattern}'))}


def links():
    for path, text in documents().items():
        for target in re.findall(r'\]\(([^)#:]+)[^)]*\)', text):
            if not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target)):
                yield f'{path}: the link {target} leads nowhere'


def paths():
    for path, text in documents().items():
        for target in re.findall(r'`((?:src|tools|tests|docs|include|examples)/[\w./*-]+)`', text):
            if not glob.glob(os.path.join(ROOT, target)) and not target.startswith('tests/corpus/'):
                yield f'{path}: `{target}` is not there'


def targets():
    there = set(re.findall(r'^([a-z]+):', read('Makefile'), re.M))
    for path, text in documents().items():
        for target in re.findall(r'(?:^|`)make ([a-z]+)\b', text, re.M):
            if target not in there:
                yield f'{path}: there is no `make {target}`'


def folders():
    text = read('docs/architecture.md')
    for folder in sorted(glob.glob(f'{ROOT}/src/*/') + glob.glob(f'{ROOT}/src/*/*/')):
        name = os.path.relpath(folder, ROOT)
        if glob.glob(f'{folder}/**/*.[ch]', recursive=True) and f'`{name}`' not in text:
            yield f'docs/architecture.md: says nothing of `{name}`'


def tables():
    """Each message, control request and member of a record stands in its format's page."""
    for source, table, page in (('src/codec/message.h', 'MESSAGES', 'agent'), ('src/sandbox/control.h', 'CONTROL_MESSAGES', 'control'),
                                ('src/net/control.h', 'NET_MESSAGES', 'network'),
                                ('src/sandbox/record.h', 'RECORD_FIELDS', 'sandbox'),
                                ('src/sandbox/record.h', 'STATUS_FIELDS', 'sandbox')):
        rows = re.search(r'#define ' + table + r'\(X\)((?:[^\n]*\\\n)+[^\n]*)', read(source))
        text = read(f'docs/formats/{page}.md') if os.path.exists(f'{ROOT}/docs/formats/{page}.md') else ''
        for name in re.findall(r'X\((\w+),', rows[1] if rows else ''):
            if not re.search(rf'\b{name}\b', text):
                yield f'docs/formats/{page}.md: says nothing of {name} ({source})'
        if not rows:
            yield f'{source}: the table {table} was not found'


def programs():
    text = read('docs/testing.md')
    for path in sorted(glob.glob(f'{ROOT}/tests/system/test_*.py') + glob.glob(f'{ROOT}/tests/system/root_*.py')):
        if os.path.basename(path) not in text:
            yield f'docs/testing.md: says nothing of {os.path.basename(path)}'


PROMISES = [('links in documents lead to files', links), ('paths that documents name are there', paths),
            ('make targets that documents name are there', targets),
            ('docs/architecture.md has every folder of src', folders),
            ('the formats\' pages have every row of their tables', tables),
            ('docs/testing.md has every system test', programs)]


def main():
    print(f'1..{len(PROMISES)}')
    bad = 0
    for number, (name, check) in enumerate(PROMISES, 1):
        faults = list(check())
        for fault in faults:
            print('#', fault)
        print('not ok' if faults else 'ok', number, '-', name)
        bad += bool(faults)
    return 1 if bad else 0


sys.exit(main())
