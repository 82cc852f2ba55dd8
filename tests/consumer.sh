#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# consumer.sh BUILD: what a program sees that finds zuring through pkg-config. Installs the build into a folder of its
# own, builds one small program against it in every way that zuring.pc promises, and runs it. The program passes a
# message through inproc and says whether jemalloc serves its memory. Closes with `N passed, N failed`.
set -euo pipefail

unset LD_LIBRARY_PATH # meson points it at the build, and what is tested here is the installed tree
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok: $name"
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        sed 's/^/    /' "$work/log"
    fi
}

cat >"$work/consumer.c" <<'C'
#include <stdio.h>
#include <string.h>
#include <zmq.h>

/* jemalloc's own; NULL in a process that has none. */
extern int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak));

int main(void)
{
    char text[8] = "";
    void *context = zmq_ctx_new();
    void *pull = zmq_socket(context, ZMQ_PULL);
    void *push = zmq_socket(context, ZMQ_PUSH);
    if (zmq_bind(pull, "inproc://consumer") != 0 || zmq_connect(push, "inproc://consumer") != 0)
        return 1;
    if (zmq_send(push, "zuring", 6, 0) != 6 || zmq_recv(pull, text, sizeof(text), 0) != 6)
        return 2;
    if (strcmp(text, "zuring") != 0)
        return 3;
    if (zmq_close(push) != 0 || zmq_close(pull) != 0 || zmq_ctx_term(context) != 0)
        return 4;
    const char *version = NULL;
    size_t size = sizeof(version);
    if (mallctl == NULL || mallctl("version", &version, &size, NULL, 0) != 0)
        return 5;
    printf("jemalloc %s\n", version);
    return 0;
}
C

check "installs into a folder" env DESTDIR="$work/root" meson install -C "$build" --no-rebuild --quiet
pc=$(find "$work/root" -name zuring.pc)
libdir=${pc%/pkgconfig/zuring.pc}
export PKG_CONFIG_PATH=${pc%/*}

shared() { # EXTRA LINK FLAGS: a shared consumer
    # shellcheck disable=SC2046
    ${CC:-cc} "$work/consumer.c" -o "$work/shared" "$@" $(pkg-config --cflags --libs zuring) &&
        LD_LIBRARY_PATH=$libdir "$work/shared" && LD_LIBRARY_PATH=$libdir ldd "$work/shared" >"$work/ldd" &&
        grep -q "libzuring.so.0 => $libdir" "$work/ldd" && grep -q libjemalloc "$work/ldd"
}
static() { # EXTRA LINK FLAGS: a consumer that has the archive inside
    # shellcheck disable=SC2046
    ${CC:-cc} "$work/consumer.c" -o "$work/static" "$@" $(pkg-config --static --cflags --libs zuring) &&
        "$work/static" && ! grep -q libzuring.so "$work/static"
}
swapped() { # a program linked with the stock library, run with the drop-in in its place
    # shellcheck disable=SC2046
    ${CC:-cc} "$work/consumer.c" -o "$work/swapped" -I"$libdir/../../include/zuring" -I"$libdir/../include/zuring" \
        -L"$libdir/zuring" -lzmq -Wl,--no-as-needed -ljemalloc &&
        LD_LIBRARY_PATH=$libdir/zuring "$work/swapped" &&
        LD_LIBRARY_PATH=$libdir/zuring ldd "$work/swapped" | grep "libzmq.so.5 => $libdir/zuring"
}

old_style() { # a call of ZeroMQ 2.x in a source that says nothing of it
    echo '#include <zmq.h>
int old(void *s, zmq_msg_t *m) { return zmq_send(s, m, ZMQ_NOBLOCK); }' >"$work/old.c"
    # shellcheck disable=SC2046
    ${CC:-cc} -Wall -Werror -c "$work/old.c" -o "$work/old.o" -include zuring/zmq2.h $(pkg-config --cflags zuring)
}

# The headers in C++, calls of 2.x beside those of today, and what they do.
cat >"$work/consumer.cc" <<'C'
#include <zuring/zmq2.h>
#include <zmq_utils.h>
#include <zuring.h>

#include <cstring>

int main()
{
    void *context = zmq_init(1);
    void *from = zmq_socket(context, ZMQ_XREQ), *to = zmq_socket(context, ZMQ_XREQ);
    int64_t hwm = 7;
    if (zmq_setsockopt(to, ZMQ_HWM, &hwm, sizeof hwm) != 0)
        return 1;
    int now = 0;
    size_t size = sizeof now;
    if (zmq_getsockopt(to, ZMQ_RCVHWM, &now, &size) != 0 || now != 7)
        return 2;
    if (zmq_bind(to, "inproc://c++") != 0 || zmq_connect(from, "inproc://c++") != 0)
        return 3;
    zmq_msg_t message;
    if (zmq_msg_init_size(&message, 3) != 0 || !std::memcpy(zmq_msg_data(&message), "old", 3) ||
        zmq_send(from, &message, ZMQ_NOBLOCK) != 0 || zmq_send(from, "new", 3, ZMQ_DONTWAIT) != 3)
        return 4;
    zmq_pollitem_t item = {to, 0, ZMQ_POLLIN, 0};
    char text[3];
    if (zmq_poll(&item, 1, 10000 * ZMQ_POLL_MSEC) != 1 || zmq_recv(to, text, sizeof text, 0) != 3 ||
        std::memcmp(text, "old", 3) != 0)
        return 5;
    if (zmq_recv(to, &message, 0) != 0 || zmq_msg_size(&message) != 3 ||
        std::memcmp(zmq_msg_data(&message), "new", 3) != 0)
        return 6;
    return zmq_msg_close(&message) | zmq_close(from) | zmq_close(to) | zmq_term(context);
}
C
cplusplus() {
    # shellcheck disable=SC2046
    g++ -std=c++17 -Wall -Wextra -pedantic -Werror "$work/consumer.cc" -o "$work/cplusplus" \
        $(pkg-config --cflags --libs zuring) && LD_LIBRARY_PATH=$libdir "$work/cplusplus"
}

check "pkg-config knows zuring" pkg-config --exists zuring
check "programs of ZeroMQ 2.x" old_style
if [ -n "${CI:-}" ] || command -v g++ >/dev/null; then
    check "C++, old calls and new ones" cplusplus
else
    echo "(no g++ here: not tried in C++)"
fi
check "shared" shared
check "shared, with a linker that drops unused libraries" shared -Wl,--as-needed
check "fully static" static -static
check "drop-in by LD_LIBRARY_PATH" swapped
rm -f "$libdir"/libzuring.so*
check "static zuring, the rest shared" static

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
