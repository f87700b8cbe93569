//! The demo page in a browser: open, send text and binary, see the echo, close.

#![cfg(feature = "cli")]

mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{self, Command};
use std::{env, fs};

use async_tungstenite::tungstenite::Message;
use data_encoding::BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use support::command::{Program, Server};
use support::{Peer, Wire, tools};

#[test]
fn a_visitor_opens_sends_sees_the_echo_and_closes() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start(&[]);
    let mut page = browser.open(&format!("http://{}/", server.addr));

    page.until("byId('state').textContent === 'closed'");
    assert_eq!(page.value("byId('url').value"), json!(format!("ws://{}/", server.addr)));
    assert_eq!(page.enabled(), ["open"]);

    page.press("open");
    page.until("byId('state').textContent === 'open'");
    assert_eq!(page.enabled(), ["send", "close"]);
    assert_eq!(
        page.value("document.activeElement.id"),
        "message",
        "the keyboard goes on from there"
    );

    page.write("message", "Grüße, 世界");
    page.press("send");
    page.until("row('received', 'Grüße, 世界')");
    assert_eq!(
        page.value("row('sent', 'Grüße, 世界').querySelector('small').textContent"),
        "text, 15 bytes"
    );

    // The keyboard does as well as the button.
    page.write("message", "by keyboard");
    page.enter();
    page.until("row('received', 'by keyboard')");

    page.value("byId('kind').value = 'binary'");
    page.write("message", "00 ff 7");
    page.press("send");
    page.until("byId('message-hint').textContent.startsWith('Not hex')");
    page.write("message", "00 ff 7f");
    page.press("send");
    page.until("row('received', '00 ff 7f')");
    assert_eq!(
        page.value("row('received', '00 ff 7f').querySelector('small').textContent"),
        "binary, 3 bytes"
    );
    assert_eq!(page.value("byId('count').textContent"), "3 sent, 3 received");

    page.press("close");
    page.until("byId('state').textContent === 'closed (1000)'");
    page.until("row('state', '1000 normal closure')");
    assert_eq!(page.enabled(), ["open"]);

    // A visitor may come back, here to the room, where the sender hears itself too.
    let room = format!("ws://{}/broadcast", server.addr);
    page.write("url", &room);
    page.press("open");
    page.until(&format!("row('state', '{room}')"));
    let (mut other, _) = Peer::open_path(server.addr, "/broadcast").expect("the handshake");
    other.send("from another client");
    page.until("row('received', 'from another client')");
    assert_eq!(page.value("failures.join()"), "", "the page broke its own policy");
}

#[test]
fn a_connection_that_fails_is_shown() {
    let Some(browser) = Browser::start() else { return };
    let mut server = Server::start(&[]);
    let mut page = browser.open(&format!("http://{}/", server.addr));
    page.press("open");
    page.until("byId('state').textContent === 'open'");
    server.program.kill();
    page.until("byId('state').textContent === 'closed (1006)'");
    page.press("open");
    page.until("document.querySelectorAll('#log .failed').length === 2");
    page.write("url", "no URL: at all");
    page.press("open");
    page.until("document.querySelectorAll('#log .failed').length === 3");
}

#[test]
fn the_policy_lets_the_page_run_what_stands_in_it_and_nothing_else() {
    let server = Server::start(&[]);
    let mut wire = Wire::connect(server.addr);
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = wire.answer();
    let policy = answer.header("content-security-policy").expect("a policy");
    // A browser hashes what it has read, with the ends of lines made one.
    let page = String::from_utf8(answer.body.clone()).expect("UTF-8").replace("\r\n", "\n");
    for element in ["script", "style"] {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let text = page.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
        let (text, rest) = text.unwrap_or_else(|| panic!("a {element}"));
        assert!(!rest.contains(&open), "one {element}");
        let hash = BASE64.encode(&Sha256::digest(text));
        let wanted = format!("{element}-src 'sha256-{hash}';");
        assert!(policy.contains(&wanted), "modes/mod.rs must say {wanted}, and says {policy}");
    }
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}

/// Chromium without a window, driven by its DevTools protocol.
struct Browser {
    program: Program,
    addr: SocketAddr,
    profile: PathBuf,
}

