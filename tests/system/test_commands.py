#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of commands as a user meets it: help, manual, completion; and that every verb and option is tried."""
import glob
import os
import re
import shutil
import subprocess

from harness import tap
from harness.monofs import Monofs
from harness.program import DEBIAN, PREFIX, SOURCES, Monocore
from harness.tap import contains, equal, promise, scratch, true

mc = Monocore()
mono = Monofs()
PAGES = f'{PREFIX}/share/man/man1'
# Options of every command: tried in test_words.py and test_monofs_keys.py.
SHARED = {'--directory', '--config', '--quiet', '--verbose', '--help', '--passphrase-file', '--key-file'}


class Program:
    def __init__(self, name, call, completion):
        self.name, self.call, self.completion = name, call, completion
        self.table = list(self.rows())
        self.verbs = next(below for path, below, _ in self.table if path == '')

    def script(self, shell):
        return self.call(*self.completion, shell).ok().out

    def rows(self):
        """Of each command: its path, the commands below it, its options as [['--detach', '-d'], …]. From the program's
        own completion, which is made of the table that everything is made of."""
        script = self.script('bash')
        part = script[script.index(f'_{self.name}_table()'):script.index(f'_{self.name}_choices()')]
        rows = re.findall(r"'([^']*)'\)\s*mc_commands='([^']*)'\s*mc_options='([^']*)'", part)
        for path, below, words in rows:
            options = []
            for word in words.split():
                if word.startswith('--'):
                    options.append([word])
                else:
                    options[-1].append(word)
            yield path, below.split(), options

    def page(self, verb):
        return f'{self.name}{verb and "-" + verb}.1'


PROGRAMS = [Program('monocore', mc, ('self', 'completion')), Program('monofs', mono, ('completion',))]


def shown(program, verb):
    """A manual page as man shows it, and what man has to say against it."""
    page = subprocess.run(['man', '-l', '--warnings', f'{PAGES}/{program.page(verb)}'], capture_output=True, text=True,
                          env=os.environ | {'MANPAGER': 'cat', 'MANWIDTH': '100', 'LC_ALL': 'C.UTF-8'},
                          stdin=subprocess.DEVNULL)
    equal((page.returncode, page.stderr), (0, ''), verb)
    return re.sub(r'.\x08', '', page.stdout)


@promise('every verb and option has its help, which reads as such')
def _():
    true(len(PROGRAMS[0].table) > 60, PROGRAMS[0].table)
    true(len(PROGRAMS[1].table) > 25, PROGRAMS[1].table)
    for program in PROGRAMS:
        for path, _, options in program.table:
            if not path:
                continue
            text = program.call('help', *path.split()).ok().out
            contains(text, f'Usage: {program.name} {path} [OPTION]...')
            first = text.splitlines()[2]
            true(first[:1].isupper() and first[1:2] != ' ', first)
            for option in options:
                contains(text, ', '.join(reversed(option)), path)
        for verb in program.verbs:
            equal(program.call(verb, '--help').ok().out, program.call('help', verb).ok().out)


@promise('every verb and option stands in a manual page that man can show')
def _():
    equal(sorted(os.listdir(PAGES)), sorted(p.page(verb) for p in PROGRAMS for verb in [''] + p.verbs))
    for program in PROGRAMS:
        whole = shown(program, '')
        for verb in program.verbs:
            contains(whole, f'{program.name}-{verb}(1)')
            text = shown(program, verb)
            for path, _, options in program.table:
                if path.split()[:1] != [verb]:
                    continue
                contains(text, f'{program.name} {path}', path)
                for option in options:
                    contains(text, ', '.join(reversed(option)), path)


@promise('every verb and option is tried by a test')
def _():
    def has(text, word):
        return re.search(rf"""['"( \[]{re.escape(word)}['" ,=)]""", text)
    untried = []
    for program in PROGRAMS:
        tests = {path: open(path, encoding='utf-8').read() for path in glob.glob(f'{SOURCES}/tests/system/**/*.py', recursive=True)
                 if ('monofs' in os.path.basename(path)) == (program.name == 'monofs') or path.endswith('test_commands.py')}
        shared = [text for path, text in tests.items() if '/harness/' in path]
        verbs = [(path, options) for path, _, options in program.table if ' ' not in path]
        for path, below, options in program.table:
            if not path or below or (' ' in path and (path.split()[-1], options) in verbs):  # `image push` is `push`
                continue
            those = [text for text in tests.values() if all(has(text, word) for word in path.split())]
            if not those:
                untried.append(path)
            untried += [f'{program.name} {path} {option[0]}' for option in options if option[0] not in SHARED and
                        not any(has(text, word) for word in option for text in those + shared)]
    equal(untried, [])


