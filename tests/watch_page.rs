//! The pages of `wspoll watch` in a browser: the content, each change of it, a server that comes back.

#![cfg(feature = "cli")]

mod support;

use std::path::PathBuf;
use std::{env, fs, process};

use serde_json::json;
use support::Wire;
use support::browser::{Browser, check_policy};
use support::command::{Program, Server};

/// A file that goes with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &str) -> File {
        let name = format!("watch-page-{}-{name}", process::id());
        let file = File(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name));
        file.replace(content);
        file
    }

    /// Replaces it at once, so that no part of it is seen.
    fn replace(&self, content: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, content).expect("writing a file");
        fs::rename(&new, &self.0).expect("replacing a file");
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn watch(listen: &str, files: &[&File]) -> Server {
    let files: Vec<&str> = files.iter().map(|file| file.name()).collect();
    let arguments = [&["watch", "--listen", listen], &*files].concat();
    Server::listening(Program::start(&arguments, &[]))
}

/// Text that HTML would read as something else.
const TRICKY: &str = "\n<b>&amp;</b> \"quoted\" </pre>\r\nend";

#[test]
fn a_page_shows_the_file_and_each_change_of_it() {
    let Some(browser) = Browser::start() else { return };
    let file = File::new("one", TRICKY);
    let server = watch("127.0.0.1:0", &[&file]);
    let mut page = browser.open(&format!("http://{}/", server.addr), "");
    assert_eq!(page.value("byId('text').textContent"), TRICKY, "without the stream");
    assert_eq!(page.value("document.title"), file.name());
    page.until("byId('state').textContent === 'live'");

    file.replace("second\n");
    page.until("byId('text').textContent === 'second\\n'");
    page.until("byId('changed').textContent.startsWith('Changed at ')");
    file.replace(TRICKY);
    page.until(&format!("byId('text').textContent === {}", json!(TRICKY)));
    fs::remove_file(&file.0).expect("deleting");
    page.until("byId('text').textContent.endsWith(' does not exist')");
    file.replace("back");
    page.until("byId('text').textContent === 'back'");
    assert_eq!(page.value("failures.join()"), "", "the page broke its own policy");
}

#[test]
fn a_page_finds_a_server_that_comes_back() {
    let Some(browser) = Browser::start() else { return };
    let file = File::new("restart", "before");
    let mut server = watch("127.0.0.1:0", &[&file]);
    let addr = server.addr.to_string();
    let mut page = browser.open(&format!("http://{addr}/"), "");
    page.until("byId('state').textContent === 'live'");
    server.program.kill();
    page.until("byId('state').textContent === 'connecting'");
    drop(server);
    file.replace("after");
    let _server = watch(&addr, &[&file]);
    page.until("byId('state').textContent === 'live'");
    page.until("byId('text').textContent === 'after'");
}

#[test]
fn a_list_leads_to_the_page_of_each_file() {
    let Some(browser) = Browser::start() else { return };
    let files = [File::new("a & b", "first"), File::new("c+d%20e", "second")];
    let server = watch("127.0.0.1:0", &[&files[0], &files[1]]);
    for (at, file) in files.iter().enumerate() {
        let mut page = browser.open(&format!("http://{}/", server.addr), "");
        let link = format!("document.querySelectorAll('li a')[{at}]");
        assert_eq!(page.value(&format!("{link}.textContent")), file.name());
        assert_eq!(page.value("failures.join()"), "", "the list broke its own policy");
        let url = page.value(&format!("{link}.href"));
        let mut page = browser.open(url.as_str().expect("a URL"), "");
        page.until("byId('state').textContent === 'live'");
        assert_eq!(page.value("document.querySelector('h1').textContent"), file.name());
        file.replace("changed");
        page.until("byId('text').textContent === 'changed'");
        let back = page.value("document.querySelector('header a').href");
        assert_eq!(back, format!("http://{}/", server.addr));
    }
}

#[test]
fn the_policy_lets_the_page_run_what_stands_in_it_and_nothing_else() {
    let file = File::new("policy", "</script><script>alert(1)</script>");
    let server = watch("127.0.0.1:0", &[&file]);
    let mut wire = Wire::connect(server.addr);
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    check_policy(&wire.answer(), "watch/page.rs");
}
