//! Connections that come through proxies: whom they are from, and whom that is believed of.

mod support;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use support::probe::config;
use support::wire::request;
use support::{Frame, PATIENCE, Probe, Running, Wire, eventually};
use wspoll::{Adopted, Config, Event, ForwardedHeader, PeerAddr, Response, Server, Upgrade};

const V1: &str = "PROXY TCP4 192.0.2.1 198.51.100.1 5000 80\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n";

/// A version 2 header from an IPv4 address, with as many bytes of TLVs.
fn v2(client: [u8; 4], port: u16, tlvs: usize) -> Vec<u8> {
    let len = u16::try_from(12 + tlvs).expect("short").to_be_bytes();
    let begin = b"\r\n\r\n\0\r\nQUIT\n\x21\x11";
    [&begin[..], &len, &client, &[10, 0, 0, 1], &port.to_be_bytes(), &[0, 80], &vec![0; tlvs]]
        .concat()
}

/// A server that answers plain requests with who asks and who is at the other end of the socket, and greets connections
/// with who they are.
fn start(adjust: impl FnOnce(&mut Config)) -> Running {
    Probe::echo()
        .on_request(|request| {
            let said = format!("{} by {}", request.peer_addr(), request.socket_peer_addr());
            Response::new(200).body(said.into_bytes())
        })
        .on_open(|conn| {
            let hello = conn.peer_addr().to_string();
            conn.send(&hello).expect("room for a greeting");
        })
        .start_with(adjust)
}

/// One to which this machine is a trusted proxy.
fn behind_a_proxy(adjust: impl FnOnce(&mut Config)) -> Running {
    start(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
        config.proxy_protocol = true;
        adjust(config);
    })
}

fn forwarding(header: ForwardedHeader, adjust: impl FnOnce(&mut Config)) -> Running {
    start(|config| {
        config.trusted_proxies = vec!["127.0.0.1".to_owned(), "10.0.0.0/8".to_owned()];
        config.forwarded_header = header;
        adjust(config);
    })
}

/// What the server says of a connection that begins with these bytes.
fn said(server: &Running, begin: impl AsRef<[u8]>) -> (String, SocketAddr) {
    let mut wire = Wire::connect(server.addr);
    wire.send([begin.as_ref(), GET.as_bytes(), b"\r\n"].concat());
    let body = wire.expect_refusal(200).body;
    (String::from_utf8(body).expect("addresses"), wire.local_addr())
}

fn open(server: &Running, begin: impl AsRef<[u8]>, more: &str) -> Wire {
    let mut wire = Wire::connect(server.addr);
    wire.send([begin.as_ref(), request("/", more).as_bytes()].concat());
    assert_eq!(wire.answer().status, 101);
    wire
}

/// The status that a request gets behind these bytes.
fn status(server: &Running, begin: impl AsRef<[u8]>, more: &str) -> u16 {
    let mut wire = Wire::connect(server.addr);
    let _ = wire.try_send([begin.as_ref(), request("/", more).as_bytes()].concat());
    wire.answer().status
}

#[test]
fn the_client_is_the_one_that_the_header_names() {
    let server = behind_a_proxy(|_| {});
    let v6 = "PROXY TCP6 2001:db8::1 ::1 5000 80\r\n";
    let mapped = "PROXY TCP6 ::ffff:192.0.2.7 ::1 5000 80\r\n";
    for (header, client) in [
        (V1.as_bytes().to_vec(), "192.0.2.1:5000"),
        (v6.into(), "[2001:db8::1]:5000"),
        (mapped.into(), "192.0.2.7:5000"),
        (v2([192, 0, 2, 2], 6000, 0), "192.0.2.2:6000"),
        (v2([192, 0, 2, 3], 6000, 4000), "192.0.2.3:6000"),
    ] {
        let (said, proxy) = said(&server, header);
        assert_eq!(said, format!("{client} by {proxy}"));
    }
}

#[test]
fn a_header_that_names_no_client_leaves_the_proxy() {
    let server = behind_a_proxy(|config| config.max_connections_per_ip = 1);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    let mut unix = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8".to_vec();
    unix.extend([0; 216]);
    let mut checks = Vec::new();
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), local, unix] {
        let (said, proxy) = said(&server, &header);
        assert_eq!(said, format!("{proxy} by {proxy}"));
        // Not one of them counts against the proxy's address.
        checks.push(open(&server, header, ""));
    }
}

