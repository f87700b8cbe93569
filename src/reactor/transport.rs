//! The byte stream below a connection.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};

use socket2::SockRef;

/// Flag of sends that must not raise SIGPIPE in a host that has not ignored it.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
))]
const SEND_FLAGS: i32 = 0x4000 * cfg!(any(target_os = "linux", target_os = "android")) as i32
    + 0x20000 * cfg!(target_os = "freebsd") as i32
    + 0x0800 * cfg!(target_os = "netbsd") as i32;
/// macOS knows no such flag; `TcpStream`s have `SO_NOSIGPIPE` there. Windows has no signals.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
)))]
const SEND_FLAGS: i32 = 0;

/// A connected, non-blocking stream.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
}

impl Transport {
    /// Takes over an accepted socket.
    pub(crate) fn tcp(stream: TcpStream) -> io::Result<Transport> {
        stream.set_nonblocking(true)?;
        // What is to leave together is put together by the outbox; Nagle's algorithm would only delay it.
        stream.set_nodelay(true)?;
        #[cfg(target_vendor = "apple")]
        SockRef::from(&stream).set_nosigpipe(true)?;
        Ok(Transport::Tcp(stream))
    }

    /// Reads what is there. `Ok(0)` is the end of the stream.
    #[inline]
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => {
                let mut stream = stream;
                stream.read(buffer)
            }
        }
    }

    /// Sends as much of `bytes` as the system takes.
    #[inline]
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => {
                let mut stream = stream;
                stream.write(bytes)
            }
        }
    }

    /// Sends as much of `slices`, in order, as the system takes.
    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => {
                SockRef::from(stream).send_vectored_with_flags(slices, SEND_FLAGS)
            }
        }
    }

    /// Ends our direction: the peer reads what was sent, and then the end.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Transport::Tcp(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for Transport {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        match self {
            Transport::Tcp(stream) => stream.as_raw_fd(),
        }
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Transport {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Transport::Tcp(stream) => stream.as_fd(),
        }
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsRawSocket for Transport {
    fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
        match self {
            Transport::Tcp(stream) => stream.as_raw_socket(),
        }
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for Transport {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        match self {
            Transport::Tcp(stream) => stream.as_socket(),
        }
    }
}
