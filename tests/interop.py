#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""zuring and others on one wire: interop.py LIBZMQ

LIBZMQ is the drop-in. It runs in a process of its own (this file again, as `interop.py --peer ...`, through ctypes),
against stock libzmq under pyzmq in this one: each direction, each role, each stream transport, from 0 bytes to 64 MiB,
every part compared by size and checksum. Then against peers that are a few lines of script and speak ZMTP 1.0 to 3.0.
Closes with `N passed, N failed`.
"""
import contextlib
import ctypes
import errno
import importlib.util
import itertools
import os
import queue
import random
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib

TYPES = {"PAIR": 0, "PUB": 1, "SUB": 2, "REQ": 3, "REP": 4, "DEALER": 5, "ROUTER": 6, "PULL": 7, "PUSH": 8, "XPUB": 9,
         "XSUB": 10}
SUBSCRIBE, UNSUBSCRIBE, XPUB_WELCOME_MSG = 6, 7, 72
LINGER, LAST_ENDPOINT, SNDHWM, RCVMORE, RCVTIMEO, SNDTIMEO = 17, 32, 23, 13, 27, 28
ROUTING_ID, ROUTER_MANDATORY = 5, 33
SNDMORE = 2
WAIT_MS = 20000
MIB = 1 << 20
BLOCK = random.Random(1).randbytes(MIB)


def payload(size, seed):
    offset = seed * 7919 % 65536
    if offset + size <= MIB:
        return BLOCK[offset:offset + size]
    return ((BLOCK[offset:] + BLOCK[:offset]) * (size // MIB + 1))[:size]


def messages(most=64 * MIB):
    """What is sent: single frames around every limit, then messages of several parts, then many small ones."""
    sizes = [0, 1, 33, 34, 255, 256, 4095, 4096, 4097, 65535, 65536, 65537, MIB, 3 * MIB + 1, 16 * MIB, 64 * MIB]
    shapes = [[size] for size in sizes if size <= min(most, security.most)]
    shapes += [[5, 0, 300], [0, 0], [70000, 1, 70000], [1] * 50, [4097] * 5]
    shapes += [[size % 100] for size in range(security.many)]
    return [[payload(size, n + i) for i, size in enumerate(shape)] for n, shape in enumerate(shapes)]


def digest(parts):
    return " ".join(f"{len(part)}:{zlib.crc32(part):08x}" for part in parts)


# --- what interop_security.py replaces ---

class Unsecured:
    """How both sides of a case are secured: here not at all."""

    most = 64 * MIB  # the largest message
    many = 2000  # how many small ones
    word = "{}"  # what the process with the drop-in is told

    def around(self, _context):
        """Lasts as long as stock libzmq's context."""
        return contextlib.nullcontext()

    def stock(self, _socket):
        """Before it binds or connects."""

    def peer(self, _library, _context, _handle, _word):
        """The same for the drop-in's, in its process."""


security = Unsecured()


@contextlib.contextmanager
def stock_socket(kind):
    import zmq
    with zmq.Context() as context, security.around(context), context.socket(getattr(zmq, kind)) as stock:
        stock.linger, stock.rcvtimeo, stock.sndtimeo = 0, WAIT_MS, WAIT_MS
        security.stock(stock)
        yield stock


# --- dialogues: one asks, the other one sends back what it got ---

DIALOGUES = (("REQ", "REP"), ("REQ", "ROUTER"), ("DEALER", "REP"), ("DEALER", "ROUTER"), ("DEALER", "DEALER"),
             ("ROUTER", "DEALER"), ("ROUTER", "ROUTER"))
ZURING_NAME = STOCK_NAME = b"the other one"


def ask_before(kind, other):
    """The parts that a socket of `kind` puts before what it asks, and gets back before the answer."""
    if kind == "ROUTER":
        return [STOCK_NAME]
    return [b""] if (kind, other) == ("DEALER", "REP") else []


def when_routable(send):
    """A ROUTER cannot say anything before its peer has come."""
    until = time.monotonic() + WAIT_MS / 1000
    while True:
        try:
            return send()
        except Exception as fault:  # OSError, or stock's ZMQError
            if getattr(fault, "errno", 0) != errno.EHOSTUNREACH or time.monotonic() > until:
                raise
            time.sleep(0.002)


# --- the process that loads the drop-in ---

