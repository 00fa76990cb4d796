#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guests that are root on their own machine and write what frames they like: nobody else is harmed or deceived."""
import atexit
import json
import shutil
import tempfile

from harness import tap, world
from harness.probe import serve, tell
from harness.program import Monocore
from harness.tap import equal, promise, true

PUBLIC = '8.8.8.8'
folder = tempfile.mkdtemp(prefix='mc-hostile-net-')
atexit.register(shutil.rmtree, folder, True)
outside = world.World(folder, {'good.test': (['8.8.4.4'], 60)})
mc = Monocore(before=outside.before)

# In a sandbox, until the last frame that ATTACK sends has come, and half a second more: writes what comes in on eth0
# and has the mark, or is ARP, DHCP or IPv6.
WATCH = r'''
import json, socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("eth0", 0)); s.settimeout(0.2)
print("watching", flush=True)
seen, end = [], None
while not end or time.monotonic() < end:
    try:
        frame, where = s.recvfrom(70000)
    except TimeoutError:
        continue
    kind = frame[12:14].hex()
    if b"ATTACK-last" in frame and where[2] != 4:
        end = time.monotonic() + 0.5
    if where[2] != 4 and (b"ATTACK" in frame or kind in ("0806", "86dd") or frame[34:38].hex() in ("00430044", "00440043")):
        at = frame.find(b"ATTACK")
        seen.append([frame[6:12].hex(), kind, frame[at:at + 24].split(b";")[0].decode() if at >= 0 else "", frame[:60].hex()])
print(json.dumps(seen), flush=True)
'''

# In a sandbox: sends frames made of wrong parts. argv: own address, victim's address, both MACs by the rule of addresses.
ATTACK = r'''
import socket, struct, sys
own, victim = sys.argv[1:3]
gateway = own.rsplit(".", 1)[0] + ".1"
def mac(a): return bytes([0x52, 0x4d]) + socket.inet_aton(a)
def total(b):
    b += bytes(len(b) % 2)
    t = sum(struct.unpack(">%dH" % (len(b) // 2), b))
    while t >> 16: t = (t >> 16) + (t & 0xffff)
    return ~t & 0xffff
def ip(source, to, body, protocol=17, flags=0, options=b"", length=None, number=7):
    head = bytearray(struct.pack(">BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, length or 20 + len(options) + len(body),
                                 number, flags, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(to)) + options)
    head[10:12] = struct.pack(">H", total(bytes(head)))
    return bytes(head) + body
def udp(text, source=4000, to=7777):
    body = text.encode() + b";" + bytes(20)
    return struct.pack(">HHHH", source, to, 8 + len(body), 0) + body
def ether(source, to, kind, body): return mac_or(to) + mac_or(source) + kind + body
def mac_or(a): return a if isinstance(a, bytes) else mac(a)
def arp(operation, sender_mac, sender, target_mac, target):
    return struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, operation, sender_mac, socket.inet_aton(sender), target_mac,
                       socket.inet_aton(target)) + b"ATTACK-arp;"
IP, ARP, IP6, ALL = b"\x08\0", b"\x08\x06", b"\x86\xdd", b"\xff" * 6
long = udp("ATTACK-fragment" + "x" * 3000)
frames = [
    ether(own, victim, IP, ip(own, victim, udp("ATTACK-honest"))),
    ether(mac("10.9.9.9"), victim, IP, ip(own, victim, udp("ATTACK-mac"))),
    ether(gateway, victim, IP, ip(own, victim, udp("ATTACK-gateway-mac"))),
    ether(own, victim, IP, ip(gateway, victim, udp("ATTACK-gateway-address"))),
    ether(own, victim, IP, ip("8.8.8.8", victim, udp("ATTACK-foreign"))),
    ether(own, gateway, IP, ip("8.8.8.8", "8.8.4.4", udp("ATTACK-out-foreign"))),
    ether(own, gateway, IP, ip(victim, "8.8.4.4", udp("ATTACK-out-victim"))),
    *(ether(own, gateway, IP, ip(own, to, udp("ATTACK-host"))) for to in ("127.0.0.1", "127.8.8.8", "0.0.0.0", "192.168.77.1",
                                                                          "11.22.33.1", "0.1.2.3")),
    ether(own, gateway, IP, ip(own, "9.9.9.9", udp("ATTACK-world"))),
    ether(own, ALL, IP, ip(own, "255.255.255.255", udp("ATTACK-broadcast"))),
    ether(own, ALL, IP, ip(own, victim, udp("ATTACK-by-broadcast"))),
    ether(own, ALL, IP, ip(own, own.rsplit(".", 1)[0] + ".255", udp("ATTACK-subnet"))),
    ether(own, b"\x01\0\x5e\0\0\xfb", IP, ip(own, "224.0.0.251", udp("ATTACK-multicast"))),
    ether(own, ALL, ARP, arp(1, mac(own), gateway, bytes(6), victim)),
    ether(own, victim, ARP, arp(2, mac(own), gateway, mac(victim), victim)),
    ether(own, ALL, ARP, arp(2, mac(own), own, ALL, own)),
    ether(own, victim, ARP, arp(2, mac(own), own, mac(victim), victim)),
    ether(own, ALL, IP, ip(own, "255.255.255.255", udp("ATTACK-offer", 67, 68))),
    ether(own, victim, IP, ip(own, victim, udp("ATTACK-lease", 67, 68))),
    ether(own, victim, IP6, b"\x60\0\0\0\0\x08\x11\x40" + bytes(32) + udp("ATTACK-ipv6")),
    ether(own, b"\x33\x33\0\0\0\x01", IP6, b"\x60\0\0\0\0\x08\x3a\xff" + bytes(32) + b"ATTACK-ra;" + bytes(20)),
    ether(own, victim, b"\x81\0\0\x05" + IP, ip(own, victim, udp("ATTACK-vlan"))),
    ether(own, victim, IP, ip(own, victim, long[:1480], flags=0x2000)),
    ether(own, victim, IP, ip(own, victim, long[1472:], flags=184)),
    ether(own, victim, IP, ip(own, victim, udp("ATTACK-tiny"), flags=0x2000)),
    ether(own, victim, IP, ip(own, victim, udp("ATTACK-options"), options=b"\x07\x07\x04\0\0\0\0\0")),
    ether(own, victim, IP, ip(own, victim, udp("ATTACK-route"), options=b"\x83\x07\x04" + socket.inet_aton(victim) + b"\0")),
    ether(own, victim, IP, ip(own, victim, udp("ATTACK-short"), length=4000)),
    ether(own, victim, IP, ip(own, victim, udp("ATTACK-sctp"), protocol=132)),
    ether(own, victim, IP, ip(own, victim, udp("ATTACK-gre"), protocol=47)),
    ether(own, victim, IP, bytes([0x46]) + ip(own, victim, udp("ATTACK-header"))[1:]),
    ether(own, victim, IP, ip(own, victim, udp("ATTACK-checksum"))[:10] + b"\xbe\xef" + ip(own, victim, udp("ATTACK-checksum"))[12:]),
    ether(own, victim, IP, b"\x45")[:15], ether(own, victim, IP, b""), mac(victim) + mac(own),
    ether(own, victim, IP, ip(own, victim, b"\x08\0" + b"\0\0" + struct.pack(">HH", 1, 1) + b"ATTACK-ping;", protocol=1)),
    ether(own, victim, IP, ip(own, victim, b"\x05\x01\0\0" + socket.inet_aton(own) + ip(victim, gateway, udp("x")) + b"ATTACK-redirect;", protocol=1)),
    ether(own, victim, IP, ip(own, victim, udp("ATTACK-last"))),
]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
sent = 0
for frame in frames:
    try:
        s.send(frame)
        sent += 1
    except OSError:
        pass
print(sent)
'''

