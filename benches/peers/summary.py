#!/usr/bin/env python3
"""Tables from run.sh's results: summary.py FILE.tsv [--noise PCT]. README.md beside this file tells how to read them.

Exits with 1 when a run failed or an echo came back wrong: its figures mean nothing then.
"""
import argparse
import re
import statistics

TITLES = {
    "echo32d1": "64 connections, 32 B text, depth 1",
    "echo32": "64 connections, 32 B text, depth 32",
    "echo1k": "64 connections, 1 KiB text (ASCII), depth 16",
    "echo1ku": "64 connections, 1 KiB text (1 to 3-byte UTF-8), depth 16",
    "echo64k": "64 connections, 64 KiB binary, depth 2",
    "echo64kt": "64 connections, 64 KiB text (1 to 3-byte UTF-8), depth 2",
    "echo10k": "10,000 connections, 128 B text, depth 1",
    "idle": "15,000 idle connections",
    "fanout": "5,000 connections, 128 B text broadcast to all, 4 outstanding",
    "fanout64": "5,000 connections in 64 rooms, 128 B text published to each room, 4 outstanding in each",
    "last": "10,000 receivers of one 128 B broadcast after the other; p50 and p99 are those of the last receiver",
    "paced": "9,900 receivers, 20 broadcasts of 128 B a second",
    "stalled": "9,900 receivers, 20 broadcasts of 128 B a second, and 100 more that never read",
    "trickle": "1,000 receivers, 100 messages of 128 B a second to each",
}
BASES = ["raw-epoll", "limit-ws", "uws"]


def read(path):
    """{scenario: {server: [run, ...]}} and what went wrong."""
    table, wrong = {}, []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            scenario, number, server, _, result = line.rstrip("\n").split("\t")
            run = dict(re.findall(r"(\w+)=([-\w.]+)", result))
            if "failed" in result or "error" in run or float(run.get("srv_ns_msg", 1)) == 0:
                wrong.append(f"{scenario} round {number}: {server} failed")
                continue
            if int(run.get("errs", 0)):
                wrong.append(f"{scenario} round {number}: {server}: {run['errs']} errors")
            run["round"] = number
            rounds = table.setdefault(scenario, {}).setdefault(server, {})
            # Of the tries of a round, the quietest.
            if number not in rounds or noise_of(run) < noise_of(rounds[number]):
                rounds[number] = run
    for servers in table.values():
        for server, rounds in servers.items():
            servers[server] = list(rounds.values())
    return table, wrong


def noise_of(run):
    """Per cent of a CPU that others used; idle runs are not measured so."""
    return float(run.get("foreign", 0))


def column(runs, key):
    return [float(run[key]) for run in runs]


def median(runs, key):
    return statistics.median(column(runs, key))


def rate(value):
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.1f} k"


def quiet(runs, noise):
    """The runs that count, and whether they were quiet ones."""
    calm = [run for run in runs if noise_of(run) <= noise]
    return (calm, True) if calm else (runs, False)


def ratio(runs, base):
    """Median of the ratios within a round: the machine's own speed drifts from round to round."""
    theirs = {run["round"]: float(run["srv_ns_msg"]) for run in base}
    both = [theirs[run["round"]] / float(run["srv_ns_msg"]) for run in runs if run["round"] in theirs]
    return f"{statistics.median(both):.2f}" if both else "–"


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def echo_table(servers, noise):
    row("server", "messages per CPU second", *(f"× {base}" for base in BASES), "ns per message (min – max)",
        "measured /s", "p50 µs", "p99 µs", "quiet rounds")
    row("---", *["--:"] * (6 + len(BASES)))
    for server, runs in servers.items():
        used, calm = quiet(runs, noise)
        cost = sorted(column(used, "srv_ns_msg"))
        row(server, ("" if calm else "~") + rate(1e9 / median(used, "srv_ns_msg")),
            *(ratio(used, quiet(servers[base], noise)[0]) if base in servers else "–" for base in BASES),
            f"{cost[0]:.0f} – {cost[-1]:.0f}", rate(median(used, "msgs_s")), f"{median(used, 'p50_us'):.0f}",
            f"{median(used, 'p99_us'):.0f}", f"{len(used) if calm else 0} of {len(runs)}")


def idle_table(servers):
    row("server", "bytes per connection after opening", "after one echo each", "a second later", "connections opened /s",
        "server CPU µs per open", "rounds")
    row("---", *["--:"] * 6)
    for server, runs in servers.items():
        keys = ["untouched_bytes_per_conn", "bytes_per_conn", "bytes_per_conn_end", "conn_rate", "srv_us_per_open"]
        row(server, *(f"{median(runs, key):.0f}" for key in keys), len(runs))


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file")
    options.add_argument("--noise", type=float, default=10.0)
    options = options.parse_args()
    table, wrong = read(options.file)
    for scenario, servers in table.items():
        print(f"\n### {scenario}: {TITLES.get(scenario, '')}\n")
        if scenario == "idle":
            idle_table(servers)
        else:
            echo_table(servers, options.noise)
    if wrong:
        raise SystemExit("\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