class Library:
    """As much of zmq.h as a peer needs."""

    def __init__(self, path):
        self.zmq = ctypes.CDLL(path, use_errno=True)
        for name in ("zmq_ctx_new", "zmq_socket", "zmq_msg_data"):
            getattr(self.zmq, name).restype = ctypes.c_void_p
        self.zmq.zmq_msg_size.restype = ctypes.c_size_t

    def call(self, name, *arguments):
        result = getattr(self.zmq, name)(*arguments)
        if result == -1:
            error = ctypes.get_errno()
            raise OSError(error, f"{name}: {os.strerror(error)}")
        return result

    def set(self, handle, option, value):
        self.call("zmq_setsockopt", handle, option, ctypes.byref(ctypes.c_int(value)), ctypes.c_size_t(4))

    def open(self, context, kind):
        handle = ctypes.c_void_p(self.zmq.zmq_socket(context, TYPES[kind]))
        for option, value in ((RCVTIMEO, WAIT_MS), (SNDTIMEO, WAIT_MS), (LINGER, WAIT_MS)):
            self.set(handle, option, value)
        return handle

    def name(self, handle, text):
        self.call("zmq_setsockopt", handle, ROUTING_ID, text, ctypes.c_size_t(len(text)))

    def set_bytes(self, handle, option, value):
        self.call("zmq_setsockopt", handle, option, value, ctypes.c_size_t(len(value)))

    def endpoint(self, handle):
        text, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
        self.call("zmq_getsockopt", handle, LAST_ENDPOINT, text, ctypes.byref(size))
        return text.value.decode()

    def stop(self):
        """Whether this process has been told to end."""
        return bool(select.select([sys.stdin], [], [], 0)[0])

    def send(self, handle, parts):
        for i, part in enumerate(parts):
            flags = SNDMORE if i + 1 < len(parts) else 0
            self.call("zmq_send", handle, part, ctypes.c_size_t(len(part)), flags)

    def recv(self, handle):
        parts, more = [], 1
        message = ctypes.create_string_buffer(64)
        while more:
            self.call("zmq_msg_init", message)
            self.call("zmq_msg_recv", message, handle, 0)
            parts.append(ctypes.string_at(self.zmq.zmq_msg_data(message), self.zmq.zmq_msg_size(message)))
            more = self.zmq.zmq_msg_more(message)
            self.call("zmq_msg_close", message)
        return parts


# What is published: the topic is a first frame of its own, or begins it.
PUBLISHED = [[b"A"], [b"A" * 300], [b"A", b"", b"x" * 70000], [b"A" + payload(MIB, 1)], [b"A", payload(MIB, 2)]]
TOPICS = [b"", b"B" * 240, b"B" * 256, b"C" * 20000]  # stock libzmq garbles those of 246 to 255 octets
FILTERED = [b"B", b"a", b"", b"BA"]


def peer_publishes(library, handle):
    """Every message between some that nobody wants, again and again: nobody says when the subscription has come."""
    while True:
        for parts in PUBLISHED:
            for unwanted in FILTERED:
                library.send(handle, [unwanted, b"A"])
            library.send(handle, parts)
            library.call("zmq_poll", None, 0, 1)
            if library.stop():
                return


def peer_subscribes(library, handle):
    library.set_bytes(handle, SUBSCRIBE, b"A")
    for _ in range(5 * len(PUBLISHED)):
        print(digest(library.recv(handle)), flush=True)


def peer_answers(library, handle):
    """Tells each request, as XPUB gets it; one for b"A" is answered with all there is."""
    while True:
        request = library.recv(handle)
        print(digest(request), flush=True)
        if request == [b"\x01A"]:
            for parts in PUBLISHED:
                for unwanted in FILTERED:
                    library.send(handle, [unwanted, b"A"])
                library.send(handle, parts)
        if request == [b"\x00A"]:
            return


def peer_requests(library, handle):
    assert library.recv(handle) == [b"welcome"]
    for topic in TOPICS:
        library.send(handle, [b"\x01" + topic])
        library.send(handle, [b"\x00" + topic])
    library.send(handle, [b"user", b"", b"x" * 300])
    library.send(handle, [b"\x01A"])
    for _ in PUBLISHED:
        print(digest(library.recv(handle)), flush=True)


PUBSUB = {"PUB": peer_publishes, "SUB": peer_subscribes, "XPUB": peer_answers, "XSUB": peer_requests}


