//! A host that has enough of one connection for now: it is not read until the host wants more, and the peer's system
//! notices and stops sending.

use crate::connection::id::ConnId;
use crate::error::{Error, Result};
use crate::reactor::Interest;

use super::core::Core;
use super::event::Outlet;

impl Core {
    /// Stops or starts reading. What its outbox asks for ([`Core::flush`]) holds beside it.
    fn hold(&mut self, slot: u32, held: bool) {
        let limit = self.fleet.config.max_outbox_bytes;
        let Some(entry) = self.entries.get_mut(slot) else { return };
        entry.held = held;
        if !entry.is_open() {
            return;
        }
        let read = match held {
            true => false,
            // A full outbox starts reading again when it is half empty.
            false => entry.interest.read || entry.queued() <= limit / 2,
        };
        if read && !entry.interest.read {
            // Silence while we did not listen is not the peer's.
            entry.last_read = self.now;
        }
        let interest = Interest { read, ..entry.interest };
        self.set_interest(slot, interest);
        self.reschedule(slot);
    }
}

impl Outlet<'_> {
    /// Stops reading a connection of this shard, until [`resume`](Self::resume). What was read already still comes. No
    /// ping is sent and no pong missed meanwhile; that the peer has gone may be noticed only afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    pub fn pause(&mut self, conn: ConnId) -> Result<()> {
        self.hold(conn, true)
    }

    /// Reads a connection again.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    pub fn resume(&mut self, conn: ConnId) -> Result<()> {
        self.hold(conn, false)
    }

    fn hold(&mut self, conn: ConnId, held: bool) -> Result<()> {
        let slot = self.core.find(conn).ok_or(Error::Gone)?;
        self.core.hold(slot, held);
        Ok(())
    }
}
