# SPDX-License-Identifier: Apache-2.0
"""A name server that says what it is told to: over UDP and TCP, on every address of its network namespace."""
import socket
import struct
import threading

A, CNAME, AAAA = 1, 5, 28
IP_PKTINFO = 8  # of <linux/in.h>: index of the device, local address, address of the packet


def open_udp(port):
    """A socket on all addresses that knows which of them was called."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    server.bind(('0.0.0.0', port))
    return server


def receive(server):
    """(datagram, who sent it, the address it came to: four bytes)"""
    data, ancillary, _, peer = server.recvmsg(65536, 256)
    return data, peer, next(info[8:12] for _, kind, info in ancillary if kind == IP_PKTINFO)


def send(server, data, peer, source):
    server.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + source + bytes(4))], 0, peer)


def name_bytes(name):
    return b''.join(bytes([len(p)]) + p.encode() for p in name.strip('.').split('.') if p) + b'\0'


def question(message):
    """(name in lower case, type, end of the question)"""
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode().lower())
        at += 1 + message[at]
    return '.'.join(labels), struct.unpack('>H', message[at + 1:at + 3])[0], at + 5


def record(name, kind, ttl, data):
    return name_bytes(name) + struct.pack('>HHIH', kind, 1, ttl, len(data)) + data


def records(zone, name, kind, depth=0):
    """The answers of a zone {name: ([address or name…], ttl)}, along its CNAMEs. None: no such name."""
    if name not in zone:
        return None
    values, ttl = zone[name]
    out = []
    for value in values:
        if not value.replace('.', '').isdigit():
            out.append(record(name, CNAME, ttl, name_bytes(value)))
            out += (records(zone, value, kind, depth + 1) or []) if depth < 8 else []
        elif kind == A:
            out.append(record(name, A, ttl, socket.inet_aton(value)))
    return out


def answer(zone, query, limit=65535):
    """The reply to a query; a name of the zone's whose value is 'silent' has none."""
    name, kind, end = question(query)
    if zone.get(name, (None,))[0] == 'silent':
        return None
    found = records(zone, name, kind)
    body = b''.join(found or ())
    flags = 0x8180 | (3 if found is None else 0)
    if end + len(body) > limit:
        return query[:2] + struct.pack('>HHHHH', flags | 0x200, 1, 0, 0, 0) + query[12:end]
    return query[:2] + struct.pack('>HHHHH', flags, 1, len(found or ()), 0, 0) + query[12:end] + body


def serve_tcp(listener, zone, log):
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            try:
                n = struct.unpack('>H', connection.recv(2, socket.MSG_WAITALL))[0]
                query = connection.recv(n, socket.MSG_WAITALL)
                log('tcp', question(query)[0])
                reply = answer(zone, query)
                connection.sendall(struct.pack('>H', len(reply)) + reply)
            except (OSError, struct.error, TypeError):
                pass


def serve_udp(server, zone, log):
    while True:
        query, peer, asked = receive(server)
        log('udp', question(query)[0])
        reply = answer(zone, query, 512)
        if reply:
            send(server, reply, peer, asked)


def start(zone, log=lambda *_: None):
    """Serves `zone`, which may be changed meanwhile, on port 53 from threads of this process."""
    tcp = socket.create_server(('0.0.0.0', 53))
    threading.Thread(target=serve_tcp, args=(tcp, zone, log), daemon=True).start()
    threading.Thread(target=serve_udp, args=(open_udp(53), zone, log), daemon=True).start()
