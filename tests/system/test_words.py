#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the command line answers when no sandbox is needed for it."""
import json
import os
import re
import subprocess

from harness import tap
from harness.program import DEBIAN, PROGRAM, Monocore
from harness.tap import contains, equal, promise, scratch, true

mc = Monocore()


@promise('a word that is not known is named with the nearest that is')
def _():
    mc('inspct', 'x').ok(2).says("'inspct'", "did you mean 'inspect'?")
    mc('ps', '--lable', 'x').ok(2).says('--lable', '--label')
    mc('self', 'docter').ok(2).says("'docter'", "did you mean 'doctor'?")
    mc('help', 'stpo').ok(2).says("did you mean 'stop'?")
    mc('zzzzzz').ok(2).says("'zzzzzz'", 'monocore help')


@promise('what comes with later versions says so, and is never silent')
def _():
    for verb in ('serve', 'server', 'deploy'):
        answer = mc(verb, 'something', '--with', 'options').says('not yet available', verb)
        true(answer.status != 0, answer)


@promise('wrong usage has status 2, one line, and starts nothing')
def _():
    for words in (('tmp',), ('exec', 'x'), ('cp', 'a'), ('cp', 'a', 'b'), ('wait',), ('rm',), ('tmp', '--cpus', 'two', 'x'),
                  ('tmp', '--ram', '1Q', 'x'), ('tmp', '--ulimit', 'nofile', 'x'), ('tmp', '--pids', '0', 'x'),
                  ('tmp', '-e', '=x', 'x'), ('tmp', '--label', '=x', 'x'), ('tmp', '--engine', 'bochs', 'x'),
                  ('tmp', '--stop-signal', 'NOSUCH', 'x'), ('tmp', '--exec', 'id', 'x', 'id'), ('kill', '--signal', '0', 'x'),
                  ('stop', '-t', 'soon', 'x'), ('log', '--since', 'sometime', 'x'), ('log', '-n', 'many', 'x'),
                  ('ps', 'x'), ('tmp', '--unknown', 'x')):
        mc(*words).ok(2).says('monocore')
    equal(mc.names(), [])


@promise('a name that nobody has is an error for every verb that takes one')
def _():
    for words in (('exec', 'nobody', 'true'), ('log', 'nobody'), ('stop', 'nobody'), ('kill', 'nobody'),
                  ('wait', 'nobody'), ('pause', 'nobody'), ('resume', 'nobody'), ('restart', 'nobody'),
                  ('rm', 'nobody'), ('rm', '-f', 'nobody'), ('cp', 'nobody:/x', '.')):
        mc(*words).ok(1).says("'nobody'", 'monocore ps -a')
    answer = mc('inspect', 'nobody').ok(1).says("'nobody'")
    equal(answer.json(), [])


@promise('lists print JSON when asked to, and no escapes off a terminal')
def _():
    equal(mc('ps', '-a', '--json').ok().json(), [])
    true(isinstance(mc('self', 'kernel', 'list', '--json').ok().json(), list), 'kernel list')
    for finding in json.loads(mc('self', 'doctor', '--json').out):
        equal(sorted(finding), ['state', 'text', 'topic'])
    for words in (('ps', '-a'), ('self', 'doctor'), ('help',), ('tmp', 'oci:/nowhere')):
        answer = mc(*words)
        true('\033' not in answer.out + answer.err, answer)


@promise('the schema of monocore.yaml is there for editors and for people')
def _():
    schema = mc('self', 'schema').ok().json()
    for name in ('sandboxes', 'builds', 'groups', 'modules', 'meta'):
        true(name in schema['properties'], sorted(schema['properties']))
        contains(mc('self', 'schema', '--markdown').ok().out, name)


@promise('the doctor finds nothing to mend here, and tells how guests run')
def _():
    findings = {f['topic']: f for f in mc('self', 'doctor', '--json').ok().json()}
    equal([f for f in findings.values() if f['state'] == 'mend'], [])
    for topic in ('kvm', 'qemu', 'kernel'):
        true(any(topic in name for name in findings), f'nothing about {topic}: {sorted(findings)}')
    true('libkrun' in json.dumps(list(findings.values())), findings)
    equal(findings['fuse']['state'], 'good')
    without = {f['topic']: f for f in mc('self', 'doctor', '--json', env={'PATH': '/nowhere'}).json()}
    equal(without['fuse']['state'], 'note' if os.geteuid() else 'good')


@promise('the version is said in one way by three commands')
def _():
    first = mc('version').ok().out
    true(re.search(r'\d+\.\d+\.\d+', first), first)
    equal(mc('--version').ok().out, first)
    equal(mc('self', 'version').ok().out, first)


@promise('output into a full or closed device is a failure, not a silence')
def _():
    with open('/dev/full', 'wb') as full:
        answer = subprocess.run([PROGRAM, 'help'], stdout=full, stderr=subprocess.PIPE, env=mc.env, text=True)
    equal(answer.returncode, 1)
    contains(answer.stderr, 'No space left')


@promise('a state directory that cannot be is named')
def _():
    with scratch() as folder:
        with open(f'{folder}/file', 'w'):
            pass
        Monocore(f'{folder}/file/home')('ps').ok(1).says(f'{folder}/file')
    if os.getuid():
        Monocore('/root/monocore')('ps').ok(1).says('/root/monocore')
        Monocore('/usr/share')('ps').ok(1).says('/usr/share', 'belongs to user 0')


tap.main(mc.clean)
