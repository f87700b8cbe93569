//! The Go package of ffi-examples/go is vetted and tested, also under the race detector, with the static library.
//!
//! In a copy, so that the library that a developer has built there stays.

#![cfg(unix)]

mod capi;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use capi::{root, text};
use support::tools;

/// What is not the package's source.
const MADE: [&str; 3] = ["lib", "bin", "wspoll.h"];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("reading a folder").map(|entry| entry.expect("an entry"))
    {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if MADE.iter().any(|made| entry.file_name() == *made) {
            continue;
        }
        if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).expect("copying a file");
        }
    }
}

/// The copied module with the library in its place.
fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        let library = capi::libraries().join("libwspoll.a");
        // As deep as in the project: a test looks for the settings' defaults.
        let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go");
        let _ = fs::remove_dir_all(&project);
        copy(&root().join("src/config"), &project.join("src/config"));
        let module = project.join("ffi-examples/go");
        copy(&root().join("ffi-examples/go"), &module);
        fs::create_dir_all(module.join("lib")).expect("a folder");
        fs::copy(&library, module.join("lib/libwspoll.a")).expect("copying the library");
        // Go sees that the library has changed by its header; see the Makefile.
        let built = library.metadata().and_then(|data| data.modified()).expect("the library");
        let header = format!("{}\n/* {built:?} */\n", capi::read("include/wspoll.h"));
        fs::write(module.join("wspoll.h"), header).expect("writing the header");
        module
    })
}

fn go(args: &[&str]) {
    if cfg!(target_pointer_width = "32") {
        return eprintln!("skipped: Go has no race detector for 32 bits");
    }
    let compiler = tools::require_tool(&["cc", "gcc", "clang"]);
    let (Some(go), Some(_)) = (tools::require_tool(&["go"]), compiler) else { return };
    let output = Command::new(go)
        .current_dir(module())
        .env("CGO_ENABLED", "1")
        .env("GOFLAGS", "-buildvcs=false")
        .args(args)
        .output()
        .expect("running go");
    assert!(output.status.success(), "go {}: {}", args.join(" "), text(&output));
}

#[test]
fn it_is_vetted_and_formatted() {
    go(&["vet", "./..."]);
    let Some(gofmt) = tools::require_tool(&["gofmt"]) else { return };
    let output = Command::new(gofmt).current_dir(module()).args(["-l", "."]).output();
    let output = output.expect("running gofmt");
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output));
}

#[test]
#[cfg_attr(
    polling_test_poll_backend,
    ignore = "async-io, on which clients stand, loses wake-ups there: polling 3.11 leaves its flag set when a wake-up races a wait"
)]
fn its_tests_pass_also_under_the_race_detector() {
    go(&["test", "-timeout", "300s", "./..."]);
    go(&["test", "-race", "-timeout", "600s", "./..."]);
}
