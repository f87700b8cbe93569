//! What cbindgen writes, in the order of the source: it puts all constants, all types and all functions together, which
//! is no order to read in.

use std::fs;
use std::path::PathBuf;

/// Longest line of a comment.
const WIDTH: usize = 100;

/// A declaration and its comment.
struct Item {
    /// Lines of the comment without its marks.
    comment: Vec<String>,
    declaration: String,
}

pub(crate) fn header(raw: &str, files: &[PathBuf], page: &str, macros: &str) -> String {
    let mut items = items(raw.strip_prefix(page).unwrap_or(raw), macros);
    let mut out = format!(
        "{page}\n#ifndef WSPOLL_H\n#define WSPOLL_H\n\n#include <stdbool.h>\n#include <stddef.h>\n\
         #include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n"
    );
    banner(&mut out, "Handles: what they stand for is the library's business.");
    let (handles, rest) = items.into_iter().partition::<Vec<_>, _>(Item::is_handle);
    items = rest;
    handles.iter().for_each(|item| item.write(&mut out));
    for file in files {
        let source = fs::read_to_string(file).expect("a source file");
        let mut here = Vec::new();
        let mut elsewhere = Vec::new();
        for item in items {
            match place(&item, &source) {
                Some(at) => here.push((at, item)),
                None => elsewhere.push(item),
            }
        }
        items = elsewhere;
        here.sort_by_key(|(at, _)| *at);
        if here.is_empty() {
            continue;
        }
        banner(&mut out, &title(&source));
        let mut after_constant = false;
        for (_, item) in &here {
            // Constants stand close together where what is said of each fits a line.
            if after_constant && item.is_constant() && out.ends_with("\n\n") {
                out.pop();
            }
            item.write(&mut out);
            after_constant = item.is_constant();
        }
        if file.ends_with("version.rs") {
            out.push_str(macros);
            out.push('\n');
        }
    }
    let left: Vec<_> = items.iter().map(|item| &item.declaration).collect();
    assert!(left.is_empty(), "declared nowhere in src/ffi: {left:?}");
    out.push_str("#ifdef __cplusplus\n}\n#endif\n\n#endif /* WSPOLL_H */\n");
    plain(&out.replace("typedef ptrdiff_t wsp_fd;", "typedef intptr_t wsp_fd;"))
}

/// Every struct has a typedef, so `struct` is only said where one is defined.
fn plain(header: &str) -> String {
    let mut out = String::with_capacity(header.len());
    for line in header.lines() {
        match line.starts_with("typedef struct ") {
            true => out.push_str(line),
            false => out.push_str(&line.replace("struct wsp_", "wsp_")),
        }
        out.push('\n');
    }
    out
}

/// The first line of a file's description.
fn title(source: &str) -> String {
    let line = source.lines().next().and_then(|line| line.strip_prefix("//! "));
    line.expect("a description").to_owned()
}

fn banner(out: &mut String, title: &str) {
    let rule = "-".repeat(WIDTH - 5);
    out.push_str(&format!("\n/* {rule}\n * {title}\n * {rule} */\n\n"));
}

/// Takes cbindgen's output apart.
fn items(raw: &str, macros: &str) -> Vec<Item> {
    let raw = raw.replace(macros, "");
    let mut items = Vec::new();
    let mut comment = Vec::new();
    let mut declaration = String::new();
    let (mut in_comment, mut depth) = (false, 0_i32);
    for line in raw.lines() {
        if declaration.is_empty() && !in_comment && line == "/*" {
            (in_comment, comment) = (true, Vec::new());
        } else if in_comment && line.trim() == "*/" {
            in_comment = false;
        } else if in_comment {
            comment.push(line.strip_prefix(' ').unwrap_or(line).to_owned());
        } else if !line.is_empty() || !declaration.is_empty() {
            depth += line.matches('{').count() as i32 - line.matches('}').count() as i32;
            declaration.push_str(line);
            declaration.push('\n');
            let is_whole = depth == 0 && (line.ends_with(';') || line.starts_with('#'));
            if is_whole {
                let comment = std::mem::take(&mut comment);
                items.push(Item { comment, declaration: std::mem::take(&mut declaration) });
            }
        }
    }
    assert!(declaration.is_empty(), "not understood: {declaration}");
    items
}

