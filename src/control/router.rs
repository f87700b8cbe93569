//! Which request gets which answer.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use smol::{Timer, future};

use super::feed::Feed;
use super::listener::Desk;
use super::reply::{self, Refusal, Reply};
use super::{Host, dashboard, gate, listing, memory, metrics, profile, push};

/// From the head of a request to the end of its body.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Holds ten thousand messages of some hundred bytes; at most this much is kept for each of the connections.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// What all requests share.
pub(super) struct State {
    pub(super) host: Arc<dyn Host>,
    pub(super) feed: Feed,
    /// Only one profile is taken at a time: they share the process's profiling timer.
    pub(super) profiling: Cell<bool>,
}

impl State {
    pub(super) fn new(host: Arc<dyn Host>) -> State {
        let feed = Feed::new(Arc::clone(&host));
        State { host, feed, profiling: Cell::new(false) }
    }
}

/// What is asked for.
enum Route<'p> {
    Page,
    Alive,
    Ready,
    Metrics,
    Connections,
    Connection(&'p str),
    Rooms,
    Push(push::Kind),
    Memory,
    Profile,
    Feed,
}

impl Route<'_> {
    fn of(path: &str) -> Option<Route<'_>> {
        Some(match path {
            "/" => Route::Page,
            "/healthz" => Route::Alive,
            "/readyz" => Route::Ready,
            "/metrics" => Route::Metrics,
            "/connections" => Route::Connections,
            "/rooms" => Route::Rooms,
            "/push/all" => Route::Push(push::Kind::All),
            "/push/room" => Route::Push(push::Kind::Room),
            "/push/conn" => Route::Push(push::Kind::Conn),
            "/debug/memory" => Route::Memory,
            "/debug/profile" => Route::Profile,
            "/feed" => Route::Feed,
            _ => Route::Connection(path.strip_prefix("/connections/")?),
        })
    }

    /// Whether it says nothing that is not for everybody: the page without what it shows, and what a probe asks.
    fn is_public(&self) -> bool {
        matches!(self, Route::Page | Route::Alive | Route::Ready)
    }

    fn methods(&self) -> &'static [Method] {
        match self {
            Route::Push(_) => &[Method::POST],
            Route::Connection(_) => &[Method::DELETE],
            Route::Feed => &[Method::GET],
            _ => &[Method::GET, Method::HEAD],
        }
    }
}

/// Answers one request.
pub(super) async fn answer(state: &State, desk: &Desk, request: Request<Incoming>) -> Reply {
    let answered = route(state, desk, request).await;
    desk.busy.set(false);
    answered.unwrap_or_else(Refusal::into_reply)
}

async fn route(state: &State, desk: &Desk, request: Request<Incoming>) -> Result<Reply, Refusal> {
    let token = &state.host.fleet().config.admin_token;
    let (head, body) = request.into_parts();
    let route = Route::of(head.uri.path());
    let is_public = route.as_ref().is_some_and(Route::is_public);
    gate::check_site(&head.headers, token.is_set(), is_public)?;
    if !is_public {
        gate::check_token(&head.headers, token)?;
    }
    let Some(route) = route else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "nothing is here"));
    };
    desk.busy.set(!is_public);
    check_method(&head, route.methods())?;
    let query = head.uri.query().unwrap_or_default();
    match route {
        Route::Page => Ok(dashboard::page()),
        Route::Alive => Ok(reply::text(StatusCode::OK, "ok\n")),
        Route::Ready if state.host.is_draining() => {
            Ok(reply::text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"))
        }
        Route::Ready => Ok(reply::text(StatusCode::OK, "ready\n")),
        Route::Metrics => Ok(metrics::reply(state)),
        Route::Connections => listing::connections(state, query).await,
        Route::Connection(id) => listing::close(state, id, query),
        Route::Rooms => listing::rooms(state, query).await,
        Route::Push(kind) => push::push(state, kind, &head.headers, read(body).await?).await,
        Route::Memory => Ok(memory::reply(state)),
        Route::Profile => profile::take(state, query).await,
        Route::Feed => state.feed.upgrade(desk, Request::from_parts(head, body)),
    }
}

fn check_method(head: &Parts, allowed: &[Method]) -> Result<(), Refusal> {
    if allowed.contains(&head.method) {
        return Ok(());
    }
    let names = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("only {names}"));
    // Names of methods are tokens, so this cannot fail.
    let value = HeaderValue::from_str(&names).unwrap_or(HeaderValue::from_static("GET"));
    Err(refusal.header(header::ALLOW, value))
}

/// Reads a body that has an end.
async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    let too_large = || {
        let reason = format!("the body must be at most {MAX_BODY_BYTES} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
    };
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    let reading = async {
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
        body.map(|body| body.to_bytes()).map_err(|e| match e.downcast_ref::<LengthLimitError>() {
            Some(_) => too_large(),
            None => Refusal::new(StatusCode::BAD_REQUEST, format!("reading the body: {e}")),
        })
    };
    let late = async {
        Timer::after(BODY_TIMEOUT).await;
        let reason = format!("the body must be here within {BODY_TIMEOUT:?}");
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, reason))
    };
    future::or(reading, late).await
}

/// The parameters of a query, each of which must be one of `known` and stand there once.
pub(super) fn parameters<const N: usize>(
    query: &str,
    known: [&str; N],
) -> Result<[Option<String>; N], Refusal> {
    let mut values = [const { None }; N];
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(at) = known.iter().position(|known| *known == name) else {
            let reason = format!("there is no such parameter, only {}", known.join(", "));
            return Err(Refusal::field(name, value, reason));
        };
        if values[at].is_some() {
            return Err(Refusal::field(name, value, "must stand once"));
        }
        values[at] = Some(value.into_owned());
    }
    Ok(values)
}
