//! For whom a push is, and how far it came.

use crate::connection::id::ConnId;

use super::answer::Answer;

/// For whom a push is: everybody, the members of a room, or a list of connections; less one, if so wished.
///
/// ```
/// # fn f(server: &wspoll::ServerHandle, sender: wspoll::ConnId) -> wspoll::Result<()> {
/// use wspoll::Target;
/// let receipt = server.push(Target::room("lobby").except(sender), "hello")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub(crate) to: To<'a>,
    pub(crate) except: Option<ConnId>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum To<'a> {
    All,
    Room(&'a str),
    Conns(&'a [ConnId]),
}

impl<'a> Target<'a> {
    /// Every open connection.
    pub fn all() -> Target<'a> {
        Target { to: To::All, except: None }
    }

    /// Everybody in a room, on all shards.
    pub fn room(name: &'a str) -> Target<'a> {
        Target { to: To::Room(name), except: None }
    }

    /// These connections.
    pub fn conns(ids: &'a [ConnId]) -> Target<'a> {
        Target { to: To::Conns(ids), except: None }
    }

    /// Less this connection, whether it would have been among them or not: most often the sender.
    pub fn except(mut self, id: ConnId) -> Target<'a> {
        self.except = Some(id);
        self
    }
}

/// How far a push came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pushed {
    /// Connections whose outbox took the message.
    pub delivered: u64,
    /// Connections whose outbox was full: [`slow_consumer`](crate::Config::slow_consumer) refused them the message, or
    /// closed them.
    pub dropped: u64,
    /// Of a list of ids, those that no open connection has; of a room, 1 if it has no members.
    pub unknown: u64,
}

/// The [`Answer`] to a push.
pub type Receipt = Answer<Pushed>;

/// What a push came to on one shard.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reached {
    pub(super) delivered: u64,
    pub(super) dropped: u64,
    /// Members of the room, or connections that the list names, the excepted one included.
    pub(super) met: u64,
}

/// What became of a message that was to be queued for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Queued,
    Dropped,
    /// The connection is not open (any more).
    Closed,
}

impl Pushed {
    /// Adds what it came to on one shard, which knew `known` of those that counted as unknown.
    pub(super) fn found(&mut self, reached: &Reached, known: u64) {
        self.delivered += reached.delivered;
        self.dropped += reached.dropped;
        self.unknown -= known;
    }
}

impl Reached {
    #[inline]
    pub(super) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Queued => self.delivered += 1,
            Outcome::Dropped => self.dropped += 1,
            Outcome::Closed => {}
        }
    }
}
