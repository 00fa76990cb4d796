#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""monocore build: images from Dockerfiles and from what a project's file has under builds, and the cache of their steps."""
import atexit
import io
import json
import os
import shutil
import tarfile
import tempfile
import time

from harness import state, tap
from harness.program import DEBIAN, Monocore, send
from harness.tap import contains, equal, promise, true, until

folder = tempfile.mkdtemp(prefix='mc-build-')
atexit.register(shutil.rmtree, folder, True)
home = f'{folder}/home'
mc = Monocore(home, SOURCE_DATE_EPOCH='1700000000')


def write(path, text, mode=0o644):
    path = f'{folder}/{path}'
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(text.encode() if isinstance(text, str) else text)
    os.chmod(path, mode)


def context(name, dockerfile, **files):
    write(f'{name}/Dockerfile', dockerfile)
    for file, text in files.items():
        write(f'{name}/{file.replace("__", "/").replace("_", ".")}', text)
    return f'{folder}/{name}'


def build(*words, **how):
    return mc('build', *words, timeout=100, **how)


def inspect(image):
    return mc('inspect', image).ok().json()[0]


def shell(image, script, *words):
    return mc('tmp', '-q', *words, '--entrypoint', 'sh', image, '-c', script, timeout=60).ok().out


FULL = f"""
ARG BASE=nothing
FROM $BASE AS one
ARG GREETING=hi
ENV WHO="the world" DIR=/opt/app
WORKDIR $DIR
COPY src ./src/
RUN echo "$GREETING $WHO" >greeting; mkdir -m 700 /deep; ls src
RUN <<END
rm /etc/issue
echo "$HOSTNAME $(id -u) $0" >/who
END
FROM scratch AS unused
COPY nothing /
FROM scratch AS two
COPY --from=one /opt/app/greeting /who /
FROM one
COPY --from=two /greeting /etc/greeting
COPY --chown=7:8 --chmod=640 --from=one /opt/app/src/*.txt /etc/some/
COPY <<A <<"B" /etc/here/
$WHO
A
$WHO
B
ADD files_tar /unpacked/
LABEL a="b c" d=$WHO
EXPOSE 80 53/udp
VOLUME /data
SHELL ["/bin/bash", "-c"]
HEALTHCHECK --interval=5s CMD true
STOPSIGNAL SIGINT
USER 1000:1000
ENTRYPOINT ["cat"]
CMD ["/etc/greeting"]
"""


