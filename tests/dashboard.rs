//! The dashboard in a browser: what it shows, what can be done in it, how it gets on without its server.

#![cfg(feature = "cli")]

mod support;

use std::net::SocketAddr;

use support::admin::Admin;
use support::browser::{Browser, Page, check_policy};
use support::{Frame, Peer, Probe, Running, Wire};
use wspoll::{Config, Token};

/// Joins the rooms that clients name, and says so.
fn start(adjust: impl FnOnce(&mut Config)) -> (Running, SocketAddr) {
    let probe = Probe::new().on_message(|conn, message| {
        if let wspoll::Message::Text(room) = message {
            let _ = conn.join(room);
            let _ = conn.send(&*format!("in {room}"));
        }
    });
    let server = probe.start_with(|config| {
        config.admin = Some("127.0.0.1:0".to_owned());
        config.shards = 2;
        adjust(config);
    });
    let admin = server.server.admin_addr().expect("an admin listener");
    (server, admin)
}

fn client(server: &Running, room: &str) -> Peer {
    let mut peer = Peer::open(server.addr);
    peer.send(room);
    assert_eq!(peer.text(), format!("in {room}"));
    peer
}

/// What the tests look for in the page.
const HELPERS: &str = "
    window.text = (id) => byId(id).textContent;
    window.rows = (id) => [...byId(id).rows].map((row) => [...row.cells].map((cell) => cell.textContent));
    window.label = (nth) => document.querySelectorAll('#charts svg')[nth].getAttribute('aria-label');
    window.lines = (nth) => document.querySelectorAll('#charts svg')[nth].querySelectorAll('path').length;
";

fn open(browser: &Browser, admin: SocketAddr) -> Page {
    browser.open(&format!("http://{admin}/"), HELPERS)
}

#[test]
fn it_shows_what_goes_on() {
    let Some(browser) = Browser::start() else { return };
    let (server, admin) = start(|_| {});
    let mut peers: Vec<Peer> =
        (0..12).map(|n| client(&server, if n < 5 { "a" } else { "b" })).collect();
    let mut page = open(&browser, admin);
    page.until("text('state') === 'live'");
    page.until("text('open-now') === '12 open'");
    page.until("rows('rooms').length === 2");
    assert_eq!(
        page.value("rows('rooms').map((row) => row.slice(0, 2).join()).sort().join(' ')"),
        "a,5 b,7"
    );
    page.until("text('connections-note') === 'Page 1, 12 in all'");
    assert_eq!(page.value("rows('connections').length"), 10);
    assert_eq!(page.value("rows('shards').length"), 2);
    assert_eq!(
        page.value("rows('shards').map((row) => Number(row[1])).reduce((a, b) => a + b)"),
        12
    );

    // Lines need two looks; each chart tells in words what it draws.
    page.until("lines(0) === 2 && lines(1) === 2 && lines(5) === 4");
    page.until("label(0) === 'Connections, last two minutes: open 12 now, at most 12'");
    assert_eq!(page.value("label(5).includes('is the slowest')"), true);
    peers.drain(..6).for_each(Peer::close);
    page.until("text('open-now') === '6 open'");
    page.until("label(0) === 'Connections, last two minutes: open 6 now, at most 12'");
    assert_eq!(page.value("failures.join()"), "", "the page broke its own policy");
    // The dashboards are not among what they show.
    assert_eq!(server.handle.connections(), 6);
}

#[test]
fn tables_are_paged_and_filtered() {
    let Some(browser) = Browser::start() else { return };
    let (server, admin) = start(|_| {});
    let _many: Vec<Peer> = (0..23).map(|n| client(&server, &format!("room {n:02}"))).collect();
    let _more: Vec<Peer> = (0..3).map(|_| client(&server, "room 07")).collect();
    let mut page = open(&browser, admin);
    for table in ["rooms", "connections"] {
        let has = |rows: usize, number: usize| {
            format!(
                "rows('{table}').length === {rows} && text('{table}-note').startsWith('Page {number}')"
            )
        };
        page.until(&has(10, 1));
        assert_eq!(page.value(&format!("byId('{table}-back').disabled")), true);
        let first = page.value(&format!("rows('{table}')[0][0]"));
        page.press(&format!("{table}-next"));
        page.until(&has(10, 2));
        assert_ne!(page.value(&format!("rows('{table}')[0][0]")), first);
        page.press(&format!("{table}-next"));
        page.until(&has(if table == "rooms" { 3 } else { 6 }, 3));
        assert_eq!(page.value(&format!("byId('{table}-next').disabled")), true);
        page.press(&format!("{table}-back"));
        page.until(&has(10, 2));
        page.press(&format!("{table}-back"));
        page.until(&has(10, 1));
        assert_eq!(page.value(&format!("rows('{table}')[0][0]")), first);
    }
    page.write("filter", "room 07");
    page.until(
        "text('connections-note') === 'Page 1, 4 in all' && rows('connections').length === 4",
    );
    assert_eq!(page.value("rows('connections').every((row) => row[4] === 'room 07')"), true);
    page.write("filter", "no such room");
    page.until("rows('connections')[0]?.[0] === 'None.'");
    // From the table of rooms, by its button.
    page.value("byId('rooms').rows[0].querySelector('button').click()");
    page.until(
        "byId('filter').value === rows('rooms')[0]?.[0] && rows('connections')[0]?.length > 1",
    );
}

