#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the manual pages, mdoc(7), of the texts in this folder and the prototypes in ../*.h.

    render.py FOLDER   writes them all into FOLDER; try: render.py /tmp/man && man /tmp/man/zmq_send.3
    render.py --list   prints the name of each page and of the source it is made of, for meson

A text file (*.txt) holds pages. Each begins with a line of names, `=== `, and a line that says what it is:

    === zmq_send zmq_send_const                  functions that share a page: a copy by each name
    === zuring_drive(7)                          an overview; (1): a command
    === ZMQ_SNDHWM | socket 23 | sg | int, messages | 0.. | 1000 | all | at once
        an option: names | kind and number | set, get | type, unit | range | default | types of sockets | takes effect
    === ZMQ_NORM_MODE ZMQ_NORM_PUSH | absent     options that this library does not know

Then come paragraphs; sections (a line in capitals); `- TERM: text` and `* text` lists, continued by two blanks;
examples, indented by four; `+ NAME` puts a typedef or struct from the header into the synopsis, `# ` is a remark. In
running text name(3), _argument_, *stress*, `what is typed`, $VARIABLE and names of errors and constants are set as
such. What is so referred to, and is a page, goes under SEE ALSO. In ERRORS a lone `- ETERM` has its usual text.
"""
import errno
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
HEADERS = ("zmq.h", "zmq_draft.h", "zuring.h")
DATE = "November 22, 2026"
SECTIONS = ("DESCRIPTION", "RETURN VALUES", "ENVIRONMENT", "EXAMPLES", "COMPATIBILITY", "ERRORS")
ERRORS = set(errno.errorcode.values()) | {"EFSM", "ENOCOMPATPROTO", "ETERM", "EMTHREAD", "ENOTSUP"}
USUAL = {
    "ETERM": "The context was shut down or terminated.",
    "ENOTSOCK": "_socket_ is NULL, was closed, or is no socket.",
    "EINTR": "A signal was handled while the call waited.",
    "ENOMEM": "There is not enough memory. Nothing was changed.",
}
USE = {"s": "set", "g": "get", "sg": "set and get"}
WORD = re.compile(r"([(\[\"]*)([\w-]+\([1-9]?\)(?:'s)?|.*?)([.,;:)\]!?\"]*)$", re.S)
NAMED = re.compile(r"(?:([A-Za-z][\w-]*)\(([1-9]?)\)|_(\*?[a-z]\w*)_|(\$[A-Z]\w*)|"
                   r"([A-Z][A-Z0-9]*(?:_[A-Z0-9_]+)?\*?)|\*([^*]+)\*)('s)?$")


class Page:
    def __init__(self, names, section, facts, source):
        self.names, self.section, self.facts, self.source = names, section, facts, source
        self.what = ""
        self.shown = []          # of the header, by name
        self.text = {}           # section: list of lines
        self.seen = set()        # (name, section) referred to

    @property
    def file(self):
        return f"{self.names[0]}.{self.section}"

    @property
    def kind(self):
        return self.facts[0].split()[0] if self.facts else ""


def pages_read():
    pages = []
    for path in sorted(HERE.glob("*.txt")):
        section = None
        for line in path.read_text(encoding="ascii").splitlines():
            if line.startswith("# "):
                continue
            if line.startswith("=== "):
                names, *facts = [field.strip() for field in line[4:].split("|")]
                names, number = (names[:-3], names[-2]) if names.endswith(("(1)", "(7)")) else (names, "3")
                pages.append(Page(names.split(), number, facts, path.name))
                section = None
            elif section is None and line:
                pages[-1].what, section = line, "DESCRIPTION"
            elif line.startswith("+ "):
                pages[-1].shown.append(line[2:])
            elif re.fullmatch(r"[A-Z][A-Z ]+", line):
                if line not in SECTIONS and pages[-1].section == "3":
                    raise SystemExit(f"{path.name}: {pages[-1].names[0]}: {line} is no section")
                section = line
                pages[-1].text.setdefault(section, [])
            elif section:
                pages[-1].text.setdefault(section, []).append(line)
    return pages


# The headers


def headers_read():
    """Text of the three, the functions' prototypes: name -> (type, parameters, header)."""
    prototypes, whole = {}, ""
    for header in HEADERS:
        text = (HERE.parent / header).read_text(encoding="utf-8")
        whole += text
        for kind, name, parameters in re.findall(r"^(?:ZMQ|ZURING)_EXPORT\s+([^;(]*?)(\w+)\(([^;]*)\);", text, re.M):
            prototypes[name] = (kind.strip(), [" ".join(p.split()) for p in split_parameters(parameters)], header)
    return whole, prototypes


