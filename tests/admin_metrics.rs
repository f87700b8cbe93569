//! `/metrics` is in Prometheus's text format to the letter, and counts what happened.

#![cfg(feature = "admin")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use wspoll::SlowConsumer;

use support::admin::{self, Admin};
use support::{Frame, Probe, Wire, eventually};

/// A sample: name, labels in their order, value.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// Reads an exposition as strictly as the format's description and Prometheus's own linter do.
///
/// # Panics
///
/// At the first line that is not as it must be.
fn parse(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'), "the last line ends");
    let mut samples = Vec::new();
    let mut families = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut family: Option<(String, String)> = None;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(help.ends_with('.') && !help.contains('\\'), "{line}");
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE "));
            let (typed, kind) = kind.and_then(|kind| kind.split_once(' ')).expect("a type");
            assert_eq!(typed, name, "HELP and TYPE are of one family");
            assert!(is_name(name) && families.insert(name.to_owned()), "{line}");
            assert!(matches!(kind, "counter" | "gauge"), "{kind}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            let is_empty = lines.peek().is_none_or(|next| next.starts_with('#'));
            assert!(!is_empty || name == "wspoll_closed_total", "{name} has samples");
            family = Some((name.to_owned(), kind.to_owned()));
            continue;
        }
        assert!(!line.starts_with('#') && !line.is_empty(), "{line:?}");
        let sample = sample(line);
        let (name, kind) = family.as_ref().expect("a family");
        assert_eq!(sample.name, *name, "samples stand with their family");
        assert!(seen.insert(format!("{}{:?}", sample.name, sample.labels)), "twice: {line}");
        assert!(sample.value.is_finite() && sample.value >= 0.0, "{line}");
        assert!(kind == "gauge" || sample.value.fract() == 0.0, "{line}");
        samples.push(sample);
    }
    samples
}

fn sample(line: &str) -> Sample {
    let (head, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
    let value = value.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
    let Some((name, rest)) = head.split_once('{') else {
        assert!(is_name(head), "{line}");
        return Sample { name: head.to_owned(), labels: Vec::new(), value };
    };
    assert!(is_name(name), "{line}");
    let mut labels = Vec::new();
    for label in rest.strip_suffix('}').expect("a brace").split(',') {
        let (label, text) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        let text = text.strip_suffix('"').unwrap_or_else(|| panic!("{line}"));
        assert!(is_name(label) && !label.contains(':') && !label.starts_with("__"), "{line}");
        assert!(!text.contains(['"', '\\', '\n']), "{line}");
        labels.push((label.to_owned(), text.to_owned()));
    }
    let names: BTreeSet<_> = labels.iter().map(|(label, _)| label).collect();
    assert_eq!(names.len(), labels.len(), "{line}");
    Sample { name: name.to_owned(), labels, value }
}

fn is_name(name: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit())
}

/// The sums of samples over shards, by name and what other labels there are: `closed_total{code=1000}`.
fn sums(admin: &Admin) -> BTreeMap<String, f64> {
    let answer = admin.get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut sums = BTreeMap::new();
    for Sample { name, labels, value } in parse(admin::text(&answer)) {
        let labels: Vec<String> = labels
            .iter()
            .filter(|(label, _)| label != "shard")
            .map(|(label, text)| format!("{label}={text}"))
            .collect();
        let name = name.strip_prefix("wspoll_").unwrap_or(&name);
        let key = if labels.is_empty() {
            name.to_owned()
        } else {
            format!("{name}{{{}}}", labels.join(","))
        };
        *sums.entry(key).or_default() += value;
    }
    sums
}