FLOOD = r'''
import os, random, socket, struct, sys
own, target, kind = sys.argv[1:4]
def mac(a): return bytes([0x52, 0x4d]) + socket.inet_aton(a)
gateway = own.rsplit(".", 1)[0] + ".1"
hop = target if target.rsplit(".", 1)[0] == own.rsplit(".", 1)[0] else gateway
def total(b):
    b += bytes(len(b) % 2)
    t = sum(struct.unpack(">%dH" % (len(b) // 2), b))
    while t >> 16: t = (t >> 16) + (t & 0xffff)
    return ~t & 0xffff
def syn(port, to_port):
    source, to = socket.inet_aton(own), socket.inet_aton(target)
    tcp = struct.pack(">HHIIBBHHH", port, to_port, random.getrandbits(32), 0, 0x50, 2, 65535, 0, 0)
    tcp = tcp[:16] + struct.pack(">H", total(source + to + struct.pack(">HH", 6, len(tcp)) + tcp)) + tcp[18:]
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0, source, to)
    head = head[:10] + struct.pack(">H", total(head)) + head[12:]
    return mac(hop) + mac(own) + b"\x08\0" + head + tcp
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
print("begun", flush=True)
turns, sent = 0, 0
while turns % 16 or not os.path.exists("/tmp/enough"):
    turns += 1
    if kind == "syn":
        frame = syn(random.randrange(1024, 65536), 7777)
    elif kind == "scan":
        frame = syn(40000, turns % 65536)
    elif kind == "arp":
        frame = b"\xff" * 6 + mac(own) + b"\x08\x06" + struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, mac(own),
            socket.inet_aton(own), bytes(6), socket.inet_aton(target))
    else:
        frame = os.urandom(random.randrange(14, 1500))
    try:
        s.send(frame)
        sent += 1
    except OSError:
        pass
print(sent)
'''

PUSH = r'''
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("begun", flush=True)
while not os.path.exists("/tmp/enough"):
    s.sendto(bytes(60000), (sys.argv[1], 9))
'''

