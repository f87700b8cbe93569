//! The admin listener: what it serves, to whom, and what it does not let its peers do.

#![cfg(feature = "admin")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wspoll::{Config, Error, Server, Token};

use support::admin::{self, Admin};
use support::probe::config;
use support::{Frame, Probe, Running, Wire, eventually};

fn start(probe: Probe, adjust: impl FnOnce(&mut Config)) -> (Running, Admin) {
    let server = probe.start_with(|config| {
        config.admin = Some("127.0.0.1:0".to_owned());
        adjust(config);
    });
    let admin = Admin::at(server.server.admin_addr().expect("an admin listener"));
    (server, admin)
}

/// Joins the rooms that clients name, and says so.
fn rooms() -> Probe {
    Probe::new().on_message(|conn, message| {
        if let wspoll::Message::Text(room) = message {
            let _ = conn.join(room);
            let _ = conn.send(&*format!("in {room}"));
        }
    })
}

fn join(wire: &mut Wire, room: &str) {
    wire.frame(Frame::text(room));
    wire.expect_text(&format!("in {room}"));
}

#[test]
fn each_path_answers_as_it_should() {
    let (_server, admin) = start(Probe::new(), |_| {});
    for (method, path, status) in [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/?from=a-link", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/connections", 200),
        ("GET", "/rooms", 200),
        ("GET", "/debug/memory", 200),
        ("GET", "/feed", 426),
        ("GET", "/push/all", 405),
        ("POST", "/metrics", 405),
        ("POST", "/connections", 405),
        ("GET", "/connections/0-1-2", 405),
        ("DELETE", "/connections/0-1-2", 404),
        ("DELETE", "/connections/me", 400),
        ("GET", "/nothing", 404),
        ("GET", "/metrics/", 404),
        ("GET", "//metrics", 404),
        ("GET", "/debug/profile?seconds=0", 400),
        ("GET", "/debug/profile?seconds=61", 400),
        ("GET", "/debug/profile?format=gif", 400),
        ("GET", "/connections?limit=0", 400),
        ("GET", "/connections?limit=1001", 400),
        ("GET", "/connections?cursor=7-0", 400),
        ("GET", "/connections?page=2", 400),
        ("GET", "/rooms?limit=1&limit=2", 400),
    ] {
        let mut wire = Wire::connect(admin.addr);
        wire.send(admin.request(method, path, "", ""));
        if method == "HEAD" {
            // As long as the answer to GET would be, and without it.
            wire.send_fin();
            continue;
        }
        let answer = wire.answer();
        assert_eq!(answer.status, status, "{method} {path}: {}", admin::text(&answer));
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{method} {path}");
        if status >= 400 {
            assert!(admin::json(&answer)["error"].is_string(), "{method} {path}");
        }
    }
    assert_eq!(admin::text(&admin.get("/healthz")), "ok\n");
    assert_eq!(admin::text(&admin.get("/readyz")), "ready\n");
}