def tar_of(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w:gz') as t:
        for name, text in files.items():
            m = tarfile.TarInfo(name)
            m.size, m.mode = len(text), 0o600
            t.addfile(m, io.BytesIO(text.encode()))
    return out.getvalue()


whole = context('whole', FULL.replace('files_tar', 'files.tar'), src__a_txt='a', src__b_txt='b', src__c_o='o', files_tar=tar_of(x='ex'),
                _dockerignore='**/*.o\n')
GIVEN = ('--build-arg', f'BASE={DEBIAN}', '--label', 'e=f')
first = []


@promise('the instructions of a Dockerfile do what docker does by them', 120)
def instructions():
    first.append(build('-t', 'acme/app:1', *GIVEN, whole).ok())
    contains(first[0].err, 'a.txt\nb.txt')
    true('c.o' not in first[0].err and 'unused' not in first[0].err, first[0])
    equal(mc('tmp', 'acme/app:1', timeout=60).ok().out, 'hi the world\n')
    equal(shell('acme/app:1', """pwd; ls src; cat /etc/here/A /etc/here/B /unpacked/x /who
        stat -c '%n %u %g %a %Y' /etc/some/a.txt /deep /unpacked/x; ls /etc/issue 2>&1 || :""", '-u', '0').splitlines(),
          ['/opt/app', 'a.txt', 'b.txt', 'the world', '$WHO', 'exbuild 0 /bin/sh', '/etc/some/a.txt 7 8 640 1700000000',
           '/deep 0 0 700 1700000000', '/unpacked/x 0 0 600 1700000000',
           "ls: cannot access '/etc/issue': No such file or directory"])


@promise('an image that is built has config, labels and history')
def config():
    found = inspect('acme/app:1')['Config']
    equal((found['Entrypoint'], found['Cmd'], found['User'], found['WorkingDir'], found['StopSignal'], found['Shell']),
          (['cat'], ['/etc/greeting'], '1000:1000', '/opt/app', 'SIGINT', ['/bin/bash', '-c']))
    equal({k: v for k, v in found['Labels'].items() if '.' not in k}, {'a': 'b c', 'd': 'the world', 'e': 'f'})
    equal((found['ExposedPorts'], found['Volumes']), ({'80/tcp': {}, '53/udp': {}}, {'/data': {}}))
    equal(found['Healthcheck'], {'Test': ['CMD-SHELL', 'true'], 'Interval': 5000000000})
    contains(mc('history', 'acme/app:1').ok().out, 'COPY src ./src/')


@promise('what was done before is taken from the cache, and the digest is the same')
def cached():
    again = build('-t', 'acme/app:2', *GIVEN, whole).ok()
    equal(again.out, first[0].out)
    true(all(line.endswith('CACHED') for line in again.err.splitlines()), again)
    write('whole/src/c.o', 'ignored')
    true('done' not in build(*GIVEN, whole).ok().err, 'a file that is left out does not count')
    equal(mc('ps', '-aq').ok().out, '')
    equal(os.listdir(f'{home}/builds'), [])


@promise('the same inputs give the same digest anew, and what changed is done again from there on', 120)
def anew():
    small = context('small', f'FROM {DEBIAN}\nRUN mkdir /made; date +%N >/tmp/x; rm /tmp/x; echo x >/made/x\nCOPY f /f\n', f='1')
    one = build(small).ok()
    equal(build('--no-cache', small).ok().out, one.out)
    write('small/f', '2')
    two = build(small).ok()
    true(two.out != one.out and 'RUN mkdir /made; date +%N >/tmp/x; rm /tmp/x; echo x >/made/x  CACHED' in two.err, two)


@promise('a command that fails fails the build with its line, its status and what it wrote last')
def failing():
    bad = context('bad', f'FROM {DEBIAN}\nRUN echo to be seen; echo the reason >&2; exit 3\n')
    got = build('-t', 'acme/bad', bad)
    equal(got.status, 1)
    contains(got.err, 'line 2: RUN echo to be seen')
    contains(got.err, 'the command ended with status 3: the reason')
    equal(mc('ps', '-aq').ok().out, '')
    true(mc('inspect', 'acme/bad').status == 1, 'no name')


@promise('nothing outside of the context is read')
def outside():
    for line, text in (('COPY ../small/f /', 'leads out of the context'), ('COPY out /', 'leads out of the context'),
                       ('COPY sub/up /', 'leads out of the context'), ('COPY none /', 'none'),
                       ('ADD https://example.org/x /', 'remote files are not added'), ('ONBUILD RUN x', 'not done here'),
                       ('RUNN x', "did you mean 'RUN'?"), ('RUN --mount=type=cache,target=/x y', '--mount is not known')):
        where = context('outside', f'FROM scratch\n{line}\n', sub__x='')
        for link, target in (('out', '/etc/passwd'), ('sub/up', '../../small/f')):
            if not os.path.islink(f'{where}/{link}'):
                os.symlink(target, f'{where}/{link}')
        got = build(where)
        equal(got.status, 1, line)
        contains(got.err, text)
        contains(got.err, 'line 2')
    context('outside', 'FROM scratch\nCOPY sub /sub/\n')
    got = build('-t', 'acme/links', where).ok()
    true(got.out.startswith('sha256:'), got)


PROJECT = f"""
builds:
  tools:
    image: {DEBIAN}
    steps:
      - copy: [../beside, /tool]
      - run: [sh, -c, 'mkdir /more; echo more >/more/file']
    exports: {{tool: /tool, more: /more}}
  app:
    image: {DEBIAN}
    depends_on: [tools]
    envs: [A=1]
    workdir: /app
    imports: {{tool: /usr/local/bin/tool, more: /more/}}
    steps:
      - copy: [./main.sh, ./lib, .]
      - env: {{B: two words}}
      - echo $A $B >made
      - user: "1000"
    scripts: {{start: cat made, test: ls}}
    ports: [80]
sandboxes:
  web:
    image: app
    scripts: {{start: sleep infinity}}
"""


@promise('the builds of a project are built with what they import, and its sandboxes are made of them', 120)
def project():
    write('shop/monocore.yaml', PROJECT)
    write('beside', 'tool\n')
    write('shop/main.sh', 'x', 0o755)
    write('shop/lib/l', 'l')
    equal(mc('-C', f'{folder}/shop', 'build', 'app').status, 1, 'a file outside of the project was not allowed yet')
    got = mc('-C', f'{folder}/shop', 'build', '--grant', 'app', timeout=100).ok()
    true(got.out.startswith('sha256:'), got)
    name = 'monocore.local/shop/app:latest'
    found = inspect(name)['Config']
    equal(json.loads(found['Labels']['dev.monocore.scripts']), {'start': 'cat made', 'test': 'ls'})
    equal((found['User'], found['WorkingDir'], found['ExposedPorts']), ('1000', '/app', {'80/tcp': {}}))
    equal(mc('tmp', '-q', f'{name}~start', timeout=60).ok().out, '1 two words\n')
    equal(shell(name, 'cat /usr/local/bin/tool /more/file; ls').split(), ['tool', 'more', 'l', 'made', 'main.sh'])
    again = mc('-C', f'{folder}/shop', 'build', timeout=100).ok()
    true('done' not in again.err and got.out in again.out, again)


@promise('apply sees that files which a build copies have changed, and what was only touched makes nothing anew', 240)
def inputs():
    def shop(*words):
        return mc('-C', f'{folder}/shop', *words, timeout=100)

    def plan():
        return [row['verb'] for row in shop('apply', '--dry-run', '--json').ok().json()]

    shop('apply').ok()
    time.sleep(2.1)  # what is younger may change within a tick of some file system's clock
    shop('build', 'app').ok()
    equal(plan(), [])
    write('shop/lib/l', 'L')
    true('build' in plan(), plan())
    shop('apply').ok()
    equal(mc('exec', 'shop-web', '--', 'cat', '/app/l').ok().out, 'L')
    made = mc.row('shop-web')['id']
    os.utime(f'{folder}/shop/lib/l')
    time.sleep(2.1)
    shop('apply').ok()
    equal((plan(), mc.row('shop-web')['id'], mc.row('shop-web')['state']), ([], made, 'running'))
    mc('rm', '-f', 'shop-web').ok()


@promise('what steps have made is kept as long as it is used, and goes with prune --all')
def kept():
    mc('image', 'prune').ok()
    true('done' not in build(*GIVEN, whole).ok().err, 'kept')
    cache, = [row for row in mc('clean', '--all', '--dry-run', '--json').ok().json() if row['kind'] == 'cache']
    true(cache['bytes'] > 0 and not cache['removed'], cache)
    mc('image', 'prune', '--all').ok()
    equal(mc('images', '-q').ok().out, '')
    equal([n for n in os.listdir(f'{home}/store/blobs/sha256')], [])


def strike(process, all_of_it):
    """Kills the command line, or with it all that it has started."""
    bosses = state.supervisors(mc.home)
    pids = [pid for boss in bosses for pid in [boss] + state.descendants(boss)] if all_of_it else []
    for pid in [process.pid] + pids:
        send(pid)
    process.communicate(timeout=20)


@promise('a build that is killed anywhere leaves nothing in the way: the same again builds, and its images are whole', 200)
def killed():
    write('killed/big', os.urandom(3 << 20))
    for turn, delay in enumerate((0.05, 0.6, 1.1)):
        text = (f'FROM {DEBIAN}\nCOPY big /big\nRUN sleep 0.3; echo {turn} >/made\n'
                'RUN sleep 0.3; cat /made >/again; head -c 2000000 /dev/urandom >/junk; rm /big\n')
        write('killed/Dockerfile', text)
        process = mc.start('build', '-f', f'{folder}/killed/Dockerfile', '-t', 'killed', f'{folder}/killed')
        time.sleep(delay)
        strike(process, turn % 2)
        build('-f', f'{folder}/killed/Dockerfile', '-t', 'killed', f'{folder}/killed').ok()
    equal(shell('killed', 'cat /made /again; test -e /big || echo removed'), '2\n2\nremoved\n')
    until(lambda: not mc.names() and not state.supervisors(mc.home), 'no sandbox of a build is left')
    mc('image', 'check').ok()


def finish():
    lines = mc.clean()
    left = os.listdir(f'{home}/store/tmp')
    return lines + [f'store/tmp has {left}'] * bool(left)


tap.main(finish)
