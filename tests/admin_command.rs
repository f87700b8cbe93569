//! The admin listener of the command: where it is, what happens if it cannot be there, where its token comes from.

#![cfg(feature = "cli")]

mod support;

use std::net::{SocketAddr, TcpListener};

use support::Peer;
use support::admin::Admin;
use support::command::{Ended, Program, Server};

const LISTEN: [&str; 2] = ["--listen", "127.0.0.1:0"];

fn address(line: &str) -> SocketAddr {
    let address = line.strip_prefix("wspoll admin on http://").and_then(|a| a.parse().ok());
    address.unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn the_second_line_says_where_it_is() {
    let server = Server::start(&["--admin", "127.0.0.1:0"]);
    let admin = Admin::at(address(&server.program.line()));
    let mut peer = Peer::open_path(server.addr, "/broadcast").expect("the handshake").0;
    peer.echo("here");
    let rooms = admin.json("/rooms");
    assert_eq!(rooms["rooms"][0]["members"], 1, "{rooms}");
    admin.post("/push/all", "", r#"{"text":"by HTTP"}"#);
    assert_eq!(peer.text(), "by HTTP");
}

#[test]
fn its_usual_port_may_be_taken_but_not_one_that_was_asked_for() {
    // If this fails, somebody else has taken it, which does as well.
    let _usual = TcpListener::bind("127.0.0.1:6060");
    let server = Server::listening(Program::start(&LISTEN, &[("WSPOLL_ADMIN", "")]));
    let line = server.program.logged("no admin page");
    assert!(line.contains("127.0.0.1:6060"), "{line}");
    Peer::open(server.addr).echo("all the same");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let other = taken.local_addr().expect("its address").to_string();
    for address in ["127.0.0.1:6060", &other] {
        let arguments = [&LISTEN[..], &["--admin", address]].concat();
        let Ended { code, stdout, stderr } = Program::start(&arguments, &[]).end();
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(stderr.contains(address) && stderr.contains("admin"), "{stderr}");
    }
}

#[test]
fn its_token_comes_from_the_environment_and_is_never_shown() {
    let variables = [("WSPOLL_ADMIN_TOKEN", "s3cret"), ("WSPOLL_ADMIN", "127.0.0.1:0")];
    let arguments = [&LISTEN[..], &["--log-level", "trace"]].concat();
    let mut server = Server::listening(Program::start(&arguments, &variables));
    let addr = address(&server.program.line());
    assert_eq!(Admin::at(addr).get("/metrics").status, 401);
    assert_eq!(Admin::with_token(addr, "s3cret").get("/metrics").status, 200);
    server.program.kill();
    let Ended { stdout, stderr, .. } = server.program.end();
    assert!(!stdout.contains("s3cret") && !stderr.contains("s3cret"), "{stderr}");

    let arguments = [&LISTEN[..], &["--admin", "0.0.0.0:0"]].concat();
    let Ended { code, stderr, .. } = Program::start(&arguments, &[]).end();
    assert_eq!(code, Some(2));
    assert!(stderr.contains("admin_token is \"\"") && stderr.contains("--admin"), "{stderr}");
    let Ended { code, stderr, .. } =
        Program::start(&arguments, &[("WSPOLL_ADMIN_TOKEN", "s3c ret")]).end();
    assert_eq!(code, Some(2));
    assert!(stderr.contains("WSPOLL_ADMIN_TOKEN") && !stderr.contains("s3c"), "{stderr}");
}
