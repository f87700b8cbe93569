//! The client, against real servers and against ones that do what a server must not do.

#[path = "../support/mod.rs"]
mod support;

mod hostile;
mod ordinary;
mod raw;
mod reconnecting;

use std::time::Duration;

use support::PATIENCE;
use wspoll::client::{Client, DisconnectCause, Disconnected, Event};

/// The next event, in time.
fn next(client: &Client) -> Event {
    let event = client.recv_blocking(PATIENCE).expect("an event in time");
    event.expect("an event before the end")
}

fn connected(client: &Client) -> wspoll::client::Connected {
    match next(client) {
        Event::Connected(with) => with,
        other => panic!("not connected, but {other:?}"),
    }
}

fn text(client: &Client) -> String {
    match next(client) {
        Event::Text(text) => text,
        other => panic!("no text, but {other:?}"),
    }
}

fn disconnected(client: &Client) -> Disconnected {
    match next(client) {
        Event::Disconnected(end) => end,
        other => panic!("not disconnected, but {other:?}"),
    }
}

/// The last event, after which there is nothing.
fn last(client: &Client) -> Disconnected {
    let end = disconnected(client);
    assert_eq!(end.retry_in, None);
    assert!(client.recv_blocking(PATIENCE).expect("the end in time").is_none());
    assert!(client.is_closed() && client.wait_closed(Duration::ZERO));
    end
}

fn is_server(end: &Disconnected) -> bool {
    matches!(end.cause, DisconnectCause::Server)
}
