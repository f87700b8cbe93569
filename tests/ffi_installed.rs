//! The library as `cargo cinstall` installs it: what is where, and who builds against it: make, CMake, Go.

// Files are named as Linux does, and cargo-c and pkg-config know the host's libraries, which are of 64 bits.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod capi;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use capi::{root, text};
use support::command::Program;
use support::{Wire, tools};

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Installs the library into an empty folder, once. `None` and a skip without the tools, or without one of `more`.
fn installed(more: &[&str]) -> Option<&'static Path> {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    for tool in ["cargo-cinstall", "pkg-config", "cc"].iter().chain(more) {
        tools::require_tool(&[tool])?;
    }
    Some(PREFIX.get_or_init(|| {
        let prefix = folder("prefix");
        let output = Command::new("cargo")
            .current_dir(root())
            .args(["cinstall", "--profile", "dev", "--no-default-features", "--libdir", "lib"])
            .arg("--prefix")
            .arg(&prefix)
            .arg("--target-dir")
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cargo-c"))
            .output()
            .expect("running cargo cinstall");
        assert!(output.status.success(), "{}", text(&output));
        prefix
    }))
}

/// Runs a build tool that finds the library by pkg-config.
fn build(prefix: &Path, command: &mut Command) {
    let output = command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).output();
    let output = output.expect("running a build tool");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
}

/// Starts a program that is linked with the shared library.
fn start(prefix: &Path, program: &Path, arguments: &[&str]) -> Program {
    let loaded = Command::new("ldd")
        .arg(program)
        .env("LD_LIBRARY_PATH", prefix.join("lib"))
        .output()
        .expect("running ldd");
    let wanted = prefix.join("lib/libwspoll.so.1");
    assert!(text(&loaded).contains(&*wanted.to_string_lossy()), "{}", text(&loaded));
    let mut command = Command::new(program);
    let command = command.args(arguments).env("LD_LIBRARY_PATH", prefix.join("lib"));
    // The examples in C end with their input.
    Program::spawn_with_input(command, Stdio::piped())
}

#[test]
fn everything_is_in_its_place() {
    let Some(prefix) = installed(&[]) else { return };
    for file in
        ["include/wspoll.h", "lib/libwspoll.a", "lib/libwspoll.so", "lib/pkgconfig/wspoll.pc"]
    {
        assert!(prefix.join(file).exists(), "{file} is not installed");
    }
    // The soname has the ABI's major number, and is there as a link.
    assert!(prefix.join("lib/libwspoll.so.1").exists());
}

#[test]
fn make_builds_the_examples() {
    let Some(prefix) = installed(&["make"]) else { return };
    let examples = folder("make");
    for entry in fs::read_dir(root().join("ffi-examples/c")).expect("the examples") {
        let path = entry.expect("an entry").path();
        let extension = path.extension().unwrap_or_default();
        if extension == "c" || extension == "h" || path.ends_with("Makefile") {
            fs::copy(&path, examples.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    build(prefix, Command::new("make").current_dir(&examples));
    echoes(&start(prefix, &examples.join("echo"), &["127.0.0.1:0"]));
}

#[test]
fn cmake_builds_the_examples() {
    let Some(prefix) = installed(&["cmake", "make"]) else { return };
    let (source, made) = (root().join("ffi-examples/c"), folder("cmake"));
    build(prefix, Command::new("cmake").arg("-S").arg(&source).arg("-B").arg(&made));
    build(prefix, Command::new("cmake").arg("--build").arg(&made));
    for example in ["push", "batch", "poller", "upgrade"] {
        assert!(made.join(example).exists(), "{example} is not built");
    }
    echoes(&start(prefix, &made.join("echo"), &["127.0.0.1:0"]));
}

#[test]
fn go_links_it_when_asked_to() {
    let Some(prefix) = installed(&["go"]) else { return };
    let program = folder("go").join("echo");
    build(
        prefix,
        Command::new("go")
            .current_dir(root().join("ffi-examples/go"))
            .env("CGO_ENABLED", "1")
            .env("GOFLAGS", "-buildvcs=false")
            .args(["build", "-tags", "wspoll_dynamic", "-o"])
            .arg(&program)
            .arg("./cmd/echo"),
    );
    echoes(&start(prefix, &program, &["-listen", "127.0.0.1:0"]));
}

/// Talks to a program that says where it listens.
fn echoes(program: &Program) {
    let line = program.line();
    let address = line.strip_prefix("listening on ").map(|rest| rest.trim_start_matches("ws://"));
    let address = address.and_then(|address| address.parse().ok());
    let mut wire = Wire::open_at(address.unwrap_or_else(|| panic!("no address in {line:?}")));
    wire.echo("across the library");
    wire.close(1000);
}
