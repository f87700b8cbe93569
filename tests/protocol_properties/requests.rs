//! Opening handshakes, with tungstenite as the client.

use std::io::{self, Cursor, Read, Write};

use async_tungstenite::tungstenite::client::{IntoClientRequest, client};
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::http::HeaderValue;
use data_encoding::BASE64;
use proptest::collection::vec;
use proptest::prelude::{Just, any};
use proptest::sample::Index;
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use wspoll::protocol::{handshake, http};

use crate::config;

/// A server that answers the request written to it with the protocol layer's functions.
struct Server {
    supported: Vec<String>,
    request: Vec<u8>,
    answer: Option<Cursor<Vec<u8>>>,
}

impl Server {
    fn answer(&self) -> Vec<u8> {
        let head = http::parse_head(&self.request, 8192).expect("valid").expect("whole");
        assert_eq!(head.len, self.request.len());
        assert!(handshake::wants_upgrade(&head));
        let key = handshake::check_upgrade(&head).expect("valid");
        let offered = handshake::offered_subprotocols(&head).expect("tokens");
        let chosen = handshake::choose_subprotocol(offered, &self.supported);
        let chosen = chosen.map(|at| self.supported[at].as_str());
        let mut out = Vec::new();
        handshake::encode_accept(&mut out, &key, chosen, [("Set-Cookie", "a=1")].into_iter());
        out
    }
}

impl Write for Server {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.request.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Server {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut answer = self.answer.take().unwrap_or_else(|| Cursor::new(self.answer()));
        let len = answer.read(buffer);
        self.answer = Some(answer);
        len
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_client_is_accepted_and_gets_the_servers_choice(
        offered in vec("[a-c]", 1..4),
        supported in vec("[a-e]", 0..4),
    ) {
        let expected = supported.iter().find(|name| offered.contains(name)).cloned();
        let mut request = "ws://example.com/chat?a=b".into_client_request().expect("valid");
        let value = HeaderValue::from_str(&offered.join(", ")).expect("valid");
        request.headers_mut().insert("Sec-WebSocket-Protocol", value);
        let server = Server { supported, request: Vec::new(), answer: None };
        match client(request, server) {
            Ok((_, response)) => {
                let chosen = response.headers().get("Sec-WebSocket-Protocol");
                prop_assert_eq!(chosen.map(HeaderValue::as_bytes), expected.as_deref().map(str::as_bytes));
                prop_assert_eq!(&response.headers()["Set-Cookie"], "a=1");
            }
            // The client gives up when it offered something and got nothing.
            Err(error) => prop_assert!(expected.is_none(), "{error}"),
        }
    }

    #[test]
    fn accept_keys_are_those_of_the_oracle(key in any::<[u8; 16]>()) {
        let text = BASE64.encode(&key);
        let key = handshake::Key::parse(text.as_bytes()).expect("16 bytes");
        let expected = derive_accept_key(text.as_bytes());
        prop_assert_eq!(&handshake::accept_key(&key)[..], expected.as_bytes());
    }

    #[test]
    fn a_request_is_judged_alike_at_every_length(
        lines in vec("(Host|Upgrade|Connection|Content-Length|X-[a-z]{0,9})[ ]?:[ -~\t]{0,20}", 0..5),
        mutations in vec((any::<Index>(), any::<u8>()), 0..3),
        version in "HTTP/(1\\.1|1\\.0|[0-9]\\.[0-9])",
        limit in prop_oneof![9 => Just(8192_usize), 1 => 0..200_usize],
    ) {
        let mut bytes = format!("GET /chat HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", lines.join("\r\n"))
            .replacen("HTTP/1.1", &version, 1)
            .into_bytes();
        for (at, byte) in mutations {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let judge = |end: usize| {
            http::parse_head(&bytes[..end], limit)
                .map(|head| head.map(|head| head.len))
                .map_err(|error| error.status())
        };
        let whole = judge(bytes.len());
        let mut verdict = Ok(None);
        for end in 0..=bytes.len() {
            let part = judge(end);
            prop_assert!(verdict == Ok(None) || part == verdict, "at {end}: {verdict:?}, {part:?}");
            verdict = part;
        }
        prop_assert_eq!(verdict, whole);
    }

    #[test]
    fn a_request_of_random_bytes_never_panics(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(Some(head)) = http::parse_head(&bytes, 8192) {
            let _ = (handshake::wants_upgrade(&head), handshake::check_upgrade(&head));
        }
    }
}
