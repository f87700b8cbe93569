//! The libraries export the functions of the header and nothing else, and are installed as a C library is.

mod capi;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use capi::text;
use support::tools;

/// Functions that a library offers to its users. `None` and a skip without `nm`.
fn exported(library: &Path) -> Option<BTreeSet<String>> {
    let nm = tools::require_tool(&["nm", "llvm-nm"])?;
    let output = Command::new(nm).args(["-D", "--defined-only"]).arg(library).output().expect("nm");
    assert!(output.status.success(), "{}", text(&output));
    let names = text(&output);
    Some(names.lines().filter_map(|line| line.rsplit(' ').next()).map(str::to_owned).collect())
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads an ELF file's dynamic symbols")]
fn only_what_the_header_declares_is_exported() {
    let Some(exported) = exported(&capi::libraries().join("libwspoll.so")) else { return };
    let declared: BTreeSet<_> = capi::declared().into_iter().collect();
    assert_eq!(exported, declared);
    let committed = capi::read("tests/ffi_exports.txt");
    let committed: BTreeSet<_> = committed.lines().map(str::to_owned).collect();
    let wanted = exported.iter().cloned().collect::<Vec<_>>().join("\n");
    assert!(exported == committed, "tests/ffi_exports.txt should be:\n{wanted}");
}

/// `cargo cinstall` into an empty folder, and the examples built from there by pkg-config.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "names the files as Linux does")]
#[cfg_attr(target_pointer_width = "32", ignore = "pkg-config knows the host's libraries")]
fn it_is_installed_as_a_c_library_is() {
    let tools = ["cargo-cinstall", "pkg-config", "make"].map(|name| tools::require_tool(&[name]));
    if tools.iter().any(Option::is_none) {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let prefix = folder.join("installed");
    let _ = fs::remove_dir_all(&prefix);
    let output = Command::new("cargo")
        .current_dir(capi::root())
        .args(["cinstall", "--profile", "dev", "--no-default-features", "--libdir", "lib"])
        .arg("--prefix")
        .arg(&prefix)
        .arg("--target-dir")
        .arg(folder.join("cargo-c"))
        .output()
        .expect("running cargo cinstall");
    assert!(output.status.success(), "{}", text(&output));
    for file in
        ["include/wspoll.h", "lib/libwspoll.a", "lib/libwspoll.so", "lib/pkgconfig/wspoll.pc"]
    {
        assert!(prefix.join(file).exists(), "{file} is not installed");
    }
    // The soname has the ABI's major number, and is there as a link.
    assert!(prefix.join("lib/libwspoll.so.1").exists());
    let examples = folder.join("examples-installed");
    let _ = fs::remove_dir_all(&examples);
    fs::create_dir_all(&examples).expect("a folder");
    for entry in fs::read_dir(capi::root().join("ffi-examples/c")).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "c" || extension == "h")
            || path.ends_with("Makefile")
        {
            fs::copy(&path, examples.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    let output = Command::new("make")
        .current_dir(&examples)
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .output()
        .expect("running make");
    assert!(output.status.success(), "{}", text(&output));
    assert!(examples.join("echo").exists());
}
