#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What sandboxes use, what has happened, and what is left: stats, events, clean."""
import datetime
import http.client
import json
import os
import select
import signal
import socket
import subprocess

from harness import tap
from harness.program import DEBIAN, IMAGE, PROGRAM, Monocore
from harness.tap import contains, equal, promise, scratch, true, until

mc = Monocore()
mc('rm', '-f', 'seen')
since = datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.%fZ')


def says(text, *parts):
    for part in parts:
        contains(text, part)


def usage(*words):
    rows = mc('stats', '--no-stream', '--json', *words).ok().json()
    return {row['name']: row for row in rows}


def events(*words):
    out = mc('events', '--json', '--since', since, '--until', '0s', *words).ok().out
    return [json.loads(line) for line in out.splitlines()]


@promise('stats tells the cpu, memory, disk and processes that a sandbox uses, and counters grow')
def _():
    mc('tmp', '-d', '--name', 'seen', '--label', 'tier=front', DEBIAN, '--', 'sh', '-c',
       'head -c 20000000 /dev/zero >/root/file; sync; while :; do :; done').ok()
    until(lambda: usage('seen')['seen']['disk'] > 20_000_000, 'its file counts')
    until(lambda: usage('seen')['seen']['cpu_thousandth'] > 200, 'it is busy')
    first = usage('seen')['seen']
    equal((first['memory_limit'], first['disk_limit'], first['cpus'], first['state']), (512 << 20, 10 << 30, 1, 'running'))
    true(10 << 20 < first['memory'] < 512 << 20, first)
    true(first['processes'] >= 1, first)
    until(lambda: usage('seen')['seen']['disk_written'] > 20_000_000, 'what it wrote counts')
    until(lambda: usage('seen')['seen']['cpu_nanoseconds'] > first['cpu_nanoseconds'], 'cpu time grows')
    table = mc('stats', '--no-stream').ok().out.splitlines()
    says(table[0], 'NAME', 'CPU', 'MEMORY / LIMIT', 'PIDS')
    says('\n'.join(table), 'seen ', '/ 512 MiB', '%')
    equal(sorted(usage('--label', 'tier=front')), ['seen'])
    equal(usage('--label', 'tier=back'), {})


@promise('stats of a paused sandbox does not wait for it, and one that does not run has no numbers')
def _():
    mc('pause', 'seen').ok()
    row = usage('seen')['seen']
    equal(row['state'], 'paused')
    true(row['memory'] > 0, row)
    mc('resume', 'seen').ok()
    mc('stats', '--no-stream', 'nobody').ok(1)


@promise('stats goes on until nobody reads it any more')
def _():
    command = subprocess.Popen([PROGRAM, 'stats', '--json'], env=mc.env, stdout=subprocess.PIPE)
    lines = [json.loads(command.stdout.readline()) for _ in range(2)]
    true(all(any(row['name'] == 'seen' for row in line) for line in lines), lines)
    command.stdout.close()
    command.wait(timeout=20)


def ready(stream):
    return bool(select.select([stream], [], [], 0.3)[0])


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


@promise('Prometheus reads the metrics from a file, and from a socket that no other file is taken for')
def _():
    with scratch() as folder:
        path = f'{folder}/m.prom'
        mc('stats', '--no-stream', '--prometheus', path).ok()
        with open(path) as f:
            text = f.read()
        says(text, '# TYPE monocore_sandbox_cpu_seconds_total counter', 'monocore_sandbox_up{name="seen",id="')
        for line in text.splitlines():
            true(line.startswith('#') or float(line.rsplit(' ', 1)[1]) >= 0, line)
        equal(os.listdir(folder), ['m.prom'])
        mc('stats', '--prometheus', f'unix:{path}').ok(1).says('no socket')
        equal(mc('stats', '--prometheus', '-').ok().out.splitlines()[0], text.splitlines()[0])
        server = subprocess.Popen([PROGRAM, 'stats', '--prometheus', f'unix:{folder}/s'], env=mc.env)
        try:
            until(lambda: os.path.exists(f'{folder}/s'), 'it listens')
            for _ in range(2):
                asked = Unix(f'{folder}/s')
                until(lambda: not asked.connect(), 'somebody answers')
                asked.request('GET', '/metrics')
                answer = asked.getresponse()
                equal((answer.status, answer.getheader('Content-Type')), (200, 'text/plain; version=0.0.4'))
                says(answer.read().decode(), 'monocore_sandbox_memory_bytes{name="seen"')
            mc('stats', '--prometheus', f'unix:{folder}/s').ok(1).says('another process listens')
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=20)


