//! The functions of JMESPath, with the messages of Python's jmespath.

use jmespath::ast::Ast;
use serde_json::{Map, Value};

use super::eval::{Evaluator, order};
use super::number::{Exact, equal};
use crate::output::compact_ascii;
use crate::python;

/// What a function takes: the types of each argument, none for any. The last one
/// repeats if `variadic`.
struct Signature {
    arguments: &'static [&'static [&'static str]],
    variadic: bool,
}

const fn takes(arguments: &'static [&'static [&'static str]]) -> Signature {
    Signature {
        arguments,
        variadic: false,
    }
}

fn signature(name: &str) -> Option<Signature> {
    const ANY: &[&str] = &[];
    Some(match name {
        "abs" | "ceil" | "floor" => takes(&[&["number"]]),
        "avg" | "sum" => takes(&[&["array-number"]]),
        "contains" => takes(&[&["array", "string"], ANY]),
        "starts_with" | "ends_with" => takes(&[&["string"], &["string"]]),
        "join" => takes(&[&["string"], &["array-string"]]),
        "keys" | "values" => takes(&[&["object"]]),
        "length" => takes(&[&["string", "array", "object"]]),
        "map" => takes(&[&["expref"], &["array"]]),
        "max" | "min" => takes(&[&["array-number", "array-string"]]),
        "max_by" | "min_by" | "sort_by" => takes(&[&["array"], &["expref"]]),
        "merge" => Signature {
            arguments: &[&["object"]],
            variadic: true,
        },
        "not_null" => Signature {
            arguments: &[ANY],
            variadic: true,
        },
        "reverse" => takes(&[&["array", "string"]]),
        "sort" => takes(&[&["array-string", "array-number"]]),
        "to_array" | "to_number" | "to_string" | "type" => takes(&[ANY]),
        _ => return None,
    })
}

/// An evaluated argument.
enum Argument<'a> {
    Value(Value),
    Expression(&'a Ast),
}

impl Argument<'_> {
    /// As JMESPath names it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Value(value) => kind(value),
            Self::Expression(_) => "expref",
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Value(value) => python::str(value),
            Self::Expression(_) => "an expression".to_owned(),
        }
    }
}

/// Calls a function by its name.
pub(super) fn call(
    evaluator: &Evaluator<'_>,
    name: &str,
    arguments: &[Ast],
    value: &Value,
) -> Result<Value, String> {
    let arguments = arguments.iter().map(|argument| match argument {
        Ast::Expref { ast, .. } => Ok(Argument::Expression(ast)),
        other => evaluator.eval(other, value).map(Argument::Value),
    });
    let arguments: Vec<_> = arguments.collect::<Result<_, _>>()?;
    let signature = signature(name).ok_or_else(|| format!("Unknown function: {name}()"))?;
    check_count(name, &signature, arguments.len())?;
    for (index, argument) in arguments.iter().enumerate() {
        let types = signature
            .arguments
            .get(index)
            .or(signature.arguments.last());
        check_type(name, argument, types.copied().unwrap_or_default())?;
    }
    apply(evaluator, name, arguments)
}

fn check_count(name: &str, signature: &Signature, given: usize) -> Result<(), String> {
    let expected = signature.arguments.len();
    let (fits, at_least) = match signature.variadic {
        true => (given >= expected, "at least "),
        false => (given == expected, ""),
    };
    if fits {
        return Ok(());
    }
    let plural = if expected == 1 { "" } else { "s" };
    Err(format!(
        "Expected {at_least}{expected} argument{plural} for function {name}(), received {given}"
    ))
}

