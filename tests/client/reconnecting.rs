//! Connections that are lost and made again.

use std::collections::HashSet;
use std::time::Duration;

use wspoll::Error;
use wspoll::client::{Client, DisconnectCause, Event, Reconnect};

use crate::raw::RawServer;
use crate::support::{Frame, Probe};
use crate::{connected, disconnected, is_server, last, next, text};

const LEAST: Duration = Duration::from_millis(2);
const MOST: Duration = Duration::from_millis(40);

fn quickly() -> Reconnect {
    Reconnect::default().delays(LEAST, MOST)
}

#[test]
fn a_lost_connection_is_made_again_and_greeted_first() {
    let server = RawServer::new();
    let client = Client::builder(server.url())
        .reconnect(quickly())
        .on_connect(|greeting| {
            assert!(greeting.connected().headers.len() >= 3);
            greeting.send("join");
            greeting.send(&[1, 2, 3]);
        })
        .start()
        .expect("started");
    let mut conn = server.open();
    connected(&client);
    let expect = |conn: &mut crate::raw::RawConn, payload: &[u8]| {
        assert_eq!(conn.next_frame().expect("a frame").payload, payload);
    };
    expect(&mut conn, b"join");
    expect(&mut conn, &[1, 2, 3]);
    client.try_send("one").expect("sent");
    expect(&mut conn, b"one");
    drop(conn);
    let end = disconnected(&client);
    assert!(end.retry_in.is_some_and(|delay| (LEAST..=MOST).contains(&delay)), "{end}");
    // Between connections: kept for the next, after the greeting.
    client.try_send("two").expect("queued");
    let mut conn = server.open();
    for payload in [b"join".as_slice(), &[1, 2, 3], b"two"] {
        expect(&mut conn, payload);
    }
    connected(&client);
    conn.frame(Frame::text("back"));
    assert_eq!(text(&client), "back");
    // Whatever the reason: also after a close.
    conn.frame(Frame::close(1001, "restart"));
    drop(conn);
    let end = disconnected(&client);
    assert!(is_server(&end) && (end.code, end.reason.as_str()) == (1001, "restart"), "{end}");
    assert!(end.retry_in.is_some());
    server.open();
    connected(&client);
    // The host's own close is the end.
    client.start_close(1000, "").expect("closing");
    let mut ends = 0;
    while let Some(event) = client.recv_blocking(crate::support::PATIENCE).expect("in time") {
        ends += u32::from(matches!(event, Event::Disconnected(end) if end.retry_in.is_none()));
    }
    assert_eq!(ends, 1);
}

#[test]
fn a_server_that_restarts_has_its_client_back() {
    let mut server = Probe::echo().start();
    let url = format!("ws://{}/", server.addr);
    let client = Client::builder(url).reconnect(quickly()).connect_blocking().expect("connecting");
    connected(&client);
    client.try_send("one").expect("sent");
    assert_eq!(text(&client), "one");
    let address = server.addr.to_string();
    server.server.shutdown(Duration::from_secs(5));
    assert_eq!(disconnected(&client).code, 1001);
    drop(server);
    server = Probe::echo().start_with(|config| config.listen = vec![address]);
    // Tries that met nobody are events too.
    loop {
        match next(&client) {
            Event::Connected(_) => break,
            Event::Disconnected(end) => assert!(end.retry_in.is_some(), "{end}"),
            other => panic!("{other:?}"),
        }
    }
    client.try_send("two").expect("sent");
    assert_eq!(text(&client), "two");
    assert_eq!(server.handle.connections(), 1);
}

#[test]
fn a_storm_is_spread_and_its_delays_have_bounds() {
    let gone = RawServer::new().url();
    let clients: Vec<Client> = (0..50)
        .map(|_| {
            let reconnect = quickly().max_attempts(10);
            Client::builder(gone.clone()).reconnect(reconnect).start().expect("started")
        })
        .collect();
    let mut delays = Vec::new();
    for client in &clients {
        let mut own = Vec::new();
        let end = loop {
            let end = disconnected(client);
            assert!(matches!(end.cause, DisconnectCause::NotConnected(Error::Io(_))), "{end}");
            match end.retry_in {
                Some(delay) => own.push(delay),
                None => break end,
            }
        };
        assert!(end.to_string().contains("connecting to"), "{end}");
        assert_eq!(own.len(), 10);
        let mut last = LEAST;
        for delay in &own {
            assert!((LEAST..=MOST).contains(delay) && *delay <= last * 3, "{own:?}");
            last = *delay;
        }
        delays.push(own);
    }
    let firsts: HashSet<_> = delays.iter().map(|own| own[0]).collect();
    assert!(firsts.len() > 40, "{firsts:?}");
    let mean = |at: usize| delays.iter().map(|own| own[at]).sum::<Duration>() / 50;
    assert!(mean(9) > mean(0), "{:?} {:?}", mean(0), mean(9));
}

#[test]
fn a_connection_that_did_not_last_is_another_failure() {
    let server = RawServer::new();
    let reconnect = quickly().max_attempts(3).stable_after(Duration::from_secs(3600));
    let client = Client::builder(server.url()).reconnect(reconnect).start().expect("started");
    for _ in 0..3 {
        server.open();
        connected(&client);
        assert!(disconnected(&client).retry_in.is_some());
    }
    server.open();
    connected(&client);
    last(&client);
}

#[test]
fn a_connection_that_lasted_begins_anew() {
    let server = RawServer::new();
    let reconnect = quickly().max_attempts(1).stable_after(Duration::ZERO);
    let client = Client::builder(server.url()).reconnect(reconnect).start().expect("started");
    for _ in 0..5 {
        server.open();
        connected(&client);
        assert!(disconnected(&client).retry_in.is_some());
    }
}

#[test]
fn the_first_try_of_connect_decides() {
    let gone = RawServer::new().url();
    let error = Client::builder(gone).reconnect(quickly()).connect_blocking();
    assert!(matches!(error, Err(Error::Io(_))));
}

#[test]
fn closing_between_connections_ends_at_once() {
    let gone = RawServer::new().url();
    let hour = Duration::from_secs(3600);
    let reconnect = Reconnect::default().delays(hour, hour);
    let client = Client::builder(gone).reconnect(reconnect).start().expect("started");
    assert_eq!(disconnected(&client).retry_in, Some(hour));
    smol::block_on(client.close(1000, "")).expect("closed");
    assert_eq!(last(&client).code, 1006);
}

#[test]
fn a_hook_that_panics_ends_its_client_and_no_other() {
    let server = Probe::echo().start();
    let url = format!("ws://{}/", server.addr);
    let other = Client::builder(url.clone()).connect_blocking().expect("connecting");
    connected(&other);
    let client =
        Client::builder(url).on_connect(|_| panic!("on purpose")).start().expect("started");
    let end = last(&client);
    assert!(matches!(&end.cause, DisconnectCause::Panic(what) if what == "on purpose"), "{end}");
    other.try_send("alive").expect("sent");
    assert_eq!(text(&other), "alive");
}