#[test]
fn it_may_come_in_any_pieces_and_with_all_that_follows() {
    let server = behind_a_proxy(|_| {});
    for header in [V1.as_bytes().to_vec(), v2([192, 0, 2, 1], 5000, 30)] {
        let upgrade = request("/", "");
        let all = [&header[..], upgrade.as_bytes(), &Frame::text("early").bytes()].concat();
        let mut wire = Wire::connect(server.addr);
        wire.send(&all);
        assert_eq!(wire.answer().status, 101);
        wire.expect_text("192.0.2.1:5000");
        wire.expect_text("early");
        wire.close(1000);
        let mut wire = Wire::connect(server.addr);
        all.chunks(1).for_each(|byte| wire.send(byte));
        assert_eq!(wire.answer().status, 101);
        wire.expect_text("192.0.2.1:5000");
        wire.expect_text("early");
        wire.close(1000);
    }
    // As much as may come before a request, and a request as large as it may be.
    let padding = "x".repeat(7000);
    let mut wire = open(&server, v2([192, 0, 2, 9], 1, 4068), &format!("X-Padding: {padding}\r\n"));
    wire.expect_text("192.0.2.9:1");
    wire.close(1000);
}

#[test]
fn what_is_no_header_ends_the_connection_and_is_counted() {
    let server = behind_a_proxy(|_| {});
    let long = format!("PROXY UNKNOWN {}", "x".repeat(200));
    let beginnings = [
        request("/", "").into_bytes(),
        long.into_bytes(),
        b"PROXY TCP4 here there 1 2\r\n".to_vec(),
        v2([192, 0, 2, 1], 5000, 5000),
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0".to_vec(),
        b"\x16\x03\x01".to_vec(),
    ];
    let count = beginnings.len() as u64;
    for begin in beginnings {
        let mut wire = Wire::connect(server.addr);
        wire.send(&begin);
        wire.expect_end();
    }
    let counts = || {
        let stats = server.handle.stats().total;
        (stats.violations, stats.sockets)
    };
    eventually("count of what was wrong", counts, |counts| *counts == (count, 0));
}

#[test]
fn nobody_else_is_believed() {
    let server = behind_a_proxy(|config| config.trusted_proxies = vec!["192.0.2.0/24".to_owned()]);
    let mut wire = Wire::connect(server.addr);
    let _ = wire.try_send([V1, &request("/", "")].concat());
    let refusal = wire.expect_refusal(403);
    assert_eq!(refusal.body, b"not a trusted proxy\n");
    let stats = server.handle.stats();
    assert_eq!((stats.refused, stats.refused_untrusted, stats.accepted), (1, 1, 1));
    // Where no header is asked for, none is read.
    let server = start(|config| config.trusted_proxies = vec!["127.0.0.1".to_owned()]);
    assert_eq!(status(&server, V1, ""), 400);
}

#[test]
fn the_handshake_timeout_counts_from_the_first_byte_on() {
    let server = behind_a_proxy(|config| config.handshake_timeout = Duration::from_millis(300));
    for begin in ["", "PROXY TCP4", V1, "PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n"] {
        let mut wire = Wire::connect(server.addr);
        wire.send(begin);
        wire.expect_refusal(408);
    }
}

#[test]
fn limits_of_an_address_are_the_clients() {
    let server = behind_a_proxy(|config| config.max_connections_per_ip = 1);
    let mut first = open(&server, V1, "");
    first.expect_text("192.0.2.1:5000");
    let _other = open(&server, v2([192, 0, 2, 2], 5000, 0), "");
    assert_eq!(status(&server, V1, ""), 429);
    assert_eq!(status(&server, v2([192, 0, 2, 2], 5001, 0), ""), 429);
    let stats = server.handle.stats();
    assert_eq!((stats.refused, stats.refused_max_connections_per_ip), (2, 2));
    first.close(1000);
    eventually("the end of three", || server.handle.stats().total.sockets, |count| *count == 1);
    let _again = open(&server, V1, "");
    assert_eq!(status(&server, V1, ""), 429);
}

#[test]
fn limits_of_all_count_who_has_said_nothing() {
    let server = behind_a_proxy(|config| config.max_connections = 1);
    let _silent = Wire::connect(server.addr);
    assert_eq!(status(&server, V1, ""), 503);
}