#[test]
fn a_message_is_pushed_and_a_connection_closed() {
    let Some(browser) = Browser::start() else { return };
    let (mut server, admin) = start(|_| {});
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    wire.frame(Frame::text("lobby"));
    wire.expect_text("in lobby");
    let mut page = open(&browser, admin);
    page.until("text('state') === 'live'");
    assert_eq!(page.value("byId('whom-field').hidden"), true);
    page.write("message", "Grüße an alle");
    page.press("send");
    page.until("text('pushed') === 'delivered to 1'");
    wire.expect_text("Grüße an alle");

    let choose = |page: &mut Page, id: &str, value: &str| {
        let choice = format!(
            "byId('{id}').value = '{value}', byId('{id}').dispatchEvent(new Event('change'))"
        );
        page.value(&choice);
    };
    choose(&mut page, "target", "room");
    page.write("whom", "nowhere");
    page.press("send");
    page.until("text('pushed') === 'delivered to 0, the room has no members'");
    page.write("whom", "lobby");
    choose(&mut page, "kind", "binary");
    page.write("message", "no base64");
    page.press("send");
    page.until("text('pushed').startsWith('binary is \"no base64\"')");
    assert_eq!(page.value("byId('pushed').classList.contains('bad')"), true);
    page.write("message", "AAH/");
    page.press("send");
    page.until("text('pushed') === 'delivered to 1'");
    wire.expect(support::frame::BINARY, [0, 1, 255]);
    choose(&mut page, "target", "conn");
    choose(&mut page, "kind", "text");
    page.write("whom", &id.to_string());
    page.write("message", "to you");
    page.press("send");
    wire.expect_text("to you");

    page.until("rows('connections')[0]?.length > 1");
    page.value("document.querySelector('#connections button').click()");
    assert_eq!(wire.expect_close(1000), "closed by the dashboard");
    wire.frame(Frame::close(1000, ""));
    page.until("rows('connections')[0]?.[0] === 'None.'");
    assert_eq!(page.value("failures.join()"), "");
}

#[test]
fn a_token_is_asked_for_and_kept_in_the_tab() {
    let Some(browser) = Browser::start() else { return };
    let (_server, admin) = start(|config| config.admin_token = Token::from("s3cret/+="));
    let mut page = open(&browser, admin);
    page.until("text('state') === 'locked' && document.activeElement.id === 'token'");
    page.write("token", "wrong");
    page.enter();
    page.until("text('token-hint') === 'That is not the token.'");
    page.write("token", "s3cret/+=");
    page.enter();
    page.until("text('state') === 'live' && byId('locked').hidden");
    page.until("rows('connections')[0]?.[0] === 'None.'");
    page.call("Page.reload", serde_json::json!({}));
    page.event("Page.loadEventFired");
    page.until("text('state') === 'live'");
    assert_eq!(page.value("failures.join()"), "");
}

#[test]
fn it_comes_back_when_its_server_does() {
    let Some(browser) = Browser::start() else { return };
    let (server, admin) = start(|_| {});
    let mut page = open(&browser, admin);
    page.until("text('state') === 'live'");
    drop(server);
    page.until("text('state') === 'offline'");
    let (server, _) = start(|config| config.admin = Some(admin.to_string()));
    let _peer = client(&server, "again");
    page.until("text('state') === 'live' && text('open-now') === '1 open'");
    page.until("rows('rooms')[0]?.[0] === 'again'");
}

#[test]
fn a_drain_shows() {
    let Some(browser) = Browser::start() else { return };
    let (server, admin) = start(|_| {});
    let mut wire = Wire::open(&server);
    let mut page = open(&browser, admin);
    page.until("text('state') === 'live'");
    server.handle.shutdown(support::PATIENCE);
    wire.expect_close(1001);
    page.until("text('state') === 'draining'");
}

#[test]
fn everything_has_a_name_and_is_reached_by_keyboard() {
    let Some(browser) = Browser::start() else { return };
    let (server, admin) = start(|_| {});
    let _peer = client(&server, "a");
    let mut page = open(&browser, admin);
    page.until("text('state') === 'live' && rows('connections')[0]?.length > 1 && lines(0) === 2");
    // As a screen reader has it.
    let tree = page.call("Accessibility.getFullAXTree", serde_json::json!({}));
    let nodes = tree["nodes"].as_array().expect("nodes");
    let is_shown = |node: &&serde_json::Value| node["ignored"] == false;
    let mut counted = std::collections::BTreeMap::<&str, usize>::new();
    for node in nodes.iter().filter(is_shown) {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        *counted.entry(role).or_default() += 1;
        let needs_name = matches!(
            role,
            "button"
                | "textbox"
                | "searchbox"
                | "combobox"
                | "image"
                | "link"
                | "region"
                | "columnheader"
        );
        let name = node["name"]["value"].as_str().unwrap_or_default();
        assert!(!needs_name || !name.is_empty(), "{node}");
    }
    for (role, least) in
        [("image", 6), ("table", 3), ("columnheader", 20), ("rowheader", 4), ("status", 2)]
    {
        assert!(counted.get(role).is_some_and(|count| *count >= least), "{role}: {counted:?}");
    }
    // Every control is a stop of the Tab key, in the order of the page.
    let stops = page.value("[...document.querySelectorAll('button, input, select, textarea, a')].every((it) => it.tabIndex === 0)");
    assert_eq!(stops, true);
}

#[test]
fn the_policy_lets_the_page_run_what_stands_in_it_and_nothing_else() {
    let (_server, admin) = start(|_| {});
    check_policy(&Admin::at(admin).get("/"), "control/dashboard.rs");
}
