//! Pushes a file to everybody whenever it changes. `cargo run --example file_watch_async FILE`; `wspoll watch` is the
//! whole of it.

use std::path::{Path, PathBuf};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use smol::channel::{self, Receiver};
use smol::fs;
use wspoll::{AsyncServer, Connection, Incoming, Server};

/// Starts the server on an address.
pub fn start(listen: &str) -> wspoll::Result<AsyncServer> {
    Server::builder().listen(listen).start_async()
}

/// What is shown of a file.
async fn text(path: &Path) -> String {
    let text = fs::read_to_string(path).await;
    text.unwrap_or_else(|error| format!("{}: {error}", path.display()))
}

/// Says when a file may have changed, as long as the first value lives.
fn watch(path: &Path) -> Result<(RecommendedWatcher, Receiver<()>), Box<dyn std::error::Error>> {
    // One place: a change that comes before the last was read is found by the same read.
    let (wake, changes) = channel::bounded(1);
    let changed = move |event: notify::Result<Event>| {
        // Reading it is told of, too.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            let _ = wake.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(changed)?;
    // The folder: the file may be replaced by another.
    watcher.watch(path.parent().ok_or("no file")?, RecursiveMode::NonRecursive)?;
    Ok((watcher, changes))
}

/// Shows a file to everybody who comes, until the server ends.
pub async fn serve(server: &AsyncServer, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let path = path.canonicalize()?;
    let (_watcher, changes) = watch(&path)?;
    smol::spawn(let_in(server.incoming(), path.clone())).detach();
    while let Ok(()) = changes.recv().await {
        server.handle().broadcast(&text(&path).await)?;
    }
    Ok(())
}

async fn let_in(incoming: Incoming, path: PathBuf) {
    while let Some(connection) = incoming.next().await {
        let path = path.clone();
        smol::spawn(async move { view(&connection, &path).await }).detach();
    }
}

/// Shows the file to one, who is then shown its changes as all are.
async fn view(connection: &Connection, path: &Path) {
    if let Err(error) = connection.send(text(path).await).await {
        return eprintln!("{}: {error}", connection.id());
    }
    // What a viewer says is of no interest, but is read, or its close would not be.
    while connection.recv().await.is_ok() {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("which file?")?;
    let server = start("127.0.0.1:8000")?;
    println!("listening on {}", server.local_addr());
    smol::block_on(serve(&server, Path::new(&path)))
}
