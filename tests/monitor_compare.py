#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare what zmq_socket_monitor tells of a drop-in libzmq with the stock library.

    monitor_compare.py [--stock LIB] [--dump] DROPIN

Each library runs in a child process, through the same scenes: binds, connects, losses, refusals, raw peers that misbehave.
A scene gives the events of each monitored socket in order, with values and addresses; descriptors and ports have
names there. A few deliberate departures apart, all must agree. Prints what differs, then `N passed, N failed`.
"""
import argparse
import ctypes
import errno
import json
import os
import shutil
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time

STOCK = "/usr/lib/x86_64-linux-gnu/libzmq.so.5"
TIMEOUT_S = 120
PATIENCE_S = 10
PAIR, PULL, PUSH = 0, 7, 8
LINGER, RECONNECT_IVL, RECONNECT_IVL_MAX, LAST_ENDPOINT, ACCEPT_FILTER, HANDSHAKE_IVL, EVENTS = 17, 18, 21, 32, 38, 66, 15
NAMES = {1: "CONNECTED", 2: "DELAYED", 4: "RETRIED", 8: "LISTENING", 0x10: "BIND_FAILED", 0x20: "ACCEPTED",
         0x40: "ACCEPT_FAILED", 0x80: "CLOSED", 0x100: "CLOSE_FAILED", 0x200: "DISCONNECTED", 0x400: "STOPPED",
         0x800: "NO_DETAIL", 0x1000: "SUCCEEDED", 0x2000: "PROTOCOL", 0x4000: "AUTH"}
DESCRIPTORS = ("CONNECTED", "LISTENING", "ACCEPTED", "CLOSED", "DISCONNECTED")
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(48)
AWAIT = None
READY_PUSH = b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH"

# (scene, monitored socket): what the drop-in leaves out. libzmq also tells that it closed what it could not bind.
DEPARTURES = {
    ("no such place, ipc", 0): ["CLOSED"],
    ("place taken, tcp", 1): ["CLOSED"],
}


class Library:
    def __init__(self, path):
        self.zmq = ctypes.CDLL(path, use_errno=True)
        for name in ("zmq_ctx_new", "zmq_socket"):
            getattr(self.zmq, name).restype = ctypes.c_void_p

    def call(self, name, *arguments):
        """0 or the errno."""
        ctypes.set_errno(0)
        return ctypes.get_errno() if getattr(self.zmq, name)(*arguments) == -1 else 0


class Watched:
    """A monitored socket, or a plain one."""

    def __init__(self, scene, kind, monitored=True):
        self.scene, self.lib, self.events, self.monitor = scene, scene.lib, [], None
        self.handle = ctypes.c_void_p(self.lib.zmq.zmq_socket(scene.context, kind))
        self.set(LINGER, 0)
        self.set(RECONNECT_IVL, 20)
        self.set(RECONNECT_IVL_MAX, 40)
        if monitored:
            self.watch("inproc://watch-%d" % len(scene.sockets))
        scene.sockets.append(self)

    def set(self, option, value):
        if isinstance(value, int):
            value = struct.pack("=i", value)
        assert self.lib.call("zmq_setsockopt", self.handle, option, value, ctypes.c_size_t(len(value))) == 0

    def watch(self, name):
        assert self.lib.call("zmq_socket_monitor", self.handle, name.encode(), 0xFFFF) == 0
        self.monitor = ctypes.c_void_p(self.lib.zmq.zmq_socket(self.scene.context, PAIR))
        self.lib.call("zmq_connect", self.monitor, name.encode())

    def bind(self, endpoint):
        if error := self.lib.call("zmq_bind", self.handle, endpoint.encode()):
            return error
        text, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
        self.lib.call("zmq_getsockopt", self.handle, LAST_ENDPOINT, text, ctypes.byref(size))
        return text.value.decode()

    def connect(self, endpoint):
        assert self.lib.call("zmq_connect", self.handle, endpoint.encode()) == 0

    def frame(self):
        buffer = ctypes.create_string_buffer(512)
        size = self.lib.zmq.zmq_recv(self.monitor, buffer, ctypes.c_size_t(512), 1)
        return None if size < 0 else buffer.raw[:size]

    def until(self, last, count=1):
        """Reads events until one of this name has come so many times."""
        until = time.monotonic() + PATIENCE_S
        while count:
            head = self.frame()
            if head is None:
                if time.monotonic() > until:
                    self.events.append("TIMEOUT waiting for " + last)
                    return
                self.scene.poke()
                continue
            number, value = struct.unpack("=HI", head)
            name = NAMES[number]
            address = self.scene.named(self.frame().decode())
            if name in DESCRIPTORS and value < 1024:
                value = "fd"
            elif name == "RETRIED" and 20 <= value < 120: # the stock library spreads them
                value = "ms"
            self.events.append([name, value, address])
            count -= name == last

    def leave(self, kept):
        """Closes, and keeps so many events and the last: how often it has tried again meanwhile is chance."""
        self.close()
        self.events = self.events[:kept] + self.events[-1:]

    def close(self):
        if not self.handle:
            return
        self.lib.call("zmq_close", self.handle)
        self.handle = None
        if self.monitor:
            self.until("STOPPED")
            self.lib.call("zmq_close", self.monitor)


class Scene:
    def __init__(self, lib, transport):
        self.lib, self.transport, self.sockets, self.names = lib, transport, [], {}
        self.folder = tempfile.mkdtemp(prefix="zuring-monitor-")
        self.context = ctypes.c_void_p(lib.zmq.zmq_ctx_new())

    def place(self):
        """An endpoint where nobody is."""
        if self.transport == "ipc":
            endpoint = f"ipc://{self.folder}/s"
        else:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                endpoint = "tcp://127.0.0.1:%d" % free.getsockname()[1]
        self.names[endpoint] = "PLACE"
        self.names[endpoint.split("://")[1]] = "BARE PLACE"
        return endpoint

    def poke(self):
        """Both libraries do some things only in calls on the socket."""
        size, value = ctypes.c_size_t(4), ctypes.c_int()
        for one in self.sockets:
            if one.handle:
                self.lib.zmq.zmq_getsockopt(one.handle, EVENTS, ctypes.byref(value), ctypes.byref(size))
        time.sleep(0.001)

    def named(self, text):
        return self.names.get(text, text)

    def raw(self, endpoint):
        host, port = endpoint[6:].split(":")
        return socket.create_connection((host, int(port)))

    def raw_listener(self):
        listener = socket.create_server(("127.0.0.1", 0))
        endpoint = "tcp://127.0.0.1:%d" % listener.getsockname()[1]
        self.names[endpoint] = "PLACE"
        return listener, endpoint

    def end(self):
        for one in self.sockets:
            one.close()
        self.lib.call("zmq_ctx_term", self.context)
        shutil.rmtree(self.folder, ignore_errors=True)
        return [one.events for one in self.sockets if one.monitor]


def pair(scene):
    server, client = Watched(scene, PULL), Watched(scene, PUSH)
    endpoint = scene.place()
    server.bind(endpoint)
    client.connect(endpoint)
    server.until("SUCCEEDED")
    client.until("SUCCEEDED")
    return server, client, endpoint


def client_leaves(scene):
    server, client, _ = pair(scene)
    client.close()
    server.until("DISCONNECTED")


def server_leaves(scene):
    server, client, _ = pair(scene)
    server.close()
    client.until("RETRIED", 3)
    client.leave(6)


def comes_back(scene):
    server, client, endpoint = pair(scene)
    server.close()
    client.until("RETRIED", 2)
    other = Watched(scene, PULL, False)
    while isinstance(other.bind(endpoint), int):
        scene.poke()
    del client.events[5:]
    client.until("SUCCEEDED")
    client.events = client.events[:5] + client.events[-2:]


def nobody_there(scene):
    client = Watched(scene, PUSH)
    client.connect(scene.place())
    client.until("RETRIED", 3)
    client.leave(len(client.events))


def server_late(scene):
    client = Watched(scene, PUSH)
    endpoint = scene.place()
    client.connect(endpoint)
    client.until("RETRIED", 1)
    server = Watched(scene, PULL)
    server.bind(endpoint)
    server.until("SUCCEEDED")
    client.until("SUCCEEDED")
    client.events = client.events[:2] + client.events[-2:]
    client.close()
    server.until("DISCONNECTED")


def unbound(scene):
    server, client, endpoint = pair(scene)
    scene.lib.call("zmq_unbind", server.handle, endpoint.encode())
    server.until("CLOSED")
    client.until("RETRIED")
    client.leave(5)


def disconnected(scene):
    server, client, endpoint = pair(scene)
    scene.lib.call("zmq_disconnect", client.handle, endpoint.encode())
    server.until("DISCONNECTED")


def place_taken(scene):
    first, second = Watched(scene, PULL), Watched(scene, PULL)
    endpoint = scene.place()
    first.bind(endpoint)
    second.bind(endpoint)


def no_such_place(scene):
    server = Watched(scene, PULL)
    server.bind("tcp://no-such-interface:1" if scene.transport == "tcp" else "ipc:///no/such/s")


def replaced(scene):
    server = Watched(scene, PULL)
    first = server.monitor
    server.watch("inproc://second")
    second, server.monitor = server.monitor, first
    server.until("STOPPED")
    scene.lib.call("zmq_close", first)
    server.monitor = second
    server.bind(scene.place())


def ended(scene):
    server = Watched(scene, PULL)
    server.bind(scene.place())
    scene.lib.call("zmq_socket_monitor", server.handle, None, 0)
    server.until("STOPPED")
    server.lib.call("zmq_close", server.handle)
    server.handle = None
    scene.lib.call("zmq_close", server.monitor)
    scene.sockets.remove(server)
    scene.sockets.append(Finished(server.events))


class Finished:
    monitor = True

    def __init__(self, events):
        self.events = events

    def close(self):
        pass


def filtered(scene):
    server = Watched(scene, PULL)
    server.set(ACCEPT_FILTER, b"10.0.0.0/8")
    endpoint = scene.place()
    server.bind(endpoint)
    with scene.raw(endpoint):
        server.until("ACCEPT_FAILED")
    server.events[-1][1] = "errno" # libzmq's is a left-over


def wildcard_removed(scene):
    server = Watched(scene, PULL)
    endpoint = server.bind("ipc://*")
    scene.names[endpoint] = "PLACE"
    shutil.rmtree(os.path.dirname(endpoint[6:]))


def says(*pieces, ends=False, resets=False):
    """A raw peer says this, to a server and then to a client; AWAIT: the handshake is to be done before it goes on."""
    def both(scene):
        server = Watched(scene, PULL)
        endpoint = scene.place()
        server.bind(endpoint)
        connection = scene.raw(endpoint)
        talk(server, connection)
        server.until("DISCONNECTED")
        connection.close()
        client = Watched(scene, PULL)
        listener, endpoint = scene.raw_listener()
        client.connect(endpoint)
        while not select.select([listener], [], [], 0)[0]:
            scene.poke()
        connection = listener.accept()[0]
        talk(client, connection)
        client.until("DISCONNECTED")
        listener.close()

    def talk(one, connection):
        for piece in pieces:
            if piece == AWAIT:
                one.until("SUCCEEDED")
            else:
                connection.sendall(piece)
        if resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
            connection.close()
        if ends:
            connection.shutdown(socket.SHUT_WR)
    return both


def silence(scene):
    server = Watched(scene, PULL)
    server.set(HANDSHAKE_IVL, 50)
    endpoint = scene.place()
    server.bind(endpoint)
    with scene.raw(endpoint):
        server.until("DISCONNECTED")
    server.events[-2][1] = "errno" # libzmq's is a left-over


def curve_greeting():
    return GREETING[:12] + b"CURVE".ljust(20, b"\0") + bytes(32)


def command(body):
    return b"\x04" + bytes([len(body)]) + body


SCENES = {
    "both": {"client leaves": client_leaves, "server leaves": server_leaves, "nobody there": nobody_there,
             "server late": server_late, "unbound": unbound, "disconnected": disconnected, "comes back": comes_back,
             "no such place": no_such_place, "replaced": replaced, "ended": ended},
    "tcp": {"place taken": place_taken, "filtered": filtered, "silence": silence,
            "ends at once": says(ends=True),
            "ends in the greeting": says(GREETING[:20], ends=True),
            "ends in the handshake": says(GREETING, ends=True),
            "ends": says(GREETING, READY_PUSH, AWAIT, ends=True),
            "resets": says(GREETING, READY_PUSH, AWAIT, resets=True),
            "another mechanism": says(curve_greeting()),
            "another type": says(GREETING, READY_PUSH.replace(b"PUSH", b"PULL")),
            "an unknown type": says(GREETING, READY_PUSH.replace(b"PUSH", b"PISH")),
            "error cut": says(GREETING, command(b"\x05ERROR\x09400")),
            "another command": says(GREETING, command(b"\x05HELLO")),
            "a message": says(GREETING, b"\x00\x05hello"),
            "properties cut": says(GREETING, command(b"\x05READY\x0bSocket-Type\0\0\0\x09PUSH")),
            "reserved flags": says(GREETING, READY_PUSH, AWAIT, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")},
    "ipc": {"wildcard removed": wildcard_removed},
}


def errors(lib):
    context = ctypes.c_void_p(lib.zmq.zmq_ctx_new())
    one, other = (ctypes.c_void_p(lib.zmq.zmq_socket(context, PULL)) for _ in range(2))
    calls = ((one, b"tcp://127.0.0.1:*", 1), (one, b"inproc://a", 1), (other, b"inproc://a", 1), (one, b"a", 1),
             (one, b"", 1), (one, b"inproc://", 1), (one, b"nothing://a", 1), (one, b"inproc://a", 0x10000),
             (one, b"inproc://a", -1), (one, None, 1), (other, None, 0), (None, b"inproc://a", 1))
    answers = [lib.call("zmq_socket_monitor", *arguments) for arguments in calls]
    lib.call("zmq_ctx_shutdown", context)
    answers.append(lib.call("zmq_socket_monitor", one, b"inproc://b", 1))
    for handle in (one, other):
        lib.call("zmq_close", handle)
    lib.call("zmq_ctx_term", context)
    return [answers]


def child(path):
    lib = Library(path)
    results = {"errors": errors(lib)}
    for room, scenes in SCENES.items():
        for transport in ("tcp", "ipc") if room == "both" else (room,):
            for name, play in scenes.items():
                scene = Scene(lib, transport)
                play(scene)
                results[f"{name}, {transport}"] = scene.end()
    print(json.dumps(results))


def run(path):
    done = subprocess.run([sys.executable, __file__, "--child", path], capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode:
        sys.exit(f"{path}: {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--stock", default=STOCK)
    parser.add_argument("--dump", action="store_true")
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    if options.child:
        return child(options.library)
    theirs, ours = run(options.stock), run(options.library)
    passed = failed = 0
    for name in theirs:
        for at, (stock, dropin) in enumerate(zip(theirs[name], ours[name])):
            left_out = DEPARTURES.get((name, at), ())
            same = dropin == (stock if not left_out else [event for event in stock if event[0] not in left_out])
            passed, failed = passed + same, failed + (not same)
            if not same or options.dump:
                print(f"{name}, socket {at}:\n  stock   {stock}\n  drop-in {dropin}")
    print(f"{passed} passed, {failed} failed")
    return failed > 0 or not passed


if __name__ == "__main__":
    sys.exit(main())
