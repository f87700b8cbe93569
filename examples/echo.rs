//! Sends back what comes. `cargo run --example echo`, then `wspoll client` in another terminal.

use wspoll::{Conn, Handler, Message, Server};

struct Echo;

impl Handler for Echo {
    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        if let Err(error) = conn.send(message) {
            eprintln!("{}: {error}", conn.id());
        }
    }
}

/// Starts the server on an address.
pub fn start(listen: &str) -> wspoll::Result<Server> {
    Server::builder().listen(listen).handler(Echo).start()
}

fn main() -> wspoll::Result<()> {
    let server = start("127.0.0.1:8000")?;
    println!("listening on {}", server.local_addr());
    loop {
        std::thread::park();
    }
}
