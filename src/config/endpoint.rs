//! Where a server can listen, as people write it.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use super::values::Parsed;

/// One item of [`Config::listen`](super::Config::listen).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Ip(SocketAddr),
    /// A Unix socket with this path.
    Unix(PathBuf),
    /// A Unix socket with this name in Linux's abstract namespace.
    Abstract(String),
    /// A socket that this process has inherited, or that its host has made.
    Descriptor(u32),
    /// The sockets that systemd has passed on; those of one name, or all.
    Systemd(Option<String>),
}

/// Bytes of `sun_path` without a NUL.
const MAX_UNIX_PATH: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };

/// `IP:PORT`, `localhost:PORT`, `unix:/path`, `unix:@name`, `fd:3`, `systemd` or `systemd:name`.
pub(crate) fn endpoint(text: &str) -> Parsed<Endpoint> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    let systemd = match text.strip_prefix("systemd") {
        Some("") => Some(None),
        Some(rest) => rest.strip_prefix(':').filter(|name| !name.is_empty()).map(Some),
        None => None,
    };
    if let Some(name) = systemd {
        only_on_unix("sockets are inherited")?;
        return Ok(Endpoint::Systemd(name.map(str::to_owned)));
    }
    if let Some(number) = text.strip_prefix("fd:") {
        only_on_unix("sockets are inherited")?;
        let is_number = number.bytes().all(|b| b.is_ascii_digit());
        let number = number.parse().ok().filter(|n| is_number && *n <= i32::MAX as u32);
        return number
            .map(Endpoint::Descriptor)
            .ok_or_else(|| "must be fd: and the number of a descriptor, such as fd:3".to_owned());
    }
    address(text).map(Endpoint::Ip)
}

/// `IP:PORT` or `localhost:PORT` alone.
pub(crate) fn ip_address(text: &str) -> Parsed<SocketAddr> {
    match endpoint(text) {
        Ok(Endpoint::Ip(address)) => Ok(address),
        _ => Err("must be IP:PORT, such as 127.0.0.1:6060 or [::1]:6060".to_owned()),
    }
}

fn unix(path: &str) -> Parsed<Endpoint> {
    only_on_unix("Unix sockets are listened on")?;
    if path.contains('\0') {
        return Err("must not contain a NUL".to_owned());
    }
    let is_abstract = path.starts_with('@');
    if is_abstract && !cfg!(any(target_os = "linux", target_os = "android")) {
        return Err("names with @ exist on Linux only; use a path".to_owned());
    }
    match path.strip_prefix('@').unwrap_or(path) {
        "" => Err("must be unix: and a path, such as unix:/run/wspoll.sock".to_owned()),
        // The @ stands for the NUL that abstract names begin with, which is counted too.
        _ if path.len() > MAX_UNIX_PATH => {
            let len = path.len();
            Err(format!(
                "is too long: {len} bytes, and a Unix socket's path has at most {MAX_UNIX_PATH}"
            ))
        }
        name if is_abstract => Ok(Endpoint::Abstract(name.to_owned())),
        path => Ok(Endpoint::Unix(path.into())),
    }
}

fn only_on_unix(what: &str) -> Parsed<()> {
    if cfg!(unix) { Ok(()) } else { Err(format!("{what} on Unix only, not on this system")) }
}

/// `IP:PORT`, or `localhost:PORT`, which the system's files resolve.
fn address(text: &str) -> Parsed<SocketAddr> {
    let hint = || {
        "must be IP:PORT, such as 127.0.0.1:8000 or [::]:8000, unix:/path, fd:NUMBER or systemd"
            .to_owned()
    };
    let found = match text.parse::<SocketAddr>() {
        Ok(address) => address,
        Err(_) => match text.rsplit_once(':') {
            Some((host, port)) if host == "localhost" && port.parse::<u16>().is_ok() => {
                text.to_socket_addrs().ok().and_then(|mut all| all.next()).ok_or_else(hint)?
            }
            _ => return Err(hint()),
        },
    };
    Ok(match found.ip().to_canonical() {
        // With its scope.
        IpAddr::V6(_) => found,
        ip => SocketAddr::new(ip, found.port()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_ip_addresses_with_a_port() {
        for (text, address) in [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("[::]:0", "[::]:0"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(endpoint(text), Ok(Endpoint::Ip(address)));
        }
        for wrong in ["8000", ":8000", "127.0.0.1", "::1:8000", "example.com:80", "", "unix"] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn unix_sockets_have_a_path_that_the_system_takes() {
        assert_eq!(endpoint("unix:/run/a.sock"), Ok(Endpoint::Unix("/run/a.sock".into())));
        assert_eq!(endpoint("unix:a.sock"), Ok(Endpoint::Unix("a.sock".into())));
        let longest = format!("unix:{}", "p".repeat(MAX_UNIX_PATH));
        assert!(endpoint(&longest).is_ok());
        assert!(endpoint(&format!("{longest}p")).expect_err("too long").contains("is too long"));
        for wrong in ["unix:", "unix:@", "unix:/a\0b"] {
            assert!(endpoint(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn inherited_sockets_are_numbers_or_systemds() {
        assert_eq!(endpoint("fd:3"), Ok(Endpoint::Descriptor(3)));
        assert_eq!(endpoint("systemd"), Ok(Endpoint::Systemd(None)));
        assert_eq!(endpoint("systemd:web"), Ok(Endpoint::Systemd(Some("web".to_owned()))));
        for wrong in ["fd:", "fd:-1", "fd:+3", "fd:2147483648", "systemd:", "systemdx"] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    #[cfg(windows)]
    fn what_only_unix_has_is_refused_and_said() {
        for wrong in ["unix:C:/wspoll.sock", "fd:3", "systemd"] {
            assert!(endpoint(wrong).expect_err("refused").contains("on Unix only"), "{wrong}");
        }
    }
}
