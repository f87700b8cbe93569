//! Messages that are sent in pieces, as they become known.

use crate::connection::id::ConnId;
use crate::connection::pieces::Piece;
use crate::error::Result;
use crate::server::{MessageStream, ServerHandle};

use super::driving::act;
use super::event::{WSP_MESSAGE_BINARY, WSP_MESSAGE_TEXT, wsp_conn_id, wsp_message_kind};
use super::guard::{Checked, Failure, Out, bytes, guard, handle_mut};
use super::server::{open, wsp_server};
use super::status::wsp_status;

/// A message under way to one connection. Belongs to one thread at a time, and holds a reference to its server.
pub struct wsp_stream {
    server: *mut wsp_server,
    message: MessageStream,
}

/// Begins a message to one connection. Other messages to the connection wait until it ends, one in pieces is refused;
/// control frames do not wait. `wsp_stream_end` or `wsp_stream_free` frees `*stream`. May be called from any thread, also
/// inside a callback.
///
/// # Errors
///
/// - `WSP_STATUS_GONE`: no open connection has this id.
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or `kind` is not a `WSP_MESSAGE_*`.
/// - `WSP_STATUS_SHUT_DOWN`: the server is still starting.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks; `stream` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_stream_begin(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    kind: wsp_message_kind,
    stream: *mut *mut wsp_stream,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("stream", stream) }?;
        let is_text = match kind {
            WSP_MESSAGE_TEXT => true,
            WSP_MESSAGE_BINARY => false,
            _ => return Err(Failure::argument("kind", kind, "must be a WSP_MESSAGE_*")),
        };
        let message = running.handle.begin(ConnId::from_raw(conn), is_text)?;
        // SAFETY: live, by this function's contract.
        let server = unsafe { super::server::wsp_server_retain(server) };
        out.set(Box::into_raw(Box::new(wsp_stream { server, message })));
        Ok(())
    })
}

/// Queues the next piece of the message. Pieces of a text may be cut anywhere, also inside a character. One that was
/// refused may be tried again.
///
/// From another thread than the one that drives the shard, a piece for which the outbox has no room costs the
/// connection (1008), whatever `wsp_config_set_slow_consumer` says: a message cannot lack a piece.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, a text is not UTF-8 with this piece, or another message is being
///   sent in pieces to the connection.
/// - `WSP_STATUS_GONE`, `WSP_STATUS_BACKPRESSURE`, `WSP_STATUS_SHUT_DOWN`: as `wsp_server_send_text`.
///
/// # Safety
///
/// - `stream` is null, or came from `wsp_stream_begin` and is not used by another thread.
/// - `data` is readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_stream_write(
    stream: *mut wsp_stream,
    data: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live and this thread's, by this function's contract.
        let stream = unsafe { handle_mut("stream", stream) }?;
        // SAFETY: readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        let way = stream.way()?;
        Ok(stream.message.write_by(payload, way)?)
    })
}

/// Ends the message and frees the stream, also if that fails: then the connection is closed as by `wsp_stream_free`.
///
/// # Errors
///
/// - As `wsp_stream_write`.
///
/// # Safety
///
/// - `stream` is null, or came from `wsp_stream_begin` and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_stream_end(stream: *mut wsp_stream) -> wsp_status {
    guard(|| {
        if stream.is_null() {
            return Err(Failure::null("stream"));
        }
        // SAFETY: came from `wsp_stream_begin`, which boxed it, and is not used again, by this function's contract.
        let mut stream = unsafe { Box::from_raw(stream) };
        let way = stream.way()?;
        Ok(stream.message.end_by(way)?)
    })
}

/// Gives a message up. Null is ignored. If a piece of it was sent, the connection is closed with 1011: nothing else can
/// be said to a peer that waits for the rest.
///
/// # Safety
///
/// - `stream` is null, or came from `wsp_stream_begin` and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_stream_free(stream: *mut wsp_stream) {
    if !stream.is_null() {
        // SAFETY: came from `wsp_stream_begin`, which boxed it, and is not used again, by this function's contract.
        let stream = unsafe { Box::from_raw(stream) };
        super::guard::guard_value((), || drop(stream));
    }
}

impl wsp_stream {
    /// How a piece gets to the shard from this thread.
    fn way<'a>(
        &self,
    ) -> Checked<impl FnOnce(&ServerHandle, ConnId, Piece) -> Result<()> + use<'a>> {
        // SAFETY: the stream holds a reference.
        let (server, running) = unsafe { open::<'a>(self.server) }?;
        Ok(move |handle: &ServerHandle, conn: ConnId, piece: Piece| {
            match act(server, running, conn.shard(), |outlet| outlet.piece(conn, &piece)) {
                Some(result) => result,
                None => handle.piece(conn, piece),
            }
        })
    }
}

impl Drop for wsp_stream {
    fn drop(&mut self) {
        // SAFETY: the reference that the stream holds, which ends here.
        unsafe { super::server::wsp_server_free(self.server) }
    }
}
