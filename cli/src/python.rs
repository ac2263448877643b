//! Values as Python prints them: the AWS CLI's text output, tables and messages
//! show `str()` and `repr()` of what they are about.

use std::fmt::Write as _;

use serde_json::Value;

/// `str(value)`.
pub(crate) fn str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)`.
pub(crate) fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => self::number(number),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{}: {}", quoted(name), repr(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// The name of the value's Python type.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// `bool(value)`.
pub(crate) fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// A number in the notation that Python's `repr` and `json` choose.
pub(crate) fn number(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => self::float(float),
        _ => number.to_string(),
    }
}

/// Rust switches to exponents where Python does, but writes `1e16` for `1e+16`.
fn float(float: f64) -> String {
    let text = format!("{float:?}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// `int(text)` of Python: white space around, a sign and single underscores
/// between digits are allowed. More digits than fit saturate.
///
/// # Errors
/// The message of Python's `ValueError`.
pub(crate) fn int(text: &str) -> Result<i64, String> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let written = digits
        .split('_')
        .all(|group| !group.is_empty() && group.bytes().all(|digit| digit.is_ascii_digit()));
    if !written {
        let quoted = quoted(text);
        return Err(format!("invalid literal for int() with base 10: {quoted}"));
    }
    let bound = if trimmed.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    Ok(trimmed.replace('_', "").parse().unwrap_or(bound))
}

/// `repr` of a string: single quotes, unless the text has some and no double ones.
pub(crate) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for character in text.chars() {
        push_escaped(&mut out, character, quote);
    }
    out.push(quote);
    out
}

fn push_escaped(out: &mut String, character: char, quote: char) {
    match character {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if character == quote => {
            out.push('\\');
            out.push(quote);
        }
        _ if character.is_control() => {
            // Writing into a string cannot fail.
            let _ = write!(out, "\\x{:02x}", u32::from(character));
        }
        _ => out.push(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_read_as_in_python() {
        for (value, str, repr) in [
            (json!("it's"), "it's", "\"it's\""),
            (json!("a\nb'\""), "a\nb'\"", "'a\\nb\\'\"'"),
            (json!(null), "None", "None"),
            (json!(true), "True", "True"),
            (json!(1.0), "1.0", "1.0"),
            (json!(1e16), "1e+16", "1e+16"),
            (json!(1.5e-5), "1.5e-05", "1.5e-05"),
            (json!(0.0001), "0.0001", "0.0001"),
            (json!([1, "a"]), "[1, 'a']", "[1, 'a']"),
            (
                json!({"b": {}, "a": []}),
                "{'b': {}, 'a': []}",
                "{'b': {}, 'a': []}",
            ),
        ] {
            assert_eq!(
                (self::str(&value).as_str(), self::repr(&value).as_str()),
                (str, repr)
            );
        }
    }

    #[test]
    fn whole_numbers_are_read_as_by_python() {
        for (text, number) in [(" 2 ", 2), ("-3", -3), ("+1_000", 1000)] {
            assert_eq!(int(text), Ok(number));
        }
        for text in ["", "1__0", "_1", "1.0", "- 1", "x", "0x1"] {
            assert!(int(text).is_err(), "{text}");
        }
        assert_eq!(int("99999999999999999999"), Ok(i64::MAX));
    }
}
