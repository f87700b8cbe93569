//! Unit tests of request heads.

use super::{Head, HttpError, MAX_HEADERS, parse_head};

const LIMIT: usize = 8192;

fn parse(text: &str) -> Result<Option<Head<'_>>, HttpError> {
    parse_head(text.as_bytes(), LIMIT)
}

fn head(text: &str) -> Head<'_> {
    parse(text).unwrap().unwrap()
}

/// The status of the refusal; 0 stands for "accepted", 1 for "needs more".
fn status(text: &str) -> u16 {
    match parse(text) {
        Ok(Some(_)) => 0,
        Ok(None) => 1,
        Err(error) => error.status(),
    }
}

/// A request with these lines after a valid request line and Host.
fn status_with(lines: &str) -> u16 {
    status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

#[test]
fn a_head_is_complete_at_its_empty_line() {
    let text = "GET /chat?room=1&x=?y HTTP/1.1\r\nHost: example.com:8000\r\nX-Empty:\r\n\r\nbody";
    let full = text.len() - "body".len();
    for end in 0..full {
        assert!(parse(&text[..end]).unwrap().is_none(), "{end}");
    }
    let head = head(text);
    assert_eq!((head.method, head.version, head.len), ("GET", 1, full));
    assert_eq!((head.path(), head.query()), ("/chat", Some("room=1&x=?y")));
    assert_eq!((head.host(), head.has_body()), (Some("example.com:8000"), false));
    assert_eq!(head.get("x-empty"), Some(""));
    assert_eq!(head.get("X-Missing"), None);
    assert_eq!(head.headers().len(), 2);
}

#[test]
fn lists_join_lines_and_skip_empty_elements() {
    let text =
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: , keep-alive,,\r\nconnection:\tUPGRADE ,\r\n\r\n";
    let head = head(text);
    let elements: Vec<&[u8]> = head.tokens("Connection").collect();
    assert_eq!(elements, [&b"keep-alive"[..], b"UPGRADE"]);
    assert!(head.has_token("Connection", "upgrade"));
    assert!(!head.has_token("Connection", "keep"));
    assert_eq!(head.all("CONNECTION").count(), 2);
}

#[test]
fn what_is_not_http_fails_at_once() {
    assert!(parse_head(&[0x16, 0x03, 0x01], LIMIT).is_err());
    assert!(parse_head(&[0x16], LIMIT).is_err());
    assert!(parse_head(&[0xff, 0xfe], LIMIT).is_err());
    assert_eq!(status("G(T"), 400);
    assert_eq!(status("GET / FTP"), 400);
    assert_eq!(status("GET /\r\n"), 400);
    assert_eq!(status("GET  / HTTP/1.1\r\n\r\n"), 400);
}

#[test]
fn other_versions_of_http_are_505() {
    assert_eq!(status("GET / HTTP/2.0\r\n"), 505);
    assert_eq!(status("PRI * HTTP/2"), 505);
    assert_eq!(status("GET / HTTP/1.2\r\n"), 505);
    assert_eq!(status("GET / HTTP/0.9\r\n"), 505);
    assert_eq!(status("GET / HTTP/x.1\r\n"), 400);
    assert_eq!(status("GET / HTTP/1,1\r\n"), 400);
}

#[test]
fn sloppy_header_lines_are_refused() {
    assert_eq!(status_with("A: 1\r\n folded\r\n"), 400);
    assert_eq!(status_with(" A: 1\r\n"), 400);
    assert_eq!(status_with("A : 1\r\n"), 400);
    assert_eq!(status_with("A: x\ry\r\n"), 400);
    assert_eq!(status_with("A: x\0y\r\n"), 400);
    assert_eq!(status_with("A: x\x7fy\r\n"), 400);
    assert_eq!(status_with("A\r\n"), 400);
    assert_eq!(status_with(": x\r\n"), 400);
    assert_eq!(status_with("A: x\ty é\r\n"), 0);
}

#[test]
fn http_1_1_needs_exactly_one_valid_host() {
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 0);
    assert_eq!(status_with("Host: a\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
    for good in ["a", "a.b-c_d:80", "127.0.0.1:8000", "[::1]:8000", "[::ffff:1.2.3.4]", "a:"] {
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: {good}\r\n\r\n")), 0, "{good}");
    }
    for bad in
        ["", "a b", "a/b", "u@a", ":80", "a:b", "a:123456", "[::1", "[]", "[::1]x", "é", "::1"]
    {
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: {bad}\r\n\r\n")), 400, "{bad}");
    }
}

#[test]
fn targets_come_in_four_forms() {
    let parts = |line: &'static str| {
        let text = format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
        let head = parse(&text).ok().flatten()?;
        let own = |text: Option<&str>| text.map(str::to_owned);
        Some((head.path().to_owned(), own(head.query()), own(head.host())))
    };
    let expect = |path: &str, query: Option<&str>, host: &str| {
        Some((path.to_owned(), query.map(str::to_owned), Some(host.to_owned())))
    };
    assert_eq!(parts("GET /a/b"), expect("/a/b", None, "h"));
    assert_eq!(parts("GET /?"), expect("/", Some(""), "h"));
    assert_eq!(parts("GET http://x:81/a?b"), expect("/a", Some("b"), "x:81"));
    assert_eq!(parts("GET WSS://x?b"), expect("/", Some("b"), "x"));
    assert_eq!(parts("GET ws://x"), expect("/", None, "x"));
    assert_eq!(parts("OPTIONS *"), expect("*", None, "h"));
    assert_eq!(parts("CONNECT x:80"), expect("x:80", None, "h"));
    for bad in
        ["GET *", "GET x:80", "GET a/b", "GET ftp://x/", "GET http:///a", "GET /a#b", "GET /é"]
    {
        assert_eq!(parts(bad), None, "{bad}");
    }
}

#[test]
fn unclear_body_lengths_are_refused() {
    let has_body = |lines: &str| {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        head(&text).has_body()
    };
    assert!(!has_body("Content-Length: 0\r\n"));
    assert!(has_body("Content-Length: 10\r\n"));
    assert!(has_body("Transfer-Encoding: chunked\r\n"));
    assert_eq!(status_with("Content-Length: 1\r\nContent-Length: 1\r\n"), 400);
    assert_eq!(status_with("Content-Length: 1, 1\r\n"), 400);
    assert_eq!(status_with("Content-Length: -1\r\n"), 400);
    assert_eq!(status_with("Content-Length:\r\n"), 400);
    assert_eq!(status_with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

#[test]
fn the_limit_is_exact() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(parse_head(text.as_bytes(), text.len()).unwrap().is_some());
    let shorter = text.len() - 1;
    assert_eq!(parse_head(text.as_bytes(), shorter).unwrap_err(), HttpError::HeadTooLong);
    assert_eq!(parse_head(&text.as_bytes()[..shorter], shorter).unwrap_err().status(), 431);
    assert!(parse_head(&text.as_bytes()[..shorter - 1], shorter).unwrap().is_none());
}

#[test]
fn too_much_of_anything_is_refused_by_its_own_status() {
    let long = "a".repeat(LIMIT);
    assert_eq!(status(&format!("GET /{long}")), 414);
    assert_eq!(status(&format!("\r\nGET /{long}")), 414);
    assert_eq!(status(&long), 400);
    assert_eq!(status_with(&format!("A: {long}\r\n")), 431);
    assert_eq!(status_with(&"A: 1\r\n".repeat(MAX_HEADERS - 1)), 0);
    assert_eq!(status_with(&"A: 1\r\n".repeat(MAX_HEADERS)), 431);
}
