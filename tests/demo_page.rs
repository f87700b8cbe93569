//! The demo page in a browser: open, send text and binary, see the echo, close.

#![cfg(feature = "cli")]

mod support;

use serde_json::json;

use support::browser::{Browser, Page, check_policy};
use support::command::Server;
use support::{Peer, Wire};

#[test]
fn a_visitor_opens_sends_sees_the_echo_and_closes() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start(&[]);
    let mut page = browser.open(&format!("http://{}/", server.addr), ROW);

    page.until("byId('state').textContent === 'closed'");
    assert_eq!(page.value("byId('url').value"), json!(format!("ws://{}/", server.addr)));
    assert_eq!(enabled(&mut page), ["open"]);

    page.press("open");
    page.until("byId('state').textContent === 'open'");
    assert_eq!(enabled(&mut page), ["send", "close"]);
    assert_eq!(
        page.value("document.activeElement.id"),
        "message",
        "the keyboard goes on from there"
    );

    page.write("message", "Grüße, 世界");
    page.press("send");
    page.until("row('received', 'Grüße, 世界')");
    assert_eq!(
        page.value("row('sent', 'Grüße, 世界').querySelector('small').textContent"),
        "text, 15 bytes"
    );

    // The keyboard does as well as the button.
    page.write("message", "by keyboard");
    page.enter();
    page.until("row('received', 'by keyboard')");

    page.value("byId('kind').value = 'binary'");
    page.write("message", "00 ff 7");
    page.press("send");
    page.until("byId('message-hint').textContent.startsWith('Not hex')");
    page.write("message", "00 ff 7f");
    page.press("send");
    page.until("row('received', '00 ff 7f')");
    assert_eq!(
        page.value("row('received', '00 ff 7f').querySelector('small').textContent"),
        "binary, 3 bytes"
    );
    assert_eq!(page.value("byId('count').textContent"), "3 sent, 3 received");

    page.press("close");
    page.until("byId('state').textContent === 'closed (1000)'");
    page.until("row('state', '1000 normal closure')");
    assert_eq!(enabled(&mut page), ["open"]);

    // A visitor may come back, here to the room, where the sender hears itself too.
    let room = format!("ws://{}/broadcast", server.addr);
    page.write("url", &room);
    page.press("open");
    page.until(&format!("row('state', '{room}')"));
    let (mut other, _) = Peer::open_path(server.addr, "/broadcast").expect("the handshake");
    other.send("from another client");
    page.until("row('received', 'from another client')");
    assert_eq!(page.value("failures.join()"), "", "the page broke its own policy");
}

#[test]
fn a_connection_that_fails_is_shown() {
    let Some(browser) = Browser::start() else { return };
    let mut server = Server::start(&[]);
    let mut page = browser.open(&format!("http://{}/", server.addr), ROW);
    page.press("open");
    page.until("byId('state').textContent === 'open'");
    server.program.kill();
    page.until("byId('state').textContent === 'closed (1006)'");
    page.press("open");
    page.until("document.querySelectorAll('#log .failed').length === 2");
    page.write("url", "no URL: at all");
    page.press("open");
    page.until("document.querySelectorAll('#log .failed').length === 3");
}

#[test]
fn the_policy_lets_the_page_run_what_stands_in_it_and_nothing_else() {
    let server = Server::start(&[]);
    let mut wire = Wire::connect(server.addr);
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = wire.answer();
    check_policy(&answer, "modes/mod.rs");
}

/// Finds a row of the log.
const ROW: &str = "
    window.row = (kind, text) => [...document.querySelectorAll('#log .' + kind)]
        .find((row) => row.querySelector('code').textContent === text);
";

/// Which of the three buttons can be pressed.
fn enabled(page: &mut Page) -> Vec<&'static str> {
    ["open", "send", "close"]
        .into_iter()
        .filter(|id| page.value(&format!("byId('{id}').disabled")) == false)
        .collect()
}
