//! `wspoll watch`: what viewers get when files change, and what cannot be watched.

#![cfg(feature = "cli")]

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use std::{env, process};

use support::command::{Ended, Program, Server};
use support::{Peer, Wire};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("watch-{name}-{}", process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("writing a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn name(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// What asks for a file.
fn query(path: &Path) -> String {
    let value: String = form_urlencoded::byte_serialize(name(path).as_bytes()).collect();
    format!("?file={value}")
}

fn watch(files: &[&Path], arguments: &[&str]) -> Server {
    let files = files.iter().copied().map(name);
    let listen = ["watch", "--listen", "127.0.0.1:0"];
    let all: Vec<&str> = listen.into_iter().chain(arguments.iter().copied()).chain(files).collect();
    Server::listening(Program::start(&all, &[]))
}

fn view(server: &Server, query: &str) -> Peer {
    Peer::open_path(server.addr, &format!("/async{query}")).expect("the handshake").0
}

/// Reads until a content comes that was written, past those that were seen half done.
fn until(viewer: &mut Peer, content: &str) {
    while viewer.text() != content {}
}

#[test]
fn viewers_get_every_way_in_which_a_file_can_change() {
    let folder = Folder::new("changes");
    let path = folder.file("notes.txt", "one\n");
    let server = watch(&[&path], &[]);
    let mut viewers = [view(&server, ""), view(&server, "?other=1")];
    let mut all_see = |content: &str| viewers.iter_mut().for_each(|v| until(v, content));
    all_see("one\n");

    let mut file = OpenOptions::new().append(true).open(&path).expect("opening");
    file.write_all("zwei – ü\n".as_bytes()).expect("appending");
    all_see("one\nzwei – ü\n");
    // Still open, and written to once more.
    file.write_all(b"three\n").expect("appending");
    all_see("one\nzwei – ü\nthree\n");
    drop(file);

    let other = folder.file("notes.txt.new", "replaced");
    fs::rename(&other, &path).expect("replacing");
    all_see("replaced");
    fs::write(&path, "written to after it was replaced").expect("writing");
    all_see("written to after it was replaced");

    OpenOptions::new().write(true).truncate(true).open(&path).expect("truncating");
    all_see("");

    for content in ["made again", "and again"] {
        fs::remove_file(&path).expect("deleting");
        all_see(&format!("{} does not exist", path.display()));
        fs::write(&path, content).expect("writing");
        all_see(content);
    }
    fs::rename(&path, folder.0.join("elsewhere")).expect("renaming");
    all_see(&format!("{} does not exist", path.display()));
    fs::rename(folder.0.join("elsewhere"), &path).expect("renaming back");
    all_see("and again");
}

#[test]
fn an_error_is_pushed_once_until_it_changes() {
    let folder = Folder::new("errors");
    let path = folder.file("file", "fine");
    let server = watch(&[&path], &["--max-message-size", "1000"]);
    let mut viewer = view(&server, "");
    assert_eq!(viewer.text(), "fine");
    // Each is made another way several times, and is told once.
    let path_is = |what: &str| format!("{} {what}", path.display());
    let replace = |content: &[u8]| {
        let new = folder.file("new", content);
        fs::rename(new, &path).expect("replacing");
    };
    for bytes in [&b"\xff"[..], b"a\xc3", b"\xff\xff", b"\xed\xa0\x80"] {
        replace(bytes);
        // Who comes now is told at once.
        view_once(&server, |text| text == path_is("is not UTF-8"));
    }
    for len in [1001, 2000, 1001] {
        replace(&vec![b'x'; len]);
        view_once(&server, |text| text == path_is("is larger than 1000 bytes"));
    }
    replace(&[b'y'; 1000]);
    for wanted in [path_is("is not UTF-8"), path_is("is larger than 1000 bytes"), "y".repeat(1000)]
    {
        assert_eq!(viewer.text(), wanted);
    }
    fs::remove_file(&path).expect("deleting");
    assert_eq!(viewer.text(), path_is("does not exist"));
    fs::create_dir(&path).expect("a folder in its place");
    assert_eq!(viewer.text(), path_is("cannot be read: it is no file"));
}

/// Waits until somebody who connects is shown what is wanted.
fn view_once(server: &Server, is_wanted: impl Fn(&str) -> bool) {
    let look = || view(server, "").text();
    support::eventually("what is shown", look, |text| is_wanted(text));
}

#[test]
fn what_is_written_again_unchanged_is_not_pushed() {
    let folder = Folder::new("same");
    let path = folder.file("file", "same");
    let server = watch(&[&path], &[]);
    let mut viewer = view(&server, "");
    assert_eq!(viewer.text(), "same");
    for _ in 0..3 {
        fs::rename(folder.file("new", "same"), &path).expect("replacing");
    }
    fs::rename(folder.file("new", "other"), &path).expect("replacing");
    assert_eq!(viewer.text(), "other");
}

#[test]
fn who_has_the_current_content_gets_only_what_is_newer() {
    let folder = Folder::new("last-mod");
    let path = folder.file("file", "first");
    let modified = fs::metadata(&path).and_then(|data| data.modified()).expect("its time");
    let nanos = modified.duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let server = watch(&[&path], &[]);
    let older = format!("?lastMod={:x}", nanos - 1);
    for query in ["", "?lastMod=", "?lastMod=soon", "?lastMod=-1", &older] {
        assert_eq!(view(&server, query).text(), "first", "{query}");
    }
    let mut viewers = [
        view(&server, &format!("?lastMod={nanos:x}")),
        view(&server, &format!("{}&lastMod={:X}", query(&path), nanos + 1)),
    ];
    fs::rename(folder.file("new", "second"), &path).expect("replacing");
    for viewer in &mut viewers {
        assert_eq!(viewer.text(), "second");
    }
}

#[test]
fn each_file_has_viewers_of_its_own() {
    let folder = Folder::new("several");
    let (one, two) = (folder.file("one & only.txt", "1"), folder.file("two+2%20.txt", "2"));
    let missing = folder.0.join("three");
    let server = watch(&[&one, &two, &missing], &[]);
    let mut viewers = [&one, &two, &missing].map(|path| view(&server, &query(path)));
    assert_eq!(viewers[0].text(), "1");
    assert_eq!(viewers[1].text(), "2");
    assert_eq!(viewers[2].text(), format!("{} does not exist", missing.display()));
    assert_eq!(view(&server, "").text(), "1", "the first, if none is named");
    fs::write(&missing, "3").expect("writing");
    until(&mut viewers[2], "3");
    fs::rename(folder.file("new", "zwei"), &two).expect("replacing");
    assert_eq!(viewers[1].text(), "zwei");
    fs::rename(folder.file("new", "eins"), &one).expect("replacing");
    assert_eq!(viewers[0].text(), "eins");

    for path in ["/async?file=passwd", "/async?file=", "/other"] {
        assert!(Peer::open_path(server.addr, path).is_err(), "{path}");
    }
    for (path, status) in [("/?file=passwd", 404), ("/other", 404), ("/async", 426)] {
        assert_eq!(get(&server, path).0, status, "{path}");
    }
    let (status, list) = get(&server, "/");
    assert_eq!(status, 200);
    assert!(list.contains("two+2%20.txt</a>") && list.contains("one &amp; only.txt</a>"), "{list}");
    for path in [&one, &two, &missing] {
        assert!(list.contains(&format!("href=\"/{}\"", query(path))), "{list}");
    }
    let (status, page) = get(&server, &format!("/{}", query(&two)));
    assert_eq!(status, 200);
    assert!(page.contains("\nzwei</pre>") && page.contains(">All files</a>"), "{page}");
}

fn get(server: &Server, path: &str) -> (u16, String) {
    let mut wire = Wire::connect(server.addr);
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let answer = wire.answer();
    (answer.status, String::from_utf8(answer.body).expect("UTF-8"))
}

#[test]
fn what_cannot_be_watched_is_said_at_the_start() {
    let folder = Folder::new("refused");
    let (file, here) = (folder.file("file", ""), name(&folder.0).to_owned());
    let nowhere = folder.0.join("no/such/file");
    for (files, code, parts) in [
        (&[][..], 2, &["FILE"][..]),
        (&[&*here], 2, &["FILE", &here]),
        (&[name(&file), name(&file)], 2, &["FILE", "twice"]),
        (&[name(&nowhere)], 1, &["watching", name(nowhere.parent().expect("a folder"))]),
    ] {
        let all = [&["watch", "--listen", "127.0.0.1:0"], files].concat();
        let Ended { code: ended, stdout, stderr } = Program::start(&all, &[]).end();
        assert_eq!((ended, &*stdout), (Some(code), ""), "{files:?}: {stderr}");
        // A value is quoted, and with it Windows' separators.
        let stderr = stderr.replace(r"\\", r"\");
        for part in parts {
            assert!(stderr.contains(part), "{part:?} is in {stderr:?}");
        }
    }
}

#[cfg(unix)]
mod links_and_folders {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{Folder, until, view, watch};

    #[test]
    fn a_link_is_followed_wherever_it_leads() {
        let (folder, elsewhere) = (Folder::new("link"), Folder::new("link-target"));
        let (one, two) = (elsewhere.file("one", "one"), elsewhere.file("two", "two"));
        let link = folder.0.join("link");
        symlink(&one, &link).expect("a link");
        let server = watch(&[&link], &[]);
        let mut viewer = view(&server, "");
        assert_eq!(viewer.text(), "one");
        fs::write(&one, "one in place").expect("writing");
        until(&mut viewer, "one in place");
        // As configuration of a container is changed: the new link takes the old one's name.
        symlink(&two, folder.0.join("new")).expect("a link");
        fs::rename(folder.0.join("new"), &link).expect("replacing");
        until(&mut viewer, "two");
        fs::write(&two, "two in place").expect("writing");
        until(&mut viewer, "two in place");
    }

    #[test]
    fn a_folder_that_comes_back_is_watched_again() {
        let folder = Folder::new("folder");
        let inner = folder.0.join("inner");
        fs::create_dir(&inner).expect("a folder");
        let path = inner.join("file");
        fs::write(&path, "first").expect("writing");
        let server = watch(&[&path], &[]);
        let mut viewer = view(&server, "");
        assert_eq!(viewer.text(), "first");
        for content in ["second", "third"] {
            fs::remove_dir_all(&inner).expect("deleting the folder");
            until(&mut viewer, &format!("{} does not exist", path.display()));
            fs::create_dir(&inner).expect("a folder");
            fs::write(&path, content).expect("writing");
            until(&mut viewer, content);
            fs::write(&path, format!("{content}, changed")).expect("writing");
            until(&mut viewer, &format!("{content}, changed"));
        }
        // Another folder in its place, with another file.
        let other = folder.0.join("other");
        fs::create_dir(&other).expect("a folder");
        fs::write(other.join("file"), "swapped").expect("writing");
        fs::rename(&inner, folder.0.join("old")).expect("renaming");
        fs::rename(&other, &inner).expect("renaming");
        until(&mut viewer, "swapped");
        fs::write(&path, "swapped and changed").expect("writing");
        until(&mut viewer, "swapped and changed");
    }
}
