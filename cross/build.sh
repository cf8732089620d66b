#!/usr/bin/env bash
# Builds the release binary for a board: cross/build.sh TARGET
#
# Prints its path, and nothing else, on stdout; all else goes to stderr. The targets are those of Rust:
#
#   aarch64-unknown-linux-musl       every 64-bit Pi, no matter which system: one static file
#   arm-unknown-linux-musleabihf     Pi 1 and Zero, and all later ones with a 32-bit system: one static file
#   aarch64-unknown-linux-gnu        64-bit Debian 12 or Raspberry Pi OS bookworm, and newer
#   armv7-unknown-linux-gnueabihf    their 32-bit ones, from Pi 2 on
#   x86_64-unknown-linux-gnu, -musl  a PC
#
# EDGEPOOL_GLIBC=2.28 builds a -gnu target for systems whose glibc is as old as that (with Zig).
# What is missing cross/setup-debian.sh installs.
set -euo pipefail
cd "$(dirname "$0")/.."
. cross/toolchain.sh

known_target "${1:-}"
choose_toolchain "$1"
"${CARGO[@]}" --release --locked --bin edgepool "${CARGO_ARGS[@]}" >&2
binary=${CARGO_TARGET_DIR:-target}/$1/release/edgepool
say "$(stat -c %s "$binary") bytes, sha256 $(sha256sum "$binary" | cut -d' ' -f1)"
realpath "$binary"
