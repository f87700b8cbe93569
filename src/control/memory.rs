//! `GET /debug/memory`: where the memory is.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::shard::stats::ShardStats;

use super::reply::{self, Reply};
use super::router::State;

/// What the process has in memory (RSS), in bytes. `None` where the system has no /proc to tell.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Answers with the process's memory and that of each shard: what its structures hold, what waits to be sent, and how
/// much there is of what they hold it for.
pub(super) fn reply(state: &State) -> Reply {
    let stats = state.host.fleet().stats();
    let answer = json!({
        "resident_bytes": resident_bytes(),
        "total": shard(&stats.total),
        "shards": stats.shards.iter().map(shard).collect::<Vec<_>>(),
    });
    reply::json(StatusCode::OK, &answer)
}

fn shard(stats: &ShardStats) -> Value {
    json!({
        "structures_bytes": stats.memory,
        "queue_bytes": stats.queue_bytes,
        "sockets": stats.sockets,
        "rooms": stats.rooms,
        "memberships": stats.memberships,
    })
}
