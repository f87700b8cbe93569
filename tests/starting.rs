//! Starting a server: where it listens, what it refuses, what it sets up, and sockets that the host accepted itself.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use support::probe::config;
use support::wire::request;
use support::{Events, Frame, PATIENCE, Probe, Wire, eventually};
use wspoll::{Adopted, Config, Error, ListenAddr, Origin, Server, ServerHandle};

fn start(config: Config) -> Result<Server, Error> {
    Server::builder().config(config).start()
}

#[test]
fn every_address_is_listened_on() {
    let server = Probe::echo().start_with(|config| {
        config.listen = ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.1:0"].map(str::to_owned).to_vec();
    });
    let addrs = server.server.local_addrs().to_vec();
    assert_eq!(addrs.len(), 3);
    assert_eq!(addrs[0], ListenAddr::Ip(server.server.local_addr()));
    for (addr, ip) in addrs.iter().zip(["127.0.0.1", "127.0.0.2", "127.0.0.1"]) {
        let ListenAddr::Ip(addr) = *addr else { panic!("{addr}") };
        assert_eq!(addr.ip().to_string(), ip);
        assert_ne!(addr.port(), 0);
        Wire::open_at(addr).echo("here too");
    }
}

#[test]
fn the_builders_addresses_replace_those_of_the_configuration() {
    let server = Server::builder()
        .config(config(|config| config.listen = vec!["256.0.0.1:0".to_owned()]))
        .listen("127.0.0.1:0")
        .listen("127.0.0.1:0")
        .start()
        .expect("the server starts");
    assert_eq!(server.local_addrs().len(), 2);
}

#[test]
fn ipv6_is_served() {
    if TcpListener::bind("[::1]:0").is_err() {
        return support::tools::skip("this system has no IPv6 loopback address");
    }
    let server = Probe::echo().start_with(|config| config.listen = vec!["[::1]:0".to_owned()]);
    assert!(server.addr.is_ipv6());
    Wire::open(&server).echo("over six");
}

#[test]
fn a_server_may_listen_nowhere() {
    let server = Probe::echo().start_with(|config| config.listen.clear());
    assert!(server.server.local_addrs().is_empty());
}

