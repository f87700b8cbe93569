//! The admin listener, as the server starts it and as it acts upon the server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{Config, ip_address};
use crate::connection::id::ConnId;
use crate::control::{Admin, Host, Private};
use crate::error::{Error, Result};
use crate::protocol::message::Message;
use crate::shard::adopt::Adopted;
use crate::shard::handler::Handler;
use crate::shard::mailbox::Fleet;
use crate::shard::target::{Receipt, Target};

use super::{Builder, Server, ServerHandle};

/// Connections that the kernel holds until they are accepted: as many as there may be at a time.
const BACKLOG: i32 = 64;

/// What is bound and not yet served, if anything.
pub(super) type Bound = Option<TcpListener>;

/// Binds the address of the configuration, if there is one.
pub(super) fn bind(config: &Config) -> Result<Bound> {
    let Some(admin) = &config.admin else { return Ok(None) };
    let wrong = |reason| Error::setting("admin", admin, reason);
    let address = ip_address(admin).map_err(wrong)?;
    listen(address).map(Some).map_err(|e| Error::io(format!("listening on {admin} for admin"), e))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows the option means that others may take the port away.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The admin listener of a server, if it has one.
#[derive(Default)]
pub(super) struct AdminListener(Option<Admin>);

impl AdminListener {
    /// Serves on what [`bind`] made.
    pub(super) fn start(bound: Bound, handle: &ServerHandle) -> Result<AdminListener> {
        let start = |listener| Admin::start(listener, Arc::new(handle.clone()));
        bound.map(start).transpose().map(AdminListener)
    }

    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.0.as_ref().map(Admin::addr)
    }

    pub(super) fn stop(&self) {
        self.0.iter().for_each(Admin::stop);
    }
}

impl Host for ServerHandle {
    fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    fn is_draining(&self) -> bool {
        self.acceptor.is_stopped()
    }

    fn push(&self, target: Target<'_>, message: Message<'_>) -> Result<Receipt> {
        self.push(target, message)
    }

    fn close(&self, id: ConnId, code: u16, reason: &str) -> Result<()> {
        self.close(id, code, reason)
    }

    fn start_private(&self, config: Config, handler: Arc<dyn Handler>) -> Result<Box<dyn Private>> {
        let server = Builder::default().config(config).shared_handler(handler).start()?;
        Ok(Box::new(server))
    }
}

impl Private for Server {
    fn adopt(&self, adopted: Adopted) -> Result<()> {
        self.handle.adopt(adopted)
    }

    fn broadcast(&self, message: Message<'_>) -> Result<()> {
        self.handle.broadcast(message)
    }

    fn connections(&self) -> usize {
        self.handle.connections()
    }
}
