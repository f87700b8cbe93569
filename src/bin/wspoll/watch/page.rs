//! The pages: one that shows a file, and the list of files.

use wspoll::Response;

use super::files::{File, Files};
use crate::web;

/// The page of a file. What stands in braces is replaced.
const VIEW: &str = include_str!("view.html");
/// The list of files.
const LIST: &str = include_str!("list.html");
/// What the pages may do: run the script and the style that stand in them, and connect to this server.
/// tests/watch_page.rs compares the hashes with the pages and says what they must be.
const VIEW_POLICY: &str = "default-src 'none'; \
    script-src 'sha256-rEtd+KfVU+pcuj1YMI2xlrmQqcX55Pr2eP0h5XQ/698='; \
    style-src 'sha256-ZbxVr12/XbkUo4miPzRPGBvQmGl4PSKtreYzAZqxB7g='; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const LIST_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-sekE+vRwodeUW77WaXfTaAmeBv139fAjLyedEjApL2c='; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page of a file, with its content and when that was changed, so that it need not be sent once more.
pub(super) fn view(file: &File, has_list: bool) -> Response {
    let (text, modified) = file.show(|shown| (escape(&shown.text), shown.modified));
    let link = if has_list { r#"<a href="/">All files</a>"# } else { "" };
    let modified = modified.map_or(String::new(), |modified| format!("{modified:x}"));
    let page = fill(
        VIEW,
        &[("name", &escape(file.name())), ("list", link), ("modified", &modified), ("text", &text)],
    );
    web::page(page, VIEW_POLICY)
}

/// The list of files.
pub(super) fn list(files: &Files) -> Response {
    let mut items = String::new();
    for file in files.iter() {
        let query: String = form_urlencoded::byte_serialize(file.name().as_bytes()).collect();
        items += &format!("<li><a href=\"/?file={query}\">{}</a></li>\n", escape(file.name()));
    }
    web::page(fill(LIST, &[("items", &items)]), LIST_POLICY)
}

/// Puts values where `{{name}}` stands. One pass, so that no value is looked into.
fn fill(page: &str, values: &[(&str, &str)]) -> String {
    let mut parts = page.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let value = part.split_once("}}").and_then(|(name, rest)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, rest))
        });
        match value {
            Some((value, rest)) => filled.extend([value, rest]),
            None => filled.extend(["{{", part]),
        }
    }
    filled
}

/// Text as HTML, in elements and in quoted attributes. A carriage return would be read as the end of a line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\r' => escaped += "&#13;",
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{LIST, VIEW, escape, fill};

    #[test]
    fn values_are_put_in_once() {
        assert_eq!(
            fill("a {{x}} b {{y}} {{z}}", &[("x", "{{y}}"), ("y", "2")]),
            "a {{y}} b 2 {{z}}"
        );
        let names = [("name", ""), ("list", ""), ("modified", ""), ("text", ""), ("items", "")];
        assert!(!fill(VIEW, &names).contains("{{") && !fill(LIST, &names).contains("{{"));
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("<a href=\"x\">&\r\n'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#13;\n'");
    }
}
