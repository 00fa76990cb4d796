# SPDX-License-Identifier: Apache-2.0
"""A proxy before a registry that misbehaves as it is told, and writes down every request.

    proxy = Proxy(registry)                        # reverse: the client asks proxy.host
    proxy.fault('GET .*/blobs/', cut=100_000)      # the first such request: closed after that many bytes of body
    proxy.seen('GET .*/manifests/')                # the records of those requests

As forward proxy, for http_proxy and https_proxy (CONNECT): Proxy(None); hosts maps names that exist nowhere else to
where they really are. Run by itself, it is a slow link: python3 -m harness.proxy HOST:PORT BYTES_PER_SECOND."""
import base64
import http.client
import os
import re
import select
import socket
import ssl
import sys
import threading
import time
import urllib.parse

from .httpd import BLOCK, Gone, Headers, Server

HOP_BY_HOP = ('Connection', 'Keep-Alive', 'Proxy-Connection', 'Proxy-Authorization', 'TE', 'Trailer', 'Upgrade',
              'Transfer-Encoding')


class Bucket:
    """A link's rate in bytes a second, over all who use it. clock has monotonic() and sleep()."""

    def __init__(self, rate, burst=0.004, clock=time):
        self.rate, self.burst, self.clock = rate, burst, clock
        self.free, self.lock = clock.monotonic(), threading.Lock()

    def take(self, size):
        """Waits until so many bytes have passed."""
        with self.lock:
            self.free = max(self.free, self.clock.monotonic() - self.burst) + size / self.rate
            until = self.free
        wait = until - self.clock.monotonic()
        if wait > 0:
            self.clock.sleep(wait)


class Fault:
    """What happens to the requests whose "METHOD target" matches, after skip of them and for times of them (None: for
    all the rest). All sizes are bytes of the body.

    status, headers, body      this answer, and the registry is not asked
    redirect                   to this URL (or what a function of the exchange gives), with `status` or 307
    cut                        the connection is reset after so many bytes; end: closed in good order instead
    stall, after               nothing for so many seconds, after so many bytes
    corrupt                    the byte at this offset is another one (of the whole blob, where a range is given)
    truncate                   the answer ends after so many bytes, and says that this is its length
    length                     Content-Length says so, and the connection ends with the body
    endless                    the body begins as it should and never ends; with False in `length` no length is said
    no_range                   Range is not passed on: 200 and the whole body
    change                     header fields of the answer, name → value or None
    cut_upload                 the connection is reset when so many bytes of the request's body have gone to the
                               registry; a shorter body is none of it
    lose_answer                the request is passed on, the connection reset before a word of the answer
    """
    NAMES = ('status', 'headers', 'body', 'redirect', 'cut', 'end', 'stall', 'after', 'corrupt', 'truncate', 'length',
             'endless', 'no_range', 'change', 'cut_upload', 'lose_answer')

    def __init__(self, pattern, skip=0, times=1, **what):
        unknown = set(what) - set(self.NAMES)
        if unknown:
            raise TypeError(f'no such fault: {unknown}')
        self.pattern, self.skip, self.times, self.what, self.matched, self.hits = pattern, skip, times, what, 0, 0

    def applies(self, exchange):
        if not re.search(self.pattern, f'{exchange.method} {exchange.target}'):
            return False
        self.matched += 1
        if self.matched <= self.skip or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True

    def __getattr__(self, name):
        if name in Fault.NAMES:
            return self.what.get(name)
        raise AttributeError(name)

    def __str__(self):
        return ', '.join(f'{k}={str(v)[:60]}' for k, v in self.what.items())


NOTHING = Fault('', times=0)


