#!/usr/bin/env bash
# Measures wspoll beside a plain TCP echo loop on epoll (raw-epoll) and an unchecked WebSocket loop (limit-ws), both in C:
# interleaved rounds, the server on one CPU and the load generator on another, every echo checked. README.md tells how to
# read the tables.
#
#   run.sh [--scenario x,y] [--only a,b] [--rounds N] [--secs T] [--warm W] [--server 'name | kind | port | command']...
#          [--noise PCT] [--retries N] [--wait-quiet SEC] [--out FILE.tsv]
#
# Scenarios: echo32d1 echo32 echo1k echo64k (the default, with idle), echo1ku echo64kt echo10k; pushes: fanout (one room of
# 5,000), fanout64 (64 rooms), last (10,000 receivers, one broadcast at a time), paced and stalled (9,900 receivers, 20
# broadcasts a second; in stalled, 100 more that never read), trickle (1,000 receivers, 100 messages a second to each).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
BIN=$("$here/build.sh") || exit 1
TARGET=$(dirname "$BIN")
server_cpu=${SERVER_CPU:-0}
load_cpu=${LOAD_CPU:-1}
only='' scenarios=echo32d1,echo32,echo1k,echo64k,idle rounds=3 secs=3 warm=1
noise=10 retries=3 wait_quiet=60 out=$BIN/results.tsv added=()
while [ $# -gt 0 ]; do
    case $1 in
    --scenario) scenarios=$2 ;;
    --only) only=$2 ;;
    --rounds) rounds=$2 ;;
    --secs) secs=$2 ;;
    --warm) warm=$2 ;;
    --server) added+=("$2") ;;
    --noise) noise=$2 ;;
    --retries) retries=$2 ;;
    --wait-quiet) wait_quiet=$2 ;;
    --out) out=$2 ;;
    *)
        sed -n '2,11s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
    esac
    shift 2
done

load_of() { # scenario -> arguments of wsload
    case $1 in
    echo32d1) echo "echo -c 64 -s 32 -d 1" ;;
    echo32) echo "echo -c 64 -s 32 -d 32" ;;
    echo1k) echo "echo -c 64 -s 1024 -d 16" ;;
    echo1ku) echo "echo -c 64 -s 1024 -d 16 -u" ;;
    echo64k) echo "echo -c 64 -s 65536 -d 2 -b" ;;
    echo64kt) echo "echo -c 64 -s 65536 -d 2 -u" ;;
    echo10k) echo "echo -c 10000 -s 128 -d 1" ;;
    idle) echo "idle -c 15000 -s 128 -T" ;;
    fanout) echo "fanout -P /broadcast -c 5000 -s 128 -d 4" ;;
    fanout64) echo "fanout -P /broadcast -c 5000 -s 128 -d 4 -R 64" ;;
    last) echo "fanout -P /broadcast -c 10000 -s 128 -d 1" ;;
    paced) echo "fanout -P /broadcast -c 9900 -s 128 -d 64 -r 20" ;;
    stalled) echo "fanout -P /broadcast -c 9900 -s 128 -d 64 -r 20 -Z 100" ;;
    trickle) echo "fanout -P /broadcast -c 1000 -s 128 -d 64 -r 100" ;;
    *) return 1 ;;
    esac
}

IFS=, read -ra chosen <<<"$scenarios"
for scenario in "${chosen[@]}"; do
    load_of "$scenario" >/dev/null || { echo "run.sh: no scenario $scenario" >&2; exit 2; }
done
# A stranger's soft limit is often 1,024 files; both sides need 15,000 for idle.
ulimit -n "$(ulimit -Hn)"

