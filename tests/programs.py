#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs of other projects on zuring: programs.py LIBZMQ [--case REGEX]

Debian's binaries, as they are: the self-tests in czmq's library, rsyslog shipping a log by omczmq and imczmq, Jupyter
kernels (ipykernel by pyzmq, xpython by cppzmq) executing code, PHP's extension, an asyncio and a tornado service. czmq's
packages ship no programs, so programs.c calls its self-tests; those left out touch no socket, but for zdir_test, which
takes ten seconds for its one.
Each is run on the system's libzmq and on zuring, by tools/zuring-run, in each drive that suits it; what it says must be
the same, and the process that matters must have loaded the library that was meant. What is not installed is reported as
skipped, by the name of its package; in CI that is a failure. Closes with `N passed, N failed, N skipped`.
"""
import argparse
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

PYTHON = "/usr/bin/python3"
HERE = pathlib.Path(__file__).resolve().parent
RUN = HERE.parent / "tools" / "zuring-run"
CC = shlex.split(os.environ.get("CC", "cc"))
TIMEOUT_S = 60

CZMQ = ["zactor_test", "zauth_test", "zbeacon_test", "zcert_test", "zframe_test", "zgossip_test", "zloop_test",
        "zmonitor_test", "zmsg_test", "zpoller_test", "zproxy_test", "zrex_test", "zsock_option_test", "zsock_test",
        "zstr_test", "zsys_test"]

CZMQ_TRIES = 5 # zproxy_test looks for a free port by binding to it, lets go, and fails if that is not over in time

MAPPED = "import zmq; print('LIBZMQ', *sorted({l.split()[-1] for l in open('/proc/self/maps') if '/libzmq.so' in l}))\n"

SERVICE = MAPPED + """
import asyncio, sys, zmq, zmq.asyncio
async def service(context, count):
    with context.socket(zmq.ROUTER) as router:
        router.bind("ipc://" + sys.argv[1])
        for _ in range(count):
            who, empty, body = await router.recv_multipart()
            await router.send_multipart([who, empty, body.upper()])
async def client(context, name):
    with context.socket(zmq.REQ) as req:
        req.connect("ipc://" + sys.argv[1])
        said = []
        for n in range(20):
            await req.send_string(f"{name} {n}")
            said.append((await req.recv()).decode())
        return said
async def main():
    with zmq.asyncio.Context() as context:
        task = asyncio.create_task(service(context, 100))
        for said in await asyncio.gather(*(client(context, "client%d" % i) for i in range(5))):
            print(*said)
        await task
asyncio.run(main())
"""

TORNADO = MAPPED + """
import sys, zmq
from tornado.ioloop import IOLoop
from zmq.eventloop.zmqstream import ZMQStream
loop, context, seen = IOLoop.current(), zmq.Context(), []
rep, req = context.socket(zmq.REP), context.socket(zmq.REQ)
rep.bind("ipc://" + sys.argv[1])
req.connect("ipc://" + sys.argv[1])
server, client = ZMQStream(rep), ZMQStream(req)
server.on_recv(lambda parts: server.send_multipart([b"re"] + parts))
def answered(parts):
    seen.append(parts)
    client.send(b"%d" % len(seen)) if len(seen) < 50 else loop.stop()
client.on_recv(answered)
client.send(b"0")
loop.start()
print(seen)
context.destroy(linger=0)
"""

PHP = """<?php
preg_match_all('~\\S*/libzmq\\.so\\S*~', file_get_contents('/proc/self/maps'), $found);
echo 'LIBZMQ ', implode(' ', array_unique($found[0])), "\\n";
$context = new ZMQContext(1, false); // the others are kept beyond their script, and so would be across the fork
$rep = $context->getSocket(ZMQ::SOCKET_REP);
$rep->bind('ipc://' . $argv[1]);
$child = pcntl_fork();
if (!$child) {
    $mine = new ZMQContext(1, false);
    $req = $mine->getSocket(ZMQ::SOCKET_REQ);
    $req->connect('ipc://' . $argv[1]);
    foreach (range(1, 50) as $n) {
        $req->sendMulti(['question', (string)$n]);
        echo implode(' ', $req->recvMulti()), "\\n";
    }
    posix_kill(getmypid(), SIGKILL); // the parent's context is not the child's to end
}
$poll = new ZMQPoll();
$poll->add($rep, ZMQ::POLL_IN);
$readable = $writable = [];
foreach (range(1, 50) as $n) {
    if (!$poll->poll($readable, $writable, 10000)) die("nobody asks\\n");
    $rep->sendMulti(array_merge(['answer to'], $rep->recvMulti()));
}
pcntl_waitpid($child, $status);
"""

KERNEL = """
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(startup_timeout=40, kernel_name=sys.argv[2])
texts, said = [], []
def hear(message):
    content = message["content"]
    if message["msg_type"] == "stream":
        texts.append(content["text"])
    elif message["msg_type"] in ("execute_result", "error"):
        texts.append(content.get("data", {}).get("text/plain") or content.get("ename"))
