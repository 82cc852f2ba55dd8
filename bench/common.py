# SPDX-License-Identifier: MIT
"""What bench/run and bench/latency share: sides that are run in turn in every round, medians and their quotients, tables
and JSON lines. A run that fails is kept with its case; a library other than the one asked for ends everything."""

import datetime
import json
import os
import pathlib
import platform
import random
import re
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

LOAD_WARN_PCT = 10
RESAMPLES = 2000
RESAMPLE_SEED = 1  # the same rounds give the same verdict
EXIT_MISSING = 77  # of a program whose library lacks what the case needs
GAP_S = 0.05  # between runs, for the last one's sockets and pages to be gone
TEXT_HEADS = ("case", "library", "side", "goal", "goals", "measured")  # columns set flush left


class WrongLibrary(Exception):
    pass


class NotBuilt(Exception):
    pass


@dataclass
class Case:
    """What is run, and what came of it."""

    name: str
    args: dict  # options of the program
    quick: bool = False  # part of --quick
    has_floor: bool = True
    program: str = "zbench"
    floor_program: str = "floor"
    stretch: float = 1.0  # a run lasts so many times as long as asked for
    runs: dict = field(default_factory=dict)  # side -> list of results; floors: "floor variant"
    failed: list = field(default_factory=list)  # what went wrong
    missing: set = field(default_factory=set)  # sides that cannot run it yet


class Machine:
    """How busy the processors are with other things than the benchmark."""

    def __init__(self):
        self.tick_s = 1 / os.sysconf("SC_CLK_TCK")
        self.cpus = os.cpu_count()
        self.mark()

    def mark(self):
        with open("/proc/stat", encoding="ascii") as stat:
            ticks = [int(word) for word in stat.readline().split()[1:]]
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        # user, nice, system and steal: interrupts are left out, as the benchmark's own traffic causes them
        self.busy_s = (sum(ticks[:3]) + ticks[7]) * self.tick_s - own.ru_utime - own.ru_stime
        self.at_s = time.monotonic()

    def foreign_pct(self):
        """Load of others since the mark, in percent of the whole machine."""
        busy_s, at_s = self.busy_s, self.at_s
        self.mark()
        return max(0.0, (self.busy_s - busy_s) / max(self.at_s - at_s, 1e-3) / self.cpus * 100)


def command_run(command, environment, timeout_s):
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=timeout_s, check=False)
    if done.returncode == EXIT_MISSING:
        raise NotBuilt(done.stderr.strip())
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode != 0 or not lines:
        raise RuntimeError(f"status {done.returncode}: {done.stderr.strip() or 'no output'}")
    return lines, done.stderr.strip()


def options_of(case, seconds):
    words = []
    for name, value in {**case.args, "seconds": seconds * case.stretch}.items():
        if value is not False:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


class Library:
    """One libzmq.so.5, run by the same programs as every other."""

    def __init__(self, side, programs, directory, seconds, **environment):
        self.side, self.programs, self.seconds = side, programs, seconds
        self.file = os.path.realpath(os.path.join(directory, "libzmq.so.5"))
        self.environment = {**os.environ, "LD_LIBRARY_PATH": str(directory), **environment}

    def suits(self, case):
        return True

    def run(self, case):
        command = [str(self.programs / case.program), "--label", self.side] + options_of(case, self.seconds)
        lines, _ = command_run(command, self.environment, 120 + 2 * self.seconds * case.stretch)
        if lines[0]["library_path"] != self.file:
            raise WrongLibrary(f"{self.side}: the loader took {lines[0]['library_path']}, not {self.file}")
        return [(self.side, lines[0])]


class Floor:
    """The raw-socket floors; every variant that suits the case gives a result."""

    side = "floor"

    def __init__(self, programs, seconds):
        self.programs, self.seconds = programs, seconds

    def suits(self, case):
        return case.has_floor

    def run(self, case):
        command = [str(self.programs / case.floor_program)] + options_of(case, self.seconds)
        lines, complaint = command_run(command, None, 240 + 4 * self.seconds * case.stretch)
        if complaint:
            print(complaint, file=sys.stderr)
        return [(f"floor {line['variant']}", line) for line in lines]


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def case_run(case, sides, rounds, machine, record):
    for number in range(rounds):
        # Each round starts with another side, so that none always follows the same one.
        turn = number % len(sides)
        for side in sides[turn:] + sides[:turn]:
            if not side.suits(case) or side.side in case.missing:
                continue
            time.sleep(GAP_S)
            machine.mark()
            try:
                results = side.run(case)
            except NotBuilt as error:
                case.missing.add(side.side)
                record({"type": "not built yet", "name": case.name, "library": side.side, "why": str(error)})
                continue
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                case.failed.append(f"{case.name}: {side.side}: {error}")
                print(f"FAILED {case.failed[-1]}", file=sys.stderr)
                continue
            foreign = machine.foreign_pct()
            for key, result in results:
                result["foreign_load_pct"] = round(foreign, 1)
                case.runs.setdefault(key, []).append(result)
                record({"type": "run", "name": case.name, "round": number + 1, **result})
        progress(f"{case.name}: round {number + 1} of {rounds}")
    progress("")