trim() { local s=${1#"${1%%[![:space:]]*}"}; printf %s "${s%"${s##*[![:space:]]}"}"; }
names=() kinds=() ports=() commands=()
while IFS='|' read -r name kind port command; do
    name=$(trim "$name") kind=$(trim "$kind") port=$(trim "$port") command=$(trim "$command")
    case $name in '' | \#*) continue ;; esac
    [ -n "$only" ] && [[ ,$only, != *,$name,* ]] && continue
    command=${command//\$PORT/$port}
    command=${command//\$BIN/$BIN}
    command=${command//\$TARGET/$TARGET}
    command -v "${command%% *}" >/dev/null || { echo "run.sh: $name is not built, left out" >&2; continue; }
    names+=("$name") kinds+=("$kind") ports+=("$port") commands+=("$command")
done < <(cat "$here/servers.conf"; printf '%s\n' "${added[@]:-}")
[ ${#names[@]} -gt 0 ] || { echo "run.sh: no server selected" >&2; exit 2; }

server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null' EXIT
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Waits until the machine is idle: below 12 % of one CPU over half a second, at most wait_quiet seconds.
busy() { awk '/^cpu /{print $2+$3+$4+$7+$8+$9}' /proc/stat; }
calm() {
    local start=$SECONDS before after
    while [ $((SECONDS - start)) -lt "$wait_quiet" ]; do
        before=$(busy)
        sleep 0.5
        after=$(busy)
        [ $((after - before)) -le 6 ] && return
    done
}

start() { # index: starts that server and waits until it listens
    local i=$1 tries
    # shellcheck disable=SC2086  # the command is a line of words
    taskset -c "$server_cpu" ${commands[$i]} >"$BIN/${names[$i]}.log" 2>&1 &
    server=$!
    for ((tries = 0; tries < 100; tries++)); do
        listening "${ports[$i]}" && return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    echo "run.sh: ${names[$i]} does not listen; see $BIN/${names[$i]}.log" >&2
    return 1
}
stop() {
    kill -9 "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=
}

measure() { # index scenario round
    local i=$1 scenario=$2 round=$3 load line foreign try
    load=$(load_of "$scenario")
    case ${kinds[$i]} in
    raw) [[ $load == echo* ]] || return 0; load=raw${load#echo} ;;
    ws-) [[ $load == fanout* ]] && return 0 ;;
    ws1) [[ $load == *-R* ]] && return 0 ;;
    esac
    # The load generator spins (-x), or waking it would be charged to the server.
    if [[ $scenario == idle ]]; then load="$load -t 1"; else load="$load -t $secs -w $warm -x"; fi
    for ((try = 0; try <= retries; try++)); do
        calm
        if listening "${ports[$i]}"; then
            echo "run.sh: port ${ports[$i]} is taken, ${names[$i]} left out" >&2
            return 0
        fi
        line=
        if start "$i"; then
            # shellcheck disable=SC2086
            line=$(timeout 120 taskset -c "$load_cpu" "$BIN/wsload" $load -p "${ports[$i]}" -S "$server" -m 2>&1 | grep '^RESULT' | tail -1)
        fi
        stop
        printf '%s\t%s\t%s\t%s\t%s\n' "$scenario" "$round" "${names[$i]}" "$try" "${line:-RESULT failed}" >>"$out"
        printf '%-9s round %s  %-12s %s\n' "$scenario" "$round" "${names[$i]}" \
            "$(grep -oE '(msgs_s|srv_ns_msg|p50_us|p99_us|each_p99_us|late|errs|foreign|bytes_per_conn|conn_rate)=[^ ]*' <<<"$line" | tr '\n' ' ')"
        # Others used the CPUs: once more.
        foreign=$(sed -n 's/.*foreign=\(-\{0,1\}[0-9.]*\).*/\1/p' <<<"$line")
        [ -n "$foreign" ] && awk "BEGIN{exit !($foreign > $noise)}" || break
    done
}

: >"$out"
for scenario in "${chosen[@]}"; do
    for ((round = 1; round <= rounds; round++)); do
        for i in "${!names[@]}"; do measure "$i" "$scenario" "$round"; done
    done
done
echo
echo "$(uname -srm), $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores, $(date -u +%F)"
python3 "$here/summary.py" "$out" --noise "$noise"