#[test]
fn a_setting_that_cannot_be_is_an_error_that_names_it() {
    for (field, adjust) in [
        ("listen", (|config| config.listen = vec!["localhost".to_owned()]) as fn(&mut Config)),
        ("shards", |config| config.shards = 100_000),
        ("max_message_size", |config| config.max_message_size = usize::MAX),
        ("origin", |config| config.origin = Origin::List(vec!["not an origin".to_owned()])),
        ("subprotocols", |config| config.subprotocols = vec!["two words".to_owned()]),
        ("pong_timeout", |config| config.pong_timeout = config.ping_interval),
        ("close_timeout", |config| config.close_timeout = std::time::Duration::ZERO),
    ] {
        match start(config(adjust)).map(drop) {
            Err(Error::InvalidSetting(wrong)) => assert_eq!(wrong.field, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[test]
fn a_taken_port_is_an_error_that_names_the_address() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let started = start(config(|config| {
        // The first is free, and is given back.
        config.listen = vec!["127.0.0.1:0".to_owned(), address.clone()];
    }));
    let error = started.map(drop).expect_err("the port is taken");
    assert!(matches!(error, Error::Io(_)), "{error}");
    assert!(error.to_string().contains(&address), "{error}");
}

#[test]
fn several_servers_live_side_by_side() {
    let one = Probe::echo().start();
    let other = Probe::new()
        .on_message(|conn, _| conn.send("other").expect("room"))
        .start_with(|config| config.shards = 2);
    let (mut a, mut b) = (Wire::open(&one), Wire::open(&other));
    a.echo("one");
    b.frame(Frame::text("which?"));
    b.expect_text("other");
    drop(one);
    a.expect_end();
    b.frame(Frame::text("and now?"));
    b.expect_text("other");
}

#[test]
fn connections_go_to_the_shard_that_has_the_fewest() {
    let server = Probe::echo().start_with(|config| config.shards = 3);
    let mut wires: Vec<Wire> = (0..12).map(|_| Wire::open(&server)).collect();
    for wire in &mut wires {
        wire.echo("hello");
    }
    let spread = || -> Vec<u64> {
        server.handle.stats().shards.iter().map(|shard| shard.connections).collect()
    };
    eventually("four for each shard", spread, |spread| spread == &[4, 4, 4]);
}

#[test]
fn no_number_of_shards_means_one_for_each_core() {
    let server = Probe::echo().start_with(|config| config.shards = 0);
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    assert_eq!(server.handle.stats().shards.len(), cores);
    Wire::open(&server).echo("hello");
}

#[cfg(unix)]
#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_goes() {
    let _server = Probe::echo().start();
    let (soft, hard) = rlimit::Resource::NOFILE.get().expect("the limit");
    assert_eq!(soft, hard);
    assert_eq!(wspoll::raise_file_limit().expect("the limit"), hard);
}

#[test]
fn hooks_run_first_and_last_on_each_shards_thread() {
    let (sender, seen) = mpsc::channel();
    let (first, last) = (sender.clone(), sender);
    let server = Server::builder()
        .config(config(|config| config.shards = 2))
        .on_thread_start(move |shard| {
            let _ = first.send((shard, "start", thread::current().id()));
        })
        .on_thread_stop(move |shard| {
            let _ = last.send((shard, "stop", thread::current().id()));
        })
        .start()
        .expect("the server starts");
    server.shutdown(PATIENCE);
    drop(server);
    let seen: Vec<_> = seen.try_iter().collect();
    for shard in 0..2 {
        let of_this: Vec<_> = seen.iter().filter(|(which, ..)| *which == shard).collect();
        assert_eq!(of_this.iter().map(|(_, what, _)| *what).collect::<Vec<_>>(), ["start", "stop"]);
        assert_eq!(of_this[0].2, of_this[1].2, "one thread");
    }
}

/// Accepts for a server that listens nowhere: connects, and gives the host's end and ours.
fn accepted() -> (TcpStream, Wire) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let wire = Wire::connect(listener.local_addr().expect("an address"));
    (listener.accept().expect("a connection").0, wire)
}

fn without_listener() -> (Server, ServerHandle, Events) {
    let (handler, events) = Probe::echo()
        .on_open(|conn| {
            let facts = format!("{} {:?}", conn.data(), conn.subprotocol());
            conn.send(facts.as_str()).expect("room");
        })
        .recorder();
    let config = config(|config| config.listen.clear());
    let server = Server::builder().config(config).handler(handler).start().expect("it starts");
    let handle = server.handle();
    (server, handle, events)
}

#[test]
fn a_socket_that_the_host_accepted_is_served() {
    let (_server, handle, mut events) = without_listener();
    let (stream, mut wire) = accepted();
    handle.adopt(Adopted::request(stream)).expect("taken");
    wire.send(request("/", ""));
    assert_eq!(wire.answer().status, 101);
    wire.expect_text("0 None");
    wire.echo("hello");
    wire.close(1000);
    assert!(events.closed().clean);
}

#[test]
fn what_the_host_has_read_of_a_request_is_not_lost() {
    let (_server, handle, _events) = without_listener();
    let (mut stream, mut wire) = accepted();
    let mut bytes = request("/", "").into_bytes();
    bytes.extend(Frame::text("behind it").bytes());
    wire.send(&bytes);
    let mut early = vec![0; bytes.len() - 5];
    stream.read_exact(&mut early).expect("the request");
    handle.adopt(Adopted::request(stream).early(early)).expect("taken");
    assert_eq!(wire.answer().status, 101);
    wire.expect_text("0 None");
    wire.expect_text("behind it");
}

#[test]
fn a_socket_that_the_host_upgraded_is_open_at_once() {
    let (_server, handle, mut events) = without_listener();
    let (mut stream, mut wire) = accepted();
    wire.send(request("/", ""));
    let mut read = [0; 4096];
    assert!(stream.read(&mut read).expect("the request") > 0);
    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").expect("the answer");
    let early = Frame::text("early").bytes();
    let adopted = Adopted::upgraded(stream).early(early).subprotocol("chat").data(7);
    handle.adopt(adopted).expect("taken");
    assert_eq!(wire.answer().status, 101);
    wire.expect_text("7 Some(\"chat\")");
    wire.expect_text("early");
    wire.echo("hello");
    let id = events.opened();
    handle.send(id, "pushed").expect("queued");
    wire.expect_text("pushed");
}

#[test]
fn a_stopped_server_takes_no_sockets() {
    let (server, handle, _events) = without_listener();
    drop(server);
    let (stream, mut wire) = accepted();
    assert!(matches!(handle.adopt(Adopted::request(stream)), Err(Error::ShutDown)));
    wire.expect_end();
}
