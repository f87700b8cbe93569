//! Clients: connections to a server.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::group::Member;
use crate::client::{Client, ClientBuilder, Event};
use crate::error::Error;

use super::client_config::{Greeted, wsp_client_config};
use super::client_event::wsp_client_event;
use super::event::wsp_message_kind;
use super::guard::{
    Checked, Failure, Out, bytes, guard, handle, optional_text, silence_panics, text,
};
use super::send::message;
use super::status::wsp_status;

/// A client: one connection at a time to a server, kept alive, and made anew where its configuration says so.
///
/// Its events are received by `wsp_client_recv`; there are no callbacks. What is behind all clients of a process runs on
/// one thread of the library's, which starts with the first client and stays.
///
/// Every function may be called from any thread at any time, but `wsp_client_recv` by one thread at a time, because it ends
/// the life of the last event.
pub struct wsp_client {
    client: Client,
    /// What the last event points to.
    current: Mutex<Option<Received>>,
}

/// An event that C looks at.
pub(super) struct Received {
    pub(super) event: Event,
    /// An end in words.
    pub(super) words: CString,
}

/// When a wait that C asks for ends; `None` for never.
pub(super) fn deadline(timeout_ms: i32) -> Option<Instant> {
    Instant::now().checked_add(wait(timeout_ms))
}

/// Negative is for ever.
fn wait(timeout_ms: i32) -> Duration {
    u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis)
}

/// # Safety
///
/// `url` is null or ends with a NUL; `config` is null, or live and not changed by another thread.
unsafe fn builder(url: *const c_char, config: *const wsp_client_config) -> Checked<ClientBuilder> {
    // SAFETY: null or NUL-terminated, by this function's contract.
    let url = unsafe { text("url", url) }?;
    let default = wsp_client_config::default();
    // SAFETY: null or live, by this function's contract.
    let config = unsafe { config.as_ref() }.unwrap_or(&default);
    silence_panics();
    let greeting = config.greeting.clone();
    let mut builder = Client::builder(url).config(config.config.clone());
    if !greeting.is_empty() {
        builder = builder.on_connect(move |greet| {
            for message in &greeting {
                match message {
                    Greeted::Text(text) => greet.send(&**text),
                    Greeted::Binary(bytes) => greet.send(&**bytes),
                }
            }
        });
    }
    if let Some((group, token)) = &config.member {
        builder = builder.member(Member::new(&group.group, *token));
    }
    Ok(builder)
}

fn boxed(client: Client) -> *mut wsp_client {
    Box::into_raw(Box::new(wsp_client { client, current: Mutex::default() }))
}

/// Connects to `url`, `"ws://HOST[:PORT][/PATH][?QUERY]"` or on Unix `"unix:/path/of/socket[:/PATH]"`, and writes the
/// client to `*client`. Blocks until the handshake is done, at most for the configuration's connect timeout. `config` may
/// be null for defaults. The first event is `WSP_CLIENT_EVENT_CONNECTED`. `wsp_client_free` frees the client.
///
/// # Errors
///
/// Also of a client that reconnects, the first try decides; `wsp_client_start` goes on.
///
/// - `WSP_STATUS_IO`: the name has no address, or nobody listens there; the message tells which.
/// - `WSP_STATUS_TIMED_OUT`: the connect timeout is over; the message tells what was being done.
/// - `WSP_STATUS_REFUSED`: the server answered with another HTTP status than 101; the message tells it.
/// - `WSP_STATUS_BAD_HANDSHAKE`: the server does not speak WebSocket as it should.
/// - `WSP_STATUS_INVALID_ARGUMENT`: an argument is null, or the URL is none; `wss://` is none yet.
/// - `WSP_STATUS_INVALID_SETTING`: the configuration has a value that it cannot have.
///
/// # Safety
///
/// - `url` is null or ends with a NUL.
/// - `config` is null, or came from `wsp_client_config_new` and is not changed by another thread.
/// - `client` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_connect(
    url: *const c_char,
    config: *const wsp_client_config,
    client: *mut *mut wsp_client,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("client", client) }?;
        // SAFETY: by this function's contract.
        let builder = unsafe { builder(url, config) }?;
        out.set(boxed(builder.connect_blocking()?));
        Ok(())
    })
}

/// Begins to connect, as `wsp_client_connect` does, and returns at once. What comes of it are the client's first events.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`, `WSP_STATUS_INVALID_SETTING`: as `wsp_client_connect`.
/// - `WSP_STATUS_IO`: the system gives no thread.
///
/// # Safety
///
/// - As `wsp_client_connect`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_start(
    url: *const c_char,
    config: *const wsp_client_config,
    client: *mut *mut wsp_client,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("client", client) }?;
        // SAFETY: by this function's contract.
        let builder = unsafe { builder(url, config) }?;
        out.set(boxed(builder.start()?));
        Ok(())
    })
}

