#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manual against the library: manpages.py PAGES LIBZURING OPTION_ROWS

PAGES is the folder that api/man/render.py filled, LIBZURING the shared library, OPTION_ROWS a program that prints the
option tables. Every function that is exported and every option, of the tables and of the headers, has a page; mandoc
finds nothing to warn of; all that is referred to exists, and the errors that the headers name are told; type, range,
default and who accepts it are what the tables say and what the library answers. Closes with `N passed, N failed`.
"""
import ctypes
import pathlib
import re
import shutil
import struct
import subprocess
import sys

PAGES, LIBRARY, ROWS = sys.argv[1:4]
HEADERS = pathlib.Path(__file__).resolve().parent.parent / "api"
INT_MIN, INT_MAX = -2**31, 2**31 - 1
TYPES = ("PAIR PUB SUB REQ REP DEALER ROUTER PULL PUSH XPUB XSUB STREAM SERVER CLIENT RADIO DISH GATHER SCATTER DGRAM "
         "PEER CHANNEL").split()
BUILT = 12                # of these types
# Macros of the headers that look like options and are something else: families, and what is left.
NO_OPTION = re.compile(r"ZMQ_(HAVE|HAS|BUILD|DEFINED|VERSION|EVENT|PROTOCOL|POLL\w*|CURRENT|NOTIFY|MSG_PROPERTY|"
                       r"GSSAPI_NT|NORM_(FIXED|CC))(_|\b)|ZMQ_RECONNECT_STOP_|.*_DFLT$|ZURING_(VERSION|EXPORT|DRIVE_)")
VALUES = set("HAUSNUMERO EXPORT MAKE_VERSION XREQ XREP DONTWAIT SNDMORE NOBLOCK NULL PLAIN CURVE GSSAPI STREAMER "
             "FORWARDER QUEUE GROUP_MAX_LENGTH NORM_CCL NORM_CCE NORM_CCE_ECNONLY".split()) | set(TYPES)
# Their row says the least; the rest is in words.
OWN_RANGE = {"THREAD_AFFINITY_CPU_ADD", "THREAD_AFFINITY_CPU_REMOVE", "THREAD_NAME_PREFIX", "CPUS"}

passed = failed = 0


def check(good, complaint):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print(f"FAILED: {complaint}")


class Page:
    """A rendered page: the names in it, the facts of its list, whom it refers to."""

    def __init__(self, path):
        self.path, self.name = path, path.stem
        self.text = path.read_text(encoding="ascii")
        self.names = re.findall(r"^\.Nm ([\w-]+)", self.text, re.M)
        self.facts = {name: value.replace("\\-", "-") for name, value in
                      re.findall(r"^\.It (Number|Use|Type|Range|Default|Sockets)\n(.*)$", self.text, re.M)}
        self.others = re.findall(r"^\..*?\bXr ([\w-]+) (\d)", self.text, re.M)


def range_words(low, high):
    if low == INT_MIN and high == INT_MAX:
        return "any"
    return f"{low} or more" if high == INT_MAX else f"{low} to {high}"


def kind_fits(kind, said):
    words = {"key": "bytes or text"}.get(kind, kind)
    return said == words or said.startswith(words + ",")


def row_check(pages, line):
    """A row of the tables against its page."""
    room, name, number, use, kind, types, low, high, fallback = line.split()
    number, types, low, high, fallback = int(number), int(types), int(low), int(high), int(fallback)
    page = pages.get(("ZURING_" if number >= 0x7a00 else "ZMQ_") + name)
    check(page, f"no page for {name}, {number}")
    if not page or (room, name) == ("context", "IPV6"):    # described with the socket option
        return
    facts, label = page.facts, f"{page.path.name}:"
    check(int(facts.get("Number", "-1"), 0) == number, f"{label} its number is {number}")
    if (room, name) == ("context", "THREAD_PRIORITY"):     # the same row is SOCKET_LIMIT, to be read
        use = "s"
    wanted = {"s": "set", "g": "get", "sg": "set and get"}[use]
    check(facts.get("Use") == wanted, f"{label} may be {wanted}")
    is_filter = low == high == 0 and use == "s"            # the row leaves it to a function
    check(kind == "own" or is_filter or kind_fits(kind, facts.get("Type", "")),
          f"{label} is of type {kind}, not {facts.get('Type')}")
    if room == "socket":
        who = [TYPES[i] for i in range(len(TYPES)) if types >> i & 1]
        check(sorted(facts.get("Sockets", "").split()) == sorted(who or ["all"]),
              f"{label} is for {' '.join(who or ['all'])}")
    if kind == "int" and "s" in use and name not in OWN_RANGE:
        high = INT_MAX if room == "context" and high == 0 else high
        check(facts.get("Range") == range_words(low, high), f"{label} has the range {range_words(low, high)}")
        check(facts.get("Default") == str(fallback), f"{label} begins with {fallback}")
    if kind in ("bytes", "text") and "s" in use and high > 0:
        wanted = "any length" if (low, high) == (0, INT_MAX) else range_words(low, high) + " octets"
        check(facts.get("Range") == wanted, f"{label} has the range {wanted}")


class Library:
    def __init__(self):
        self.zmq = ctypes.CDLL(LIBRARY)
        for name in ("zmq_ctx_new", "zmq_socket"):
            getattr(self.zmq, name).restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.zmq.zmq_ctx_new())
        self.sockets = [ctypes.c_void_p(self.zmq.zmq_socket(self.context, kind)) for kind in range(BUILT)]

    def get(self, kind, number, room):
        """The octets that an option of a fresh socket has, or None."""
        value, size = ctypes.create_string_buffer(room), ctypes.c_size_t(room)
        done = self.zmq.zmq_getsockopt(self.sockets[kind], number, value, ctypes.byref(size))
        return value.raw[:size.value] if done == 0 else None

    def takes(self, kind, number, value):
        return self.zmq.zmq_setsockopt(self.sockets[kind], number, struct.pack("=i", value), ctypes.c_size_t(4)) == 0

    def context_get(self, number):
        return self.zmq.zmq_ctx_get(self.context, number)

    def close(self):
        for socket in self.sockets:
            self.zmq.zmq_close(socket)
        self.zmq.zmq_ctx_term(self.context)


def default_words(octets, kind):
    if kind.startswith(("int64_t", "uint64_t")):
        return str(struct.unpack("=q", octets)[0])
    if kind.startswith("int"):
        return str(struct.unpack("=i", octets)[0])
    if kind.startswith("bytes or text"):
        return "32 zeros" if not any(octets) else "other"
    return {b"": "empty", b"\0": '""'}.get(octets, "other")


def options_pages(files, known):
    """Each page of socket options that are known, once, with the types of sockets that have it."""
    for page in files.values():
        if "Sockets" in page.facts and page.name == page.names[0] and known.intersection(page.names):
            who = page.facts["Sockets"].split()
            yield page, [kind for kind in range(BUILT) if who == ["all"] or TYPES[kind] in who]


def gets_check(library, page, who):
    """What fresh sockets of each type answer."""
    kind, default = page.facts["Type"], page.facts.get("Default")
    if "get" not in page.facts["Use"]:
        return
    room = 8 if "int64" in kind else 4 if kind.startswith("int") else 32 if "bytes or" in kind else 300
    for index in range(BUILT):
        label = f"{page.path.name}: a {TYPES[index]}"
        octets = library.get(index, int(page.facts["Number"], 0), room)
        check((octets is not None) == (index in who), f"{label} {'answers' if index in who else 'does not answer'}")
        if octets is not None and default and (page.name != "ZMQ_LINGER" or "SUB" not in TYPES[index]):
            said = default_words(octets, kind)
            check(said == default, f"{label} says {said}, not {default}")


def context_check(library, page):
    """What a fresh context answers; those that the environment may set are left out."""
    facts = page.facts
    if "Sockets" not in facts and "get" in facts.get("Use", "") and re.fullmatch(r"-?\d+", facts.get("Default", "")):
        if not page.name.startswith("ZURING"):
            said = library.context_get(int(facts["Number"], 0))
            check(said == int(facts["Default"]), f"{page.path.name}: a context says {said}, not {facts['Default']}")


def sets_check(library, page, who):
    """The ends of the range are taken, what lies beyond is not; and by other types of sockets, nothing is."""
    limits = re.fullmatch(r"(-?\d+) (?:to (-?\d+)|or more)", page.facts.get("Range", ""))
    if not limits or "set" not in page.facts["Use"] or not re.match("int(,|$)", page.facts["Type"]):
        return
    low, high, number = int(limits[1]), int(limits[2] or INT_MAX), int(page.facts["Number"], 0)
    for value in (low - 1, low, high, high + 1):
        if INT_MIN <= value <= INT_MAX:
            good = low <= value <= high
            check(library.takes(who[0], number, value) == good,
                  f"{page.path.name}: {value} is {'' if good else 'not '}taken")
    for index in set(range(BUILT)) - set(who):
        check(not library.takes(index, number, low), f"{page.path.name}: not for a {TYPES[index]}")


def exported():
    text = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], check=True, capture_output=True, text=True).stdout
    return sorted(set(re.findall(r" T ((?:zmq|zuring)_\w+)", text)))


def header_options():
    for header in ("zmq.h", "zmq_draft.h", "zuring.h"):
        text = (HEADERS / header).read_text(encoding="utf-8")
        for name, value in re.findall(r"^#define ((?:ZMQ|ZURING)_\w+) +(\w+)", text, re.M):
            if not NO_OPTION.match(name) and name.removeprefix("ZMQ_") not in VALUES:
                yield name


def header_errors():
    """(function, error) for each that the comment above a declaration names."""
    comment = r"/\*((?:(?!\*/).)*)\*/\n((?:(?:ZMQ|ZURING)_EXPORT[^;]*;\n)+)"
    for header in ("zmq.h", "zmq_draft.h", "zuring.h"):
        for text, declared in re.findall(comment, (HEADERS / header).read_text(encoding="utf-8"), re.S):
            for name in re.findall(r"\b((?:zmq|zuring)_\w+)\([^()]*\);", declared):
                for error in set(re.findall(r"\bE[A-Z]{3,}\b", text)):
                    yield name, error


def page_check(page, files, linted):
    check(page.name in page.names, f"{page.path.name} does not name itself")
    check(page.path.name not in linted, f"mandoc: {linted.get(page.path.name)}")
    for name, section in page.others:
        own = name.startswith(("zmq", "zuring", "ZMQ", "ZURING"))
        check(not own or f"{name}.{section}" in files,
              f"{page.path.name} refers to {name}({section}), which is not there")


def main():
    if not shutil.which("mandoc"):
        raise SystemExit("mandoc is not there: apt-get install mandoc")
    files = {path.name: Page(path) for path in sorted(pathlib.Path(PAGES).glob("*.[137]"))}
    pages = {page.name: page for page in files.values()}
    lint = subprocess.run(["mandoc", "-Tlint", "-W", "warning", *(page.path for page in files.values())],
                          capture_output=True, text=True)
    linted = {pathlib.Path(line.split(":")[1].strip()).name: line for line in lint.stdout.splitlines() if ":" in line}
    check(not lint.stderr, lint.stderr)
    for page in files.values():
        page_check(page, files, linted)
    functions = exported()
    check(len(functions) >= 97, f"only {len(functions)} functions are exported")
    for name in functions + sorted(set(header_options())):
        check(name in pages, f"no page for {name}")
    for name, error in header_errors():
        text = pages[name].text if name in pages else ""
        check(re.search(rf"\b{error}\b", text) or "Not built yet" in text,
              f"{name}.3: nothing of {error}, which the header has")
    rows = subprocess.run([ROWS], check=True, capture_output=True, text=True).stdout.splitlines()
    check(len(rows) > 90, f"only {len(rows)} options in the tables")
    for row in rows:
        row_check(pages, row)
    # A page whose option is in no table would pass all of the above.
    known = {("ZURING_" if int(row.split()[2]) >= 0x7a00 else "ZMQ_") + row.split()[1] for row in rows}
    for page in files.values():
        check("Number" not in page.facts or page.names[0] == "ZMQ_SOCKET_LIMIT" or "zmq_msg_get 3" in page.text or
              known.intersection(page.names), f"{page.path.name}: there is no such option")
    library = Library()
    for page in files.values():
        context_check(library, page)
    for checks in (gets_check, sets_check):
        for page, who in options_pages(files, known):
            checks(library, page, who)
    library.close()
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
