//! The `wspoll` command: `serve` (also without a name) runs the server, `watch` shows files, `client` loads a server.

mod client;
mod modes;
mod serve;
mod settings;
mod signals;
mod watch;
mod web;

use std::fmt::Display;
use std::process::ExitCode;

use clap::Command;

/// The command could not do what it was asked to, or lost something on the way.
const FAILED: u8 = 1;
/// The command was asked for something that cannot be; also what clap exits with.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("client", matches)) => client::run(matches),
        Some(("watch", matches)) => watch::run(matches),
        Some((_, matches)) => serve::run(matches),
        None => serve::run(&matches),
    }
}

/// Every argument that there is. `serve`'s stand at the top too, so that its name can be left out.
fn command() -> Command {
    Command::new("wspoll")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A WebSocket server, and a client that loads one")
        .after_help(settings::PRECEDENCE)
        .args(settings::arguments())
        .arg(settings::mode())
        .args_conflicts_with_subcommands(true)
        .subcommand(
            Command::new("serve")
                .about("Run the server (the default): /echo, /push, /log, everyone to everyone at /broadcast and /broadcast/NAME")
                .after_help(settings::PRECEDENCE)
                .args(settings::arguments())
                .arg(settings::mode()),
        )
        .subcommand(watch::command())
        .subcommand(client::command())
}

/// Says on stderr, in one line, why the command ends, and what to exit with.
fn end(code: u8, why: impl Display) -> ExitCode {
    eprintln!("wspoll: {why}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_arguments_contradict_each_other() {
        super::command().debug_assert();
    }
}