def completed(program, shell, *words, cwd=None):
    """What the shell offers for the last word."""
    script, name = program.script(shell), program.name
    line = {'bash': '. /usr/share/bash-completion/bash_completion; eval "$0"; complete_it() { COMP_WORDS=("$@"); '
                    'COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=(); '
                    f'_{name} {name} "${{@: -1}}" "${{@: -2:1}}"; printf "%s\\n" "${{COMPREPLY[@]}}"; }}; complete_it {name} "$@"',
            'zsh': 'compdef() {}; compadd() { shift; print -l -- "$@"; }; _files() { print files; }; eval "$0"; '
                   f'words=({name} "$@"); CURRENT=$#words; _{name}',
            'fish': None}[shell]
    if shell == 'fish':
        with scratch() as folder:
            with open(f'{folder}/{name}.fish', 'w') as f:
                f.write(script)
            argv = ['fish', '--no-config', '-c', f'source {folder}/{name}.fish; complete -C "{name} {" ".join(words)}"']
            answer = run(argv, program, cwd)
        return [line.split('\t')[0] for line in answer.stdout.splitlines()]
    answer = run([shell] + (['-f'] if shell == 'zsh' else []) + ['-c', line, script, *words], program, cwd)
    return answer.stdout.split()


def run(argv, program, cwd=None):
    answer = subprocess.run(argv, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
                            env=program.call.env | {'PATH': f'{PREFIX}/bin:/usr/bin:/bin'},
                            cwd=mono.folder if program.name == 'monofs' else cwd)
    equal(answer.stderr, '', argv[0])
    return answer


@promise('bash, zsh and fish complete verbs, options, their values and names')
def _():
    monocore, monofs = PROGRAMS
    schema = mc('self', 'schema').ok().json()['$defs']['sandbox']['properties']
    reaches, restarts = schema['reach']['anyOf'][0]['enum'], schema['restart']['anyOf'][0]['pattern']
    mono('init', '--no-mount', 'there').ok()
    mono('-C', 'there.monofs', 'tag', 'main', 'tagged').ok()
    os.rename(mono.path('there.monofs'), mono.folder + '.monofs')
    try:
        for shell in ('bash', 'zsh', 'fish'):
            true('inspect' in completed(monocore, shell, 'ins'), shell)
            true('--hostname' in completed(monocore, shell, 'tmp', '--hostn'), shell)
            true('virtiofs' in completed(monocore, shell, 'tmp', '--volume-driver', ''), shell)
            words = set(completed(monocore, shell, 'add', '--reach', ''))
            true('local' in words <= set(reaches), (shell, words))
            words = completed(monocore, shell, 'add', '--restart', '')
            true('unless-stopped' in words and all(re.search(restarts, word) for word in words), (shell, words))
            true({'list', 'install'} <= set(completed(monocore, shell, 'self', 'kernel', '')), shell)
            true('fish' in completed(monocore, shell, 'self', 'completion', ''), shell)
            true('import' in completed(monofs, shell, 'im'), shell)
            true('--name-only' in completed(monofs, shell, 'diff', '--name-o'), shell)
            true({'list', 'rotate'} <= set(completed(monofs, shell, 'key', '')), shell)
            true({'main', 'tagged'} <= set(completed(monofs, shell, 'checkout', '')), shell)
    finally:
        shutil.rmtree(mono.folder + '.monofs')
    equal(mono('complete-names', 'keys', cwd='/').ok().out, '')
    mc('self', 'completion', 'tcsh').ok(2).says('tcsh')
    mono('completion', 'tcsh').ok(2).says('tcsh')


@promise('in a project the names of its components are completed')
def _():
    with scratch() as folder:
        with open(f'{folder}/monocore.yaml', 'w') as f:
            f.write('builds: {base: {image: oci:/nowhere}}\nsandboxes:\n  frontend:\n    image: oci:/nowhere\n')
        equal(mc('self', 'complete-names', 'sandboxes', cwd=folder).ok().out.split(), ['frontend'])
        for shell in ('bash', 'zsh', 'fish'):
            monocore = PROGRAMS[0]
            true('base' in completed(monocore, shell, 'build', '', cwd=folder), shell)
            true({'base', 'frontend'} <= set(completed(monocore, shell, 'tree', '', cwd=folder)), shell)
            # Where there are no builds, or a path has been begun, it is files.
            os.mkdir(f'{folder}/{shell}')
            words = completed(monocore, shell, 'build', '', cwd=f'{folder}/{shell}')
            true('base' in words, (shell, words))  # of the project above
            words = completed(monocore, shell, 'build', './', cwd=folder)
            true('base' not in words and any(word in ('files', './bash', './bash/') for word in words), (shell, words))
        equal(mc('self', 'complete-names', 'parts', cwd=folder).ok().out.split(), ['frontend', 'base'])
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


tap.main(lambda: mc.clean() + mono.clean())
