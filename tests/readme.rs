//! README says what the code does.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use wspoll::Config;

const README: &str = include_str!("../README.md");

fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).expect(begin);
    rest.split_once(end).expect(end).0
}

#[test]
fn the_table_of_settings_is_the_list_of_settings() {
    let mut table =
        String::from("\n| setting | unit | default | what it does |\n|---|---|---|---|\n");
    for setting in Config::SETTINGS {
        let default = (setting.default)();
        let default = if default.is_empty() { "none".to_owned() } else { format!("`{default}`") };
        let unit = setting.unit.replace('|', r"\|");
        writeln!(table, "| `{}` | {unit} | {default} | {} |", setting.name, setting.help)
            .expect("a string takes everything");
    }
    let written = between(README, "which prints what it must be -->\n", "<!-- end of settings -->");
    assert_eq!(written, table, "README's table must be:\n{table}");
}

#[test]
fn the_version_it_names_is_the_one_that_is_built() {
    let version = env!("CARGO_PKG_VERSION");
    let (minor, _) = version.rsplit_once('.').expect("three numbers");
    assert!(README.contains(&format!("wspoll = {{ version = \"{minor}\"")), "{minor}");
    let msrv = env!("CARGO_PKG_RUST_VERSION");
    assert!(README.contains(&format!("Rust {msrv} or later")), "{msrv}");
}

#[test]
fn the_server_in_c_compiles() {
    let source = between(README, "```c\n", "```");
    let header = concat!(env!("CARGO_MANIFEST_DIR"), "/include");
    let mut compiler = match Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-xc", "-"])
        .arg(format!("-I{header}"))
        .stdin(Stdio::piped())
        .spawn()
    {
        Ok(compiler) => compiler,
        Err(e) => {
            assert!(std::env::var_os("WSPOLL_TEST_ALL").is_none(), "no C compiler: {e}");
            return eprintln!("skipped: no C compiler: {e}");
        }
    };
    let mut stdin = compiler.stdin.take().expect("piped");
    stdin.write_all(source.as_bytes()).expect("the compiler reads");
    drop(stdin);
    assert!(compiler.wait().expect("the compiler ends").success());
}

#[test]
fn the_server_in_go_is_the_one_of_the_packages_readme() {
    let package = include_str!("../ffi-examples/go/README.md");
    let source = between(README, "```go\n", "```");
    assert_eq!(between(package, "```go\n", "```"), source);
}
