//! Answers: JSON, text, and refusals that name field and value.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::error::Error;

pub(super) type Reply = Response<Full<Bytes>>;

pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    let mut text = value.to_string();
    // For people with a terminal.
    text.push('\n');
    body(status, "application/json", text)
}

pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    body(status, "text/plain; charset=utf-8", text)
}

pub(super) fn body(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// Sets what a browser may do with the answer.
pub(super) fn policy(reply: &mut Reply, policy: &'static str) {
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
}

/// Why a request is not answered as it would like.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// What was wrong, where it was one thing: `items[3].room`, and what it held.
    pub(super) field: Option<Box<(String, String)>>,
    pub(super) reason: String,
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// More of a value does not help who reads the error.
const SHOWN: usize = 100;

impl Refusal {
    pub(super) fn new(status: StatusCode, reason: impl Into<String>) -> Refusal {
        Refusal { status, field: None, reason: reason.into(), header: None }
    }

    /// 400 for a field of a request that cannot have the value it has.
    pub(super) fn field(
        field: impl Into<String>,
        value: impl Into<String>,
        reason: impl Into<String>,
    ) -> Refusal {
        let mut value = value.into();
        if let Some((end, _)) = value.char_indices().nth(SHOWN) {
            value.truncate(end);
            value.push('…');
        }
        let field = Some(Box::new((field.into(), value)));
        Refusal { field, ..Refusal::new(StatusCode::BAD_REQUEST, reason) }
    }

    pub(super) fn status(self, status: StatusCode) -> Refusal {
        Refusal { status, ..self }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Refusal {
        self.header = Some(Box::new((name, value)));
        self
    }

    pub(super) fn into_reply(self) -> Reply {
        let value = match self.field {
            None => json!({ "error": self.reason }),
            Some(wrong) => {
                let (field, value) = *wrong;
                json!({
                    "error": format!("{field} is {value:?}: {}", self.reason),
                    "field": field,
                    "value": value,
                    "reason": self.reason,
                })
            }
        };
        let mut reply = json(self.status, &value);
        if let Some((name, value)) = self.header.map(|header| *header) {
            reply.headers_mut().insert(name, value);
        }
        reply
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        match error {
            Error::Gone => Refusal::new(StatusCode::NOT_FOUND, error.to_string()),
            Error::Backpressure | Error::ShutDown => {
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
                    .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            Error::InvalidArgument(e) | Error::InvalidSetting(e) => {
                Refusal::field(e.field, e.value, e.reason)
            }
            _ => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}
