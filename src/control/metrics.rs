//! `GET /metrics`: the counters in Prometheus's text format, version 0.0.4.
//!
//! Names follow Prometheus's conventions: the unit at the end, `_total` for what only grows. What a shard counts is
//! labelled with its number, so nothing is there twice: sums are for who asks.

use std::fmt::Write as _;

use hyper::StatusCode;

use crate::shard::stats::{ShardStats, Stats};

use super::memory;
use super::reply::{self, Reply};
use super::router::State;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// A family of what each shard counts.
struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    from: From,
}

/// Which fields of [`ShardStats`] are in a family.
enum From {
    /// This one.
    Field(&'static str),
    /// This one, which is in nanoseconds and shown in seconds.
    Nanos(&'static str),
    /// Those whose name begins so; what follows it is the value of this label.
    Split(&'static str, &'static str),
}

const SHARD: &[Family] = &[
    Family::gauge("connections", "Open WebSocket connections.", From::Field("connections")),
    Family::gauge(
        "sockets",
        "Connections in any state, handshakes and closing ones included.",
        From::Field("sockets"),
    ),
    Family::gauge("rooms", "Rooms with members on the shard.", From::Field("rooms")),
    Family::gauge("memberships", "Members of all rooms.", From::Field("memberships")),
    Family::gauge("queue_bytes", "Bytes that wait to be sent.", From::Field("queue_bytes")),
    Family::gauge(
        "shard_memory_bytes",
        "Memory of the shard's own structures, without what waits to be sent.",
        From::Field("memory"),
    ),
    Family::gauge(
        "loop_lag_seconds",
        "How long a turn of the loop lasts, mean of the last turns.",
        From::Nanos("loop_lag_ns"),
    ),
    Family::gauge(
        "loop_lag_max_seconds",
        "The longest turn of this second and the one before.",
        From::Nanos("loop_lag_max_ns"),
    ),
    Family::counter("opened_total", "Connections that were opened.", From::Field("opened")),
    Family::counter(
        "closed_total",
        "Connections that ended, by close code; 1006 if there was none.",
        From::Split("closed_", "code"),
    ),
    Family::counter(
        "answers_total",
        "Requests that were answered without an upgrade, by status.",
        From::Split("answered_", "status"),
    ),
    Family::counter("messages_received_total", "Messages received.", From::Field("messages_in")),
    Family::counter(
        "messages_sent_total",
        "Messages queued for sending, one for each receiver.",
        From::Field("messages_out"),
    ),
    Family::counter("received_bytes_total", "Bytes read.", From::Field("bytes_in")),
    Family::counter("sent_bytes_total", "Bytes written.", From::Field("bytes_out")),
    Family::counter(
        "sends_total",
        "Calls of the system by which bytes were sent.",
        From::Field("sends"),
    ),
    Family::counter(
        "dropped_total",
        "Messages dropped: slow_consumer, new or old by policy, gone with the connection.",
        From::Split("dropped_", "reason"),
    ),
    Family::counter(
        "slow_consumers_total",
        "Connections closed because they did not take what was pushed.",
        From::Field("slow_consumers"),
    ),
    Family::counter(
        "violations_total",
        "Connections failed because the peer broke the protocol.",
        From::Field("violations"),
    ),
    Family::counter("timeouts_total", "Connections cut by a timeout.", From::Field("timeouts")),
    Family::counter("handler_panics_total", "Handlers that panicked.", From::Field("panics")),
    Family::counter(
        "joins_refused_total",
        "Joins refused because the connection was in as many rooms as it may be.",
        From::Field("joins_refused"),
    ),
    Family::counter(
        "mailbox_full_total",
        "Calls that found the shard's mailbox full.",
        From::Field("mailbox_full"),
    ),
    Family::counter("turns_total", "Turns of the loop.", From::Field("turns")),
];

/// Fields that others add up to.
#[cfg(test)]
const SUMS: &[&str] = &["answered", "dropped"];

impl Family {
    const fn gauge(name: &'static str, help: &'static str, from: From) -> Family {
        Family { name, kind: Kind::Gauge, help, from }
    }

    const fn counter(name: &'static str, help: &'static str, from: From) -> Family {
        Family { name, kind: Kind::Counter, help, from }
    }
}

impl From {
    /// What this takes of a field: the value of the label there is, and the number as it is shown.
    fn take<'n>(
        &self,
        name: &'n str,
        value: u64,
    ) -> Option<(Option<(&'static str, &'n str)>, f64)> {
        match self {
            From::Field(field) => (*field == name).then_some((None, value as f64)),
            From::Nanos(field) => (*field == name).then_some((None, value as f64 / 1e9)),
            From::Split(prefix, label) => {
                Some((Some((*label, name.strip_prefix(prefix)?)), value as f64))
            }
        }
    }
}

/// Answers a scraper.
pub(super) fn reply(state: &State) -> Reply {
    let stats = state.host.fleet().stats();
    let mut text = Exposition::default();
    text.server(&stats, state.host.is_draining());
    for family in SHARD {
        text.family(family, &stats.shards);
    }
    reply::body(StatusCode::OK, CONTENT_TYPE, text.0)
}

#[derive(Default)]
struct Exposition(String);

impl Exposition {
    /// What is counted for the server as a whole.
    fn server(&mut self, stats: &Stats, is_draining: bool) {
        let (counter, gauge) = (Kind::Counter, Kind::Gauge);
        self.begin("wspoll_build_info", gauge, "Always 1; the version is in the label.");
        self.sample("wspoll_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        self.single("wspoll_draining", gauge, "1 while the server drains.", is_draining.into());
        self.single(
            "wspoll_accepted_total",
            counter,
            "Connections accepted, those that were then refused included.",
            stats.accepted as f64,
        );
        self.single(
            "wspoll_accept_errors_total",
            counter,
            "Accepts that failed, most often for want of descriptors.",
            stats.accept_errors as f64,
        );
        let help = "Connections refused because there were too many, by the setting that says so.";
        self.begin("wspoll_refused_total", counter, help);
        for (reason, count) in [
            ("max_connections", stats.refused_max_connections),
            ("max_connections_per_ip", stats.refused_max_connections_per_ip),
        ] {
            self.sample("wspoll_refused_total", &[("reason", reason)], count as f64);
        }
        let help = "Messages pushed by other threads, one for each call, by for whom they were.";
        self.begin("wspoll_pushes_total", counter, help);
        for (target, count) in
            [("all", stats.pushed_all), ("room", stats.pushed_rooms), ("conn", stats.pushed_conns)]
        {
            self.sample("wspoll_pushes_total", &[("target", target)], count as f64);
        }
        if let Some(bytes) = memory::resident_bytes() {
            let help = "Resident memory of the process.";
            self.single("process_resident_memory_bytes", gauge, help, bytes as f64);
        }
    }

    fn family(&mut self, family: &Family, shards: &[ShardStats]) {
        let name = format!("wspoll_{}", family.name);
        self.begin(&name, family.kind, family.help);
        for (number, shard) in shards.iter().enumerate() {
            let number = number.to_string();
            for (field, value) in shard.iter() {
                let Some((label, value)) = family.from.take(field, value) else { continue };
                let labels: Vec<(&str, &str)> =
                    [("shard", number.as_str())].into_iter().chain(label).collect();
                self.sample(&name, &labels, value);
            }
        }
    }

    fn single(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.begin(name, kind, help);
        self.sample(name, &[], value);
    }

    fn begin(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Values of labels are names and numbers of ours: nothing in them needs escaping.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0 += name;
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_of_a_shard_is_shown_once() {
        for (name, _) in ShardStats::default().iter() {
            let shown = SHARD.iter().filter(|family| family.from.take(name, 0).is_some()).count();
            assert_eq!(shown, usize::from(!SUMS.contains(&name)), "{name}");
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        for family in SHARD {
            let is_total = family.name.ends_with("_total");
            assert_eq!(is_total, matches!(family.kind, Kind::Counter), "{}", family.name);
        }
    }
}
