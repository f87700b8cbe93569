//! Five thousand connections, both ends in one process: everyone is answered, and everyone hears everything in order.

mod support;

use std::time::{Duration, Instant};

use support::wire::request;
use support::{Frame, Probe, Wire, eventually, tools};

const CONNECTIONS: usize = 5_000;
const BROADCASTS: usize = 10;

#[test]
fn five_thousand_connections_echo_and_hear_broadcasts() {
    // Both ends, and what else the test has open.
    let needed = 2 * CONNECTIONS + 500;
    let limit = tools::sockets();
    if limit < needed {
        return tools::skip(&format!("{limit} sockets are too few, {needed} are needed"));
    }
    let start = Instant::now();
    let done = |what: &str| println!("{CONNECTIONS} {what} after {:.1?}", start.elapsed());
    let server = Probe::echo().start_with(|config| {
        config.shards = 2;
        // On a slow system all of this takes minutes, in which each connection is mostly idle.
        config.handshake_timeout = Duration::ZERO;
        config.ping_interval = Duration::ZERO;
        config.pong_timeout = Duration::ZERO;
    });
    let mut wires: Vec<Wire> = (0..CONNECTIONS)
        .map(|_| {
            let mut wire = Wire::connect(server.addr);
            wire.send(request("/", ""));
            wire
        })
        .collect();
    for wire in &mut wires {
        assert_eq!(wire.answer().status, 101);
    }
    eventually("all to be counted", || server.handle.connections(), |n| *n == CONNECTIONS);
    done("open");
    for (n, wire) in wires.iter_mut().enumerate() {
        wire.frame(Frame::text(format!("echo {n}")));
    }
    for (n, wire) in wires.iter_mut().enumerate() {
        wire.expect_text(&format!("echo {n}"));
    }
    done("echoed");
    for n in 0..BROADCASTS {
        server.handle.broadcast(format!("to all {n}").as_str()).expect("queued");
    }
    for wire in &mut wires {
        for n in 0..BROADCASTS {
            wire.expect_text(&format!("to all {n}"));
        }
    }
    done("heard all");
    for wire in &mut wires {
        wire.frame(Frame::close(1000, ""));
    }
    for wire in &mut wires {
        wire.expect_close(1000);
        wire.expect_fin();
    }
    eventually("none to be left", || server.handle.connections(), |n| *n == 0);
    done("closed");
}
