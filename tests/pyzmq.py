#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pyzmq's own test suite on zuring: pyzmq.py LIBZMQ [--drive NAME]... [--stock]

Runs the suite that Debian's python3-zmq brings along, once for each drive, a process per file and several at a time: it
mostly sleeps. Each process has a network of its own where the system allows that, because the suite uses fixed ports.
A test counts as passed when it passes, or is skipped for one of the reasons below; tests that are left out are named
with the reason. --stock runs it on the system's libzmq instead: the same result is expected, but for what INLINE names.
Closes with `N passed, N failed, N skipped`.
"""
import argparse
import concurrent.futures
import fcntl
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys

PYTHON = "/usr/bin/python3"
FILE_TIMEOUT_S = 150
WORKERS = 6
CASE = re.compile(r"^\S*?(test_\w+\.py::\S+)(?: <- \S+)? (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b(?: \((.*)\))?",
                  re.M)

# Whole files and tests that fail or mean nothing on the system's libzmq, too.
ENVIRONMENT = {
    "test_cython.py": "needs Cython and a compiler",
    "test_mypy.py": "needs mypy, and looks at no message",
    "test_cffi_backend.py": "needs another build of pyzmq, with cffi",
    "test_win32_shim.py": "Windows only",
    "test_draft.py": "needs a pyzmq with the draft API",
    "test_log.py::TestPubLog::test_blank_root_topic": "waits for a message that a slow joiner may have missed",
}

# What inline drive cannot pass: it moves a socket's messages only inside calls on that socket (zuring.h), and these tests
# have two sockets in one thread.
PUB_ALONE = "nobody calls the PUB between the connect and the first send: it has heard of no subscription by then"
SUB_ALONE = "nobody calls the bound SUB while the device publishes: no connection is accepted, and PUB drops"
PAIR_ALONE = "wants both sockets writable in the first poll: the bound one has accepted nothing, nobody had called it"
INLINE = {
    r"test_log\.py::\w+::(?!test_init_iface|test_root_topic)": PUB_ALONE,
    r"test_pubsub\.py::": PUB_ALONE,
    r"test_socket\.py::\w+::test_unicode_sockopts": PUB_ALONE,
    r"test_poll\.py::\w+::test_pubsub": PUB_ALONE,
    r"test_poll\.py::\w+::test_pair": PAIR_ALONE,
    r"test_monqueue\.py::\w+::test_(monitor|monitor_subscribe|prefix)": SUB_ALONE,
}

# How many pass at least: fewer mean that a part of the suite was not run.
PASSED_MIN = {"background": 323, "inline": 305, "stock": 323}

SKIPS = re.compile(r"pyczmq|draft api|bundled libzmq|numpy|green|TODO: find a way|only run on 64b", re.I)


def tests_folder():
    # Not imported here: the process must not have loaded any libzmq.
    find = "import importlib.util; print(importlib.util.find_spec('zmq').submodule_search_locations[0])"
    found = subprocess.run([PYTHON, "-c", find], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(found.stdout.strip()) / "tests"


def isolation():
    """The command that gives a process a network of its own, or nothing where that is forbidden."""
    command = ["unshare", "--user", "--map-root-user", "--net", PYTHON, os.path.abspath(__file__), "--enter"]
    try:
        works = subprocess.run([*command, "true"], stderr=subprocess.DEVNULL, check=False, timeout=30).returncode == 0
    except OSError:
        works = False
    return command if works else []


def enter(command):
    """Inside the new network: raises its loopback interface, and becomes the command."""
    up = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS
    os.execvp(command[0], command)


def left_out(drive):
    """Tests of the suite that are not run: pattern -> reason."""
    rows = {re.escape(name): why for name, why in ENVIRONMENT.items()}
    if drive == "stock":
        return rows
    return rows | (INLINE if drive.startswith("inline") else {})


def environment_of(drive, library):
    environment = dict(os.environ, ZMQ_TEST_TIMEOUT="40", PYTHONDONTWRITEBYTECODE="1")
    environment.pop("LD_LIBRARY_PATH", None)
    environment.pop("CI", None)  # the suite skips by it
    if drive != "stock":
        environment |= {"LD_LIBRARY_PATH": os.path.dirname(library), "ZURING_DRIVE": drive}
    return environment


def pytest(words, environment, prefix=()):
    command = [*prefix, PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "--disable-warnings", *words]
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=FILE_TIMEOUT_S, stdin=subprocess.DEVNULL)
        return done.stdout
    except subprocess.TimeoutExpired as expired:
        return (expired.stdout or b"").decode(errors="replace") + f"\nended after {FILE_TIMEOUT_S} s\n"


def loaded_rightly(library, drive):
    """Which libzmq a pyzmq in this environment has, so that none of this is about another one."""
    look = "import zmq; print(*{line.split()[-1] for line in open('/proc/self/maps') if '/libzmq.so' in line})"
    seen = subprocess.run([PYTHON, "-c", look], env=environment_of(drive, library), stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()
    return (os.path.realpath(seen) == os.path.realpath(library)) == (drive != "stock")


class Drive:
    """One run of the whole suite."""

    def __init__(self, name, library, prefix):
        self.name, self.prefix = name, prefix
        self.environment = environment_of(name, library)
        self.rows = left_out(name)
        self.results, self.outputs = {}, {}

    def why_out(self, case):
        return next((why for pattern, why in self.rows.items() if re.match(pattern, case)), None)

    def collect(self, folder):
        """Every test of the suite, file by file."""
        whole = [name for name in ENVIRONMENT if "::" not in name]
        files = sorted(path for path in folder.glob("test_*.py") if path.name not in whole)
        listed = pytest(["--collect-only", "-q", *map(str, files)], self.environment)
        cases = re.findall(r"^\S*?(test_\w+\.py::\S+)$", listed, re.M)
        # A file that cannot be collected stands for its tests, and fails.
        cases += re.findall(r"^ERROR \S*?(test_\w+\.py)", listed, re.M)
        self.cases = [case for case in cases if not self.why_out(case)]
        self.out = {case: self.why_out(case) for case in cases if self.why_out(case)}
        self.out |= {name: ENVIRONMENT[name] for name in whole}

    def run(self, folder, cases):
        words = [str(folder / case) for case in cases]
        output = pytest(["-v", "-rs", "--tb=short", *words], self.environment, self.prefix)
        reasons = " ".join(re.findall(r"^SKIPPED \[\d+\] \S+: (.*)$", output, re.M))
        for case, verdict, why in CASE.findall(output):
            self.results[case] = verdict, why or reasons
        for case in cases:
            self.outputs[case] = output

    def verdict(self, case):
        verdict, why = self.results.get(case, ("MISSING", ""))
        if verdict == "SKIPPED" and not SKIPS.search(why):
            return f"skipped: {why}"
        return {"PASSED": "passed", "SKIPPED": "skipped"}.get(verdict, verdict)

    def bad(self):
        return [case for case in self.cases if self.verdict(case) not in ("passed", "skipped")]

    def jobs(self):
        """The classes of tests; those that take long first."""
        groups = {}
        for case in self.cases:
            groups.setdefault(case.rsplit("::", 1)[0], []).append(case)
        return sorted(groups.values(), key=lambda cases: (not re.match("test_(auth|asyncio)", cases[0]), -len(cases)))


def suite_run(drives, folder):
    # Without networks of their own, two processes would meet at the suite's fixed ports.
    workers = WORKERS if drives[0].prefix else 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        jobs = [(drive, job) for drive in drives for job in drive.jobs()]
        list(pool.map(lambda job: job[0].run(folder, job[1]), jobs))


def again(drive, folder):
    """A test that failed is run once more, alone, and both outcomes are told: the suite has deadlines of 100 ms."""
    for case in drive.bad():
        first = drive.verdict(case)
        drive.run(folder, [case])
        print(f"  {drive.name}: {case}: {first}, then, alone: {drive.verdict(case)}")


def report(drive):
    verdicts = [drive.verdict(case) for case in drive.cases]
    print(f"{drive.name}: {verdicts.count('passed')} passed, {verdicts.count('skipped')} skipped by the suite itself, "
          f"{len(drive.bad())} failed, {len(drive.out)} left out:")
    for case, why in sorted(drive.out.items()):
        print(f"  left out: {case}: {why}")
    shown = set()
    for case in drive.bad():
        print(f"FAILED {drive.name}: {case}: {drive.verdict(case)}")
        if drive.outputs.get(case) not in shown:
            print(drive.outputs.get(case, "")[-6000:])
            shown.add(drive.outputs.get(case))
    return verdicts.count("passed"), len(drive.bad()), verdicts.count("skipped") + len(drive.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", help="the drop-in libzmq.so.5")
    parser.add_argument("--drive", action="append", choices=["background", "inline"])
    parser.add_argument("--stock", action="store_true")
    arguments = parser.parse_args()
    needed = subprocess.run([PYTHON, "-c", "import zmq.tests, pytest, tornado, gevent"], stderr=subprocess.PIPE,
                            text=True, check=False)
    if needed.returncode != 0:
        print(f"skipped: {needed.stderr.strip().splitlines()[-1]}; python3-zmq, python3-pytest, python3-tornado and "
              "python3-gevent are needed")
        return 1 if "CI" in os.environ else 77
    library = os.path.abspath(arguments.library)
    names = arguments.drive or ([] if arguments.stock else ["background", "inline"])
    prefix, folder = isolation(), tests_folder()
    drives = [Drive(name, library, prefix) for name in names + ["stock"] * arguments.stock]
    for drive in drives:
        if not loaded_rightly(library, drive.name):
            print(f"FAILED {drive.name}: pyzmq did not load the library that was meant")
            return 1
        drive.collect(folder)
    suite_run(drives, folder)
    for drive in drives:
        again(drive, folder)
    counts = [report(drive) for drive in drives]
    passed, failed, skipped = map(sum, zip(*counts))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed != 0 or any(count[0] < PASSED_MIN[drive.name] for drive, count in zip(drives, counts))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--enter"]:
        enter(sys.argv[2:])
    sys.exit(main())
