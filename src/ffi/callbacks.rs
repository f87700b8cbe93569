//! Callbacks: managed mode, in which the library's threads call the host.

use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::Arc;

use crate::connection::ending::{Close, Dropped};
use crate::connection::id::ConnId;
use crate::connection::request::{Request, Response, Upgrade};
use crate::protocol::message::{Fragment, Message};
use crate::shard::conn::Conn;
use crate::shard::handler::Handler;

use super::driving::during;
use super::event::{WSP_EVENT_DRAIN, WSP_EVENT_OPEN, WSP_EVENT_PONG, wsp_conn_id, wsp_event};
use super::guard::{Checked, Failure};
use super::request::wsp_request;
use super::response::{SWITCHING, wsp_response};
use super::server::wsp_server;

/// Is told of an event, on the thread of the connection's shard. `server` is the one that `wsp_server_start` returns,
/// perhaps before it has returned; it is not retained for the callee.
///
/// Calls for one connection, and for all connections of one shard, come one after the other; those for different shards
/// come at once. Must not block: every connection of the shard waits. Must not leave by `longjmp` or an exception. Every
/// `wsp_server_` call is allowed inside, and none of them makes another callback run before this one has returned.
pub type wsp_event_fn = Option<
    unsafe extern "C" fn(server: *mut wsp_server, event: *const wsp_event, user: *mut c_void),
>;

/// Is called first, or last, on the thread of a shard. While the first runs, the server is still starting, and calls
/// upon it return `WSP_STATUS_SHUT_DOWN`.
pub type wsp_thread_fn =
    Option<unsafe extern "C" fn(server: *mut wsp_server, shard: u32, user: *mut c_void)>;

/// Decides about an upgrade, on the thread of the connection's shard; the same rules as for `wsp_event_fn` hold. Origin
/// and handshake have been checked. `response` accepts (status 101) unless it is changed: reject by another status, or
/// `wsp_response_defer`. `request` and `response` are valid until the callback returns, `conn` is the connection to be.
pub type wsp_upgrade_fn = Option<
    unsafe extern "C" fn(
        server: *mut wsp_server,
        conn: wsp_conn_id,
        request: *const wsp_request,
        response: *mut wsp_response,
        user: *mut c_void,
    ),
>;

/// Answers a request that is no upgrade, on the thread of a shard; the same rules as for `wsp_event_fn` hold.
/// `response` is 426 unless it is changed.
pub type wsp_request_fn = Option<
    unsafe extern "C" fn(
        server: *mut wsp_server,
        request: *const wsp_request,
        response: *mut wsp_response,
        user: *mut c_void,
    ),
>;

/// What a host wants to be told of. Set `size` to `sizeof(wsp_callbacks)` and every other field to a function or null;
/// null means that the event does not interest. The library copies the table.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct wsp_callbacks {
    /// `sizeof(wsp_callbacks)`: how much of the table the host knows.
    pub size: usize,
    /// Is given to every callback; the library never follows it.
    pub user: *mut c_void,
    /// First on the thread of each shard.
    pub on_thread_start: wsp_thread_fn,
    /// Last on the thread of each shard, after the last event.
    pub on_thread_stop: wsp_thread_fn,
    /// A client asks for a connection. Without this callback valid upgrades are accepted.
    pub on_upgrade: wsp_upgrade_fn,
    /// A client asks for something else. Without this callback it gets 426.
    pub on_request: wsp_request_fn,
    /// `WSP_EVENT_OPEN`
    pub on_open: wsp_event_fn,
    /// `WSP_EVENT_MESSAGE`
    pub on_message: wsp_event_fn,
    /// `WSP_EVENT_FRAGMENT`
    pub on_fragment: wsp_event_fn,
    /// `WSP_EVENT_PONG`
    pub on_pong: wsp_event_fn,
    /// `WSP_EVENT_DRAIN`
    pub on_drain: wsp_event_fn,
    /// `WSP_EVENT_DROPPED`
    pub on_dropped: wsp_event_fn,
    /// `WSP_EVENT_CLOSE`; calls that name the connection return `WSP_STATUS_GONE` by now.
    pub on_close: wsp_event_fn,
}

/// Up to here the table was there in the first version of the ABI.
const LEAST_SIZE: usize = offset_of!(wsp_callbacks, on_close) + size_of::<wsp_event_fn>();

impl wsp_callbacks {
    /// The table that C gave; what it does not know is null.
    ///
    /// # Safety
    ///
    /// `table` is null or readable for as many bytes as its first field says.
    pub(super) unsafe fn read(table: *const wsp_callbacks) -> Checked<wsp_callbacks> {
        if table.is_null() {
            return Err(Failure::null("callbacks"));
        }
        // SAFETY: its first field is readable, by this function's contract.
        let size = unsafe { table.cast::<usize>().read() };
        if !(LEAST_SIZE..=4096).contains(&size) {
            let reason =
                format!("must be sizeof(wsp_callbacks), here {}", size_of::<wsp_callbacks>());
            return Err(Failure::argument("callbacks.size", size, reason));
        }
        let mut known = wsp_callbacks::NONE;
        let common = size.min(size_of::<wsp_callbacks>());
        // SAFETY: `common` bytes are readable there, by this function's contract, and writable here; every pattern of
        // them is a table, since all fields are integers, pointers and nullable functions.
        unsafe {
            std::ptr::copy_nonoverlapping(
                table.cast::<u8>(),
                (&raw mut known).cast::<u8>(),
                common,
            );
        }
        Ok(known)
    }

