//! One peer: who it is, how it asked, and what waits for it.

pub(crate) mod ending;
pub(crate) mod id;
pub(crate) mod outbox;
pub(crate) mod peer;
pub(crate) mod pieces;
pub(crate) mod request;
pub(crate) mod trust;
