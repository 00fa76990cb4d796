# SPDX-License-Identifier: Apache-2.0
"""What a sandbox reaches, found out from inside by trying: run there by its Python, all attempts at once."""
import json

PORT = 7777  # where world.py's echo answers

# Runs in the sandbox. An attempt is [protocol, address, port]; its outcome "open", with what was answered, or how it
# failed: "refused" (a reset, or a port that is closed), "prohibited" (ICMP says so), "silent" (no answer in time).
INSIDE = r'''
import concurrent.futures, errno, json, os, socket, struct, sys
def tcp(address, port, wait):
    with socket.create_connection((address, port), wait) as s:
        return s.recv(200).decode()
def udp(address, port, wait):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(wait)
        s.connect((address, port))
        s.send(b'x')
        return s.recv(2000).decode()
def icmp(address, port, wait):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
        s.settimeout(wait)
        s.connect((address, 0))
        head, body = struct.pack('>BBHHH', 8, 0, 0, os.getpid() & 0xffff, port), b'monocore'
        total = sum(struct.unpack('>8H', head + body))
        total = (total >> 16) + (total & 0xffff)
        s.send(struct.pack('>BBHHH', 8, 0, ~(total + (total >> 16)) & 0xffff, os.getpid() & 0xffff, port) + body)
        while True:
            got = s.recv(2000)[20:]
            if got[0] == 0 and got[8:] == body:
                return 'echo'
KINDS = {'tcp': tcp, 'udp': udp, 'icmp': icmp}
def attempt(a):
    try:
        return 'open', KINDS[a[0]](a[1], a[2], WAIT)
    except TimeoutError:
        return 'silent', ''
    except OSError as error:
        name = errno.errorcode.get(error.errno, str(error.errno))
        return {'ECONNREFUSED': 'refused', 'ECONNRESET': 'refused', 'EHOSTUNREACH': 'prohibited', 'EACCES': 'prohibited',
                'ENETUNREACH': 'no route'}.get(name, name), str(error)
WAIT, attempts = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(attempt, attempts))))
'''


def tell(mono, name, attempts, wait=3.0):
    """The outcomes of attempts [(protocol, address[, port])…] from inside a running sandbox: [(outcome, text)…]."""
    attempts = [(*a, PORT)[:3] for a in attempts]
    answer = mono('exec', name, '--', 'python3', '-c', INSIDE, json.dumps([wait, attempts]), timeout=60 + wait)
    return [tuple(outcome) for outcome in json.loads(answer.ok().out)]


def reaches(mono, name, *attempt):
    """One attempt, and whether it came through."""
    return tell(mono, name, [attempt])[0][0] == 'open'
