//! What the tests of the C ABI share: the libraries, C compilers, and programs that run beside the test.

// Each test binary takes what it needs of this, and all of it is private to that binary.
#![allow(dead_code, unreachable_pub)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::support::tools;

/// Asked of every C compiler.
pub const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-g"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the static and the shared library, built as cargo-c builds them: only the feature `capi`.
///
/// In a target folder of its own, since the one of these tests has the library with other features.
pub fn libraries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi");
        let output = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
            .current_dir(root())
            .args(["rustc", "--quiet", "--lib", "--no-default-features", "--features", "capi"])
            .args(["--crate-type", "staticlib,cdylib", "--target-dir"])
            .arg(&target)
            .output()
            .expect("running cargo");
        assert!(output.status.success(), "{}", text(&output));
        // Where cargo puts what it builds for a target that it was told of.
        match env::var_os("CARGO_BUILD_TARGET") {
            Some(triple) => target.join(triple).join("debug"),
            None => target.join("debug"),
        }
    })
}

/// The library as programs of this system are linked with it, and what they need beside it.
#[cfg(target_os = "linux")]
const LINK: (&str, &[&str]) = ("libwspoll.a", &["-pthread", "-ldl", "-lm"]);
#[cfg(target_vendor = "apple")]
const LINK: (&str, &[&str]) = ("libwspoll.a", &["-pthread", "-lm", "-liconv"]);
// MinGW links with a DLL directly, whichever toolchain has made it.
#[cfg(windows)]
const LINK: (&str, &[&str]) = ("wspoll.dll", &["-lws2_32"]);
#[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
const LINK: (&str, &[&str]) = ("libwspoll.a", &["-pthread", "-lm"]);

/// Has the compiler make what the tests are themselves.
const MACHINE: &[&str] =
    if cfg!(all(target_arch = "x86", target_os = "linux")) { &["-m32"] } else { &[] };

/// Tells the programs of tests/capi that pollers have no edge mode and shards no descriptor.
const SYSTEM: &[&str] = match cfg!(any(windows, polling_test_poll_backend)) {
    true => &["-DNEITHER_EPOLL_NOR_KQUEUE"],
    false => &[],
};

/// A program in C, or in C++.
pub struct Program<'a> {
    pub source: PathBuf,
    pub name: &'a str,
    /// Compilers, any of which will do.
    pub compilers: &'a [&'a str],
    pub flags: &'a [&'a str],
}

pub const C: &[&str] = &["cc", "gcc", "clang"];
pub const CPP: &[&str] = &["c++", "g++", "clang++"];

impl Program<'_> {
    /// An example of ffi-examples/c.
    pub fn example(name: &str) -> Program<'_> {
        let source = root().join("ffi-examples/c").join(name).with_extension("c");
        Program { source, name, compilers: C, flags: &["-std=c99"] }
    }

    /// Compiles it and links it with the library; `None` and a skip without a compiler.
    ///
    /// Where the compiler runs on another system than the tests, they find what it made in the folder that
    /// `WSPOLL_TEST_PROGRAMS` names (.ci/cross/windows).
    pub fn build(&self) -> Option<PathBuf> {
        let file = format!("c-{}{}", self.name, env::consts::EXE_SUFFIX);
        if let Some(folder) = env::var_os("WSPOLL_TEST_PROGRAMS") {
            return Some(Path::new(&folder).join(file));
        }
        let compiler = tools::require_tool(self.compilers)?;
        let (library, system) = LINK;
        // Beside the library, which is where Windows looks for a DLL.
        let program = libraries().join(file);
        let output = Command::new(compiler)
            .args(MACHINE)
            .args(SYSTEM)
            .args(self.flags)
            .args(STRICT)
            .arg("-I")
            .arg(root().join("include"))
            .arg(&self.source)
            // Not `-x c++` for the library too.
            .args(["-x", "none"])
            .arg(libraries().join(library))
            .args(system)
            .arg("-o")
            .arg(&program)
            .output()
            .expect("running the compiler");
        assert!(output.status.success(), "{}: {}", self.name, text(&output));
        Some(program)
    }
}

/// What a program printed, on both streams.
pub fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// A file of the crate.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The functions that the header declares.
pub fn declared() -> Vec<String> {
    let header = read("include/wspoll.h");
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names: Vec<String> = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#']) && !line.starts_with("typedef"))
        .filter_map(|line| line.split_once('(').map(|(head, _)| head))
        .map(|head| head.rsplit(|c| !is_name(c)).next().unwrap_or_default().to_owned())
        .filter(|name| name.starts_with("wsp_"))
        .collect();
    names.sort();
    names
}
