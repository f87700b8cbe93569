//! RFC 6455 without sockets and without a clock: bytes in, messages out, and the other way round.
//!
//! Server side only: what is read is masked, what is written is not (§5.1).

pub mod close;
pub mod forwarded;
pub mod frame;
pub mod handshake;
pub mod http;
pub mod mask;
pub mod message;
pub mod owned;
pub mod proxy;
pub mod utf8;
