//! A chat: the path is the room, `?NAME` the member. `cargo run --example chat_async`, then connect to
//! `ws://127.0.0.1:8000/lobby?ann`.

use wspoll::{AsyncServer, Connection, Incoming, Server};

/// Starts the server on an address.
pub fn start(listen: &str) -> wspoll::Result<AsyncServer> {
    Server::builder().listen(listen).start_async()
}

/// Runs a task for each member that comes.
pub async fn serve(incoming: Incoming) {
    while let Some(connection) = incoming.next().await {
        smol::spawn(async move {
            if let Err(error) = chat(&connection).await {
                eprintln!("{}: {error}", connection.id());
            }
        })
        .detach();
    }
}

/// What a handler keeps in a map are variables here.
async fn chat(connection: &Connection) -> wspoll::Result<()> {
    let (room, name) = (connection.path(), connection.query().unwrap_or("somebody"));
    connection.join(room)?;
    connection.publish(room, &format!("{name} joined"))?;
    while let Ok(message) = connection.recv().await {
        if let Some(text) = message.as_text() {
            connection.publish(room, &format!("{name}: {text}"))?;
        }
    }
    connection.publish(room, &format!("{name} left"))
}

fn main() -> wspoll::Result<()> {
    let server = start("127.0.0.1:8000")?;
    println!("listening on {}", server.local_addr());
    smol::block_on(serve(server.incoming()));
    Ok(())
}
