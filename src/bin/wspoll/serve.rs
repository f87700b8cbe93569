//! `wspoll serve`: an echo, a broadcast room and a demo page, from start to drain.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ArgMatches;
use wspoll::{
    Conn, ConnId, Error, Handler, ListenAddr, Message, Request, Response, Server, Upgrade,
};

use crate::settings::Settings;
use crate::signals::Signals;
use crate::{FAILED, MISUSED, end};

/// The page at `/`.
const PAGE: &str = include_str!("demo.html");
/// What the page may do: run the script and the style that stand in it, and connect to any WebSocket server that its
/// reader names. tests/demo_page.rs compares the hashes with the page and says what they must be.
const PAGE_POLICY: &str = "default-src 'none'; \
    script-src 'sha256-0G/I1gr5rsfAUO9QefoFXgLuYCOv5aNgCDVG2QYg4vQ='; \
    style-src 'sha256-MUndLpEvBZmSLyLX5z8vMy2s8sh0z50o/W87Yy8Nngo='; \
    connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where everyone hears everyone; also the name of the room.
const BROADCAST: &str = "/broadcast";
/// What [`Conn::data`] holds for a connection to [`BROADCAST`]. All others hold 0.
const IN_BROADCAST: u64 = 1;

/// Runs the server until a signal drains it.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let settings = match Settings::load(matches, std::env::vars_os()) {
        Ok(settings) => settings,
        Err(why) => return end(MISUSED, why),
    };
    env_logger::Builder::new().filter_level(settings.log_level).init();
    // Before anything can be drained, so that no signal ends the process in between.
    let signals = match Signals::hear() {
        Ok(signals) => signals,
        Err(error) => return end(FAILED, format_args!("signals: {error}")),
    };
    let drain_timeout = settings.config.drain_timeout;
    let server = match Server::builder().config(settings.config.clone()).handler(Demo).start() {
        Ok(server) => server,
        Err(error @ Error::InvalidSetting(_)) => return end(MISUSED, settings.explain(&error)),
        Err(error) => return end(FAILED, error),
    };
    announce(&server);
    let wish = signals.wait();
    let drain_timeout = wish.grace.map_or(drain_timeout, |grace| grace.min(drain_timeout));
    log::info!("{}: draining, for at most {drain_timeout:?}", wish.name);
    server.shutdown(drain_timeout);
    ExitCode::SUCCESS
}

/// The one line on stdout, which scripts wait for and read the port from.
fn announce(server: &Server) {
    let url = |address: &ListenAddr| match address {
        ListenAddr::Ip(address) => format!("http://{address}"),
        unix => unix.to_string(),
    };
    let addresses: Vec<String> = server.local_addrs().iter().map(url).collect();
    let shards = server.stats().shards.len();
    let mut stdout = io::stdout().lock();
    // A closed stdout is no reason to end.
    let _ = writeln!(
        stdout,
        "wspoll {} listening on {} with {shards} {}",
        env!("CARGO_PKG_VERSION"),
        addresses.join(", "),
        if shards == 1 { "shard" } else { "shards" },
    );
    let _ = stdout.flush();
}

/// Echoes on every path but [`BROADCAST`]. It has no state: what is known of a connection is its one word of data.
struct Demo;

impl Handler for Demo {
    fn on_upgrade(&self, _conn: ConnId, request: &Request<'_>) -> Upgrade {
        match request.path() {
            BROADCAST => Upgrade::accept().data(IN_BROADCAST),
            _ => Upgrade::accept(),
        }
    }

    fn on_open(&self, conn: &mut Conn<'_>) {
        if conn.data() == IN_BROADCAST {
            // It is open, and in no other room.
            let _ = conn.join(BROADCAST);
        }
    }

    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        let sent = match conn.data() {
            IN_BROADCAST => conn.publish(BROADCAST, message),
            _ => conn.send(message),
        };
        if let Err(error) = sent {
            log::debug!("{:?}: {} bytes not sent on: {error}", conn.id(), message.payload().len());
        }
    }

    fn on_request(&self, request: &Request<'_>) -> Response {
        if !matches!(request.method(), "GET" | "HEAD") {
            return plain(405, "only GET and HEAD\n").header("Allow", "GET, HEAD");
        }
        match request.path() {
            "/" => respond(200, "text/html; charset=utf-8", PAGE)
                .header("Content-Security-Policy", PAGE_POLICY)
                .header("Referrer-Policy", "no-referrer"),
            "/healthz" => plain(200, "ok\n"),
            "/echo" | BROADCAST => guarded(Response::upgrade_required()),
            _ => plain(404, "nothing is here\n"),
        }
    }
}

fn plain(status: u16, text: &'static str) -> Response {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(status: u16, content_type: &'static str, body: &'static str) -> Response {
    guarded(Response::new(status).header("Content-Type", content_type).body(body.as_bytes()))
}

/// Has no cache keep the response, and no browser take it for anything but what it says it is.
fn guarded(response: Response) -> Response {
    response.header("X-Content-Type-Options", "nosniff").header("Cache-Control", "no-store")
}
