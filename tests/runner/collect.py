# SPDX-License-Identifier: Apache-2.0
"""Finds the test programs: what meson lists, fuzz targets, checks of the sources, system tests."""
import glob
import json
import os
import random
import shutil
import subprocess
import time

from .job import Job, left_processes, reap, step_back
from . import place

TESTS = ['meson-test-prereq']  # and what they start

# A status that no program of ours ends with.
SANITIZER_ENV = {'ASAN_OPTIONS': 'exitcode=99:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1',
                 'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1'}
RACES_ENV = {'TSAN_OPTIONS': 'exitcode=99:halt_on_error=1'}

# tests/unit/fsx.h and vfs_promises_directories.c: the plain programs try all of it.
FEWER = {'MC_FEWER': '1'}

# Seconds after which a fuzz target ends, however little of a processor it got.
FUZZ_LIMIT = 900

# Warnings are errors in the plain build. Here they would be another compiler's, or false ones: sanitizers' checks
# make the compiler see paths that there are none.
WARNINGS = ['-Dwerror=false']


def introspect(build, what):
    text = subprocess.run(['meson', 'introspect', '--' + what, build], check=True, capture_output=True, text=True).stdout
    return json.loads(text)


def configure(repository, build, options, env=None):
    if not os.path.exists(f'{build}/build.ninja'):
        subprocess.run(['meson', 'setup', build, repository] + options, check=True, capture_output=True, text=True,
                       env=dict(os.environ, **(env or {})))


def compile_targets(build, targets, register):
    """With what tests that run meanwhile leave of the processors. register(process, True/False) tells who lives."""
    argv, started = ['nice', '-n', '19', 'ninja', '-C', build, '--quiet'] + targets, time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, start_new_session=True)
    register(process, True)
    step_back(process.pid, 3)  # much waits for it
    output = process.stdout.read()
    register(process, False)
    taken, seconds = reap(process), time.monotonic() - started
    if seconds > 5:
        print(f'built {os.path.basename(build)} in {seconds:.0f} s, {taken:.0f} s of a processor', flush=True)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv, output)


def meson_jobs(where, build, kind, factor, env, suite='unit', root=False):
    """factor: of the limits, which are those of a machine that does little else."""
    jobs = []
    for test in introspect(build, 'tests'):
        if not any(name.split(':')[-1] == suite for name in test['suite']):
            continue
        limit = (test['timeout'] or 120) * factor
        protocol = 'tap' if test['protocol'] == 'tap' else 'exit'
        merged = {name: where.map(value) for name, value in test['env'].items()} | env
        jobs.append(Job(f'{kind}/{test["name"]}', [where.map(word) for word in test['cmd']], limit, merged, protocol,
                        root=root, weight=limit / factor / 120, leaves=left_of_root(where) if root else left_processes))
    return jobs


def unit(where):
    build = f'{where.repository}/build/release'
    where.copy('build/release', programs_only=True)
    return meson_jobs(where, build, 'unit', 3, {})


def as_root(where):
    """What runs as root: system tests that are for it, and unit tests of the suite `root` once more."""
    where.copy('build/release', programs_only=True)
    return system(where, True) + meson_jobs(where, f'{where.repository}/build/release', 'root', 3, FEWER, 'root', True)


def build_checked(where, register, name, sanitizers, targets):
    """Builds these with sanitizers that end the program; the folder."""
    build = f'{where.repository}/build/{name}'
    # -Og and checks that end the program take a third of the time that -O2 takes to compile, and leave sanitizers more
    # to look at; -g1 has the lines.
    configure(where.repository, build, [f'-Db_sanitize={sanitizers}', '-Db_lundef=false', '-Doptimization=g',
                                        '-Ddebug=false', '-Dc_args=-g1 -fno-sanitize-recover=all'] + WARNINGS)
    compile_targets(build, targets, register)
    return build


def sanitized(where, register):
    build = build_checked(where, register, 'sanitize', 'address,undefined', TESTS)
    where.copy('build/sanitize', programs_only=True)
    return meson_jobs(where, build, 'sanitized', 4, SANITIZER_ENV | FEWER)


def races(where, register):
    build = build_checked(where, register, 'races', 'thread', TESTS)
    where.copy('build/races', programs_only=True)
    jobs = meson_jobs(where, build, 'races', 10, RACES_ENV | FEWER)
    for job in jobs:  # these enter a user namespace, which the sanitizer's own thread prevents: as root they need none
        job.root = job.name.removeprefix('races/') in ('mcfs', 'vfs_native', 'vfs_native_host', 'volume_tcp')
        job.leaves = left_of_root(where) if job.root else job.leaves
    return jobs


def programs(where, register):
    """The system tests with those programs under sanitizers that a user starts, and with mfsd. The others confine
    themselves, and LeakSanitizer would have to trace them."""
    build = build_checked(where, register, 'sanitize', 'address,undefined', ['all'])
    stage = f'{where.repository}/build/stage-sanitize'
    shutil.rmtree(stage, ignore_errors=True)
    subprocess.run([f'{where.repository}/tools/stage', build, stage], check=True, capture_output=True, text=True)
    shutil.copytree(f'{where.repository}/build/stage/libexec', f'{stage}/libexec', dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns('mfsd'))
    # Memory that was given back is kept for a while to be watched, and tests measure what a program takes. One has a
    # clock of its own, by LD_PRELOAD.
    asan = SANITIZER_ENV['ASAN_OPTIONS'] + ':quarantine_size_mb=4:thread_local_quarantine_size_kb=64:verify_asan_link_order=0'
    return system(where, False, 'programs', 'build/stage-sanitize', SANITIZER_ENV | {'ASAN_OPTIONS': asan})


