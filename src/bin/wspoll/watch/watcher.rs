//! The thread that waits for changes on disk.
//!
//! Watched are the folders of the files, not the files: so a file can be replaced, renamed, deleted and made again, and
//! stays watched. What the system says has changed only tells when to look; a look reads every file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, WatcherKind};
use wspoll::ServerHandle;

use super::files::Files;

/// Changes that follow each other within this time are one: a program that writes a file does so in steps.
const QUIET: Duration = Duration::from_millis(50);
/// A file that never rests is looked at as often.
const MOST_OFTEN: Duration = Duration::from_millis(500);
/// When to look again at what is not as it should be, though nothing tells of a change.
const AGAIN: Duration = Duration::from_secs(1);

/// Watches the files until the server is shut down.
///
/// # Errors
///
/// A line that says what cannot be watched.
pub(super) fn start(files: Arc<Files>, server: ServerHandle) -> Result<(), String> {
    // One place: a change that comes before the last was looked at is found by the same look.
    let (wake, wakes) = mpsc::sync_channel(1);
    let moved = Arc::new(AtomicBool::new(false));
    let has_moved = Arc::clone(&moved);
    let told = move |event: notify::Result<Event>| {
        if event.as_ref().is_ok_and(|event| !is_change(event.kind)) {
            return;
        }
        if event.is_ok_and(|event| may_move(event.kind)) {
            has_moved.store(true, Ordering::Relaxed);
        }
        // Full: somebody else's wake-up is under way.
        let _ = wake.try_send(());
    };
    let watcher =
        notify::recommended_watcher(told).map_err(|error| format!("watching files: {error}"))?;
    let mut watching = Watching { watcher, folders: BTreeSet::new(), missing: false };
    watching.renew(&files);
    if let Some(error) = watching.first_failure(&files) {
        return Err(error);
    }
    thread::Builder::new()
        .name("wspoll-watch".to_owned())
        .spawn(move || watching.run(&files, &server, &wakes, &moved))
        .map_err(|error| format!("starting a thread: {error}"))?;
    Ok(())
}

/// Whether an event tells of a change: our own reading is told of too.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// Whether what is watched may be elsewhere now: a watch follows its folder, not the path.
fn may_move(kind: EventKind) -> bool {
    matches!(kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)))
}

struct Watching {
    watcher: RecommendedWatcher,
    /// What is watched.
    folders: BTreeSet<PathBuf>,
    /// A folder cannot be watched now.
    missing: bool,
}

impl Watching {
    fn run(
        mut self,
        files: &Files,
        server: &ServerHandle,
        wakes: &Receiver<()>,
        moved: &AtomicBool,
    ) {
        // What was changed before the folders were watched.
        let mut again = true;
        let mut wait = Duration::ZERO;
        loop {
            let woken = match again || self.missing {
                true => wakes.recv_timeout(wait),
                false => wakes.recv().map_err(RecvTimeoutError::from),
            };
            match woken {
                Ok(()) => settle(wakes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if moved.swap(false, Ordering::Relaxed) || self.missing {
                self.renew(files);
            }
            again = false;
            wait = AGAIN;
            for file in files.iter() {
                match file.refresh(server) {
                    Ok(soon) => again |= soon,
                    // Only the end of the server refuses for good.
                    Err(_) => return,
                }
            }
            self.watch_files(files);
        }
    }

    /// Watches the folders anew: those where the paths are, and those where symbolic links lead to.
    fn renew(&mut self, files: &Files) {
        for folder in std::mem::take(&mut self.folders) {
            // It fails for one that has gone.
            let _ = self.watcher.unwatch(&folder);
        }
        self.missing = false;
        for folder in folders(files) {
            match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(folder);
                }
                Err(error) => {
                    log::debug!("watching {}: {error}", folder.display());
                    self.missing = true;
                }
            }
        }
        self.watch_files(files);
    }

    /// kqueue tells of a folder only that entries come and go; of what is written into them, each file must tell.
    fn watch_files(&mut self, files: &Files) {
        if RecommendedWatcher::kind() != WatcherKind::Kqueue {
            return;
        }
        for file in files.iter() {
            // They fail for one that was not watched, or does not exist.
            let _ = self.watcher.unwatch(file.path());
            let _ = self.watcher.watch(file.path(), RecursiveMode::NonRecursive);
        }
    }

    /// Why a folder cannot be watched, at the start: later it is tried again.
    fn first_failure(&mut self, files: &Files) -> Option<String> {
        let unwatched = folders(files).into_iter().find(|folder| !self.folders.contains(folder))?;
        let watched = self.watcher.watch(&unwatched, RecursiveMode::NonRecursive);
        watched.err().map(|error| format!("watching {}: {error}", unwatched.display()))
    }
}

/// Waits until changes pause.
fn settle(wakes: &Receiver<()>) {
    let start = Instant::now();
    while start.elapsed() < MOST_OFTEN && wakes.recv_timeout(QUIET).is_ok() {}
}

fn folders(files: &Files) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for file in files.iter() {
        let target = file.path().canonicalize().ok();
        for path in [Some(file.path()), target.as_deref()].into_iter().flatten() {
            folders.insert(folder(path));
        }
    }
    folders
}

/// The folder that a path is in; its own name is one path, so that it is not watched twice.
fn folder(path: &Path) -> PathBuf {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    parent.canonicalize().unwrap_or_else(|_| parent.to_owned())
}
