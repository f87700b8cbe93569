#!/usr/bin/env bash
# System calls per message of wspoll, counted in the kernel by perf over one wsload run of 3 seconds.
#   syscalls.sh [wsload arguments]      default: -c 64 -s 32 -d 1
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$("$here/build.sh")
[ $# -gt 0 ] || set -- -c 64 -s 32 -d 1
port=17210
calls="recvfrom sendto read write readv writev recvmsg sendmsg epoll_wait epoll_pwait epoll_pwait2 epoll_ctl poll ppoll futex
timerfd_settime sched_yield mmap munmap madvise mprotect brk"
events=raw_syscalls:sys_enter
for call in $calls; do events=$events,syscalls:sys_enter_$call; done

ulimit -n "$(ulimit -Hn)"
taskset -c 0 "$(dirname "$bin")/release/wspoll" --listen 127.0.0.1:$port --shards 1 >"$bin/syscalls.log" 2>&1 &
server=$!
trap 'kill -9 $server 2>/dev/null' EXIT
until (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; do
    kill -0 $server 2>/dev/null || { cat "$bin/syscalls.log" >&2; exit 1; }
    sleep 0.05
done
# perf counts from before the connections open: at 64 connections and 3 s that is noise.
perf stat -x, -e "$events" -p $server -o "$bin/syscalls.stat" -- \
    taskset -c 1 "$bin/wsload" echo -p $port "$@" -t 3 -w 0 -x -m >"$bin/syscalls.load"
awk -F, -v result="$(grep ^RESULT "$bin/syscalls.load")" '
    function field(name) { match(result, name "=[0-9.]+"); return substr(result, RSTART + length(name) + 1, RLENGTH - length(name) - 1) }
    BEGIN { messages = field("msgs_s") * field("secs") }
    $3 ~ /raw_syscalls/ { printf "%.3f system calls per message over %d messages\n", $1 / messages, messages; next }
    $3 ~ /sys_enter_/ && $1 / messages >= 0.004 { sub(/.*sys_enter_/, "", $3); printf "  %-14s %.3f\n", $3, $1 / messages }
' "$bin/syscalls.stat"
