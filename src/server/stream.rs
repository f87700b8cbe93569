//! A message that is sent in pieces.

use crate::connection::id::ConnId;
use crate::connection::pieces::{Piece, Pieces};
use crate::error::Result;
use crate::protocol::close;

use super::handle::ServerHandle;

/// A message under way to one connection, from [`ServerHandle::begin`]. May be moved between threads.
///
/// Dropped before its [end](Self::end), it closes the connection with 1011, once something of it has been sent: nothing
/// else can be said to a peer that waits for the rest.
pub struct MessageStream {
    handle: ServerHandle,
    to: ConnId,
    pieces: Pieces,
}

impl MessageStream {
    pub(super) fn new(handle: ServerHandle, to: ConnId, is_text: bool) -> MessageStream {
        MessageStream { handle, to, pieces: Pieces::new(is_text) }
    }

    /// For whom it is.
    pub fn to(&self) -> ConnId {
        self.to
    }

    /// Queues the next piece. One that is refused may be tried again.
    ///
    /// A connection that does not take what is sent so is closed with 1008, whatever
    /// [`slow_consumer`](crate::Config::slow_consumer) says: a message cannot lack a piece.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): with what came before it is not UTF-8, in a text.
    /// - As [`ServerHandle::send`].
    pub fn write(&mut self, payload: &[u8]) -> Result<()> {
        self.write_by(payload, ServerHandle::piece)
    }

    /// Ends the message. If it is refused for want of room, it may be tried again.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn end(&mut self) -> Result<()> {
        self.end_by(ServerHandle::piece)
    }

    /// Like [`write`](Self::write), by another way to the shard.
    pub(crate) fn write_by(
        &mut self,
        payload: &[u8],
        send: impl FnOnce(&ServerHandle, ConnId, Piece) -> Result<()>,
    ) -> Result<()> {
        let (piece, sent) = self.pieces.piece(payload, false)?;
        send(&self.handle, self.to, piece)?;
        self.pieces.sent(sent);
        Ok(())
    }

    pub(crate) fn end_by(
        &mut self,
        send: impl FnOnce(&ServerHandle, ConnId, Piece) -> Result<()>,
    ) -> Result<()> {
        let (piece, _) = self.pieces.piece(b"", true)?;
        send(&self.handle, self.to, piece)?;
        // What follows would be another message.
        self.pieces = Pieces::new(false);
        Ok(())
    }
}

impl Drop for MessageStream {
    fn drop(&mut self) {
        if self.pieces.has_begun() {
            // A connection that has gone needs no closing.
            let _ = self.handle.close(self.to, close::INTERNAL_ERROR, "message not finished");
        }
    }
}
