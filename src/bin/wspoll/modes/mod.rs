//! What `wspoll serve` does with a connection: its path says it, or `--mode`.

mod log;
mod push;

use std::fmt;
use std::str::FromStr;

use wspoll::{Conn, ConnId, Handler, Message, Request, Response, Upgrade};

use crate::web;
pub(crate) use log::Printer;

/// The page at `/`.
const PAGE: &str = include_str!("../demo.html");
/// What the page may do: run the script and the style that stand in it, and connect to any WebSocket server that its
/// reader names. tests/demo_page.rs compares the hashes with the page and says what they must be.
const PAGE_POLICY: &str = "default-src 'none'; \
    script-src 'sha256-CPW71hA1BT3mMwIYq75QmvNzCosVSvfyEDHzGOxu+4U='; \
    style-src 'sha256-MUndLpEvBZmSLyLX5z8vMy2s8sh0z50o/W87Yy8Nngo='; \
    connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where everyone hears everyone; also the name of the room.
const BROADCAST: &str = "/broadcast";
/// Longest path of a room of its own, `/broadcast/NAME`.
const MAX_ROOM: usize = 256;

/// Whether a path is that of [`BROADCAST`] or of a room of its own below it.
fn is_broadcast(path: &str) -> bool {
    path.strip_prefix(BROADCAST)
        .is_some_and(|name| name.is_empty() || name.len() > 1 && name.starts_with('/'))
        && path.len() <= MAX_ROOM
}

/// What is done with the messages of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are sent back.
    Echo,
    /// They join rooms and push to them, by the protocol of docs/push-protocol.md.
    Push,
    /// They are printed.
    Log,
}

impl Mode {
    pub(crate) const UNIT: &str = "echo|push|log";
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Echo => "echo",
            Mode::Push => "push",
            Mode::Log => "log",
        })
    }
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(text: &str) -> Result<Mode, ()> {
        [Mode::Echo, Mode::Push, Mode::Log]
            .into_iter()
            .find(|mode| mode.to_string() == text)
            .ok_or(())
    }
}

/// What the path chose: all that is known of a connection, in its one word of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Mode(Mode),
    Broadcast,
}

impl Place {
    fn of(conn: &Conn<'_>) -> Place {
        match conn.data() {
            1 => Place::Mode(Mode::Push),
            2 => Place::Mode(Mode::Log),
            3 => Place::Broadcast,
            _ => Place::Mode(Mode::Echo),
        }
    }

    fn data(self) -> u64 {
        match self {
            Place::Mode(Mode::Echo) => 0,
            Place::Mode(Mode::Push) => 1,
            Place::Mode(Mode::Log) => 2,
            Place::Broadcast => 3,
        }
    }
}

/// The handler of `wspoll serve`.
pub(crate) struct Modes {
    /// For `/` and paths that say nothing.
    default: Mode,
    printer: Printer,
}

impl Modes {
    pub(crate) fn new(default: Mode, printer: Printer) -> Modes {
        Modes { default, printer }
    }
}

impl Handler for Modes {
    fn on_upgrade(&self, _conn: ConnId, request: &Request<'_>) -> Upgrade {
        let place = match request.path() {
            "/echo" => Place::Mode(Mode::Echo),
            "/push" => Place::Mode(Mode::Push),
            "/log" => Place::Mode(Mode::Log),
            path if is_broadcast(path) => Place::Broadcast,
            _ => Place::Mode(self.default),
        };
        Upgrade::accept().data(place.data())
    }

    fn on_open_by(&self, conn: &mut Conn<'_>, request: &Request<'_>) {
        if Place::of(conn) == Place::Broadcast {
            // It is open, and in no other room.
            let _ = conn.join(request.path());
        }
    }

    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        let done = match Place::of(conn) {
            Place::Mode(Mode::Echo) => conn.send(message),
            Place::Mode(Mode::Push) => push::on_message(conn, message),
            Place::Mode(Mode::Log) => {
                self.printer.print(conn.peer_addr(), message);
                Ok(())
            }
            Place::Broadcast => {
                let room = conn.rooms().next().map(str::to_owned);
                room.map_or(Ok(()), |room| conn.publish(&room, message))
            }
        };
        if let Err(error) = done {
            ::log::debug!("{}: {} bytes not sent on: {error}", conn.id(), message.payload().len());
        }
    }

    fn on_request(&self, request: &Request<'_>) -> Response {
        if !matches!(request.method(), "GET" | "HEAD") {
            return web::method_not_allowed();
        }
        match request.path() {
            "/" => web::page(PAGE, PAGE_POLICY),
            "/healthz" => web::plain(200, "ok\n"),
            "/echo" | "/push" | "/log" => web::guarded(Response::upgrade_required()),
            path if is_broadcast(path) => web::guarded(Response::upgrade_required()),
            _ => web::not_found(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mode;

    #[test]
    fn a_mode_is_read_as_it_is_written() {
        for mode in Mode::UNIT.split('|') {
            assert_eq!(mode.parse::<Mode>().map(|mode| mode.to_string()), Ok(mode.to_owned()));
        }
        assert_eq!("Echo".parse::<Mode>(), Err(()));
    }
}
