#!/usr/bin/env bash
# Builds a target here, and once more from nothing in another directory, and compares: cross/reproduce.sh TARGET
#
# The same compiler is used for both; its version is printed, and another version makes another binary.
set -euo pipefail
cd "$(dirname "$0")/.."
. cross/toolchain.sh

known_target "${1:-}"
here=$(cross/build.sh "$1")
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar -c --null -T - | tar -x -C "$copy"
there=$(CARGO_TARGET_DIR="$copy/elsewhere" "$copy/cross/build.sh" "$1")
cmp "$here" "$there" || die "the two binaries differ"
echo "the same twice: sha256 $(sha256sum "$here" | cut -d' ' -f1), $(stat -c %s "$here") bytes"
