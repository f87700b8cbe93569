//! Memory and time of rooms: 100,000 and a million of one member each, and one of many.
//!
//! `cargo bench --bench rooms [-- CONNECTIONS]`; each connection needs two descriptors. The figures are the shard's own
//! count (`ShardStats::memory`) and the growth of the process on Linux, in which the clients live too; they do nothing
//! meanwhile. Some of the rooms are pushed to, and the receipts checked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use wspoll::{Conn, ConnId, Handler, Server, ServerHandle, Target};

const PATIENCE: Duration = Duration::from_secs(60);

struct Ids(std::sync::mpsc::Sender<ConnId>);

impl Handler for Ids {
    fn on_open(&self, conn: &mut Conn<'_>) {
        self.0.send(conn.id()).expect("the program waits");
    }
}

fn open(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.local_addr()).expect("connecting");
    stream
        .write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .expect("asking");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("the answer");
    assert_eq!(&status, b"HTTP/1.1 101");
    stream
}

/// Memory of this process in bytes; 0 where the system does not tell it so.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.and_then(|number| number.parse().ok()).unwrap_or(0) * 1024
}

/// Waits until the shard has run everything that was asked of it, and its counters show it.
fn settle(handle: &ServerHandle, memberships: u64) -> u64 {
    let start = Instant::now();
    loop {
        handle.room_members("").expect("queued").wait(PATIENCE).expect("the shard answers");
        let total = handle.stats().total;
        if total.memberships == memberships {
            return total.memory;
        }
        assert!(start.elapsed() < PATIENCE, "{} memberships", total.memberships);
        // The counters move with the clock of the timers.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Joins `rooms` rooms, spread over the connections, and leaves them again.
fn measure(handle: &ServerHandle, ids: &[ConnId], rooms: usize, name: impl Fn(usize) -> String) {
    let (memory, process) = (settle(handle, 0), resident());
    let start = Instant::now();
    for at in 0..rooms {
        handle.join(ids[at % ids.len()], &name(at)).expect("room in the mailbox");
        if at % 50_000 == 0 {
            handle.room_members("").expect("queued").wait(PATIENCE).expect("the shard answers");
        }
    }
    let grown = settle(handle, rooms as u64) - memory;
    let joined = start.elapsed();
    let process = resident().saturating_sub(process);
    for at in [0, rooms / 2, rooms - 1] {
        let receipt = handle.push(Target::room(&name(at)), "x").expect("queued");
        let pushed = receipt.wait(PATIENCE).expect("the shard answers");
        let expected = if name(0) == name(1) { rooms } else { 1 };
        assert_eq!((pushed.delivered, pushed.unknown), (expected as u64, 0));
    }
    let start = Instant::now();
    for at in 0..rooms {
        handle.leave(ids[at % ids.len()], &name(at)).expect("room in the mailbox");
        if at % 50_000 == 0 {
            handle.room_members("").expect("queued").wait(PATIENCE).expect("the shard answers");
        }
    }
    let left = settle(handle, 0).saturating_sub(memory);
    println!(
        "{rooms:>9} memberships, {:>9} rooms: {:>4} bytes each as counted, {:>4} of the process; joined in {joined:.1?}, \
         left in {:.1?}, then {left} bytes are held",
        if name(0) == name(1) { 1 } else { rooms },
        grown as usize / rooms,
        process / rooms,
        start.elapsed(),
    );
}

fn main() {
    // Cargo adds an argument of its own.
    let connections = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(9_000);
    let (sender, opened) = std::sync::mpsc::channel();
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .shards(1)
        .max_rooms_per_connection(0)
        .max_mailbox_bytes(1 << 30)
        .handler(Ids(sender))
        .start()
        .expect("the server starts");
    let streams: Vec<TcpStream> = (0..connections).map(|_| open(&server)).collect();
    let ids: Vec<ConnId> = streams.iter().map(|_| opened.recv().expect("an id")).collect();
    let handle = server.handle();
    println!("{connections} connections");
    measure(&handle, &ids, ids.len(), |_| "everybody".to_owned());
    measure(&handle, &ids, 100_000, |at| format!("room {at}"));
    measure(&handle, &ids, 1_000_000, |at| format!("room {at}"));
    measure(&handle, &ids[..1], 100_000, |at| format!("room {at}"));
}
