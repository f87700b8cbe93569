//! Sends back what comes, in a task per connection. `cargo run --example echo_async`.

use wspoll::{AsyncServer, Connection, Incoming, Server};

/// Starts the server on an address.
pub fn start(listen: &str) -> wspoll::Result<AsyncServer> {
    Server::builder().listen(listen).start_async()
}

/// Runs a task for each connection.
pub async fn serve(incoming: Incoming) {
    while let Some(connection) = incoming.next().await {
        smol::spawn(echo(connection)).detach();
    }
}

async fn echo(connection: Connection) {
    while let Ok(message) = connection.recv().await {
        if let Err(error) = connection.send(message).await {
            eprintln!("{}: {error}", connection.id());
        }
    }
}

fn main() -> wspoll::Result<()> {
    let server = start("127.0.0.1:8000")?;
    println!("listening on {}", server.local_addr());
    smol::block_on(serve(server.incoming()));
    Ok(())
}