@promise('what a sandbox has used is kept, and told of a stopped one too')
def _():
    until(lambda: mc('stats', '--history', '--json', 'seen').ok().json(), 'ten seconds are over', 40)
    mc('exec', 'seen', 'true').ok()
    mc('kill', 'seen').ok()
    mc('wait', 'seen').ok()
    spans = mc('stats', '--history', '--json', 'seen').ok().json()
    true(spans and all(span['nanoseconds'] == 10_000_000_000 for span in spans), spans)
    true(sum(span['cpu_nanoseconds'] for span in spans) > 1_000_000_000, spans)
    true(max(span['disk'] for span in spans) > 20_000_000, spans)
    equal(mc('stats', '--history', '--json', '--since', '3d', 'seen').ok().json()[0]['nanoseconds'], 600_000_000_000)
    says(mc('stats', '--history', 'seen').ok().out, 'TIME', '10s')
    equal(usage('seen')['seen']['memory'], 0)
    equal(usage(), {})


@promise('events tells all that happened to a sandbox, in order, and filters choose from it')
def _():
    mc('rm', 'seen').ok()
    seen = events('--filter', 'sandbox=seen')
    equal([e['action'] for e in seen], ['create', 'start', 'pause', 'resume', 'exec', 'kill', 'die', 'remove'])
    equal(len({e['id'] for e in seen}), 1)
    equal(seen[6]['attributes'], {'image': DEBIAN, 'exit_status': '137'})
    true(all(e['labels'] == {'tier': 'front'} for e in seen), seen)
    equal(events('--filter', f'id={seen[0]["id"]}', '--filter', 'event=die', '--filter', 'event=kill'), seen[5:7])
    equal(events('--filter', 'label=tier=back'), [])
    mc('events', '--filter', 'colour=red').ok(1).says('colour=red')
    says(mc('events', '--since', since, '--until', '0s').ok().out, ' sandbox die ', 'exit_status=137, tier=front)')


@promise('events follows what happens from now on')
def _():
    command = subprocess.Popen([PROGRAM, 'events', '--filter', 'event=untag', '--filter', 'event=tag', '--json'],
                               env=mc.env, stdout=subprocess.PIPE)
    try:
        mc('load', '--input', IMAGE, 'seen:base').ok()
        # The command may not have begun to look yet: until it has, there is another one to see.
        for number in range(100):
            mc('tag', 'seen:base', f'seen:{number}').ok()
            mc('rmi', f'seen:{number}').ok()
            if command.poll() is None and ready(command.stdout):
                break
        event = json.loads(command.stdout.readline())
        equal((event['type'], event['action'] in ('tag', 'untag')), ('image', True))
        says(event['name'], 'seen:')
    finally:
        command.kill()
        command.wait()


@promise('clean removes what does not run of a project and what nobody has used for long, and nothing else')
def _():
    with scratch() as folder:
        place, old = f'{folder}/mccleaned', f'{mc.home}/templates/{"a" * 64}'
        os.mkdir(place)
        with open(f'{place}/monocore.yaml', 'w') as f:
            f.write('sandboxes:\n' + ''.join(
                f'  {name}:\n    image: {DEBIAN}\n    scripts: {{start: {what}}}\n'
                for name, what in (('runs', 'sleep 1000'), ('done', 'head -c 3000000 /dev/zero >/root/file; sync'))))
        mc('up', '--grant', cwd=place).ok()
        mc('wait', 'mccleaned-done').ok()
        mc('tmp', '-d', '--name', 'seen', DEBIAN, '--', 'true').ok()
        mc('wait', 'seen').ok()
        os.mkdir(old)
        os.utime(old, (0, 0))
        dry = mc('clean', '--dry-run', '--json', cwd=place).ok().json()
        equal([(row['kind'], row['name'], row['removed']) for row in dry],
              [('sandbox', 'mccleaned-done', False), ('template', 'a' * 12, False)])
        true(dry[0]['bytes'] > 3_000_000, dry)
        equal(mc('clean', '-q', cwd=place).ok().out.split(), ['mccleaned-done', 'a' * 12])
        equal(sorted(set(mc('ps', '-aq').ok().out.split()) & {'mccleaned-done', 'mccleaned-runs', 'seen'}),
              ['mccleaned-runs', 'seen'])
        true(not os.path.exists(old), 'the old template is gone')
        mc('clean', cwd=folder).ok(2).says('monocore.yaml', '--all')
        rows = mc('clean', '--all', '--dry-run', '--json', cwd=folder).ok().json()
        equal([row['name'] for row in rows if row['kind'] == 'sandbox' and row['name'] in ('seen', 'mccleaned-runs')],
              ['seen'])
        mc('down', '-t', '0', cwd=place).ok()
        mc('clean', cwd=place).ok()
        mc('rm', 'seen').ok()


tap.main(mc.clean)