fn check_type(name: &str, argument: &Argument<'_>, types: &[&str]) -> Result<(), String> {
    let kind = argument.kind();
    let base = |wanted: &&str| wanted.split('-').next() == Some(kind);
    if types.is_empty() {
        return Ok(());
    }
    if !types.iter().any(base) {
        return Err(wrong_type(name, &argument.shown(), types, kind));
    }
    let elements: Vec<&str> = types
        .iter()
        .filter_map(|wanted| wanted.strip_prefix("array-"))
        .collect();
    let Argument::Value(Value::Array(items)) = argument else {
        return Ok(());
    };
    let Some((first, allowed)) = items.first().filter(|_| !elements.is_empty()).map(|first| {
        let matching = elements
            .iter()
            .copied()
            .find(|element| *element == self::kind(first));
        (first, matching)
    }) else {
        return Ok(());
    };
    let wrong = match allowed {
        Some(allowed) => items.iter().find(|item| self::kind(item) != allowed),
        None => Some(first),
    };
    wrong.map_or(Ok(()), |item| {
        Err(wrong_type(
            name,
            &python::str(item),
            types,
            python::type_name(item),
        ))
    })
}

fn wrong_type(name: &str, value: &str, types: &[&str], received: &str) -> String {
    let types: Vec<_> = types.iter().map(|wanted| format!("'{wanted}'")).collect();
    format!(
        "In function {name}(), invalid type for value: {value}, expected one of: [{}], received: \"{received}\"",
        types.join(", ")
    )
}

/// The name of the value's type in JMESPath.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn apply(
    evaluator: &Evaluator<'_>,
    name: &str,
    arguments: Vec<Argument<'_>>,
) -> Result<Value, String> {
    let mut values = Vec::new();
    let mut expression = None;
    for argument in arguments {
        match argument {
            Argument::Value(value) => values.push(value),
            Argument::Expression(ast) => expression = Some(ast),
        }
    }
    let by = |item: &Value| match expression {
        Some(ast) => evaluator.eval(ast, item),
        None => Ok(Value::Null),
    };
    match (name, values.as_mut_slice()) {
        ("map", [Value::Array(items)]) => Ok(Value::Array(
            items.iter().map(by).collect::<Result<_, _>>()?,
        )),
        ("sort_by", [Value::Array(items)]) => sort_by(items, by),
        ("min_by", [Value::Array(items)]) => extreme_by(name, items, by, "<"),
        ("max_by", [Value::Array(items)]) => extreme_by(name, items, by, ">"),
        ("not_null", values) => {
            let value = values.iter_mut().find(|value| !value.is_null());
            Ok(value.map_or(Value::Null, Value::take))
        }
        ("merge", values) => Ok(merge(values)),
        ("contains", [subject, search]) => contains(subject, search),
        (name, [Value::Array(items)]) => Ok(of_list(name, items)?),
        (_, [Value::String(separator), Value::Array(items)]) => {
            let texts: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            Ok(texts.join(separator).into())
        }
        ("starts_with", [Value::String(text), Value::String(part)]) => {
            Ok(text.starts_with(part.as_str()).into())
        }
        (_, [Value::String(text), Value::String(part)]) => Ok(text.ends_with(part.as_str()).into()),
        (name, [value]) => Ok(of_one(name, value)),
        _ => Ok(Value::Null),
    }
}

fn of_list(name: &str, items: &mut Vec<Value>) -> Result<Value, String> {
    Ok(match name {
        "avg" if items.is_empty() => Value::Null,
        "avg" => {
            #[expect(clippy::cast_precision_loss, reason = "as Python rounds")]
            let count = items.len() as f64;
            Exact::Float(sum(items).float() / count).value()
        }
        "sum" => sum(items).value(),
        "max" => extreme_by(name, items, |item| Ok(item.clone()), ">")?,
        "min" => extreme_by(name, items, |item| Ok(item.clone()), "<")?,
        "sort" => sort_by(items, |item| Ok(item.clone()))?,
        "reverse" => {
            items.reverse();
            Value::Array(std::mem::take(items))
        }
        "length" => items.len().into(),
        "to_array" => Value::Array(std::mem::take(items)),
        "to_string" => compact_ascii(&Value::Array(std::mem::take(items))).into(),
        "type" => "array".into(),
        _ => Value::Null,
    })
}

