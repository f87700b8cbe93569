//! CPU profiles by the admin listener: a picture, or what `go tool pprof` reads.

#![cfg(all(unix, target_pointer_width = "64", feature = "profile"))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use support::admin::{self, Admin};
use support::wire::Answer;
use support::{Probe, Wire};

/// Spends CPU time under a name that a profile shows.
#[inline(never)]
fn a_function_that_is_busy(until: &AtomicBool) -> u64 {
    let mut sum = 1_u64;
    while !until.load(Ordering::Relaxed) {
        for n in 1..10_000_u64 {
            sum = std::hint::black_box(sum.wrapping_mul(n) ^ n);
        }
    }
    sum
}

/// What `ask` is answered while a thread is busy.
fn while_busy(ask: impl FnOnce(&Admin) -> Answer) -> Answer {
    let server = Probe::echo().start_with(|config| config.admin = Some("127.0.0.1:0".to_owned()));
    let admin = Admin::at(server.server.admin_addr().expect("an admin listener"));
    let done = Arc::new(AtomicBool::new(false));
    let busy = thread::Builder::new()
        .name("busy-one".to_owned())
        .spawn({
            let done = Arc::clone(&done);
            move || a_function_that_is_busy(&done)
        })
        .expect("a thread");
    let answer = ask(&admin);
    done.store(true, Ordering::Relaxed);
    busy.join().expect("the busy thread");
    answer
}

// One test: the process has one profiling timer, and others would see each other's samples.
#[test]
fn it_shows_who_is_busy_one_profile_at_a_time() {
    let answer = while_busy(|admin| {
        let mut wires = [Wire::connect(admin.addr), Wire::connect(admin.addr)];
        for wire in &mut wires {
            wire.send(admin.request("GET", "/debug/profile?seconds=1", "", ""));
        }
        assert_eq!(admin.get("/healthz").status, 200, "others are answered meanwhile");
        let [mut a, b] = wires.map(|mut wire| wire.answer());
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        if b.status == 200 {
            a = b;
        }
        a
    });
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/svg+xml")));
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("sandbox allow-scripts;"), "{policy}");
    let svg = admin::text(&answer);
    assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("a_function_that_is_busy"), "its function");
    assert!(svg.contains("busy-one"), "its thread");
    assert!(!svg.contains("perf_signal_handler"), "and not who looked");

    let answer = while_busy(|admin| admin.get("/debug/profile?seconds=1&format=pprof"));
    assert_eq!(answer.status, 200);
    let strings = strings(&answer.body);
    assert_eq!(strings[0], "");
    for wanted in ["samples", "count", "cpu", "nanoseconds", "thread", "busy-one"] {
        assert!(strings.iter().any(|string| string == wanted), "{wanted} in {strings:?}");
    }
    assert!(strings.iter().any(|string| string.contains("a_function_that_is_busy")));
}

/// The table of strings of a profile, whose every field is walked over.
fn strings(mut bytes: &[u8]) -> Vec<String> {
    let mut strings = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        match tag & 7 {
            0 => drop(varint(&mut bytes)),
            2 => {
                let len = varint(&mut bytes) as usize;
                let (field, rest) = bytes.split_at(len);
                bytes = rest;
                if tag >> 3 == 6 {
                    strings.push(String::from_utf8(field.to_vec()).expect("UTF-8"));
                }
            }
            other => panic!("wire type {other}"),
        }
    }
    strings
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for at in 0.. {
        let (first, rest) = bytes.split_first().expect("a byte");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * at);
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}
