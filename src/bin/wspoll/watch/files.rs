//! The files that are shown, and what is shown of each.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use wspoll::{Error, ServerHandle};

use super::reading::{self, Shown};

/// The files of the command line.
pub(super) struct Files(Vec<File>);

/// One of them.
pub(super) struct File {
    path: PathBuf,
    /// As on the command line: what viewers ask for.
    name: String,
    room: String,
    /// Larger ones are not shown.
    max_bytes: usize,
    /// Locked while a viewer is let in or a change is pushed, so that nobody misses what is between the two.
    state: Mutex<State>,
}

struct State {
    shown: Shown,
    /// It could not be pushed yet.
    unsent: bool,
}

impl Files {
    /// Reads the files for the first time.
    ///
    /// # Errors
    ///
    /// A line that says which path cannot be watched.
    pub(super) fn new<'a>(
        paths: impl Iterator<Item = &'a PathBuf>,
        max_bytes: usize,
    ) -> Result<Files, String> {
        let mut files: Vec<File> = Vec::new();
        for path in paths {
            let name = path.display().to_string();
            let is_file_name = path.file_name().is_some() && !path.is_dir();
            if !is_file_name {
                return Err(format!("FILE is {name:?}: must be a path to a file"));
            }
            if files.iter().any(|file| file.name == name) {
                return Err(format!("FILE is {name:?}: stands there twice"));
            }
            let state = State { shown: reading::read(path, &name, max_bytes), unsent: false };
            let room = files.len().to_string();
            files.push(File { path: path.clone(), name, room, max_bytes, state: state.into() });
        }
        Ok(Files(files))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &File> {
        self.0.iter()
    }

    pub(super) fn first(&self) -> Option<&File> {
        self.0.first()
    }

    /// The file of this name, as on the command line.
    pub(super) fn find(&self, name: &str) -> Option<&File> {
        self.iter().find(|file| file.name == name)
    }
}

impl File {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The room of its viewers.
    pub(super) fn room(&self) -> &str {
        &self.room
    }

    /// Looks at what is shown; it does not change meanwhile.
    pub(super) fn show<T>(&self, look: impl FnOnce(&Shown) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner).shown)
    }

    /// Reads it again, and pushes what is new to its viewers. Returns whether it should be looked at again soon,
    /// though nothing might tell of a change.
    ///
    /// # Errors
    ///
    /// [`Error::ShutDown`], at the end of the server.
    pub(super) fn refresh(&self, server: &ServerHandle) -> wspoll::Result<bool> {
        let read = reading::read(&self.path, &self.name, self.max_bytes);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.unsent |= read.text != state.shown.text;
        state.shown = read;
        if state.unsent {
            match server.publish(&self.room, &*state.shown.text) {
                Err(Error::Backpressure) => return Ok(true),
                pushed => pushed?,
            }
            state.unsent = false;
        }
        Ok(state.shown.is_passing)
    }
}