#[test]
fn a_forwarded_request_is_its_clients() {
    let server = forwarding(ForwardedHeader::XForwardedFor, |_| {});
    let ask = |lines: &str| {
        let mut wire = Wire::connect(server.addr);
        wire.send(format!("{GET}{lines}\r\n"));
        let body = String::from_utf8(wire.expect_refusal(200).body).expect("addresses");
        (body, wire.local_addr())
    };
    for (lines, client) in [
        ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1:0"),
        ("X-Forwarded-For: 1.1.1.1, 192.0.2.1:5000, 10.0.0.1\r\n", "192.0.2.1:5000"),
        (
            "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: [2001:db8::1]:5000\r\n",
            "[2001:db8::1]:5000",
        ),
        ("X-Forwarded-For: 192.0.2.1, nonsense, 10.0.0.1\r\n", "10.0.0.1:0"),
    ] {
        let (said, proxy) = ask(lines);
        assert_eq!(said, format!("{client} by {proxy}"), "{lines}");
    }
    for lines in ["", "X-Forwarded-For: nonsense\r\n", "Forwarded: for=192.0.2.1\r\n"] {
        let (said, proxy) = ask(lines);
        assert_eq!(said, format!("{proxy} by {proxy}"), "{lines}");
    }
    let mut wire = open(&server, "", "X-Forwarded-For: 192.0.2.1\r\n");
    wire.expect_text("192.0.2.1:0");
    let server = forwarding(ForwardedHeader::Forwarded, |_| {});
    let mut wire = open(
        &server,
        "",
        "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1, for=\"192.0.2.1:5000\";proto=https\r\n",
    );
    wire.expect_text("192.0.2.1:5000");
}

#[test]
fn a_forwarded_request_of_a_stranger_is_the_strangers() {
    let server = forwarding(ForwardedHeader::XForwardedFor, |config| {
        config.trusted_proxies = vec!["192.0.2.0/24".to_owned()];
        config.max_connections_per_ip = 1;
    });
    let mut wire = open(&server, "", "X-Forwarded-For: 192.0.2.1\r\n");
    let own = wire.local_addr().to_string();
    wire.expect_text(&own);
    assert_eq!(status(&server, "", "X-Forwarded-For: 192.0.2.2\r\n"), 429);
}

#[test]
fn limits_of_an_address_are_a_forwarded_clients() {
    let server =
        forwarding(ForwardedHeader::XForwardedFor, |config| config.max_connections_per_ip = 1);
    let [one, other] = ["X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.2\r\n"];
    let mut first = open(&server, "", one);
    first.expect_text("192.0.2.1:0");
    let _other = open(&server, "", other);
    assert_eq!(status(&server, "", one), 429);
    first.close(1000);
    eventually("the end of two", || server.handle.stats().total.sockets, |count| *count == 1);
    let _again = open(&server, "", one);
    assert_eq!(status(&server, "", one), 429);
    // A proxy that speaks for itself has no limit of its own.
    let _own: Vec<_> = (0..3).map(|_| open(&server, "", "")).collect();
}

#[test]
fn a_proxy_may_stand_before_a_proxy() {
    // The outer one tells the inner one of the client in the request, and the inner one us of the outer one in its header.
    let server = forwarding(ForwardedHeader::XForwardedFor, |config| {
        config.proxy_protocol = true;
        config.max_connections_per_ip = 1;
    });
    let outer = v2([10, 0, 0, 9], 5000, 0);
    let mut one = open(&server, &outer, "X-Forwarded-For: 192.0.2.1\r\n");
    one.expect_text("192.0.2.1:0");
    let mut other = open(&server, &outer, "X-Forwarded-For: 192.0.2.2\r\n");
    other.expect_text("192.0.2.2:0");
    assert_eq!(status(&server, &outer, "X-Forwarded-For: 192.0.2.2\r\n"), 429);
    // A client that came to the inner one by itself is not believed.
    let direct = v2([192, 0, 2, 8], 5000, 0);
    let mut third = open(&server, direct, "X-Forwarded-For: 192.0.2.7\r\n");
    third.expect_text("192.0.2.8:5000");
}

#[test]
fn sockets_that_the_host_hands_over_have_no_header() {
    let server = forwarding(ForwardedHeader::XForwardedFor, |config| config.proxy_protocol = true);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut wire = Wire::connect(listener.local_addr().expect("its address"));
    let (stream, _) = listener.accept().expect("the client");
    server.handle.adopt(Adopted::request(stream)).expect("it is taken");
    wire.send(request("/", "X-Forwarded-For: 192.0.2.1\r\n"));
    assert_eq!(wire.answer().status, 101);
    wire.expect_text("192.0.2.1:0");
}

