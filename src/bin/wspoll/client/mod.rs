//! `wspoll client`: the load client. It opens connections, sends on each in turn and counts what comes back.

mod connection;
mod load;
mod report;

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::{FAILED, MISUSED, end};

/// What was asked for.
struct Options {
    address: SocketAddr,
    url: String,
    connections: usize,
    /// Messages per second, over all connections.
    rate: u64,
    duration: Duration,
    /// Least length of a message in bytes.
    size: usize,
}

/// What `wspoll client` takes.
pub(crate) fn command() -> Command {
    let text = |name: &'static str, unit, default, help| {
        Arg::new(name).long(name).value_name(unit).default_value(default).help(help)
    };
    let number = |name, unit, default, help| {
        text(name, unit, default, help).value_parser(value_parser!(u64).range(1..))
    };
    let port = text("port", "PORT", "8000", "Port of the server")
        .value_parser(value_parser!(u16).range(1..));
    let path = text("path", "PATH", "/", "Path that echoes, with its query").value_parser(path);
    Command::new("client")
        .about("Load a server that echoes: open connections, send on each in turn, count what comes back")
        .arg(text("ip", "IP", "127.0.0.1", "Address or name of the server"))
        .arg(port)
        .arg(path)
        .arg(number("conn", "N", "100", "Connections"))
        .arg(number("rate", "N", "1000", "Messages per second, over all connections; a ping goes before each"))
        .arg(number("seconds", "N", "10", "How long to send, once all connections are open"))
        .arg(number("size", "BYTES", "1", "Least length of a message: `Hello from conn i` is filled up with spaces"))
        .after_help(report::KEYS)
}

/// Runs the load and prints the report.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let options = match Options::read(matches) {
        Ok(options) => options,
        Err(why) => return end(MISUSED, why),
    };
    let needed = options.connections as u64 + OTHER_FILES;
    match wspoll::raise_file_limit() {
        Ok(limit) if limit < needed => eprintln!(
            "wspoll: this process may open {limit} files and needs {needed}; raise the limit (ulimit -n)"
        ),
        Ok(_) => {}
        Err(error) => eprintln!("wspoll: the limit of open files stays: {error}"),
    }
    let report = load::run(&options);
    // Whoever closed stdout still learns by the exit code.
    let _ = write!(io::stdout(), "{report}");
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// Files that are open besides the connections: the standard streams, the poller and what it wakes up by.
const OTHER_FILES: u64 = 16;

impl Options {
    fn read(matches: &ArgMatches) -> Result<Options, String> {
        let number = |name| matches.get_one::<u64>(name).copied().unwrap_or_default();
        let text = |name| matches.get_one::<String>(name).cloned().unwrap_or_default();
        let port = matches.get_one::<u16>("port").copied().unwrap_or_default();
        let host = text("ip");
        let address = (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|error| format!("ip is {host:?}: {error} (argument --ip)"))?
            .next()
            .ok_or_else(|| format!("ip is {host:?}: has no address (argument --ip)"))?;
        // An IPv6 address stands in brackets in a URL (RFC 3986 §3.2.2).
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Ok(Options {
            address,
            url: format!("ws://{host}:{port}{}", text("path")),
            connections: usize::try_from(number("conn")).unwrap_or(usize::MAX),
            rate: number("rate"),
            duration: Duration::from_secs(number("seconds")),
            size: usize::try_from(number("size")).unwrap_or(usize::MAX),
        })
    }
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("must begin with /".to_owned()) }
}
