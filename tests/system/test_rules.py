#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an image's config says, and what overrides it, by the rules of `docker run`."""
import atexit
import shutil
import tempfile

from harness import images, tap
from harness.program import Monocore
from harness.tap import contains, equal, promise

mc = Monocore()
folder = tempfile.mkdtemp(prefix='mc-rules-')
atexit.register(shutil.rmtree, folder, True)
made = 0


def image(**config):
    """The Debian image with this config; its PATH stays, where no Env is given."""
    global made
    made += 1
    return images.over_debian(f'{folder}/{made}', config)


@promise('Entrypoint and Cmd run one behind the other')
def _():
    equal(mc('tmp', image(Entrypoint=['echo', 'entry'], Cmd=['cmd'])).ok().out, 'entry cmd\n')
    equal(mc('tmp', image(Entrypoint=['echo', 'entry'])).ok().out, 'entry\n')
    equal(mc('tmp', image(Cmd=['echo', 'cmd'])).ok().out, 'cmd\n')


@promise('a command replaces Cmd and leaves Entrypoint')
def _():
    equal(mc('tmp', image(Entrypoint=['echo', 'entry'], Cmd=['cmd']), 'mine', '-n').ok().out, 'entry mine -n\n')
    equal(mc('tmp', image(Cmd=['echo', 'cmd']), 'echo', 'mine').ok().out, 'mine\n')


@promise('--entrypoint replaces Entrypoint and drops Cmd; an empty one leaves the command alone')
def _():
    reference = image(Entrypoint=['echo', 'entry'], Cmd=['cmd'])
    equal(mc('tmp', '--entrypoint', 'echo', reference).ok().out, '\n')
    equal(mc('tmp', '--entrypoint', 'printf', reference, '%s|', 'a', 'b').ok().out, 'a|b|')
    equal(mc('tmp', '--entrypoint', '', reference, 'echo', 'mine').ok().out, 'mine\n')
    mc('tmp', '--entrypoint', '', reference).ok(125).says('Cmd')


@promise('an image without Entrypoint and Cmd wants a command')
def _():
    mc('tmp', image()).ok(125).says('neither Entrypoint nor Cmd')
    equal(mc('tmp', image(), 'echo', 'mine').ok().out, 'mine\n')


@promise('Env is the environment, -e goes over it, and PATH finds the command')
def _():
    reference = image(Env=['PATH=/usr/local/bin', 'A=image', 'B=image', 'EMPTY='], Cmd=['hello'])
    equal(mc('tmp', reference).ok().out, 'hello from the image\n')
    lines = mc('tmp', '-e', 'B=mine', '-e', 'C=mine', reference, '/usr/bin/env').ok().out.splitlines()
    equal([line for line in lines if line[0] in 'ABCE'], ['A=image', 'B=mine', 'EMPTY=', 'C=mine'])
    mc('tmp', reference, 'ls').ok(127).says('ls')
    lines = mc('tmp', image(Cmd=['env'])).ok().out.splitlines()
    contains('\n'.join(lines), 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
    contains('\n'.join(lines), 'HOME=/root')


@promise('WorkingDir is where it runs, made where the image lacks it, and -w goes over it')
def _():
    equal(mc('tmp', image(WorkingDir='/usr/share', Cmd=['pwd'])).ok().out, '/usr/share\n')
    equal(mc('tmp', image(WorkingDir='/not/there/yet', Cmd=['pwd'])).ok().out, '/not/there/yet\n')
    equal(mc('tmp', '-w', '/etc', image(WorkingDir='/usr', Cmd=['pwd'])).ok().out, '/etc\n')
    equal(mc('tmp', image(Cmd=['pwd'])).ok().out, '/\n')
    mc('tmp', '-w', '/etc/passwd', image(Cmd=['pwd'])).ok(125).says('/etc/passwd')


@promise('User is who it runs as, with its groups and home, and -u goes over it')
def _():
    reference = image(User='app', Cmd=['sh', '-c', 'id; echo $HOME'])
    contains(mc('tmp', reference).ok().out, 'uid=1000(app) gid=1000(app) groups=1000(app),1001(extra)\n/home/app')
    contains(mc('tmp', '-u', '0', reference).ok().out, 'uid=0(root)')
    contains(mc('tmp', image(User='1000:extra', Cmd=['id'])).ok().out, 'gid=1001(extra)')
    mc('tmp', image(User='nobody-here', Cmd=['id'])).ok(125).says('nobody-here')


@promise('StopSignal is what stop sends, and --stop-signal goes over it')
def _():
    line = 'for s in USR1 USR2 TERM; do trap "echo $s; exit 0" $s; done; echo up; while :; do sleep 0.05; done'
    for options, config, expected in (((), {'StopSignal': 'SIGUSR1'}, 'USR1'), ((), {'StopSignal': '12'}, 'USR2'),
                                      (('--stop-signal', 'USR2'), {'StopSignal': 'SIGUSR1'}, 'USR2'), ((), {}, 'TERM')):
        name = mc('tmp', '-d', *options, image(Cmd=['sh', '-c', line], **config)).ok().out.strip()
        tap.until(lambda: 'up' in mc('log', name).ok().out, 'the command is up')
        mc('stop', name).ok()
        equal(mc('log', name).ok().out, f'up\n{expected}\n')
        mc('rm', name).ok()


@promise('Volumes are directories that can be written')
def _():
    reference = image(Volumes={'/data/deep': {}, '/srv': {}}, Cmd=['sh', '-c', 'echo x >/data/deep/x && cat /data/deep/x'])
    equal(mc('tmp', reference).ok().out, 'x\n')


@promise('odd values in a config are ignored or refused, and never crash')
def _():
    equal(mc('tmp', image(Cmd=['echo', 'fine'], Env=None, Volumes=None, Labels=None, ExposedPorts={'80/tcp': {}},
                          Unknown={'deep': [1, 2]})).ok().out, 'fine\n')
    for config in ({'Cmd': 'echo'}, {'Cmd': [1]}, {'Env': {'A': 'b'}, 'Cmd': ['true']}, {'User': 5, 'Cmd': ['true']}):
        answer = mc('tmp', image(**config), 'true')
        if answer.status:
            answer.ok(125).says('config')


tap.main(mc.clean)
