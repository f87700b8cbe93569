//! A WebSocket server that C, Go and Rust programs embed.

pub mod config;
mod error;

pub use config::{Config, Origin, SlowConsumer};
pub use error::{Error, InvalidSetting, IoContext, Result};
