//! Literals between backticks.

use serde_json::Value;

/// Puts quotes around literals that are no JSON: `` `foo` `` is an old way to
/// write `` `"foo"` `` that the AWS CLI still takes.
pub(super) fn quote_bare(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression;
    while let Some(start) = rest.find(['`', '\'', '"']) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let Some(length) = delimited(from) else {
            rest = from;
            break;
        };
        let (token, after) = from.split_at(length);
        match quoted(token) {
            Some(quoted) => out.push_str(&quoted),
            None => out.push_str(token),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The literal that stands at `offset` of the expression, its members in order.
pub(super) fn at(expression: &str, offset: usize) -> Option<Value> {
    let from = expression.get(offset..)?;
    let token = from.get(..delimited(from)?)?;
    serde_json::from_str(&contents(token)?).ok()
}

/// The length of the token between delimiters that `text` begins with.
fn delimited(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    let (_, delimiter) = characters.next()?;
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == delimiter {
            return Some(at + 1);
        }
    }
    None
}

fn quoted(token: &str) -> Option<String> {
    let contents = contents(token)?;
    if serde_json::from_str::<Value>(&contents).is_ok() {
        return None;
    }
    let quoted = format!("\"{}\"", contents.trim_start());
    serde_json::from_str::<Value>(&quoted).ok()?;
    Some(format!("`{}`", quoted.replace('`', "\\`")))
}

/// What stands between backticks.
fn contents(token: &str) -> Option<String> {
    let contents = token.strip_prefix('`')?.strip_suffix('`')?;
    Some(contents.replace("\\`", "`"))
}