for code in ("print('hello from the kernel')", "6 * 7", "1 / 0", "sum(range(100000))",
             "print('LIBZMQ', *sorted({l.split()[-1] for l in open('/proc/self/maps') if '/libzmq.so' in l}))"):
    del texts[:]
    # Else a kernel refuses, for a moment behind an error, what it is asked next.
    reply = client.execute_interactive(code, output_hook=hear, timeout=30, stop_on_error=False)
    print("".join(texts), reply["content"]["status"])
client.stop_channels()
manager.shutdown_kernel(now=False)
"""

RSYSLOG_IN = """module(load="imczmq" authenticator="off" authtype="none")
input(type="imczmq" endpoints="@ipc://FOLDER/log" socktype="PULL" ruleset="r")
template(name="line" type="string" string="%msg%\\n")
ruleset(name="r") { action(type="omfile" file="FOLDER/out" template="line") }
"""
RSYSLOG_OUT = """global(workDirectory="FOLDER")
module(load="imfile" mode="polling" pollingInterval="1")
module(load="omczmq")
input(type="imfile" file="FOLDER/in" tag="t" ruleset="s")
template(name="msg" type="string" string="<13>1 2024-01-01T00:00:00Z h a - - - %msg%")
ruleset(name="s") { action(type="omczmq" endpoints=">ipc://FOLDER/log" socktype="PUSH" template="msg") }
"""


class Broken(Exception):
    pass


def library_in(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        return next((line.split()[-1] for line in maps if "/libzmq.so" in line), None)


def ended(process):
    """Asks it to end, then makes it."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(what, done, timeout_s=30):
    give_up = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > give_up:
            raise Broken(f"{what}: not within {timeout_s} s")
        time.sleep(0.05)


