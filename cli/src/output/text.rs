//! Text: values between tabs, a line for each structure and list.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::python;

/// The answer as text.
pub(crate) fn render(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, None, None);
    out
}

/// `identifier` is the name of the member that holds the value. `columns` are
/// the members that all structures of a list show, in this order.
fn write(out: &mut String, value: &Value, identifier: Option<&str>, columns: Option<&[&str]>) {
    match value {
        Value::Object(members) => write_structure(out, members, identifier, columns),
        Value::Array(items) => write_list(out, items, identifier),
        scalar => {
            out.push_str(&python::str(scalar));
            out.push('\n');
        }
    }
}

fn write_list(out: &mut String, items: &[Value], identifier: Option<&str>) {
    if items.is_empty() {
        return;
    }
    if items.iter().any(Value::is_object) {
        let columns = scalar_members(items);
        for item in items {
            write(out, item, identifier, Some(&columns));
        }
        return;
    }
    let (scalars, others): (Vec<_>, Vec<_>) = items.iter().partition(|item| is_scalar(item));
    if !scalars.is_empty() {
        write_scalars(out, &scalars, identifier);
    }
    for list in others {
        write(out, list, identifier, None);
    }
}

fn write_scalars(out: &mut String, scalars: &[&Value], identifier: Option<&str>) {
    let texts = scalars.iter().map(|scalar| python::str(scalar));
    match identifier {
        Some(identifier) => {
            let identifier = identifier.to_uppercase();
            out.extend(texts.map(|text| format!("{identifier}\t{text}\n")));
        }
        None => {
            out.push_str(&texts.collect::<Vec<_>>().join("\t"));
            out.push('\n');
        }
    }
}

fn write_structure(
    out: &mut String,
    members: &Map<String, Value>,
    identifier: Option<&str>,
    columns: Option<&[&str]>,
) {
    let names: BTreeSet<&str> = members.keys().map(String::as_str).collect();
    let own: Vec<&str>;
    let columns = match columns {
        Some(columns) => columns,
        None => {
            own = names
                .iter()
                .copied()
                .filter(|name| is_scalar(&members[*name]))
                .collect();
            &own
        }
    };
    let mut line: Vec<String> = columns
        .iter()
        .map(|name| members.get(*name).map_or(String::new(), python::str))
        .collect();
    if !line.is_empty() {
        if let Some(identifier) = identifier {
            line.insert(0, identifier.to_uppercase());
        }
        out.push_str(&line.join("\t"));
        out.push('\n');
    }
    for name in names.iter().filter(|name| !columns.contains(name)) {
        write(out, &members[*name], Some(name), None);
    }
}

/// The names of all members that are a scalar in any of the structures, sorted.
fn scalar_members(items: &[Value]) -> Vec<&str> {
    let members = items.iter().filter_map(Value::as_object).flatten();
    let scalars = members.filter(|(_, value)| is_scalar(value));
    let names: BTreeSet<_> = scalars.map(|(name, _)| name.as_str()).collect();
    names.into_iter().collect()
}

fn is_scalar(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_is_that_of_the_aws_cli() {
        for (value, text) in [
            (json!("a"), "a\n"),
            (json!(null), "None\n"),
            (json!([]), ""),
            (json!({}), ""),
            (json!(["a", true, 1.5]), "a\tTrue\t1.5\n"),
            (json!(["a", ["b", "c"], "d"]), "a\td\nb\tc\n"),
            (json!({"b": 1, "a": 2}), "2\t1\n"),
            (json!({"b": 1, "list": ["x", "y"]}), "1\nLIST\tx\nLIST\ty\n"),
            (json!({"session": {"id": "i", "n": 4}}), "SESSION\ti\t4\n"),
            (
                json!([{"a": 1}, {"b": 2, "deep": {"c": 3}}]),
                "1\t\n\t2\nDEEP\t3\n",
            ),
        ] {
            assert_eq!(render(&value), text, "{value}");
        }
    }
}
