# shellcheck shell=bash disable=SC2154
# The life of the package on a booted system, step by step. Sourced by cross/deb-test.sh, which says where that is: $ROOT,
# and $system, the process that began it.

readonly REGTEST_ADDRESS=mmjv2METU5E68VeWKkKzgx9oVo4thkSw5x

# inside COMMAND…: runs it in the booted system.
inside() { nsenter --all --target "$(pgrep -P "$system")" -- "$@"; }

# The files of a package, without their sizes and times.
files_of() { dpkg-deb -c "$1" | awk '{ print $1, $2, $6 }' | grep -v lintian; }

# wait_for SECONDS WHAT COMMAND…
wait_for() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || die "waited in vain: $what"
        sleep 0.3
    done
}

is_up() { case $(inside systemctl is-system-running) in running | degraded) ;; *) false ;; esac; }

is_active() { [ "$(inside systemctl is-active edgepool)" = active ]; }

property() { inside systemctl show --value -p "$2" "$1"; }

# says PATTERN COMMAND…: whether it is in what the command prints, all of which is read.
says() {
    local pattern=$1 text
    shift
    text=$("$@") && grep -q -- "$pattern" <<<"$text"
}

# fails WHAT: the last word of a check.
fails() { die "FAILED: $*"; }

call() { inside edgepool call "$@"; }

not_configured() {
    say "installed, and not configured"
    inside dpkg -i /root/edgepool.deb >&2
    [ "$(property edgepool.service ActiveState)" = inactive ] || fails "the service is $(property edgepool.service ActiveState)"
    # A rig that connects makes systemd try; that must come to an end.
    rig_connects || true
    sleep 15
    local tries
    tries=$(inside journalctl -u edgepool --no-pager | grep -c 'payout.address' || true)
    [ "$tries" -ge 1 ] && [ "$tries" -le 15 ] || fails "it was tried $tries times"
    sleep 5
    [ "$(inside journalctl -u edgepool --no-pager | grep -c 'payout.address')" -eq "$tries" ] || fails "it is tried again and again"
    # It exits with 3, as nothing runs.
    local status
    status=$(inside systemctl status --no-pager --full edgepool || true)
    grep -q 'payout.address' <<<"$status" && grep -q 'correct /etc/edgepool/edgepool.json' <<<"$status" || fails "the status does not say what to do: $status"
    [ "$(inside stat -c '%U:%G %a' /etc/edgepool/edgepool.json)" = "root:edgepool 640" ] || fails "the configuration's owner"
    [ -z "$(inside man --warnings edgepool 2>&1 >/dev/null)" ] || fails "the manual has warnings"
    # Justified: between two words there may be more than one space.
    says 'edgepool  *ledger  *verify' inside man edgepool || fails "no manual"
    inside bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader edgepool; complete -p edgepool' >/dev/null ||
        fails "no completion"
}

configured() {
    say "configured, with a litecoind of its own"
    litecoind litecoind -rpcuser=edgepool -rpcpassword=secret -bind=127.0.0.1:19444
    # Without a peer it gives no templates.
    litecoind peer -rpcport=19445 -listen=0 -connect=127.0.0.1:19444
    wait_for 60 "litecoind" node getblockchaininfo
    node generatetoaddress 120 $REGTEST_ADDRESS >/dev/null
    inside sh -c 'umask 027; echo secret >/etc/edgepool/node.password; chgrp edgepool /etc/edgepool/node.password'
    inside sh -c 'cat >/etc/edgepool/edgepool.json' <<END
{ "ledger": { "commit_ms": 20 },
  "pools": [{ "name": "ltc", "coin": "litecoin", "network": "regtest",
    "nodes": [{ "url": "http://127.0.0.1:19443", "user": "edgepool", "password_file": "/etc/edgepool/node.password" }],
    "vardiff": { "start": 0.0000152587890625, "min": 0.0000152587890625, "max": 1 },
    "payout": { "address": "$REGTEST_ADDRESS" } }] }
END
    inside systemctl restart edgepool
    is_active || fails "it does not run"
    wait_for 60 "work for rigs" has_work
}