def split_parameters(text):
    return re.split(r",(?![^(]*\))", text)


def definition(whole, name):
    found = (re.search(rf"^typedef [^;{{]*\b{name}\)?\([^;]*;", whole, re.M) or
             re.search(rf"^(typedef )?struct {name} \{{\n.*?^\}}[^;]*;", whole, re.M | re.S))
    if not found:
        raise SystemExit(f"{name}: in no header")
    return found.group().splitlines()


# Running text


def plain(text):
    return text.replace("\\", "\\e").replace("-", "\\-") if re.fullmatch(r"-\w+", text) else text.replace("\\", "\\e")


def macro_of(found, page, known):
    name, section, argument, variable, constant, stress, genitive = found.groups()
    tail = f" Ns {genitive}" if genitive else ""
    if name:
        page.seen.add((name, section or "3"))
        return (f"Xr {name} {section}" if section and name not in page.names else "Fn " + name) + tail
    if argument:
        return "Fa " + argument + tail
    if variable:
        return "Ev " + variable[1:] + tail
    if constant:
        if constant in ERRORS:
            return "Er " + constant + tail
        if constant in known and constant not in page.names:
            page.seen.add((constant, "3"))
        if "_" in constant or constant == "NULL":
            return "Dv " + constant + tail
        return None
    return "Em " + stress + tail


def inline(text, page, known):
    """Lines of mdoc for a piece of running text."""
    lines, current = [], []

    def flush():
        line = ""
        for word in current:
            if line and len(line) + len(word) > 77:
                lines.append(line)
                line = ""
            line += (" " if line else "") + word
        if line:
            lines.append(line)
        current.clear()

    for word in re.findall(r"[(\[\"]*`[^`]*`\S*|[(\[\"]*\*[^*\s][^*]*\*\S*|\S+", text):
        quoted = re.fullmatch(r"([(\[]*)`([^`]*)`([^\s`]*)", word)
        if quoted:
            before, inside, after = quoted.groups()
            macro = "Ql " + " ".join("\\&" + part.replace("\\", "\\e").replace('"', "\\(dq") for part in inside.split())
        else:
            before, core, after = WORD.match(word).groups()
            found = NAMED.fullmatch(core)
            macro = "Va errno" if core == "errno" else found and macro_of(found, page, known)
        if macro:
            flush()
            before = " ".join(f"Pf {mark}" for mark in before) + " " if before else ""
            after = after if not after or re.fullmatch(r"[.,;:)\]!?]*", after) else "Ns " + after
            after = after if after.startswith("Ns") else " ".join(after)
            lines.append(f".{before}{macro} {after}".rstrip())
        else:
            current.append(("\\&" if not current and word[0] in ".'" else "") + plain(word))
        if word[-1] in ".!?" and word not in ("e.g.", "i.e."):
            flush()
    flush()
    return [re.sub(r"^(?=[.'](?![A-Z]))", r"\\&", line) for line in lines]


def term(text, page, known):
    """The head of an item: a constant, a variable, what is typed, or words."""
    found = NAMED.fullmatch(text)
    macro = found and macro_of(found, page, known)
    if macro:
        return macro
    quoted = re.fullmatch("`([^`]*)`", text)
    words = text.replace("\\", "\\e").replace("`", "").split()
    return ("Li " if quoted else "No ") + " ".join(f"\\&{word}" for word in words)


def blocks(lines):
    """(kind, content): paragraphs, items, examples."""
    kept = []
    for line in lines + [""]:
        if not line.strip():
            if kept and kept[-1][0] == "code":
                kept[-1][1].append("")
            elif kept and kept[-1][0] != "gap":
                kept.append(("gap", []))
        elif line.startswith("    "):
            if not kept or kept[-1][0] != "code":
                kept.append(("code", []))
            kept[-1][1].append(line[4:])
        elif line.startswith("- ") or line.startswith("* "):
            kept.append(("item" if line[0] == "-" else "bullet", [line[2:]]))
        elif line.startswith("  ") and kept[-1][0] in ("item", "bullet"):
            kept[-1][1].append(line.strip())
        else:
            if not kept or kept[-1][0] != "text":
                kept.append(("text", []))
            kept[-1][1].append(line)
    return [block for block in kept if block[0] != "gap"]