#[test]
fn one_connection_serves_many_requests() {
    let (_server, admin) = start(Probe::new(), |_| {});
    let mut wire = Wire::connect(admin.addr);
    for _ in 0..50 {
        wire.send(admin.request("POST", "/push/all", "", r#"{"text":""}"#));
        assert_eq!(wire.answer().status, 200);
    }
    // Two that come together are answered in their order.
    let both = admin.request("GET", "/healthz", "", "") + &admin.request("GET", "/readyz", "", "");
    wire.send(both);
    assert_eq!((admin::text(&wire.answer()), admin::text(&wire.answer())), ("ok\n", "ready\n"));
}

#[test]
fn connections_are_listed_page_by_page() {
    let (mut server, admin) = start(rooms(), |config| config.shards = 3);
    let mut clients: Vec<(Wire, String)> = (0..10)
        .map(|_| {
            let wire = Wire::open(&server);
            (wire, server.events.opened().to_raw().to_string())
        })
        .collect();
    join(&mut clients[3].0, "some");
    join(&mut clients[7].0, "some");
    join(&mut clients[7].0, "more & more");

    let ids = |path: &str, limit: usize| {
        let mut ids = Vec::new();
        let (mut next, mut pages) = (Value::Null, 0);
        loop {
            let cursor = next.as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
            let page = admin.json(&format!("{path}limit={limit}{cursor}"));
            let list = page["connections"].as_array().expect("a list");
            assert!(list.len() <= limit);
            ids.extend(list.iter().map(|conn| conn["id"].as_str().expect("an id").to_owned()));
            next = page["next"].clone();
            pages += 1;
            if next.is_null() {
                return (ids, pages);
            }
        }
    };
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    let all = sorted(clients.iter().map(|(_, id)| id.clone()).collect());
    for limit in [1, 3, 4, 10, 1000] {
        let (listed, pages) = ids("/connections?", limit);
        assert_eq!(sorted(listed), all, "by {limit}");
        assert!(pages <= 10 / limit + 3, "{pages} pages of {limit}");
    }
    let some = sorted(vec![clients[3].1.clone(), clients[7].1.clone()]);
    for limit in [1, 2, 100] {
        assert_eq!(sorted(ids("/connections?room=some&", limit).0), some);
    }
    let page = admin.json("/connections?room=more+%26+more");
    assert_eq!(page["total"], 1);
    let conn = &page["connections"][0];
    assert_eq!(conn["id"], json!(clients[7].1));
    assert_eq!(conn["rooms"], json!(["some", "more & more"]));
    assert_eq!((&conn["open"], &conn["queued_bytes"]), (&json!(true), &json!(0)));
    let peer: SocketAddr = conn["peer"].as_str().and_then(|p| p.parse().ok()).expect("an address");
    assert!(peer.ip().is_loopback());
    assert_eq!(admin.json("/connections?room=empty")["total"], 0);
}

#[test]
fn a_room_is_listed_once_however_many_shards_it_is_on() {
    let (server, admin) = start(rooms(), |config| config.shards = 3);
    let mut clients: Vec<Wire> = (0..9).map(|_| Wire::open(&server)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        join(client, "everyone");
        join(client, &format!("of {}", n % 5));
    }
    for limit in [1, 2, 100] {
        let mut seen = Vec::new();
        let mut next = Value::Null;
        loop {
            let cursor = next.as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
            let page = admin.json(&format!("/rooms?limit={limit}{cursor}"));
            let list = page["rooms"].as_array().expect("a list");
            let entry = |room: &Value| (room["name"].clone(), room["members"].clone());
            seen.extend(list.iter().map(entry));
            next = page["next"].clone();
            if next.is_null() {
                break;
            }
        }
        seen.sort_by_key(|(name, _)| name.to_string());
        let expected =
            [("everyone", 9), ("of 0", 2), ("of 1", 2), ("of 2", 2), ("of 3", 2), ("of 4", 1)];
        assert_eq!(seen, expected.map(|(name, members)| (json!(name), json!(members))));
    }
}

#[test]
fn a_connection_is_closed_with_code_and_reason() {
    let (mut server, admin) = start(Probe::new(), |_| {});
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    let close = |query: &str| admin.ask("DELETE", &format!("/connections/{id}{query}"), "", "");
    for (query, field) in [
        ("?code=1005", "code"),
        ("?code=many", "code"),
        ("?reson=x", "reson"),
        (&format!("?reason={}", "x".repeat(124)), "code"),
    ] {
        let answer = close(query);
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(admin::json(&answer)["field"], field, "{query}");
    }
    let answer = close("?code=4001&reason=too+loud");
    assert_eq!(answer.status, 202);
    assert_eq!(admin::json(&answer), json!({ "closing": id.to_raw().to_string() }));
    assert_eq!(wire.expect_close(4001), "too loud");
    wire.frame(Frame::close(4001, ""));
    server.events.closed();
    assert_eq!(close("").status, 404);
}

#[test]
fn with_a_token_only_probes_and_the_page_do_without_it() {
    let (_server, admin) =
        start(Probe::new(), |config| config.admin_token = Token::from("s3cret/+="));
    for path in ["/", "/healthz", "/readyz"] {
        assert_eq!(admin.get(path).status, 200, "{path}");
    }
    let paths = [
        "/metrics",
        "/connections",
        "/rooms",
        "/debug/memory",
        "/debug/profile",
        "/feed",
        "/nothing",
    ];
    for path in paths {
        let answer = admin.get(path);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
    }
    assert_eq!(admin.post("/push/all", "", r#"{"text":"a"}"#).status, 401);
    assert_eq!(admin.ask("DELETE", "/connections/0-0-1", "", "").status, 401);
    for wrong in ["s3cret", "s3cret/+=x", "S3CRET/+="] {
        assert_eq!(Admin::with_token(admin.addr, wrong).get("/metrics").status, 401, "{wrong}");
    }
    let basic = admin.ask("GET", "/metrics", "Authorization: Basic s3cret/+=\r\n", "");
    assert_eq!(basic.status, 401);
    let knows = Admin::with_token(admin.addr, "s3cret/+=");
    assert_eq!(knows.get("/metrics").status, 200);
    assert_eq!(knows.get("/nothing").status, 404);
    // The token is what keeps other sites out: any name may lead here, as behind a proxy.
    let named = "Authorization: bearer s3cret/+=\r\n";
    let mut wire = Wire::connect(admin.addr);
    wire.send(format!("GET /metrics HTTP/1.1\r\nHost: admin.example.com\r\n{named}\r\n"));
    assert_eq!(wire.answer().status, 200);
}

#[test]
fn pages_of_other_sites_are_kept_out() {
    let (_server, admin) = start(Probe::new(), |_| {});
    let ask = |request: &str, host: &str, more: &str| {
        let mut wire = Wire::connect(admin.addr);
        wire.send(format!("{request} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"));
        wire.answer().status
    };
    let here = admin.addr.to_string();
    // A name that its owner points at 127.0.0.1 (DNS rebinding).
    for (host, status) in [
        (&*here, 200),
        ("localhost:6060", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.0.2.1", 421),
    ] {
        assert_eq!(ask("GET /metrics", host, ""), status, "{host}");
    }
    assert_eq!(ask("GET /healthz", "evil.example", ""), 421);
    for (request, more, status) in [
        ("GET /metrics", "Origin: http://evil.example\r\n", 403),
        ("GET /metrics", "Origin: null\r\n", 403),
        ("POST /push/all", "Origin: https://localhost\r\nContent-Length: 0\r\n", 403),
        ("GET /debug/profile?seconds=60", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("GET /metrics", "Sec-Fetch-Site: same-site\r\n", 403),
        ("GET /metrics", "Sec-Fetch-Site: same-origin\r\n", 200),
        ("GET /metrics", "Sec-Fetch-Site: none\r\n", 200),
        ("GET /", "Sec-Fetch-Site: cross-site\r\n", 200),
    ] {
        assert_eq!(ask(request, &here, more), status, "{request} {more}");
    }
    let own = format!("Origin: http://{here}\r\n");
    assert_eq!(ask("GET /metrics", &here, &own), 200);
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let evil = format!("{upgrade}Origin: http://evil.example\r\n");
    assert_eq!(ask("GET /feed", &here, &evil), 403);
    assert_eq!(ask("GET /feed", &here, &format!("{upgrade}{own}")), 101);
}

#[test]
fn who_holds_connections_open_keeps_nobody_out() {
    let (_server, admin) = start(Probe::new(), |_| {});
    let mut idle: Vec<Wire> = (0..100).map(|_| Wire::connect(admin.addr)).collect();
    idle.iter_mut().for_each(|wire| wire.send("GET /metrics HTTP/1.1\r\n"));
    assert_eq!(admin.get("/healthz").status, 200);
    // The first had to go; the last are still there.
    idle[0].expect_end();
    let last = idle.last_mut().expect("one");
    last.send(format!("Host: {}\r\n\r\n", admin.addr));
    assert_eq!(last.answer().status, 200);
}

#[test]
fn who_says_nothing_or_not_enough_is_cut_off() {
    let (_server, admin) = start(Probe::new(), |_| {});
    let began = Instant::now();
    let mut silent = Wire::connect(admin.addr);
    let mut half = Wire::connect(admin.addr);
    half.send("GET /metrics HTTP/1.1\r\nHost: loc");
    let mut bodiless = Wire::connect(admin.addr);
    let head =
        format!("POST /push/all HTTP/1.1\r\nHost: {}\r\nContent-Length: 9\r\n\r\n", admin.addr);
    bodiless.send(head);
    let mut idle = Wire::connect(admin.addr);
    idle.send(admin.request("GET", "/healthz", "", ""));
    assert_eq!(idle.answer().status, 200);

    assert_eq!(bodiless.answer().status, 408);
    for wire in [&mut silent, &mut half, &mut idle] {
        wire.expect_end();
    }
    let took = began.elapsed();
    assert!(took > Duration::from_secs(9), "{took:?}");
}

#[test]
fn a_head_has_a_largest_size() {
    let (_server, admin) = start(Probe::new(), |_| {});
    let mut wire = Wire::connect(admin.addr);
    let header = format!("X-Long: {}\r\n", "x".repeat(64 * 1024));
    // What is behind the limit may meet a reset.
    let _ = wire.try_send(admin.request("GET", "/healthz", &header, ""));
    wire.expect_end();
    assert_eq!(admin.get("/healthz").status, 200);
}

#[test]
fn readiness_ends_with_the_drain_and_the_port_is_free_after_it() {
    let (server, admin) = start(Probe::new(), |config| {
        config.close_timeout = Duration::from_secs(60);
    });
    let mut wire = Wire::open(&server);
    server.handle.shutdown(Duration::from_secs(60));
    wire.expect_close(1001);
    let answer = eventually("the drain to show", || admin.get("/readyz"), |a| a.status == 503);
    assert_eq!(admin::text(&answer), "draining\n");
    assert_eq!(admin.get("/healthz").status, 200);
    let metrics = admin.get("/metrics");
    assert!(admin::text(&metrics).contains("\nwspoll_draining 1\n"));
    assert_eq!(admin.post("/push/all", "", r#"{"text":"late"}"#).status, 503);
    wire.frame(Frame::close(1001, ""));
    drop(wire);
    server.server.shutdown(Duration::from_secs(60));
    TcpListener::bind(admin.addr).expect("the port is free");
}

#[test]
fn a_hosted_server_has_one_too() {
    let (server, shards) = Server::builder()
        .config(config(|config| config.shards = 2))
        .admin("[::1]:0")
        .start_hosted()
        .or_else(|_| {
            let config = config(|config| config.shards = 2);
            Server::builder().config(config).admin("127.0.0.1:0").start_hosted()
        })
        .expect("the server starts");
    let threads: Vec<_> = shards
        .into_iter()
        .map(|mut shard| std::thread::spawn(move || while shard.turn(None).is_ok() {}))
        .collect();
    let admin = Admin::at(server.admin_addr().expect("an admin listener"));
    let mut wire = Wire::open_at(server.local_addr());
    eventually(
        "the connection",
        || admin.json("/connections"),
        |page| page["connections"].as_array().is_some_and(|list| list.len() == 1),
    );
    let answer = admin.post("/push/all", "", r#"{"text":"hosted"}"#);
    assert_eq!(admin::json(&answer)["delivered"], 1);
    wire.expect_text("hosted");
    server.shutdown(Duration::ZERO);
    threads.into_iter().for_each(|thread| thread.join().expect("a shard's thread"));
    assert_eq!(admin.get("/readyz").status, 503, "there until the server is dropped");
    drop(server);
    TcpListener::bind(admin.addr).expect("the port is free");
}

#[test]
fn a_shard_that_does_not_turn_is_told_and_not_waited_for() {
    let (server, shards) = Server::builder()
        .config(config(|_| {}))
        .admin("127.0.0.1:0")
        .start_hosted()
        .expect("the server starts");
    let admin = Admin::at(server.admin_addr().expect("an admin listener"));
    let stuck = std::thread::spawn({
        let admin = Admin::at(admin.addr);
        move || admin.get("/connections")
    });
    assert_eq!(admin.get("/metrics").status, 200);
    let answer = stuck.join().expect("an answer");
    assert_eq!(answer.status, 504);
    assert_eq!(admin::json(&answer)["error"], "shard 0 has not answered for 5s");
    drop(shards);
}

#[test]
fn an_address_for_others_needs_a_token_and_a_taken_one_is_named() {
    let start = |admin: &str, token: &str| {
        Server::builder().config(config(|_| {})).admin(admin).admin_token(token).start()
    };
    let refused = |result: Result<Server, Error>| result.err().expect("refused").to_string();
    let error = refused(start("0.0.0.0:0", ""));
    assert!(error.starts_with("admin_token is \"\": ") && error.contains("0.0.0.0:0"), "{error}");
    let error = refused(start("6060", ""));
    assert!(error.starts_with("admin is \"6060\": "), "{error}");
    let error = refused(start("127.0.0.1:0", "two words"));
    assert!(error.starts_with("admin_token is ") && !error.contains("two words"), "{error}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = taken.local_addr().expect("its address").to_string();
    let error = refused(start(&address, ""));
    assert!(error.contains(&address), "{error}");

    let server = start("0.0.0.0:0", "s3cret").expect("the server starts");
    let port = server.admin_addr().expect("an admin listener").port();
    let admin = Admin::with_token(SocketAddr::from(([127, 0, 0, 1], port)), "s3cret");
    assert_eq!(admin.get("/metrics").status, 200);
    assert_eq!(
        Server::builder().config(config(|_| {})).start().expect("starts").admin_addr(),
        None
    );
}

#[test]
fn memory_is_told_by_shard() {
    let (server, admin) = start(Probe::echo(), |config| config.shards = 2);
    let mut wires = [Wire::open(&server), Wire::open(&server)];
    let memory = eventually(
        "both shards to have looked",
        || {
            // A shard looks when the clock of its timers moves.
            wires.iter_mut().for_each(|wire| wire.echo("tick"));
            admin.json("/debug/memory")
        },
        |memory| {
            let has_bytes = |shard: usize| memory["shards"][shard]["structures_bytes"] != 0;
            memory["total"]["sockets"] == 2 && has_bytes(0) && has_bytes(1)
        },
    );
    assert_eq!(memory["shards"].as_array().map(Vec::len), Some(2));
    if cfg!(target_os = "linux") {
        assert!(memory["resident_bytes"].as_u64() > Some(1 << 20), "{memory}");
    }
}