/// Frees a client. Null is ignored. One that has not ended closes with 1000 in the background: what was sent still leaves,
/// for at most the close timeout, unless the process ends first. To know that it has left, call `wsp_client_close` before.
///
/// # Safety
///
/// - `client` is null, or came from `wsp_client_connect` or `wsp_client_start` and is not used again by any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_free(client: *mut wsp_client) {
    if !client.is_null() {
        // SAFETY: was boxed by `boxed` and is not used again, by this function's contract.
        drop(unsafe { Box::from_raw(client) });
    }
}

/// Sends a message. Copies the payload. Waits while the outbox is full, for at most `timeout_ms`: 0 never waits, negative
/// waits for ever. Success means queued; with reconnecting that is possible also between connections.
///
/// # Errors
///
/// - `WSP_STATUS_BACKPRESSURE`: the outbox is full, and `timeout_ms` is 0.
/// - `WSP_STATUS_TIMED_OUT`: the outbox stayed full.
/// - `WSP_STATUS_GONE`: the client has ended or is closing.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `client` is null, `data` is null with `len > 0`, `kind` is unknown, text is not UTF-8, or
///   the message is larger than the outbox's bound.
///
/// # Safety
///
/// - `client` is null or live; `data` is null or readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_send(
    client: *const wsp_client,
    kind: wsp_message_kind,
    data: *const u8,
    len: usize,
    timeout_ms: i32,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let client = unsafe { handle("client", client) }?;
        // SAFETY: null or readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        let message = message(kind, payload)?;
        match timeout_ms {
            0 => client.client.try_send(message)?,
            _ => client.client.send_blocking(message, wait(timeout_ms))?,
        }
        Ok(())
    })
}

/// Sends a ping, after what waits, with a payload of at most 125 bytes. The answer is a `WSP_CLIENT_EVENT_PONG`. Never
/// waits.
///
/// # Errors
///
/// - `WSP_STATUS_BACKPRESSURE`: the outbox is full.
/// - `WSP_STATUS_GONE`: the client has ended or is closing.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `client` is null, `data` is null with `len > 0`, or the payload is too long.
///
/// # Safety
///
/// - As `wsp_client_send`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_ping(
    client: *const wsp_client,
    data: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let client = unsafe { handle("client", client) }?;
        // SAFETY: null or readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        Ok(client.client.ping(payload)?)
    })
}

/// Waits for the next event, for at most `timeout_ms` (0 never waits, negative waits for ever), and writes it to `*event`.
///
/// What the event points to is the library's and valid until the next call of this function for this client, or
/// `wsp_client_free`. A client from which nobody receives stops reading when its inbox is full.
///
/// # Errors
///
/// - `WSP_STATUS_TIMED_OUT`: nothing happened.
/// - `WSP_STATUS_GONE`: the client has ended, and all its events were received.
/// - `WSP_STATUS_WRONG_THREAD`: another thread is inside this function for this client.
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null.
///
/// # Safety
///
/// - `client` is null or live; `event` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_recv(
    client: *const wsp_client,
    timeout_ms: i32,
    event: *mut wsp_client_event,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let client = unsafe { handle("client", client) }?;
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("event", event) }?;
        let mut current = match client.current.try_lock() {
            Ok(current) => current,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(std::sync::TryLockError::WouldBlock) => {
                return Err(Failure::WrongThread("another thread is receiving"));
            }
        };
        let event = client.client.recv_blocking(wait(timeout_ms))?.ok_or(Error::Gone)?;
        out.set(wsp_client_event::of(current.insert(Received::new(event))));
        Ok(())
    })
}

/// Closes: what was sent leaves, then a close frame with `code` and `reason` (null for none), and the client ends when the
/// server has answered or the configuration's close timeout is over; a `WSP_CLIENT_EVENT_DISCONNECTED` tells how. Waits for
/// the end for at most `timeout_ms`: 0 never waits, negative waits for ever. From the call on nothing can be sent; what came
/// can still be received. Closing again changes nothing and waits for the same end.
///
/// # Errors
///
/// - `WSP_STATUS_TIMED_OUT`: the client has not ended yet. It is closing all the same. Not with `timeout_ms` 0.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `client` is null, the code must not be sent, or the reason is not UTF-8 or longer than 123
///   bytes.
///
/// # Safety
///
/// - `client` is null or live; `reason` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_close(
    client: *const wsp_client,
    code: u16,
    reason: *const c_char,
    timeout_ms: i32,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let client = unsafe { handle("client", client) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let reason = unsafe { optional_text("reason", reason) }?;
        client.client.start_close(code, reason.unwrap_or_default())?;
        let limit = wait(timeout_ms);
        if timeout_ms == 0 || client.client.wait_closed(limit) {
            return Ok(());
        }
        Err(crate::error::TimedOut::error("closing", limit).into())
    })
}

impl Received {
    fn new(event: Event) -> Received {
        let words = match &event {
            Event::Disconnected(end) => end.to_string().replace('\0', "\u{fffd}"),
            _ => String::new(),
        };
        Received { event, words: CString::new(words).unwrap_or_default() }
    }

    /// The words of an end, null for other events.
    pub(super) fn words(&self) -> *const c_char {
        match self.event {
            Event::Disconnected(_) => self.words.as_ptr(),
            _ => ptr::null(),
        }
    }
}
