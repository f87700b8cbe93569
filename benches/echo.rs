//! An echo over a real socket, one shard, one connection: how long a batch takes there and back.
//!
//! The figures hold both sides and the kernel, so they tell one build from another on the same machine. How the server
//! compares with what the machine can do at all is measured by benches/peers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wspoll::{Conn, Handler, Message, Server};

#[allow(dead_code, unreachable_pub)]
#[path = "../tests/support/frame.rs"]
mod frame;

use frame::Frame;

struct Echo;

impl Handler for Echo {
    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        conn.send(message).expect("an echo always has room");
    }
}

/// An open connection: the request of RFC 6455 §1.3, and the answer read to its end.
fn open(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.local_addr()).expect("connecting");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a read deadline");
    stream
        .write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .expect("asking");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the answer");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    stream
}

fn echo(criterion: &mut Criterion) {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .shards(1)
        .handler(Echo)
        .start()
        .expect("the server starts");
    let mut group = criterion.benchmark_group("echo");
    for (size, depth) in [(32, 1), (32, 32), (1024, 16)] {
        let mut stream = open(&server);
        let texts: Vec<String> = (0..depth).map(|i| format!("{i:width$}", width = size)).collect();
        let batch: Vec<u8> = texts.iter().flat_map(|text| Frame::text(text).bytes()).collect();
        let expected: Vec<u8> =
            texts.iter().flat_map(|text| Frame::text(text).unmasked().bytes()).collect();
        let mut echoed = vec![0; expected.len()];
        group.throughput(Throughput::Elements(depth as u64));
        group.bench_function(format!("{size} B, depth {depth}"), |bencher| {
            bencher.iter(|| {
                stream.write_all(&batch).expect("sending");
                stream.read_exact(&mut echoed).expect("the echo");
                assert!(echoed == expected, "the echo is what was sent");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, echo);
criterion_main!(benches);