def body(lines, page, known, section):
    out, opened = [], None

    def close():
        nonlocal opened
        if opened:
            out.append(".El")
            opened = None

    for kind, content in blocks(lines):
        if kind in ("item", "bullet"):
            if opened != kind:
                close()
                wide = ".Bl -tag -width Er" if section == "ERRORS" else ".Bl -tag -width Ds"
                out.append(wide if kind == "item" else ".Bl -bullet")
                opened = kind
            text = " ".join(content)
            if kind == "item":
                head, _, text = text.partition(": ")
                text = text or USUAL[head]
                out.append(f".It Bq Er {head}" if section == "ERRORS" else f".It {term(head, page, known)}")
            else:
                out.append(".It")
            out.extend(inline(text, page, known))
            continue
        close()
        if kind == "code":
            while content and not content[-1]:
                content.pop()
            out.append(".Bd -literal -offset indent")
            out.extend(re.sub(r"^(?=[.'])", r"\\&", line.replace("\\", "\\e")) for line in content)
            out.append(".Ed")
        else:
            if out:
                out.append(".Pp")
            out.extend(inline(" ".join(content), page, known))
    close()
    return out


# Pages


def function_synopsis(page, whole, prototypes):
    out, header = [], None
    for name in page.names:
        if name not in prototypes:
            raise SystemExit(f"{page.source}: {name}: in no header")
        kind, parameters, where = prototypes[name]
        if where != header:
            if where == "zmq_draft.h":
                out.append('.Fd "#define ZMQ_BUILD_DRAFT_API"')
            out.append(".In " + ("zuring.h" if where == "zuring.h" else "zmq.h"))
            header = where
        out.append(".Ft " + (f'"{kind}"' if " " in kind else kind))
        out.append(".Fn " + name + "".join(f' "{parameter}"' for parameter in parameters))
    for name in page.shown:
        out += [".Bd -literal"] + definition(whole, name) + [".Ed"]
    return out


CALLS = {
    "socket": (('s', "zmq_setsockopt", '"void *socket" {} "const void *optval" "size_t optvallen"'),
               ('g', "zmq_getsockopt", '"void *socket" {} "void *optval" "size_t *optvallen"')),
    "context": (('s', "zmq_ctx_set", '"void *context" {} "int optval"'), ('g', "zmq_ctx_get", '"void *context" {}')),
    "context_ext": (('s', "zmq_ctx_set_ext", '"void *context" {} "const void *optval" "size_t optvallen"'),
                    ('g', "zmq_ctx_get_ext", '"void *context" {} "void *optval" "size_t *optvallen"')),
    "message": (('g', "zmq_msg_get", '"const zmq_msg_t *msg" {}'),),
}


def is_draft(number):
    """Of libzmq's draft socket options."""
    return 93 <= number < 0x7a00


def option_header(page):
    kind, number = page.facts[0].split()
    out = []
    if kind == "context_ext" and page.names[0].startswith("ZMQ") or kind == "socket" and is_draft(int(number, 0)):
        out.append('.Fd "#define ZMQ_BUILD_DRAFT_API"')
    out.append(".In " + ("zuring.h" if page.names[0].startswith("ZURING") else "zmq.h"))
    for use, call, arguments in CALLS[kind]:
        if use in page.facts[1]:
            out += [".Ft int", f".Fn {call} " + arguments.format(page.names[0])]
    return out


def range_words(text):
    low, dots, high = text.partition("..")
    if not dots:
        return text
    high, _, unit = high.partition(" ")
    unit = " " + unit if unit else ""
    return (f"{low} to {high}" if low and high else f"{low} or more" if low else f"at most {high}") + unit


def option_facts(page):
    number, use, kind, limits, default, who, when = page.facts
    rows = [("Number", number.split()[1]), ("Use", USE[use]), ("Type", kind)]
    if limits:
        rows.append(("Range", range_words(limits)))
    if default:
        rows.append(("Default", default))
    if who:
        rows.append(("Sockets", who))
    if when:
        rows.append(("Takes effect", when))
    out = [".Pp", ".Bl -tag -width \"Takes effect\" -compact"]
    for name, value in rows:
        out += [f".It {name}", plain(value)]
    return out + [".El"]


