#!/usr/bin/env bash
# Makes the Debian package for a target: cross/deb.sh TARGET   (the targets are those of cross/build.sh)
#
# Prints its path, and nothing else, on stdout. Static targets make a package that depends on no C library.
# EDGEPOOL_VERSION gives it another version than Cargo.toml's; SOURCE_DATE_EPOCH another date than the last commit's.
set -euo pipefail
cd "$(dirname "$0")/.."
. cross/toolchain.sh

known_target "${1:-}"
readonly TARGET=$1
case $TARGET in
    aarch64-*) ARCHITECTURE=arm64 ;;
    arm*) ARCHITECTURE=armhf ;;
    x86_64-*) ARCHITECTURE=amd64 ;;
esac
have dpkg-deb || die "dpkg-deb is missing: packages are made on Debian"
VERSION=${EDGEPOOL_VERSION:-$(sed -nE 's/^version = "(.*)"/\1/p' Cargo.toml | head -n 1)}
# Of the checkout, whoever owns it.
last_commit() { git -c safe.directory='*' log -1 --format="$1"; }
date=${SOURCE_DATE_EPOCH:-$(last_commit %ct)}
MAINTAINER=$(last_commit '%an <%ae>')
binary=$(cross/build.sh "$TARGET")
readonly ARCHITECTURE VERSION MAINTAINER binary
# The package's date; that of the build is not to be seen in it.
export SOURCE_DATE_EPOCH=$date

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
umask 022

# put MODE FILE PATH-IN-THE-PACKAGE
put() { install -D -m "$1" "$2" "$tree/$3"; }

# pressed PATH-IN-THE-PACKAGE: what comes by stdin, compressed the same at any time.
pressed() { mkdir -p "$(dirname "$tree/$1")" && gzip -9n >"$tree/$1"; }

put 755 "$binary" usr/bin/edgepool
put 644 systemd/edgepool.service usr/lib/systemd/system/edgepool.service
put 644 systemd/edgepool.socket usr/lib/systemd/system/edgepool.socket
put 644 cross/deb/edgepool.sysusers usr/lib/sysusers.d/edgepool.conf
put 644 cross/deb/edgepool.json etc/edgepool/edgepool.json
# The program itself knows its manual and its options; an emulator runs one that isn't this machine's.
edgepool() { run_binary "$TARGET" "$binary" "$@"; }
edgepool man | pressed usr/share/man/man1/edgepool.1.gz
mkdir -p "$tree/usr/share/bash-completion/completions"
edgepool completion >"$tree/usr/share/bash-completion/completions/edgepool"

mkdir -p "$tree/usr/share/doc/edgepool"
{
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n'
    sed -nE 's/^Copyright \(c\) /Copyright: /p' LICENSE
    printf 'License: Expat\n'
    sed -n '/^Permission/,$p' LICENSE | sed 's/^$/./; s/^/ /'
} >"$tree/usr/share/doc/edgepool/copyright"
{
    printf 'edgepool (%s) unstable; urgency=medium\n\n' "$VERSION"
    # The newest section, each point on a line, then folded as Debian likes it.
    awk '/^## / && ++section == 2 { exit } /^- / { point = $0; next } /^  / { point = point substr($0, 2); next }
        point { print substr(point, 3); point = "" } END { if (point) print substr(point, 3) }' \
        <(sed 's/^- /\n- /' CHANGELOG.md) |
        while read -r point; do fold -s -w 74 <<<"$point" | sed '1s/^/  * /; 1!s/^/    /; s/ *$//'; done
    printf '\n -- %s  %s\n' "$MAINTAINER" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | pressed usr/share/doc/edgepool/changelog.gz

# The newest version of glibc that the binary asks for is the oldest that it runs with.
depends="systemd | systemd-standalone-sysusers"
case $TARGET in
    *-musl*)
        mkdir -p "$tree/usr/share/lintian/overrides"
        echo "edgepool: statically-linked-binary [usr/bin/edgepool]" >"$tree/usr/share/lintian/overrides/edgepool"
        ;;
    *)
        glibc=$(grep -aoE 'GLIBC_2\.[0-9]+' "$binary" | sort -uV | tail -n 1)
        depends="libc6 (>= ${glibc#GLIBC_}), libgcc-s1 (>= 4.2), $depends"
        ;;
esac
mkdir "$tree/DEBIAN"
cat >"$tree/DEBIAN/control" <<END
Package: edgepool
Version: $VERSION
Architecture: $ARCHITECTURE
Maintainer: $MAINTAINER
Installed-Size: $(du -sk --apparent-size "$tree" | cut -f1)
Depends: $depends
Section: net
Priority: optional
Description: mining pool for one board that pays miners from the coinbase
 Rigs point at it by stratum; it takes block templates from your own litecoind
 and builds the coinbase itself, so that every block pays the miners directly,
 in proportion to their work of the last 24 hours. What a coinbase can't pay is
 carried, to the unit, in a ledger that survives power cuts.
END
echo /etc/edgepool/edgepool.json >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do put 755 "cross/deb/$script" "DEBIAN/$script"; done
(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"

package=${CARGO_TARGET_DIR:-target}/edgepool_${VERSION}_$ARCHITECTURE.deb
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >&2
realpath "$package"
