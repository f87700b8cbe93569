//! The order of the layers (docs/design.md): each imports only what stands above it.

use std::fs;
use std::path::{Path, PathBuf};

/// Of each layer, those that it may name, itself aside. The order is the order of the layers.
///
/// `config` and `error` are words that everybody uses and that know nobody.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("config", &["error"]),
    ("protocol", &["error"]),
    ("connection", &["error", "config", "protocol"]),
    ("reactor", &["error"]),
    ("registry", &["error", "connection"]),
    ("shard", &["error", "config", "protocol", "connection", "reactor", "registry"]),
    // The server starts it, and is what it acts upon as `control::Host`.
    ("control", &["error", "config", "protocol", "connection", "shard"]),
    (
        "server",
        &["error", "config", "protocol", "connection", "reactor", "registry", "shard", "control"],
    ),
    ("client", &["error", "config", "protocol"]),
    (
        "ffi",
        &[
            "error",
            "config",
            "protocol",
            "connection",
            "reactor",
            "registry",
            "shard",
            "server",
            "client",
        ],
    ),
];

/// Layers that may hold unsafe code.
const MAY_BE_UNSAFE: &[&str] = &["reactor", "ffi"];

struct Source {
    /// Path below src/, such as `shard/mod.rs`.
    path: String,
    /// First part of the module path: `shard`.
    layer: String,
    /// Module path of the file: `["shard", "conn"]`.
    module: Vec<String>,
    /// Its lines without comments.
    lines: Vec<String>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let sources: Vec<Source> = files
        .iter()
        .map(|file| {
            let path = file.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
            let path = path.replace('\\', "/");
            let module: Vec<String> = path
                .trim_end_matches(".rs")
                .split('/')
                .filter(|part| *part != "mod")
                .map(str::to_owned)
                .collect();
            let text = fs::read_to_string(file).expect("a source file");
            Source { path, layer: module[0].clone(), module, lines: code(&text) }
        })
        .collect();
    assert!(sources.len() > 10, "the sources are where the test looks");
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            // The command is a program of its own, on top of the library.
            if !path.ends_with("bin") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The lines without what a comment says: links in the docs may point anywhere.
fn code(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned()).collect()
}

/// The layers that a line names by a path: `crate::x` or as many `super::` as it takes.
fn named(source: &Source, line: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        names.extend(identifier(&line[at + "crate::".len()..]));
    }
    for (at, _) in line.match_indices("super::") {
        // Only the first of a chain.
        if line[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &line[at..];
        // `mod.rs` has its folder's name already, so super is one up from the module path.
        let mut module = source.module.clone();
        // Inside `mod tests { }` the first super is the file itself; it only ever takes us nearer.
        while let Some(shorter) = rest.strip_prefix("super::") {
            module.pop();
            rest = shorter;
        }
        match (module.first(), identifier(rest)) {
            (Some(layer), _) => names.push(layer.clone()),
            (None, Some(name)) => names.push(name),
            (None, None) => {}
        }
    }
    names
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

#[test]
fn every_layer_names_only_those_above_it() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.layer == "lib" {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == source.layer) else {
            wrong.push(format!("{}: the layer is not in the list", source.path));
            continue;
        };
        for (number, line) in source.lines.iter().enumerate() {
            for name in named(&source, line) {
                let is_layer = LAYERS.iter().any(|(layer, _)| *layer == name);
                if is_layer && name != source.layer && !allowed.contains(&name.as_str()) {
                    wrong.push(format!("{}:{}: names {name}", source.path, number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_import_names_its_layer() {
    // `use crate::Config` and `use crate::{…}` would hide from the test above which layers they mean.
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.layer != "lib") {
        for (number, line) in source.lines.iter().enumerate() {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + "crate::".len()..];
                if rest.starts_with(|c: char| c.is_uppercase() || c == '{' || c == '*') {
                    wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_protocol_knows_no_socket_and_no_clock() {
    let words = ["std::net", "std::time", "std::thread", "std::os", "IoSlice", "Instant"];
    for source in sources().iter().filter(|source| source.layer == "protocol") {
        for (number, line) in source.lines.iter().enumerate() {
            for word in words {
                assert!(!line.contains(word), "{}:{}: {word}", source.path, number + 1);
            }
        }
    }
}

#[test]
fn only_the_reactor_knows_the_poller_and_the_sockets() {
    for source in sources().iter().filter(|source| source.layer != "reactor") {
        for (number, line) in source.lines.iter().enumerate() {
            let at = format!("{}:{}", source.path, number + 1);
            assert!(!mentions(line, "polling"), "{at}: polling");
            // The server makes the listeners.
            if source.layer != "server" {
                assert!(!mentions(line, "socket2"), "{at}: socket2");
            }
        }
    }
}

/// Whether a line holds a path that begins with this crate's name.
fn mentions(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let word_starts = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"');
        word_starts && line[at + name.len()..].starts_with("::")
    })
}

#[test]
fn unsafe_code_stands_only_where_the_system_is_called() {
    for source in sources() {
        for (number, line) in source.lines.iter().enumerate() {
            let allows = line.contains("unsafe_code");
            let uses =
                line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe");
            assert!(
                !(allows || uses) || MAY_BE_UNSAFE.contains(&source.layer.as_str()),
                "{}:{}: {}",
                source.path,
                number + 1,
                line.trim()
            );
        }
    }
}

#[test]
fn the_reader_of_imports_reads_them() {
    let source = |path: &[&str]| Source {
        path: String::new(),
        layer: path[0].to_owned(),
        module: path.iter().map(|part| (*part).to_owned()).collect(),
        lines: Vec::new(),
    };
    let inner = source(&["shard", "conn"]);
    assert_eq!(named(&inner, "use crate::server::Server;"), ["server"]);
    assert_eq!(named(&inner, "use super::entry::Entry;"), ["shard"]);
    assert_eq!(named(&inner, "use super::super::server::Server;"), ["server"]);
    assert_eq!(named(&source(&["shard"]), "use super::server::Server;"), ["server"]);
    assert!(named(&inner, "let x = supervisor::y();").is_empty());
    assert!(mentions("use polling::Poller;", "polling") && !mentions("epolling::x", "polling"));
}
