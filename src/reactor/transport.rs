//! The byte stream below a connection.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};

use socket2::Socket;

/// A connected, non-blocking stream: TCP, or a Unix socket. Both are sent to and received from by the same calls, so
/// nothing here asks which it is.
#[derive(Debug)]
pub(crate) struct Transport(Socket);

impl Transport {
    /// Takes over an accepted socket.
    pub(crate) fn new(socket: Socket, is_tcp: bool) -> io::Result<Transport> {
        socket.set_nonblocking(true)?;
        if is_tcp {
            // What is to leave together is put together by the outbox; Nagle's algorithm would only delay it.
            socket.set_tcp_nodelay(true)?;
        }
        #[cfg(target_vendor = "apple")]
        socket.set_nosigpipe(true)?;
        Ok(Transport(socket))
    }

    /// The address at the other end of the socket; `None` for a Unix socket.
    pub(crate) fn peer(&self) -> io::Result<Option<SocketAddr>> {
        Ok(self.0.peer_addr()?.as_socket())
    }

    /// Reads what is there. `Ok(0)` is the end of the stream.
    #[inline]
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        system::receive(&self.0, buffer)
    }

    /// Sends as much of `bytes` as the system takes.
    #[inline]
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        system::send(&self.0, bytes)
    }

    /// Sends as much of `slices`, in order, as the system takes.
    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        system::send_vectored(&self.0, slices)
    }

    /// Ends our direction: the peer reads what was sent, and then the end.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for Transport {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Transport {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsRawSocket for Transport {
    fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
        self.0.as_raw_socket()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for Transport {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

/// The calls, straight to the kernel. The C library's make each a cancellation point of its threads, which is 2 % of an
/// echo at depth 1.
///
/// No send raises SIGPIPE, whatever the host has done about that signal.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::io::{self, IoSlice};

    use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
    use socket2::Socket;

    #[inline]
    pub(super) fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let (received, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
        Ok(received)
    }

    #[inline]
    pub(super) fn send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?)
    }

    pub(super) fn send_vectored(socket: &Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut nothing = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(socket, slices, &mut nothing, SendFlags::NOSIGNAL)?)
    }
}

/// The calls as the C library makes them.
///
/// No send raises SIGPIPE here either.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::io::{self, IoSlice, Read};

    use socket2::Socket;

    pub(super) fn receive(mut socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        socket.read(buffer)
    }

    pub(super) fn send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        socket.send_with_flags(bytes, NO_SIGNAL)
    }

    pub(super) fn send_vectored(socket: &Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        socket.send_vectored_with_flags(slices, NO_SIGNAL)
    }

    /// Each system's MSG_NOSIGNAL.
    #[cfg(target_os = "freebsd")]
    const NO_SIGNAL: i32 = 0x20000;
    #[cfg(any(target_os = "dragonfly", target_os = "netbsd", target_os = "openbsd"))]
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