impl Browser {
    fn start() -> Option<Browser> {
        let chromium =
            tools::require_tool(&["chromium", "chromium-browser", "google-chrome", "chrome"])?;
        let profile = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "demo-page-{}-{:?}",
            process::id(),
            std::thread::current().id()
        ));
        let program = Program::spawn(
            Command::new(chromium)
                .args([
                    "--headless",
                    // CI runs as root, where Chromium's sandbox does not start.
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    "--disable-dev-shm-usage",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--remote-debugging-port=0",
                ])
                .arg(format!("--user-data-dir={}", profile.display())),
        );
        let line = program.logged("DevTools listening on ws://");
        let (_, rest) = line.split_once("ws://").expect("its address");
        let addr = rest.split('/').next().and_then(|addr| addr.parse().ok()).expect("its address");
        Some(Browser { program, addr, profile })
    }

    /// Opens a page and waits until it is there.
    fn open(&self, url: &str) -> Page {
        let mut wire = Wire::connect(self.addr);
        wire.send(format!("PUT /json/new?about:blank HTTP/1.1\r\nHost: {}\r\n\r\n", self.addr));
        let target: Value = serde_json::from_slice(&wire.answer().body).expect("JSON");
        let path = format!("/devtools/page/{}", target["id"].as_str().expect("its id"));
        let (peer, _) = Peer::open_path(self.addr, &path).expect("the page's debugger");
        let mut page = Page { peer, calls: 0 };
        page.call("Page.enable", json!({}));
        page.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": HELPERS }));
        page.call("Page.navigate", json!({ "url": url }));
        page.event("Page.loadEventFired");
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // What still runs would write there again.
        self.program.kill_all();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// What the expressions of these tests call in the page.
const HELPERS: &str = "
    window.byId = (id) => document.getElementById(id);
    window.row = (kind, text) => [...document.querySelectorAll('#log .' + kind)]
        .find((row) => row.querySelector('code').textContent === text);
    window.failures = [];
    addEventListener('securitypolicyviolation', (event) => failures.push(event.violatedDirective));
    addEventListener('error', (event) => failures.push(event.message));
    window.until = (holds) => new Promise((done) => {
        const look = () => { if (holds()) { watch.disconnect(); done(); } };
        const watch = new MutationObserver(look);
        watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
        look();
    });
";

/// One page of the browser.
struct Page {
    peer: Peer,
    calls: u64,
}

impl Page {
    /// Calls a method of the protocol and returns its result.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let call = json!({ "id": id, "method": method, "params": params });
        self.peer.send(Message::text(call.to_string()));
        let mut answer = self.message(|message| message["id"] == id);
        assert!(answer.get("error").is_none(), "{method} {params}: {answer}");
        answer["result"].take()
    }

    fn event(&mut self, name: &str) {
        self.message(|message| message["method"] == name);
    }

    fn message(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = serde_json::from_str(&self.peer.text()).expect("JSON");
            if is_wanted(&message) {
                return message;
            }
        }
    }

    /// The value of a JavaScript expression, once it has one.
    fn value(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until a JavaScript expression holds.
    fn until(&mut self, condition: &str) {
        self.value(&format!("until(() => {condition})"));
    }

    /// Presses a button, which must be enabled.
    fn press(&mut self, id: &str) {
        assert_eq!(self.value(&format!("byId('{id}').disabled")), false, "{id} can be pressed");
        self.value(&format!("byId('{id}').focus(), byId('{id}').click()"));
    }

    /// Replaces what a field holds by typed text.
    fn write(&mut self, id: &str, text: &str) {
        self.value(&format!("byId('{id}').focus(), byId('{id}').select()"));
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Presses Enter where the keyboard is.
    fn enter(&mut self) {
        for kind in ["keyDown", "keyUp"] {
            let key = json!({ "type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13 });
            self.call("Input.dispatchKeyEvent", key);
        }
    }

    /// Which of the three buttons can be pressed.
    fn enabled(&mut self) -> Vec<&'static str> {
        ["open", "send", "close"]
            .into_iter()
            .filter(|id| self.value(&format!("byId('{id}').disabled")) == false)
            .collect()
    }
}
