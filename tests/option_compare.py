#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare socket and context options of a drop-in libzmq with the stock library.

    option_compare.py [--stock LIB] [--types PUSH,PULL,...] [--dump] DROPIN

Each library runs in a child process of its own: a crash of one is a difference, not the end of the run. A case is one
set on a fresh socket (or context) followed by gets with several buffer lengths; results, errnos, stored lengths and the
whole buffers must agree, a few deliberate departures apart. Prints what differs, then `N passed, N failed`. --dump
prints what the one library answers.
"""
import argparse
import ctypes
import errno
import json
import os
import struct
import subprocess
import sys
import threading

TIMEOUT_S = 120
STOCK = "/usr/lib/x86_64-linux-gnu/libzmq.so.5"
TYPES = {name: number for number, name in enumerate(
    "PAIR PUB SUB REQ REP DEALER ROUTER PULL PUSH XPUB XSUB STREAM".split())}
FD = 14
MECHANISM, PLAIN_SERVER, CURVE_SERVER, IPV6, IPV4ONLY, LINGER = 43, 44, 47, 42, 31, 17
WATCHED = (MECHANISM, PLAIN_SERVER, CURVE_SERVER, IPV6, IPV4ONLY)

# Every stable socket option, those of optional builds left out, and a few numbers that mean nothing.
OPTIONS = [n for n in range(4, 93) if n not in (62, 63, 64, 65, 85, 86, 87, 88, 90, 91)] + [-1, 0, 3, 125, 10000]
INTS = (-2**31, -2, -1, 0, 1, 2, 3, 7, 99, 100, 101, 1000, 65535, 65536, 6553599, 6553600, 2**31 - 1)
Z85 = b"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
TEXTS = (
    b"a", b"ab", b"abcd", b"abcde", b"a\0b", b"\0", b"\0\0\0\0\0", b"x" * 15, b"x" * 16, b"x" * 17, b"k" * 31,
    b"k" * 32, b"k" * 33, b"x" * 39, Z85, Z85 + b"\0", Z85 + b"x", b"~" * 40, b"~" * 40 + b"\0", b" " * 41, b"x" * 42,
    b"x" * 254,
    b"x" * 255, b"x" * 256, b"x" * 257, b"x" * 3000, b"127.0.0.1", b"127.0.0.1/8", b"127.0.0.1/0", b"127.0.0.1/32",
    b"127.0.0.1/33", b"127.0.0.1/-1", b"127.0.0.1/", b"127.0.0.1/8x", b"/8", b"127.0.0.1/ 8", b"127.0.0.1/x",
    b"127.0.0.1/0x8", b"127.0.0.1:80", b"127.0.0", b"::1", b"[::1]", b"[::1]/64", b"::1/64", b"::1/128", b"::1/129",
    b"localhost", b"lo", b"*", b"127.0.0.1/8/9", b"127.0.0.1/8\0junk", b"127.0.0.1\0")
LONGS = (-2**63, -2, -1, 0, 1, 2**31, 2**40, 2**63 - 1)
GET_SIZES = (0, 1, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 18, 31, 32, 33, 40, 41, 42, 254, 255, 256, 257, 300, 4000)
# Pairs whose second set must see what the first one did.
SEQUENCES = (
    [(44, 1), (44, 0)], [(44, 1), (47, 0)], [(44, 1), (47, 1)], [(45, b"user"), (44, 1)], [(45, b"user"), (46, b"pw")],
    [(44, 1), (45, b"user")], [(45, b"user"), (45, None)], [(45, b"user"), (46, None)], [(46, b"pw"), (45, None)],
    [(44, 1), (45, None)], [(44, 1), (50, Z85)], [(50, Z85), (44, 0)], [(50, Z85), (45, b"user")], [(47, 1), (49, Z85)],
    [(47, 1), (50, Z85)], [(47, 1), (48, Z85)], [(48, Z85), (47, 0)], [(47, 1), (45, None)], [(42, 1), (31, 1)],
    [(31, 0), (42, 0)], [(42, 1), (38, b"::1")], [(42, 1), (38, b"[::1]/64")], [(42, 1), (38, b"::1/64")],
    [(42, 1), (38, b"::1/129")], [(42, 1), (38, b"127.0.0.1/32")], [(42, 1), (38, b"127.0.0.1/33")],
    [(42, 1), (38, b"127.0.0.1/128")], [(42, 1), (38, b"localhost")], [(55, b"zone"), (55, None)],
    [(55, b"zone"), (55, b"area 51")], [(68, b"1.2.3.4:80"), (68, None)], [(92, b"lo"), (92, None)],
    [(5, b"me"), (5, b"you")],
    [(71, 1), (6, b"topic")], [(71, 1), (7, b"topic")], [(71, 0), (6, b"topic")], [(6, b"topic"), (7, b"topic")],
    [(7, b"none")], [(45, b"user"), (45, b"u")], [(50, Z85), (50, b"k" * 32)], [(58, 1), (58, None)],
    [(72, b"hi"), (72, None)])
# Where the drop-in is to differ: the end of a case's label, and the call in it that must say EINVAL. A filter of more
# than 32 bits for an IPv4 network lets libzmq count from the start of the mapped address, and lets everyone in; a CPU
# that no cpu_set_t can hold is ignored by libzmq.
DEPARTURES = (
    ("sequence [(42, 1), (38, b'127.0.0.1/33')]", 1), ("sequence [(42, 1), (38, b'127.0.0.1/128')]", 1),
    ("context 7 = 65535", 0), ("context 7 = 65536", 0), ("context 7 = 2147483647", 0))
CTX_OPTIONS = list(range(0, 13)) + [42, 70, 71, -1]
# zmq_ctx_set with these would change what threads the library starts, or allocate by the value: small steps only.
CTX_INTS = (-2**31, -2, -1, 0, 1, 2, 3, 99, 1023, 65535, 65536, 2**31 - 1)


def values():
    yield None, 0
    for number in INTS:
        raw = struct.pack("=i", number)
        yield raw, 4
    for number in LONGS:
        yield struct.pack("=q", number), 8
    raw = struct.pack("=i", 1)
    for size in (0, 1, 2, 3, 5, 7, 12):
        yield (raw + b"\0" * 8)[:size], size
    for text in TEXTS:
        yield text, len(text)


class Library:
    def __init__(self, path):
        self.zmq = ctypes.CDLL(path, use_errno=True)
        for name in ("zmq_ctx_new", "zmq_socket"):
            getattr(self.zmq, name).restype = ctypes.c_void_p
        self.zmq.zmq_socket.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self.zmq.zmq_setsockopt.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
        self.zmq.zmq_getsockopt.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        for name in ("zmq_close", "zmq_ctx_term"):
            getattr(self.zmq, name).argtypes = [ctypes.c_void_p]
        self.zmq.zmq_ctx_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        self.zmq.zmq_ctx_get.argtypes = [ctypes.c_void_p, ctypes.c_int]

    def call(self, name, *arguments):
        ctypes.set_errno(0)
        result = getattr(self.zmq, name)(*arguments)
        return (result, ctypes.get_errno() if result == -1 else 0)

    def set(self, socket, option, raw):
        return self.call("zmq_setsockopt", socket, option, raw, len(raw or b""))

    def get(self, socket, option, size):
        buffer = ctypes.create_string_buffer(b"\xaa" * (size + 8), size + 8)
        length = ctypes.c_size_t(size)
        result, error = self.call("zmq_getsockopt", socket, option, buffer, ctypes.byref(length))
        raw = buffer.raw
        if option == FD and result == 0:
            raw = b"[fd]" + raw[4:]
        return [result, error, length.value, raw.rstrip(b"\xaa").hex(), len(raw) - len(raw.rstrip(b"\xaa"))]


def encoded(value):
    return struct.pack("=i", value) if isinstance(value, int) else value


def socket_cases():
    """(label, sets, option whose gets are swept over all lengths or None)"""
    for option in OPTIONS:
        yield f"get {option}", [], option
        for raw, size in values():
            yield f"set {option} {(raw or b'')[:48]!r}/{size}", [(option, raw)], None
        for raw in (Z85, b"user", b"k" * 32, b"x" * 255, struct.pack("=i", 1), struct.pack("=q", 77)):
            yield f"sweep {option} after {raw[:48]!r}", [(option, raw)], option
    for sequence in SEQUENCES:
        yield f"sequence {sequence}", [(option, encoded(value)) for option, value in sequence], None


def run_sockets(library, type_name, emit):
    context = library.zmq.zmq_ctx_new()
    for label, sets, sweep in socket_cases():
        socket = library.zmq.zmq_socket(context, TYPES[type_name])
        while not socket:  # closed sockets count until the library has reaped them
            os.sched_yield()
            socket = library.zmq.zmq_socket(context, TYPES[type_name])
        emit("begin", f"{type_name} {label}")
        answer = [library.set(socket, option, raw) for option, raw in sets]
        for option in sorted({option for option, _ in sets}):
            answer += [[option] + library.get(socket, option, size) for size in (4, 8, 32, 256, 4000)]
        if sets:
            answer += [[option] + library.get(socket, option, 4) for option in WATCHED]
        if sweep is not None:
            answer += [[sweep] + library.get(socket, sweep, size) for size in GET_SIZES]
        emit(f"{type_name} {label}", answer)
        library.set(socket, LINGER, struct.pack("=i", 0))
        library.zmq.zmq_close(socket)
    library.zmq.zmq_ctx_term(context)


def run_contexts(library, types, emit):
    for option in CTX_OPTIONS:
        for value in (None,) + CTX_INTS:
            context = library.zmq.zmq_ctx_new()
            emit("begin", f"context {option} = {value}")
            answer = [] if value is None else [library.call("zmq_ctx_set", context, option, value)]
            answer += [[other, library.call("zmq_ctx_get", context, other)] for other in CTX_OPTIONS]
            emit(f"context {option} = {value}", answer)
            library.zmq.zmq_ctx_term(context)
    for removed in (0, 1, 5, 1023):
        context = library.zmq.zmq_ctx_new()
        answer = [library.call("zmq_ctx_set", context, 7, 1)]
        answer += [library.call("zmq_ctx_set", context, 8, removed) for _ in range(2)]
        emit(f"context affinity remove {removed}", answer)
        library.zmq.zmq_ctx_term(context)
    for setting in (42, 70):
        for type_name in types:
            number = TYPES[type_name]
            context = library.zmq.zmq_ctx_new()
            library.zmq.zmq_ctx_set(context, setting, 1 if setting == 42 else 0)
            socket = library.zmq.zmq_socket(context, number)
            answer = [library.get(socket, option, 4) for option in (LINGER, IPV6, IPV4ONLY)]
            emit(f"context {setting} inherited by {type_name}", answer)
            library.zmq.zmq_close(socket)
            library.zmq.zmq_ctx_term(context)


def child(path, types):
    library = Library(path)

    def emit(label, answer):
        print(json.dumps([label, answer]), flush=True)

    run_contexts(library, types, emit)
    for type_name in types:
        run_sockets(library, type_name, emit)
    emit("begin", None)


def answers_of(path, types):
    command = [sys.executable, __file__, "--child", "--types", ",".join(types), path]
    answers, last = {}, "start"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(TIMEOUT_S, process.kill)
        guard.start()
        for line in process.stdout:
            label, answer = json.loads(line)
            if label == "begin":
                last = answer
            else:
                answers[label] = answer
        guard.cancel()
    complete = process.returncode == 0 and last is None
    if not complete:
        print(f"{path}: ended with {process.returncode} in {last!r}")
    return answers, complete


def expected_of(label, stock):
    for ending, call in DEPARTURES:
        if label.endswith(ending):
            return stock[:call] + [[-1, errno.EINVAL]] + stock[call + 1:]
    return stock


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dropin")
    parser.add_argument("--stock", default=STOCK)
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--dump", action="store_true")
    parser.add_argument("--child", action="store_true")
    arguments = parser.parse_args()
    types = list(TYPES) if arguments.types == "all" else arguments.types.split(",")
    if arguments.child:
        child(arguments.dropin, types)
        return 0
    ours, ours_complete = answers_of(arguments.dropin, types)
    if arguments.dump:
        for label, answer in ours.items():
            print(label, json.dumps(answer))
        return 0
    stock, stock_complete = answers_of(arguments.stock, types)
    failed = 0
    for label, answer in stock.items():
        expected = expected_of(label, answer)
        if ours.get(label) == expected:
            continue
        failed += 1
        print(label if label in ours else f"{label}: no answer")
        for left, right in zip(expected, ours.get(label, ())):
            if left != right:
                print(f"    expected {left}\n    got      {right}")
    print(f"{len(stock) - failed} passed, {failed + (not ours_complete) + (not stock_complete)} failed")
    return 1 if failed or not (ours_complete and stock_complete) else 0


if __name__ == "__main__":
    sys.exit(main())
