//! What the behaviour tests share: a recording handler, clients of two kinds, deadlines, and a look at processes.
//!
//! Nothing here waits for a fixed time: a test blocks on a channel or a socket and gives up after [`PATIENCE`].

// Each test binary takes what it needs of this, and all of it is private to that binary.
#![allow(dead_code, unused_imports, unreachable_pub)]

pub mod admin;
#[cfg(feature = "cli")]
pub mod browser;
pub mod command;
pub mod counting;
pub mod deadline;
pub mod frame;
pub mod peer;
pub mod probe;
pub mod process;
pub mod tools;
pub mod wire;

pub use deadline::{PATIENCE, eventually};
pub use frame::Frame;
pub use peer::Peer;
pub use probe::{End, Events, Probe, Running, Seen};
pub use wire::Wire;
