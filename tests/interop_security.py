#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PLAIN, CURVE and ZAP between zuring and stock libzmq: interop_security.py LIBZMQ

The cases of interop.py with a mechanism on the connection: whoever is its server, whoever binds, with ZAP and without;
and peers that must not come in. Closes with `N passed, N failed`.
"""
import contextlib
import ctypes
import importlib.util
import itertools
import json
import struct
import sys
import threading

import interop
from interop import MIB, Library, peer_process, stock_socket

NULL, PLAIN, CURVE = "NULL", "PLAIN", "CURVE"
PLAIN_SERVER, PLAIN_USERNAME, PLAIN_PASSWORD = 44, 45, 46
CURVE_SERVER, CURVE_PUBLICKEY, CURVE_SECRETKEY, CURVE_SERVERKEY = 47, 48, 49, 50
ZAP_DOMAIN, HANDSHAKE_IVL = 55, 66
TERMINATED = 156384765
SUCCEEDED, FAILED = 0x1000, 0x0800 | 0x2000 | 0x4000
FAILED_PROTOCOL, FAILED_AUTH, UNEXPECTED_COMMAND = 0x2000, 0x4000, 0x10000001
WAIT_MS = interop.WAIT_MS

# From zmq_curve(7); pairs of public and secret keys.
SERVER_KEYS = (b"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", b"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6")
CLIENT_KEYS = (b"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", b"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs")
NAME, PASSWORD, DOMAIN = b"alice", b"in wonderland", b"over there"


class Secured(interop.Unsecured):
    """One mechanism. `zuring_serves`: the drop-in is its server; `zap`: whoever is asks a handler."""

    most = 16 * MIB
    many = 30

    def __init__(self, mechanism, zuring_serves, zap, password=PASSWORD, client_keys=CLIENT_KEYS):
        self.mechanism, self.zuring_serves, self.zap = mechanism, zuring_serves, zap
        self.password, self.client_keys = password, client_keys
        self.word = json.dumps({
            "options": [(option, value.decode() if isinstance(value, bytes) else value)
                        for option, value in self.options(zuring_serves)],
            "zap": mechanism if zap and zuring_serves else "",
        })

    def options(self, serves):
        domain = [(ZAP_DOMAIN, DOMAIN)] if serves and self.zap else []
        if self.mechanism == PLAIN:
            return domain + ([(PLAIN_SERVER, 1)] if serves else
                             [(PLAIN_USERNAME, NAME), (PLAIN_PASSWORD, self.password)])
        if self.mechanism == CURVE:
            return domain + ([(CURVE_SERVER, 1), (CURVE_SECRETKEY, SERVER_KEYS[1])] if serves else
                             [(CURVE_SERVERKEY, SERVER_KEYS[0]), (CURVE_PUBLICKEY, self.client_keys[0]),
                              (CURVE_SECRETKEY, self.client_keys[1])])
        return domain

    @contextlib.contextmanager
    def around(self, context):
        if not self.zap or self.zuring_serves:
            yield
            return
        import zmq.auth.thread
        authenticator = zmq.auth.thread.ThreadAuthenticator(context)
        authenticator.start()
        authenticator.configure_plain(DOMAIN.decode(), {NAME.decode(): PASSWORD.decode()})
        authenticator.configure_curve_callback(DOMAIN.decode(), Keys())
        try:
            yield
        finally:
            authenticator.stop()

    def stock(self, stock):
        for option, value in self.options(not self.zuring_serves):
            stock.setsockopt(option, value)

    def peer(self, library, context, handle, word):
        word = json.loads(word)
        if word["zap"]:
            handler = zap_open(library, context)
            threading.Thread(target=zap_serve, args=(library, handler, word["zap"]), daemon=True).start()
        for option, value in word["options"]:
            if isinstance(value, str):
                library.set_bytes(handle, option, value.encode())
            else:
                library.set(handle, option, value)


class Keys:
    """Whom ThreadAuthenticator lets in."""

    def callback(self, domain, key):
        return domain == DOMAIN.decode() and key == CLIENT_KEYS[0]


# --- a handler of ZAP in the process with the drop-in ---

def zap_open(library, context):
    handler = ctypes.c_void_p(library.zmq.zmq_socket(context, interop.TYPES["REP"]))
    library.call("zmq_bind", handler, b"inproc://zeromq.zap.01")
    return handler


def credentials(library, mechanism):
    if mechanism == PLAIN:
        return [NAME, PASSWORD]
    if mechanism == CURVE:
        key = ctypes.create_string_buffer(32)
        library.zmq.zmq_z85_decode(key, CLIENT_KEYS[0])
        return [key.raw]
    return []


def zap_serve(library, handler, mechanism):
    right = credentials(library, mechanism)
    while True:
        try:
            version, request, domain, _address, _identity, shown, *rest = library.recv(handler)
            is_right = (version, domain, shown, rest) == (b"1.0", DOMAIN, mechanism.encode(), right)
            status, user = (b"200", NAME) if is_right else (b"400", b"")
            library.send(handler, [b"1.0", request, status, b"", user, b""])
        except OSError as error:
            library.zmq.zmq_close(handler)
            assert error.errno == TERMINATED, error
            return


# --- peers that must not come in, and what both sides hear of it ---

def peer_verdict(library, context, handle, role, endpoint):
    library.call("zmq_socket_monitor", handle, b"inproc://monitor", SUCCEEDED | FAILED)
    monitor = library.open(context, "PAIR")
    library.call("zmq_connect", monitor, b"inproc://monitor")
    library.call("zmq_" + role, handle, endpoint.encode())
    print(library.endpoint(handle), flush=True)
    event, value = struct.unpack("=HI", library.recv(monitor)[0])
    print(event, value, flush=True)
    sys.stdin.read()
    library.call("zmq_socket_monitor", handle, None, 0)
    for each in (monitor, handle):
        library.set(each, interop.LINGER, 0)
        library.call("zmq_close", each)


def peer(path, kind, role, endpoint, job, count, word):
    """As interop.peer; the job "verdict": tells how the first handshake went."""
    interop.security = Secured(NULL, False, False)
    if job != "verdict":
        interop.peer(path, kind, role, endpoint, job, count, word)
        return
    library = Library(path)
    context = ctypes.c_void_p(library.zmq.zmq_ctx_new())
    handle = library.open(context, kind)
    interop.security.peer(library, context, handle, word)
    peer_verdict(library, context, handle, role, endpoint)
    library.call("zmq_ctx_term", context)


def verdicts(library, security, expected):
    """zuring binds if it serves; `expected`: events of zuring and of stock libzmq."""
    interop.security = security
    with stock_socket("DEALER") as stock:
        role, endpoint = "bind", "tcp://127.0.0.1:*"
        if not security.zuring_serves:
            stock.bind(endpoint)
            role, endpoint = "connect", stock.last_endpoint.decode().rstrip("\0")
            monitor = stock.get_monitor_socket(SUCCEEDED | FAILED)
            monitor.rcvtimeo = WAIT_MS
        with peer_process(library, "DEALER", role, endpoint, "verdict", 0) as (process, where):
            if security.zuring_serves:
                monitor = stock.get_monitor_socket(SUCCEEDED | FAILED)
                monitor.rcvtimeo = WAIT_MS
                stock.connect(where)
            heard = struct.unpack("=HI", monitor.recv_multipart()[0])
            told = tuple(int(word) for word in process.stdout.readline().split())
            stock.disable_monitor()
            assert (told, heard) == expected, f"zuring, stock: {told}, {heard} instead of {expected}"


# --- all of it ---

def secured(security, case, *arguments):
    interop.security = security
    case(*arguments)


def patterns(library, role):
    """Every pattern once, as interop.stock_cases has them; by tcp."""
    endpoint = "tcp://127.0.0.1:*"
    for kind, job in (("PULL", "recv"), ("PUSH", "send"), ("PAIR", "recv+send")):
        yield f"{kind} {role}s", interop.stock_case, library, kind, role, endpoint, job
    for kind, other in (("PUB", "SUB"), ("PUB", "XSUB"), ("XPUB", "SUB"), ("XPUB", "XSUB")):
        yield f"{kind} {role}s for {other}", interop.stock_subscribes, library, kind, other, role, endpoint
    for kind, other in (("SUB", "PUB"), ("SUB", "XPUB"), ("XSUB", "XPUB")):
        yield f"{kind} {role}s for {other}", interop.stock_publishes, library, kind, other, role, endpoint
    for (asker, answerer), asks in itertools.product(interop.DIALOGUES, (True, False)):
        kind, other = (asker, answerer) if asks else (answerer, asker)
        yield (f"{kind} {role}s and {'asks' if asks else 'answers'} {other}", interop.stock_dialogue, library, kind, role,
               endpoint, asks, other)


def stream(library, role):
    yield f"a stream, zuring {role}s", interop.stock_stream, library, role, "tcp://127.0.0.1:*"


def cases(library, _folder):
    if not importlib.util.find_spec("zmq"):
        print("skipped: no python3-zmq")
        return
    # PLAIN lets nobody in without a handler, whoever serves.
    for mechanism, zuring_serves, zap in ((CURVE, True, False), (CURVE, False, False), (PLAIN, True, True)):
        for role in ("bind", "connect"):
            if mechanism == PLAIN and role == "connect":
                continue
            security = Secured(mechanism, zuring_serves, zap)
            for name, *case in itertools.chain(patterns(library, role), stream(library, role)):
                yield f"{describe(security)}: {name}", secured, security, *case
    for mechanism, zuring_serves, zap, role in ((PLAIN, False, True, "bind"), (PLAIN, False, True, "connect"),
                                                (PLAIN, True, True, "connect"), (CURVE, True, True, "bind"),
                                                (CURVE, False, True, "connect"), (NULL, True, True, "bind"),
                                                (NULL, False, True, "connect")):
        security = Secured(mechanism, zuring_serves, zap)
        for name, *case in itertools.chain(list(patterns(library, role))[:3], stream(library, role)):
            yield f"{describe(security)}: {name}", secured, security, *case
    good = (SUCCEEDED, 0)
    for zuring_serves in (True, False):
        for mechanism in (PLAIN, CURVE):
            security = Secured(mechanism, zuring_serves, True)
            yield f"{describe(security)}: both hear of success", verdicts, library, security, (good, good)
            security = Secured(mechanism, zuring_serves, True, b"wrong", SERVER_KEYS)
            no = ((FAILED_AUTH, 400), (FAILED_AUTH, 400))
            if mechanism == PLAIN and zuring_serves:
                # A slip has stock libzmq spell PLAIN's ERROR "^RROR"; zuring knows that, but says it as RFC 24 does.
                no = ((FAILED_AUTH, 400), (FAILED_PROTOCOL, UNEXPECTED_COMMAND))
            yield f"{describe(security)}: a stranger", verdicts, library, security, no


def describe(security):
    zap = " asks ZAP" if security.zap else ""
    return f"{security.mechanism}, {'zuring' if security.zuring_serves else 'stock'} serves{' and' + zap if zap else ''}"


if __name__ == "__main__":
    sys.exit(peer(*sys.argv[2:]) if sys.argv[1] == "--peer" else interop.main(cases))