#[test]
fn who_decides_late_or_in_a_batch_is_told_too() {
    let (told, peers) = mpsc::channel();
    let server = Probe::echo()
        .on_upgrade(move |id, request| {
            told.send((id, request.peer_addr(), request.socket_peer_addr())).expect("the test");
            Upgrade::later()
        })
        .on_open(|conn| conn.send(&conn.peer_addr().to_string()).expect("room"))
        .start_with(|config| {
            config.trusted_proxies = vec!["127.0.0.1".to_owned()];
            config.proxy_protocol = true;
        });
    let mut wire = Wire::connect(server.addr);
    wire.send([V1, &request("/", "")].concat());
    let (id, client, proxy) = peers.recv_timeout(PATIENCE).expect("a request");
    assert_eq!((client.to_string().as_str(), proxy), ("192.0.2.1:5000", wire.local_addr().into()));
    server.handle.accept(id, Upgrade::accept()).expect("it waits");
    assert_eq!(wire.answer().status, 101);
    wire.expect_text("192.0.2.1:5000");

    let config = config(|config| {
        config.trusted_proxies = vec!["127.0.0.1".to_owned()];
        config.proxy_protocol = true;
    });
    let (server, mut shards) =
        Server::builder().config(config).decide_upgrades(true).start_hosted().expect("a server");
    let mut wire = Wire::connect(server.local_addr());
    wire.send([V1, &request("/", "")].concat());
    let conn = loop {
        let (events, mut outlet) = shards[0].turn(Some(PATIENCE)).expect("a turn");
        let asked = events.iter().find_map(|event| match event {
            Event::Upgrade { conn, request } => {
                Some((conn, request.peer_addr(), request.socket_peer_addr()))
            }
            _ => None,
        });
        if let Some((conn, client, proxy)) = asked {
            assert_eq!(client.to_string(), "192.0.2.1:5000");
            assert_eq!(proxy, wire.local_addr().into());
            assert_eq!(outlet.peer_addr(conn), Some(client));
            outlet.accept(conn, Upgrade::accept()).expect("it waits");
            break conn;
        }
    };
    assert!(server.handle().is_alive(conn));
}

#[cfg(unix)]
#[test]
fn who_comes_through_a_unix_socket_is_believed_if_that_is_said() {
    let path = std::env::temp_dir().join(format!("wsp-{}-proxies.sock", std::process::id()));
    let unix = |trusted: &str, proxy_protocol: bool| {
        start(|config| {
            config.listen = vec![format!("unix:{}", path.display())];
            config.trusted_proxies = vec![trusted.to_owned()];
            config.proxy_protocol = proxy_protocol;
            config.forwarded_header = ForwardedHeader::XForwardedFor;
            config.max_connections_per_ip = 1;
        })
    };
    let open = |begin: &str, more: &str| {
        let mut wire = Wire::connect_unix(&path);
        wire.send([begin, &request("/", more)].concat());
        let status = wire.answer().status;
        (status, wire)
    };
    let server = unix("unix", true);
    let (_, mut wire) = open(V1, "X-Forwarded-For: 192.0.2.7\r\n");
    wire.expect_text("192.0.2.1:5000");
    assert_eq!(open(V1, "").0, 429);
    drop((server, wire));
    let server = unix("unix", false);
    let (_, mut wire) = open("", "X-Forwarded-For: 192.0.2.7\r\n");
    wire.expect_text("192.0.2.7:0");
    assert_eq!(open("", "X-Forwarded-For: 192.0.2.7\r\n").0, 429);
    drop((server, wire));
    let server = unix("127.0.0.1", false);
    let (_, mut wire) = open("", "X-Forwarded-For: 192.0.2.7\r\n");
    wire.expect_text("unix");
    drop((server, wire));
    let _server = unix("127.0.0.1", true);
    let mut wire = Wire::connect_unix(&path);
    let _ = wire.try_send(V1);
    wire.expect_refusal(403);
}

#[test]
fn peers_are_compared_as_what_they_are() {
    let addr: SocketAddr = "[::ffff:192.0.2.1]:5000".parse().expect("an address");
    assert_eq!(PeerAddr::from(addr).ip(), Some([192, 0, 2, 1].into()));
    assert_eq!(PeerAddr::Unix.ip(), None);
}
