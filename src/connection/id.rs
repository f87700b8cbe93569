//! The name of a connection: which shard owns it, in which slot, and the how-manieth owner of that slot it is.

use std::fmt;
use std::num::NonZeroU64;

/// Bits of an id that say which shard.
const SHARD_BITS: u32 = 10;
/// Bits of an id that say which slot: four million connections a shard.
const SLOT_BITS: u32 = 22;
/// Slots that a shard can have.
pub(crate) const MAX_SLOTS: usize = 1 << SLOT_BITS;

const _: () = assert!(1 << SHARD_BITS == crate::config::MAX_SHARDS);

/// The name of a connection. Names are never used twice (until one slot has had four billion owners), so a name kept
/// too long meets [`Error::Gone`](crate::Error::Gone), never somebody else's connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(NonZeroU64);

impl ConnId {
    /// From its parts. `generation` is not 0, so that no id is.
    pub(crate) fn new(shard: usize, slot: u32, generation: u32) -> ConnId {
        let place = (shard as u64) << SLOT_BITS | u64::from(slot);
        let raw = u64::from(generation) << 32 | place;
        ConnId(NonZeroU64::new(raw).unwrap_or(NonZeroU64::MIN))
    }

    /// The number other languages know it by. Never 0.
    pub fn to_raw(self) -> u64 {
        self.0.get()
    }

    /// From the number that [`to_raw`](Self::to_raw) gave. 0 becomes an id that no connection has.
    pub fn from_raw(raw: u64) -> ConnId {
        ConnId(NonZeroU64::new(raw).unwrap_or(NonZeroU64::MIN))
    }

    /// The shard that owns the connection.
    pub fn shard(self) -> usize {
        (self.0.get() >> SLOT_BITS) as usize & ((1 << SHARD_BITS) - 1)
    }

    pub(crate) fn slot(self) -> u32 {
        self.0.get() as u32 & ((1 << SLOT_BITS) - 1)
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0.get() >> 32) as u32
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ConnId {
    /// `shard-slot-generation`, short enough for a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.shard(), self.slot(), self.generation())
    }
}

/// What the text of an id must be.
#[cfg(feature = "admin")]
pub(crate) const ID_EXPECTED: &str = "must be the number of a connection, or SHARD-SLOT-GENERATION";

#[cfg(feature = "admin")]
impl ConnId {
    /// Reads the number ([`to_raw`](ConnId::to_raw)), or what `Display` shows.
    pub(crate) fn parse(text: &str) -> Option<ConnId> {
        if let Ok(raw) = text.parse::<NonZeroU64>() {
            return Some(ConnId(raw));
        }
        let mut parts = text.split('-').map(|part| part.parse::<u32>().ok());
        let mut next = || parts.next().flatten();
        let (shard, slot, generation) = (next()? as usize, next()?, next()?);
        let fits = shard < 1 << SHARD_BITS && slot < 1 << SLOT_BITS && generation > 0;
        (fits && parts.next().is_none()).then(|| ConnId::new(shard, slot, generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "admin")]
    #[test]
    fn both_texts_of_an_id_are_read() {
        let id = ConnId::new(5, 77, 9);
        assert_eq!(ConnId::parse(&id.to_string()), Some(id));
        assert_eq!(ConnId::parse(&id.to_raw().to_string()), Some(id));
        for wrong in ["", "0", "-1", "5-77", "5-77-0", "5-77-9-1", "1024-0-1", "0-4194304-1", "a"] {
            assert_eq!(ConnId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn parts_come_back_from_the_number() {
        for (shard, slot, generation) in [(0, 0, 1), (1023, (1 << 22) - 1, u32::MAX), (5, 77, 9)] {
            let id = ConnId::from_raw(ConnId::new(shard, slot, generation).to_raw());
            assert_eq!((id.shard(), id.slot(), id.generation()), (shard, slot, generation));
        }
    }

    #[test]
    fn zero_is_nobody() {
        assert_eq!(ConnId::from_raw(0).generation(), 0);
        assert_eq!(size_of::<Option<ConnId>>(), 8);
    }
}
