//! A client that is always there: it connects, joins again after every loss, and says what happens.
//!
//! ```sh
//! cargo run --example client --features client -- ws://127.0.0.1:8000/broadcast
//! ```
//!
//! Every line of standard input is sent. Ends with it, when what was sent has left.

use std::io::BufRead;
use std::time::Duration;
use std::{env, io, thread};

use wspoll::client::{Client, Event, Reconnect};

fn main() -> wspoll::Result<()> {
    let url = env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:8000/".to_owned());
    let client = Client::builder(url)
        .reconnect(Reconnect::default().delays(Duration::from_millis(250), Duration::from_secs(10)))
        .on_connect(|greeting| greeting.send("hello from a client"))
        .start()?;

    let lines = client.clone();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            // Waits while the server takes nothing, also between connections.
            if lines.send_blocking(&line, Duration::MAX).is_err() {
                return;
            }
        }
        let _ = lines.start_close(1000, "");
    });

    smol::block_on(async {
        while let Some(event) = client.recv().await {
            match event {
                Event::Connected(_) => println!("connected"),
                Event::Text(text) => println!("{text}"),
                Event::Binary(bytes) => println!("{} bytes", bytes.len()),
                Event::Disconnected(end) => println!("{end}"),
                _ => {}
            }
        }
    });
    Ok(())
}
