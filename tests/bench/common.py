# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: commands, summaries of values, tables with their targets."""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(argv, env=None, **options):
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, check=False, **options)
    if done.returncode:
        raise SystemExit(f'bench: {" ".join(argv)}: {done.stderr.strip()[-1000:]}')
    return done.stdout


def prefer():
    """As root, before other work on this machine: beside it whoever runs more threads gets more of the processors, which
    says nothing of two that are compared."""
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, -20)


def summary(values):
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return {'median': statistics.median(ordered), 'least': ordered[0], 'most': ordered[-1],
            'lower_quartile': ordered[quarter], 'upper_quartile': ordered[-1 - quarter], 'count': len(ordered),
            'values': [round(v, 3) for v in values]}


def arguments(doc, rounds):
    """A parser of the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=doc.split('\n', maxsplit=1)[0])
    parser.add_argument('--rounds', type=int, default=rounds)
    parser.add_argument('--quick', action='store_true')
    return parser


def measured(kind, args, least, quick, *more):
    """A benchmark, made in a folder of its own, that has measured: (it, its rounds, summaries by name)."""
    rounds = quick if args.quick else max(least, args.rounds)
    work = tempfile.mkdtemp(prefix='mc-bench-')
    bench = kind(work)
    try:
        bench.prepare()
        bench.measure(rounds, *more)
    finally:
        if hasattr(bench, 'end'):
            bench.end()
        run(['chmod', '-R', 'u+rwX', work])
        shutil.rmtree(work, ignore_errors=True)
    return bench, rounds, {name: summary(values) for name, values in bench.values.items()}


def medians(results):
    return {name: r['median'] for name, r in results.items()}


def archive(files, folders=()):
    """A newc archive of programs, in folders that stand before them."""
    out = b''
    for name, data in [(folder, b'') for folder in folders] + list(files.items()) + [('TRAILER!!!', b'')]:
        mode = 0o040755 if name in folders else 0o100755 if name != 'TRAILER!!!' else 0
        fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out += b'070701' + b''.join(b'%08X' % field for field in fields) + name.encode() + b'\0'
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def report(results, targets, is_memory):
    """Prints results (name → summary) and targets ((what, value, bound, text, wanted): value <= bound holds it); how
    the targets stand."""
    print(f'\n{"":38} {"median":>9} {"quartiles":>17} {"least-most":>17}  n')
    for name, r in results.items():
        unit = 'MiB' if is_memory(name) else 'ms'
        print(f'{name:38} {r["median"]:7.1f} {unit:3}'
              f'{r["lower_quartile"]:9.1f}-{r["upper_quartile"]:<8.1f}{r["least"]:9.1f}-{r["most"]:<8.1f} {r["count"]:2}')
    return standing(targets)


def table(results, units, width):
    """Prints results (name → summary) with the unit of each, names in `width` columns."""
    most = max(map(len, units.values()))
    print(f'\n{"":{width}} {"median":>9} {"quartiles":>19}  n')
    for name, r in results.items():
        print(f'{name:{width}} {r["median"]:7.1f} {units[name]:{most}}{r["lower_quartile"]:9.1f}-'
              f'{r["upper_quartile"]:<9.1f} {r["count"]:2}')


def standing(targets):
    """How the targets stand; as report() has them."""
    print(f'\n{"target":52} {"measured":>12} {"wanted":>9}')
    result = []
    for what, value, bound, text, wanted in targets:
        result.append({'target': what, 'measured': text, 'wanted': wanted, 'held': value <= bound})
        print(f'{what:52} {text:>12} {wanted:>9}  {"held" if value <= bound else "missed"}')
    return result


def write(name, results, standing, **more):
    """build/NAME.json."""
    path = f'{REPOSITORY}/build/{name}.json'
    with open(path, 'w') as f:
        json.dump({'machine': platform.machine(), 'processors': os.cpu_count(), 'kernel': platform.release(), **more,
                   'results': results, 'targets': standing}, f, indent=1)
    print(f'\nwritten to {os.path.relpath(path)}')
