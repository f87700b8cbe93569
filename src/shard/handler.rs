//! What a host is told, and by which names.

use crate::connection::ending::{Close, Dropped};
use crate::connection::id::ConnId;
use crate::connection::request::{Request, Response, Upgrade};
use crate::protocol::message::{Fragment, Message};

use super::conn::Conn;

/// What a server does with its connections.
///
/// Every method is called on the thread of the shard that owns the connection, so calls for one connection come one
/// after the other, calls for two may come at once. A method that blocks holds up every connection of its shard. A
/// method that panics costs its connection (closed with 1011), not the server.
///
/// Whatever a method does to other connections, it causes no call before it returns: calls are queued, never nested.
pub trait Handler: Send + Sync + 'static {
    /// A client asks for a WebSocket connection. Origin and handshake have been checked.
    ///
    /// The id is that of the connection to be; it can be kept for [`Upgrade::later`].
    fn on_upgrade(&self, conn: ConnId, request: &Request<'_>) -> Upgrade {
        let _ = (conn, request);
        Upgrade::accept()
    }

    /// A client asks for something else. The default answer is 426.
    fn on_request(&self, request: &Request<'_>) -> Response {
        let _ = request;
        Response::upgrade_required()
    }

    /// The connection is open. Always the first call for it.
    fn on_open(&self, conn: &mut Conn<'_>) {
        let _ = conn;
    }

    /// The connection is open, by this request: a second look at it, so that nothing need be kept between
    /// [`on_upgrade`](Self::on_upgrade) and [`on_open`](Self::on_open). By default calls that.
    ///
    /// A connection whose upgrade the host answered itself ([`Adopted::upgraded`](crate::Adopted::upgraded)) has no
    /// request: then only `on_open` is called.
    fn on_open_by(&self, conn: &mut Conn<'_>, request: &Request<'_>) {
        let _ = request;
        self.on_open(conn);
    }

    /// A message came. It lies in the shard's read buffer and is gone when this returns.
    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        let _ = (conn, message);
    }

    /// A piece of a message came; only with [`Config::stream_fragments`](crate::Config::stream_fragments). Messages
    /// that come in one piece go to [`on_message`](Self::on_message) all the same.
    fn on_fragment(&self, conn: &mut Conn<'_>, fragment: Fragment<'_>) {
        let _ = (conn, fragment);
    }

    /// A pong came, asked for or not. Pings are answered without a call.
    fn on_pong(&self, conn: &mut Conn<'_>, payload: &[u8]) {
        let _ = (conn, payload);
    }

    /// The outbox, for whose fullness a message was refused or reading paused, is below half its bound again.
    fn on_drain(&self, conn: &mut Conn<'_>) {
        let _ = conn;
    }

    /// Messages that had been taken for the connection were dropped.
    fn on_dropped(&self, conn: ConnId, dropped: Dropped) {
        let _ = (conn, dropped);
    }

    /// The connection has ended. Always the last call for it; only its id, data and addresses are still there.
    fn on_close(&self, conn: &mut Conn<'_>, close: &Close<'_>) {
        let _ = (conn, close);
    }
}