fn of_one(name: &str, value: &mut Value) -> Value {
    match (name, &*value) {
        ("type", value) => kind(value).into(),
        ("to_array", value) => Value::Array(vec![value.clone()]),
        ("to_number", Value::Number(_)) | ("to_string", Value::String(_)) => value.take(),
        ("to_number", Value::String(text)) => to_number(text),
        ("to_string", value) => compact_ascii(value).into(),
        ("abs", Value::Number(number)) => Exact::of(number).abs().value(),
        ("ceil", Value::Number(number)) => Exact::of(number).rounded(f64::ceil).value(),
        ("floor", Value::Number(number)) => Exact::of(number).rounded(f64::floor).value(),
        ("length", Value::String(text)) => text.chars().count().into(),
        ("length", Value::Object(members)) => members.len().into(),
        ("reverse", Value::String(text)) => text.chars().rev().collect::<String>().into(),
        ("keys", Value::Object(members)) => {
            Value::Array(members.keys().map(|name| name.as_str().into()).collect())
        }
        ("values", Value::Object(members)) => Value::Array(members.values().cloned().collect()),
        _ => Value::Null,
    }
}

fn sum(items: &[Value]) -> Exact {
    let numbers = items.iter().filter_map(Value::as_number).map(Exact::of);
    numbers.fold(Exact::Whole(0), Exact::add)
}

fn to_number(text: &str) -> Value {
    match python::int(text) {
        Ok(whole) => whole.into(),
        Err(_) => text
            .trim()
            .parse()
            .map_or(Value::Null, |float| Exact::Float(float).value()),
    }
}

fn merge(objects: &mut [Value]) -> Value {
    let mut merged = Map::new();
    for members in objects.iter_mut().filter_map(Value::as_object_mut) {
        merged.extend(std::mem::take(members));
    }
    Value::Object(merged)
}

fn contains(subject: &Value, search: &Value) -> Result<Value, String> {
    match (subject, search) {
        (Value::Array(items), search) => Ok(items.iter().any(|item| equal(item, search)).into()),
        (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str()).into()),
        (_, search) => Err(format!(
            "'in <string>' requires string as left operand, not {}",
            python::type_name(search)
        )),
    }
}

/// The keys of the items, which must all be of one of the types.
fn keys(
    name: &str,
    items: &[Value],
    by: impl Fn(&Value) -> Result<Value, String>,
    types: &[&str],
) -> Result<Vec<Value>, String> {
    let keys = items.iter().map(|item| {
        let key = by(item)?;
        if types.contains(&kind(&key)) {
            return Ok(key);
        }
        Err(wrong_type(name, &python::str(&key), types, kind(&key)))
    });
    keys.collect()
}

fn sort_by(
    items: &mut Vec<Value>,
    by: impl Fn(&Value) -> Result<Value, String>,
) -> Result<Value, String> {
    let items = std::mem::take(items);
    let Some(first) = items.first() else {
        return Ok(Value::Array(items));
    };
    let required = kind(&by(first)?);
    if !["number", "string"].contains(&required) {
        let types = ["string", "number"];
        return Err(wrong_type("sort_by", &python::str(first), &types, required));
    }
    let keys = keys("sort_by", &items, by, &[required])?;
    let mut keyed: Vec<_> = keys.into_iter().zip(items).collect();
    // All keys are of one type, so that each pair has an order.
    keyed.sort_by(|(left, _), (right, _)| {
        order(left, right, "<").unwrap_or(std::cmp::Ordering::Equal)
    });
    Ok(Value::Array(
        keyed.into_iter().map(|(_, item)| item).collect(),
    ))
}

/// The first item whose key is not beaten.
fn extreme_by(
    name: &str,
    items: &mut Vec<Value>,
    by: impl Fn(&Value) -> Result<Value, String>,
    operator: &str,
) -> Result<Value, String> {
    let items = std::mem::take(items);
    let keys = keys(name, &items, by, &["number", "string"])?;
    let mut best = 0;
    for (index, key) in keys.iter().enumerate().skip(1) {
        let ordering = order(key, &keys[best], operator)?;
        let beats = if operator == "<" {
            ordering.is_lt()
        } else {
            ordering.is_gt()
        };
        if beats {
            best = index;
        }
    }
    Ok(items.into_iter().nth(best).unwrap_or_default())
}
