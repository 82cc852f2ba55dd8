#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Very many messages, each one checked: long.py ZBENCH LIBZMQ [--count N] [--seed N]

zbench, built in bench/, sends and checks: the size of each message, its sequence number at the head and a word that
follows from both at its tail, per sender and in order. This script spreads N messages (10^9 by default: a few minutes
for each transport) over transports, sizes, ways to call and limits, in a random order from a printed seed, and makes
sure that the library under test is LIBZMQ, the drop-in. CI runs it with --count 10000000.
Closes with `N passed, N failed`; a case that stands still for a minute fails.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import time

# Shares of the messages. Large ones take their time, so they get few; a hwm of 1 is a wake-up per message.
ROWS = (
    # case, transport, api, size, hwm, peers, share
    ("throughput", "tcp", "buf", 16, 1000, 1, 250),
    ("throughput", "tcp", "msg", 33, 1000, 1, 100),
    ("throughput", "tcp", "buf", 64, 0, 1, 50),
    ("throughput", "tcp", "msg", 256, 100, 1, 50),
    ("throughput", "tcp", "buf", 1000, 1000, 1, 20),
    ("throughput", "tcp", "msg", 5000, 1000, 1, 2),
    ("throughput", "tcp", "msg", 70000, 1000, 1, 0.2),
    ("throughput", "tcp", "buf", 1 << 20, 10, 1, 0.02),
    ("throughput", "ipc", "buf", 16, 1000, 1, 150),
    ("throughput", "ipc", "msg", 100, 1000, 1, 50),
    ("throughput", "ipc", "buf", 4096, 1000, 1, 2),
    ("throughput", "ipc", "msg", 100000, 1000, 1, 0.2),
    ("throughput", "inproc", "buf", 16, 1000, 1, 150),
    ("throughput", "inproc", "msg", 64, 1000, 1, 50),
    ("throughput", "inproc", "buf", 512, 10, 1, 20),
    ("throughput", "inproc", "msg", 70000, 1000, 1, 0.2),
    ("throughput", "tcp", "buf", 16, 1, 1, 1),
    ("throughput", "inproc", "buf", 16, 1, 1, 1),
    ("fanin", "tcp", "buf", 64, 1000, 8, 30),
    ("fanin", "ipc", "buf", 64, 1000, 8, 20),
    ("fanin", "inproc", "buf", 64, 1000, 4, 20),
    ("fanout", "tcp", "buf", 64, 1000, 8, 20),
    ("fanout", "ipc", "msg", 64, 1000, 4, 10),
    ("fanout", "inproc", "msg", 64, 1000, 4, 10),
    ("pingpong", "tcp", "buf", 64, 1000, 1, 0.2),
    ("pingpong", "ipc", "msg", 1000, 1000, 1, 0.2),
    ("pingpong", "inproc", "buf", 16, 1000, 1, 0.2),
)
COUNT_MIN = 1000


def command(zbench, row, count):
    case, transport, api, size, hwm, peers, _ = row
    return [zbench, "--case", case, "--transport", transport, "--api", api, "--size", str(size), "--hwm", str(hwm),
            "--peers", str(peers), "--count", str(count), "--timeout", "3600"]


def run(zbench, library, row, count):
    """Why it failed, or None."""
    seconds_max = 60 + count * row[3] / 20e6 + count / 20e3
    environment = {**os.environ, "LD_LIBRARY_PATH": os.path.dirname(library)}
    try:
        done = subprocess.run(command(zbench, row, count), env=environment, timeout=seconds_max, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except subprocess.TimeoutExpired:
        return f"not done after {seconds_max:.0f} s"
    if done.returncode != 0:
        return f"exit {done.returncode}: {done.stderr.strip()[-500:]}"
    told = json.loads(done.stdout.splitlines()[-1])
    if os.path.realpath(told["library_path"]) != library:
        return f"the loader took {told['library_path']}"
    return None if told["count"] >= count else f"only {told['count']} messages"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zbench")
    parser.add_argument("library")
    parser.add_argument("--count", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    library = os.path.realpath(options.library)
    print(f"--seed {options.seed}", flush=True)
    rows = list(ROWS)
    random.Random(options.seed).shuffle(rows)
    total = sum(row[-1] for row in rows)
    passed = failed = sent = 0
    for row in rows:
        count = max(COUNT_MIN, int(options.count * row[-1] / total))
        start = time.monotonic()
        fault = run(options.zbench, library, row, count)
        took = time.monotonic() - start
        sent += count
        passed += fault is None
        failed += fault is not None
        name = f"{row[0]} {row[1]} {row[2]} {row[3]} B, hwm {row[4]}, peers {row[5]}: {count} messages, {took:.1f} s"
        print(f"FAILED: {name}: {fault}" if fault else f"ok: {name}", flush=True)
    print(f"{sent} messages")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
