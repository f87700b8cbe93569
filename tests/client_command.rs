//! `wspoll client`: what it counts, and what it exits with.

#![cfg(feature = "cli")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::str::FromStr;
use std::thread;

use async_tungstenite::tungstenite::{self, Message};

use support::Peer;
use support::command::{Ended, Program, Server};

/// What the client printed, by key.
struct Report {
    code: Option<i32>,
    text: String,
    stderr: String,
}

impl Report {
    fn of(client: Program) -> Report {
        let Ended { code, stdout, stderr } = client.end();
        Report { code, text: stdout, stderr }
    }

    fn value<T: FromStr>(&self, key: &str) -> T {
        self.text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")?.parse().ok())
            .unwrap_or_else(|| {
                panic!("{key} is a number in {}; stderr: {}", self.text, self.stderr)
            })
    }

    fn expect(&self, code: i32, counts: &[(&str, u64)]) {
        for (key, count) in counts {
            assert_eq!(
                self.value::<u64>(key),
                *count,
                "{key} in {}; stderr: {}",
                self.text,
                self.stderr
            );
        }
        assert_eq!(self.code, Some(code), "{}; stderr: {}", self.text, self.stderr);
    }
}

fn client(addr: SocketAddr, arguments: &[&str]) -> Program {
    let port = addr.port().to_string();
    let standard = ["client", "--ip", "127.0.0.1", "--port", &port];
    Program::start(&[&standard[..], arguments].concat(), &[])
}

#[test]
fn everything_that_was_sent_comes_back_from_our_server() {
    let server = Server::start(&[]);
    let arguments = ["--conn", "50", "--rate", "300", "--seconds", "1"];
    let report = Report::of(client(server.addr, &arguments));
    report.expect(
        0,
        &[
            ("connections", 50),
            ("connected", 50),
            ("failed", 0),
            ("disconnected", 0),
            ("sent", 300),
            ("received", 300),
            ("lost", 0),
            ("wrong", 0),
            ("skipped", 0),
            ("pings", 300),
            ("pongs", 300),
        ],
    );
    let [p50, p99, max] =
        ["latency_p50_us", "latency_p99_us", "latency_max_us"].map(|key| report.value::<u64>(key));
    assert!(0 < p50 && p50 <= p99 && p99 <= max, "{}", report.text);
    let (seconds, rate) = (report.value::<f64>("seconds"), report.value::<f64>("rate"));
    assert!(seconds >= 1.0 && rate <= 300.0, "{}", report.text);
    assert_eq!(report.stderr, "", "no progress bar where there is no terminal");
}

#[test]
fn large_messages_come_back_too() {
    let server = Server::start(&["--max-message-size", "1MiB"]);
    let arguments = ["--conn", "2", "--rate", "20", "--seconds", "1", "--size", "1048576"];
    Report::of(client(server.addr, &arguments)).expect(0, &[("received", 20), ("lost", 0)]);
}

#[test]
fn a_server_that_is_not_there_is_a_failure() {
    // Bound and never listened on: nobody else gets the port, and connecting is refused.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let addr = socket.local_addr().ok().and_then(|addr| addr.as_socket()).expect("its address");
    let report = Report::of(client(addr, &["--conn", "3"]));
    report.expect(1, &[("connected", 0), ("failed", 3), ("sent", 0), ("lost", 0)]);
    assert!(report.stderr.contains(&addr.to_string()), "{}", report.stderr);
}

#[test]
fn a_connection_that_is_refused_is_a_failure() {
    let server = Server::start(&["--max-connections", "2"]);
    let arguments = ["--conn", "5", "--rate", "10", "--seconds", "1"];
    let report = Report::of(client(server.addr, &arguments));
    report.expect(1, &[("connected", 2), ("failed", 3), ("disconnected", 0), ("lost", 0)]);
    assert!(report.stderr.contains("503"), "{}", report.stderr);
}

#[test]
fn a_server_that_dies_midway_ends_the_run_as_a_failure() {
    let mut server = Server::start(&[]);
    let (mut witness, _) = Peer::open_path(server.addr, "/broadcast").expect("the handshake");
    // One connection there hears itself, as an echo would have it, and we hear that it has begun.
    let client = client(server.addr, &["--path", "/broadcast", "--conn", "1", "--seconds", "600"]);
    assert_eq!(witness.text(), "Hello from conn 0");
    server.program.kill();
    let report = Report::of(client);
    report.expect(1, &[("connected", 1), ("disconnected", 1), ("wrong", 0)]);
    assert!(report.value::<u64>("sent") > 0, "{}", report.text);
}

#[test]
fn a_reply_that_is_no_echo_is_wrong_and_its_message_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let addr = listener.local_addr().expect("its address");
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut socket = tungstenite::accept(stream).expect("the handshake");
        let mut texts = Vec::new();
        // The first message gets another answer, the second none, and the rest are echoed.
        while let Ok(message) = socket.read() {
            let Message::Text(text) = message else { continue };
            texts.push(text.as_str().to_owned());
            match texts.len() {
                1 => socket.send(Message::text("something else")).expect("sending"),
                2 => {}
                _ => socket.send(Message::text(text)).expect("sending"),
            }
        }
        texts
    });
    let arguments = ["--conn", "1", "--rate", "5", "--seconds", "1", "--size", "20"];
    let report = Report::of(client(addr, &arguments));
    let counts = [("disconnected", 0), ("sent", 5), ("received", 3), ("lost", 2), ("wrong", 1)];
    report.expect(1, &counts);
    let texts = server.join().expect("the server");
    assert_eq!(texts, vec!["Hello from conn 0   "; 5]);
}

#[test]
fn a_server_that_stops_reading_does_not_hold_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    // Far more than the sockets' buffers hold.
    let arguments = ["--conn", "1", "--rate", "1", "--seconds", "1", "--size", "67108864"];
    let client = client(listener.local_addr().expect("its address"), &arguments);
    let (stream, _) = listener.accept().expect("a connection");
    let socket = tungstenite::accept(stream).expect("the handshake");
    Report::of(client).expect(1, &[("disconnected", 1), ("sent", 1), ("lost", 1)]);
    drop(socket);
}

#[test]
#[cfg_attr(
    polling_test_poll_backend,
    ignore = "each wake-up looks at all sockets: that takes longer than a test waits"
)]
fn ten_thousand_connections_fit_one_client() {
    const CONNECTIONS: u64 = 10_000;
    let limit = support::tools::sockets() as u64;
    if limit < CONNECTIONS + 1000 {
        return support::tools::skip(&format!("only {limit} files may be open"));
    }
    let server = Server::start(&[]);
    let arguments = ["--conn", "10000", "--rate", "10000", "--seconds", "1"];
    Report::of(client(server.addr, &arguments))
        .expect(0, &[("connected", CONNECTIONS), ("sent", CONNECTIONS), ("received", CONNECTIONS)]);
}

#[test]
fn what_cannot_be_is_refused() {
    for (arguments, part) in [
        (&["--conn", "0"][..], "--conn"),
        (&["--rate", "0"], "--rate"),
        (&["--port", "0"], "--port"),
        (&["--path", "echo"], "--path"),
        (&["--ip", "not an address"], "--ip"),
    ] {
        let Ended { code, stdout, stderr } =
            Program::start(&[&["client"], arguments].concat(), &[]).end();
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr.contains(part), "{part} is in {stderr}");
    }
}
