//! Chromium, as the tests of pages drive it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{self, Command};
use std::{env, fs};

use async_tungstenite::tungstenite::Message;
use data_encoding::BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::command::Program;
use super::wire::Answer;
use super::{Peer, Wire, tools};

/// Chromium without a window, driven by its DevTools protocol.
pub struct Browser {
    program: Program,
    addr: SocketAddr,
    profile: PathBuf,
}

impl Browser {
    pub fn start() -> Option<Browser> {
        let chromium =
            tools::require_tool(&["chromium", "chromium-browser", "google-chrome", "chrome"])?;
        let profile = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "browser-{}-{:?}",
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

    /// Opens a page and waits until it is there. `helpers` is a script that runs before the page's own.
    pub fn open(&self, url: &str, helpers: &str) -> Page {
        let mut wire = Wire::connect(self.addr);
        wire.send(format!("PUT /json/new?about:blank HTTP/1.1\r\nHost: {}\r\n\r\n", self.addr));
        let target: Value = serde_json::from_slice(&wire.answer().body).expect("JSON");
        let path = format!("/devtools/page/{}", target["id"].as_str().expect("its id"));
        let (peer, _) = Peer::open_path(self.addr, &path).expect("the page's debugger");
        let mut page = Page { peer, calls: 0 };
        page.call("Page.enable", json!({}));
        let source = format!("{HELPERS}{helpers}");
        page.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source }));
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

/// What the expressions of tests call in the page, beside what a test adds.
const HELPERS: &str = "
    window.byId = (id) => document.getElementById(id);
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
pub struct Page {
    peer: Peer,
    calls: u64,
}

impl Page {
    /// Calls a method of the protocol and returns its result.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let call = json!({ "id": id, "method": method, "params": params });
        self.peer.send(Message::text(call.to_string()));
        let mut answer = self.message(|message| message["id"] == id);
        assert!(answer.get("error").is_none(), "{method} {params}: {answer}");
        answer["result"].take()
    }

    pub fn event(&mut self, name: &str) {
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
    pub fn value(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until a JavaScript expression holds.
    pub fn until(&mut self, condition: &str) {
        self.value(&format!("until(() => {condition})"));
    }

    /// Presses a button, which must be enabled.
    pub fn press(&mut self, id: &str) {
        assert_eq!(self.value(&format!("byId('{id}').disabled")), false, "{id} can be pressed");
        self.value(&format!("byId('{id}').focus(), byId('{id}').click()"));
    }

    /// Replaces what a field holds by typed text.
    pub fn write(&mut self, id: &str, text: &str) {
        self.value(&format!("byId('{id}').focus(), byId('{id}').select()"));
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Presses Enter where the keyboard is.
    pub fn enter(&mut self) {
        for kind in ["keyDown", "keyUp"] {
            let key = json!({ "type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13 });
            self.call("Input.dispatchKeyEvent", key);
        }
    }
}

/// Checks that a page's policy lets it run what stands in it and nothing else; the hashes are in `file`.
pub fn check_policy(answer: &Answer, file: &str) {
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
        assert!(policy.contains(&wanted), "{file} must say {wanted}, and says {policy}");
    }
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}
