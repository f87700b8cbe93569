//! In a build without the feature `admin`: no admin listener. [`Config::validate`] refuses one that is asked for.

use std::net::SocketAddr;

use crate::config::Config;
use crate::error::Result;

use super::ServerHandle;

/// Nothing.
pub(super) struct Bound;

pub(super) fn bind(_config: &Config) -> Result<Bound> {
    Ok(Bound)
}

/// No listener.
#[derive(Default)]
pub(super) struct AdminListener(());

impl AdminListener {
    pub(super) fn start(_bound: Bound, _handle: &ServerHandle) -> Result<AdminListener> {
        Ok(AdminListener(()))
    }

    pub(super) fn addr(&self) -> Option<SocketAddr> {
        None
    }

    pub(super) fn stop(&self) {}
}
