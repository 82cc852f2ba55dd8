#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of the house, checked on every C file: house.py [ROOT]

Each rule is a function that yields what breaks it in one file (or in the whole tree) as (line, complaint). Before the
tree is looked at, every rule must have caught the example of a fault that stands beside it: a rule that catches
nothing would pass for ever. Closes with `N passed, N failed`; one check per rule and file.
"""
import pathlib
import re
import sys

LINES_MAX = 800
FUNCTION_LINES_MAX = 70
ROOMS = ("engine", "api", "bench", "tests", "tools")
LAYERS = ("base", "mem", "wire", "flow", "io", "link", "core", "api")
# What a layer may include besides itself: whole layers, or single headers.
MAY_INCLUDE = {
    "base": (),
    "mem": ("base",),
    "wire": ("base", "mem"),
    "flow": ("base", "mem", "wire/frame.h"),
    "io": ("base", "mem"),
    "link": ("base", "mem", "wire", "flow", "io"),
    "core": ("base", "mem", "wire", "flow", "io", "link"),
    "api": ("base", "mem", "core"),
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
SLEEP = re.compile(r"\b(?:u|nano|clock_nano)?sleep\s*\(")


class Source:
    """A file: its path below the root, its lines, and its lines with comments and literals blanked out."""

    def __init__(self, path, text):
        self.path = path
        self.room = path.parts[0]
        self.layer = path.parts[1] if self.room == "engine" and len(path.parts) > 2 else self.room
        self.lines = text.splitlines()
        blank = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
        self.code = blank.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text).splitlines()

    def includes(self):
        for number, line in enumerate(self.lines, 1):
            found = INCLUDE.match(line)
            if found:
                yield number, found.group(1) == '"', found.group(2)


def file_size(source, tree):
    if len(source.lines) > LINES_MAX:
        yield LINES_MAX + 1, f"{len(source.lines)} lines, more than {LINES_MAX}"


def function_size(source, tree):
    """A function opens with a brace in the first column, below its signature, and closes in the first column."""
    start = 0
    for number, line in enumerate(source.code, 1):
        before = source.code[number - 2].rstrip() if number > 1 else ""
        if line.startswith("{") and not before.endswith(("=", ",")):
            start = number - 1
            while start > 1 and source.code[start - 2].strip() and not source.code[start - 2].rstrip().endswith(
                    (";", "}", "*/")) and not source.code[start - 2].startswith("#"):
                start -= 1
        elif line.startswith("}") and start:
            if number - start + 1 > FUNCTION_LINES_MAX:
                yield start, f"a function of {number - start + 1} lines, more than {FUNCTION_LINES_MAX}"
            start = 0


def function_style(source, tree):
    """Keeps function_size honest: a body must not open on the line of its signature."""
    for number, line in enumerate(source.code, 1):
        if re.match(r"^[a-z_][\w\s*]*\w\([^;=]*\)\s*\{", line) and not line.rstrip().endswith("\\"):
            yield number, "the brace of a function stands on a line of its own"


def layer_direction(source, tree):
    """Includes go only down, and name the layer."""
    if source.room not in ("engine", "api"):
        return
    if source.layer not in MAY_INCLUDE:
        yield 1, f"{source.layer} is no layer"
        return
    allowed = MAY_INCLUDE[source.layer]
    for number, quoted, name in source.includes():
        top = name.split("/")[0]
        if "/" in name and top in LAYERS:
            if top not in (source.layer, *allowed) and name not in allowed:
                yield number, f"{source.layer} must not include {name}"
        elif quoted and source.layer != "api":
            yield number, f'"{name}" names no layer (or one above): write "layer/name.h"'


def own_header_first(source, tree):
    if source.room not in ("engine", "api") or source.path.suffix != ".c":
        return
    if len(source.path.parts) > 2 and source.room == "api":
        return
    first = next(source.includes(), (1, False, "nothing"))
    folder = source.path.relative_to(source.room).parent
    own = str(folder / (source.path.stem + ".h"))
    if str(source.path.with_suffix(".h")) in tree.paths:
        if first[2] != own:
            yield first[0], f"includes {first[2]} first, not its own {own}"
    elif not first[1] or pathlib.PurePath(first[2]).parent != folder:
        yield first[0], f"includes {first[2]} first, not the header of {folder} that declares it"


def opening_comment(source, tree):
    """Licence; then, before the first line of code that is no include, a comment that says what the file does. The
    names of its tests say that of a test."""
    if not source.lines or source.lines[0] != "/* SPDX-License-Identifier: MIT */":
        yield 1, "does not open with /* SPDX-License-Identifier: MIT */"
    elif source.path.suffix == ".c" and not source.path.name.startswith("test_"):
        code = (n for n, line in enumerate(source.code) if line.strip() and not INCLUDE.match(source.lines[n]))
        head = "\n".join(source.lines[1:next(code, None)])
        if not any(len(comment) >= 40 for comment in re.findall(r"/\*.*?\*/", head, re.S)):
            yield 2, "no opening comment: the happy path, then how it fails"


def listed(source, tree):
    """Every .c is built: named in the meson.build of its room, as a path, or as a row where each is a program."""
    if source.path.suffix != ".c":
        return
    by_row = {"tests": "tests", "api/examples": "api/examples"}.get(str(source.path.parent))
    room = by_row or source.room
    name = str(source.path.relative_to(room))
    row = re.sub(r"^(test|fuzz)_|\.c$", "", name)
    text = tree.meson.get(room, "")
    if f"'{name}'" not in text and not (by_row and f"'{row}'" in text):
        yield 1, f"not listed in {room}/meson.build"


def no_sleep(source, tree):
    if source.room != "tests":
        return
    for number, line in enumerate(source.code, 1):
        if SLEEP.search(line):
            yield number, "a test must not sleep: wait for what must happen"


class Tree:
    def __init__(self, sources, meson):
        self.sources = sources
        self.paths = {str(source.path) for source in sources}
        self.meson = meson


def tree_read(root):
    sources = []
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.[ch]")):
            sources.append(Source(path.relative_to(root), path.read_text(encoding="utf-8")))
    meson = {}
    for path in (*root.glob("*/meson.build"), *root.glob("*/*/meson.build")):
        meson[str(path.parent.relative_to(root))] = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
    return Tree(sources, meson)


HEAD = "/* SPDX-License-Identifier: MIT */\n/* An example of nothing in particular, in one line. */\n"
LONG = "\n    x++;" * FUNCTION_LINES_MAX
# rule: a file that keeps it, a file that breaks it
RULES = {
    file_size: (("engine/mem/a.c", HEAD), ("engine/mem/a.c", "\n" * (LINES_MAX + 1))),
    function_size: (("tests/a.c", "int a[] =\n{" + LONG + "\n};\nint f(void)\n{\n}\n"),
                    ("tests/a.c", "int\nf(int a,\n  int b)\n{" + LONG + "\n}\n")),
    function_style: (("bench/a.h", "#define F(x) { x }\nint f(void)\n{\n}\nstruct a {\n};\n"),
                     ("bench/a.h", "static int *f(void) {\n}\n")),
    layer_direction: (("engine/flow/a.c", '#include "wire/frame.h"\n#include <sys/uio.h>\n'),
                      ("engine/flow/a.c", '#include "wire/command.h"\n')),
    own_header_first: (("engine/mem/buf_pool.c", '#include "mem/buf.h"\n'),
                       ("engine/mem/buf_pool.c", '#include <stddef.h>\n#include "mem/buf.h"\n')),
    opening_comment: (("engine/mem/a.c", HEAD), ("engine/mem/a.c", HEAD.split("\n")[0] + "\n#include <stddef.h>\n")),
    listed: (("engine/mem/listed.c", HEAD), ("engine/mem/stray.c", HEAD)),
    no_sleep: (("tests/a.c", "/* no usleep( here */\n"), ("tests/a.c", "    usleep (1);\n")),
}


def rule_works(rule):
    def complaints(example):
        source = Source(pathlib.PurePosixPath(example[0]), example[1])
        return list(rule(source, Tree([source], {"engine": "files('mem/listed.c')"})))

    good, bad = RULES[rule]
    return not complaints(good) and bool(complaints(bad))


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    tree = tree_read(root)
    passed = failed = 0
    for rule in RULES:
        if rule_works(rule):
            passed += 1
        else:
            failed += 1
            print(f"tests/house.py: {rule.__name__} does not tell its two examples apart")
        for source in tree.sources:
            complaints = list(rule(source, tree))
            for line, complaint in complaints:
                print(f"{source.path}:{line}: {complaint}")
            failed += bool(complaints)
            passed += not complaints
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or not tree.sources


if __name__ == "__main__":
    sys.exit(main())
