# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What quickstart, check and .ci/run share: progress lines, packages, the kernel, the build. Sourced, never run.
# Everything can be repeated: what is there already is left as it is. What is missing is named before anything starts.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
    printf '==> [%3ds] %s\n' "$SECONDS" "$*"
}

die() { # LINE...: why, and what to do about it
    printf '\n' >&2
    printf '%s\n' "$@" >&2
    exit 1
}

# Purpose, Debian package, how to see that it is there, and its name on Fedora and Arch.
# c: a command, m: a pkg-config module, h: a header, p: a Python module of /usr/bin/python3, f: a runtime of clang,
# l: a file below /usr/lib
NEEDS='
build   gcc               c:gcc         gcc                gcc
build   libc6-dev         h:stdio.h     glibc-devel        glibc
build   meson             c:meson       meson              meson
build   ninja-build       c:ninja       ninja-build        ninja
build   pkg-config        c:pkg-config  pkgconf            pkgconf
build   python3           c:python3     python3            python
build   liburing-dev      m:liburing    liburing-devel     liburing
build   libsodium-dev     m:libsodium   libsodium-devel    libsodium
build   libjemalloc-dev   m:jemalloc    jemalloc-devel     jemalloc
bench   libzmq3-dev       m:libzmq      zeromq-devel       zeromq
test    libcriterion-dev  m:criterion   criterion-devel    criterion
test    python3-zmq       p:zmq         python3-zmq        python-pyzmq
test    binutils          c:readelf     binutils           binutils
test    curl              c:curl        curl               curl
test    iproute2          c:ip          iproute            iproute2
test    mandoc            c:mandoc      mandoc             mandoc
test    python3-pytest    p:pytest      python3-pytest     python-pytest
test    python3-tornado   p:tornado     python3-tornado    python-tornado
test    python3-gevent    p:gevent      python3-gevent     python-gevent
test    libczmq-dev       m:libczmq     czmq-devel         czmq
test    rsyslog-czmq      l:*/rsyslog/omczmq.so rsyslog-omczmq rsyslog
test    python3-ipykernel p:ipykernel   python3-ipykernel  python-ipykernel
test    xpython           c:xpython     xeus-python        xeus-python
test    php-cli           c:php         php-cli            php
test    php-zmq           l:php/*/zmq.so php-zmq           php-zmq
ci      g++               c:g++         gcc-c++            gcc
ci      clang             c:clang       clang              clang
ci      libclang-rt-dev   f:fuzzer      compiler-rt        compiler-rt
'

need_is_met() { # HOW
    local name=${1#*:}
    case $1 in
    c:*) command -v "$name" >/dev/null ;;
    m:*) command -v pkg-config >/dev/null && pkg-config --exists "$name" ;;
    f:*) [ -e "$(clang -print-file-name="libclang_rt.$name-$(uname -m).a" 2>/dev/null)" ] ;;
    h:*) [ -e "/usr/include/$name" ] ;;
    l:*) compgen -G "/usr/lib/$name" >/dev/null ;;
    p:*) "$(command -v /usr/bin/python3 || echo false)" -c "
import importlib.util, sys
sys.exit(importlib.util.find_spec('$name') is None)" ;;
    esac
}

needs_missing() { # PURPOSE...: the rows of NEEDS for these purposes that are not met
    local purpose debian how fedora arch
    while read -r purpose debian how fedora arch; do
        if [[ -n $purpose && " $* " == *" $purpose "* ]] && ! need_is_met "$how"; then
            echo "$debian $fedora $arch"
        fi
    done <<<"$NEEDS"
}

packages_install() { # PURPOSE...
    local missing debian as_root=()
    missing=$(needs_missing "$@")
    if [ -z "$missing" ]; then
        say "packages: all there"
        return
    fi
    debian=$(cut -d' ' -f1 <<<"$missing" | tr '\n' ' ')
    if ! command -v apt-get >/dev/null; then
        die "zuring installs its packages by itself on Debian and Ubuntu only. Please install, then run this again:" \
            "    Fedora: dnf install $(cut -d' ' -f2 <<<"$missing" | tr '\n' ' ')" \
            "    Arch:   pacman -S $(cut -d' ' -f3 <<<"$missing" | tr '\n' ' ')" \
            "    elsewhere, what Debian calls: $debian"
    fi
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "Some packages are missing, and there is no sudo. Please run as root, then run this again:" \
                "    apt-get install $debian"
        as_root=(sudo)
    fi
    say "packages: installing $debian"
    local log
    log=$(mktemp)
    # shellcheck disable=SC2086
    if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends $debian; } >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        die "apt-get could not install: $debian" "Its last lines stand above, all of them in $log"
    fi
    rm -f "$log"
    missing=$(needs_missing "$@")
    [ -z "$missing" ] || die "Installed, yet still not found: $(cut -d' ' -f1 <<<"$missing" | tr '\n' ' ')" \
        "This system's packages may be too old: zuring is built for Debian 12 or newer."
}

linux_need() {
    [ "$(uname -s)" = Linux ] || die "zuring runs on Linux only (it is built on io_uring); this is $(uname -s)."
}

# Tries io_uring itself, because a version number does not tell what a container or an administrator forbids.
uring_need() {
    local code
    code=$(python3 -c '
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.syscall(425, 2, ctypes.create_string_buffer(120))
print(0 if fd >= 0 else ctypes.get_errno())')
    case $code in
    0) say "io_uring: works on $(uname -r)" ;;
    1 | 13) die "io_uring is forbidden here (error $code). Either of these does it:" \
        "    sysctl kernel.io_uring_disabled must be 0; it is $(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null ||
            echo absent)" \
        "    in a container, its seccomp profile must allow it: docker run --security-opt seccomp=unconfined" ;;
    38) die "This kernel, $(uname -r), has no io_uring: Linux 6.1 (Debian 12) or newer is needed." ;;
    12) die "io_uring got no memory (error 12): raise the limit of locked memory, ulimit -l." ;;
    *) die "io_uring_setup fails with error $code on $(uname -r)." ;;
    esac
}

build() { # FOLDER MESON-OPTION...: configures and compiles; a folder of another day is configured again
    local folder=$1 again=() log
    shift
    log=$(mktemp)
    [ ! -f "$ROOT/$folder/build.ninja" ] || again=(--reconfigure)
    say "$folder: configuring ${*:-with the defaults}"
    if ! meson setup "${again[@]}" "$@" "$ROOT/$folder" "$ROOT" >"$log" 2>&1; then
        if [ ${#again[@]} -ne 0 ]; then
            say "$folder: is stale, starting afresh"
            rm -rf "${ROOT:?}/$folder"
            build "$folder" "$@"
            return
        fi
        tail -n 25 "$log" >&2
        die "meson could not configure $folder; its last lines stand above."
    fi
    rm -f "$log"
    say "$folder: compiling"
    ninja -C "$ROOT/$folder" --quiet || die "$folder does not compile; the compiler's messages stand above."
}

suite_run() { # FOLDER ARGUMENT...: runs the tests of a build, prints failures and the counts of what ran
    local folder=$1 status=0
    shift
    say "$folder: testing"
    meson test -C "$ROOT/$folder" --no-rebuild --num-processes 2 --print-errorlogs "$@" </dev/null || status=$?
    python3 "$ROOT/tools/count.py" "$ROOT/$folder/meson-logs/testlog.json" || status=1
    return "$status"
}
