//! A socket and timers of smol's in the shape in which hyper wants them.
//!
//! Reads go by way of a small buffer: what hyper lends may be uninitialised, which safe code cannot read into.

use std::future::Future;
use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt;
use smol::io::{AsyncRead, AsyncWrite};
use smol::{Async, Timer};

/// How long a peer may take nothing of an answer before it is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The socket of one peer. A write that makes no progress for [`WRITE_TIMEOUT`] fails.
pub(super) struct Stream {
    socket: Async<TcpStream>,
    /// Runs while a write waits.
    stalled: Option<Timer>,
}

impl Stream {
    pub(super) fn new(socket: Async<TcpStream>) -> Stream {
        Stream { socket, stalled: None }
    }

    /// The socket itself, non-blocking.
    pub(super) fn into_inner(self) -> io::Result<TcpStream> {
        self.socket.into_inner()
    }
}

impl rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut chunk = [0; 8 * 1024];
        let most = buffer.remaining().min(chunk.len());
        let count = ready!(Pin::new(&mut self.socket).poll_read(cx, &mut chunk[..most]))?;
        buffer.put_slice(&chunk[..count]);
        Poll::Ready(Ok(()))
    }
}

impl rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.socket).poll_write(cx, bytes) {
            self.stalled = None;
            return Poll::Ready(written);
        }
        let timer = self.stalled.get_or_insert_with(|| Timer::after(WRITE_TIMEOUT));
        ready!(Pin::new(timer).poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

/// Timers for hyper, of async-io's.
#[derive(Clone, Copy)]
pub(super) struct Timers;

impl rt::Timer for Timers {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep(Timer::after(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep(Timer::at(deadline)))
    }
}

struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}

impl rt::Sleep for Sleep {}
