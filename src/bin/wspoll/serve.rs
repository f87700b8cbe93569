//! `wspoll serve`, and what every command does that serves: from start to drain.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ArgMatches;
use wspoll::{Error, Handler, ListenAddr, Server};

use crate::modes::{Modes, Printer};
use crate::settings::{DEFAULT_ADMIN, Settings};
use crate::signals::Signals;
use crate::{FAILED, MISUSED, end};

/// Runs the server of all modes until a signal drains it.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let settings = match Settings::load(matches, std::env::vars_os()) {
        Ok(settings) => settings,
        Err(why) => return end(MISUSED, why),
    };
    let (printer, printing) = match Printer::start() {
        Ok(started) => started,
        Err(error) => return end(FAILED, format_args!("starting a thread: {error}")),
    };
    let ended = serve(&settings, Modes::new(settings.mode, printer), |_| Ok(()));
    printing.finish();
    ended
}

/// Runs a server until a signal drains it. What `started` returns lives as long.
pub(crate) fn serve<T>(
    settings: &Settings,
    handler: impl Handler,
    started: impl FnOnce(&Server) -> Result<T, String>,
) -> ExitCode {
    env_logger::Builder::new().filter_level(settings.log_level).init();
    // Before anything can be drained, so that no signal ends the process in between.
    let signals = match Signals::hear() {
        Ok(signals) => signals,
        Err(error) => return end(FAILED, format_args!("signals: {error}")),
    };
    let drain_timeout = settings.config.drain_timeout;
    let server = match start(settings, handler) {
        Ok(server) => server,
        Err(error @ Error::InvalidSetting(_)) => return end(MISUSED, settings.explain(&error)),
        Err(error) => return end(FAILED, error),
    };
    let _kept = match started(&server) {
        Ok(kept) => kept,
        Err(why) => return end(FAILED, why),
    };
    announce(&server);
    let wish = signals.wait();
    let drain_timeout = wish.grace.map_or(drain_timeout, |grace| grace.min(drain_timeout));
    log::info!("{}: draining, for at most {drain_timeout:?}", wish.name);
    server.shutdown(drain_timeout);
    ExitCode::SUCCESS
}

/// Starts the server; without an admin listener, if nobody asked for one and its usual port is taken.
fn start(settings: &Settings, handler: impl Handler) -> wspoll::Result<Server> {
    let builder = Server::builder().handler(handler);
    match builder.clone().config(settings.config.clone()).start() {
        Err(Error::Io(e)) if !settings.admin_is_chosen() && e.doing.contains(DEFAULT_ADMIN) => {
            let mut config = settings.config.clone();
            config.admin = None;
            // If it is rather the server's own address that is taken, this fails with that.
            let server = builder.config(config).start()?;
            let (doing, why) = (&e.doing, &e.source);
            log::warn!("no admin page: {doing}: {why}; --admin takes another address, or off");
            Ok(server)
        }
        started => started,
    }
}

/// The first line on stdout, which scripts wait for and read the port from; where there is one, the second is about the
/// admin listener.
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
    if let Some(admin) = server.admin_addr() {
        let _ = writeln!(stdout, "wspoll admin on http://{admin}");
    }
    let _ = stdout.flush();
}
