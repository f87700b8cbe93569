//! What only Unix has: sockets with a path, and sockets that are inherited.

use std::env;
use std::ffi::OsString;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::{ListenAddr, Listener, listen};
use crate::config::Config;
use crate::reactor::inherited;

/// The first descriptor that systemd passes on (sd_listen_fds(3)).
const FIRST_PASSED: u32 = 3;

/// The file of a Unix socket, removed with this if it is still the same.
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        let file = fs::symlink_metadata(path)?;
        // Where the working directory will be at the end, nobody knows.
        let path = std::path::absolute(path)?;
        Ok(SocketFile { path, device: file.dev(), inode: file.ino() })
    }

    fn is(&self, file: &Metadata) -> bool {
        (file.dev(), file.ino()) == (self.device, self.inode)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|file| self.is(&file));
        if is_ours && let Err(e) = fs::remove_file(&self.path) {
            log::warn!("removing {}: {e}", self.path.display());
        }
    }
}

/// Listens on a socket with a path.
///
/// Between `bind` and `listen` nobody can connect, so the mode is right from the first connection on, whatever the
/// process's umask is, which is not touched.
pub(super) fn path(path: PathBuf, config: &Config) -> io::Result<Listener> {
    let address = SockAddr::unix(&path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(&path, &address)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    // From here on a failure removes the file again.
    let file = SocketFile::of(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(config.unix_mode))?;
    listen(&socket, config)?;
    // Before that, another server that starts at the same moment has found nobody answering here.
    if !fs::symlink_metadata(&path).is_ok_and(|now| file.is(&now)) {
        return Err(in_use());
    }
    Ok(Listener { _file: Some(file), socket, addr: ListenAddr::Unix(path) })
}

/// Removes what a server left behind that was killed: a socket on which nobody answers. Nothing else is touched.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let file = fs::symlink_metadata(path)?;
    if !file.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file is no socket"));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A queue that is full would make a blocking connect wait.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            log::info!("{}: nobody listens there any more; the file is replaced", path.display());
            fs::remove_file(path)
        }
        Ok(()) => Err(in_use()),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(in_use()),
        Err(e) => Err(e),
    }
}

fn in_use() -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, "another server listens there")
}

/// Listens on a name of Linux's abstract namespace. It has no file, and no mode: every user of the machine can connect.
pub(super) fn name(name: &str, config: &Config) -> io::Result<Listener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(format!("\0{name}"))?)?;
    listen(&socket, config)?;
    Ok(Listener { _file: None, socket, addr: ListenAddr::Unix(format!("@{name}").into()) })
}

/// Listens on a socket that the process has already. Its own descriptor stays with who made it, as does its file.
pub(super) fn descriptor(number: u32, config: &Config) -> io::Result<Listener> {
    let number = number.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    let socket = inherited::duplicate(number)?;
    let addr = name_of(&socket.local_addr()?)
        .ok_or_else(|| invalid("it is neither an IP socket nor a Unix socket with a name"))?;
    if socket.r#type()? != Type::STREAM {
        return Err(invalid("it is no stream socket"));
    }
    // What listens already goes on doing so, with our backlog. A connected socket refuses.
    listen(&socket, config)?;
    Ok(Listener { _file: None, socket, addr })
}

fn name_of(addr: &SockAddr) -> Option<ListenAddr> {
    if let Some(ip) = addr.as_socket() {
        // Port 0 is that of a socket which was never bound.
        return (ip.port() != 0).then_some(ListenAddr::Ip(ip));
    }
    let path = addr.as_pathname().map(Path::to_owned);
    let name = || {
        let name = String::from_utf8_lossy(addr.as_abstract_namespace()?).into_owned();
        Some(PathBuf::from(format!("@{name}")))
    };
    path.or_else(name).map(ListenAddr::Unix)
}

/// Listens on what systemd has passed on: all of it, or the sockets of one name (`FileDescriptorName=`).
pub(super) fn systemd(
    name: Option<&str>,
    config: &Config,
    out: &mut Vec<Listener>,
) -> io::Result<()> {
    let passed = Passed::read(|variable| env::var_os(variable))?;
    let before = out.len();
    for (number, its_name) in passed.sockets() {
        if name.is_none_or(|name| its_name == Some(name)) {
            let listener = descriptor(number, config)
                .map_err(|e| io::Error::new(e.kind(), format!("descriptor {number}: {e}")))?;
            out.push(listener);
        }
    }
    if out.len() == before {
        return Err(invalid("no socket of this name was passed on (LISTEN_FDNAMES)"));
    }
    Ok(())
}

/// What the variables of socket activation say.
#[derive(Debug)]
struct Passed {
    count: u32,
    names: Vec<String>,
}

impl Passed {
    fn read(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Passed> {
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        let number = |name: &str| {
            let value = text(name).ok_or_else(|| {
                invalid(format!("{name} is not set: the process was not started by a socket unit"))
            })?;
            value.parse::<u32>().map_err(|_| invalid(format!("{name} is {value:?}: no number")))
        };
        let count = number("LISTEN_FDS")?;
        let process = number("LISTEN_PID")?;
        if process != std::process::id() {
            // The variables were inherited from a process for which the sockets were meant.
            return Err(invalid(format!("LISTEN_PID is {process}, another process")));
        }
        // More cannot be open, and numbers must not wrap.
        if count == 0 || count > i32::MAX as u32 - FIRST_PASSED {
            return Err(invalid(format!("LISTEN_FDS is {count}: no socket was passed on")));
        }
        let names = text("LISTEN_FDNAMES").unwrap_or_default();
        Ok(Passed { count, names: names.split(':').map(str::to_owned).collect() })
    }

    fn sockets(&self) -> impl Iterator<Item = (u32, Option<&str>)> {
        let name = |at: u32| self.names.get(at as usize).map(String::as_str);
        (0..self.count).map(move |at| (FIRST_PASSED + at, name(at)))
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fds: Option<&str>, pid: Option<&str>, names: &str) -> io::Result<Passed> {
        Passed::read(|variable| {
            match variable {
                "LISTEN_FDS" => fds,
                "LISTEN_PID" => pid,
                _ => Some(names),
            }
            .map(OsString::from)
        })
    }

    #[test]
    fn systemds_sockets_are_counted_from_3_and_named() {
        let me = std::process::id().to_string();
        let passed = read(Some("3"), Some(&me), "web:admin").expect("for us");
        let sockets: Vec<_> = passed.sockets().collect();
        assert_eq!(sockets, [(3, Some("web")), (4, Some("admin")), (5, None)]);
    }

    #[test]
    fn what_was_passed_to_nobody_or_to_another_is_refused() {
        let me = std::process::id().to_string();
        for (fds, pid, named) in [
            (None, Some(me.as_str()), "LISTEN_FDS"),
            (Some("1"), None, "LISTEN_PID"),
            (Some("1"), Some("1"), "LISTEN_PID"),
            (Some("0"), Some(&me), "LISTEN_FDS"),
            (Some("-1"), Some(&me), "LISTEN_FDS"),
            (Some("4294967295"), Some(&me), "LISTEN_FDS"),
        ] {
            let error = read(fds, pid, "").expect_err("refused").to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
