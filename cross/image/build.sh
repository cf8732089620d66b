#!/usr/bin/env bash
# Builds the image for a memory card that turns a Raspberry Pi 3, 4 or Zero 2 into a pool, and the update for boards that
# have one. Needs neither root nor loop devices; downloads about 110 MB of Debian packages once.
#
#   cross/image/build.sh      leaves in target/image/
#
#   edgepool-VERSION.img.xz       for the card
#   edgepool-update-VERSION.tar   for the partition EDGEPOOL of a card
#   SHA256SUMS                    of both
#   packages.txt                  the Debian packages inside, with their versions
#
# EDGEPOOL_STATIC=FILE takes a static aarch64 binary that is there already instead of building it.
# The last line of the output, and the only one on stdout, is the folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=cross/image
out=target/image
# shellcheck source=cross/image/debian-tree.sh
. "$here/debian-tree.sh"

# Sizes in MiB. The boot partition has room for two systems and an update. The rest of a card stays unused: cards wear
# less for it, a ledger has at most 512 MiB of its own, and nothing needs to be resized at the first start.
readonly GAP=4 BOOT=192 DATA=1024
# Most bytes of the compressed image.
readonly LIMIT=$((64 * 1024 * 1024))

say() { printf '\n== %s\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

ensure_tools() {
    local missing=() pair
    for pair in mcopy:mtools mkfs.vfat:dosfstools sfdisk:fdisk mkimage:u-boot-tools depmod:kmod cpio:cpio xz:xz-utils \
        zstd:zstd readelf:binutils mke2fs:e2fsprogs; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "missing: ${missing[*]}; run \"sudo apt-get install ${missing[*]}\""
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# The packages of the list, unpacked in $tree.
fetch_packages() {
    local names
    (
        apt_tree arm64 "$out/apt-arm64"
        kernel=$(apt-cache depends linux-image-arm64 | sed -n 's/^  Depends: //p')
        names=$(sed 's/#.*//; s/^linux-image-arm64$/'"$kernel"'/' "$here/packages")
        # Where none of the files is: apt names only those that it would download.
        # shellcheck disable=SC2086 # a list
        (cd "$out" && apt-get download -q --print-uris $names) | cut -d' ' -f2 >"$out/current"
        cd "$out/debs"
        # What an earlier run left of older versions.
        find . -name '*.deb' -printf '%f\n' | { grep -vxFf ../current || true; } | xargs -r rm
        # shellcheck disable=SC2086
        apt-get download -q $names >&2
    )
    rm -rf "$tree"
    mkdir -p "$tree"
    for package in "$out"/debs/*.deb; do
        dpkg-deb -x "$package" "$tree"
        # shellcheck disable=SC2016 # dpkg's own variables
        dpkg-deb -W --showformat '${Package} ${Version}\n' "$package"
    done | sort >"$out/packages.txt"
    # Kernel tools look for modules below /lib.
    ln -s usr/lib "$tree/lib"
}

# Programs of the tree with all the libraries that they are linked to.
take_programs() {
    local program library queue=()
    for program in "$@"; do
        [ -f "$tree/$program" ] || die "the packages hold no $program"
        install -D "$tree/$program" "$root/$program"
        queue+=("$root/$program")
    done
    while [ ${#queue[@]} -gt 0 ]; do
        program=${queue[0]}
        queue=("${queue[@]:1}")
        for library in $(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p') ld-linux-aarch64.so.1; do
            [ ! -e "$root/lib/$library" ] || continue
            [ -e "$tree/usr/lib/aarch64-linux-gnu/$library" ] || die "$program needs $library, which no package of the list has"
            install -D "$(readlink -f "$tree/usr/lib/aarch64-linux-gnu/$library")" "$root/lib/$library"
            queue+=("$root/lib/$library")
        done
    done
}

take_modules() {
    local module file
    depmod -b "$tree" "$release"
    mkdir -p "$root/lib/modules/$release"
    cp "$tree/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$root/lib/modules/$release/"
    # vfat and ext4 ask for some by name and only at run time.
    # shellcheck disable=SC2013 # one word a line
    for module in $(sed 's/#.*//' "$here/modules"); do
        modprobe -d "$tree" -S "$release" --show-depends "$module" >"$work/depends" ||
            die "this kernel has no module $module; see $here/modules"
        sed -n 's/^insmod \([^ ]*\).*/\1/p' "$work/depends" | while read -r file; do
            local place="$root/lib/modules/$release/${file#*"/modules/$release/"}"
            mkdir -p "$(dirname "$place")"
            # The whole is compressed once more, and better.
            xz -dc "$file" >"${place%.xz}"
        done
    done
    depmod -b "$root" "$release"
    rm "$root/lib/modules/$release"/modules.{builtin.modinfo,order} "$root/lib/modules/$release"/*.bin
}

# The system that lives in memory.
make_initrd() {
    rm -rf "$root"
    mkdir -p "$root"
    cp -r "$here/rootfs/." "$root/"
    install -D "$tree/usr/bin/busybox" "$root/bin/busybox"
    install -D "$daemon" "$root/usr/bin/edgepool"
    take_programs usr/sbin/avahi-daemon usr/sbin/ntpd usr/sbin/ntpctl usr/sbin/e2fsck usr/sbin/dropbear
    # Loaded when a name is looked up.
    for library in libnss_files.so.2 libnss_dns.so.2 libgcc_s.so.1; do
        [ ! -e "$tree/usr/lib/aarch64-linux-gnu/$library" ] ||
            install -D "$(readlink -f "$tree/usr/lib/aarch64-linux-gnu/$library")" "$root/lib/$library"
    done
    take_modules
    install -D "$here/boot/edgepool-example.json" "$root/etc/board/example.json"
    echo "$SOURCE_DATE_EPOCH" >"$root/etc/board/built"
    echo "edgepool $version" >"$root/etc/board/version"
    chmod -R u=rwX,go=rX "$root"
    find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    (cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio --quiet -0 -o -H newc -R 0:0 --reproducible) |
        zstd -q -19 -T0 >"$work/system/initrd"
}

# Kernel and initrd with their sums: what an update holds, and a system's folder on the boot partition.
make_system() {
    mkdir -p "$work/system"
    cp "$tree/boot/vmlinuz-$release" "$work/system/kernel"
    make_initrd
    echo "edgepool $version" >"$work/system/version"
    (cd "$work/system" && sha256sum kernel initrd version >SHA256SUMS)
    tar -C "$work/system" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=ustar \
        -cf "$out/edgepool-update-$version.tar" SHA256SUMS version kernel initrd
}

# The boot partition, FAT: what a Pi's firmware and U-Boot read, and what people see on a laptop.
make_boot() {
    local folder=$work/boot
    mkdir -p "$folder"/{a,state}
    cp "$tree"/usr/lib/raspi-firmware/{bootcode.bin,start.elf,start4.elf,fixup.dat,fixup4.dat} "$folder/"
    cp "$tree"/usr/lib/linux-image-"$release"/broadcom/bcm2837-rpi-{3-b,3-b-plus,3-a-plus,zero-2-w}.dtb "$folder/"
    cp "$tree"/usr/lib/linux-image-"$release"/broadcom/bcm2711-rpi-{4-b,400,cm4-io}.dtb "$folder/"
    cp "$tree/usr/lib/u-boot/rpi_arm64/u-boot.bin" "$folder/"
    cp "$here"/boot/{config.txt,cmdline.txt,edgepool-example.json} "$folder/"
    # For Notepad as well.
    sed 's/$/\r/' "$here/boot/README.txt" >"$folder/README.txt"
    mkimage -A arm64 -T script -C none -n edgepool -d "$here/boot/boot.cmd" "$folder/boot.scr" >/dev/null
    cp "$work"/system/* "$folder/a/"
    find "$folder" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
    rm -f "$work/boot.fat"
    mkfs.vfat -F 32 -n EDGEPOOL --invariant -C "$work/boot.fat" $((BOOT * 1024)) >/dev/null
    mcopy -i "$work/boot.fat" -s -m "$folder"/* ::
}

make_image() {
    local image=$work/image
    mkdir -p "$work/data"
    rm -f "$work/data.ext4" "$image"
    # Half the usual share for root: nobody else writes there.
    mke2fs -q -t ext4 -L edgedata -m 2 -E root_owner=0:0 -d "$work/data" "$work/data.ext4" "${DATA}M"
    truncate -s $((GAP + BOOT + DATA))M "$image"
    sfdisk -q "$image" <<END
label: dos
label-id: 0xed6e9001
start=$((GAP * 2048)), size=$((BOOT * 2048)), type=c, bootable
start=$(((GAP + BOOT) * 2048)), size=$((DATA * 2048)), type=83
END
    dd if="$work/boot.fat" of="$image" bs=1M seek=$GAP conv=notrunc,sparse status=none
    dd if="$work/data.ext4" of="$image" bs=1M seek=$((GAP + BOOT)) conv=notrunc,sparse status=none
    mv "$image" "$out/edgepool-$version.img"
}

export PATH=$PATH:/usr/sbin:/sbin
umask 022
ensure_tools
mkdir -p "$out/debs"
out=$(cd "$out" && pwd)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
commit=$(git describe --always --dirty --exclude '*' 2>/dev/null || true)
version=$version${commit:+-$commit}
tree=$out/tree
work=$out/work
root=$work/root
rm -rf "$work" "$out"/edgepool-*
mkdir -p "$work"

say "the daemon"
daemon=${EDGEPOOL_STATIC:-$(cross/build.sh aarch64-unknown-linux-musl)}
say "Debian's packages"
fetch_packages
release=$(basename "$tree"/usr/lib/modules/*)
say "the system in memory, with Linux $release"
make_system
say "the partitions"
make_boot
make_image
say "compressing"
# More effort would take a minute to save three megabytes.
xz -T0 -1 -k "$out/edgepool-$version.img"
(cd "$out" && sha256sum "edgepool-$version.img.xz" "edgepool-update-$version.tar" >SHA256SUMS)
rm -rf "$work"
size=$(stat -c %s "$out/edgepool-$version.img.xz")
[ "$size" -le "$LIMIT" ] || die "the image has $size bytes, more than $LIMIT"
say "edgepool-$version.img.xz: $size bytes; in $out:"
(cd "$out" && cat SHA256SUMS >&2)
echo "$out"
