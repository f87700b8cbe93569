//! Bad clients: others are served meanwhile, and afterwards memory and descriptors are back where they were.
//!
//! The server is the command, a process of its own, whose memory and files are those of one attack only.

#![cfg(feature = "cli")]

mod support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::command::Server;
use support::frame::BINARY;
use support::wire::request;
use support::{Frame, Wire, eventually, process, tools};

/// By how much the memory may differ between two looks that should see the same: allocators keep some pages.
const SLACK: u64 = 8 << 20;

/// How often an attack is repeated while the server seems to grow. A leak grows every time; that the allocator keeps a
/// few megabytes more from one attack on was seen in one run of four, and does not come again.
const WINDOWS: usize = 3;

/// Runs an attack four times against a server, beside a connection that goes on echoing.
///
/// The server may grow to its working size (pools, slabs, what the allocator keeps), but not from attack to attack.
fn withstands(arguments: &[&str], attack: impl Fn(SocketAddr)) {
    let server = Server::start(arguments);
    let (pid, addr) = (server.pid(), server.addr);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut bystander = Wire::open_at(addr);
        bystander.echo("before");
        let files = process::open_files(pid);
        let memory = process::resident_bytes(pid);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let over = &over;
        let echoes = scope.spawn(move || {
            let mut echoes = 0;
            while !over.load(Ordering::Relaxed) {
                // Each within the deadline of a read.
                bystander.echo("meanwhile");
                echoes += 1;
                let _ = ready.send(());
            }
            bystander.close(1000);
            echoes
        });
        // Stops the bystander even when the attack panics, which would else never end.
        let _stop = OnDrop(|| over.store(true, Ordering::Relaxed));
        let attacked = || {
            attack(addr);
            is_ready.recv_timeout(support::PATIENCE).expect("the bystander is served");
            eventually("descriptors at their level", || process::open_files(pid), |n| *n <= files);
            process::resident_bytes(pid).unwrap_or(0)
        };
        let before = memory.unwrap_or(0);
        let mut seen = Vec::new();
        for window in 1..=WINDOWS {
            let levels: [u64; 4] = std::array::from_fn(|_| attacked());
            seen.push(levels);
            let (early, late) = (levels[0].max(levels[1]), levels[2].min(levels[3]));
            assert!(late <= before + 3 * SLACK, "it has grown: {before}, then {seen:?}");
            if late <= early + SLACK / 4 {
                break;
            }
            assert!(window < WINDOWS, "it grows: {before}, then {seen:?}");
        }
        tools::require_reading("the memory of a process", memory);
        over.store(true, Ordering::Relaxed);
        assert!(echoes.join().expect("the bystander") > 0);
    });
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// Numbers that look random and are the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 24) as u8).collect()
    }
}

#[test]
fn half_handshakes() {
    withstands(&[], |addr| {
        let whole = request("/", "Cookie: a=1\r\n");
        let wires: Vec<Wire> = (0..1000)
            .map(|i| {
                let mut wire = Wire::connect(addr);
                wire.send(&whole[..i % whole.len()]);
                wire
            })
            .collect();
        wires.into_iter().for_each(Wire::reset);
    });
}

#[test]
fn a_gigabyte_in_the_header_reserves_nothing() {
    const MANY: usize = 300;
    // With 32 bits messages are smaller.
    let (size, setting) = if usize::BITS < 64 { (511 << 20, "511MiB") } else { (1 << 30, "1GiB") };
    let arguments = ["--max-message-size", setting, "--shards", "1"];
    let server = Server::start(&arguments);
    let mut wires: Vec<Wire> = (0..MANY).map(|_| Wire::open_at(server.addr)).collect();
    let before = process::resident_bytes(server.pid());
    for (at, wire) in wires.iter_mut().enumerate() {
        let header = if at % 2 == 0 { Frame::binary([1; 10]) } else { Frame::text("ten bytes.") };
        wire.send(header.claiming(size).bytes());
    }
    // What came before it on another connection has been read by now, or soon will be.
    Wire::open_at(server.addr).echo("others are served");
    let Some(before) = tools::require_reading("the memory of a process", before) else { return };
    let after = process::resident_bytes(server.pid()).expect("read before");
    assert!(after <= before + SLACK, "{before} to {after} bytes for {MANY} headers");
    drop(wires);
    withstands(&arguments, |addr| {
        for _ in 0..200 {
            let mut wire = Wire::open_at(addr);
            wire.send(Frame::binary([1; 10]).claiming(1 << 30).bytes());
            wire.reset();
        }
    });
}

