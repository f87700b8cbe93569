//! The libraries export the functions of the header and nothing else.

mod capi;
mod support;

use std::collections::BTreeSet;
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
