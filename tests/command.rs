//! `wspoll serve`: settings and where they come from, the line it prints, the paths it serves, how it ends.

#![cfg(feature = "cli")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process;

use async_tungstenite::tungstenite::Message;
use wspoll::Config;

use support::command::{Ended, Program, Server};
use support::{Frame, PATIENCE, Peer, Wire};

#[test]
fn help_tells_name_unit_default_and_variable_of_every_setting() {
    for arguments in [&["--help"][..], &["serve", "--help"]] {
        let Ended { code, stdout: help, .. } = Program::start(arguments, &[]).end();
        assert_eq!(code, Some(0));
        for setting in Config::SETTINGS {
            let flag = format!("--{} <{}>", setting.name.replace('_', "-"), setting.unit);
            let (_, entry) =
                help.split_once(&flag).unwrap_or_else(|| panic!("{flag} is in {help}"));
            let mut lines = entry.lines().skip(1).map(str::trim);
            assert_eq!(lines.next(), Some(setting.help), "{flag}");
            let default = (setting.default)();
            let default = match &*default {
                // The command has a listener where a program that embeds the library has none.
                "off" if setting.name == "admin" => "127.0.0.1:6060",
                "" => "none",
                default => default,
            };
            let variable = format!("WSPOLL_{}", setting.name.to_uppercase());
            let facts = format!("[default: {default}; variable: {variable}]");
            assert_eq!(lines.next(), Some(&*facts), "{flag}");
        }
    }
}

#[test]
fn a_setting_is_taken_from_the_argument_then_the_variable_then_the_file() {
    let file = TomlFile::new("precedence", "listen = ['127.0.0.1:0']\nshards = 3\n");
    let shards = |arguments: &[&str], variables: &[(&str, &str)]| {
        let line = Server::listening(Program::start(arguments, variables)).line;
        line.rsplit_once(" with ").expect("a number of shards").1.to_owned()
    };
    let config = ["--config", file.name()];
    let more = ["--config", file.name(), "--shards", "1"];
    assert_eq!(shards(&config, &[]), "3 shards");
    assert_eq!(shards(&[], &[("WSPOLL_CONFIG", file.name())]), "3 shards");
    assert_eq!(shards(&config, &[("WSPOLL_SHARDS", "2")]), "2 shards");
    assert_eq!(shards(&config, &[("WSPOLL_SHARDS", "")]), "3 shards");
    assert_eq!(shards(&more, &[("WSPOLL_SHARDS", "2")]), "1 shard");
}

#[test]
fn the_file_may_hold_lists_numbers_and_either_spelling() {
    let text =
        "listen = ['127.0.0.1:0', '127.0.0.1:0']\nmax-message-size = 0x10\nlog_level = 'error'\n";
    let file = TomlFile::new("kinds", text);
    let server = Server::listening(Program::start(&["--config", file.name()], &[]));
    assert_eq!(server.line.matches("http://").count(), 2, "{}", server.line);
    let mut wire = Wire::open_at(server.addr);
    wire.echo("16 bytes, taken.");
    wire.frame(Frame::text("17 bytes, refused"));
    wire.expect_close(1009);
}

#[test]
fn a_bad_value_is_told_in_one_line_with_its_setting_and_source() {
    let file = |name: &str, text: &str| TomlFile::new(name, text);
    let unknown = file("unknown", "# a comment\nshards = 1\nmax_mesage_size = '1MiB'\n");
    let bad = file("bad", "shards = 1\norigin = ''\n");
    let float = file("float", "shards = 1.5\n");
    let broken = file("broken", "shards = 1\nlisten = [\n");
    let missing = "no/such/file.toml";
    for (arguments, variables, parts) in [
        (&["--shards", "many"][..], &[][..], &["shards", "\"many\"", "--shards"][..]),
        (&["serve", "--origin", ""], &[], &["origin", "\"\"", "--origin"]),
        (&["--max-message-size", "3GiB"], &[], &["max_message_size", "--max-message-size"]),
        (&["--log-level", "loud"], &[], &["log_level", "\"loud\"", "--log-level"]),
        (&["--mode", "loud"], &[], &["mode", "\"loud\"", "echo|push|log", "--mode"]),
        (&["--ping-interval", "90s"], &[], &["pong_timeout", "60000ms", "--ping-interval"]),
        (&["--listen", ""], &[], &["listen", "\"\"", "--listen"]),
        (&["--stream-fragments", "true"], &[], &["stream_fragments", "--stream-fragments"]),
        (
            &[],
            &[("WSPOLL_IDLE_TIMEOUT", "soon")],
            &["idle_timeout", "\"soon\"", "WSPOLL_IDLE_TIMEOUT"],
        ),
        (&["--config", unknown.name()], &[], &[unknown.name(), ":3: ", "max_mesage_size"]),
        (&["--config", bad.name()], &[], &["origin", bad.name(), ":2"]),
        (&["--config", float.name()], &[], &["shards", float.name(), ":1"]),
        (&["--config", broken.name()], &[], &[broken.name(), ":2"]),
        (&[], &[("WSPOLL_CONFIG", missing)], &["config", missing, "WSPOLL_CONFIG"]),
        // An argument that wins does not hide that a variable is wrong.
        (&["--shards", "1"], &[("WSPOLL_SHARDS", "-1")], &["shards", "\"-1\"", "WSPOLL_SHARDS"]),
    ] {
        let Ended { code, stdout, stderr } = Program::start(arguments, variables).end();
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?} {variables:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{part:?} is in {stderr:?}");
        }
    }
}