#[test]
fn what_happened_is_counted() {
    let server = Probe::echo().start_with(|config| {
        config.admin = Some("127.0.0.1:0".to_owned());
        config.shards = 2;
        config.max_connections = 3;
        config.max_outbox_bytes = 64 * 1024;
        config.slow_consumer = SlowConsumer::DropNew;
    });
    let admin = Admin::at(server.server.admin_addr().expect("an admin listener"));
    let first = sums(&admin);
    assert_eq!((first["connections"], first["accepted_total"]), (0.0, 0.0));
    assert_eq!(first[&format!("build_info{{version={}}}", env!("CARGO_PKG_VERSION"))], 1.0);

    let mut bad = Wire::connect(server.addr);
    bad.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(bad.answer().status, 426);
    drop(bad);
    let mut closing = Wire::open(&server);
    closing.echo("0123456789");
    closing.frame(Frame::close(4321, ""));
    closing.expect_close(4321);
    drop(closing);
    let gone = |sums: &BTreeMap<String, f64>| sums["sockets"] == 0.0;
    eventually("the first to have gone", || sums(&admin), gone);

    let _wires: Vec<Wire> = (0..3).map(|_| Wire::open(&server)).collect();
    let mut refused = Wire::connect(server.addr);
    refused.expect_refusal(503);
    server.handle.join(listed_id(&server, &admin, 0), "room").expect("joining");
    admin.post("/push/all", "", r#"{"text":"abc"}"#);
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(1 << 20));
    eventually(
        "a message to be dropped",
        || {
            admin.post("/push/all", "", &body);
            sums(&admin)
        },
        |sums| sums["dropped_total{reason=new}"] > 0.0 && sums["queue_bytes"] > 0.0,
    );
    let last = eventually("a room", || sums(&admin), |sums| sums["rooms"] == 1.0);
    for (name, value) in [
        ("connections", 3.0),
        ("memberships", 1.0),
        ("opened_total", 4.0),
        ("closed_total{code=4xxx}", 1.0),
        ("closed_total{code=1006}", 0.0),
        ("answers_total{status=426}", 1.0),
        ("answers_total{status=503}", 1.0),
        ("refused_total{reason=max_connections}", 1.0),
        ("refused_total{reason=max_connections_per_ip}", 0.0),
        ("accepted_total", 6.0),
        ("accept_errors_total", 0.0),
        ("messages_received_total", 1.0),
        ("draining", 0.0),
        ("handler_panics_total", 0.0),
    ] {
        assert_eq!(last[name], value, "{name} in {last:#?}");
    }
    assert!(last["pushes_total{target=all}"] >= 2.0);
    assert!(last["messages_sent_total"] >= 4.0);
    assert!(last["received_bytes_total"] > 500.0 && last["sent_bytes_total"] > 500.0);
    assert!(last["loop_lag_seconds"] > 0.0 && last["loop_lag_max_seconds"] < 60.0);
    assert!(last["shard_memory_bytes"] > 0.0);
    if cfg!(target_os = "linux") {
        assert!(last["process_resident_memory_bytes"] > 1e6);
    }
    // Counters never go back.
    for (name, value) in first.iter().filter(|(name, _)| name.contains("_total")) {
        assert!(last[name] >= *value, "{name}");
    }
}

/// The id of a connection, from the list.
fn listed_id(server: &support::Running, admin: &Admin, at: usize) -> wspoll::ConnId {
    assert!(server.server.stats().shards.len() > 1);
    let page = eventually(
        "the connections",
        || admin.json("/connections"),
        |page| page["connections"].as_array().is_some_and(|list| list.len() == 3),
    );
    let raw = page["connections"][at]["id"].as_str().and_then(|id| id.parse().ok());
    wspoll::ConnId::from_raw(raw.expect("a number"))
}

#[test]
fn the_reader_is_strict() {
    let good = "# HELP a_total Something.\n# TYPE a_total counter\na_total{x=\"1\",y=\"2\"} 3\n";
    let labels = [("x", "1"), ("y", "2")].map(|(l, t)| (l.to_owned(), t.to_owned())).to_vec();
    assert_eq!(parse(good), [Sample { name: "a_total".to_owned(), labels, value: 3.0 }]);
    for wrong in [
        good.trim_end(),
        "a 1\n",
        "# HELP a Something.\na 1\n",
        "# HELP a Something.\n# TYPE a gauge\nb 1\n",
        "# HELP a Something.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a Something.\n# TYPE a counter\na 1\n",
        "# HELP a Something.\n# TYPE a gauge\na{x=1} 1\n",
        "# HELP a Something.\n# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n",
        "# HELP a Something.\n# TYPE a gauge\na one\n",
        "# HELP a Something.\n# TYPE a gauge\n\na 1\n",
        "# HELP a Something.\n# TYPE a gauge\n# HELP a Something.\n# TYPE a gauge\na 1\n",
    ] {
        assert!(std::panic::catch_unwind(|| parse(wrong)).is_err(), "{wrong}");
    }
}
