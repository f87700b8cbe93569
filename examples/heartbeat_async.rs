//! Sends back what comes, and a heartbeat every second. `cargo run --example heartbeat_async`.

use std::time::Duration;

use smol::Timer;
use smol::future;
use smol::stream::StreamExt;
use wspoll::{AsyncServer, Connection, Incoming, Server};

/// Starts the server on an address.
pub fn start(listen: &str) -> wspoll::Result<AsyncServer> {
    Server::builder().listen(listen).start_async()
}

/// Runs a task for each connection.
pub async fn serve(incoming: Incoming, every: Duration) {
    while let Some(connection) = incoming.next().await {
        smol::spawn(async move {
            if let Err(error) = beat(&connection, every).await {
                eprintln!("{}: {error}", connection.id());
            }
        })
        .detach();
    }
}

async fn beat(connection: &Connection, every: Duration) -> wspoll::Result<()> {
    let mut beats = Timer::interval(every);
    loop {
        // Whichever comes first; the wait for the other is dropped, which loses nothing.
        let received = async { Some(connection.recv().await) };
        let beat = async { beats.next().await.and(None) };
        match future::or(received, beat).await {
            Some(Ok(message)) => connection.send(message).await?,
            Some(Err(_ended)) => return Ok(()),
            None => connection.send("heartbeat").await?,
        }
    }
}

fn main() -> wspoll::Result<()> {
    let server = start("127.0.0.1:8000")?;
    println!("listening on {}", server.local_addr());
    smol::block_on(serve(server.incoming(), Duration::from_secs(1)));
    Ok(())
}
