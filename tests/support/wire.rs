//! A client that says exactly the bytes it is told to, over a blocking socket with a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::frame::{self, Frame, show};
use super::{PATIENCE, probe::Running};

/// RFC 6455 §1.3's own example.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An answer to an HTTP request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of the header `name` (in lower case), which must not come twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let first = values.next();
        assert_eq!(values.next(), None, "{name} came twice: {:?}", self.headers);
        first
    }

    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A request head that upgrades `path`, with more header lines (each ending in `\r\n`).
pub fn request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// Writes until nothing has been taken for `patience`; returns how much was.
///
/// Not by a write deadline: nobody knows how much a write has written that it ends on Windows.
pub fn write_while_taken(socket: &Socket, bytes: &[u8], patience: Duration) -> usize {
    socket.set_nonblocking(true).expect("non-blocking mode");
    let (mut sent, mut last) = (0, Instant::now());
    while sent < bytes.len() {
        match socket.send(&bytes[sent..]) {
            Ok(count) => (sent, last) = (sent + count, Instant::now()),
            Err(e) if e.kind() != ErrorKind::WouldBlock => panic!("sending: {e}"),
            Err(_) if last.elapsed() >= patience => break,
            // No test unparks a thread: this is the pause between two tries.
            Err(_) => thread::park_timeout(Duration::from_millis(1)),
        }
    }
    socket.set_nonblocking(false).expect("blocking mode");
    sent
}

pub struct Wire {
    stream: Socket,
    unread: Vec<u8>,
}

impl Wire {
    /// A TCP connection on which nothing was said yet.
    pub fn connect(addr: SocketAddr) -> Wire {
        Wire::connected(addr, |_| Ok(()))
    }

    fn connected(addr: SocketAddr, prepare: impl Fn(&Socket) -> std::io::Result<()>) -> Wire {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
        prepare(&socket).expect("its options");
        socket.connect_timeout(&addr.into(), PATIENCE).expect("connecting");
        socket.set_tcp_nodelay(true).expect("TCP_NODELAY");
        Wire::over(socket)
    }

    /// A connection to a Unix socket, `@name` for one of Linux's abstract names.
    #[cfg(unix)]
    pub fn connect_unix(path: impl AsRef<std::path::Path>) -> Wire {
        let path = path.as_ref();
        let name = path.to_str().and_then(|path| path.strip_prefix('@'));
        let addr = match name {
            Some(name) => socket2::SockAddr::unix(format!("\0{name}")),
            None => socket2::SockAddr::unix(path),
        };
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        socket.connect(&addr.expect("an address")).expect("connecting");
        Wire::over(socket)
    }

    /// What the test has connected itself.
    pub fn over(stream: impl Into<Socket>) -> Wire {
        let stream = stream.into();
        stream.set_read_timeout(Some(PATIENCE)).expect("a read deadline");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write deadline");
        Wire { stream, unread: Vec::new() }
    }

    /// An open connection whose receive buffer has a fixed size, so that a reader that stops is felt soon. It is not smaller because
    /// below a few segments of the loopback interface (64 KiB each) TCP sends by its timers.
    pub fn open_narrow(addr: SocketAddr) -> Wire {
        let mut wire = Wire::connected(addr, |socket| socket.set_recv_buffer_size(256 * 1024));
        wire.send(request("/", ""));
        assert_eq!(wire.answer().status, 101);
        wire
    }

    /// An open connection for a reader that never reads: what the system takes for it is as small as can be.
    pub fn open_stalled(addr: SocketAddr) -> Wire {
        let mut wire = Wire::connected(addr, |socket| socket.set_recv_buffer_size(4 * 1024));
        wire.send(request("/", ""));
        assert_eq!(wire.answer().status, 101);
        wire
    }

    /// An open WebSocket connection on `/`.
    pub fn open(server: &Running) -> Wire {
        Wire::open_at(server.addr)
    }

    pub fn open_at(addr: SocketAddr) -> Wire {
        Wire::open_path(addr, "/", "").0
    }

    pub fn open_path(addr: SocketAddr, path: &str, more: &str) -> (Wire, Answer) {
        let mut wire = Wire::connect(addr);
        wire.send(request(path, more));
        let answer = wire.answer();
        assert_eq!(answer.status, 101, "{answer:?}");
        (wire, answer)
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().ok().and_then(|addr| addr.as_socket()).expect("an address")
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("sending");
    }

    /// Sends what a server may refuse to take to its end.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends until the peer has taken nothing for `patience`; returns how much was sent.
    pub fn send_while_taken(&mut self, bytes: &[u8], patience: Duration) -> usize {
        write_while_taken(&self.stream, bytes, patience)
    }

    pub fn frame(&mut self, frame: Frame) {
        self.send(frame.bytes());
    }

