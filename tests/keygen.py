#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `zuring keygen` leaves on the disk, and what it leaves alone: keygen.py PROGRAM

Closes with `N passed, N failed`.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

program = os.path.abspath(sys.argv[1])
passed = failed = 0


def check(what, holds):
    global passed, failed
    passed += bool(holds)
    failed += not holds
    if not holds:
        print(f"FAILED: {what}")


def run(*arguments, **more):
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, **more)


def tree(folder):
    return {path.name: (path.lstat().st_mode & 0o777, os.readlink(path) if path.is_symlink() else path.read_bytes())
            for path in folder.iterdir()}


def keys(path):
    """As the certificates of other libraries are read: pyzmq where it is, else by hand."""
    try:
        import zmq.auth
        return tuple(key and key.decode() for key in zmq.auth.load_certificate(str(path)))
    except ImportError:
        found = dict(line.strip().split(" = ", 1) for line in path.read_text().splitlines() if " = " in line)
        return tuple(found[name].strip('"') if name in found else None for name in ("public-key", "secret-key"))


def makes_a_pair(folder):
    for mask, arguments in ((0o022, []), (0, ["-q"]), (0o077, ["--quiet"])):
        before = os.umask(mask)
        path = folder / f"pair-{mask:o}"
        done = run("keygen", *arguments, str(path))
        os.umask(before)
        public, secret = keys(path)
        check(f"{done}", done.returncode == 0 and done.stderr == "")
        check("the public key is shown", done.stdout == ("" if arguments else public + "\n"))
        check("two keys of 40 characters", len(public) == len(secret) == 40 and public != secret)
        check("the other file has the public key alone", keys(folder / (path.name + ".pub")) == (public, None))
        check("nobody else may read it", path.stat().st_mode & 0o777 == 0o600)
        check("all may read the other", (folder / (path.name + ".pub")).stat().st_mode & 0o777 == 0o644 & ~mask)
        belongs(public, secret)


def belongs(public, secret):
    try:
        import zmq
    except ImportError:
        return
    check("they belong together", zmq.curve_public(secret.encode()).decode() == public)


def never_overwrites(folder):
    (folder / "nowhere").symlink_to(folder / "gone")
    (folder / "half.pub").write_text("mine")
    (folder / "whole").write_text("mine")
    before = tree(folder)
    for name in ("nowhere", "half", "whole"):
        done = run("keygen", str(folder / name))
        check(f"{name}: {done}", done.returncode == 1 and done.stdout == "" and "is there already" in done.stderr)
        check(f"{name}: all is as it was", tree(folder) == before)


def fails_cleanly(folder):
    (folder / "folder").mkdir()
    long_name = "x" * (os.pathconf(folder, "PC_NAME_MAX") - 3)  # the other name is too long
    for path, why in (("folder", "already"), ("no/such", "No such file"), ("x" * 5000, "too long"), (long_name, "too long"),
                      ("", "No such file")):
        done = run("keygen", path, cwd=folder)
        check(f"{path[:20]}: {done}", done.returncode == 1 and done.stdout == "" and why in done.stderr)
        check(f"{path[:20]}: nothing stays", os.listdir(folder) == ["folder"])
    limited = ["bash", "-c", f"ulimit -f 0; trap '' XFSZ; exec {program} keygen full"]
    done = subprocess.run(limited, cwd=folder, capture_output=True, text=True, timeout=30)
    check(f"a full disk: {done}", done.returncode == 1 and "cannot write" in done.stderr)
    check("a full disk: nothing stays", os.listdir(folder) == ["folder"])
    with open("/dev/full", "w") as full:
        done = subprocess.run([program, "keygen", "told"], cwd=folder, stdout=full, stderr=subprocess.PIPE, timeout=30)
    check("a full terminal is told of", done.returncode == 1 and sorted(os.listdir(folder)) == ["folder", "told", "told.pub"])


def explains(folder):
    for arguments, status, out in (
            (["--help"], 0, "keygen"), (["keygen", "--help"], 0, "FILE.pub"), (["--version"], 0, "zuring "), ([], 2, ""),
            (["nonsense"], 2, ""), (["keygen"], 2, ""), (["keygen", "a", "b"], 2, ""), (["keygen", "--bad"], 2, "")):
        done = run(*arguments, cwd=folder)
        check(f"{done}", done.returncode == status and out in done.stdout and bool(done.stderr) == (status != 0))
        check("nothing is made", not os.listdir(folder))


for part in (makes_a_pair, never_overwrites, fails_cleanly, explains):
    with tempfile.TemporaryDirectory(prefix="zuring-keygen-") as name:
        part(pathlib.Path(name))
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