#[test]
fn an_unknown_argument_is_refused() {
    let Ended { code, stderr, .. } = Program::start(&["--max-mesage-size", "1"], &[]).end();
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--max-mesage-size"), "{stderr}");
}

#[test]
fn an_unknown_variable_is_told_and_ignored() {
    let arguments = ["--listen", "127.0.0.1:0"];
    let server = Server::listening(Program::start(&arguments, &[("WSPOLL_SHRADS", "1")]));
    server.program.logged("WSPOLL_SHRADS");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = taken.local_addr().expect("its address").to_string();
    let Ended { code, stdout, stderr } = Program::start(&["--listen", &address], &[]).end();
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains(&address), "{stderr}");
}

#[test]
fn one_line_says_version_every_address_and_shards() {
    let arguments = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--shards", "2"];
    let server = Server::listening(Program::start(&arguments, &[]));
    let line = &server.line;
    let rest = line
        .strip_prefix(concat!("wspoll ", env!("CARGO_PKG_VERSION"), " listening on "))
        .unwrap_or_else(|| panic!("{line}"));
    let addresses = rest.strip_suffix(" with 2 shards").unwrap_or_else(|| panic!("{line}"));
    let addresses: Vec<SocketAddr> = addresses
        .split(", ")
        .map(|url| url.strip_prefix("http://").and_then(|a| a.parse().ok()).expect("a URL"))
        .collect();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        assert_ne!(address.port(), 0);
        Peer::open(address).echo("there");
    }
}

#[test]
fn every_path_that_says_nothing_else_echoes() {
    let server = Server::start(&[]);
    for path in ["/", "/echo", "/any/other?query=1"] {
        let (mut peer, _) = Peer::open_path(server.addr, path).expect("the handshake");
        peer.echo("Grüße");
        peer.send(Message::binary(vec![0, 1, 255]));
        assert_eq!(peer.next().expect("a message"), Message::binary(vec![0, 1, 255]), "{path}");
        peer.close();
    }
}

#[test]
fn broadcast_reaches_everyone_there_and_no_one_else() {
    let server = Server::start(&["--shards", "2"]);
    let open = |path| Peer::open_path(server.addr, path).expect("the handshake").0;
    for (there, elsewhere) in
        [("/broadcast", "/"), ("/broadcast", "/broadcast/b"), ("/broadcast/a", "/broadcast/b")]
    {
        hear_each_other(&server, there, open(elsewhere));
    }
}

fn hear_each_other(server: &Server, path: &str, mut elsewhere: Peer) {
    let open = |path| Peer::open_path(server.addr, path).expect("the handshake").0;
    let mut here = [open(path), open(path), open(path)];
    // All are in the room when each has heard something, itself at least.
    for (n, peer) in here.iter_mut().enumerate() {
        let hello = format!("hello from {n}");
        peer.send(hello.as_str());
        while peer.text() != hello {}
    }
    here[1].send("to all");
    for peer in &mut here {
        while peer.text() != "to all" {}
    }
    elsewhere.echo("nothing came before this");
}

#[test]
fn a_path_without_an_upgrade_answers_as_it_should() {
    let server = Server::start(&[]);
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/?query", 200),
        ("GET", "/healthz", 200),
        ("GET", "/echo", 426),
        ("GET", "/broadcast", 426),
        ("GET", "/broadcast/room", 426),
        ("GET", "/broadcast/", 404),
        ("GET", "/broadcaster", 404),
        ("GET", "/push", 426),
        ("GET", "/log", 426),
        ("GET", "/favicon.ico", 404),
        ("GET", "/healthz/", 404),
        ("POST", "/", 405),
        ("DELETE", "/healthz", 405),
        ("OPTIONS", "/nothing", 405),
    ] {
        let (head, body) = ask(server.addr, method, path);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {head}");
        for line in ["X-Content-Type-Options: nosniff", "Cache-Control: no-store"] {
            assert!(head.contains(line), "{method} {path}: {line} is in {head}");
        }
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert!(!body.is_empty(), "{method} {path} says what is wrong");
        let content =
            if path.starts_with("/?") || (method, path) == ("GET", "/") { "html" } else { "plain" };
        assert!(head.contains(&format!("Content-Type: text/{content}; charset=utf-8")), "{head}");
        assert_eq!(head.contains("Allow: GET, HEAD"), status == 405, "{head}");
        assert_eq!(head.contains("Sec-WebSocket-Version: 13"), status == 426, "{head}");
        assert_eq!(head.contains("Upgrade: websocket"), status == 426, "{head}");
    }
    assert_eq!(ask(server.addr, "GET", "/healthz").1, "ok\n");
}

