//! The page at `/`.

use hyper::StatusCode;
use hyper::header::{HeaderValue, REFERRER_POLICY};

use super::reply::{self, Reply};

const PAGE: &str = include_str!("dashboard.html");

/// What the page may do: run the script and the style that stand in it, and talk to where it came from.
/// tests/dashboard.rs compares the hashes with the page and says what they must be.
const POLICY: &str = "default-src 'none'; \
    script-src 'sha256-XYRKWLwIEksAqPSSUdv6mjlYLeOp8V8u8A90AlLrHQI='; \
    style-src 'sha256-Nj3fFtgyCU5t4dxAQJJRo5mupI+ejpqJjZRQy1hrOxg='; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn page() -> Reply {
    let mut page = reply::body(StatusCode::OK, "text/html; charset=utf-8", PAGE);
    reply::policy(&mut page, POLICY);
    page.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    page
}
