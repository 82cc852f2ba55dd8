#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No leak in the drop-in below Python: leaks.py LIBZMQ RUNTIME...

LIBZMQ is the drop-in of a build with the address sanitizer, RUNTIME the sanitizers' libraries, which must be in a process
before Python is. A process for each drive runs what stands in busy() by pyzmq, and its report of lost memory must name no
call of zuring; the interpreter's own losses are none of ours. Another one loses messages on purpose and must be caught.
Closes with `N passed, N failed`.
"""
import ctypes
import os
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import threading

PYTHON = "/usr/bin/python3"
LIMIT_S = 100
SIZES = (0, 20, 300, 10000, 100000, 3000000)


def echo(zmq, context, kind, wildcard, where, copy):
    with context.socket(kind) as socket:
        socket.bind(wildcard)
        where.put(socket.LAST_ENDPOINT)
        for _ in SIZES:
            socket.send_multipart(socket.recv_multipart(copy=copy), copy=copy)
        socket.recv()  # else what was sent last would go with the socket


def exchange(zmq, context, server, client, wildcard, copy):
    """Every size there and back, in one frame and in several."""
    where = queue.Queue()
    thread = threading.Thread(target=echo, args=(zmq, context, server, wildcard, where, copy))
    thread.start()
    with context.socket(client) as socket:
        socket.connect(where.get(timeout=20))
        for size in SIZES:
            frames = [b"", b"x" * size] if size % 3 else [b"y" * size]
            socket.send_multipart(frames, copy=copy)
            assert socket.recv_multipart() == frames
        socket.send(b"end")
        thread.join()


def publish(zmq, context):
    with context.socket(zmq.XPUB) as publisher, context.socket(zmq.SUB) as subscriber:
        publisher.bind("ipc://*")
        subscriber.subscribe("news")
        subscriber.connect(publisher.LAST_ENDPOINT)
        while not publisher.poll(10):
            subscriber.poll(10)
        publisher.recv()
        for n in range(2000):
            publisher.send_string(f"{'news' if n % 2 else 'gossip'} {n}")
        assert subscriber.recv() == b"news 1"  # the others are dropped as the socket closes


def guarded(zmq, context):
    """CURVE, with a monitor on it and an authenticator that refuses a second client."""
    from zmq.auth.thread import ThreadAuthenticator
    from zmq.utils.monitor import recv_monitor_message
    guard = ThreadAuthenticator(context)
    guard.start()
    public, secret = zmq.curve_keypair()
    with context.socket(zmq.REP) as server:
        server.curve_server, server.curve_secretkey, server.curve_publickey = True, secret, public
        events = server.get_monitor_socket()
        server.bind("tcp://127.0.0.1:*")
        for allowed in (True, False):
            known, mine = zmq.curve_keypair()
            guard.configure_curve_callback("*", type("Provider", (), {"callback": lambda *a, ok=allowed: ok})())
            with context.socket(zmq.REQ) as client:
                client.curve_serverkey, client.curve_publickey, client.curve_secretkey = public, known, mine
                client.connect(server.LAST_ENDPOINT)
                if allowed:  # who is refused has nobody to send to any more, and would wait
                    client.send(b"may I?")
                event = 0
                while event not in (zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_HANDSHAKE_FAILED_AUTH):
                    server.poll(10)
                    client.poll(10)
                    event = recv_monitor_message(events)["event"] if events.poll(0) else event
                assert (event == zmq.EVENT_HANDSHAKE_SUCCEEDED) == allowed
                if allowed:
                    server.send(server.recv() + b" yes")
                    assert client.recv() == b"may I? yes"
        server.disable_monitor()
    guard.stop()


def abandoned(zmq, context):
    """What nobody ever takes, and endpoints where nobody is."""
    for endpoint in ("tcp://127.0.0.1:1", "inproc://nobody", "ipc:///tmp/zuring-nobody.sock", "tcp://nobody.invalid:1"):
        socket = context.socket(zmq.PUSH)
        socket.connect(endpoint)
        for size in (10, 5000, 100000):
            socket.send(b"z" * size, copy=False)
        socket.close(linger=0)


def busy():
    import zmq
    with zmq.Context() as context:
        context.linger = 0
        context.rcvtimeo = context.sndtimeo = 20000
        for server, client in ((zmq.REP, zmq.REQ), (zmq.ROUTER, zmq.DEALER), (zmq.PAIR, zmq.PAIR)):
            for wildcard in ("inproc://x", "tcp://127.0.0.1:*", "ipc://*"):
                for copy in (True, False):
                    exchange(zmq, context, server, client, wildcard, copy)
        publish(zmq, context)
        guarded(zmq, context)
        abandoned(zmq, context)
    print("done")


def careless():
    """Loses messages, as a library with a leak would."""
    library = ctypes.CDLL("libzmq.so.5")
    for _ in range(50):
        library.zmq_msg_init_size(ctypes.create_string_buffer(64), 100000)
    print("done")


def lost(library, runtimes, drive, what):
    """The stacks of what was lost by zuring, as the sanitizer tells them."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "LD_LIBRARY_PATH": os.path.dirname(library), "LD_PRELOAD": " ".join(runtimes), "ZURING_DRIVE": drive,
            "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": f"detect_leaks=1:exitcode=0:log_path={folder}/report:stack_trace_format='#%n %m %f %S'"}
        done = subprocess.run([PYTHON, __file__, what], env=environment, capture_output=True, text=True, check=False,
                              timeout=LIMIT_S)
        reports = [path.read_text(encoding="utf-8") for path in pathlib.Path(folder).iterdir()]
        if done.returncode != 0 or done.stdout != "done\n" or any("ERROR: AddressSan" in text for text in reports):
            raise RuntimeError(f"status {done.returncode}: {done.stdout}{done.stderr}{reports}")
        # What hangs on a lost object is told as an indirect leak, and is that one's fault.
        stacks = re.findall(r"^Direct leak.*\n(?:.+\n)*", "\n".join(reports), re.M)
        return [stack for stack in stacks if os.path.realpath(library) in stack]


def main():
    library, *runtimes = map(os.path.abspath, sys.argv[1:])
    find = "import importlib.util, sys; sys.exit(not importlib.util.find_spec('zmq'))"  # loads no library
    if subprocess.run([PYTHON, "-c", find], check=False).returncode != 0:
        print("skipped: no pyzmq")
        return 1 if "CI" in os.environ else 77
    failed = 0
    for drive, what in (("background", "busy"), ("inline", "busy"), ("background", "careless")):
        try:
            stacks = lost(library, runtimes, drive, what)
            fine = bool(stacks) == (what == "careless")
        except (RuntimeError, subprocess.TimeoutExpired) as fault:
            stacks, fine = [str(fault)], False
        print(f"{'ok' if fine else 'FAILED'}: {what}, {drive}: {len(stacks)} losses")
        if not fine:
            print(*stacks, sep="\n")
        failed += not fine
    print(f"{3 - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    if sys.argv[1:] in (["busy"], ["careless"]):
        globals()[sys.argv[1]]()
    else:
        sys.exit(main())