# litecoind NAME OPTIONS… It keeps the thread of a long poll whose asker is gone; there are as many as there are restarts.
litecoind() {
    inside systemd-run -q --unit "$1" -p "StateDirectory=$1" -p "Environment=HOME=/var/lib/$1" \
        litecoind -regtest -server "-datadir=/var/lib/$1" -dnsseed=0 -discover=0 -rpcthreads=24 -rpcworkqueue=64 "${@:2}"
}

node() { inside litecoin-cli -regtest -rpcuser=edgepool -rpcpassword=secret "$@"; }

has_work() { says '"job_age_s": [0-9]' call getinfo; }

# A rig connects, subscribes, and reads the answer: 1 if it is refused, 2 if there is no answer. In the network of the
# booted system, on this one's bash.
rig_connects() {
    nsenter --net --target "$(pgrep -P "$system")" -- bash -c '
        exec 3<>/dev/tcp/127.0.0.1/3333 || exit 1
        trap "" PIPE
        echo "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"deb-test\"]}" >&3
        read -r -t 20 line <&3 && [[ $line == *result* ]] || exit 2' 2>/dev/null
}

# A rig that mines until so many shares are answered true, and says how many were. A share is one hash, so that any nonce
# will do; about every second one makes a block, and with it a new job.
rig_mines() {
    nsenter --net --target "$(pgrep -P "$system")" -- bash -c '
        exec 3<>/dev/tcp/127.0.0.1/3333
        accepted=0 job= ntime=
        send() { printf "%s\n" "$1" >&3; }
        # Reads up to what is waited for.
        until_line() {
            local line
            while read -r -t 20 line <&3; do
                if [[ $line == *mining.notify\",* ]]; then
                    job=$(sed -E "s/.*\"params\":\[\"([^\"]*)\".*/\1/" <<<"$line")
                    ntime=$(sed -E "s/.*\"([0-9a-f]{8})\",(true|false)\].*/\1/" <<<"$line")
                fi
                [[ $line != *"$1"* ]] || { last=$line; return; }
            done
            return 1
        }
        send "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"deb-test\"]}"
        until_line "\"id\":1,"
        send "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"$2.rig\",\"x\"]}"
        until_line "mining.notify\","
        for ((nonce = 0; accepted < $1 && nonce < 20 * $1; nonce++)); do
            send "{\"id\":9,\"method\":\"mining.submit\",\"params\":[\"$2.rig\",\"$job\",\"$(printf %08x $nonce)\",\"$ntime\",\"$(printf %08x $nonce)\"]}"
            until_line "\"id\":9," || break
            [[ $last != *"\"result\":true"* ]] || ((++accepted))
            # A stale job is soon replaced.
            [[ $last != *"[21,"* ]] || sleep 0.1
        done
        echo $accepted' bash "$1" $REGTEST_ADDRESS
}

# Shares in the ledger.
in_ledger() {
    local info
    info=$(call getpayoutinfo)
    grep -m 1 -oE '"total_shares": [0-9]+' <<<"$info" | tr -dc 0-9
}

mines() {
    say "a rig mines"
    shares=$(rig_mines 20 || true)
    [ "${shares:-0}" -ge 20 ] || fails "$shares shares were answered true"
    [ "$(in_ledger)" = "$shares" ] || fails "the pool counts $(in_ledger) of $shares shares"
}

is_confined() {
    say "the sandbox"
    local pid status
    pid=$(property edgepool.service MainPID)
    status=$(inside cat "/proc/$pid/status")
    grep -qE '^CapBnd:\s0+$' <<<"$status" && grep -qE '^NoNewPrivs:\s1$' <<<"$status" && grep -qE '^Seccomp:\s2$' <<<"$status" ||
        fails "capabilities, privileges or system calls are not confined: $status"
    [ "$(inside stat -c %U "/proc/$pid")" = edgepool ] || fails "its user"
    inside systemd-analyze security --threshold=15 edgepool.service >/dev/null || fails "its exposure is above 1.5"
    inside systemd-analyze verify edgepool.service edgepool.socket || fails "the units have mistakes"
    [ "$(inside stat -c '%U %a' /var/lib/edgepool)" = "edgepool 700" ] || fails "the state directory"
    if inside journalctl -u edgepool --no-pager | grep -E 'files may be open'; then fails "the limit of files"; fi
}

restarts_without_refusing_a_rig() {
    say "restarts under rigs that connect"
    local before connected=0
    before=$(property edgepool.service MainPID)
    (for restarts in 1 2 3 4 5; do inside systemctl restart edgepool; sleep 1; done) &
    local restarting=$!
    while kill -0 $restarting 2>/dev/null; do
        # One that the ending process had already taken in is closed, and connects again.
        rig_connects || [ $? -eq 2 ] || fails "a rig was refused after $connected"
        connected=$((connected + 1))
    done
    wait $restarting
    [ "$(property edgepool.service MainPID)" != "$before" ] || fails "it was not restarted"
    [ "$(in_ledger)" = "$shares" ] || fails "the ledger lost shares"
    say "$connected rigs connected meanwhile, none was refused"
}

is_restarted_when_stuck() {
    say "stuck (SIGSTOP), for the watchdog"
    local before
    before=$(property edgepool.service MainPID)
    inside systemctl kill --signal=STOP edgepool
    wait_for 120 "the watchdog" has_another_process "$before"
    says 'Watchdog timeout' inside journalctl -u edgepool --no-pager || fails "another reason than the watchdog"
    wait_for 60 "it runs again" has_work
    [ "$(in_ledger)" = "$shares" ] || fails "the ledger lost shares"
}

has_another_process() { is_active && [ "$(property edgepool.service MainPID)" != "$1" ]; }

socket_inode() { inside sh -c "awk '\$2 ~ /:0D05\$/ && \$4 == \"0A\" { print \$10 }' /proc/net/tcp"; }

is_upgraded_with_its_ledger() {
    say "upgraded"
    local inode before
    inode=$(socket_inode)
    before=$(property edgepool.service MainPID)
    inside dpkg -i /root/newer.deb >&2
    has_another_process "$before" || fails "the new version does not run"
    [ -n "$inode" ] && [ "$(socket_inode)" = "$inode" ] || fails "the socket was closed"
    inside grep -q regtest /etc/edgepool/edgepool.json || fails "the configuration was replaced"
    wait_for 60 "work for rigs" has_work
    [ "$(in_ledger)" = "$shares" ] || fails "the ledger lost shares"
    inside edgepool ledger verify >&2 || fails "the ledger is not in order"
}

is_removed_without_its_ledger_and_comes_back() {
    say "removed, and installed again"
    inside dpkg -r edgepool >&2
    if inside test -e /usr/bin/edgepool; then fails "the program is still there"; fi
    [ -z "$(socket_inode)" ] || fails "the socket is still open"
    inside test -e /var/lib/edgepool/ledger/data.mdb || fails "the ledger is gone"
    inside dpkg -i /root/newer.deb >&2
    is_active || inside systemctl start edgepool
    wait_for 60 "work for rigs" has_work
    [ "$(in_ledger)" = "$shares" ] || fails "the ledger lost shares"
}

is_purged() {
    say "purged"
    inside dpkg -P edgepool >&2
    [ -z "$(socket_inode)" ] || fails "the socket is still open"
    inside sh -c 'test -e /var/backups/edgepool-*/ledger/data.mdb' || fails "the ledger was destroyed"
    # What man keeps of pages that it has shown is its own.
    local left
    left=$(inside find / -xdev -name '*edgepool*' -not -path '/var/backups/edgepool-*' -not -path '/root/*' -not -path '/var/cache/man/*')
    [ -z "$left" ] || fails "something is left: $left"
    [ -z "$(inside systemctl --failed --plain --no-legend | grep edgepool || true)" ] || fails "a unit is left"
}
