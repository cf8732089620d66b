#!/usr/bin/env bash
# Boots the image of target/image, or builds it first, on an emulated machine (tests/board): a board's life from the first
# start over an update to a bad one, and ten power cuts amid shares in which what was not flushed is lost.
#
#   cross/image/test.sh            the image of target/image if there is one, else a new one
#   cross/image/test.sh --build    a new one
#
# Needs neither root nor a board. Where Debian's packages or QEMU can't be had it says so and ends with 3: nothing was tested.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/target/image

say() { printf '\n== %s\n' "$*" >&2; }

# An update that is whole, but whose system dies: its kernel finds no program to start with.
make_broken() {
    local work=$out/broken
    rm -rf "$work"
    mkdir -p "$work/root"
    tar -xf "$1" -C "$work" kernel
    (cd "$work/root" && echo . | cpio --quiet -o -H newc) | zstd -q >"$work/initrd"
    echo "broken" >"$work/version"
    (cd "$work" && sha256sum kernel initrd version >SHA256SUMS)
    tar -C "$work" -cf "$out/broken.tar" SHA256SUMS version kernel initrd
    rm -rf "$work"
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    say "SKIPPED: THE IMAGE IS NOT BUILT, because this is no Debian: its packages are what it is made of"
    exit 3
fi
if ! EDGEPOOL_QEMU=$(cross/image/qemu.sh); then
    say "SKIPPED: THE IMAGE IS NOT BOOTED, because QEMU can't be had (see above)"
    exit 3
fi
export EDGEPOOL_QEMU
image=$(find "$out" -maxdepth 1 -name 'edgepool-*.img' 2>/dev/null | head -n 1)
if [ "${1:-}" = --build ] || [ -z "$image" ]; then
    cross/image/build.sh >&2
    image=$(find "$out" -maxdepth 1 -name 'edgepool-*.img')
fi
update=$(find "$out" -maxdepth 1 -name 'edgepool-update-*.tar')
make_broken "$update"
say "booting $(basename "$image") with $("$EDGEPOOL_QEMU" --version | head -n 1)"
export EDGEPOOL_IMAGE=$image EDGEPOOL_UPDATE=$update EDGEPOOL_BROKEN=$out/broken.tar
export EDGEPOOL_UBOOT=$out/tree/usr/lib/u-boot/qemu_arm64/u-boot.bin
# Both at once: an emulated board takes one core of two for most of the time.
cargo test --locked --test board -- --ignored --nocapture
