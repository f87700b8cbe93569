//! The byte stream below a connection.

use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};

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
        socket2::SockRef::from(&stream).set_nosigpipe(true)?;
        Ok(Transport::Tcp(stream))
    }

    /// Reads what is there. `Ok(0)` is the end of the stream.
    #[inline]
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => system::receive(stream, buffer),
        }
    }

    /// Sends as much of `bytes` as the system takes.
    #[inline]
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => system::send(stream, bytes),
        }
    }

    /// Sends as much of `slices`, in order, as the system takes.
    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => system::send_vectored(stream, slices),
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

/// The calls, straight to the kernel. The C library's make each a cancellation point of its threads, which is 2 % of an
/// echo at depth 1.
///
/// No send raises SIGPIPE, whatever the host has done about that signal.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::io::{self, IoSlice};
    use std::net::TcpStream;

    use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

    #[inline]
    pub(super) fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let (received, _) = rustix::net::recv(stream, buffer, RecvFlags::empty())?;
        Ok(received)
    }

    #[inline]
    pub(super) fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(stream, bytes, SendFlags::NOSIGNAL)?)
    }

    pub(super) fn send_vectored(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut nothing = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(stream, slices, &mut nothing, SendFlags::NOSIGNAL)?)
    }
}

/// The calls as the standard library makes them: its sends raise no SIGPIPE.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::io::{self, IoSlice, Read, Write};
    use std::net::TcpStream;

    pub(super) fn receive(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer)
    }

    pub(super) fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        stream.write(bytes)
    }

    pub(super) fn send_vectored(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // Not the standard library's `writev`, to which one cannot say that no signal is wanted.
        socket2::SockRef::from(stream).send_vectored_with_flags(slices, NO_SIGNAL)
    }

    #[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
    const NO_SIGNAL: i32 = 0x20000;
    #[cfg(target_os = "netbsd")]
    const NO_SIGNAL: i32 = 0x800;
    #[cfg(target_os = "openbsd")]
    const NO_SIGNAL: i32 = 0x400;
    /// Apple's systems have a socket option instead, Windows has no signals.
    #[cfg(not(any(
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd"
    )))]
    const NO_SIGNAL: i32 = 0;
}
