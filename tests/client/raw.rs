//! A server that is only a socket, and says what the test makes it say.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use async_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::support::wire::write_while_taken;
use crate::support::{Frame, PATIENCE};

pub(crate) struct RawServer {
    listener: TcpListener,
    pub(crate) addr: SocketAddr,
}

/// A connection of it.
pub(crate) struct RawConn {
    pub(crate) stream: TcpStream,
    /// What was read and not yet looked at.
    bytes: Vec<u8>,
}

impl RawServer {
    pub(crate) fn new() -> RawServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listening");
        let addr = listener.local_addr().expect("its address");
        RawServer { listener, addr }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.addr)
    }

    /// The next connection. Somebody must be connecting.
    pub(crate) fn accept(&self) -> RawConn {
        let (stream, _) = self.listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        stream.set_write_timeout(Some(PATIENCE)).expect("a deadline");
        stream.set_nodelay(true).expect("an option");
        RawConn { stream, bytes: Vec::new() }
    }

    /// The next connection with its handshake.
    pub(crate) fn open(&self) -> RawConn {
        let mut conn = self.accept();
        conn.shake_hands("");
        conn
    }
}

impl RawConn {
    /// Reads a request and returns its key.
    pub(crate) fn request(&mut self) -> String {
        let mut byte = [0];
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).expect("a request");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("ASCII");
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        key.expect("a key").to_owned()
    }

    /// Reads the request and lets the client in, with more fields.
    pub(crate) fn shake_hands(&mut self, more: &str) {
        let accept = derive_accept_key(self.request().as_bytes());
        self.say(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        ));
    }

    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("sending");
    }

    /// Sends a frame as servers do, without a mask.
    pub(crate) fn frame(&mut self, frame: Frame) {
        self.say(frame.unmasked().bytes());
    }

    /// Sends as much as is taken in the time.
    pub(crate) fn say_while_taken(&mut self, bytes: &[u8], patience: Duration) -> usize {
        write_while_taken(&socket2::SockRef::from(&self.stream), bytes, patience)
    }

    /// The next frame that the client sent; none at the end of the stream.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, length)) = parse(&self.bytes) {
                self.bytes.drain(..length);
                return Some(frame);
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(n) => self.bytes.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return None,
                Err(e) => panic!("reading: {e}"),
            }
        }
    }

    /// The code of the close frame that comes before the end.
    pub(crate) fn close_code(&mut self) -> Option<u16> {
        while let Some(frame) = self.next_frame() {
            if frame.opcode() == crate::support::frame::CLOSE {
                return Some(frame.close_code().0);
            }
        }
        None
    }
}

/// A whole frame of a client and its length.
fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert!(first & 0x80 != 0 && second & 0x80 != 0, "whole and masked: {first:#x} {second:#x}");
    let (header, length) = match second & 0x7f {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().expect("two bytes")).into()),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().expect("eight bytes"))),
        length => (2, length.into()),
    };
    let start = header + 4;
    let end = start + usize::try_from(length).expect("a length");
    let key = bytes.get(header..start)?;
    let payload = bytes.get(start..end)?.iter().zip(key.iter().cycle());
    let payload: Vec<u8> = payload.map(|(byte, key)| byte ^ key).collect();
    Some((Frame::new(first & 0xf, payload), end))
}