#[test]
fn a_gigabyte_of_fragments() {
    withstands(&["--max-message-size", "1MiB"], |addr| {
        let first = Frame::binary([0; 60_000]).more().bytes();
        let next = Frame::continuation([0; 60_000]).more().bytes();
        // 260 × 1 MiB, four times over; each connection is ended by the limit.
        for _ in 0..260 {
            let mut wire = Wire::open_at(addr);
            wire.send(&first);
            for _ in 0..16 {
                wire.send(&next);
            }
            let _ = wire.try_send(&next);
            wire.expect_close(1009);
            wire.reset();
        }
    });
}

#[test]
fn fragments_without_bytes() {
    withstands(&[], |addr| {
        let mut wire = Wire::open_at(addr);
        wire.frame(Frame::text("").more());
        let thousand: Vec<u8> =
            (0..1000).flat_map(|_| Frame::continuation("").more().bytes()).collect();
        for _ in 0..100 {
            wire.send(&thousand);
        }
        wire.frame(Frame::continuation("end"));
        wire.expect_text("end");
        wire.close(1000);
    });
}

#[test]
fn ten_thousand_connections_that_never_send() {
    // Both sides of a connection cost a descriptor, the client's in this process.
    let (many, limit) = (10_000, tools::sockets());
    if limit < many + 4000 {
        tools::skip(&format!("{limit} descriptors allow no 10,000 connections"));
        return;
    }
    let server = Server::start(&["--handshake-timeout", "5m"]);
    let pid = server.pid();
    let mut bystander = Wire::open_at(server.addr);
    bystander.echo("before");
    let files = process::open_files(pid);
    let before = process::resident_bytes(pid);
    let mut silent = Vec::with_capacity(many);
    for i in 0..many {
        silent.push(Wire::connect(server.addr));
        if i % 1000 == 0 {
            bystander.echo("meanwhile");
        }
    }
    if let (Some(files), Some(before)) = (files, before) {
        eventually("all accepted", || process::open_files(pid), |n| *n >= Some(files + many));
        bystander.echo("beside ten thousand");
        let after = process::resident_bytes(pid).expect("read before");
        let each = after.saturating_sub(before) as usize / many;
        assert!(each <= 1024, "{each} bytes for each connection that says nothing");
    } else {
        tools::skip("this system does not tell files and memory of a process");
    }
    silent.into_iter().for_each(Wire::reset);
    eventually("descriptors at their level", || process::open_files(pid), |n| *n <= files);
    bystander.echo("after");
}

#[test]
fn random_bytes() {
    withstands(&[], |addr| {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        for round in 0..300 {
            let length = (noise.next() % 3000) as usize;
            let bytes = noise.bytes(length);
            let mut wire = if round % 3 == 0 { Wire::connect(addr) } else { Wire::open_at(addr) };
            let _ = wire.try_send(&bytes);
            if round % 2 == 0 {
                wire.send_fin();
                wire.expect_end();
            } else {
                wire.reset();
            }
        }
    });
}

#[test]
fn random_changes_to_good_bytes() {
    withstands(&[], |addr| {
        let mut noise = Noise(42);
        let frames = [
            Frame::text("grüße").more(),
            Frame::ping("p"),
            Frame::continuation("€"),
            Frame::binary(vec![3; 300]),
            Frame::close(1000, "bye"),
        ];
        let good: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes()).collect();
        for round in 0..300 {
            let mut bytes = if round % 3 == 0 { request("/", "").into_bytes() } else { Vec::new() };
            bytes.extend(&good);
            for _ in 0..1 + round % 4 {
                let at = noise.next() as usize % bytes.len();
                bytes[at] = noise.next() as u8;
            }
            let mut wire = if round % 3 == 0 { Wire::connect(addr) } else { Wire::open_at(addr) };
            let _ = wire.try_send(&bytes);
            // It may now wait for more of a frame that grew.
            wire.send_fin();
            wire.expect_end();
        }
    });
}

/// Leads a connection to a state in its life.
type State = fn(SocketAddr) -> Wire;

