//! Sends back what comes, and pushes a heartbeat to everybody every second. `cargo run --example heartbeat`.

use std::thread;
use std::time::Duration;

use wspoll::{Conn, Error, Handler, Message, Server, ServerHandle};

struct Echo;

impl Handler for Echo {
    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        if let Err(error) = conn.send(message) {
            eprintln!("{}: {error}", conn.id());
        }
    }
}

/// Starts the server on an address.
pub fn start(listen: &str, every: Duration) -> wspoll::Result<Server> {
    let server = Server::builder().listen(listen).handler(Echo).start()?;
    let handle = server.handle();
    thread::spawn(move || beat(&handle, every));
    Ok(server)
}

/// One thread for all: any thread can push, and a broadcast is encoded once.
fn beat(server: &ServerHandle, every: Duration) {
    loop {
        match server.broadcast("heartbeat") {
            Err(Error::ShutDown) => return,
            Err(error) => eprintln!("heartbeat: {error}"),
            Ok(()) => {}
        }
        thread::sleep(every);
    }
}

fn main() -> wspoll::Result<()> {
    let server = start("127.0.0.1:8000", Duration::from_secs(1))?;
    println!("listening on {}", server.local_addr());
    loop {
        thread::park();
    }
}
