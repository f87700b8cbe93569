//! Streams to a server, and what is known of their liveliness.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use smol::io::{AsyncRead, AsyncWrite};
use smol::{Async, Timer, future};

use crate::error::{Error, Result, TimedOut};

use super::address::{Address, Place};

/// What carries the bytes.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// What is left of the time for making a connection.
#[derive(Clone, Copy)]
pub(super) struct TimeLimit {
    limit: Duration,
    end: Option<Instant>,
}

impl TimeLimit {
    /// From now on; zero is no limit.
    pub(super) fn new(limit: Duration) -> TimeLimit {
        let end = if limit.is_zero() { None } else { Instant::now().checked_add(limit) };
        TimeLimit { limit, end }
    }

    /// The part of what is left that each of `count` may take.
    fn share(self, count: usize) -> TimeLimit {
        let now = Instant::now();
        let share = |end: Instant| now + end.saturating_duration_since(now) / count.max(1) as u32;
        TimeLimit { end: self.end.map(share), ..self }
    }

    /// What `future` gives in time. `doing` names it in the error.
    pub(super) async fn hold<T>(
        self,
        doing: impl FnOnce() -> String,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(end) = self.end else { return future.await };
        let late = async {
            Timer::at(end).await;
            Err(TimedOut::error(doing(), self.limit))
        };
        future::or(future, late).await
    }
}

/// Opens a stream to an address.
pub(super) async fn open(address: &Address, time: TimeLimit) -> Result<Box<dyn Transport>> {
    let (name, port) = match &address.place {
        Place::Tcp(name, port) => (name, *port),
        #[cfg(unix)]
        Place::Unix(path) => {
            let doing = || format!("connecting to {}", path.display());
            let connect = Async::<std::os::unix::net::UnixStream>::connect(path);
            let stream = time.hold(doing, named(doing, connect)).await?;
            return Ok(Box::new(stream));
        }
        #[cfg(not(unix))]
        Place::Unix(_) => {
            return Err(Error::argument("url", &address.url, "is refused when it is read"));
        }
    };
    let addresses = match name.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => {
            let doing = || format!("looking up {name}");
            let resolve = named(doing, smol::net::resolve((name.as_str(), port)));
            time.hold(doing, resolve).await?
        }
    };
    let mut last = None;
    for (tried, address) in addresses.iter().enumerate() {
        let doing = || format!("connecting to {address}");
        let connect = named(doing, Async::<TcpStream>::connect(*address));
        // One that does not answer leaves time for the others.
        match time.share(addresses.len() - tried).hold(doing, connect).await {
            Ok(stream) => {
                // A message must not wait until the one before is acknowledged. Without it, it is only slower.
                let _ = stream.get_ref().set_nodelay(true);
                return Ok(Box::new(stream));
            }
            Err(e) => last = Some(e),
        }
    }
    let nothing = || {
        let none = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        Error::io(format!("looking up {name}"), none)
    };
    Err(last.unwrap_or_else(nothing))
}

async fn named<T>(
    doing: impl FnOnce() -> String,
    future: impl Future<Output = io::Result<T>>,
) -> Result<T> {
    future.await.map_err(|e| Error::io(doing(), e))
}

/// When bytes last came, and since when none leave.
pub(super) struct Meter {
    start: Instant,
    heard_ms: AtomicU64,
    /// One more than the milliseconds at which writing found no room; 0 while there is some.
    stuck_ms: AtomicU64,
    /// Nothing is read, so nothing can be heard.
    deaf: AtomicBool,
}

impl Meter {
    pub(super) fn new() -> Meter {
        Meter {
            start: Instant::now(),
            heard_ms: AtomicU64::new(0),
            stuck_ms: AtomicU64::new(0),
            deaf: AtomicBool::new(false),
        }
    }

    fn now_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    /// For how long nothing has come, as far as anybody has listened.
    pub(super) fn silence(&self) -> Duration {
        if self.deaf.load(Relaxed) {
            return Duration::ZERO;
        }
        Duration::from_millis(self.now_ms().saturating_sub(self.heard_ms.load(Relaxed)))
    }

    /// For how long bytes have been waiting of which none could leave.
    pub(super) fn stuck(&self) -> Option<Duration> {
        let since = self.stuck_ms.load(Relaxed).checked_sub(1)?;
        Some(Duration::from_millis(self.now_ms().saturating_sub(since)))
    }

    pub(super) fn stop_listening(&self) {
        self.deaf.store(true, Relaxed);
    }

    pub(super) fn listen_again(&self) {
        self.heard_ms.store(self.now_ms(), Relaxed);
        self.deaf.store(false, Relaxed);
    }

    fn read(&self, bytes: usize) {
        if bytes > 0 {
            self.heard_ms.store(self.now_ms(), Relaxed);
        }
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => {
                let now = self.now_ms() + 1;
                let _ = self.stuck_ms.compare_exchange(0, now, Relaxed, Relaxed);
            }
            Poll::Ready(_) => self.stuck_ms.store(0, Relaxed),
        }
    }
}

/// A stream that tells a [`Meter`] what goes through it.
pub(super) struct Metered {
    pub(super) inner: Box<dyn Transport>,
    pub(super) meter: Arc<Meter>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if let Poll::Ready(Ok(bytes)) = read {
            self.meter.read(bytes);
        }
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.meter.wrote(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