def fuzz(where, seconds, register):
    build = f'{where.repository}/build/fuzz'
    if not glob.glob(f'{where.repository}/src/**/fuzz_*.c', recursive=True):
        return []
    configure(where.repository, build, ['-Dfuzz=true', '-Db_lundef=false', '-Doptimization=1', '-Ddebug=false',
                                        '-Dc_args=-gline-tables-only'] + WARNINGS, {'CC': 'clang'})
    programs = {t['name'].removeprefix('fuzz_'): t['filename'][0] for t in introspect(build, 'targets')
                if t['name'].startswith('fuzz_')}
    compile_targets(build, [os.path.relpath(path, build) for path in programs.values()], register)
    where.copy('build/fuzz', programs_only=True)
    where.copy('tests/corpus')
    jobs = []
    for name, program in sorted(programs.items()):
        seed = random.randrange(1, 1 << 31)
        # The corpus is read from the copy; what is found stays in the scratch folder and goes with it.
        script = ('scratch=$(mktemp -d) && cd "$scratch" && mkdir found && '
                  f'exec nice -n 19 "$0" -max_total_time={FUZZ_LIMIT} -timeout=60 -rss_limit_mb=2048 -seed={seed} '
                  f'-print_final_stats=1 found "$@"')
        corpus = f'{where.sources}/tests/corpus/{name}'
        argv = ['/bin/sh', '-c', script, where.map(program)] + ([corpus] if os.path.isdir(
            f'{where.repository}/tests/corpus/{name}') else [])
        jobs.append(Job(f'fuzz/{name}', argv, FUZZ_LIMIT + 60, SANITIZER_ENV, 'exit', weight=seconds,
                        processor=seconds))
    return jobs


def checks(where):
    """Programs that look at the tree and run nothing of it."""
    for path in ('tools', 'src', 'include', 'examples', 'docs', 'tests', '.ci', 'README.md', 'LICENSE', 'Makefile',
                 '.clang-format'):
        where.copy(path)
    tool = where.map(f'{where.repository}/tools/check-includes')
    jobs = [Job('checks/sources', [tool], 300), Job('checks/the checker', [tool, '--self-test'], 300)]
    for path in sorted(glob.glob(f'{where.repository}/tests/checks/*')):
        if os.access(path, os.X_OK):
            jobs.append(Job(f'checks/{os.path.splitext(os.path.basename(path))[0]}', [where.map(path)], 300))
    return jobs


def left_of_root(where):
    def look(_user):
        home = f'{where.folder}/home/root'
        return ['still has a file of the home open: ' + place.describe(pid) for pid in place.holders(home)]
    return look


def system(where, root, kind='system', stage='build/stage', more={}):
    """The system tests: those called root_*.py run as root, with users of the run at hand."""
    for path in (stage, 'build/images', 'build/release/tests/hostile', 'build/release/tests/unit/fsx', 'examples',
                 'docs', 'tools/make-release', 'tests'):
        where.copy(path)
    env = {'MC_PREFIX': f'{where.sources}/{stage}', 'MC_IMAGE': f'{where.sources}/build/images/debian',
           'MC_SOURCES': where.sources} | more
    jobs = []
    pattern = 'root_*.py' if root else 'test_*.py'
    for path in sorted(glob.glob(f'{where.repository}/tests/system/{pattern}')):
        name = os.path.basename(path).removesuffix('.py').removeprefix('test_')
        python = shutil.which('python3', path='/usr/bin:/bin') or 'python3'
        jobs.append(Job(f'{kind}/{name}', [python, '-B', where.map(path)], 900, env, root=root,
                        weight=60 + os.path.getsize(path) / 1000, machines=True,
                        leaves=left_of_root(where) if root else left_processes))
    return jobs


def soak(where, minutes):
    every = ('test_monofs_power', 'test_monofs_live')  # each step of what `make test` takes some of
    for path in ('build/stage', 'build/images', *(f'build/release/tests/unit/{name}' for name in ('fsx', 'soak_vfs', *every)),
                 'tests'):
        where.copy(path)
    env = {'MC_PREFIX': f'{where.sources}/build/stage', 'MC_IMAGE': f'{where.sources}/build/images/debian',
           'MC_SOURCES': where.sources, 'MC_SOAK_MINUTES': str(minutes)}
    system = [(name, f'{where.sources}/tests/system/{name}.py', room) for name, room in (('soak', 300), ('soak_monofs', 900))]
    files = f'{where.sources}/build/release/tests/unit/soak_vfs'
    return [Job(f'system/{name}', ['python3', '-B', path], minutes * 60 + room, env, machines=name == 'soak',
                leaves=left_processes) for name, path, room in system] + \
           [Job('unit/soak_vfs', [files], minutes * 60 + 900, env, leaves=left_processes)] + \
           [Job(f'unit/{name}', [f'{where.sources}/build/release/tests/unit/{name}'], minutes * 60 + 900, env | {'MC_ALL': '1'},
                leaves=left_processes) for name in every]
