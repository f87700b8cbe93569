//! The end of a server: it drains, within its deadline, and leaves nothing behind.

mod support;

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use support::frame::BINARY;
use support::wire::request;
use support::{Frame, Probe, Wire, process};
use wspoll::Error;

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_shutdown_closes_every_connection_with_1001() {
    let mut server = Probe::echo().start_with(|config| config.shards = 2);
    let mut wires: Vec<Wire> = (0..6).map(|_| Wire::open(&server)).collect();
    for wire in &mut wires {
        wire.echo("hello");
    }
    let stopping = thread::spawn(move || server.server.shutdown(LONG));
    for mut wire in wires {
        wire.expect_close(1001);
        wire.frame(Frame::close(1001, ""));
        wire.expect_fin();
    }
    stopping.join().expect("the shutdown");
    for _ in 0..6 {
        let end = server.events.closed();
        assert_eq!((end.sent, end.received, end.clean), (Some(1001), Some(1001), true));
    }
}

#[test]
fn a_shutdown_returns_before_its_deadline_once_all_have_left() {
    let server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    wire.echo("hello");
    let (sender, done) = mpsc::channel();
    thread::spawn(move || {
        server.server.shutdown(Duration::from_secs(600));
        let _ = sender.send(());
    });
    wire.expect_close(1001);
    wire.frame(Frame::close(1001, ""));
    wire.expect_fin();
    drop(wire);
    done.recv_timeout(support::PATIENCE).expect("it does not wait for the deadline");
}

#[test]
fn an_idle_server_stops_at_once() {
    let server = Probe::echo().start();
    let (sender, done) = mpsc::channel();
    thread::spawn(move || {
        server.server.shutdown(Duration::from_secs(600));
        let _ = sender.send(());
    });
    done.recv_timeout(support::PATIENCE).expect("nothing to wait for");
}

#[test]
fn what_is_queued_is_sent_before_the_close() {
    const COUNT: usize = 32;
    let mut server = Probe::new()
        .on_message(|conn, _| {
            let megabyte = vec![9_u8; 1 << 20];
            for _ in 0..COUNT {
                conn.send(&megabyte[..]).expect("room");
            }
        })
        .start_with(|config| {
            config.max_outbox_bytes = 64 << 20;
            config.max_message_size = 2 << 20;
        });
    let mut wire = Wire::open_narrow(server.addr);
    wire.frame(Frame::text("go"));
    server.events.text();
    let stopping = thread::spawn(move || server.server.shutdown(LONG));
    for _ in 0..COUNT {
        let frame = wire.next_frame();
        assert_eq!((frame.opcode(), frame.payload.len()), (BINARY, 1 << 20));
    }
    wire.expect_close(1001);
    wire.frame(Frame::close(1001, ""));
    wire.expect_fin();
    stopping.join().expect("the shutdown");
}

#[test]
fn a_peer_that_reads_nothing_is_cut_at_the_deadline() {
    let mut server = Probe::new()
        .on_message(|conn, _| {
            let megabyte = vec![9_u8; 1 << 20];
            for _ in 0..32 {
                conn.send(&megabyte[..]).expect("room");
            }
        })
        .start_with(|config| {
            config.max_outbox_bytes = 64 << 20;
            config.write_timeout = Duration::ZERO;
            config.close_timeout = Duration::from_secs(600);
        });
    let mut wire = Wire::open_narrow(server.addr);
    wire.frame(Frame::text("go"));
    server.events.text();
    let start = Instant::now();
    server.server.shutdown(Duration::from_millis(300));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(200), "cut after {took:?}");
    assert!(took < support::PATIENCE, "{took:?}");
    assert!(!server.events.closed().clean);
    wire.expect_end();
}

#[test]
fn during_a_drain_nobody_new_is_let_in() {
    let server = Probe::echo().start();
    let addr = server.addr;
    let mut wire = Wire::open(&server);
    wire.echo("hello");
    // Half a request: on the way in, but not in.
    let mut early = Wire::connect(addr);
    early.send(&request("/", "")[..30]);
    // So that the server has certainly accepted it.
    Wire::open(&server).close(1000);
    let stopping = thread::spawn(move || server.server.shutdown(LONG));
    wire.expect_close(1001);
    if let Ok(stream) = TcpStream::connect(addr) {
        // The kernel may have let it in before the listener closed; the server must not.
        drop(stream);
    }
    let _ = early.try_send(&request("/", "")[30..]);
    early.expect_end();
    wire.frame(Frame::close(1001, ""));
    wire.expect_fin();
    drop(wire);
    stopping.join().expect("the shutdown");
}

#[test]
fn afterwards_the_port_is_free_and_the_handle_says_so() {
    let server = Probe::echo().start();
    let (addr, handle) = (server.addr, server.handle.clone());
    let mut wire = Wire::open(&server);
    wire.echo("hello");
    server.server.shutdown(Duration::ZERO);
    TcpListener::bind(addr).expect("the port is free");
    wire.expect_end();
    assert!(matches!(handle.broadcast("anyone?"), Err(Error::ShutDown)));
    assert_eq!(handle.connections(), 0);
    // Again, and after the end: nothing happens.
    handle.shutdown(Duration::ZERO);
}

#[test]
fn dropping_the_server_stops_it() {
    let mut server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    wire.echo("hello");
    drop(server.server);
    wire.expect_end();
    server.events.closed();
    TcpListener::bind(server.addr).expect("the port is free");
}

#[test]
fn a_handle_may_stop_the_server_from_a_handler() {
    let (sender, receiver) = mpsc::channel::<wspoll::ServerHandle>();
    let receiver = std::sync::Mutex::new(receiver);
    let mut server = Probe::new()
        .on_message(move |_, _| {
            let handle = receiver.lock().unwrap().recv().expect("the handle");
            handle.shutdown(LONG);
        })
        .start();
    sender.send(server.handle.clone()).expect("the handler waits");
    let mut wire = Wire::open(&server);
    wire.frame(Frame::text("stop"));
    wire.expect_close(1001);
    wire.frame(Frame::close(1001, ""));
    wire.expect_fin();
    assert!(server.events.closed().clean);
}

#[test]
fn threads_and_descriptors_are_given_back() {
    // In a process of its own: other tests have threads and files too. Cargo runs a test by its name.
    const MARK: &str = "WSPOLL_TEST_ALONE";
    if std::env::var_os(MARK).is_none() {
        let status = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "threads_and_descriptors_are_given_back", "--nocapture"])
            .env(MARK, "1")
            .status()
            .expect("running alone");
        assert!(status.success());
        return;
    }
    let me = std::process::id();
    let Some(_) = support::tools::require_reading("open files", process::open_files(me)) else {
        return;
    };
    let cycle = || {
        let server = Probe::echo().start_with(|config| config.shards = 2);
        let mut wires: Vec<Wire> = (0..20).map(|_| Wire::open(&server)).collect();
        for wire in &mut wires {
            wire.echo("hello");
        }
        server.server.shutdown(Duration::ZERO);
    };
    // What is made once for the whole process (a helper thread, a log) is made now.
    cycle();
    let (files, threads) = (process::open_files(me), process::threads(me));
    for _ in 0..10 {
        cycle();
    }
    assert_eq!(process::open_files(me), files);
    assert_eq!(process::threads(me), threads);
}