const STATES: &[(&str, State)] = &[
    ("accepted", Wire::connect),
    ("half a request", |addr| {
        let mut wire = Wire::connect(addr);
        wire.send(&request("/", "")[..50]);
        wire
    }),
    ("request sent, answer not read", |addr| {
        let mut wire = Wire::connect(addr);
        wire.send(request("/", ""));
        wire
    }),
    ("refused", |addr| {
        let mut wire = Wire::connect(addr);
        wire.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        wire
    }),
    ("page being sent", |addr| {
        let mut wire = Wire::connect(addr);
        wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        wire
    }),
    ("open", Wire::open_at),
    ("in a frame's header", |addr| {
        let mut wire = Wire::open_at(addr);
        wire.send(&Frame::text("x".repeat(200)).bytes()[..3]);
        wire
    }),
    ("in a frame's payload", |addr| {
        let mut wire = Wire::open_at(addr);
        wire.send(&Frame::text("x".repeat(200)).bytes()[..100]);
        wire
    }),
    ("in a large message", |addr| {
        let mut wire = Wire::open_at(addr);
        wire.send(&Frame::binary(vec![0; 60_000]).bytes()[..50_000]);
        wire
    }),
    ("between fragments", |addr| {
        let mut wire = Wire::open_at(addr);
        wire.frames([Frame::text("first").more(), Frame::ping("between")]);
        wire
    }),
    ("echo not read", |addr| {
        let mut wire = Wire::open_at(addr);
        wire.frame(Frame::text("unread"));
        wire
    }),
    ("outbox full", |addr| {
        let mut wire = Wire::open_narrow(addr);
        let bytes = Frame::binary(vec![0; 60_000]).bytes();
        for _ in 0..400 {
            if wire.send_while_taken(&bytes, Duration::from_millis(50)) < bytes.len() {
                break;
            }
        }
        wire
    }),
    ("closing", |addr| {
        let mut wire = Wire::open_at(addr);
        wire.frame(Frame::close(1000, ""));
        wire
    }),
    ("failed", |addr| {
        let mut wire = Wire::open_at(addr);
        wire.frame(Frame::text("").reserved(0x40));
        wire
    }),
    ("closed, not yet left", |addr| {
        let mut wire = Wire::open_at(addr);
        wire.frame(Frame::close(1000, ""));
        wire.expect_close(1000);
        wire
    }),
];

#[test]
fn a_reset_in_every_state() {
    withstands(&[], |addr| {
        for (_, state) in STATES {
            for _ in 0..10 {
                state(addr).reset();
            }
        }
    });
}

#[test]
fn a_fin_in_every_state() {
    withstands(&["--close-timeout", "500ms", "--write-timeout", "2s"], |addr| {
        let mut wires = Vec::new();
        for (_, state) in STATES {
            for _ in 0..3 {
                let wire = state(addr);
                wire.send_fin();
                wires.push(wire);
            }
        }
        // We keep our sockets until the server has let go of its own.
        for mut wire in wires {
            wire.expect_end();
        }
    });
}

#[test]
fn slow_readers_cost_no_more_than_their_outboxes() {
    const READERS: usize = 40;
    const OUTBOX: u64 = 256 * 1024;
    let arguments = ["--max-outbox-bytes", "256KiB", "--write-timeout", "0", "--shards", "1"];
    let server = Server::start(&arguments);
    let pid = server.pid();
    let mut bystander = Wire::open_at(server.addr);
    bystander.echo("before");
    let before = process::resident_bytes(pid);
    let bytes = Frame::binary(vec![0; 60_000]).bytes();
    let readers: Vec<Wire> = (0..READERS)
        .map(|_| {
            let mut wire = Wire::open_narrow(server.addr);
            while wire.send_while_taken(&bytes, Duration::from_millis(50)) == bytes.len() {}
            bystander.echo("meanwhile");
            wire
        })
        .collect();
    if let Some(before) = tools::require_reading("the memory of a process", before) {
        let after = process::resident_bytes(pid).expect("read before");
        // Beyond the bound there may be the replies to one read, and what was read of one message.
        let most = READERS as u64 * (OUTBOX + (1 << 20)) + SLACK;
        assert!(after <= before + most, "{} bytes for {READERS} readers", after - before);
    }
    readers.into_iter().for_each(Wire::reset);
    if let Some(before) = before {
        eventually(
            "memory at its level",
            || process::resident_bytes(pid).unwrap_or(0),
            |now| *now <= before + 2 * SLACK,
        );
    }
    bystander.echo("after");
}

#[test]
fn a_flood_of_pings_is_answered_no_faster_than_it_is_read() {
    withstands(&["--max-outbox-bytes", "64KiB", "--write-timeout", "0"], |addr| {
        let mut wire = Wire::open_narrow(addr);
        let pings: Vec<u8> = (0..500).flat_map(|_| Frame::ping([7; 125]).bytes()).collect();
        let mut sent = 0;
        while sent < 64 << 20 {
            let taken = wire.send_while_taken(&pings, Duration::from_millis(300));
            sent += taken;
            if taken < pings.len() {
                break;
            }
        }
        assert!(sent < 64 << 20, "64 MiB of pings were taken and no answer read");
        wire.reset();
    });
}

#[test]
fn garbage_on_a_broadcast_does_not_stop_it() {
    withstands(&[], |addr| {
        let mut good: Vec<Wire> =
            (0..5).map(|_| Wire::open_path(addr, "/broadcast", "").0).collect();
        for _ in 0..20 {
            let (mut bad, _) = Wire::open_path(addr, "/broadcast", "");
            bad.frame(Frame::text("").reserved(0x70));
            bad.reset();
        }
        good[0].frame(Frame::binary("to all"));
        for wire in &mut good {
            wire.expect(BINARY, "to all");
        }
        good.into_iter().for_each(|wire| wire.close(1000));
    });
}
