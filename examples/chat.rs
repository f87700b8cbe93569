//! A chat: the path is the room, `?NAME` the member. `cargo run --example chat`, then connect to
//! `ws://127.0.0.1:8000/lobby?ann`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wspoll::{Close, Conn, ConnId, Handler, Message, Request, Server};

/// Who is there: calls come on several threads, so what is known beyond a connection's word stands behind a lock.
#[derive(Default)]
struct Chat {
    members: Mutex<HashMap<ConnId, Member>>,
}

#[derive(Clone)]
struct Member {
    name: String,
    room: String,
}

impl Chat {
    fn members(&self) -> MutexGuard<'_, HashMap<ConnId, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn say(conn: &mut Conn<'_>, room: &str, text: &str) {
    if let Err(error) = conn.publish(room, text) {
        eprintln!("{room}: {error}");
    }
}

impl Handler for Chat {
    fn on_open_by(&self, conn: &mut Conn<'_>, request: &Request<'_>) {
        let name = request.query().unwrap_or("somebody").to_owned();
        let member = Member { name, room: request.path().to_owned() };
        self.members().insert(conn.id(), member.clone());
        match conn.join(&member.room) {
            Ok(_) => say(conn, &member.room, &format!("{} joined", member.name)),
            Err(error) => eprintln!("{}: {error}", member.room),
        }
    }

    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        let member = self.members().get(&conn.id()).cloned();
        if let (Some(member), Message::Text(text)) = (member, message) {
            say(conn, &member.room, &format!("{}: {text}", member.name));
        }
    }

    fn on_close(&self, conn: &mut Conn<'_>, _close: &Close<'_>) {
        let member = self.members().remove(&conn.id());
        if let Some(Member { name, room }) = member {
            say(conn, &room, &format!("{name} left"));
        }
    }
}

/// Starts the server on an address.
pub fn start(listen: &str) -> wspoll::Result<Server> {
    Server::builder().listen(listen).handler(Chat::default()).start()
}

fn main() -> wspoll::Result<()> {
    let server = start("127.0.0.1:8000")?;
    println!("listening on {}", server.local_addr());
    loop {
        std::thread::park();
    }
}
