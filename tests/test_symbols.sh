#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# test_symbols.sh LIBRARY MAP: the shared library exports what its map lists and nothing else, and the map lists
# libzmq's 97 functions. One check per entry and one per export; an entry that ends in * permits what it matches.
# Closes with `N passed, N failed`.
set -euo pipefail

library=$1
map=$2
passed=0 failed=0

check() { # TEXT CONDITION...
    local text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $text"
    fi
}

listed=$(sed -n '/^global:/,/^local:/s/^ *\([a-z_0-9]*\*\{0,1\}\);$/\1/p' "$map")
# An exported name carries @@VERSION if there are versions, and then is no name of the map.
exported=$(nm -D --defined-only "$library" | awk '{print $NF}' | sort -u)
count=$(grep -c '^zmq_[a-z_0-9]*$' <<<"$listed" || true)
check "$map lists $count functions of libzmq, not 97" test "$count" -eq 97

for name in $listed; do
    [[ $name == *'*' ]] || check "$name is not exported" grep -qx "$name" <<<"$exported"
done

is_listed() { # NAME
    local pattern
    for pattern in $listed; do
        # shellcheck disable=SC2053 # the pattern is one
        [[ $1 == $pattern ]] && return 0
    done
    return 1
}

for name in $exported; do
    check "$name is exported and not listed" is_listed "$name"
done

echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
