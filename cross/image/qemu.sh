#!/usr/bin/env bash
# Prints the path of a qemu-system-aarch64. One in PATH is used as it is; otherwise Debian's is unpacked in target/image,
# with all its libraries, and nothing is installed: on Debian 12 its package can't stand beside newer QEMU tools.
# Where neither can be had the reason is on stderr, and the exit code is 3.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=cross/image/debian-tree.sh
. cross/image/debian-tree.sh

if command -v qemu-system-aarch64; then exit; fi
place=$PWD/target/image/qemu
program=$place/qemu-system-aarch64
if [ ! -x "$program" ]; then
    rm -rf "$place"
    mkdir -p "$place/tree"
    arch=$(dpkg --print-architecture)
    (
        apt_tree "$arch" "target/image/apt-$arch"
        apt-get install -qq --yes --no-install-recommends --download-only qemu-system-arm >&2
        for package in target/image/apt-"$arch"/archives/*.deb; do dpkg-deb -x "$package" "$place/tree"; done
        apt-get clean
    ) || { echo "QEMU for aarch64 is not in PATH, and can't be had from Debian's packages" >&2; exit 3; }
    loader=$(find "$place/tree/usr/lib" -name 'ld-linux*.so.*' | head -n 1)
    libraries=$(dirname "$(find "$place/tree/usr/lib" -name libc.so.6)")
    cat >"$program.new" <<END
#!/bin/sh
exec "$loader" --library-path "$libraries" "$place/tree/usr/bin/qemu-system-aarch64" -L "$place/tree/usr/share/qemu" "\$@"
END
    chmod +x "$program.new"
    "$program.new" --version >&2 || { echo "QEMU from Debian's packages does not run here" >&2; exit 3; }
    mv "$program.new" "$program"
fi
echo "$program"