def peer(path, kind, role, endpoint, job, count, word):
    """Binds or connects, says where, then sends `messages`, or tells what it receives, or does both in turn."""
    library = Library(path)
    context = ctypes.c_void_p(library.zmq.zmq_ctx_new())
    handle = library.open(context, kind)
    if job.startswith("ask") or job == "echo":
        library.name(handle, ZURING_NAME)
    if kind == "ROUTER":
        library.set(handle, ROUTER_MANDATORY, 1)
    security.peer(library, context, handle, word)
    library.call("zmq_" + role, handle, endpoint.encode())
    print(library.endpoint(handle), flush=True)
    if "pubsub" in job:
        PUBSUB[kind](library, handle)
        count = 0
    out = messages() if "ask" not in job else messages(MIB)
    for n in range(int(count)):
        if job.startswith("ask"):
            before = ask_before(kind, job[4:])
            when_routable(lambda: library.send(handle, before + out[n]))
            reply = library.recv(handle)
            assert reply[:len(before)] == before, f"{digest(reply)} instead of {digest(before)} and more"
            print(digest(reply[len(before):]), flush=True)
        if job == "echo":
            library.send(handle, library.recv(handle))
        if "recv" in job:
            print(digest(library.recv(handle)), flush=True)
        if "send" in job:
            library.send(handle, out[n])
    # Stock libzmq forgets what the kernel still holds of an ipc peer that closes while its own reader is slow.
    sys.stdin.read()
    library.call("zmq_close", handle)
    library.call("zmq_ctx_term", context)


