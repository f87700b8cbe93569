//! With the feature `capi`: the header that is shipped belongs to the library that is built.
//!
//! `include/wspoll.h` is generated and committed (tests/ffi_header compares it with the code); this catches the release
//! that forgets it, before a library with one version is installed beside a header with another.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=include/wspoll.h");
    println!("cargo::rerun-if-env-changed=CARGO_FEATURE_CAPI");
    if env::var_os("CARGO_FEATURE_CAPI").is_none() {
        return;
    }
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let define = format!("#define WSP_VERSION \"{version}\"");
    match std::fs::read_to_string("include/wspoll.h") {
        Ok(header) if header.lines().any(|line| line == define) => {}
        Ok(_) => println!(
            "cargo::error=include/wspoll.h is of another version: WSP_VERSION in cbindgen.toml must be \"{version}\", \
             then WSP_UPDATE_HEADER=1 cargo test --test ffi_header"
        ),
        Err(e) => println!("cargo::error=include/wspoll.h: {e}"),
    }
}
