//! README says what the code does.

use std::fmt::Write;

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
