#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/zuring-run: zuring_run.py LIBZMQ

Each check starts it as a user would, and looks at what the program it ran saw and said, or at what it says about programs
that cannot be run on zuring. Closes with `N passed, N failed, N skipped`.
"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

LIBRARY = os.path.abspath(sys.argv[1])
RUN = str(pathlib.Path(__file__).resolve().parent.parent / "tools" / "zuring-run")
PYTHON = "/usr/bin/python3"
CC = os.environ.get("CC", "cc").split()
CLEAN = {key: value for key, value in os.environ.items()
         if key not in ("LD_LIBRARY_PATH", "LD_PRELOAD") and not key.startswith("ZURING_")}
ENVIRONMENT = """
import os
print(*(f"{name}={value}" for name, value in os.environ.items() if name.startswith(("ZURING_", "LD_"))), sep="\\n")
"""
OWN_LIBRARY = "import zmq; print(*{l.split()[-1] for l in open('/proc/self/maps') if '/libzmq.so' in l})"
USER = """
#include <stdio.h>
int zmq_errno(void);
int main(void)
{
    char line[4096];
    FILE *maps = zmq_errno() ? NULL : fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (__builtin_strstr(line, ".so"))
            fputs(line, stdout);
    return 0;
}
"""


class Skip(Exception):
    pass


