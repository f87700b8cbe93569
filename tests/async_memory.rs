//! What an idle async connection costs. A test binary of its own: the allocator counts for the whole process.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use support::counting::{Counting, IN_USE};
use support::peer::within;
use support::{probe, wire};
use wspoll::Server;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_idle_connection_in_a_task_costs_less_than_1200_bytes() {
    const CONNECTIONS: usize = 1000;
    let server = Server::builder().config(probe::config(|_| {})).start_async().expect("up");
    let incoming = server.incoming();
    let executor = smol::LocalExecutor::new();
    let request = wire::request("/", "");
    let mut streams = Vec::with_capacity(2 * CONNECTIONS);
    let mut open = || {
        let mut stream = TcpStream::connect(server.local_addr()).expect("connecting");
        stream.write_all(request.as_bytes()).expect("asking");
        let connection = within(incoming.next()).expect("a connection");
        assert!(stream.read(&mut [0; 512]).expect("the answer") > 0);
        let task = executor.spawn(async move {
            while let Ok(message) = connection.recv().await {
                connection.send(message).await?;
            }
            wspoll::Result::<()>::Ok(())
        });
        task.detach();
        while executor.try_tick() {}
        streams.push(stream);
    };
    // What is made once, or doubles, has been made.
    (0..CONNECTIONS).for_each(|_| open());
    let before = IN_USE.load(Ordering::Relaxed);
    (0..CONNECTIONS).for_each(|_| open());
    let each = (IN_USE.load(Ordering::Relaxed) - before) / CONNECTIONS as i64;
    println!(
        "{each} bytes a connection, with a request of {} and a task that waits",
        request.len()
    );
    // The server's own, the request's head, two queues, the waiting task with room for a message.
    assert!((200..=1200).contains(&each), "{each} bytes");
}