def said_by(side, words, folder):
    """Exit status and output of a program that ends by itself; its library, if it told which it had loaded."""
    # A group of its own: what a program leaves behind ends with it.
    process = subprocess.Popen([*side.prefix, *words], env=side.environment, cwd=folder, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        output, complaint = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise Broken(f"did not end within {TIMEOUT_S} s") from None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    if process.returncode != 0 and complaint:
        print(complaint[-2000:])
    libraries = re.findall(r"^LIBZMQ (\S*)", output, re.M)
    return (process.returncode, re.sub(r"^LIBZMQ \S*", "LIBZMQ", output, flags=re.M)), libraries


def python_case(source, *more):
    return lambda side, folder: said_by(side, [PYTHON, "-c", source, f"{folder}/socket", *more], folder)


def php_case(side, folder):
    (folder / "case.php").write_text(PHP, encoding="utf-8")
    return said_by(side, ["php", f"{folder}/case.php", f"{folder}/socket"], folder)


def czmq_case(test):
    def run(side, folder):
        (folder / "src/selftest-ro").mkdir(parents=True)
        (folder / "src/selftest-rw").mkdir()
        flags = shlex.split(subprocess.run(["pkg-config", "--cflags", "--libs", "libczmq"], stdout=subprocess.PIPE,
                                           text=True, check=True).stdout)
        program = folder.parent / "czmq_selftest"
        if not program.exists():
            source = str(HERE / "programs.c")
            subprocess.run([*CC, source, "-o", str(program), "-Wl,--no-as-needed", *flags], check=True)
        loader = subprocess.run([*side.prefix, "ldd", str(program)], env=side.environment, stdout=subprocess.PIPE,
                                text=True, check=True).stdout
        for _ in range(CZMQ_TRIES):
            outcome = said_by(side, [str(program), test], folder)[0]
            if outcome[0] == 0:
                break
        return outcome, re.findall(r"libzmq\.so\.5 => (\S+)", loader)
    return run


def rsyslog_case(side, folder):
    lines = [f"line {n} of a log" for n in range(2000)]
    (folder / "in").write_text("\n".join(lines) + "\n", encoding="utf-8")
    out, processes = folder / "out", []
    try:
        for name, text in (("in", RSYSLOG_IN), ("out", RSYSLOG_OUT)):
            (folder / f"{name}.conf").write_text(text.replace("FOLDER", str(folder)), encoding="utf-8")
            processes.append(subprocess.Popen(
                [*side.prefix, "/usr/sbin/rsyslogd", "-n", "-f", f"{folder}/{name}.conf", "-i", "NONE"],
                env=side.environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until("the log", lambda: out.exists() and len(out.read_text().splitlines()) >= len(lines))
        libraries = [library_in(process.pid) for process in processes]
        return [line.strip() for line in out.read_text().splitlines()], libraries
    finally:
        for process in processes: # its status says nothing: imczmq 8.2302 crashes when it ends, on the system's libzmq
            ended(process)


# name, Debian's package, how to see that it is there, the case, whether it suits inline drive: not where one thread has
# both ends, or leaves a socket alone for long.
CASES = [
    *((f"czmq {test}", "libczmq-dev", "/usr/include/czmq.h", czmq_case(test), False) for test in CZMQ),
    ("rsyslog omczmq and imczmq", "rsyslog-czmq", "/usr/lib/*/rsyslog/omczmq.so", rsyslog_case, True),
    ("ipykernel", "python3-ipykernel", "/usr/lib/python3/dist-packages/ipykernel", python_case(KERNEL, "python3"), True),
    ("xpython kernel", "xpython", "/usr/bin/xpython", python_case(KERNEL, "xpython"), True),
    ("php", "php8.2-zmq", "/usr/lib/php/*/zmq.so", php_case, True),
    ("asyncio service", "python3-zmq", "/usr/lib/python3/dist-packages/zmq", python_case(SERVICE), True),
    ("tornado service", "python3-tornado", "/usr/lib/python3/dist-packages/tornado", python_case(TORNADO), True),
]


class Side:
    def __init__(self, name, library, *options):
        self.name, self.library = name, library
        self.prefix = [str(RUN), "--library", os.path.dirname(library), *options] if library else []
        self.environment = {key: value for key, value in os.environ.items()
                            if key not in ("LD_LIBRARY_PATH", "LD_PRELOAD") and not key.startswith("ZURING_")}

    def outcome(self, case):
        folder = pathlib.Path(tempfile.mkdtemp(dir=case["work"]))
        return case["run"](self, folder)

    def is_own(self, file):
        file = os.path.realpath(file)
        return file == os.path.realpath(self.library) if self.library else file.startswith("/usr/lib/")


def case_run(case, sides, stock):
    """Lines of what went wrong, one a side."""
    try:
        expected, libraries = stock.outcome(case)
    except (Broken, OSError, subprocess.SubprocessError) as error:
        return [f"{case['name']}: on the system's libzmq: {error}"] * len(sides)
    if not libraries or not all(map(stock.is_own, libraries)):
        return [f"{case['name']}: the system's run loaded {libraries}"] * len(sides)
    wrong = []
    for side in sides:
        try:
            got, libraries = side.outcome(case)
            if not libraries or not all(map(side.is_own, libraries)):
                wrong.append(f"{case['name']}, {side.name}: loaded {libraries}, not {side.library}")
            elif got != expected:
                wrong.append(f"{case['name']}, {side.name}: says\n    {got!r:.1500}\n  where the system's says\n"
                             f"    {expected!r:.1500}")
        except (Broken, OSError, subprocess.SubprocessError) as error:
            wrong.append(f"{case['name']}, {side.name}: {error}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=os.path.abspath, help="the drop-in libzmq.so.5")
    parser.add_argument("--case", default="", metavar="REGEX", help="only cases whose name matches")
    arguments = parser.parse_args()
    stock = Side("stock", None)
    background = Side("background", arguments.library, "--background")
    inline = Side("inline", arguments.library, "--inline")
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory(prefix="zp") as work:
        for name, package, evidence, run, suits_inline in CASES:
            if not re.search(arguments.case, name):
                continue
            sides = [background, inline] if suits_inline else [background]
            base, pattern = re.match(r"([^*]*/)([^/]*\*.*|[^/*]*)$", evidence).groups()
            why = None if any(pathlib.Path(base).glob(pattern)) else f"{package} is not installed"
            if why:
                print(f"skipped: {name}: {why}")
                skipped += len(sides)
                continue
            start = time.monotonic()
            wrong = case_run({"name": name, "run": run, "work": work}, sides, stock)
            for line in wrong:
                print(f"FAILED: {line}")
            if not wrong:
                print(f"ok: {name}: the same on the system's libzmq and on zuring, {', '.join(s.name for s in sides)} "
                      f"({time.monotonic() - start:.1f} s)")
            failed += len(wrong)
            passed += len(sides) - len(wrong)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return failed != 0 or passed == 0 or (skipped != 0 and "CI" in os.environ)


if __name__ == "__main__":
    sys.exit(main())
