#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of commands as a user meets it: help, manual, completion; and that every verb and option is tried."""
import glob
import os
import re
import subprocess

from harness import tap
from harness.program import DEBIAN, PREFIX, SOURCES, Monocore
from harness.tap import contains, equal, promise, scratch, true

mc = Monocore()
PAGES = f'{PREFIX}/share/man/man1'
# Options of every command: tried in test_words.py.
SHARED = {'--directory', '--config', '--quiet', '--verbose', '--help'}


def table():
    """Of each command: its path, the commands below it, its options as [['--detach', '-d'], …]. From the program's own
    completion, which is made of the table that everything is made of."""
    script = mc('self', 'completion', 'bash').ok().out
    part = script[script.index('_monocore_table()'):script.index('_monocore_choices()')]
    rows = re.findall(r"'([^']*)'\)\s*mc_commands='([^']*)'\s*mc_options='([^']*)'", part)
    for path, below, words in rows:
        options = []
        for word in words.split():
            if word.startswith('--'):
                options.append([word])
            else:
                options[-1].append(word)
        yield path, below.split(), options


TABLE = list(table())
VERBS = next(below for path, below, _ in TABLE if path == '')


def shown(verb):
    """A manual page as man shows it, and what man has to say against it."""
    page = subprocess.run(['man', '-l', '--warnings', f'{PAGES}/monocore{verb and "-" + verb}.1'], capture_output=True, text=True,
                          env=os.environ | {'MANPAGER': 'cat', 'MANWIDTH': '100', 'LC_ALL': 'C.UTF-8'},
                          stdin=subprocess.DEVNULL)
    equal((page.returncode, page.stderr), (0, ''), verb)
    return re.sub(r'.\x08', '', page.stdout)


@promise('every verb and option has its help, which reads as such')
def _():
    true(len(TABLE) > 60, TABLE)
    for path, below, options in TABLE:
        if not path:
            continue
        text = mc('help', *path.split()).ok().out
        contains(text, f'Usage: monocore {path} [OPTION]...')
        first = text.splitlines()[2]
        true(first[:1].isupper() and first[1:2] != ' ', first)
        for option in options:
            contains(text, ', '.join(reversed(option)), path)
    for verb in VERBS:
        equal(mc(verb, '--help').ok().out, mc('help', verb).ok().out)


@promise('every verb and option stands in a manual page that man can show')
def _():
    equal(sorted(os.listdir(PAGES)), sorted(['monocore.1'] + [f'monocore-{verb}.1' for verb in VERBS]))
    whole = shown('')
    for verb in VERBS:
        contains(whole, f'monocore-{verb}(1)')
        text = shown(verb)
        for path, below, options in TABLE:
            if path.split()[:1] != [verb]:
                continue
            contains(text, f'monocore {path}', path)
            for option in options:
                contains(text, ', '.join(reversed(option)), path)


@promise('every verb and option is tried by a test')
def _():
    tests = {path: open(path, encoding='utf-8').read() for path in glob.glob(f'{SOURCES}/tests/system/**/*.py', recursive=True)}
    shared = [text for path, text in tests.items() if '/harness/' in path]

    def has(text, word):
        return re.search(rf"""['"( \[]{re.escape(word)}['" ,=)]""", text)
    verbs = [(path, options) for path, _, options in TABLE if ' ' not in path]
    untried = []
    for path, below, options in TABLE:
        if not path or below or (' ' in path and (path.split()[-1], options) in verbs):  # `image push` is `push`
            continue
        those = [text for text in tests.values() if all(has(text, word) for word in path.split())]
        if not those:
            untried.append(path)
        untried += [f'{path} {option[0]}' for option in options if option[0] not in SHARED and
                    not any(has(text, word) for word in option for text in those + shared)]
    equal(untried, [])


def completed(shell, *words):
    """What the shell offers for the last word."""
    script = mc('self', 'completion', shell).ok().out
    line = {'bash': '. /usr/share/bash-completion/bash_completion; eval "$0"; complete_it() { COMP_WORDS=("$@"); '
                    'COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=(); '
                    '_monocore monocore "${@: -1}" "${@: -2:1}"; printf "%s\\n" "${COMPREPLY[@]}"; }; complete_it monocore "$@"',
            'zsh': 'compdef() {}; compadd() { shift; print -l -- "$@"; }; _files() { print files; }; eval "$0"; '
                   'words=(monocore "$@"); CURRENT=$#words; _monocore',
            'fish': None}[shell]
    if shell == 'fish':
        with scratch() as folder:
            with open(f'{folder}/monocore.fish', 'w') as f:
                f.write(script)
            argv = ['fish', '--no-config', '-c', f'source {folder}/monocore.fish; complete -C "monocore {" ".join(words)}"']
            answer = run(argv)
        return [line.split('\t')[0] for line in answer.stdout.splitlines()]
    answer = run([shell] + (['-f'] if shell == 'zsh' else []) + ['-c', line, script, *words])
    return answer.stdout.split()


