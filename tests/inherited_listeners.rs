//! `wspoll` on sockets that it is not the only one to know: a path, a descriptor of its parent's, socket activation.

#![cfg(all(unix, feature = "cli"))]

mod support;

use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;

use support::command::{Ended, Program, Server};
use support::wire::request;
use support::{Wire, eventually};

/// Starts `wspoll` with a socket as its descriptor 3 and with these assignments of variables, in which `$$` is its
/// process.
fn with_descriptor(
    socket: impl Into<std::os::fd::OwnedFd>,
    variables: &str,
    listen: &str,
) -> Program {
    let script = format!(r#"{variables} exec "$0" --shards 1 --listen "$1" 3<&0 </dev/null"#);
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_wspoll"), listen]);
    Program::spawn_with_input(&mut command, socket.into().into())
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("wsp-{}-{name}.sock", std::process::id()))
}

fn echo(mut wire: Wire) {
    wire.send(request("/", ""));
    assert_eq!(wire.answer().status, 101);
    wire.echo("through");
}

#[test]
fn a_descriptor_of_its_parent_is_listened_on() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let server = Server::listening(with_descriptor(listener, "", "fd:3"));
    assert_eq!(server.addr, address);
    echo(Wire::connect(address));
}

#[test]
fn systemds_sockets_are_listened_on_and_clients_that_came_before_are_served() {
    let file = path("activated");
    let _ = std::fs::remove_file(&file);
    let listener = UnixListener::bind(&file).expect("a listener");
    let mut early = Wire::connect_unix(&file);
    early.send(request("/", ""));
    let variables = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web";
    let program = with_descriptor(listener, variables, "systemd:web");
    let line = program.line();
    assert!(line.contains(&format!(" listening on unix:{} with", file.display())), "{line}");
    assert_eq!(early.answer().status, 101);
    early.echo("early");
    early.close(1000);
    echo(Wire::connect_unix(&file));
    program.signal("TERM");
    assert_eq!(program.end().code, Some(0));
    assert!(file.exists(), "the file is systemd's");
    std::fs::remove_file(file).expect("the file");
}

#[test]
fn sockets_that_were_not_passed_on_are_an_error_that_says_why() {
    for (variables, listen, reason) in [
        ("LISTEN_PID=1 LISTEN_FDS=1", "systemd", "LISTEN_PID is 1"),
        ("LISTEN_FDS=1", "systemd", "LISTEN_PID is not set"),
        ("LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web", "systemd:admin", "LISTEN_FDNAMES"),
        ("LISTEN_PID=$$ LISTEN_FDS=2", "systemd", "descriptor 4"),
        ("", "fd:4", "fd:4"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let Ended { code, stderr, .. } = with_descriptor(listener, variables, listen).end();
        assert_eq!(code, Some(1), "{variables}: {stderr}");
        assert!(stderr.contains(reason) && stderr.contains(listen), "{variables}: {stderr}");
    }
}

#[test]
fn a_unix_socket_is_told_as_it_is_written_and_gone_after_a_signal() {
    let file = path("told");
    let listen = format!("unix:{},127.0.0.1:0", file.display());
    let server =
        Server::listening(Program::start(&["--listen", &listen, "--unix-mode", "600"], &[]));
    let told = format!(" listening on unix:{}, http://127.0.0.1:", file.display());
    assert!(server.line.contains(&told), "{}", server.line);
    echo(Wire::connect_unix(&file));
    echo(Wire::connect(server.addr));
    server.program.signal("TERM");
    assert_eq!(server.program.end().code, Some(0));
    assert!(!file.exists());
}

#[test]
fn a_server_that_was_killed_is_replaced_on_its_path() {
    let file = path("killed");
    let listen = format!("unix:{}", file.display());
    let mut first = Program::start(&["--listen", &listen], &[]);
    let _ = first.line();
    // A second one does not take the path from the first.
    let Ended { code, stderr, .. } = Program::start(&["--listen", &listen], &[]).end();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("another server"), "{stderr}");
    echo(Wire::connect_unix(&file));
    first.kill();
    eventually("the end of the first", || UnixStream::connect(&file).is_err(), |dead| *dead);
    assert!(file.exists());
    let second = Program::start(&["--listen", &listen], &[]);
    let _ = second.line();
    echo(Wire::connect_unix(&file));
    second.signal("TERM");
    assert_eq!(second.end().code, Some(0));
}
