//! What holds for any text and any value.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::parse;

/// Writes a value as shorthand, every text in quotes. Inside brackets all is
/// explicit, so that a list of one stays a list.
fn shorthand(members: &Map<String, Value>) -> String {
    let members = members
        .iter()
        .map(|(name, value)| format!("{name}={}", explicit(value)));
    members.collect::<Vec<_>>().join(",")
}

fn explicit(value: &Value) -> String {
    match value {
        Value::Object(members) => format!("{{{}}}", shorthand(members)),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(explicit).collect();
            format!("[{}]", items.join(","))
        }
        Value::String(text) => {
            let escaped = text.replace('\\', r"\\").replace('"', "\\\"");
            format!("\"{escaped}\"")
        }
        scalar => scalar.to_string(),
    }
}

/// Any text but one that ends with a backslash: before a closing quote the grammar
/// has no way to write it.
fn text() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("ends with a backslash", |text| !text.ends_with('\\'))
}

fn key() -> impl Strategy<Value = String> {
    "[-_.#/:A-Za-z0-9]{1,8}"
}

/// Texts, lists and structures, a few levels deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = text().prop_map(Value::from);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(key(), inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn parameters() -> impl Strategy<Value = Map<String, Value>> {
    btree_map(key(), value(), 1..4).prop_map(|members| members.into_iter().collect())
}

/// Texts of what the grammar is made of: closer to what it takes than any text is.
fn near_shorthand() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-c{}\\[\\],='\"\\\\@ \n]",
        Just("a=".to_owned()),
        Just("b@=".to_owned()),
        Just("{\"c\": [1]}".to_owned()),
        any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_value_written_as_shorthand_is_read_as_the_same(parameters in parameters()) {
        let written = shorthand(&parameters);
        let read = parse(&written);
        prop_assert_eq!(read, Ok(Value::Object(parameters)), "{}", written);
    }

    #[test]
    fn what_is_read_is_written_and_read_alike(text in near_shorthand()) {
        let Ok(Value::Object(read)) = parse(&text) else {
            return Ok(());
        };
        prop_assume!(!has_what_cannot_be_written(&Value::Object(read.clone())));
        let written = shorthand(&read);
        prop_assert_eq!(parse(&written), Ok(Value::Object(read)), "{}", written);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), near in near_shorthand()) {
        let _ = parse(&text);
        let _ = parse(&near);
    }
}

/// Numbers and the like, which only JSON inside brings, names that only JSON can
/// have, and texts that end with a backslash.
fn has_what_cannot_be_written(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| {
            !name.chars().all(super::is_key) || has_what_cannot_be_written(value)
        }),
        Value::Array(items) => items.iter().any(has_what_cannot_be_written),
        Value::String(text) => text.ends_with('\\'),
        _ => true,
    }
}
