//! Properties of the protocol layer. tungstenite and the standard library are the oracles.

mod frames;
mod oracle;
mod parts;
mod proxies;
mod requests;
mod script;

/// The settings of all properties: what fails becomes a test of its own, so no file of seeds is kept.
fn config() -> proptest::prelude::ProptestConfig {
    proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() }
}
