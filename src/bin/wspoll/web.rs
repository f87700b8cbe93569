//! What the command answers to requests that are no upgrade.

use std::borrow::Cow;

use wspoll::Response;

/// A page and what it may do.
pub(crate) fn page(page: impl Into<Cow<'static, str>>, policy: &'static str) -> Response {
    respond(200, "text/html; charset=utf-8", page)
        .header("Content-Security-Policy", policy)
        .header("Referrer-Policy", "no-referrer")
}

pub(crate) fn plain(status: u16, text: &'static str) -> Response {
    respond(status, "text/plain; charset=utf-8", text)
}

pub(crate) fn not_found() -> Response {
    plain(404, "nothing is here\n")
}

pub(crate) fn method_not_allowed() -> Response {
    plain(405, "only GET and HEAD\n").header("Allow", "GET, HEAD")
}

fn respond(
    status: u16,
    content_type: &'static str,
    body: impl Into<Cow<'static, str>>,
) -> Response {
    let body = match body.into() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    guarded(Response::new(status).header("Content-Type", content_type).body(body))
}

/// Has no cache keep the response, and no browser take it for anything but what it says it is.
pub(crate) fn guarded(response: Response) -> Response {
    response.header("X-Content-Type-Options", "nosniff").header("Cache-Control", "no-store")
}
