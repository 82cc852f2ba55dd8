#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The guide's programs, run as a reader would run them: examples.py FOLDER [--short]

FOLDER holds the built programs. Each scenario starts some of them as processes, waits until they end by themselves or
asks them to, and checks what they print. Each is run with either drive of zuring; everything has a deadline. --short
cuts the counts, for sanitizers. In CI a machine that cannot do all of it fails. Closes with `N passed, N failed`.
"""
import contextlib
import http.client
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

LIMIT_S = 120
PORTS = range(20000, 32000)  # below those that the kernel gives to whoever connects


class Fault(Exception):
    pass


def check(fine, what):
    if not fine:
        raise Fault(what)


def do_without(what, instead):
    """Goes on with less than was meant, but not in CI."""
    check(not os.environ.get("CI"), what)
    print(f"({what}: {instead})")


class Stage:
    """Where a scenario plays: its processes, its endpoints, and the clock."""

    def __init__(self, programs, drive, folder, short):
        self.programs, self.folder, self.short = programs, folder, short
        # Sanitized programs that lose memory end with a status of their own.
        self.environment = os.environ | {
            "ZURING_DRIVE": drive, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=1"}
        self.until = time.monotonic() + LIMIT_S
        self.processes = []
        self.prefix = []  # before each command: how to get into a network
        self.ipc_count = 0

    def left(self):
        return max(self.until - time.monotonic(), 0.1)

    def tcp(self, host="127.0.0.1"):
        """An endpoint that nobody listens at: who connects may come before who binds."""
        while True:
            port = random.choice(PORTS)
            with socket.socket() as probe:
                with contextlib.suppress(OSError):
                    probe.bind(("0.0.0.0", port))
                    return f"tcp://{host}:{port}"

    def ipc(self):
        self.ipc_count += 1
        return f"ipc://{self.folder}/{self.ipc_count}"

    def wait_connected(self, endpoint, count):
        """Until so many are connected to an ipc endpoint: each of its sockets but the listening one is a connection."""
        path = endpoint.removeprefix("ipc://")
        while pathlib.Path("/proc/net/unix").read_text(encoding="utf-8").split().count(path) < 1 + count:
            check(time.monotonic() < self.until, f"fewer than {count} connect to {endpoint}")
            time.sleep(0.01)

    def start(self, program, *arguments, within=()):
        command = [*within, *self.prefix, str(self.programs / program), *map(str, arguments)]
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        self.processes.append(process)
        return process

    def ended(self, process, signals=None):
        """What it printed, once it has ended: by itself, or because it is asked to."""
        if signals:
            process.send_signal(signals)
        try:
            out, err = process.communicate(timeout=self.left())
        except subprocess.TimeoutExpired:
            raise Fault(f"{' '.join(map(str, process.args))} does not end") from None
        check(process.returncode == 0, f"{process.args[0]}: status {process.returncode}: {out[-300:]} {err[-3000:]}")
        check(not err, f"{process.args[0]} complains: {err[-3000:]}")
        return out

    def run(self, program, *arguments):
        return self.ended(self.start(program, *arguments))

    def await_free(self, endpoint):
        """Waits until the kernel has let go of a killed process's listener: it ends a ring behind the process's back."""
        host, port = endpoint.removeprefix("tcp://").split(":")
        while True:
            check(self.left() > 1, f"{endpoint} stays taken")
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, int(port)))
                probe.listen()
                return

    def asleep(self, process):
        """Waits until its first thread sleeps: in a program whose peer is stopped, for that peer."""
        while pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1][0] != "S":
            check(process.poll() is None and self.left() > 1, f"{process.args[0]} does not wait")

    def stop(self, process):
        return self.ended(process, signal.SIGTERM)

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def numbers(pattern, text):
    """The numbers that stand in the groups of the pattern."""
    found = re.search(pattern, text)
    check(found, f"no {pattern!r} in {text[-500:]!r}")
    return [int(group) for group in found.groups()]


# --- chapter 1 ---

def hello(stage, endpoint):
    client = stage.start("hello_client", endpoint, 10)
    server = stage.start("hello_server", endpoint, 10)
    out = stage.ended(client)
    check(len(re.findall(r"^Hello \d+: World$", out, re.M)) == 10, out)
    stage.ended(server)


def hello_tcp(stage):
    """The client first, the server later."""
    hello(stage, stage.tcp())


def hello_ipc(stage):
    hello(stage, stage.ipc())


def hello_restarted(stage):
    endpoint = stage.tcp()
    client = stage.start("hello_client", endpoint, 60)
    answered = 0
    for _ in range(2):
        server = stage.start("hello_server", endpoint, 20)
        answered += numbers(r"(\d+) requests answered", stage.ended(server))[0]
    server = stage.start("hello_server", endpoint)
    check(numbers(r"(\d+) answers", stage.ended(client)) == [60], "answers")
    answered += numbers(r"(\d+) requests answered", stage.stop(server))[0]
    check(answered >= 60, f"{answered} answered for 60 questions")


def hello_killed(stage):
    """The server is killed in the middle of an exchange: it has the question, and cannot answer any more."""
    endpoint, requests = stage.tcp(), 2000  # so many lines fit into a pipe that nobody reads
    server = stage.start("hello_server", endpoint)
    client = stage.start("hello_client", endpoint, requests)
    for _ in range(2):
        for _ in range(20):
            check("World" in client.stdout.readline(), "no answer")
        server.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, server.pid, os.WSTOPPED | os.WNOWAIT)
        stage.asleep(client)
        server.kill()
        server.communicate()
        stage.await_free(endpoint)
        server = stage.start("hello_server", endpoint)
    answers, repeated = numbers(r"(\d+) answers, (\d+) questions asked again", stage.ended(client))
    check(answers == requests and repeated >= 2, f"{answers} answers, {repeated} questions asked again")
    stage.stop(server)


def version(stage):
    major, minor, patch, *running = numbers(r"compiled for ZeroMQ (\d+)\.(\d+)\.(\d+), running on (\d+)\.(\d+)\.(\d+)",
                                            stage.run("version"))
    check((major, minor) == (4, 3) and running == [major, minor, patch], f"{major}.{minor}.{patch}, {running}")


def weather_compare(server_out, clients, updates):
    check(numbers(r"(\d+) updates published", server_out) == [updates], server_out)
    for zip_code, out in clients:
        count, = numbers(r": (\d+) updates", out)
        check(re.search(rf"^{zip_code}: {count} updates$", server_out, re.M), f"{zip_code}: {count}, but {server_out}")
        expected = updates / 100000
        check(abs(count - expected) < 8 * expected ** 0.5 + 3, f"{zip_code}: {count} of {updates}")


def weather(stage):
    """Ten million updates, over tcp and ipc at once; each reader counts what the server has counted."""
    updates = 300000 if stage.short else 10000000
    tcp, ipc = stage.tcp(), stage.ipc()
    zips = [(10001, tcp), (10001, ipc), (99999, tcp), ("00000", ipc)]
    clients = [(zip_code, stage.start("weather_client", endpoint, zip_code, 0)) for zip_code, endpoint in zips]
    server = stage.start("weather_server", updates, len(zips), tcp, ipc)
    server_out = stage.ended(server)
    weather_compare(server_out, [(zip_code, stage.ended(client)) for zip_code, client in clients], updates)


def weather_endless(stage):
    """The server publishes to whoever comes, until it is interrupted; a reader takes its hundred and goes."""
    tcp = stage.tcp()
    server = stage.start("weather_server", 0, 1, tcp)
    for zip_code in ("1", "20"):
        check(numbers(r": (\d+) updates", stage.run("weather_client", tcp, zip_code, 100)) == [100], "updates")
    stage.ended(server, signal.SIGINT)


def shares(out, workers, tasks):
    """What each worker did, as a sink prints it: all of it, and within 5 % the same."""
    done = {name: int(count) for name, count in re.findall(r"^  (\w+): (\d+)$", out, re.M)}
    check(len(done) == workers and sum(done.values()) == tasks, f"{done}, not {tasks} by {workers}")
    check(all(abs(count - tasks / workers) <= 0.05 * tasks / workers for count in done.values()), f"uneven: {done}")


def batch(stage, workers, tasks=100, ms=20):
    """The time that a batch takes with so many workers."""
    ventilator, sink = stage.tcp(), stage.ipc()
    crew = [stage.start("task_worker", f"w{n}", ventilator, sink) for n in range(workers)]
    sinking = stage.start("task_sink", sink)
    work, = numbers(r"(\d+) ms of work", stage.run("ventilator", workers, tasks, ms, ventilator, sink))
    out = stage.ended(sinking)
    shares(out, workers, tasks)
    for worker in crew:
        check(numbers(r": (\d+) tasks", stage.stop(worker))[0] > 0, "a worker without work")
    return work, numbers(r"results in (\d+) ms", out)[0]


def pipeline(stage):
    """1, 2 and 4 workers: the time falls accordingly. A machine that does something else meanwhile gets another chance."""
    for _ in range(3):
        times = {}
        for workers in (1, 2, 4):
            work, times[workers] = batch(stage, workers)
            check(times[workers] >= work / workers * 0.9, f"{work} ms of work in {times}")
        if stage.short or (times[2] < 0.65 * times[1] and times[4] < 0.4 * times[1]):
            return  # where everything is slow, the time says nothing
    raise Fault(f"ms by workers: {times}")


def announcer(stage):
    ask, publish = stage.tcp(), stage.ipc()
    listeners = [stage.start("envelope_sub", publish, "news") for _ in range(3)]
    server = stage.start("announcer", ask, publish, 3)
    out = stage.run("hello_client", ask, 50)
    check("Hello 50: announced as number 50" in out or not re.search(r" 0 questions asked again", out), out)
    made, = numbers(r"(\d+) announcements", stage.stop(server))
    check(made >= 50, f"{made} announcements")
    for listener in listeners:
        check(numbers(r"(\d+) messages with the key news", stage.ended(listener)) == [made], "a listener missed some")


# --- chapter 2 ---

def reader(stage, program):
    """Reads tasks and weather until it has all of both."""
    ventilator, weather_at = stage.tcp(), stage.ipc()
    tasks, updates = 500, 300000 if stage.short else 1000000
    reading = stage.start(program, ventilator, weather_at, "20", tasks)
    server = stage.start("weather_server", updates, 1, weather_at)
    stage.run("ventilator", 1, tasks, 1, ventilator, "-")
    out = stage.ended(reading)
    tasks_read, read = numbers(r"(\d+) tasks, (\d+) updates of 20", out)
    stage.ended(server)
    check(tasks_read == tasks, out)
    check(0 < read < updates / 90, out)  # it may be slower than its publisher, whose queue then drops


def reader_dontwait(stage):
    reader(stage, "reader_dontwait")


def reader_poll(stage):
    reader(stage, "reader_poll")


def brokered(stage, program):
    """Four clients and three workers, who only know the broker; each client is answered, each worker has work.

    The workers are there before the clients: one that comes late, on a busy machine, might find that all is done.
    """
    requests = 200 if stage.short else 1000
    front, back = stage.tcp(), stage.ipc()
    broker = stage.start(program, front, back)
    workers = [stage.start("broker_worker", f"w{n}", back) for n in range(3)]
    stage.wait_connected(back, 3)
    clients = [stage.start("broker_client", front, requests) for _ in range(4)]
    for client in clients:
        check(numbers(r"(\d+) answers, (\d+) of them wrong", stage.ended(client)) == [requests, 0], "answers")
    served = [numbers(r"(\d+) answered", stage.stop(worker))[0] for worker in workers]
    check(sum(served) == 4 * requests and min(served) > 0, f"{served}")
    return stage.stop(broker), requests


def broker(stage):
    out, requests = brokered(stage, "broker")
    check(numbers(r"(\d+) requests and (\d+) replies", out) == [4 * requests] * 2, out)


def broker_proxy(stage):
    out, _ = brokered(stage, "broker_proxy")
    check("the broker closes" in out, out)


def forwarder(stage):
    """Three subscribers and a publisher, who only know the forwarder."""
    updates = 100000 if stage.short else 1000000
    front, back = stage.tcp(), stage.ipc()
    device = stage.start("forwarder", front, back)
    # Different places: of equal subscriptions a publisher that comes late hears one.
    clients = [(zip_code, stage.start("weather_client", back, zip_code, 0)) for zip_code in (10001, 20002, 54321)]
    server = stage.start("weather_server", updates, 3, ">" + front)
    server_out = stage.ended(server)
    weather_compare(server_out, [(zip_code, stage.ended(client)) for zip_code, client in clients], updates)
    check("closes" in stage.stop(device), "the forwarder")


def streamer(stage):
    """Work comes from two ventilators, and is spread evenly behind the streamer."""
    front, back, sink = stage.tcp(), stage.ipc(), stage.ipc()
    workers, tasks = 4, 200
    crew = [stage.start("task_worker", f"w{n}", back, sink) for n in range(workers)]
    device = stage.start("streamer", front, back, workers)
    sinking = stage.start("task_sink", sink)
    stage.run("ventilator", 1, tasks, 2, ">" + front, sink)
    shares(stage.ended(sinking), workers, tasks)
    for process in [*crew, device]:
        stage.stop(process)


def bridge_in_networks(stage):
    """An inner and an outer network with the bridge on both: namespaces of this process's own, see main_bridge."""
    process = subprocess.Popen(["unshare", "-rmn", sys.executable, __file__, stage.programs, "--bridge"],
                               env=stage.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stage.processes.append(process)
    out, err = process.communicate(timeout=stage.left())
    check(process.returncode == 0, f"{out} {err}")


def networks_allowed():
    """Whether this machine lets us have networks of our own; else says why not."""
    if not shutil.which("ip") or not shutil.which("unshare"):
        return "no ip, or no unshare"
    script = "mount -t tmpfs none /run && ip netns add a && ip link add a0 type veth peer name a1 netns a"
    done = subprocess.run(["unshare", "-rmn", "sh", "-c", script], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip()


def bridge_compare(stage, inside, outside, within_server=(), within_client=()):
    updates = 100000
    proxy = stage.start("weather_proxy", inside, outside)
    client = stage.start("weather_client", outside, "10001", 0, within=within_client)
    server = stage.start("weather_server", updates, 1, inside, within=within_server)
    weather_compare(stage.ended(server), [(10001, stage.ended(client))], updates)
    check("closes" in stage.stop(proxy), "the bridge")


def bridge(stage):
    why_not = networks_allowed()
    if not why_not:
        return bridge_in_networks(stage)
    do_without(f"no networks of our own here: {why_not}", "two loopback addresses")
    return bridge_compare(stage, stage.tcp("127.0.0.1"), stage.tcp("127.0.0.2"))


def kill_signal(stage):
    """Worker and sink: when all is done, the sink sends the workers home."""
    ventilator, sink, control = stage.tcp(), stage.ipc(), stage.tcp()
    workers, tasks = 3, 90
    crew = [stage.start("kill_worker", f"w{n}", ventilator, sink, control) for n in range(workers)]
    sinking = stage.start("kill_sink", workers, sink, control)
    stage.run("ventilator", workers, tasks, 3, ventilator, sink)
    shares(stage.ended(sinking), workers, tasks)
    for worker in crew:
        check("told to go home" in stage.ended(worker), "a worker stayed")


def interrupted(stage):
    """Either signal, idle and under load, several times at whatever moment."""
    for n in range(6):
        endpoint = stage.ipc()
        server = stage.start("interrupt", endpoint)
        check("waiting" in server.stdout.readline(), "no start")
        client = stage.start("hello_client", endpoint, 1000000 if n % 3 else 10)
        for _ in range(10):
            check("World" in client.stdout.readline(), "no answer")
        if n % 3 == 0:
            stage.ended(client)
        number = (signal.SIGINT, signal.SIGTERM)[n % 2]
        out = stage.ended(server, number)
        answered, left = numbers(rf"{number.name}: (\d+) requests answered, (-?\d+) descriptors left open", out)
        check(answered >= 10 and left == 0, out)
        if n % 3:
            client.kill()


def interrupt_at_once(stage):
    """The signal comes while the program begins, or just before it waits."""
    for n in range(8):
        server = stage.start("interrupt", stage.ipc())
        server.stdout.readline()
        stage.ended(server, (signal.SIGINT, signal.SIGTERM)[n % 2])


# How each program that may wait for ever comes to wait: what it binds, or connects to, last of all has a "!".
WAITING = (
    ("announcer", "bind", "bind!", 1), ("announcer", "bind!", "bind", 0), ("broker", "bind", "bind!"),
    ("broker_client", "connect!"), ("broker_proxy", "bind", "bind!"), ("broker_worker", "w", "connect!"),
    ("envelope_pub", "bind!"), ("envelope_sub", "connect!"), ("forwarder", "bind", "bind!"), ("hello_client", "connect!"),
    ("hello_server", "bind!"), ("http_server", "tcp!"), ("interrupt", "bind!"), ("kill_sink", 1, "bind", "bind!"),
    ("kill_worker", "w", "connect", "connect", "connect!"), ("multipart_forward", "bind", "bind!"),
    ("reader_dontwait", "connect", "connect!"), ("reader_poll", "connect", "connect!"), ("streamer", "bind", "bind!", 1),
    ("streamer", "bind!", "bind", 0), ("sync_pub", 1, 1, "bind", "bind!"), ("sync_sub", "connect", "connect!"),
    ("task_sink", "bind!"), ("task_worker", "w", "connect", "connect!"), ("threads_server", 3, "bind!"),
    ("ventilator", 1, 1, 1, "bind!"), ("weather_client", "connect!"), ("weather_proxy", "connect", "bind!"),
    ("weather_server", 10, 1, "bind!"), ("weather_server", 0, 1, "bind!"),
)
ENDING = {"hwm", "identity", "relay", "version", "zero_copy", "old_client", "old_queue", "old_server"}


def interrupted_waiting(stage):
    """Either signal ends each program that waits, with a peer that says nothing or with none."""
    everything = {path.stem for path in (pathlib.Path(__file__).parent.parent / "api/examples").glob("*.c")}
    check({row[0] for row in WAITING} == everything - ENDING, "a program is in neither list, or in both")
    for program, *arguments in WAITING:
        for number in (signal.SIGINT, signal.SIGTERM):
            places = {"tcp!": stage.tcp(), **{word: stage.ipc() for word in ("bind!", "connect!")}}
            path = places["connect!"].removeprefix("ipc://")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen()
                listener.settimeout(stage.left())
                process = stage.start(program, *(places.get(a, stage.ipc() if a in ("bind", "connect") else a)
                                                 for a in arguments))
                if "connect!" in arguments:
                    listener.accept()[0].close()
                while "bind!" in arguments and not os.path.exists(places["bind!"].removeprefix("ipc://")):
                    check(process.poll() is None and stage.left() > 1, f"{program} does not bind")
                while "tcp!" in arguments:
                    with contextlib.suppress(ConnectionRefusedError):
                        host, port = places["tcp!"].removeprefix("tcp://").split(":")
                        socket.create_connection((host, int(port)), 20).close()
                        break
                stage.ended(process, number)


def interrupted_twice(stage):
    """What lingers for a sink that never comes goes with a second signal."""
    ventilator = stage.tcp()
    worker = stage.start("task_worker", "w", ventilator, stage.ipc())
    stage.run("ventilator", 1, 10, 1, ventilator, "-")
    while worker.poll() is None:
        check(stage.left() > 1, "the worker does not end")
        worker.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(0.02)
    check(worker.returncode in (0, -signal.SIGTERM), f"status {worker.returncode}")


def threads_server(stage):
    requests = 100 if stage.short else 500
    endpoint = stage.tcp()
    server = stage.start("threads_server", 5, endpoint)
    clients = [stage.start("broker_client", endpoint, 0), *(stage.start("hello_client", endpoint, requests)
                                                           for _ in range(4))]
    repeated = sum(numbers(r"(\d+) questions asked again", stage.ended(client))[0] for client in clients[1:])
    out = stage.stop(server)
    total, = numbers(r"^(\d+) requests answered", out[out.rindex("\n", 0, -1) + 1:])
    by_thread = [int(count) for count in re.findall(r"thread \d+: (\d+)", out)]
    check(4 * requests <= total <= 4 * requests + repeated and len(by_thread) == 5 and min(by_thread) > 0, out)


def relay(stage):
    for threads, rounds in ((1, 1000), (3, 10000), (20, 500)):
        rounds //= 10 if stage.short else 1
        check(numbers(r"(\d+) steps", stage.run("relay", threads, rounds)) == [threads * rounds], "steps")


def synchronised(stage):
    """Ten subscribers, a million updates, none missing."""
    subscribers, updates = (4, 50000) if stage.short else (10, 1000000)
    endpoint, reports = stage.tcp(), stage.ipc()
    crew = [stage.start("sync_sub", endpoint, reports) for _ in range(subscribers)]
    out = stage.run("sync_pub", subscribers, updates, endpoint, reports)
    check(re.search(rf"{subscribers} of {subscribers} subscribers have all {updates} updates", out), out)
    for subscriber in crew:
        check(numbers(r"(\d+) updates", stage.ended(subscriber)) == [updates], "a subscriber")


def envelope_lines(out, key, rounds):
    what = {"news": "gossip of the world", "gossip": "news of the neighbours"}[key]
    return out.splitlines() == [f"[{key}] {what}, part {n}" for n in range(1, rounds + 1)] + [
        f"{rounds} messages with the key {key}"]


def envelopes(stage):
    endpoint = stage.ipc()
    readers = [(key, stage.start("envelope_sub", endpoint, key)) for key in ("news", "news", "gossip")]
    publisher = stage.start("envelope_pub", endpoint, len(readers), 100)
    stage.ended(publisher)
    for key, process in readers:
        out = stage.ended(process)
        check(envelope_lines(out, key, 100), out)


def multipart(stage):
    """Through a forwarder by hand: no frame goes astray."""
    front, back = stage.tcp(), stage.ipc()
    device = stage.start("multipart_forward", front, back)
    process = stage.start("envelope_sub", back, "news")
    stage.run("envelope_pub", ">" + front, 1, 500)
    out = stage.ended(process)
    check(envelope_lines(out, "news", 500), out)
    messages, frames, subscriptions = numbers(r"(\d+) messages of (\d+) frames, (\d+) subscriptions", stage.stop(device))
    check((messages, frames) == (501, 1001) and subscriptions >= 2, f"{messages}, {frames}, {subscriptions}")


def zero_copy(stage):
    messages = 20 if stage.short else 100
    for endpoint in (stage.tcp(), stage.ipc()):
        out = stage.run("zero_copy", messages, 1 << 20, endpoint)
        check(out.count(f"{messages} of {messages} blocks arrived unharmed") == 2, out)
        check(f"unharmed, {messages} at the sender's own address" in out, out)
        check(f"{2 * messages} blocks made, {2 * messages} freed, 0 of them wrongly" in out, out)


def high_water(stage):
    """Who waits drops nothing; who drops does not wait; by inproc the count is exact."""
    waits = {"PUSH": True, "DEALER": True, "ROUTER, mandatory": True, "ROUTER": False, "XPUB": False}
    out = stage.run("hwm", stage.tcp())
    lines = re.findall(r"^(.+) by (\w+): (\d+) sent, (\d+) dropped, (\d+) arrived; (\d+) were queued here; (.*)$", out, re.M)
    check([(name, way) for name, way, *_ in lines] == [(n, w) for n in waits for w in ("inproc", "tcp")], out)
    for name, way, *counts, end in lines:
        sent, dropped, arrived, queued = map(int, counts)
        line = f"{name} by {way}: {counts}, {end}"
        check(sent == dropped + arrived and arrived >= 12, line)
        check((dropped == 0 and "then it waits" in end) if waits[name] else (dropped > 0 and "never" in end), line)
        check((arrived, queued) == (12, 12) if way == "inproc" else queued <= 5, line)


def identity(stage):
    for endpoint in ("inproc://identity", stage.tcp(), stage.ipc()):
        out = stage.run("identity", endpoint)
        check(re.search(r"^\[005\] 00[0-9A-F]{8}\n\[000\] \n\[032\] the ROUTER made up", out, re.M), out)
        check(re.search(r"^\[004\] anna\n\[000\] \n\[019\] I have told my name$", out, re.M), out)
        check(all(f"{name} has a letter for {name}\n" in out for name in ("bert", "carl", "dora")), out)
        check("emil: Host unreachable" in out or "emil: No route to host" in out, out)


def http_server(stage):
    endpoint = stage.tcp()
    host, port = endpoint.removeprefix("tcp://").split(":")
    server = stage.start("http_server", endpoint)
    curl = ["curl", "-sS", "--retry-connrefused", "--retry", "100", "--retry-delay", "0", "--retry-max-time", "60"]
    for n in range(1, 6):
        done = subprocess.run([*curl, f"http://{host}:{port}/page/{n}"], capture_output=True, text=True, check=False,
                              timeout=stage.left()) if shutil.which("curl") else None
        if done is None:
            do_without("no curl", "Python's http.client alone")
            break
        check(done.returncode == 0 and f"asked for /page/{n}, and are number {n}." in done.stdout, f"{done}")
    while True:  # in the smallest pieces there are
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((host, int(port)), 20) as visitor:
            for octet in b"GET /piece HTTP/1.0\r\n\r\n":
                visitor.sendall(bytes([octet]))
            answer = b"".join(iter(lambda: visitor.recv(4096), b""))
            check(b"200 OK" in answer and b"asked for /piece" in answer, f"{answer}")
            break
    browser = http.client.HTTPConnection(host, int(port), timeout=20)
    browser.request("POST", "/<b>", b"x")
    check(browser.getresponse().status == 501, "POST")
    check(numbers(r"(\d+) requests answered", stage.ended(server, signal.SIGINT))[0] >= 2, "requests")


# --- the style of 2.x ---

def old_style(stage):
    """Old and new programs talk to one another, directly and through an old device."""
    for client, server in (("old_client", "old_server"), ("hello_client", "old_server"), ("old_client", "hello_server")):
        endpoint = stage.tcp()
        asking = stage.start(client, endpoint, 10)
        answering = stage.start(server, endpoint, 10)
        check(stage.ended(asking).count(": World") == 10, client)
        check(stage.ended(answering).count("Received Hello") == 10, server)
    front, back = stage.tcp(), stage.ipc()
    clients = [stage.start("old_client", front, 10), stage.start("broker_client", front, 0)]
    queue = stage.start("old_queue", front, back)
    server = stage.start("old_server", ">" + back, 10)
    for process in (*clients, server):
        stage.ended(process)
    queue.kill()


# --- all of them ---

SCENARIOS = (
    hello_tcp, hello_ipc, hello_restarted, hello_killed, version, weather, weather_endless, pipeline, announcer, reader_dontwait,
    reader_poll, broker, broker_proxy, forwarder, streamer, bridge, kill_signal, interrupted, interrupt_at_once,
    interrupted_waiting, interrupted_twice,
    threads_server, relay, synchronised, envelopes, multipart, zero_copy, high_water, identity, http_server, old_style,
)


def builds_on_stock(sources):
    """What does without zuring.h builds against the system's libzmq."""
    found = subprocess.run(["pkg-config", "--cflags", "--libs", "libzmq"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        do_without("no stock libzmq here", "nothing to build against")
        return
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(pathlib.Path(sources).glob("*.c")):
            text = source.read_text(encoding="utf-8")
            if '"zuring.h"' in text or source.name.startswith("old_"):
                continue
            # A copy: an include in quotes looks beside its file first, and zuring's zmq.h is one folder up.
            shutil.copy(source, folder)
        for header in pathlib.Path(sources).glob("*.h"):
            shutil.copy(header, folder)
        for source in sorted(pathlib.Path(folder).glob("*.c")):
            command = ["cc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", str(source), "-o",
                       str(source.with_suffix("")), "-pthread", *found.stdout.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            check(done.returncode == 0, done.stderr)


def main_bridge(programs):
    """In a user, mount and network namespace of its own: two networks, each with a process, and the bridge on both."""
    script = """set -e
        mount -t tmpfs none /run
        ip link set lo up
        for side in in:10.77.1 out:10.77.2; do
            name=${side%%:*} net=${side##*:}
            ip netns add $name
            ip link add $name type veth peer name eth netns $name
            ip address add $net.1/24 dev $name
            ip link set $name up
            ip -n $name address add $net.2/24 dev eth
            ip -n $name link set eth up
        done
        echo 0 >/proc/sys/net/ipv4/ip_forward"""
    subprocess.run(["sh", "-c", script], check=True)
    apart = subprocess.run(["ip", "netns", "exec", "out", "ip", "route", "get", "10.77.1.2"], capture_output=True,
                           check=False)
    check(apart.returncode != 0, "the outside has a way into the inside")
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(programs, os.environ["ZURING_DRIVE"], folder, False)
        try:
            bridge_compare(stage, "tcp://10.77.1.2:5556", "tcp://10.77.2.1:8100", ("ip", "netns", "exec", "in"),
                           ("ip", "netns", "exec", "out"))
        finally:
            stage.close()


def run(name, scenario, *arguments):
    begun = time.monotonic()
    try:
        scenario(*arguments)
        print(f"ok: {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        return True
    except Exception as fault:  # whatever it is, the others are run
        print(f"FAILED: {name}: {type(fault).__name__} {fault}", flush=True)
        return False


def main():
    programs = pathlib.Path(sys.argv[1]).resolve()
    if "--bridge" in sys.argv:
        return main_bridge(programs)
    wanted = [argument for argument in sys.argv[2:] if not argument.startswith("-")]
    results = []
    for drive in ("background", "inline"):
        for scenario in SCENARIOS:
            if wanted and scenario.__name__ not in wanted:
                continue
            with tempfile.TemporaryDirectory() as folder:
                stage = Stage(programs, drive, folder, "--short" in sys.argv)
                results.append(run(f"{scenario.__name__} {drive}", scenario, stage))
                stage.close()
    if not wanted and "--short" not in sys.argv:
        results.append(run("builds on stock", builds_on_stock, pathlib.Path(__file__).parent.parent / "api/examples"))
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return not all(results)


if __name__ == "__main__":
    sys.exit(main())
