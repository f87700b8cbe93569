//! `wspoll watch`: viewers of text files, who get each new content of theirs.
//!
//! | file | what |
//! |---|---|
//! | `files` | what is shown of each file, and who hears of it |
//! | `reading` | from a file on disk to what is shown |
//! | `watcher` | the thread that waits for changes |
//! | `page` | the pages |

mod files;
mod page;
mod reading;
mod watcher;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, value_parser};
use wspoll::{Conn, ConnId, Handler, Request, Response, Upgrade};

use crate::settings::{self, Settings};
use crate::{MISUSED, end, serve, web};
use files::{File, Files};

/// Where viewers connect; `/` does too.
const STREAM: &str = "/async";

/// What `wspoll watch` takes.
pub(crate) fn command() -> Command {
    let files = Arg::new("FILE")
        .help("Text file to show; it may be missing, replaced and truncated at any time")
        .required(true)
        .num_args(1..)
        .value_parser(value_parser!(PathBuf));
    Command::new("watch")
        .about("Show text files in browsers: push each to all its viewers whenever it changes")
        .after_help(settings::PRECEDENCE)
        .arg(files)
        .args(settings::arguments())
}

/// Shows the files until a signal ends it.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let settings = match Settings::load(matches, std::env::vars_os()) {
        Ok(settings) => settings,
        Err(why) => return end(MISUSED, why),
    };
    let paths = matches.get_many::<PathBuf>("FILE").into_iter().flatten();
    let files = match Files::new(paths, settings.config.max_message_size) {
        Ok(files) => Arc::new(files),
        Err(why) => return end(MISUSED, why),
    };
    let viewers = Viewers { files: Arc::clone(&files) };
    serve::serve(&settings, viewers, |server| watcher::start(files, server.handle()))
}

/// Lets viewers in.
struct Viewers {
    files: Arc<Files>,
}

/// What a viewer asks for.
struct Wanted<'a> {
    /// `None`: a file that is not shown.
    file: Option<&'a File>,
    /// Whether `?file=` named it.
    is_named: bool,
    /// When the content was changed that the viewer has, in nanoseconds since 1970; 0 if it has none.
    has: u128,
}

impl Viewers {
    fn wanted(&self, request: &Request<'_>) -> Wanted<'_> {
        let mut wanted = Wanted { file: self.files.first(), is_named: false, has: 0 };
        let query = request.query().unwrap_or_default().as_bytes();
        for (name, value) in form_urlencoded::parse(query) {
            match &*name {
                "file" => {
                    wanted.file = self.files.find(&value);
                    wanted.is_named = true;
                }
                // What is no number says nothing, as in the Go servers that have this parameter.
                "lastMod" => wanted.has = u128::from_str_radix(&value, 16).unwrap_or_default(),
                _ => {}
            }
        }
        wanted
    }
}

impl Handler for Viewers {
    fn on_upgrade(&self, _conn: ConnId, request: &Request<'_>) -> Upgrade {
        let is_stream = matches!(request.path(), "/" | STREAM);
        match self.wanted(request).file {
            Some(_) if is_stream => Upgrade::accept(),
            _ => Upgrade::reject(web::not_found()),
        }
    }

    fn on_open_by(&self, conn: &mut Conn<'_>, request: &Request<'_>) {
        let Wanted { file: Some(file), has, .. } = self.wanted(request) else { return };
        file.show(|shown| {
            let joined = conn.join(file.room());
            let sent = match shown.modified {
                Some(modified) if has >= modified => Ok(()),
                _ => conn.send(&*shown.text),
            };
            // It is open, in no other room, and nothing waits for it.
            debug_assert!(joined.is_ok() && sent.is_ok());
        });
    }

    fn on_request(&self, request: &Request<'_>) -> Response {
        if !matches!(request.method(), "GET" | "HEAD") {
            return web::method_not_allowed();
        }
        match (request.path(), self.wanted(request)) {
            ("/", Wanted { is_named: false, .. }) if self.files.len() > 1 => {
                page::list(&self.files)
            }
            ("/", Wanted { file: Some(file), .. }) => page::view(file, self.files.len() > 1),
            (STREAM, _) => web::guarded(Response::upgrade_required()),
            ("/healthz", _) => web::plain(200, "ok\n"),
            _ => web::not_found(),
        }
    }
}
