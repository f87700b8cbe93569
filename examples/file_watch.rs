//! Pushes a file to everybody whenever it changes. `cargo run --example file_watch FILE`; `wspoll watch` is the whole of
//! it.

use std::fs;
use std::path::{Path, PathBuf};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use wspoll::{Conn, Handler, Server};

struct Viewers {
    path: PathBuf,
}

/// What is shown of a file. It is read on the thread that calls, which is a loop's for a viewer who comes: this is for
/// small files on a local disk.
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| format!("{}: {error}", path.display()))
}

impl Handler for Viewers {
    fn on_open(&self, conn: &mut Conn<'_>) {
        if let Err(error) = conn.send(&text(&self.path)) {
            eprintln!("{}: {error}", conn.id());
        }
    }
}

/// The file is watched as long as the second value lives.
pub fn start(
    listen: &str,
    path: &Path,
) -> Result<(Server, RecommendedWatcher), Box<dyn std::error::Error>> {
    let path = path.canonicalize()?;
    let viewers = Viewers { path: path.clone() };
    let server = Server::builder().listen(listen).handler(viewers).start()?;
    let (handle, folder) = (server.handle(), path.parent().map(Path::to_owned));
    let changed = move |event: notify::Result<Event>| {
        // Reading it is told of, too.
        if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            return;
        }
        if let Err(error) = handle.broadcast(&text(&path)) {
            eprintln!("{}: {error}", path.display());
        }
    };
    let mut watcher = notify::recommended_watcher(changed)?;
    // The folder: the file may be replaced by another.
    watcher.watch(&folder.ok_or("no file")?, RecursiveMode::NonRecursive)?;
    Ok((server, watcher))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("which file?")?;
    let (server, _watcher) = start("127.0.0.1:8000", Path::new(&path))?;
    println!("listening on {}", server.local_addr());
    loop {
        std::thread::park();
    }
}
