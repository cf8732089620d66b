#!/usr/bin/env bash
# Installs on Debian 12 what the scripts of this folder need: cross/setup-debian.sh [PART…]
#
#   gnu    compilers for aarch64-unknown-linux-gnu and armv7-unknown-linux-gnueabihf
#   musl   Zig, for -musl targets and EDGEPOOL_GLIBC (under ~/.local/share, by pip)
#   test   qemu-user and litecoind, for cross/test.sh
#   lintian, deb   what packages are checked with, and what cross/deb-test.sh installs them on
#
# Without a PART: all. Rust is Debian's (cargo-web, with the source of its standard library), also where rustup is
# installed: both can be used side by side, and a target that rustup has is built with rustup's.
set -euo pipefail
cd "$(dirname "$0")/.."
. cross/toolchain.sh

# The versions that the targets were built with.
readonly ZIG="ziglang==0.15.2" ZIGBUILD="cargo-zigbuild==0.24.1"
readonly RUST=(cargo-web rustc-web rust-web-src ca-certificates gcc libc6-dev)

packages=()
for part in "${@:-all}"; do
    case $part in
        gnu | all) packages+=("${RUST[@]}" gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross) ;;&
        musl | all) packages+=("${RUST[@]}" python3-venv) ;;&
        test | all) packages+=(qemu-user-static libc6-arm64-cross libc6-armhf-cross litecoind) ;;&
        lintian | all) packages+=(lintian) ;;&
        deb | all) packages+=(lintian mmdebstrap systemd) ;;&
        gnu | musl | test | lintian | deb | all) ;;
        *) die "$(sed -n '2,9s/^# \{0,1\}//p' "$0")" ;;
    esac
done
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    say "installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi
case " ${*:-all} " in
    *" musl "* | *" all "*)
        if [ ! -x "$(zig_home)/bin/cargo-zigbuild" ]; then
            say "installing $ZIG and $ZIGBUILD in $(zig_home)"
            python3 -m venv "$(zig_home)"
            "$(zig_home)/bin/pip" install -q --disable-pip-version-check "$ZIG" "$ZIGBUILD"
        fi
        ;;
esac
