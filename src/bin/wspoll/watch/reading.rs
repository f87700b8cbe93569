//! From a file on disk to what its viewers are shown: its text, or why there is none.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// What viewers of a file are shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: Arc<str>,
    /// When the text was changed, in nanoseconds since 1970. `None`: it is no content but an error.
    pub(super) modified: Option<u128>,
    /// An error that may be over without a change of the file, such as another program's lock on it.
    pub(super) is_passing: bool,
}

impl Shown {
    fn error(text: String, is_passing: bool) -> Shown {
        Shown { text: text.into(), modified: None, is_passing }
    }
}

/// Reads a file, of which at most `max_bytes` are taken into memory.
///
/// The texts of errors hold nothing that changes while the error stays: each is pushed once.
pub(super) fn read(path: &Path, name: &str, max_bytes: usize) -> Shown {
    match read_bytes(path, max_bytes) {
        Ok((_, bytes)) if bytes.len() > max_bytes => {
            Shown::error(format!("{name} is larger than {max_bytes} bytes"), false)
        }
        Ok((modified, bytes)) => match String::from_utf8(bytes) {
            Ok(text) => Shown { text: text.into(), modified: Some(modified), is_passing: false },
            Err(_) => Shown::error(format!("{name} is not UTF-8"), false),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Shown::error(format!("{name} does not exist"), false)
        }
        Err(error) => Shown::error(format!("{name} cannot be read: {error}"), true),
    }
}

/// The beginning of a file, one byte more than what is taken, and when it was changed.
fn read_bytes(path: &Path, max_bytes: usize) -> io::Result<(u128, Vec<u8>)> {
    // Before it is opened: to open a pipe waits for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let file = fs::File::open(path)?;
    // The time before the content: what is changed in between is newer than it says, and is looked at again.
    let modified = file.metadata()?.modified()?;
    let mut bytes = Vec::new();
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes)?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((since.as_nanos(), bytes))
}
