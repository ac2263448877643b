//! JSON as Python's `json.dumps` writes it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::python;

/// Indented by four, followed by a line end. An empty object prints nothing.
pub(crate) fn render(value: &Value) -> String {
    if value.as_object().is_some_and(serde_json::Map::is_empty) {
        return String::new();
    }
    let mut out = String::new();
    write(&mut out, value, Layout::Indented(0));
    out.push('\n');
    out
}

/// Without spaces, everything but ASCII escaped.
pub(crate) fn compact_ascii(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, Layout::CompactAscii);
    out
}

#[derive(Clone, Copy)]
enum Layout {
    /// At this level.
    Indented(usize),
    CompactAscii,
}

impl Layout {
    fn inner(self) -> Self {
        match self {
            Self::Indented(level) => Self::Indented(level + 1),
            Self::CompactAscii => Self::CompactAscii,
        }
    }

    fn line(self, out: &mut String) {
        if let Self::Indented(level) = self {
            out.push('\n');
            out.extend(std::iter::repeat_n("    ", level));
        }
    }

    fn colon(self) -> &'static str {
        match self {
            Self::Indented(_) => ": ",
            Self::CompactAscii => ":",
        }
    }
}

fn write(out: &mut String, value: &Value, layout: Layout) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&python::number(number)),
        Value::String(text) => write_text(out, text, layout),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                next(out, index, layout.inner());
                write(out, item, layout.inner());
            }
            layout.line(out);
            out.push(']');
        }
        Value::Object(members) if members.is_empty() => out.push_str("{}"),
        Value::Object(members) => {
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                next(out, index, layout.inner());
                write_text(out, name, layout);
                out.push_str(layout.colon());
                write(out, value, layout.inner());
            }
            layout.line(out);
            out.push('}');
        }
    }
}

fn next(out: &mut String, index: usize, layout: Layout) {
    if index > 0 {
        out.push(',');
    }
    layout.line(out);
}

fn write_text(out: &mut String, text: &str, layout: Layout) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..'\u{20}' => escape(out, character),
            '\u{7f}'.. if matches!(layout, Layout::CompactAscii) => escape(out, character),
            _ => out.push(character),
        }
    }
    out.push('"');
}

fn escape(out: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        // Writing into a string cannot fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_laid_out_as_by_python() {
        let value = json!({"b": [], "a": {"x": [1, 1e16]}, "\u{e9}\u{1}\u{7f}": "\u{1f600}"});
        let expected = "{\n    \"b\": [],\n    \"a\": {\n        \"x\": [\n            1,\n            \
             1e+16\n        ]\n    },\n    \"\u{e9}\\u0001\u{7f}\": \"\u{1f600}\"\n}\n";
        assert_eq!(render(&value), expected);
        let expected = r#"{"b":[],"a":{"x":[1,1e+16]},"\u00e9\u0001\u007f":"\ud83d\ude00"}"#;
        assert_eq!(compact_ascii(&value), expected);
    }

    #[test]
    fn only_an_empty_object_prints_nothing() {
        assert_eq!(render(&json!({})), "");
        assert_eq!(render(&json!([])), "[]\n");
        assert_eq!(render(&json!(null)), "null\n");
        assert_eq!(render(&json!("")), "\"\"\n");
    }
}