class Proxy(Server):
    """target: a registry.Registry, a httpd.Server, or "host:port"; None: a forward proxy. tls: (certificate, key) for
    the clients. rate: bytes a second of all bodies to the clients. user: (name, password) that clients of a
    forward proxy must show."""

    def __init__(self, target=None, tls=None, rate=None, hosts=None, user=None, address='127.0.0.1', port=0):
        self.target = getattr(target, 'host', target)
        self.target_tls = None
        if getattr(target, 'ca', None):
            self.target_tls = ssl.create_default_context(cafile=target.ca)
        self.bucket = Bucket(rate) if rate else None
        self.hosts, self.user, self.faults = hosts or {}, user, []
        self.upstream = threading.local()
        super().__init__(tls, address, port)

    def fault(self, pattern, **what):
        made = Fault(pattern, **what)
        with self.lock:
            self.faults.append(made)
        return made

    def heal(self):
        """No faults any more, and nothing seen."""
        with self.lock:
            self.faults = []
        return self.forget()

    # ---- requests ----

    def handle(self, exchange):
        if self.user and not self._known(exchange):
            exchange.answer(407, 'who are you?', {'Proxy-Authenticate': 'Basic realm="proxy"'}, 'text/plain')
            return
        with self.lock:
            fault = next((f for f in self.faults if f.applies(exchange)), NOTHING)
        exchange.record.fault = str(fault)
        if fault.redirect is not None:
            where = fault.redirect(exchange) if callable(fault.redirect) else fault.redirect
            exchange.answer(fault.status or 307, b'', Headers(fault.headers or {}).replaced({'Location': where}))
        elif fault.status is not None:
            self._stall(exchange, fault, 0)
            exchange.answer(fault.status, fault.body or b'', fault.headers or {})
        elif exchange.method == 'CONNECT':
            self._tunnel(exchange)
        else:
            self._pass(exchange, fault)

    def _known(self, exchange):
        shown = exchange.headers.get('Proxy-Authorization', '')
        return shown == 'Basic ' + base64.b64encode(':'.join(self.user).encode()).decode()

    def _stall(self, exchange, fault, sent):
        if fault.stall and (fault.after or 0) <= sent and not exchange.record.stalled:
            exchange.record.stalled = True
            deadline = time.monotonic() + fault.stall
            while time.monotonic() < deadline and not self.closing:
                time.sleep(0.02)

    def _where(self, exchange):
        """(host:port, path) to ask."""
        if self.target:
            return self.target, exchange.target
        parts = urllib.parse.urlsplit(exchange.target)
        if parts.scheme != 'http':
            raise Gone()
        path = urllib.parse.urlunsplit(('', '', parts.path or '/', parts.query, ''))
        return self._known_place(parts.netloc if parts.port else parts.netloc + ':80'), path

    def _known_place(self, place):
        """Where a host:port really is; tests never ask for a host that is not this one."""
        if place not in self.hosts and not re.match(r'localhost:|127\.|\[::1\]', place):
            raise ConnectionError(f'no host {place}')
        return self.hosts.get(place, place)

    def _tunnel(self, exchange):
        try:
            host, _, port = self._known_place(exchange.target).rpartition(':')
            other = socket.create_connection((host.strip('[]'), int(port)), 10)
        except OSError:
            exchange.answer(502, 'no such host', kind='text/plain')
            return
        exchange.head(200, ())
        exchange.close_after = True
        with other:
            ends = {exchange.sock: other, other: exchange.sock}
            while not self.closing:
                ready, _, _ = select.select(list(ends), [], [], 0.5)
                for end in ready:
                    data = end.recv(BLOCK)
                    if not data:
                        return
                    if self.bucket and end is other:
                        self.bucket.take(len(data))
                    ends[end].sendall(data)
                    exchange.record.sent += len(data) if end is other else 0

    # ---- to the registry and back ----

    def _ask(self, exchange, fault):
        place, path = self._where(exchange)
        fields = exchange.headers.without(*HOP_BY_HOP, 'Expect', 'Host', 'Content-Length')
        if fault.no_range:
            fields = fields.without('Range')
        if self.context:
            fields.pairs.append(('X-Forwarded-Proto', 'https'))
        connection = self._connection(place, exchange.record.connection)
        connection.putrequest(exchange.method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader('Host', exchange.headers.get('Host', place))
        for name, value in fields:
            connection.putheader(name, value)
        if exchange.unread < 0:
            connection.putheader('Transfer-Encoding', 'chunked')
        elif exchange.headers.get('Content-Length') is not None:
            connection.putheader('Content-Length', exchange.headers.get('Content-Length'))
        connection.endheaders()
        chunked = exchange.unread < 0
        for data in exchange.body():
            if fault.cut_upload is not None and exchange.record.received >= fault.cut_upload:
                time.sleep(0.05)
                connection.close()
                self.upstream.known = None
                exchange.cut()
            connection.send(b'%x\r\n%b\r\n' % (len(data), data) if chunked else data)
        if fault.cut_upload is not None:
            fault.hits -= 1
        if chunked:
            connection.send(b'0\r\n\r\n')
        return connection, connection.getresponse()

    def _connection(self, place, number):
        """The connection to the registry that this client's connection (this thread) has."""
        known = getattr(self.upstream, 'known', None)
        if known and known[0] == place:
            return known[1]
        host, _, port = place.rpartition(':')
        if self.target_tls:
            made = http.client.HTTPSConnection(host, int(port), context=self.target_tls, timeout=60, blocksize=BLOCK)
        else:
            made = http.client.HTTPConnection(host, int(port), timeout=60, blocksize=BLOCK)
        self.upstream.known = (place, made)
        return made

    def _pass(self, exchange, fault):
        connection = None
        try:
            connection, answer = self._ask(exchange, fault)
            whole = False
            try:
                if fault.lose_answer:
                    exchange.cut()
                self._give(exchange, fault, answer)
                whole = answer.isclosed()
            finally:
                if not whole:
                    connection.close()
                    self.upstream.known = None
        except (http.client.HTTPException, OSError) as error:
            self.upstream.known = None
            if exchange.record.status is None:
                exchange.answer(502, f'the registry does not answer: {error}', kind='text/plain')
            else:
                exchange.cut()

    def _give(self, exchange, fault, answer):
        fields = Headers(answer.getheaders()).without(*HOP_BY_HOP).replaced(fault.change or {})
        length = answer.length
        bodiless = exchange.method == 'HEAD' or answer.status in (204, 304)
        chunked = False
        if not bodiless:
            if fault.truncate is not None:
                length = fault.truncate
                fields = fields.replaced({'Content-Length': length})
            if fault.endless:
                fields = fields.without('Content-Length') if fault.length is False else fields
                exchange.close_after = True
                if 'Content-Length' in fields:
                    fields = fields.replaced({'Content-Length': 1 << 40})
            elif fault.length is not None:
                fields = fields.replaced({'Content-Length': fault.length})
                exchange.close_after = True
            elif length is None:
                chunked = True
                fields = fields.replaced({'Transfer-Encoding': 'chunked'})
        if exchange.close_after:
            fields.pairs.append(('Connection', 'close'))
        exchange.head(answer.status, fields)
        if bodiless:
            answer.read()
            return
        for data in self._damaged(exchange, fault, answer):
            exchange.write(b'%x\r\n%b\r\n' % (len(data), data) if chunked else data)
        if chunked:
            exchange.write(b'0\r\n\r\n', count=False)

    def _damaged(self, exchange, fault, answer):
        """The body's blocks with what the fault makes of them, at the rate of the link."""
        first = re.match(r'bytes (\d+)-', answer.getheader('Content-Range') or '')
        corrupt = None if fault.corrupt is None else fault.corrupt - (int(first[1]) if first else 0)
        offset, end = 0, {limit for limit in (fault.cut, fault.truncate) if limit is not None}
        end = min(end) if end else None
        stops = sorted(n for n in (fault.after, end) if n)
        step = 64 << 10 if self.bucket else BLOCK
        while end is None or offset < end:
            self._stall(exchange, fault, offset)
            room = min([step] + [stop - offset for stop in stops if stop > offset])
            data = answer.read1(room) if answer.length is None else answer.read(min(room, max(answer.length, 0)))
            if not data:
                break
            if corrupt is not None and offset <= corrupt < offset + len(data):
                data = bytearray(data)
                data[corrupt - offset] ^= 0x55
            offset += len(data)
            if self.bucket:
                self.bucket.take(len(data))
            yield data
        if fault.cut is not None and not fault.end:
            time.sleep(0.05)  # what was sent reaches the client before the reset does
            exchange.cut()
        if fault.cut is not None:
            raise Gone()
        while fault.endless and not self.closing:
            if self.bucket:
                self.bucket.take(BLOCK)
            yield bytes(BLOCK)


def main(target, rate, port=0):
    proxy = Proxy(target, rate=float(rate), port=int(port))
    print(proxy.host, flush=True)
    while os.getppid() != 1:
        time.sleep(1)


if __name__ == '__main__':
    main(*sys.argv[1:])