#[test]
fn head_is_answered_like_get_without_the_body() {
    let server = Server::start(&[]);
    for path in ["/", "/healthz", "/nothing"] {
        let (get, body) = ask(server.addr, "GET", path);
        let (head, nothing) = ask(server.addr, "HEAD", path);
        assert_eq!((head, nothing.as_str()), (get, ""), "{path}");
        assert!(!body.is_empty());
    }
}

#[cfg(unix)]
mod signals {
    use super::{Ended, Frame, Peer, Server, Wire};

    #[test]
    fn the_first_one_drains_and_ends_well() {
        for signal in ["INT", "TERM"] {
            let server = Server::start(&[]);
            let mut wire = Wire::open_at(server.addr);
            wire.echo("before");
            server.program.signal(signal);
            wire.expect_close(1001);
            wire.frame(Frame::close(1001, ""));
            wire.expect_fin();
            // The server reads on until our FIN, for as long as close_timeout.
            drop(wire);
            let Ended { code, stderr, .. } = server.program.end();
            assert_eq!(code, Some(0), "SIG{signal}: {stderr}");
            assert!(stderr.contains(&format!("SIG{signal}")), "{stderr}");
        }
    }

    #[test]
    fn the_first_one_ends_well_without_connections_and_without_a_log() {
        let server = Server::start(&["--log-level", "off"]);
        Peer::open(server.addr).close();
        server.program.signal("TERM");
        assert_eq!(server.program.end().code, Some(0));
    }

    #[test]
    fn the_second_one_ends_at_once() {
        for (first, second, code) in [("TERM", "TERM", 143), ("TERM", "INT", 130)] {
            // A drain that would outlast the test: the peer never answers the close frame.
            let server = Server::start(&["--drain-timeout", "10m", "--close-timeout", "10m"]);
            let mut wire = Wire::open_at(server.addr);
            server.program.signal(first);
            wire.expect_close(1001);
            server.program.signal(second);
            assert_eq!(server.program.end().code, Some(code), "SIG{first}, SIG{second}");
        }
    }
}

#[cfg(windows)]
mod console {
    use std::os::windows::process::CommandExt;

    use super::{Ended, Frame, Program, Server, Wire};
    use crate::support::tools;

    /// `CREATE_NEW_PROCESS_GROUP`: what is pressed for the command is not pressed for the test.
    const NEW_GROUP: u32 = 0x200;

    /// A server for which keys can be pressed.
    fn start(arguments: &[&str]) -> Server {
        let arguments = [&["--listen", "127.0.0.1:0"], arguments].concat();
        let mut command = Program::command(&arguments, &[]);
        Server::listening(Program::spawn(command.creation_flags(NEW_GROUP)))
    }

    fn press_break(server: &Server) -> bool {
        let pressed = server.program.press_break();
        if !pressed {
            tools::skip(&format!("there is no console: {}", std::io::Error::last_os_error()));
        }
        pressed
    }

    #[test]
    fn the_first_ctrl_break_drains_and_ends_well() {
        let server = start(&[]);
        let mut wire = Wire::open_at(server.addr);
        wire.echo("before");
        if !press_break(&server) {
            return;
        }
        wire.expect_close(1001);
        wire.frame(Frame::close(1001, ""));
        wire.expect_fin();
        drop(wire);
        let Ended { code, stderr, .. } = server.program.end();
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.contains("Ctrl-Break"), "{stderr}");
    }

    #[test]
    fn the_second_ctrl_break_ends_at_once() {
        // A drain that would outlast the test: the peer never answers the close frame.
        let server = start(&["--drain-timeout", "10m", "--close-timeout", "10m"]);
        let mut wire = Wire::open_at(server.addr);
        if !press_break(&server) {
            return;
        }
        wire.expect_close(1001);
        assert!(press_break(&server));
        assert_eq!(server.program.end().code, Some(130));
    }
}

/// Sends a request without an upgrade; returns the answer's head and body.
fn ask(addr: SocketAddr, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("connecting");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n").expect("asking");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, and the end of the connection");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (format!("{head}\r\n"), body.to_owned())
}

/// A configuration file that goes with the test.
struct TomlFile(PathBuf);

impl TomlFile {
    fn new(name: &str, text: &str) -> TomlFile {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("command-{name}-{}.toml", process::id()));
        fs::write(&path, text).expect("writing a file");
        TomlFile(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for TomlFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_time_may_be_named_with_its_unit() {
    // A value that cannot be is reported with its source, so that one sees that the name was understood.
    let file = TomlFile::new("unit", "listen = ['127.0.0.1:0']\npush_merge_ms = 99999999\n");
    let listen = ["--listen", "127.0.0.1:0"];
    for (arguments, variables, source) in [
        (["--push-merge-ms", "99999999"], &[][..], "argument --push-merge"),
        (listen, &[("WSPOLL_PUSH_MERGE_MS", "99999999")], "variable WSPOLL_PUSH_MERGE"),
        (["--config", file.name()], &[], file.name()),
    ] {
        let Ended { code, stderr, .. } = Program::start(&arguments, variables).end();
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("push_merge") && stderr.contains(source), "{stderr}");
    }
}
