#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a Python program gains: pyzmq over the system's libzmq and over zuring, side by side.

Two processes of the same unchanged Python program, over tcp: PUSH to PULL with 1 KiB messages, and REQ/REP ping-pong.
The sides take turns in every round; the table shows medians of the rounds, and quotients against stock with the range
that the rounds leave open. Every process proves which library it has loaded.
"""
import argparse
import os
import pathlib
import subprocess
import sys

import common

PYTHON = "/usr/bin/python3"
RUN = pathlib.Path(__file__).resolve().parent.parent / "tools" / "zuring-run"

# The far side prints its port and its library; the near side prints its library and what it measured.
PROGRAM = r"""
import sys, time, zmq
role, seconds, size, port = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
context = zmq.Context()
far, near = {"stream": (zmq.PULL, zmq.PUSH), "dialogue": (zmq.REP, zmq.REQ)}[role]
library = next(line.split()[-1] for line in open("/proc/self/maps") if "/libzmq.so" in line)
if port == "-":
    socket = context.socket(far)
    print(socket.bind_to_random_port("tcp://127.0.0.1"), library, flush=True)
    if role == "stream":
        recv, count, start = socket.recv, 0, None
        while recv():               # an empty message ends it
            count += 1
            if count == 1000:       # the first ones fill what lies between
                start = time.perf_counter()
        print((count - 1000) / (time.perf_counter() - start))
    else:
        while True:
            body = socket.recv()
            socket.send(body)
            if not body:
                break
else:
    socket = context.socket(near)
    socket.connect("tcp://127.0.0.1:" + port)
    print(library)
    body, clock = bytes(size), time.perf_counter
    if role == "stream":
        send, end = socket.send, clock() + seconds
        for _ in range(1000):
            send(body)
        while clock() < end:
            for _ in range(100):
                send(body)
        send(b"")
    else:
        send, recv = socket.send, socket.recv
        for _ in range(200):
            send(body), recv()
        times, end, now = [], clock() + seconds, clock()
        while now < end:
            before = now
            send(body)
            recv()
            now = clock()
            times.append(now - before)
        times.sort()
        print(times[len(times) // 2] * 1e6)
        send(b"")
        recv()
context.destroy()
"""

# name, role, bytes, unit, whether more is better
JOBS = [("PUSH → PULL, 1 KiB, msg/s", "stream", 1024, True),
        ("REQ/REP, 64 B, µs per round trip", "dialogue", 64, False)]


class Side:
    def __init__(self, name, folder, *options):
        self.name, self.file = name, os.path.realpath(os.path.join(folder, "libzmq.so.5"))
        self.prefix = [str(RUN), "--library", str(folder), *options] if options else []
        self.environment = {key: value for key, value in os.environ.items()
                            if key not in ("LD_LIBRARY_PATH", "LD_PRELOAD") and not key.startswith("ZURING_")}
        self.results = {}

    def start(self, *words):
        return subprocess.Popen([*self.prefix, PYTHON, "-c", PROGRAM, *words], env=self.environment, text=True,
                                stdout=subprocess.PIPE)

    def check(self, library):
        if os.path.realpath(library) != self.file:
            raise common.WrongLibrary(f"{self.name}: the loader took {library}, not {self.file}")

    def run(self, name, role, size, seconds):
        far = self.start(role, str(seconds), str(size), "-")
        near = None
        try:
            port, library = far.stdout.readline().split()
            self.check(library)
            near = self.start(role, str(seconds), str(size), port)
            said, figure = near.communicate(timeout=60 + 10 * seconds)[0].split(), far.communicate(timeout=60)[0]
            self.check(said[0])
            if near.returncode or far.returncode:
                raise RuntimeError(f"{self.name}: {name}: status {near.returncode}, {far.returncode}")
            self.results.setdefault(name, []).append(float(said[1] if role == "dialogue" else figure))
        finally:
            for process in (far, near):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()


def rounds_run(sides, rounds, seconds):
    for number in range(rounds):
        turn = number % len(sides)
        for name, role, size, _ in JOBS:
            for side in sides[turn:] + sides[:turn]:
                side.run(name, role, size, seconds)
        common.progress(f"round {number + 1} of {rounds}")
    common.progress("")


def report(sides):
    stock = sides[0]
    rows = []
    for name, _, _, more in JOBS:
        for side in sides:
            mine, theirs = side.results[name], stock.results[name]
            gain = common.quotient(mine, theirs) if more else common.quotient(theirs, mine)
            middle = sorted(mine)[len(mine) // 2]
            rows.append([name, side.name, common.show_rate(middle) if more else f"{middle:.1f}",
                         "" if side is stock else gain.show("{:.2f}") + " ×"])
    common.table_print(["case", "library", "median", "better than stock"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    build = pathlib.Path(__file__).resolve().parent.parent / "build"
    parser.add_argument("--zuring", type=pathlib.Path, default=build / "compat", help="folder of zuring's libzmq.so.5")
    parser.add_argument("--repeat", type=int, default=5, help="rounds (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a run (%(default)s)")
    arguments = parser.parse_args()
    sides = [Side("libzmq", common.stock_folder()),
             Side("zuring", arguments.zuring, "--background"),
             Side("zuring, spin", arguments.zuring, "--background", "--spin", "50"),
             Side("zuring, inline, spin", arguments.zuring, "--inline", "--spin", "50")]
    try:
        rounds_run(sides, arguments.repeat, arguments.seconds)
    except (common.WrongLibrary, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report(sides)
    return 0


if __name__ == "__main__":
    sys.exit(main())
