//! include/wspoll.h is what the code says, and C and C++ compilers take it.

#[path = "../support/tools.rs"]
#[allow(dead_code, unreachable_pub)]
mod tools;

mod sections;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of src/ffi/ that say something to C, in the order in which a reader wants them.
const FILES: &[&str] = &[
    "status",
    "version",
    "log",
    "config",
    "listening",
    "admin",
    "event",
    "request",
    "response",
    "callbacks",
    "server",
    "hosted",
    "send",
    "push",
    "stream",
    "conn",
    "reading",
    "adopt",
    "stats",
    "client_config",
    "client_event",
    "client",
    "client_group",
    "poller",
];

fn files() -> Vec<PathBuf> {
    FILES.iter().map(|name| root().join("src/ffi").join(name).with_extension("rs")).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn generated() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let (header, after_includes) = (config.header.clone(), config.after_includes.clone());
    let builder = cbindgen::Builder::new().with_config(config);
    let builder = files().into_iter().fold(builder, cbindgen::Builder::with_src);
    let mut raw = Vec::new();
    builder.generate().expect("cbindgen reads src/ffi").write(&mut raw);
    let raw = String::from_utf8(raw).expect("UTF-8");
    let page = header.expect("the first page");
    let macros = after_includes.expect("the macros");
    sections::header(&raw, &files(), page.trim(), macros.trim())
}

#[test]
fn the_header_is_what_the_code_says() {
    let path = root().join("include/wspoll.h");
    let generated = generated();
    if env::var_os("WSP_UPDATE_HEADER").is_some_and(|value| value == "1") {
        fs::write(&path, &generated).expect("writing the header");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let line = committed.lines().zip(generated.lines()).position(|(old, new)| old != new);
    assert!(
        committed == generated,
        "include/wspoll.h differs from line {} on; WSP_UPDATE_HEADER=1 writes it anew",
        line.map_or_else(|| "its end".to_owned(), |line| (line + 1).to_string())
    );
}

#[test]
fn the_version_is_that_of_the_crate() {
    let wanted = format!("#define WSP_VERSION \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(generated().contains(&wanted), "{wanted}, in cbindgen.toml");
}

#[test]
fn every_setting_has_a_setter() {
    let header = generated();
    for setting in wspoll::Config::SETTINGS {
        let name = setting.name;
        let names = [format!("set_{name}("), format!("set_{name}_ms("), format!("add_{name}(")];
        let singular = match name.strip_suffix("ies") {
            Some(stem) => format!("add_{stem}y("),
            None => format!("add_{}(", name.trim_end_matches('s')),
        };
        let has = |name: &String| header.contains(&format!("wsp_config_{name}"));
        assert!(names.iter().chain([&singular]).any(has), "no setter for {name}");
    }
}

/// Compiles a program that only includes the header.
fn compiles(compilers: &[&str], language: &str, standard: &str) {
    let Some(compiler) = tools::require_tool(compilers) else { return };
    let source = "#include \"wspoll.h\"\nint main(void) { return (int)sizeof(wsp_event) - 64; }\n";
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("header-{language}-{standard}"));
    fs::write(&file, source).expect("writing a program");
    let output = Command::new(compiler)
        .args([&format!("-std={standard}"), "-Wall", "-Wextra", "-Werror", "-pedantic"])
        .args(["-fsyntax-only", "-x", language])
        .arg("-I")
        .arg(root().join("include"))
        .arg(&file)
        .output()
        .expect("running the compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn it_is_c99() {
    compiles(&["cc", "gcc", "clang"], "c", "c99");
}

#[test]
fn it_is_c23() {
    compiles(&["cc", "gcc", "clang"], "c", "c2x");
}

#[test]
fn it_is_cpp() {
    compiles(&["c++", "g++", "clang++"], "c++", "c++11");
}
