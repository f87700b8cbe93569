//! Wrong arguments give a status, and what the library does is seen from C: programs of tests/capi, run with and without
//! AddressSanitizer.

mod capi;
mod support;

use std::process::Command;

use capi::{C, Program, text};

fn run(name: &str, more: &[&str]) {
    let source = capi::root().join("tests/capi").join(name).with_extension("c");
    let flags = [&["-std=c99"], more].concat();
    let label = format!("test-{name}{}", if more.is_empty() { "" } else { "-asan" });
    let program = Program { source, name: &label, compilers: C, flags: &flags };
    let Some(program) = program.build() else { return };
    let output = Command::new(program).output().expect("running it");
    let said = text(&output);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
}

const SANITIZED: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

#[test]
fn whatever_is_wrong_gives_a_status() {
    run("errors", &[]);
}

#[test]
#[cfg_attr(windows, ignore = "MinGW has no AddressSanitizer")]
fn whatever_is_wrong_touches_no_memory() {
    run("errors", &SANITIZED);
}

#[test]
fn pushes_are_counted_and_rooms_have_policies() {
    run("push", &[]);
}

#[test]
#[cfg_attr(windows, ignore = "MinGW has no AddressSanitizer")]
fn pushes_touch_no_memory_that_they_must_not() {
    run("push", &SANITIZED);
}

#[test]
fn hosted_mode_does_what_the_header_says() {
    run("hosted", &[]);
}

#[test]
#[cfg_attr(windows, ignore = "MinGW has no AddressSanitizer")]
fn hosted_mode_touches_no_memory_that_it_must_not() {
    run("hosted", &SANITIZED);
}

#[test]
fn a_client_does_what_the_header_says() {
    run("client", &[]);
}

#[test]
#[cfg_attr(windows, ignore = "MinGW has no AddressSanitizer")]
fn a_client_touches_no_memory_that_it_must_not() {
    run("client", &SANITIZED);
}
