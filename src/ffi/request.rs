//! Requests: what a client asks for before it is connected.

use std::ffi::{CStr, c_char};
use std::ops::Range;
use std::ptr;

use crate::connection::peer::PeerAddr;
use crate::connection::request::Request;

use super::guard::{handle, text};

/// A request. Belongs to the library; valid until the callback that was given it returns, in hosted mode until the
/// shard's next turn. May be read by any thread as long as it is valid.
///
/// Strings are NUL-terminated, belong to the request and are as they came (neither decoded nor checked to be UTF-8).
pub struct wsp_request {
    /// Every string, each with a NUL behind it.
    strings: Vec<u8>,
    method: Place,
    path: Place,
    query: Option<Place>,
    host: Option<Place>,
    origin: Option<Place>,
    headers: Vec<(Place, Place)>,
    subprotocols: Vec<Place>,
    peer_ip: Place,
    peer_port: u16,
    socket_peer_ip: Place,
    socket_peer_port: u16,
}

/// Where a string begins and, without its NUL, ends.
type Place = Range<u32>;

impl wsp_request {
    pub(super) fn new(request: &Request<'_>) -> wsp_request {
        let mut strings = Vec::with_capacity(1024);
        let mut add = |text: &[u8]| {
            let begin = strings.len() as u32;
            strings.extend_from_slice(text);
            strings.push(0);
            begin..begin + text.len() as u32
        };
        let ip = |peer: PeerAddr| peer.ip().map(|ip| ip.to_string()).unwrap_or_default();
        let port = |peer: PeerAddr| peer.socket_addr().map_or(0, |addr| addr.port());
        let (peer, socket_peer) = (request.peer_addr(), request.socket_peer_addr());
        let method = add(request.method().as_bytes());
        let path = add(request.path().as_bytes());
        let query = request.query().map(|query| add(query.as_bytes()));
        let host = request.host().map(|host| add(host.as_bytes()));
        let origin = request.origin().map(|origin| add(origin.as_bytes()));
        let headers = request.headers().map(|(name, value)| (add(name.as_bytes()), add(value)));
        let headers = headers.collect();
        let subprotocols = request.subprotocols().map(|name| add(name.as_bytes())).collect();
        let peer_ip = add(ip(peer).as_bytes());
        let socket_peer_ip = add(ip(socket_peer).as_bytes());
        wsp_request {
            method,
            path,
            query,
            host,
            origin,
            headers,
            subprotocols,
            peer_ip,
            peer_port: port(peer),
            socket_peer_ip,
            socket_peer_port: port(socket_peer),
            strings,
        }
    }

    fn bytes(&self, place: &Place) -> &[u8] {
        &self.strings[place.start as usize..=place.end as usize]
    }

    fn string(&self, place: &Place) -> *const c_char {
        // With its NUL, so C may read that far.
        CStr::from_bytes_with_nul(self.bytes(place)).map_or(ptr::null(), CStr::as_ptr)
    }
}

/// # Safety
///
/// `request` is null or a request that is still valid.
unsafe fn read<T>(
    request: *const wsp_request,
    otherwise: T,
    get: impl FnOnce(&wsp_request) -> T,
) -> T {
    // SAFETY: by this function's contract.
    match unsafe { handle("request", request) } {
        Ok(request) => get(request),
        Err(_) => otherwise,
    }
}

/// The method: `"GET"` for every upgrade. Null if `request` is.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_method(request: *const wsp_request) -> *const c_char {
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), |request| request.string(&request.method)) }
}

/// The target's path, as sent (not percent-decoded); never empty.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_path(request: *const wsp_request) -> *const c_char {
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), |request| request.string(&request.path)) }
}

/// The target's query without its `?`, as sent; null if there is none.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_query(request: *const wsp_request) -> *const c_char {
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), |request| optional(request, &request.query)) }
}

/// Host and port that the request was made to; null if it does not say.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_host(request: *const wsp_request) -> *const c_char {
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), |request| optional(request, &request.host)) }
}

/// The origin of the page that asks; null where no browser does.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_origin(request: *const wsp_request) -> *const c_char {
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), |request| optional(request, &request.origin)) }
}

/// The value of the first header of this name, in any case; null if there is none.
///
/// # Safety
///
/// - `request` is null or still valid; `name` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_header(
    request: *const wsp_request,
    name: *const c_char,
) -> *const c_char {
    // SAFETY: null or NUL-terminated, by this function's contract.
    let Ok(name) = (unsafe { text("name", name) }) else { return ptr::null() };
    let find = |request: &wsp_request| {
        let is_it = |(header, _): &&(Place, Place)| {
            let header = &request.strings[header.start as usize..header.end as usize];
            header.eq_ignore_ascii_case(name.as_bytes())
        };
        request.headers.iter().find(is_it).map_or(ptr::null(), |(_, value)| request.string(value))
    };
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), find) }
}

/// How many headers there are.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_header_count(request: *const wsp_request) -> usize {
    // SAFETY: by this function's contract.
    unsafe { read(request, 0, |request| request.headers.len()) }
}

/// The name of a header, counted from 0 in the order in which they came; null beyond the last.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_header_name(
    request: *const wsp_request,
    index: usize,
) -> *const c_char {
    let find = |request: &wsp_request| {
        request.headers.get(index).map_or(ptr::null(), |(name, _)| request.string(name))
    };
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), find) }
}

/// The value of a header, counted as by `wsp_request_header_name`; null beyond the last.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_header_value(
    request: *const wsp_request,
    index: usize,
) -> *const c_char {
    let find = |request: &wsp_request| {
        request.headers.get(index).map_or(ptr::null(), |(_, value)| request.string(value))
    };
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), find) }
}

/// How many subprotocols the client offers.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_subprotocol_count(request: *const wsp_request) -> usize {
    // SAFETY: by this function's contract.
    unsafe { read(request, 0, |request| request.subprotocols.len()) }
}

/// A subprotocol that the client offers, counted from 0, most wanted first; null beyond the last.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_subprotocol(
    request: *const wsp_request,
    index: usize,
) -> *const c_char {
    let find = |request: &wsp_request| optional(request, &request.subprotocols.get(index).cloned());
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), find) }
}

/// The IP address of the client, as text: that at the other end of the connection, or the one that a trusted proxy names
/// (`wsp_config_add_trusted_proxy`). Empty for a Unix socket.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_peer_ip(request: *const wsp_request) -> *const c_char {
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), |request| request.string(&request.peer_ip)) }
}

/// The client's port; 0 for a Unix socket, and where a proxy does not tell it.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_peer_port(request: *const wsp_request) -> u16 {
    // SAFETY: by this function's contract.
    unsafe { read(request, 0, |request| request.peer_port) }
}

/// The IP address at the other end of the socket, as text: the proxy's, if the request came through one. Empty for a Unix
/// socket.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_socket_peer_ip(request: *const wsp_request) -> *const c_char {
    // SAFETY: by this function's contract.
    unsafe { read(request, ptr::null(), |request| request.string(&request.socket_peer_ip)) }
}

/// The port at the other end of the socket; 0 for a Unix socket.
///
/// # Safety
///
/// - `request` is null or still valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_request_socket_peer_port(request: *const wsp_request) -> u16 {
    // SAFETY: by this function's contract.
    unsafe { read(request, 0, |request| request.socket_peer_port) }
}

fn optional(request: &wsp_request, place: &Option<Place>) -> *const c_char {
    place.as_ref().map_or(ptr::null(), |place| request.string(place))
}