def median(case, key, name):
    values = values_of(case, key, name)
    return statistics.median(values) if values else None


@dataclass
class Quotient:
    """Of two medians, and how far it may be off: the middle 90 % of what resampled rounds give (low, high)."""

    value: float
    low: float
    high: float

    def show(self, form):
        return f"{form.format(self.value)} ({form.format(self.low)}–{form.format(self.high)})"


def values_of(case, key, name):
    return [result[name] for result in case.runs.get(key, []) if name in result]


def quotient(above, below, scale=1.0):
    if not above or not below:
        return None
    chance = random.Random(RESAMPLE_SEED)

    def again(values):
        return statistics.median(chance.choices(values, k=len(values)))

    tries = sorted(again(above) / again(below) * scale for _ in range(RESAMPLES))
    cut = RESAMPLES // 20
    return Quotient(statistics.median(above) / statistics.median(below) * scale, tries[cut], tries[-1 - cut])


def mark_of(case, measured, met):
    """✓ met, ✗ missed or a run failed, – nothing to compare; with a ? when the rounds do not decide it."""
    if case.failed:
        return "✗"
    if measured is None:
        return "–"
    doubt = "" if met(measured.low) == met(measured.high) else "?"
    return ("✓" if met(measured.value) else "✗") + doubt


def show(value, form):
    return "–" if value is None else form.format(value)


def show_quotient(measured, form):
    return "–" if measured is None else measured.show(form)


def as_list(measured):
    return None if measured is None else [measured.value, measured.low, measured.high]


def show_rate(value):
    if value is None:
        return "–"
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.2f} k"


def table_print(heads, rows):
    widths = [max(len(line[column]) for line in [heads] + rows) for column in range(len(heads))]
    for line in [heads, ["─" * width for width in widths]] + rows:
        cells = [text.ljust(width) if head in TEXT_HEADS else text.rjust(width)
                 for head, text, width in zip(heads, line, widths)]
        print("  ".join(cells).rstrip())
    print()


def stock_folder():
    found = subprocess.run(["pkg-config", "--variable=libdir", "libzmq"], stdout=subprocess.PIPE, text=True, check=False)
    return found.stdout.strip() or "/usr/lib/x86_64-linux-gnu"


def arguments_add(parser, seconds):
    """The options that both programs have."""
    build = pathlib.Path(__file__).resolve().parent.parent / "build"
    parser.add_argument("--build", type=pathlib.Path, default=build, help="meson build folder (%(default)s)")
    parser.add_argument("--zuring", type=pathlib.Path, help="folder of zuring's libzmq.so.5 (BUILD/compat)")
    parser.add_argument("--stock", type=pathlib.Path, help="folder of the stock libzmq.so.5 (asks pkg-config)")
    parser.add_argument("--case", metavar="REGEX", default="", help="only cases whose name matches")
    parser.add_argument("--quick", action="store_true", help="the main job only, in about two minutes")
    parser.add_argument("--repeat", type=int, default=5, help="rounds (%(default)s)")
    parser.add_argument("--seconds", type=float, help=f"length of a run ({seconds}; 0.5 when quick)")
    parser.add_argument("--json", metavar="FILE", help="append every run and verdict as JSON lines")
    parser.add_argument("--list", action="store_true", help="name the cases and end")


def cases_choose(cases, arguments):
    return [case for case in cases if re.search(arguments.case, case.name) and (case.quick or not arguments.quick)]


def zuring_folder(arguments):
    """None, with a warning, when zuring is not built."""
    folder = arguments.zuring or arguments.build / "compat"
    if (folder / "libzmq.so.5").exists():
        return folder
    print(f"warning: no {folder}/libzmq.so.5: stock libzmq and floors only", file=sys.stderr)
    return None


def recorder(*paths):
    """A function that appends a line to every file; paths may be None."""
    outputs = [open(path, "a", encoding="utf-8") for path in paths if path]

    def record(line):
        for output in outputs:
            print(json.dumps(line, ensure_ascii=False), file=output, flush=True)

    return record


def rounds_run(cases, sides, rounds, record):
    """Every case, with warnings about other load. False when the loader took another library than the one asked for."""
    machine = Machine()
    time.sleep(0.5)
    before = machine.foreign_pct()
    if before > LOAD_WARN_PCT:
        print(f"warning: the machine is {before:.0f}% busy with other things; figures will be off", file=sys.stderr)
    record({"type": "start", "time": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "kernel": platform.release(), "cpus": machine.cpus, "load_before_pct": round(before, 1),
            "libraries": {side.side: side.file for side in sides if isinstance(side, Library)}})
    try:
        for case in cases:
            case_run(case, sides, rounds, machine, record)
    except (WrongLibrary, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    return True


def complaints_print(cases):
    """Other load and failures. True when nothing failed."""
    loaded = [case.name for case in cases for key in case.runs
              if (median(case, key, "foreign_load_pct") or 0) > LOAD_WARN_PCT]
    if loaded:
        print(f"warning: other load above {LOAD_WARN_PCT}% during: {', '.join(dict.fromkeys(loaded))}")
    failed = [failure for case in cases for failure in case.failed]
    for failure in failed:
        print(f"FAILED {failure}")
    return not failed
