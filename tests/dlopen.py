#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The drop-in inside a process that did not choose its allocator: dlopen.py LIBZMQ

A library linked with Debian's libjemalloc.so.2 cannot be dlopen'ed, because that uses static TLS. So the drop-in must
not bring jemalloc along, must work without it, and must use it where the launcher preloads it. Every case runs in a
process of its own. Closes with `N passed, N failed`.
"""
import ctypes.util
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile

DROPIN = os.path.realpath(sys.argv[1])
JEMALLOC = ctypes.util.find_library("jemalloc") or "libjemalloc.so.2"
# glibc keeps 512 bytes of static TLS for dlopen'ed libraries; with more, each access would go the slow way.
TLS_SIZE_MAX = 448

EXCHANGE = """
import ctypes, sys
zmq = ctypes.CDLL(sys.argv[1])
zmq.zmq_ctx_new.restype = zmq.zmq_socket.restype = ctypes.c_void_p
P = ctypes.c_void_p
PULL, PUSH = 7, 8
context = zmq.zmq_ctx_new()
pull, push = (zmq.zmq_socket(P(context), kind) for kind in (PULL, PUSH))
assert zmq.zmq_bind(P(pull), b"inproc://dlopen") == 0
assert zmq.zmq_connect(P(push), b"inproc://dlopen") == 0
for size in (5, 70000):
    sent, got = bytes(range(256)) * 274, ctypes.create_string_buffer(size)
    assert zmq.zmq_send(P(push), sent, ctypes.c_size_t(size), 0) == size
    assert zmq.zmq_recv(P(pull), got, ctypes.c_size_t(size), 0) == size
    assert got.raw == sent[:size]
assert zmq.zmq_close(P(push)) == 0 and zmq.zmq_close(P(pull)) == 0
assert zmq.zmq_ctx_term(P(context)) == 0
print(open("/proc/self/maps").read())
"""
PYZMQ = """
import zmq
with zmq.Context() as context, context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
    port = pull.bind_to_random_port("tcp://127.0.0.1")
    push.connect(f"tcp://127.0.0.1:{port}")
    push.send_multipart([b"a", b"b" * 100000])
    assert pull.poll(10000) and pull.recv_multipart() == [b"a", b"b" * 100000]
print(open("/proc/self/maps").read())
"""


def run(code, **environment):
    """What the code prints, its maps, from a fresh interpreter whose libraries are those asked for and no others."""
    clean = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "LD_LIBRARY_PATH")}
    done = subprocess.run([sys.executable, "-c", code, DROPIN], env=clean | environment, text=True, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-2000:]}"
    assert DROPIN in done.stdout, f"{DROPIN} was not loaded"
    return done.stdout


def does_not_need_jemalloc():
    needed = subprocess.run(["readelf", "-dW", DROPIN], check=True, text=True, stdout=subprocess.PIPE).stdout
    assert "libzmq.so.5" in re.search(r"SONAME.*", needed).group()
    assert "jemalloc" not in needed


def fits_static_tls():
    headers = subprocess.run(["readelf", "-lW", DROPIN], check=True, text=True, stdout=subprocess.PIPE).stdout
    tls = re.search(r"^\s*TLS\s+\S+\s+\S+\s+\S+\s+\S+\s+(\S+)", headers, re.M)
    size = int(tls.group(1), 16) if tls else 0
    assert size <= TLS_SIZE_MAX, f"{size} bytes of thread-locals, more than {TLS_SIZE_MAX}"


def works_without_jemalloc():
    assert "jemalloc" not in run(EXCHANGE)


def uses_preloaded_jemalloc():
    with tempfile.TemporaryDirectory() as folder:
        run(EXCHANGE, LD_PRELOAD=JEMALLOC, LD_DEBUG="bindings", LD_DEBUG_OUTPUT=folder + "/ld")
        bindings = "".join(path.read_text() for path in pathlib.Path(folder).iterdir())
    for symbol in ("malloc", "mallocx"):
        assert re.search(rf"binding file {re.escape(DROPIN)} .* to \S*jemalloc\S* .*`{symbol}'", bindings), (
            f"{symbol} is not jemalloc's")


def carries_pyzmq():
    run(PYZMQ, LD_LIBRARY_PATH=os.path.dirname(DROPIN))


def main():
    cases = [does_not_need_jemalloc, fits_static_tls, works_without_jemalloc, uses_preloaded_jemalloc]
    skipped = 0
    if importlib.util.find_spec("zmq"):
        cases.append(carries_pyzmq)
    else:
        print("skipped: carries_pyzmq (no python3-zmq)")
        skipped = 1
    failed = 0
    for case in cases:
        try:
            case()
            print(f"ok: {case.__name__}")
        except (AssertionError, AttributeError, subprocess.SubprocessError) as fault:
            failed += 1
            print(f"FAILED: {case.__name__}: {fault}")
    print(f"{len(cases) - failed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
