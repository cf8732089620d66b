# shellcheck shell=bash
# Finds out how a target can be built on this machine. Sourced by the scripts of this folder, never run; installs nothing.
#
# choose_toolchain TARGET sets
#   CARGO        the cargo to call, as an array: with "zigbuild" where Zig links
#   CARGO_ARGS   what it is given beside its own arguments, "--target" among it, as an array
# and exports what cargo reads from the environment: RUSTC, RUSTFLAGS, the linker and the compiler of LMDB.

# The compiler has to be this new (Cargo.toml says why it can't be older).
readonly NEEDED_RUST=89

# Where setup-debian.sh puts Zig, which links for musl and for old glibc.
zig_home() { printf '%s\n' "${EDGEPOOL_ZIG:-${XDG_DATA_HOME:-$HOME/.local/share}/edgepool-zig}"; }

say() { printf '\n== %s\n' "$*" >&2; }

die() { printf '%s\n' "$*" >&2; exit 1; }

have() { command -v "$1" >/dev/null 2>&1; }

readonly TARGETS="aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf x86_64-unknown-linux-gnu
aarch64-unknown-linux-musl arm-unknown-linux-musleabihf x86_64-unknown-linux-musl"

known_target() {
    local known
    for known in $TARGETS; do [ "$known" != "${1:-}" ] || return 0; done
    die "usage: $0 TARGET, one of:
${TARGETS//[[:space:]]/$'\n'}"
}

is_new_enough() {
    local minor
    minor=$("$1" --version 2>/dev/null | sed -nE 's/^rustc 1\.([0-9]+).*/\1/p')
    [ "${minor:-0}" -ge "$NEEDED_RUST" ]
}

has_std_of() { compgen -G "$("$1" --print sysroot)/lib/rustlib/$2/lib/libstd-*.rlib" >/dev/null; }

has_std_source() { [ -f "$("$1" --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]; }

# A compiler with the standard library's source, which makes smaller programs, or else with the target's compiled one. The
# first in PATH, or Debian's.
choose_rust() {
    local target=$1 rustc
    for need in has_std_source has_std_of; do
        for rustc in rustc /usr/bin/rustc; do
            have "$rustc" && is_new_enough "$rustc" && $need "$rustc" "$target" || continue
            RUSTC=$(command -v "$rustc")
            [ "$need" = has_std_of ] || build_std
            CARGO=("$(dirname "$RUSTC")/cargo")
            export RUSTC
            return
        done
    done
    die "no Rust 1.$NEEDED_RUST or newer that can build for $target: run \"rustup target add $target\" or, on Debian 12, cross/setup-debian.sh"
}

# The standard library is compiled with the program. Its own backtraces are left out: a stripped binary has no names to
# show in them. Compilers that aren't nightly want RUSTC_BOOTSTRAP for this.
build_std() {
    export RUSTC_BOOTSTRAP=1
    CARGO_ARGS+=(-Zbuild-std=std,panic_abort -Zbuild-std-features=)
}

# What compiles LMDB and links: the cross compiler of Debian, the machine's own, or Zig.
choose_linker() {
    local target=$1 gcc variable
    case $target in
        *-musl*) gcc=none ;;
        aarch64-*) gcc=aarch64-linux-gnu-gcc ;;
        armv7-*) gcc=arm-linux-gnueabihf-gcc ;;
        x86_64-*) gcc=x86_64-linux-gnu-gcc ;;
    esac
    if [ -z "${EDGEPOOL_GLIBC:-}" ] && have "$gcc"; then
        variable=${target//-/_}
        export "CC_$variable=$gcc" "CARGO_TARGET_${variable^^}_LINKER=$gcc"
        CARGO+=(build)
        CARGO_ARGS+=(--target "$target")
        return
    fi
    [ -x "$(zig_home)/bin/cargo-zigbuild" ] ||
        die "no linker for $target: run cross/setup-debian.sh on Debian 12, or install ${gcc/none/cargo-zigbuild and ziglang}"
    PATH="$(zig_home)/bin:$PATH"
    export PATH
    # Zig brings its own start files.
    case $target in *-musl*) RUSTFLAGS+=" -C link-self-contained=no" ;; esac
    CARGO+=(zigbuild)
    CARGO_ARGS+=(--target "$target${EDGEPOOL_GLIBC:+.$EDGEPOOL_GLIBC}")
}

# No path of this machine gets into the binary (panics name source files), and no date: two builds are the same to the bit.
set_flags() {
    unset SOURCE_DATE_EPOCH
    local from=("$PWD=." "${CARGO_HOME:-$HOME/.cargo}/registry/src=deps" "$("$RUSTC" --print sysroot)/lib/rustlib/src/rust=rust")
    case "${from[*]}" in *[[:space:]]*[[:space:]]*[[:space:]]*) die "the path of this folder, of CARGO_HOME or of the compiler has a space in it" ;; esac
    # The release aborts at a panic: tables for unwinding would only lie there, 170 kB of them.
    RUSTFLAGS="${from[*]/#/--remap-path-prefix=} -C force-unwind-tables=no"
    export RUSTFLAGS
}

choose_toolchain() {
    local target=$1
    CARGO=() CARGO_ARGS=()
    choose_rust "$target"
    set_flags
    choose_linker "$target"
    say "$target with $("$RUSTC" --version), ${CARGO[-1]}"
}

# The words that run a program of a target here, one a line; nothing for this machine's own.
runner() {
    local emulator sysroot
    case $1 in
        x86_64-*) return ;;
        aarch64-*) emulator=qemu-aarch64-static sysroot=/usr/aarch64-linux-gnu ;;
        arm*) emulator=qemu-arm-static sysroot=/usr/arm-linux-gnueabihf ;;
    esac
    have "$emulator" || die "$emulator is missing: run cross/setup-debian.sh test"
    printf '%s\n' "$emulator"
    case $1 in *-gnu*) printf '%s\n' -L "$sysroot" ;; esac
}

# run_binary TARGET BINARY ARGUMENTS…
run_binary() {
    local words
    mapfile -t words < <(runner "$1")
    "${words[@]}" "${@:2}"
}
