//! The programs of ffi-examples/c: each is compiled as strictly as compilers can be, run, and talked to.
//!
//! They run again under AddressSanitizer with LeakSanitizer and under Valgrind, where those are there, with no
//! suppressions.

mod capi;
mod support;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use capi::{CPP, Program};
use support::wire::request;
use support::{Frame, PATIENCE, Peer, Probe, Running, Wire, tools};

/// A running example.
struct Example {
    addr: SocketAddr,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

impl Example {
    /// Runs `program` by `runner` (`valgrind …`, or nothing) on a free port.
    fn start(program: &Path, runner: &[&str], address: &str) -> Example {
        let mut example = Example::spawn(program, runner, address);
        let line = example.line();
        let addr = line.strip_prefix("listening on ").and_then(|addr| addr.parse().ok());
        example.addr = addr.unwrap_or_else(|| panic!("no address in {line:?}"));
        example
    }

    /// Runs it, whatever it says.
    fn spawn(program: &Path, runner: &[&str], argument: &str) -> Example {
        let mut words: Vec<OsString> = runner.iter().map(OsString::from).collect();
        words.push(program.into());
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .arg(argument)
            .env("ASAN_OPTIONS", "detect_leaks=1:halt_on_error=1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starting an example");
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().expect("its output");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut stderr = child.stderr.take().expect("its errors");
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let input = child.stdin.take();
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        Example { addr, child, input, lines, errors: Some(errors) }
    }

    /// The next line that it says.
    fn line(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE * 4).unwrap_or_else(|_| {
            let _ = self.child.kill();
            panic!("no line; {}", self.errors())
        })
    }

    fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it listens");
        writeln!(input, "{line}").expect("its input");
    }

    fn errors(&mut self) -> String {
        let errors = self.errors.take().expect("asked once");
        errors.join().expect("its errors")
    }

    /// Closes its input, and expects that it ends well and has said nothing.
    fn end(mut self) {
        drop(self.input.take());
        let status = self.child.wait().expect("its end");
        let errors = self.errors();
        assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // Only where the test has failed; a program that has ended is not harmed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ANY: &str = "127.0.0.1:0";

fn talk_to_echo(mut example: Example) {
    let mut peer = Peer::open(example.addr);
    peer.send("a text: grün");
    assert_eq!(peer.text(), "a text: grün");
    let mut wire = Wire::open_at(example.addr);
    wire.frames([Frame::text("one"), Frame::binary(b"two"), Frame::text("three")]);
    wire.expect_text("one");
    wire.expect(support::frame::BINARY, b"two");
    wire.expect_text("three");
    let large = "x".repeat(1 << 20);
    wire.echo(&large);
    wire.close(1000);
    example.say("");
    drop(peer);
    example.end();
}

fn talk_to_push(mut example: Example) {
    let (mut news, _) = Wire::open_path(example.addr, "/news", "");
    let (mut sport, _) = Wire::open_path(example.addr, "/sport", "");
    let mut nowhere = Wire::connect(example.addr);
    nowhere.send(request("/", ""));
    nowhere.expect_refusal(404);
    // What they say themselves tells that they are in their rooms.
    news.echo("me");
    sport.echo("me");
    example.say("news hello");
    example.say("sport goal");
    news.expect_text("hello");
    sport.expect_text("goal");
    for n in 0..500 {
        example.say(&format!("news {n}"));
    }
    for n in 0..500 {
        news.expect_text(&n.to_string());
    }
    sport.echo("nothing else came");
    sport.close(1000);
    example.end();
}

fn talk_to_poller(example: Example) {
    let mut stream = TcpStream::connect(example.addr).expect("connecting");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let mut echoed = [0; 5];
    for word in ["hello", "world", "quit!"] {
        stream.write_all(word.as_bytes()).expect("sending");
        stream.read_exact(&mut echoed).expect("an echo");
        assert_eq!(echoed, word.as_bytes());
    }
    stream.shutdown(Shutdown::Both).ok();
    example.end();
}

fn talk_to_upgrade(example: Example) {
    let refused = |path: &str, more: &str, status: u16| {
        let mut wire = Wire::connect(example.addr);
        wire.send(request(path, more));
        wire.expect_refusal(status)
    };
    assert_eq!(refused("/open", "", 401).body, b"no token\n");
    let bearer = refused("/open?token=guess", "", 401);
    assert_eq!(bearer.header("www-authenticate"), Some("Bearer"));
    refused("/open?token=secret", "Origin: https://evil.example\r\n", 403);
    let more = "Origin: https://example.com\r\nSec-WebSocket-Protocol: superchat, chat\r\n";
    let (mut wire, answer) = Wire::open_path(example.addr, "/open?token=secret", more);
    assert_eq!(answer.header("sec-websocket-protocol"), Some("chat"));
    assert_eq!(answer.header("set-cookie"), Some("session=1; HttpOnly"));
    wire.expect_text("hello 127.0.0.1, protocol 'chat'");
    let (mut slow, answer) = Wire::open_path(example.addr, "/slow?token=secret", "");
    assert_eq!(answer.header("x-answered"), Some("later"));
    slow.expect_text("hello 127.0.0.1, protocol ''");
    let get = |path: &str, status: u16| {
        let mut wire = Wire::connect(example.addr);
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        wire.expect_refusal(status)
    };
    get("/healthz", 200);
    assert_eq!(get("/", 426).header("upgrade"), Some("websocket"));
    slow.close(1000);
    example.end();
}

fn talk_to_client(mut example: Example, mut server: Running) {
    assert_eq!([example.line(), example.line()], ["connected", "hello"]);
    let id = server.events.opened();
    server.handle.close(id, 1012, "restart").expect("closing");
    let line = example.line();
    let end = "disconnected: closed by the server (1012 \"restart\"); trying again in ";
    assert!(line.starts_with(end), "{line}");
    assert_eq!([example.line(), example.line()], ["connected", "hello"]);
    example.say("one");
    example.say("two");
    drop(example.input.take());
    // What was sent leaves before the close, and the server echoes it before its answer.
    assert_eq!([example.line(), example.line()], ["one", "two"]);
    assert_eq!(example.line(), "disconnected: closed by the client (1000)");
    example.end();
}

/// Runs an example by a runner and talks to it.
type Talk = (&'static str, fn(&Path, &[&str]));

const EXAMPLES: [Talk; 6] = [
    ("echo", |program, runner| talk_to_echo(Example::start(program, runner, ANY))),
    ("push", |program, runner| talk_to_push(Example::start(program, runner, ANY))),
    ("batch", |program, runner| talk_to_batch(Example::start(program, runner, ANY))),
    ("poller", |program, runner| talk_to_poller(Example::start(program, runner, "0"))),
    ("upgrade", |program, runner| talk_to_upgrade(Example::start(program, runner, ANY))),
    ("client", |program, runner| {
        let server = Probe::echo().start();
        let url = format!("ws://{}/", server.addr);
        talk_to_client(Example::spawn(program, runner, &url), server);
    }),
];

fn talk_to_batch(example: Example) {
    let mut wire = Wire::open_at(example.addr);
    // More than one batch holds, in as few reads as it takes.
    let texts: Vec<String> = (0..2000).map(|n| format!("message {n}")).collect();
    wire.frames(texts.iter().map(Frame::text));
    texts.iter().for_each(|text| wire.expect_text(text));
    wire.frame(Frame::binary([7; 60_000]));
    wire.expect(support::frame::BINARY, [7; 60_000]);
    wire.close(1000);
    example.end();
}

fn talk_to(name: &str) -> fn(&Path, &[&str]) {
    EXAMPLES.iter().find(|(example, _)| *example == name).expect("it is in the list").1
}

fn run(name: &str) {
    let Some(program) = Program::example(name).build() else { return };
    talk_to(name)(&program, &[]);
}

#[test]
fn echo() {
    run("echo");
}

#[test]
fn push() {
    run("push");
}

#[test]
fn batch() {
    run("batch");
}

#[test]
fn poller() {
    run("poller");
}

#[test]
fn upgrade() {
    run("upgrade");
}

#[test]
fn client() {
    run("client");
}

#[test]
fn the_list_is_complete() {
    let folder = capi::root().join("ffi-examples/c");
    let files =
        std::fs::read_dir(folder).expect("the examples").map(|file| file.expect("a file").path());
    let programs = files.filter(|file| file.extension().is_some_and(|extension| extension == "c"));
    for program in programs {
        let name = program.file_stem().expect("a name").to_string_lossy().into_owned();
        // The measuring program is run by hand.
        assert!(name == "bench" || EXAMPLES.iter().any(|(example, ..)| *example == name), "{name}");
    }
}

#[test]
fn echo_and_batch_are_cpp_too() {
    for name in ["echo", "batch"] {
        let example = Program::example(name);
        // `{0}` says in C what C++ says by `{}`.
        let flags = ["-x", "c++", "-std=c++17", "-Wno-missing-field-initializers"];
        let program =
            Program { name: &format!("{name}-cpp"), compilers: CPP, flags: &flags, ..example };
        let Some(program) = program.build() else { return };
        talk_to(name)(&program, &[]);
    }
}

#[test]
#[cfg_attr(windows, ignore = "MinGW has no AddressSanitizer")]
fn address_sanitizer_finds_nothing() {
    for (name, talk) in EXAMPLES {
        let example = Program::example(name);
        let flags = ["-std=c99", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        let program = Program { name: &format!("{name}-asan"), flags: &flags, ..example };
        let Some(program) = program.build() else { return };
        talk(&program, &[]);
    }
}

#[test]
#[cfg_attr(windows, ignore = "MinGW has no Valgrind")]
fn valgrind_finds_nothing() {
    if cfg!(target_pointer_width = "32") {
        return eprintln!(
            "skipped: Valgrind needs a C library with symbols, which there is none of for 32 bits"
        );
    }
    let Some(valgrind) = tools::require_tool(&["valgrind"]) else { return };
    let valgrind = valgrind.to_string_lossy();
    let runner = [
        &valgrind,
        "--quiet",
        "--leak-check=full",
        "--show-leak-kinds=definite,indirect",
        "--errors-for-leak-kinds=definite,indirect",
        "--error-exitcode=9",
    ];
    for (name, talk) in EXAMPLES {
        let Some(program) = Program::example(name).build() else { return };
        talk(&program, &runner);
    }
}