    const NONE: wsp_callbacks = wsp_callbacks {
        size: 0,
        user: std::ptr::null_mut(),
        on_thread_start: None,
        on_thread_stop: None,
        on_upgrade: None,
        on_request: None,
        on_open: None,
        on_message: None,
        on_fragment: None,
        on_pong: None,
        on_drain: None,
        on_dropped: None,
        on_close: None,
    };
}

/// The host as a handler.
pub(super) struct Host {
    /// Keeps the server's memory until the last thread has ended, whoever frees it when.
    pub(super) server: Arc<wsp_server>,
    pub(super) callbacks: wsp_callbacks,
}

// SAFETY: whoever gives the table promises that its functions may be called from any thread with its pointer.
unsafe impl Send for Host {}
// SAFETY: as above, from several at once.
unsafe impl Sync for Host {}

impl Host {
    fn server(&self) -> *mut wsp_server {
        Arc::as_ptr(&self.server).cast_mut()
    }

    /// The server, once `wsp_server_start` is done with it.
    #[inline]
    fn started(&self) -> *mut wsp_server {
        self.server.wait();
        self.server()
    }

    #[inline]
    fn tell(&self, conn: &mut Conn<'_>, callback: wsp_event_fn, event: &wsp_event) {
        let Some(callback) = callback else { return };
        let server = self.started();
        // SAFETY: may be called with this pointer, by the contract of `wsp_server_start`; server and event live until
        // it returns.
        during(server, conn.outlet(), || unsafe { callback(server, event, self.callbacks.user) });
    }

    pub(super) fn on_thread(&self, callback: wsp_thread_fn, shard: usize) {
        if let Some(callback) = callback {
            // SAFETY: as in `tell`.
            unsafe { callback(self.server(), shard as u32, self.callbacks.user) }
        }
    }
}

impl Handler for Host {
    fn on_upgrade(&self, conn: ConnId, request: &Request<'_>) -> Upgrade {
        let Some(callback) = self.callbacks.on_upgrade else { return Upgrade::accept() };
        let request = wsp_request::new(request);
        let mut response = wsp_response::new(SWITCHING);
        let (server, user) = (self.started(), self.callbacks.user);
        // SAFETY: as in `tell`; request and response live until it returns.
        unsafe { callback(server, conn.to_raw(), &request, &mut response, user) }
        response.into_upgrade()
    }

    fn on_request(&self, request: &Request<'_>) -> Response {
        let Some(callback) = self.callbacks.on_request else { return Response::upgrade_required() };
        let request = wsp_request::new(request);
        let mut response = wsp_response::new(UPGRADE_REQUIRED);
        let (server, user) = (self.started(), self.callbacks.user);
        // SAFETY: as in `on_upgrade`.
        unsafe { callback(server, &request, &mut response, user) }
        if response.is_untouched(UPGRADE_REQUIRED) {
            return Response::upgrade_required();
        }
        response.into_response()
    }

    fn on_open(&self, conn: &mut Conn<'_>) {
        let event = wsp_event::new(WSP_EVENT_OPEN, conn.id(), conn.data(), &[]);
        self.tell(conn, self.callbacks.on_open, &event);
    }

    #[inline]
    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        let (is_text, payload) = (message.is_text(), message.payload());
        let event = wsp_event::message(conn.id(), conn.data(), is_text, payload);
        self.tell(conn, self.callbacks.on_message, &event);
    }

    fn on_fragment(&self, conn: &mut Conn<'_>, fragment: Fragment<'_>) {
        let Fragment { payload, is_text, is_first, is_last } = fragment;
        let which = (is_text, is_first, is_last);
        let event = wsp_event::fragment(conn.id(), conn.data(), which, payload);
        self.tell(conn, self.callbacks.on_fragment, &event);
    }

    fn on_pong(&self, conn: &mut Conn<'_>, payload: &[u8]) {
        let event = wsp_event::new(WSP_EVENT_PONG, conn.id(), conn.data(), payload);
        self.tell(conn, self.callbacks.on_pong, &event);
    }

    fn on_drain(&self, conn: &mut Conn<'_>) {
        let event = wsp_event::new(WSP_EVENT_DRAIN, conn.id(), conn.data(), &[]);
        self.tell(conn, self.callbacks.on_drain, &event);
    }

    fn on_dropped(&self, conn: ConnId, dropped: Dropped) {
        let Some(callback) = self.callbacks.on_dropped else { return };
        let event = wsp_event::dropped(conn, dropped);
        // SAFETY: as in `tell`.
        unsafe { callback(self.started(), &event, self.callbacks.user) }
    }

    fn on_close(&self, conn: &mut Conn<'_>, close: &Close<'_>) {
        let event = wsp_event::close(conn.id(), conn.data(), close);
        self.tell(conn, self.callbacks.on_close, &event);
    }
}

/// RFC 9110 §15.5.22.
const UPGRADE_REQUIRED: u16 = 426;