    /// Sends several frames in one segment.
    pub fn frames(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.bytes()).collect();
        self.send(bytes);
    }

    /// Reads once. `Ok(false)`: the peer has closed its side.
    fn fill(&mut self) -> std::io::Result<bool> {
        let mut chunk = [0; 64 * 1024];
        let count = self.stream.read(&mut chunk)?;
        self.unread.extend(&chunk[..count]);
        Ok(count > 0)
    }

    pub fn next_frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = Frame::parse(&mut self.unread) {
                return frame;
            }
            let more = self.fill().expect("reading a frame");
            assert!(more, "FIN where a frame was due, after {}", show(&self.unread));
        }
    }

    /// The next frame but pings of the server, which are answered.
    pub fn next_frame_but_pings(&mut self) -> Frame {
        loop {
            let next = self.next_frame();
            if next.opcode() != frame::PING {
                return next;
            }
            self.frame(Frame::pong(&next.payload));
        }
    }

    pub fn expect(&mut self, opcode: u8, payload: impl AsRef<[u8]>) {
        let (frame, payload) = (self.next_frame(), payload.as_ref());
        assert!(
            frame.is_final() && frame.opcode() == opcode && frame.payload == payload,
            "{frame:?}, not opcode {opcode:#x} and {}",
            show(payload)
        );
    }

    pub fn expect_text(&mut self, text: &str) {
        self.expect(frame::TEXT, text);
    }

    /// Sends a text and expects it back: everything said before was taken.
    pub fn echo(&mut self, text: &str) {
        self.frame(Frame::text(text));
        self.expect_text(text);
    }

    /// Expects a close frame with `code`; returns its reason.
    pub fn expect_close(&mut self, code: u16) -> String {
        let frame = self.next_frame_but_pings();
        let (seen, reason) = frame.close_code();
        let reason = String::from_utf8(reason.to_vec()).expect("a reason in UTF-8");
        assert_eq!(seen, code, "reason {reason:?}");
        reason
    }

    /// Expects that the server closes its side and says nothing more.
    pub fn expect_fin(&mut self) {
        while self.fill().expect("FIN") {}
        assert!(self.unread.is_empty(), "before FIN: {}", show(&self.unread));
    }

    /// Expects that the connection ends, by FIN or RST, whatever was said before.
    pub fn expect_end(&mut self) {
        loop {
            match self.fill() {
                Ok(true) => self.unread.clear(),
                Ok(false) => return,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return,
                Err(e) => panic!("neither FIN nor RST: {e}"),
            }
        }
    }

    /// Expects that the server fails the connection (RFC 6455 §7.1.7): a close frame, then FIN, with no answer from us.
    pub fn expect_failed(&mut self, code: u16) -> String {
        let reason = self.expect_close(code);
        self.expect_fin();
        reason
    }

    /// The whole closing handshake, begun by us with `code`, which the server repeats.
    pub fn close(mut self, code: u16) {
        self.frame(Frame::close(code, ""));
        self.expect_close(code);
        self.expect_fin();
    }

    /// Whether nothing comes for `time`: for what must *not* happen, where nothing else can show it.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        if !self.unread.is_empty() {
            return false;
        }
        self.stream.set_read_timeout(Some(time)).expect("a read deadline");
        let result = self.fill();
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a read deadline");
        matches!(result, Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Reads the answer to an HTTP request: to the end of its `Content-Length`, or of its head where it has none.
    pub fn answer(&mut self) -> Answer {
        let head = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let more = self.fill().expect("an HTTP answer");
            assert!(more, "FIN in the head: {:?}", String::from_utf8_lossy(&self.unread));
        };
        let text = String::from_utf8(self.unread[..head].to_vec()).expect("a head in ASCII");
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().expect("a status line");
        let (version, rest) = status.split_once(' ').expect("a status line");
        assert_eq!(version, "HTTP/1.1");
        let status: u16 = rest[..3].parse().expect("a status");
        let headers: Vec<(String, String)> = lines
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a header line");
                (name.to_ascii_lowercase(), value.trim().to_owned())
            })
            .collect();
        self.unread.drain(..head);
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.unread.len() < length {
            assert!(self.fill().expect("a body"), "FIN in the body");
        }
        answer.body = self.unread.drain(..length).collect();
        answer
    }

    /// Expects an HTTP answer with `status` that ends the connection.
    pub fn expect_refusal(&mut self, status: u16) -> Answer {
        let answer = self.answer();
        assert_eq!(answer.status, status, "{answer:?}");
        let connection = answer.header("connection").unwrap_or_default();
        assert!(connection.split(", ").any(|token| token == "close"), "{answer:?}");
        assert!(answer.header("content-length").is_some(), "{answer:?}");
        self.expect_fin();
        answer
    }

    /// Closes our side; we still read.
    pub fn send_fin(&self) {
        self.stream.shutdown(Shutdown::Write).expect("FIN");
    }

    /// Cuts the connection with RST.
    pub fn reset(self) {
        self.stream.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }
}
