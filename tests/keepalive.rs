//! Timeouts: each with settings short enough to be met, none measured against the clock from above.

mod support;

use std::time::{Duration, Instant};

use support::frame::{CLOSE, PING};
use support::wire::request;
use support::{Frame, Probe, Seen, Wire};
use wspoll::Config;

const SHORT: Duration = Duration::from_millis(200);
const NEVER: Duration = Duration::ZERO;

/// Every timeout off, so that a test meets only the one that it sets.
fn no_timeouts(config: &mut Config) {
    config.handshake_timeout = NEVER;
    config.ping_interval = NEVER;
    config.pong_timeout = NEVER;
    config.idle_timeout = NEVER;
    config.write_timeout = NEVER;
}

#[test]
fn half_a_handshake_is_answered_with_408() {
    let mut server = Probe::echo().start_with(|config| {
        no_timeouts(config);
        config.handshake_timeout = SHORT;
    });
    let mut wire = Wire::connect(server.addr);
    let start = Instant::now();
    wire.send(&request("/", "")[..40]);
    wire.expect_refusal(408);
    // Timers are coarse, but never early by more than a tick.
    assert!(start.elapsed() >= SHORT / 2, "{:?}", start.elapsed());
    assert!(server.events.none(|_| true));
}

#[test]
fn a_connection_that_says_nothing_ends_with_the_handshakes_time() {
    let server = Probe::echo().start_with(|config| {
        no_timeouts(config);
        config.handshake_timeout = SHORT;
    });
    Wire::connect(server.addr).expect_end();
    support::eventually("no connection left", || server.handle.connections(), |n| *n == 0);
}

#[test]
fn single_bytes_do_not_stretch_the_handshakes_time() {
    let server = Probe::echo().start_with(|config| {
        no_timeouts(config);
        config.handshake_timeout = Duration::from_millis(400);
    });
    let mut wire = Wire::connect(server.addr);
    wire.send("GET / HTTP/1.1\r\nX: ");
    let start = Instant::now();
    while wire.is_silent_for(Duration::from_millis(20)) {
        assert!(start.elapsed() < support::PATIENCE, "still waiting for the head");
        if wire.try_send("x").is_err() {
            break;
        }
    }
    assert_eq!(wire.answer().status, 408);
}

#[test]
fn the_handshakes_time_ends_with_the_handshake() {
    let server = Probe::echo().start_with(|config| {
        no_timeouts(config);
        config.handshake_timeout = SHORT;
    });
    let mut wire = Wire::open(&server);
    assert!(wire.is_silent_for(3 * SHORT));
    wire.echo("still here");
}

#[test]
fn a_silent_peer_is_pinged_and_lives_while_it_answers() {
    let mut server = Probe::echo().start_with(|config| {
        no_timeouts(config);
        config.ping_interval = Duration::from_millis(50);
        config.pong_timeout = Duration::from_secs(20);
    });
    let mut wire = Wire::open(&server);
    for _ in 0..5 {
        let ping = wire.next_frame();
        assert_eq!(ping.opcode(), PING);
        wire.frame(Frame::pong(&ping.payload));
    }
    wire.frame(Frame::text("alive"));
    while wire.next_frame_but_pings().payload != b"alive" {}
    assert!(server.events.none(|seen| matches!(seen, Seen::Close(..))));
}

#[test]
fn a_peer_that_answers_no_ping_is_dead() {
    let mut server = Probe::echo().start_with(|config| {
        no_timeouts(config);
        config.ping_interval = Duration::from_millis(50);
        config.pong_timeout = SHORT;
    });
    let mut wire = Wire::open(&server);
    let end = server.events.closed();
    assert_eq!((end.code, end.received, end.clean), (1006, None, false));
    wire.expect_end();
}

#[test]
fn without_a_ping_interval_nobody_is_pinged() {
    let server = Probe::echo().start_with(no_timeouts);
    let mut wire = Wire::open(&server);
    assert!(wire.is_silent_for(3 * SHORT));
    wire.echo("still here");
}

#[test]
fn a_connection_without_messages_is_closed_with_1001_though_it_answers_pings() {
    let mut server = Probe::echo().start_with(|config| {
        no_timeouts(config);
        config.ping_interval = Duration::from_millis(50);
        config.pong_timeout = Duration::from_secs(20);
        config.idle_timeout = Duration::from_millis(400);
    });
    let mut wire = Wire::open(&server);
    let start = Instant::now();
    wire.expect_close(1001);
    assert!(start.elapsed() >= SHORT, "closed after {:?}", start.elapsed());
    wire.frame(Frame::close(1001, ""));
    wire.expect_fin();
    let end = server.events.closed();
    assert_eq!((end.sent, end.clean), (Some(1001), true));
}

#[test]
fn messages_keep_a_connection_from_being_idle() {
    let server = Probe::echo().start_with(|config| {
        no_timeouts(config);
        config.idle_timeout = Duration::from_secs(2);
    });
    let mut wire = Wire::open(&server);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        wire.echo("not idle");
        assert!(wire.is_silent_for(Duration::from_millis(100)));
    }
    wire.expect_close(1001);
}

#[test]
fn a_peer_that_takes_nothing_is_cut_off_after_the_write_timeout() {
    let mut server = Probe::new()
        .on_open(|conn| {
            // More than the socket buffers of both sides hold.
            let megabyte = vec![0_u8; 1 << 20];
            for _ in 0..32 {
                conn.send(&megabyte[..]).expect("room");
            }
        })
        .start_with(|config| {
            no_timeouts(config);
            config.write_timeout = SHORT;
            config.max_outbox_bytes = 64 << 20;
        });
    let _wire = Wire::open_narrow(server.addr);
    let end = server.events.closed();
    assert_eq!((end.code, end.received, end.clean), (1006, None, false));
    support::eventually("no connection left", || server.handle.connections(), |n| *n == 0);
}

#[test]
fn a_reader_of_a_long_backlog_is_not_cut_off() {
    let mut server = Probe::new()
        .on_open(|conn| {
            let megabyte = vec![7_u8; 1 << 20];
            for _ in 0..16 {
                conn.send(&megabyte[..]).expect("room");
            }
        })
        .start_with(|config| {
            no_timeouts(config);
            config.write_timeout = Duration::from_secs(5);
            config.max_outbox_bytes = 64 << 20;
        });
    let mut wire = Wire::open_narrow(server.addr);
    for _ in 0..16 {
        assert_eq!(wire.next_frame().payload.len(), 1 << 20);
    }
    assert!(server.events.none(|seen| matches!(seen, Seen::Close(..))));
}

#[test]
fn pings_of_the_server_stop_once_it_has_closed() {
    let server = Probe::new()
        .on_open(|conn| conn.close(1000, "").expect("a valid code"))
        .start_with(|config| {
            no_timeouts(config);
            config.ping_interval = Duration::from_millis(50);
            config.pong_timeout = Duration::from_secs(20);
            config.close_timeout = Duration::from_millis(500);
        });
    let mut wire = Wire::open(&server);
    assert_eq!(wire.next_frame().opcode(), CLOSE);
    wire.expect_fin();
}