def run(argv):
    answer = subprocess.run(argv, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
                            env=mc.env | {'PATH': f'{PREFIX}/bin:/usr/bin:/bin'})
    equal(answer.stderr, '', argv[0])
    return answer


@promise('bash, zsh and fish complete verbs, options, their values and names')
def _():
    schema = mc('self', 'schema').ok().json()['$defs']['sandbox']['properties']
    reaches, restarts = schema['reach']['anyOf'][0]['enum'], schema['restart']['anyOf'][0]['pattern']
    for shell in ('bash', 'zsh', 'fish'):
        true('inspect' in completed(shell, 'ins'), shell)
        true('--hostname' in completed(shell, 'tmp', '--hostn'), shell)
        true('virtiofs' in completed(shell, 'tmp', '--volume-driver', ''), shell)
        words = set(completed(shell, 'add', '--reach', ''))
        true('local' in words <= set(reaches), (shell, words))
        words = completed(shell, 'add', '--restart', '')
        true('unless-stopped' in words and all(re.search(restarts, word) for word in words), (shell, words))
        true({'list', 'install'} <= set(completed(shell, 'self', 'kernel', '')), shell)
        true('fish' in completed(shell, 'self', 'completion', ''), shell)
    mc('self', 'completion', 'tcsh').ok(2).says('tcsh')


@promise('in a project the names of its components are completed')
def _():
    with scratch() as folder:
        with open(f'{folder}/monocore.yaml', 'w') as f:
            f.write('sandboxes:\n  frontend:\n    image: oci:/nowhere\n')
        equal(mc('self', 'complete-names', 'sandboxes', cwd=folder).ok().out.split(), ['frontend'])
        with open(f'{folder}/monocore.yaml', 'a') as f:
            f.write('  oops\n')
        equal(mc('self', 'complete-names', 'sandboxes', cwd=folder).ok().out, '')


@promise('options that are seldom needed do what their help says')
def _():
    with scratch() as folder:
        with open(f'{folder}/variables', 'w') as f:
            f.write('# one a line\nA=from a file\n')
        with open(f'{folder}/seen', 'w') as f:
            f.write('seen\n')
        long = 'echo ' + 'x' * 300
        name = mc('tmp', '-d', '--unconfined', '--mount-cwd', DEBIAN, 'sh', '-c', f': {long}; exec sleep infinity', cwd=folder).ok().out.strip()
        try:
            equal(mc('exec', '--env-file', f'{folder}/variables', name, '--', 'sh', '-c', 'echo $A; cat seen').ok().out, 'from a file\nseen\n')
            for words, whole in (((), False), (('--no-trunc',), True)):
                equal(long[:150] in mc('ps', *words).ok().out, whole)
            digests = [mc('-q', 'commit', option, name, 'test/seldom').ok().out for option in ('--pause', '--no-pause')]
            true(all(digest for digest in digests), digests)
        finally:
            mc('rm', '-f', name)
            mc('rmi', '-f', 'test/seldom')


@promise('options of projects and builds that are seldom needed do what their help says')
def _():
    with scratch() as folder:
        with open(f'{folder}/Dockerfile', 'w') as f:
            f.write(f'FROM {DEBIAN}\nARG WORD=none\nRUN echo $WORD >/word; nproc >>/word; ls /sys/class/net | wc -w >>/word\n')
        line = ('build', '--pull', '--progress', 'plain', '--cpus', '1', '--ram', '512M', '--disk', '1G', '--reach', 'none',
                '--build-arg', 'WORD=built', '--label', 'made=here', '-t', 'test/seldom:2', folder)
        mc(*line).ok()
        contains(mc(*line).ok().err, 'CACHED')
        equal(mc('inspect', 'test/seldom:2').ok().json()[0]['Config']['Labels']['made'], 'here')
        with open(f'{folder}/monocore.yaml', 'w') as f:
            f.write('sandboxes:\n  box:\n    image: test/seldom:2\n    scripts: {start: cat /word}\n')
        try:
            equal(mc('run', '--interactive', '--no-tty', 'box', cwd=folder).ok().out.split('\n')[:2], ['built', '1'])
            contains(mc('start', '--no-tty', 'box', cwd=folder).ok().out, 'built')
            equal(mc('shell', '--grant', 'box', cwd=folder, input=b'head -1 /word\n').ok().out, 'built\n')
        finally:
            names = mc('ps', '-a', '-q').ok().out.split()
            mc('rm', '-f', *names)
            mc('rmi', '-f', 'test/seldom:2')


tap.main(mc.clean)
