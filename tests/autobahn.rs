//! The Autobahn testsuite against the built command: all of 1 to 7, 9 and 10, none excused.
//!
//! tests/autobahn/README.md tells how it is installed.

#![cfg(feature = "cli")]

mod support;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::command::Server;
use support::tools;

/// What is not in it: 12 and 13, compression, which no server is asked for until this one offers it.
const CASES: &str = r#"["1.*","2.*","3.*","4.*","5.*","6.*","7.*","9.*","10.*"]"#;

#[test]
#[cfg_attr(windows, ignore = "the testsuite is for Python on Unix")]
fn every_case_passes_strictly() {
    let venv =
        env::var_os("AUTOBAHN_VENV").map_or_else(|| PathBuf::from("/tmp/autobahn"), PathBuf::from);
    if !venv.join("stamp").exists() {
        tools::skip("the Autobahn testsuite is not installed: run tests/autobahn/setup.sh");
        return;
    }
    // 9.1.6 and 9.2.6 send 16 MiB; an outbox must hold what comes back at once.
    let arguments = ["--max-message-size", "16MiB", "--shards", "2"];
    let server = Server::start(&arguments);
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join("autobahn");
    let run = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/autobahn/run.sh"))
        .arg(format!("ws://{}/", server.addr))
        .arg(CASES)
        .arg(&report)
        .env("AUTOBAHN_VENV", &venv)
        .env("AUTOBAHN_STRICT", "1")
        .env("AUTOBAHN_TIMEOUT", "600")
        .output()
        .expect("running tests/autobahn/run.sh");
    let output = String::from_utf8_lossy(&run.stdout);
    eprintln!("{output}{}", String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "not every case passed; the report is in {}", report.display());
    let counted = output.lines().any(|line| line == "autobahn: 301 passed, 0 failed, 0 skipped");
    assert!(counted, "all 301 cases were run");
}