def run(*words, library=True, **more):
    options = ["--library", os.path.dirname(LIBRARY)] if library else []
    return subprocess.run([RUN, *options, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          timeout=60, env={**CLEAN, **more})


def compiled(folder, name, *flags, source=USER):
    (folder / "user.c").write_text(source, encoding="utf-8")
    program = folder / name
    subprocess.run([*CC, str(folder / "user.c"), "-o", str(program), *flags], check=True)
    return program


def user(folder, name="user", *flags):
    return compiled(folder, name, f"-L{os.path.dirname(LIBRARY)}", "-l:libzmq.so.5", "-Wl,--allow-shlib-undefined", *flags)


def exit_codes_pass(_):
    assert run("sh", "-c", "exit 7").returncode == 7
    assert run("true").returncode == 0 and run("false").returncode == 1


def signals_pass(_):
    assert run("sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM
    # It becomes the program: a signal to it is one to the program. SIGPIPE is as it was, though Python ignores it.
    process = subprocess.Popen([RUN, "--library", os.path.dirname(LIBRARY), "sh", "-c", "echo $$; kill -PIPE $$; exit 1"],
                               stdout=subprocess.PIPE, text=True, env=CLEAN)
    assert process.communicate(timeout=60)[0].strip() == str(process.pid)
    assert process.returncode == -signal.SIGPIPE, process.returncode


def arguments_pass(_):
    done = run("--inline", "sh", "-c", 'printf "%s|" "$0" "$@"', "--spin", "-v", "--", "a b", "")
    assert done.stdout == "--spin|-v|--|a b||", done.stdout
    assert done.stderr == "", done.stderr


def standard_streams_pass(_):
    done = subprocess.run([RUN, "--library", os.path.dirname(LIBRARY), "cat"], input="through", stdout=subprocess.PIPE,
                          text=True, check=True, env=CLEAN, timeout=60)
    assert done.stdout == "through"


def options_are_the_environment(_):
    said = run("--inline", "--spin", "50", "--shards", "2", "--cpus", "0,1", "--flush-bytes", "4096", "--flush-us", "7",
               PYTHON, "-c", ENVIRONMENT, LD_LIBRARY_PATH="/else").stdout.split("\n")
    for line in ("ZURING_DRIVE=inline", "ZURING_SPIN_US=50", "ZURING_SHARDS=2", "ZURING_CPUS=0,1",
                 "ZURING_FLUSH_BYTES=4096", "ZURING_FLUSH_US=7", f"LD_LIBRARY_PATH={os.path.dirname(LIBRARY)}:/else"):
        assert line in said, (line, said)


def environment_counts_without_options(_):
    assert "ZURING_DRIVE=inline" in run(PYTHON, "-c", ENVIRONMENT, ZURING_DRIVE="inline").stdout
    assert "ZURING_DRIVE=background" in run("--background", PYTHON, "-c", ENVIRONMENT, ZURING_DRIVE="inline").stdout


def python_runs_on_zuring(_):
    assert os.path.realpath(run(PYTHON, "-c", OWN_LIBRARY).stdout.strip()) == os.path.realpath(LIBRARY)


def linked_programs_run_on_zuring(folder):
    done = run(str(user(folder)))
    assert LIBRARY in done.stdout and done.stderr == "" and done.returncode == 0, done


def jemalloc_where_it_helps(folder):
    program = str(user(folder))
    if not list(pathlib.Path("/usr/lib").glob("*/libjemalloc.so.2")):
        raise Skip("no libjemalloc.so.2 is installed")
    assert "libjemalloc.so.2" in run(program).stdout
    assert "libjemalloc" not in run("--no-jemalloc", program).stdout
    assert "LD_PRELOAD" not in run(PYTHON, "-c", ENVIRONMENT).stdout, "not for who loads extensions"
    assert "libjemalloc" in run("--jemalloc", PYTHON, "-c", ENVIRONMENT).stdout
    assert "LD_PRELOAD=libtcmalloc" in run("--jemalloc", "cat", "/proc/self/environ", LD_PRELOAD="libtcmalloc.so.9").stdout


def verbose_tells_what_is_in_use(folder):
    program = str(user(folder))
    done = run("-v", program)
    assert done.stderr.count("\n") == 1, done.stderr
    for words in (f"library {LIBRARY}", "driver io_uring", "drive background", "spin where it pays"):
        assert words in done.stderr, (words, done.stderr)
    done = run("-v", "--inline", "--spin", "50", program)
    for words in ("driver epoll", "drive inline", "spin 50 "):
        assert words in done.stderr, (words, done.stderr)


def verbose_tells_what_was_not_understood(folder):
    assert "ZURING_SPIN_US=much" in run("-v", "--spin", "much", str(user(folder))).stderr


def warns_of_another_library(folder):
    """A folder whose libzmq.so.5 is no zuring, as the probe finds out."""
    other = folder / "other"
    other.mkdir()
    compiled(other, "libzmq.so.5", "-shared", "-fPIC", source="int nothing;\n")
    done = subprocess.run([RUN, "--library", str(other), "-v", "true"], stderr=subprocess.PIPE, text=True, env=CLEAN,
                          check=False, timeout=60)
    assert "WARNING: no process in this environment can load" in done.stderr and done.returncode == 0, done.stderr


def warns_of_static_programs(folder):
    program = compiled(folder, "static", "-static", source="int main(void) { return 3; }\n")
    done = run(str(program))
    assert "WARNING" in done.stderr and "statically" in done.stderr and done.returncode == 3, done


def warns_of_setuid_programs(folder):
    if os.getuid() != 0:
        raise Skip("only root can give a program to somebody else")
    program = user(folder, "setuid")
    os.chown(program, 65534, 65534)
    os.chmod(program, 0o4755)
    done = run(str(program))
    assert "WARNING" in done.stderr and "setuid" in done.stderr, done


def warns_of_run_paths(folder):
    copy = folder / "own"
    copy.mkdir()
    (copy / "libzmq.so.5").write_bytes(pathlib.Path(LIBRARY).read_bytes())
    done = run(str(user(folder, "bound", "-Wl,--disable-new-dtags", f"-Wl,-rpath,{copy}")))
    assert "WARNING" in done.stderr and f"insists on {copy}" in done.stderr, done


def scripts_are_their_interpreters(folder):
    script = folder / "script"
    script.write_text(f"#!{user(folder)}\n", encoding="utf-8")
    script.chmod(0o755)
    done = run("-v", str(script))
    assert "does not link" not in done.stderr and LIBRARY in done.stdout, done


def notes_what_it_cannot_know(_):
    done = run("-v", "true")
    assert "; note: " in done.stderr and "does not link libzmq.so.5" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert run("true").stderr == "", "silent when not asked"


def own_failures_have_own_codes(folder):
    for words, code in (([], 125), (["--nonsense", "true"], 125), (["--inline", "--background", "true"], 125),
                        (["no-such-program-at-all"], 127), ([str(folder)], 126), ([__file__ + "/"], 127)):
        done = run(*words)
        assert done.returncode == code and done.stderr.startswith("zuring-run: "), (words, done)
    done = run("--library", str(folder), "true", library=False)
    assert done.returncode == 125 and "no libzmq.so.5" in done.stderr, done
    text = folder / "text"
    text.write_text("no program", encoding="utf-8")
    text.chmod(0o755)
    assert run(str(text)).returncode == 126


def what_it_cannot_look_into_is_left_to_exec(folder):
    script = folder / "script"
    script.write_text("#!/no/such\n", encoding="utf-8")
    script.chmod(0o755)
    done = run(str(script))
    assert done.returncode == 126 and done.stderr.startswith("zuring-run: ") and done.stderr.count("\n") == 1, done
    dark = user(folder, "dark")  # may be run, not read, unless by root
    dark.chmod(0o111)
    done = run(str(dark))
    assert done.returncode == 0 and LIBRARY in done.stdout and done.stderr == "", done


def help_is_there(_):
    done = run("--help", library=False)
    assert done.returncode == 0
    for words in ("--inline", "--spin", "--cpus", "examples:"):
        assert words in done.stdout, words


def found_from_an_installed_place(folder):
    (folder / "bin").mkdir()
    (folder / "lib/zuring").mkdir(parents=True)
    os.symlink(LIBRARY, folder / "lib/zuring/libzmq.so.5")
    installed = folder / "bin/zuring-run"
    installed.write_bytes(pathlib.Path(RUN).read_bytes())
    installed.chmod(0o755)
    done = subprocess.run([str(installed), PYTHON, "-c", ENVIRONMENT], stdout=subprocess.PIPE, text=True, check=True,
                          env=CLEAN, timeout=60)
    assert f"LD_LIBRARY_PATH={folder}/lib/zuring" in done.stdout, done.stdout


CHECKS = [value for value in list(globals().values()) if callable(value) and getattr(value, "__code__", None)
          and value.__code__.co_varnames[:1] in (("_",), ("folder",)) and value not in (compiled, user)]


def main():
    passed = failed = skipped = 0
    for check in CHECKS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(pathlib.Path(folder))
                passed += 1
            except Skip as why:
                print(f"skipped: {check.__name__}: {why}")
                skipped += 1
            except (AssertionError, subprocess.SubprocessError, OSError) as error:
                print(f"FAILED: {check.__name__}: {type(error).__name__}: {error}")
                failed += 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return failed != 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
