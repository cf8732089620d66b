#!/usr/bin/env bash
# Tests a target's code and its daemon under qemu-user: cross/test.sh TARGET [PART…]
#
#   unit     the library's tests, the ledger's (kill -9 among them) and all that need no daemon, as the target's programs
#   daemon   the release binary, run by the emulator, in the tests that drive it with litecoind and rigs: kill -9 included
#   move     a ledger goes from this machine to the target and back by export and import, and no other way
#   short    the daemon killed under load, and "move": what the ordinary test run does
#
# Without a PART: unit, daemon and move. Targets: aarch64-unknown-linux-gnu and armv7-unknown-linux-gnueabihf.
# cross/setup-debian.sh gnu test installs what is needed. An emulator is not a board: nothing is said of speed, of caches
# and of memory order.
set -euo pipefail
cd "$(dirname "$0")/.."
. cross/toolchain.sh

readonly TARGET=${1:-}
case $TARGET in
    aarch64-unknown-linux-gnu | armv7-unknown-linux-gnueabihf) ;;
    *) die "$(sed -n '2,12s/^# \{0,1\}//p' "$0")" ;;
esac
RUNNER=$(runner "$TARGET" | paste -sd ' ')
readonly RUNNER

# Tests whose oracle is a program started beside them, or the sources, gain nothing from an emulator.
readonly UNIT=(--lib --test store --test pool_core --test coin_vectors --test coin_fit --test hostile_bytes
    --test node_samples --test fuzz_corpus --test verify)
readonly DAEMON=(--test real --test restart --test demo --test command_line)
# One measures a crowd in a second process, which it can't start by an emulator; the others hand over a ledger of this machine.
readonly NOT_EMULATED=(--skip a_crowd_of_rigs_is_measured --skip a_check_that_could_not_be_made --skip what_a_ledger_holds_is_printed)

# unit_tests CARGO-ARGUMENTS…
unit_tests() (
    say "tests of $TARGET, as its programs"
    choose_toolchain "$TARGET"
    # The test harness unwinds where the release aborts.
    RUSTFLAGS=${RUSTFLAGS/-C force-unwind-tables=no/}
    [ -z "${RUSTC_BOOTSTRAP:-}" ] || CARGO_ARGS=(-Zbuild-std --target "$TARGET")
    variable=CARGO_TARGET_${TARGET//-/_}
    export "${variable^^}_RUNNER=$RUNNER" EDGEPOOL_RUNNER="$RUNNER"
    "${CARGO[0]}" test --locked "${CARGO_ARGS[@]}" "$@" >&2
)

# daemon_tests CARGO-ARGUMENTS…
daemon_tests() (
    say "tests of this machine, with the daemon of $TARGET"
    EDGEPOOL_BINARY=$(cross/build.sh "$TARGET")
    export EDGEPOOL_BINARY EDGEPOOL_RUNNER="$RUNNER"
    cargo test --locked "$@" >&2
)

# A ledger of the demo's real shares and blocks is the same on both, entry for entry.
ledger_moves() {
    say "a ledger moves to $TARGET and back"
    cargo build --locked >&2
    local here=${CARGO_TARGET_DIR:-target}/debug/edgepool there
    there=$(cross/build.sh "$TARGET")
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    "$here" demo --seconds 20 --data-dir "$scratch/here" >/dev/null
    "$here" ledger export "$scratch/first" --data-dir "$scratch/here"
    target() { run_binary "$TARGET" "$there" "$@"; }
    case $TARGET in
        armv7*)
            if target ledger verify --data-dir "$scratch/here" 2>"$scratch/said"; then die "a 64-bit ledger was opened"; fi
            grep -q 'export' "$scratch/said" || die "it does not say how to move it: $(cat "$scratch/said")"
            map_is_bounded
            ;;
    esac
    target ledger import "$scratch/first" --data-dir "$scratch/there"
    target ledger verify --data-dir "$scratch/there"
    target ledger export "$scratch/second" --data-dir "$scratch/there"
    cmp "$scratch/first" "$scratch/second"
    target demo --seconds 20 --data-dir "$scratch/there" >/dev/null
    target ledger export "$scratch/third" --data-dir "$scratch/there"
    if cmp -s "$scratch/second" "$scratch/third"; then die "nothing was mined on $TARGET"; fi
    "$here" ledger import "$scratch/third" --data-dir "$scratch/back"
    "$here" ledger verify --data-dir "$scratch/back"
    "$here" ledger export "$scratch/fourth" --data-dir "$scratch/back"
    cmp "$scratch/third" "$scratch/fourth"
    say "the same in both directions: $(wc -l <"$scratch/fourth") lines"
}

map_is_bounded() {
    echo '{ "ledger": { "map_mib": 1024 } }' >"$scratch/large.json"
    if target check --config "$scratch/large.json" 2>"$scratch/said"; then die "a map of 1024 MiB was taken"; fi
    grep -q 'ledger.map_mib: must be a whole number from 16 to 512, not 1024' "$scratch/said" || die "$(cat "$scratch/said")"
}

shift
for part in "${@:-unit daemon move}"; do
    for one in $part; do
        case $one in
            unit) unit_tests "${UNIT[@]}" ;;
            daemon) daemon_tests "${DAEMON[@]}" -- "${NOT_EMULATED[@]}" ;;
            move) ledger_moves ;;
            short)
                daemon_tests --test real -- kill
                ledger_moves
                ;;
            *) die "no part is called $one" ;;
        esac
    done
done
say "passed on $TARGET, emulated"