ECHO = r'''
import socket, threading
def serve(c):
    while data := c.recv(65536):
        c.sendall(data)
s = socket.create_server(("0.0.0.0", 7777))
while True:
    threading.Thread(target=serve, args=(s.accept()[0],)).start()
'''


def address(name):
    return mc.shell(name, 'hostname -i')


def finish():
    left = mc.clean()
    outside.close()
    return left


def begin(program, name, *words):
    """Starts a program of above, which says that it has begun."""
    process = mc.start('exec', name, '--', 'python3', '-ISc', program, *words)
    equal(process.stdout.readline(), b'begun\n')
    return process


def enough(name, process):
    """Ends a program that was begun; what it printed."""
    mc.shell(name, 'touch /tmp/enough')
    try:
        return process.communicate(timeout=60)[0]
    finally:
        mc.shell(name, 'rm /tmp/enough')


def watch(name):
    process = mc.start('exec', name, '--', 'python3', '-ISuc', WATCH)
    equal(process.stdout.readline(), b'watching\n')
    return process


def watched(process):
    return json.loads(process.communicate(timeout=60)[0])


@promise('a frame that lies about who sent it, or that is not plain IPv4, reaches neither a neighbour nor the world', limit=150)
def _():
    with mc.sandbox('--group', 'frames', '--reach', 'any') as attacker, mc.sandbox('--group', 'frames') as victim:
        own, other = address(attacker), address(victim)
        true(own != other, own)
        watcher = watch(victim)
        true(int(mc('exec', attacker, '--', 'python3', '-ISc', ATTACK, own, other, timeout=60).ok().out) > 20, 'frames were sent')
        seen = watched(watcher)
        marks = {mark for _, _, mark, _ in seen if mark}
        equal(marks - {'ATTACK-ping'}, {'ATTACK-honest', 'ATTACK-last'}, 'and the honest ones came')
        rule = '524d' + ''.join(f'{int(part):02x}' for part in own.split('.'))
        equal([row for row in seen if row[2] and row[0] != rule], [], 'the sender is who it says')
        equal([row for row in seen if row[1] == '86dd'], [], 'no IPv6')
        equal([row for row in seen if row[1] == '0806' and row[2]], [], 'no ARP of the attacker')
        called = {(where, to) for where, kind, to, *_ in outside.seen if kind == 'udp'}
        true(('world', '9.9.9.9') in called, 'what is honest came out')
        equal([row for row in called if row[1] == '8.8.4.4' or row[0] == 'host'], [], 'and nothing else, nor to the host')
        # The victim still finds the gateway and its neighbour, and both are who they were.
        equal(tell(mc, victim, [('tcp', PUBLIC), ('icmp', own), ('icmp', own.rsplit('.', 1)[0] + '.1')])[0][0], 'open')
        drops = str(mc('net', 'inspect', 'frames', '--json').ok().json())
        for word in ('spoofed-mac', 'spoofed-address', 'spoofed-arp', 'fragment', 'options', 'ipv6', 'broadcast'):
            true(word in drops, f'{word} is counted: {drops}')


@promise('floods of frames, connections and scans by one leave the others their connections', limit=200)
def _():
    with mc.sandbox('--group', 'flood', '--reach', 'any') as attacker, mc.sandbox('--group', 'flood') as server, \
            mc.sandbox('--group', 'flood') as client:
        own, other = address(attacker), address(server)
        serve(mc, server, ECHO)
        for kind, target in (('syn', other), ('scan', other), ('syn', PUBLIC), ('arp', other), ('noise', other)):
            flood = begin(FLOOD, attacker, own, target, kind)
            answer = mc('exec', client, '--', 'python3', '-ISc', TALK, other, timeout=60)
            true(answer.status == 0 and answer.out.strip() == 'all', f'{kind}: {answer}')
            equal(tell(mc, client, [('tcp', PUBLIC)], 10)[0][0], 'open', kind)
            true(int(enough(attacker, flood) or 0) > 100, f'{kind}: frames were sent')


TALK = r'''
import socket, sys
for turn in range(3):
    with socket.create_connection((sys.argv[1], 7777), 20) as s:
        s.settimeout(20)
        data, got = bytes(range(256)) * 256, b""
        s.sendall(data)
        while len(got) < len(data):
            part = s.recv(65536)
            assert part, "the connection ended"
            got += part
        assert got == data, "damaged"
print("all")
'''


@promise('a guest that stops reading while others send to it stops nobody else')
def _():
    with mc.sandbox('--group', 'stuck') as stuck, mc.sandbox('--group', 'stuck') as sender, mc.sandbox('--group', 'stuck') as other:
        target, server = address(stuck), address(other)
        serve(mc, other, ECHO)
        mc('pause', stuck).ok()
        flood = begin(PUSH, sender, target)
        equal(mc('exec', sender, '--', 'python3', '-ISc', TALK, server, timeout=60).ok().out.strip(), 'all')
        enough(sender, flood)
        mc('resume', stuck).ok()
        equal(tell(mc, stuck, [('tcp', PUBLIC)], 10)[0][0], 'open', 'it goes on, too')


tap.main(finish)