def option_errors(page):
    kind, use, what, limits, _, who, _ = page.facts
    if kind.startswith("message"):
        return []
    reasons = []
    if not re.search("bytes|text", what):
        reasons.append("the size is not that of the type")
        if "s" in use and limits not in ("", "any"):
            reasons.append("the value is out of range")
    elif limits != "any length":
        reasons.append("the size is out of range")
    if use != "sg":
        reasons.append("the option cannot be " + ("read" if use == "s" else "set"))
    if who not in ("", "all"):
        reasons.append("this type of socket has no such option")
    text = ", ".join(reasons[:-1]) + ", or " + reasons[-1] if reasons[1:] else reasons[0]
    rows = [f"- EINVAL: {text[0].upper() + text[1:]}."]
    return rows + (["- ETERM", "- ENOTSOCK"] if kind.startswith("socket") else ["- EFAULT: _context_ is NULL or gone."])


def option_render(page):
    """Completes an option's page with what its facts say."""
    if page.facts[0] == "absent":
        return
    kind = page.kind
    calls = [call for use, call, _ in CALLS[kind] if use in page.facts[1]]
    page.seen.update((call, "3") for call in calls)
    if kind == "context" and calls[-1] == "zmq_ctx_get":
        says = "zmq_ctx_get(3) returns the value, or -1."
        says = ("zmq_ctx_set(3) returns 0, or -1. " if "s" in page.facts[1] else "") + says
    elif kind == "message":
        says = "The value, or -1."
    else:
        says = "0, or -1."
    page.text.setdefault("RETURN VALUES", [says + " The reason is in errno."])
    page.text["ERRORS"] = option_errors(page) + page.text.get("ERRORS", [])


def render(page, pages, whole, prototypes):
    known = {name for other in pages for name in other.names}
    sections = {(name, other.section): other for other in pages for name in other.names}
    out = [".\\\" SPDX-License-Identifier: MIT", f".\\\" Made by render.py of {page.source}: change it there.",
           f".Dd {DATE}", f".Dt {page.names[0].upper()} {page.section}", ".Os zuring", ".Sh NAME"]
    out += [f".Nm {name}" + (" ," if name != page.names[-1] else "") for name in page.names]
    out += [".Nd " + page.what]
    if page.facts:
        option_render(page)
    if page.section == "3" and page.facts[:1] != ["absent"]:
        out += [".Sh SYNOPSIS"]
        out += option_header(page) if page.facts else function_synopsis(page, whole, prototypes)
    order = list(page.text) if page.section != "3" else [name for name in SECTIONS if name in page.text]
    for section in order:
        out.append(f".Sh {section}")
        out += body(page.text[section], page, known, section)
        if section == "DESCRIPTION" and page.facts and page.facts != ["absent"]:
            out += option_facts(page)
    refer = referred(page, sections)
    if refer:
        out.append(".Sh SEE ALSO")
        out += [f".Xr {name} {section}" + (" ," if (section, name) != refer[-1] else "") for section, name in refer]
    return "\n".join(out) + "\n"


def referred(page, sections):
    """(section, name) of the pages that the text speaks of; an overview speaks of many, and refers to overviews."""
    found = set()
    for name, section in page.seen:
        if name not in page.names and (page.section == "3" or section == "7"):
            found.add((section, sections[name, section].names[0] if (name, section) in sections else name))
    return sorted(found, key=lambda pair: (pair[0], pair[1].lower()))


def all_rendered():
    """file -> text; each further name has a copy of the page."""
    pages = pages_read()
    whole, prototypes = headers_read()
    files = {}
    for page in pages:
        text = render(page, pages, whole, prototypes)
        for name in page.names:
            if f"{name}.{page.section}" in files:
                raise SystemExit(f"{page.source}: a second page for {name}")
            title = f".Dt {name.upper()} {page.section}"
            files[f"{name}.{page.section}"] = re.sub(r"^\.Dt .*$", title, text, flags=re.M)
    return files


def main():
    if sys.argv[1:] == ["--list"]:
        for page in pages_read():
            for name in page.names:
                print(f"{name}.{page.section}")
    elif len(sys.argv) == 2:
        folder = pathlib.Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in all_rendered().items():
            (folder / name).write_text(text, encoding="ascii")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
