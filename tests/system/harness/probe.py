# SPDX-License-Identifier: Apache-2.0
"""What a sandbox reaches, found out from inside by trying: run there by its Python, all attempts at once. And servers in
sandboxes, for others to reach."""
import ast

from .tap import until

PORT = 7777  # where world.py's echo answers

# Runs in the sandbox. An attempt is (protocol, address, port); its outcome "open", with what was answered, or how it
# failed: "refused" (a reset, or a port that is closed), "prohibited" (ICMP says so), "silent" (no answer in time).
# Only modules that are part of the interpreter: to load others takes longer there than the attempts.
INSIDE = r'''
import _socket, _struct, _thread, errno, posix, sys
def tcp(s, at):
    return s.recv(200).decode()
def udp(s, at):
    s.send(b'x')
    return s.recv(2000).decode()
def icmp(s, at):
    # Until it is connected, the socket takes the answers to all others: each has a number of its own.
    rest = _struct.pack('>HH', posix.getpid() & 0xffff, at) + b'monocore'
    total = sum(_struct.unpack('>7H', b'\x08\0' + rest))
    total = (total >> 16) + (total & 0xffff)
    s.send(_struct.pack('>BBH', 8, 0, ~(total + (total >> 16)) & 0xffff) + rest)
    while True:
        got = s.recv(2000)[20:]
        if got[0] == 0 and got[4:] == rest:
            return 'echo'
KINDS = {'tcp': (tcp, _socket.SOCK_STREAM, 0), 'udp': (udp, _socket.SOCK_DGRAM, 0),
         'icmp': (icmp, _socket.SOCK_RAW, _socket.IPPROTO_ICMP)}
NAMES = {errno.ECONNREFUSED: 'refused', errno.ECONNRESET: 'refused', errno.EHOSTUNREACH: 'prohibited',
         errno.EACCES: 'prohibited', errno.ENETUNREACH: 'no route'}
def attempt(at, protocol, address, port):
    talk, kind, number = KINDS[protocol]
    s = _socket.socket(_socket.AF_INET, kind, number)
    try:
        s.settimeout(WAIT)
        s.connect((address, 0 if protocol == 'icmp' else port))
        if protocol == 'icmp':  # not before: until it is connected, it would take the errors of all others, too
            s.setsockopt(_socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
        outcomes[at] = 'open', talk(s, at)
    except TimeoutError:
        outcomes[at] = 'silent', ''
    except OSError as error:
        outcomes[at] = NAMES.get(error.errno, errno.errorcode.get(error.errno, str(error.errno))), str(error)
    finally:
        s.close()
        running[at].release()
WAIT, attempts = eval(sys.argv[1])
outcomes, running = [None] * len(attempts), [_thread.allocate_lock() for _ in attempts]
for at, (lock, words) in enumerate(zip(running, attempts)):
    lock.acquire()
    _thread.start_new_thread(attempt, (at, *words))
for lock in running:
    lock.acquire()
print(outcomes)
'''


def tell(mono, name, attempts, wait=3.0):
    """The outcomes of attempts [(protocol, address[, port])…] from inside a running sandbox: [(outcome, text)…]."""
    attempts = [(*a, PORT)[:3] for a in attempts]
    answer = mono('exec', name, '--', 'python3', '-ISc', INSIDE, repr((wait, attempts)), timeout=60 + wait)
    return ast.literal_eval(answer.ok().out)


def serve(mono, name, program, port=PORT):
    """Starts a program of Python in the background of a sandbox; once it listens at a TCP port of all addresses."""
    mono('exec', '-d', name, '--', 'python3', '-ISc', program).ok()
    row = f':{port:04X} 00000000:0000 0A '  # /proc/net/tcp: own port, nobody's address, LISTEN
    until(lambda: mono('exec', name, '--', 'grep', '-q', row, '/proc/net/tcp').status == 0, f'{name} listens at port {port}')


def reaches(mono, name, *attempt):
    """One attempt, and whether it came through."""
    return tell(mono, name, [attempt])[0][0] == 'open'
