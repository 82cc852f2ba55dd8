#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/bare.sh [FOLDER]: a newcomer's first two commands on a bare Debian 12. By hand, as root, with debootstrap; it takes
# 15 minutes or more, and 1.5 GB.
# debootstrap makes the smallest Debian there is in FOLDER (default: a new one, which goes afterwards) from MIRROR, which
# is reached as this machine's apt reaches its own; a clone of this tree, as committed, is laid into it; in there
# tools/quickstart and tools/check run, and nothing else. Mounts are in a namespace of their own and end with the script.
set -euo pipefail

if [ "${1:-}" != --apart ]; then
    exec unshare --mount --propagation private "$0" --apart "$@"
fi
shift
source=$(cd "$(dirname "$0")/.." && pwd)
bare=${1:-$(mktemp -d)}
[ -n "${1:-}" ] || trap 'umount -R "$bare"/{proc,sys,dev} && rm -rf --one-file-system "$bare"' EXIT

[ -e "$bare/bin/bash" ] || debootstrap --variant=minbase bookworm "$bare" "${MIRROR:-http://deb.debian.org/debian}"
apt-config dump Acquire >"$bare/etc/apt/apt.conf.d/99outside"
cp -L /etc/resolv.conf /etc/hosts "$bare/etc/"
mount -t proc proc "$bare/proc"
mount --rbind /sys "$bare/sys"
mount --rbind /dev "$bare/dev"
rm -rf "$bare/root/zuring"
git clone --quiet --no-hardlinks "$source" "$bare/root/zuring"
chroot "$bare" /usr/bin/env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    bash -c 'cd /root/zuring && tools/quickstart && tools/check'