/// Where an item is defined in a source, if it is.
fn place(item: &Item, source: &str) -> Option<usize> {
    let name = item.name();
    let ends = |at: usize, word: &str| {
        let next = source[at + word.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    ["pub const ", "pub type ", "pub struct ", "extern \"C\" fn "].iter().find_map(|keyword| {
        let word = format!("{keyword}{name}");
        source.match_indices(&word).map(|(at, _)| at).find(|at| ends(*at, &word))
    })
}

impl Item {
    fn is_constant(&self) -> bool {
        self.declaration.starts_with("#define ")
    }

    fn is_handle(&self) -> bool {
        self.declaration.starts_with("typedef struct ") && !self.declaration.contains('{')
    }

    fn name(&self) -> &str {
        let text = self.declaration.trim_end();
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let last_word = |text: &str| text.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
        if let Some(rest) = text.strip_prefix("#define ") {
            return &text[8..8 + rest.find(' ').unwrap_or(rest.len())];
        }
        if let Some(at) = text.find("(*") {
            let name = &text[at + 2..];
            return &name[..name.find(')').expect("a function's type")];
        }
        let head = match text.strip_prefix("typedef ") {
            Some(_) => text.trim_end_matches(';'),
            None => &text[..text.find('(').expect("a function")],
        };
        &head[last_word(head)..]
    }

    fn write(&self, out: &mut String) {
        comment(out, "", &self.comment);
        out.push_str(&fields(&self.declaration));
        out.push('\n');
    }
}

/// A declaration whose fields' comments are put into shape.
fn fields(declaration: &str) -> String {
    let mut out = String::new();
    let mut inside: Option<Vec<String>> = None;
    for line in declaration.lines() {
        match &mut inside {
            None if line == "    /*" => inside = Some(Vec::new()),
            None => out.push_str(&format!("{line}\n")),
            Some(text) if line.trim() == "*/" => {
                comment(&mut out, "    ", text);
                inside = None;
            }
            Some(text) => text.push(line.trim().to_owned()),
        }
    }
    out
}

/// Writes a comment: in one line if it fits, else wrapped.
fn comment(out: &mut String, indent: &str, text: &[String]) {
    let lines = wrap(text, WIDTH - indent.len() - 3);
    match lines.as_slice() {
        [] => {}
        [line] if indent.len() + line.len() + 7 <= WIDTH => {
            out.push_str(&format!("{indent}/** {line} */\n"));
        }
        lines => {
            out.push_str(&format!("{indent}/**\n"));
            for line in lines {
                out.push_str(format!("{indent} * {line}").trim_end());
                out.push('\n');
            }
            out.push_str(&format!("{indent} */\n"));
        }
    }
}

/// Rustdoc as C programmers write: headings become words with a colon, lines are broken anew.
fn wrap(text: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut paragraph = String::new();
    let flush = |paragraph: &mut String, lines: &mut Vec<String>| {
        let hanging = if paragraph.starts_with("- ") { "  " } else { "" };
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > width {
                lines.push(std::mem::replace(&mut line, hanging.trim_end().to_owned()));
                line.push_str(hanging);
                line.push_str(word);
            } else {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        paragraph.clear();
    };
    let mut after_heading = false;
    for line in text {
        let line = line.trim();
        let heading = match line {
            "# Errors" => Some("Errors:"),
            "# Safety" => Some("The caller sees to it that:"),
            _ => None,
        };
        if let Some(heading) = heading {
            flush(&mut paragraph, &mut lines);
            lines.push(heading.to_owned());
            after_heading = true;
        } else if line.is_empty() {
            flush(&mut paragraph, &mut lines);
            if !after_heading && lines.last().is_some_and(|line| !line.is_empty()) {
                lines.push(String::new());
            }
        } else {
            after_heading = false;
            if line.starts_with("- ") {
                flush(&mut paragraph, &mut lines);
            } else if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line);
        }
    }
    flush(&mut paragraph, &mut lines);
    lines
}
