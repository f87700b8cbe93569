//! A well-behaved client: async-tungstenite on smol, driven from the test's thread.

use std::net::SocketAddr;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::client::IntoClientRequest;
use async_tungstenite::tungstenite::handshake::client::Response;
use async_tungstenite::tungstenite::{Error, Message};
use smol::Timer;
use smol::future::{self, FutureExt};
use smol::net::TcpStream;

use super::PATIENCE;

pub struct Peer {
    socket: WebSocketStream<TcpStream>,
}

impl Peer {
    pub fn open(addr: SocketAddr) -> Peer {
        Peer::open_path(addr, "/").expect("the handshake").0
    }

    pub fn open_path(addr: SocketAddr, path: &str) -> Result<(Peer, Response), Error> {
        Peer::open_request(addr, format!("ws://{addr}{path}"))
    }

    pub fn open_request(
        addr: SocketAddr,
        request: impl IntoClientRequest + Unpin,
    ) -> Result<(Peer, Response), Error> {
        within(async move {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            let (socket, response) = async_tungstenite::client_async(request, stream).await?;
            Ok((Peer { socket }, response))
        })
    }

    pub fn send(&mut self, message: impl Into<Message>) {
        within(self.socket.send(message.into())).expect("sending");
    }

    /// Queues without flushing: what follows leaves together.
    pub fn send_all(&mut self, messages: impl IntoIterator<Item = Message>) {
        within(async {
            for message in messages {
                self.socket.send(message).await.expect("sending");
            }
        });
    }

    /// The next frame, pings included, or why there is none.
    pub fn next(&mut self) -> Result<Message, Error> {
        use futures_lite_next::next;
        within(next(&mut self.socket))
    }

    /// The next text.
    pub fn text(&mut self) -> String {
        loop {
            match self.next().expect("a text") {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("a text, not {other:?}"),
            }
        }
    }

    pub fn echo(&mut self, text: &str) {
        self.send(text);
        assert_eq!(self.text(), text);
    }

    /// Closes, and reads to the end of the connection.
    pub fn close(mut self) {
        within(self.socket.close(None)).expect("closing");
        while self.next().is_ok() {}
    }
}

mod futures_lite_next {
    use super::{Error, Message, TcpStream, WebSocketStream};
    use smol::stream::StreamExt;

    pub async fn next(socket: &mut WebSocketStream<TcpStream>) -> Result<Message, Error> {
        socket.next().await.unwrap_or(Err(Error::ConnectionClosed))
    }
}

/// Runs a future to its end, for [`PATIENCE`] at most.
pub fn within<T>(future: impl Future<Output = T>) -> T {
    future::block_on(future.or(async {
        Timer::after(PATIENCE).await;
        panic!("not done after {PATIENCE:?}")
    }))
}
