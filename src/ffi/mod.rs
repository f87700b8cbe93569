//! The C ABI: the only symbols that a library built from this crate exports.
//!
//! `include/wspoll.h` is made from the files here by `tests/ffi_header`, so their documentation is written for C
//! programmers. Conventions are told on the header's first page (`cbindgen.toml`).
//!
//! # Invariants
//!
//! - No panic leaves: every exported function that can fail runs inside [`guard::guard`].
//! - What C gave is checked before it is believed: nulls, lengths, integers that stand for choices, UTF-8.
//! - Outputs are written only on success, unless a function says otherwise.
//! - A shard's state is touched only by the thread that drives it (`driving.rs`).

// The names are C's. What is exported is public here, though no Rust path leads to it.
#![allow(non_camel_case_types, unsafe_code, unreachable_pub)]

mod admin;
mod adopt;
mod callbacks;
mod client;
mod client_config;
mod client_event;
mod client_group;
mod config;
mod conn;
mod driving;
mod event;
mod guard;
mod hosted;
mod listening;
mod log;
mod poller;
mod push;
mod reading;
mod request;
mod response;
mod send;
mod server;
mod stats;
mod status;
mod stream;
mod version;
