#!/usr/bin/env bash
# Installs, runs, upgrades, removes and purges the package on a Debian of its own: cross/deb-test.sh
#
# Makes a Debian 12 in a directory (and keeps it in target/ for the next time), boots systemd in it as process 1, and goes through a package's life with a litecoind
# on regtest and a rig: not configured, configured, shares, sandbox, restart under rigs that connect, a stuck process,
# upgrade, removal, purge. The package is this machine's (amd64); those for ARM have the same files and scripts, which
# is checked of any that lie in target/. Needs root and a Debian mirror; some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
. cross/toolchain.sh
. cross/deb/life.sh

[ "$(id -u)" -eq 0 ] || die "needs root, for the namespaces of the system that it boots"
have mmdebstrap || die "mmdebstrap is missing: run cross/setup-debian.sh deb"

readonly TARGET=x86_64-unknown-linux-gnu
package=$(cross/deb.sh $TARGET)
version=$(dpkg-deb -f "$package" Version)
newer=$(EDGEPOOL_VERSION="$version+newer" cross/deb.sh $TARGET)
say "lintian"
lintian --fail-on error --tag-display-limit 0 "$package"
for other in "${CARGO_TARGET_DIR:-target}/edgepool_${version}"_*.deb; do
    diff <(files_of "$package") <(files_of "$other") || die "$other has other files than $package"
done

say "a Debian to install it on"
scratch=$(mktemp -d)
readonly ROOT=$scratch/root
readonly DEBIAN=${CARGO_TARGET_DIR:-target}/debian-12.tar
[ -f "$DEBIAN" ] || {
    mmdebstrap -q --variant=apt --include=systemd,systemd-sysv,dbus,man-db,bash-completion,litecoind bookworm "$scratch/debian.tar"
    mv "$scratch/debian.tar" "$DEBIAN"
}
mkdir "$ROOT"
tar -x -f "$DEBIAN" -C "$ROOT"
cp "$package" "$ROOT/root/edgepool.deb"
cp "$newer" "$ROOT/root/newer.deb"
cross/deb/boot.sh "$ROOT" >"$scratch/console" 2>&1 &
system=$!
end() {
    local status=$?
    [ "$status" -eq 0 ] || { inside journalctl --no-pager -n 40 || cat "$scratch/console"; } >&2
    kill -KILL "$system" 2>/dev/null || true
    wait "$system" 2>/dev/null || true
    find "$(findmnt -n -t cgroup2 -o TARGET | sed -n 1p)/edgepool-boot-$system" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    rm -rf "$scratch"
    exit "$status"
}
trap end EXIT
wait_for 60 "systemd is up" is_up
say "$(inside systemctl --version | sed -n 1p) is process 1"

not_configured
configured
mines
is_confined
restarts_without_refusing_a_rig
is_restarted_when_stuck
is_upgraded_with_its_ledger
is_removed_without_its_ledger_and_comes_back
is_purged
say "the package lives and dies as it should"
