#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The store: its names, what they cost, what goes and what stays; copies out and in; checks and repair; and kill -9 at
any instant of what changes it. MC_SEED repeats a run."""
import atexit
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

from harness import images, oci_images, state, tap
from harness.oci_images import skopeo
from harness.program import Monocore
from harness.proxy import Proxy
from harness.puller import Puller
from harness.registry import Registry
from harness.tap import contains, equal, promise, true

folder = tempfile.mkdtemp(prefix='mc-store-')
os.chmod(folder, 0o755)
atexit.register(shutil.rmtree, folder, True)
seed = int(os.environ.get('MC_SEED') or random.randrange(1 << 32))
print(f'# seed {seed}')
chance = random.Random(seed)
registry = Registry(f'{folder}/registry')
proxy = Proxy(registry, rate=40_000_000)
COMMON = oci_images.random_layer('common', 2 << 20)
PATHS = [oci_images.image(f'{folder}/image{i}', [COMMON, oci_images.random_layer(f'own{i}', 3 << 20)]) for i in range(2)]
DIGESTS = [oci_images.push(path, registry, f'team/app{i}') for i, path in enumerate(PATHS)]
APPS = [f'{registry.host}/team/app{i}' for i in range(2)]
NAMES = [f'{app}:latest' for app in APPS]
homes = 0


def home(*apps):
    global homes
    homes += 1
    mono = Puller(f'{folder}/home{homes}')
    for app in apps:
        mono('pull', '-q', app).ok()
    return mono


def finish():
    lines = proxy.failures
    proxy.close()
    registry.close()
    return lines


def needed(path):
    """Digests of everything an image of a layout is made of."""
    row, value = oci_images.manifest_of(path)
    return {row['digest'], value['config']['digest']} | {layer['digest'] for layer in value['layers']}


@promise('images shows names, digests and sizes; -q names alone; --json everything')
def _():
    mono = home(*APPS)
    equal(mono.listed(), dict(zip(NAMES, DIGESTS)))
    text = mono('images').ok().out
    for app in APPS:
        contains(text, app)
    equal(sorted(mono('images', '-q').ok().out.split()), sorted(NAMES))
    equal(home()('images', '--json').ok().json(), [])


@promise('rmi removes a name, and what no other name needs; a blob that another image has stays')
def _():
    mono = home(*APPS)
    mono('rmi', APPS[0]).ok()
    equal(mono.listed(), {NAMES[1]: DIGESTS[1]})
    equal(mono.blobs(), needed(PATHS[1]))
    mono.clean_check()
    mono('rmi', APPS[1]).ok()
    equal((mono.listed(), mono.blobs()), ({}, set()))
    mono('rmi', APPS[1]).ok(1).says('app1')
    mono('rmi', 'never').ok(1).says('never')


@promise('tag gives another name to the same image; the last name takes the blobs with it')
def _():
    mono = home(APPS[0])
    mono('tag', APPS[0], 'mine:1').ok()
    equal(mono.listed(), {NAMES[0]: DIGESTS[0], 'docker.io/library/mine:1': DIGESTS[0]})
    mono('rmi', APPS[0]).ok()
    equal(mono.blobs(), needed(PATHS[0]))
    mono('tag', 'mine:1', 'Not A Name').ok(1)
    mono('tag', 'nobody', 'x').ok(1).says('nobody')
    mono('rmi', 'mine:1').ok()
    equal(mono.blobs(), set())


@promise('inspect and history tell where an image is from, what it is made of and how')
def _():
    mono = home(APPS[0])
    text = json.dumps(mono('inspect', APPS[0]).ok().json())
    for part in (DIGESTS[0], f'http://{registry.host}/team/app0', 'amd64'):
        contains(text, part)
    layout = images.Layout(f'{folder}/told')
    tar = images.layer(images.member('a', b'x'))
    config = layout.blob_json({'architecture': 'amd64', 'os': 'linux', 'config': {}, 'history': [
        {'created': '2026-01-02T03:04:05Z', 'created_by': 'COPY a / # by hand', 'comment': 'one'},
        {'created': '2026-01-02T03:04:06Z', 'created_by': 'ENV X=y\x1b[31m', 'empty_layer': True}],
        'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + images.sha256(tar)]}}, images.CONFIG)
    row = layout.blob_json({'schemaVersion': 2, 'mediaType': images.MANIFEST, 'config': config,
                            'layers': [layout.blob(tar, images.LAYER)]}, images.MANIFEST)
    layout.index([row | {'annotations': {'org.opencontainers.image.ref.name': 'latest'}}])
    oci_images.push(layout.path, registry, 'told')
    mono('pull', '-q', f'{registry.host}/told').ok()
    answer = mono('history', f'{registry.host}/told').ok()
    contains(answer.out, 'by hand')
    true('\x1b' not in answer.out, 'control bytes of an image')
    equal(len(mono('history', '--json', f'{registry.host}/told').ok().json()), 2)


@promise('save writes what skopeo reads, load takes it back; also by a pipe and from docker')
def _():
    mono = home(APPS[0])
    archive = f'{folder}/saved.tar'
    mono('save', '-o', archive, APPS[0]).ok()
    skopeo('copy', '-q', f'oci-archive:{archive}', f'oci:{folder}/unsaved:latest')
    equal(oci_images.manifest_of(f'{folder}/unsaved')[0]['digest'], DIGESTS[0])
    other = home()
    other('load', '--input', archive).ok()
    equal(other.listed(), {NAMES[0]: DIGESTS[0]})
    other.clean_check()
    piped = home()
    with subprocess.Popen(['cat', archive], stdout=subprocess.PIPE) as cat:
        piped('load', stdin=cat.stdout).ok()
    equal(piped.listed(), {NAMES[0]: DIGESTS[0]})
    docker = f'{folder}/docker.tar'
    skopeo('copy', '-q', f'oci:{PATHS[1]}:latest', f'docker-archive:{docker}:example/two:v2')
    piped('load', '--input', docker).ok()
    true('docker.io/example/two:v2' in piped.listed(), f'{piped.listed()}')
    piped.clean_check()
    out = mono('save', APPS[0]).ok().raw
    equal(out[257:262], b'ustar', 'a tar on a pipe')
    before = piped.state()
    with open(f'{folder}/broken.tar', 'wb') as f:
        f.write(out[:len(out) // 2])
    piped('load', '--input', f'{folder}/broken.tar').ok(1).says('broken.tar')
    equal(piped.state(), before)


@promise('image check finds a blob that is damaged, missing or short, and names it; --repair pulls it again')
def _():
    row, value = oci_images.manifest_of(PATHS[0])
    for damage in ('byte', 'short', 'missing'):
        for digest in (value['layers'][1]['digest'], value['config']['digest'], row['digest']):
            mono = home(*APPS)
            place = f'{mono.home}/store/blobs/sha256/{digest.removeprefix("sha256:")}'
            os.chmod(place, 0o600)
            with open(place, 'r+b') as f:
                data = f.read()
                f.seek(len(data) // 2)
                f.write(bytes([data[len(data) // 2] ^ 1]))
                if damage == 'short':
                    f.truncate(len(data) - 1)
            if damage == 'missing':
                os.unlink(place)
            answer = mono('image', 'check').ok(1)
            contains(answer.out + answer.err, digest[7:19], damage)
            true('app1' not in answer.out + answer.err, f'what is whole is not named: {answer}')
            mono('image', 'check', '--repair').ok()
            mono.clean_check()
            equal(mono.listed(), dict(zip(NAMES, DIGESTS)))
            equal(mono.blobs(), needed(PATHS[0]) | needed(PATHS[1]))


@promise('a pull brings back what is missing of an image that is here')
def _():
    mono = home(APPS[0])
    for digest in needed(PATHS[0]):
        os.unlink(f'{mono.home}/store/blobs/sha256/{digest.removeprefix("sha256:")}')
        mono('pull', '-q', APPS[0]).ok()
        mono.clean_check()
        equal(mono.blobs(), needed(PATHS[0]))


@promise('what a running sandbox uses stays when its image is removed, and goes with it')
def _():
    mono = Monocore()
    app = f'{registry.host}/boxed'
    layered = images.over_debian(f'{folder}/box', {'Cmd': ['sleep', 'infinity']}, [
        images.layer(images.member('mark', os.urandom(16).hex().encode()))])
    oci_images.push(layered.removeprefix('oci:'), registry, 'boxed')
    with mono.sandbox(image=app) as box:
        mono('rmi', app).ok(1).says('boxed')
        mono('rmi', '-f', app).ok()
        mono('image', 'prune', '-a').ok()
        mark = mono.shell(box, 'cat /mark')
        mono('restart', box, timeout=90).ok()
        equal(mono.shell(box, 'cat /mark'), mark)
    true(app not in mono('images', '-q').ok().out, 'its name is gone')
    equal(state.left(mono.home), [])


# ---- kill -9 ----

class Killer:
    """Kills at random instants what takes a time that nobody knows, and that changes: what was over before that
    is struck earlier the next time, and what was not is given a little more."""

    def __init__(self, longest):
        self.longest, self.struck = longest, 0  # seconds; how often it was still there

    def __call__(self, mono, *words):
        process = mono.start(*words)
        delay = chance.uniform(0, self.longest)
        time.sleep(delay)
        below = state.descendants(process.pid)
        alive = process.poll() is None
        process.kill()
        process.communicate()
        for pid in below:
            tap.until(lambda: not state.alive(pid), f'{state.describe(pid)} ends', 10)  # noqa: B023
        self.struck += alive
        self.longest = self.longest * 1.2 if alive else delay


@promise('pulls, killed at any instant, leave a store that checks clean and a pull that finishes', limit=120)
def _():
    mono = home()
    names = [f'{proxy.host}/team/app{i}' for i in range(2)]
    killed, turn = Killer(0.4), 0
    while killed.struck < 8 or turn % 5:
        killed(mono, 'pull', '-q', names[turn % 2])
        mono.clean_check()
        turn += 1
        if turn % 5 == 0:
            mono('pull', '-q', *names).ok()
            equal(set(mono.listed().values()), set(DIGESTS))
            mono('rmi', *names).ok()
            equal((mono.listed(), mono.blobs()), ({}, set()))


@promise('rmi and prune, killed at any instant, leave whole images or none', limit=120)
def _():
    mono, killed = home(*APPS), Killer(0.05)
    for turn in range(16):
        words = ('rmi', APPS[turn % 2]) if turn % 4 != 3 else ('image', 'prune', '-a')
        killed(mono, *words)
        mono.clean_check()
        for name, digest in mono.listed().items():
            true(needed(PATHS[NAMES.index(name)]) <= mono.blobs(), f'{name} has lost something')
            equal(digest, DIGESTS[NAMES.index(name)])
        mono('pull', '-q', *APPS).ok()
    mono('rmi', *APPS).ok()
    mono.clean_check()
    equal(mono.blobs(), set())


@promise('pushes, loads, saves and tags, killed at any instant, harm nothing', limit=120)
def _():
    mono = home(*APPS)
    archive = f'{folder}/kill.tar'
    mono('save', '-o', archive, APPS[0]).ok()
    slow, killers = Proxy(registry), [Killer(0.12) for _ in range(4)]
    for turn in range(15):
        mono('tag', APPS[0], f'{slow.host}/killed/{turn}:1').ok()
        words = (('push', '-q', f'{slow.host}/killed/{turn}:1'), ('load', '--input', archive),
                 ('save', '-o', f'{folder}/kill{turn}.tar', APPS[1]), ('tag', APPS[1], f'other:{turn}'))[turn % 4]
        killers[turn % 4](mono, *words)
        mono.clean_check()
        known = registry.manifest(f'killed/{turn}', '1')
        true(known is None or known[2] == DIGESTS[0], 'a whole image or none in the registry')
    equal(mono.listed()[NAMES[1]], DIGESTS[1])
    slow.close()


@promise('pulls, removals and collections at once, in many processes, end with a clean store', limit=120)
def _():
    mono = home()
    running = []
    for turn in range(24):
        words = chance.choice([('pull', '-q', APPS[0]), ('pull', '-q', APPS[1]), ('rmi', APPS[0]), ('rmi', APPS[1]),
                               ('image', 'prune', '-a'), ('images', '--json'), ('image', 'check')])
        running.append((words, mono.start(*words)))
        if len(running) > 5:
            words, process = running.pop(0)
            out, err = process.communicate(timeout=60)
            expected = (0, 1) if words[0] == 'rmi' else (0,)
            true(process.returncode in expected, f'{words}: {process.returncode} {out!r} {err!r}')
    for words, process in running:
        out, err = process.communicate(timeout=60)
        true(process.returncode in ((0, 1) if words[0] == 'rmi' else (0,)), f'{words}: {process.returncode} {out!r} {err!r}')
    mono.clean_check()
    mono('pull', '-q', *APPS).ok()
    equal(mono.blobs(), needed(PATHS[0]) | needed(PATHS[1]))


@promise('a stopped pull keeps its blobs from a collection that runs meanwhile')
def _():
    mono = home()
    with Proxy(registry, rate=2_000_000) as slow:
        process = mono.start('pull', '-q', f'{slow.host}/team/app0')
        tap.until(lambda: len(slow.seen('GET .*/blobs/')) > 1, 'it has begun', 20)
        process.send_signal(signal.SIGSTOP)
        collected = mono.start('image', 'prune', '-a')
        time.sleep(1)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=60)
        equal(process.returncode, 0, err)
        collected.communicate(timeout=60)
        equal(collected.returncode, 0)
    mono('image', 'check').ok()


tap.main(finish)