@contextlib.contextmanager
def peer_process(library, kind, role, endpoint, job, count):
    with subprocess.Popen([sys.executable, sys.argv[0], "--peer", library, kind, role, endpoint, job, str(count),
                           security.word], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process, process.stdout.readline().strip()
            process.stdin.close()
            assert process.wait(30) == 0, f"the peer exits with {process.returncode}"
        finally:
            process.kill()


# --- stock libzmq in this process ---

OTHER = {"PUSH": "PULL", "PULL": "PUSH", "PAIR": "PAIR"}


def stock_case(library, kind, role, endpoint, job):
    """The drop-in as `kind`, by `role`, with `job`, against stock libzmq on the other side."""
    out = messages()
    with stock_socket(OTHER[kind]) as stock:
        if role == "connect":
            stock.bind(endpoint)
            endpoint = stock.last_endpoint.decode().rstrip("\0")
        with peer_process(library, kind, role, endpoint, job, len(out)) as (process, where):
            if role == "bind":
                stock.connect(where)
            for n, parts in enumerate(out):
                if "recv" in job:
                    stock.send_multipart(parts)
                    told = process.stdout.readline().strip()
                    assert told == digest(parts), f"message {n}: {told[:200]} instead of {digest(parts)[:200]}"
                if "send" in job:
                    got = stock.recv_multipart()
                    assert got == parts, f"message {n}: {digest(got)[:200]} instead of {digest(parts)[:200]}"


def stock_dialogue(library, kind, role, endpoint, asks, other):
    """The drop-in as `kind` asks, or answers, stock libzmq as `other`: parts of 0 octets to 1 MiB there and back."""
    out = messages(MIB)[:200]
    job = f"ask-{other}" if asks else "echo"
    with stock_socket(other) as stock:
        stock.routing_id = STOCK_NAME
        if other == "ROUTER":
            stock.router_mandatory = True
        if role == "connect":
            stock.bind(endpoint)
            endpoint = stock.last_endpoint.decode().rstrip("\0")
        with peer_process(library, kind, role, endpoint, job, len(out)) as (process, where):
            if role == "bind":
                stock.connect(where)
            for n, parts in enumerate(out):
                if asks:
                    stock.send_multipart(stock.recv_multipart())
                    told = process.stdout.readline().strip()
                    assert told == digest(parts), f"message {n}: {told[:200]} instead of {digest(parts)[:200]}"
                else:
                    before = ask_before(other, kind)
                    when_routable(lambda: stock.send_multipart(before + parts))
                    got = stock.recv_multipart()
                    assert got == before + parts, f"message {n}: {digest(got)[:200]} instead of {digest(parts)[:200]}"


def stock_stream(library, role, endpoint):
    """The same without waiting for each message: batches on both sides, in both directions at once."""
    out = messages(3 * MIB + 1)[-2000:]
    with stock_socket("PUSH") as stock:
        stock.linger = -1
        if role == "connect":
            stock.bind(endpoint)
            endpoint = stock.last_endpoint.decode().rstrip("\0")
        with peer_process(library, "PULL", role, endpoint, "recv", len(out)) as (process, where):
            if role == "bind":
                stock.connect(where)
            for parts in out:
                stock.send_multipart(parts)
            for n, parts in enumerate(out):
                assert process.stdout.readline().strip() == digest(parts), f"message {n}"


@contextlib.contextmanager
def stock_and_peer(library, kind, other, role, endpoint):
    with stock_socket(other) as stock:
        if other == "XPUB":
            stock.setsockopt(XPUB_WELCOME_MSG, b"welcome")
        if role == "connect":
            stock.bind(endpoint)
            endpoint = stock.last_endpoint.decode().rstrip("\0")
        with peer_process(library, kind, role, endpoint, "pubsub", 0) as (process, where):
            if role == "bind":
                stock.connect(where)
            lines = queue.Queue()
            reader = threading.Thread(target=lambda: [lines.put(line.strip()) for line in process.stdout], daemon=True)
            reader.start()
            yield stock, lines
            process.stdin.close()
            reader.join(WAIT_MS / 1000)


def stock_subscribes(library, kind, other, role, endpoint):
    """The drop-in publishes, whatever stock libzmq asks for."""
    with stock_and_peer(library, kind, other, role, endpoint) as (stock, lines):
        def request(on, topic):
            if other == "XSUB":
                stock.send(bytes([on]) + topic)
            else:
                stock.setsockopt(SUBSCRIBE if on else UNSUBSCRIBE, topic)
        expected = []
        if kind == "XPUB":
            request(1, b"connected")
            until = time.monotonic() + WAIT_MS / 1000
            while lines.empty() and time.monotonic() < until:
                stock.poll(10)  # stock libzmq tells a peer that connects what it wants in its user's calls only
            assert lines.get(timeout=WAIT_MS / 1000) == digest([b"\x01connected"])
            for topic in TOPICS:
                request(1, topic)
                request(0, topic)
                expected += [[b"\x01" + topic], [b"\x00" + topic]]
        if kind == "XPUB" and other == "XSUB":
            stock.send_multipart([b"user", b"", b"x" * 300])
            expected += [[b"user", b"", b"x" * 300]]
        request(1, b"A")
        if kind == "XPUB":
            for parts in expected + [[b"\x01A"]]:
                told = lines.get(timeout=WAIT_MS / 1000)
                assert told == digest(parts), f"{told[:200]} instead of {digest(parts)[:200]}"
        first = None
        for n in range(len(PUBLISHED) * (1 if kind == "XPUB" else 4)):
            got = stock.recv_multipart()
            if first is None:
                first = PUBLISHED.index(got)
            parts = PUBLISHED[(first + n) % len(PUBLISHED)]
            assert got == parts, f"message {n}: {digest(got)[:200]} instead of {digest(parts)[:200]}"
        if kind == "XPUB":
            request(0, b"A")
            assert lines.get(timeout=WAIT_MS / 1000) == digest([b"\x00A"])


def stock_publishes(library, kind, other, role, endpoint):
    with stock_and_peer(library, kind, other, role, endpoint) as (stock, lines):
        if other == "XPUB":
            expected = [[bytes([on]) + topic] for topic in TOPICS for on in (1, 0)] if kind == "XSUB" else []
            expected += [[b"user", b"", b"x" * 300]] if kind == "XSUB" else []
            for parts in expected + [[b"\x01A"]]:
                got = stock.recv_multipart()
                assert got == parts, f"{digest(got)[:200]} instead of {digest(parts)[:200]}"
        told = []
        rounds = 1 if kind == "XSUB" else 5
        while len(told) < rounds * len(PUBLISHED):
            for parts in PUBLISHED:
                for unwanted in FILTERED:
                    stock.send_multipart([unwanted, b"A"])
                stock.send_multipart(parts)
            time.sleep(0.02)
            while len(told) < rounds * len(PUBLISHED) and not lines.empty():
                told.append(lines.get())
        digests = [digest(parts) for parts in PUBLISHED]
        first = digests.index(told[0])
        for n, line in enumerate(told):
            assert line == digests[(first + n) % len(digests)], f"message {n}: {line}"


# --- scripted peers ---

def exactly(connection, size):
    data = b""
    while len(data) < size:
        step = connection.recv(size - len(data))
        assert step, f"the connection ends after {len(data)} of {size} octets"
        data += step
    return data


def frame(body, more=False, command=False, long=False):
    flags = (1 if more else 0) | (4 if command else 0)
    if len(body) > 255 or long:
        return bytes([flags | 2]) + len(body).to_bytes(8, "big") + body
    return bytes([flags, len(body)]) + body


def frame_read(connection):
    flags = exactly(connection, 1)[0]
    size = int.from_bytes(exactly(connection, 8 if flags & 2 else 1), "big")
    return flags & 5, exactly(connection, size)


SIGNATURE = b"\xff" + bytes(7) + b"\x01\x7f"
SCRIPT = [[b"hello"], [b"", b"x" * 300, b""], [b"y" * 70000]]


def frame_v1(body, more=False, long=False):
    flags = b"\1" if more else b"\0"
    if len(body) > 253 or long:
        return b"\xff" + (len(body) + 1).to_bytes(8, "big") + flags + body
    return bytes([len(body) + 1]) + flags + body


def frame_v1_read(connection):
    length = exactly(connection, 1)[0]
    if length == 255:
        length = int.from_bytes(exactly(connection, 8), "big")
        assert length > 254, "a long length that was not needed"
    return exactly(connection, 1)[0], exactly(connection, length - 1)


def shake_unversioned(connection, _kind):
    """ZMTP 1.0 as libzmq 2.x speaks it: an identity frame each way, the other's with a long head and odd flags."""
    connection.sendall(frame_v1(b"old"))
    assert exactly(connection, 10) == b"\xff" + bytes(7) + b"\x01\x7f", "an empty identity"


def shake_1_0(connection, kind):
    """Revision 0: as 2.0, but in frames of 1.0."""
    connection.sendall(SIGNATURE + b"\x00" + bytes([TYPES[kind]]) + frame_v1(b"old"))
    assert exactly(connection, 10)[::9] == b"\xff\x7f"
    assert exactly(connection, 1)[0] >= 1
    assert exactly(connection, 1)[0] == TYPES[OTHER[kind]]
    assert frame_v1_read(connection) == (0, b""), "an empty identity"


def shake_2_0(connection, kind):
    """Revision 1: signature, revision, socket type, then an identity frame each way."""
    connection.sendall(SIGNATURE + b"\x01" + bytes([TYPES[kind]]) + frame(b""))
    assert exactly(connection, 10)[::9] == b"\xff\x7f"
    assert exactly(connection, 1)[0] >= 1
    assert exactly(connection, 1)[0] == TYPES[OTHER[kind]]
    assert frame_read(connection) == (0, b""), "an empty identity"


def shake_3_0(connection, kind):
    ready = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind.encode()
    greeting = SIGNATURE + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    for octet in greeting: # in the smallest pieces there are
        connection.sendall(bytes([octet]))
    theirs = exactly(connection, 64)
    assert theirs[10] == 3 and theirs[12:32].rstrip(b"\0") == b"NULL"
    connection.sendall(frame(ready, command=True))
    flags, body = frame_read(connection)
    assert flags == 4 and body.startswith(b"\x05READY")
    assert b"Socket-Type" in body and OTHER[kind].encode() in body


@contextlib.contextmanager
def connected(library, kind, role, job, count):
    """A raw connection to the drop-in, whichever side it binds."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(WAIT_MS / 1000)
    endpoint = "tcp://127.0.0.1:*" if role == "bind" else f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    with listener, peer_process(library, kind, role, endpoint, job, count) as (process, where):
        if role == "bind":
            connection = socket.create_connection(("127.0.0.1", int(where.rsplit(":", 1)[1])), WAIT_MS / 1000)
        else:
            connection = listener.accept()[0]
        with connection:
            connection.settimeout(WAIT_MS / 1000)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield process, connection


DIALECTS = {
    "1.0 without a version": (shake_unversioned, frame_v1, frame_v1_read),
    "1.0": (shake_1_0, frame_v1, frame_v1_read),
    "2.0": (shake_2_0, frame, frame_read),
    "3.0": (shake_3_0, frame, frame_read),
}


def script_sends(library, dialect, role):
    shake, put, _ = DIALECTS[dialect]
    with connected(library, "PULL", role, "recv", len(SCRIPT)) as (process, connection):
        shake(connection, "PUSH")
        for n, parts in enumerate(SCRIPT):
            for i, part in enumerate(parts):
                connection.sendall(put(part, more=i + 1 < len(parts), long=n % 2 == 1))
            assert process.stdout.readline().strip() == digest(parts), f"message {n}"


def script_receives(library, dialect, role):
    count = 30
    shake, _, get = DIALECTS[dialect]
    with connected(library, "PUSH", role, "send", count) as (_, connection):
        shake(connection, "PULL")
        for n, parts in enumerate(messages()[:count]):
            for i, part in enumerate(parts):
                flags, body = get(connection)
                assert flags == (i + 1 < len(parts)) and body == part, f"message {n}, part {i}"


def script_converses(library, dialect, role):
    """In the smallest pieces there are."""
    shake, put, get = DIALECTS[dialect]
    with connected(library, "PAIR", role, "recv+send", 20) as (process, connection):
        shake(connection, "PAIR")
        for n, parts in enumerate(messages(300)[:20]):
            for octet in b"".join(put(part, more=i + 1 < len(parts)) for i, part in enumerate(parts)):
                connection.sendall(bytes([octet]))
            assert process.stdout.readline().strip() == digest(parts), f"message {n}"
            expected = messages()[n]
            assert [get(connection)[1] for _ in expected] == expected, f"message {n}"


def cases(library, folder):
    if importlib.util.find_spec("zmq"):
        yield from stock_cases(library, folder)
    else:
        print("skipped: everything against stock libzmq (no python3-zmq)")
    for dialect, role in itertools.product(DIALECTS, ("bind", "connect")):
        yield f"a peer of ZMTP {dialect} sends, zuring {role}s", script_sends, library, dialect, role
        yield f"a peer of ZMTP {dialect} receives, zuring {role}s", script_receives, library, dialect, role
        yield f"a peer of ZMTP {dialect} converses, zuring {role}s", script_converses, library, dialect, role


def stock_cases(library, folder):
    for number, (transport, role, (kind, job)) in enumerate(itertools.product(
            ("tcp", "ipc"), ("bind", "connect"), (("PULL", "recv"), ("PUSH", "send"), ("PAIR", "recv+send")))):
        endpoint = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{folder}/{number}"
        yield f"{transport}: zuring {role}s as {kind}", stock_case, library, kind, role, endpoint, job
    for number, (transport, role, kind, other) in enumerate(itertools.product(
            ("tcp", "ipc"), ("bind", "connect"), ("PUB", "XPUB", "SUB", "XSUB"), (0, 1))):
        publishes = kind in ("PUB", "XPUB")
        other = (("SUB", "XSUB") if publishes else ("PUB", "XPUB"))[other]
        if kind == "XSUB" and other == "PUB":
            continue  # it tells nobody what it was told
        endpoint = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{folder}/pubsub{number}"
        case = stock_subscribes if publishes else stock_publishes
        yield f"{transport}: zuring {role}s as {kind}, for {other}", case, library, kind, other, role, endpoint
    for number, (transport, role) in enumerate(itertools.product(("tcp", "ipc"), ("bind", "connect"))):
        endpoint = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{folder}/stream{number}"
        yield f"{transport}: zuring {role}s, a stream", stock_stream, library, role, endpoint
    for number, (transport, role, (asker, answerer), asks) in enumerate(itertools.product(
            ("tcp", "ipc"), ("bind", "connect"), DIALOGUES, (True, False))):
        endpoint = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{folder}/dialogue{number}"
        kind, other = (asker, answerer) if asks else (answerer, asker)
        yield (f"{transport}: zuring {role}s as {kind} and {'asks' if asks else 'answers'} {other}", stock_dialogue,
               library, kind, role, endpoint, asks, other)


def stock_only(library):
    """Stock libzmq here, whatever LD_LIBRARY_PATH says (meson's leads to the drop-in): else zuring would talk to itself."""
    if os.environ.pop("LD_LIBRARY_PATH", None) is not None:
        os.execv(sys.executable, [sys.executable, *sys.argv])
    if importlib.util.find_spec("zmq"):
        import zmq  # pylint: disable=unused-import
        with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
            loaded = {os.path.realpath(line.split()[-1]) for line in maps if "libzmq.so" in line}
        if os.path.realpath(library) in loaded:
            sys.exit(f"pyzmq has loaded {library}: nothing to compare with")


def main(cases=cases):
    stock_only(sys.argv[1])
    library = os.path.realpath(sys.argv[1]) if "/" in sys.argv[1] else sys.argv[1]
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, case, *arguments in cases(library, folder):
            try:
                case(*arguments)
                passed += 1
                print(f"ok: {name}", flush=True)
            except Exception as fault:  # whatever it is, the other cases are run
                failed += 1
                print(f"FAILED: {name}: {type(fault).__name__} {fault}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(peer(*sys.argv[2:]) if sys.argv[1] == "--peer" else main())
