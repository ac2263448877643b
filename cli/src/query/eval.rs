//! Evaluates expressions as Python's jmespath does.

use std::cmp::Ordering;

use jmespath::ast::{Ast, Comparator, KeyValuePair};
use jmespath::{Rcvar, Variable};
use serde_json::{Map, Value};

use super::number::{Exact, equal};
use super::{functions, literal};
use crate::python;

/// Evaluates the nodes of one expression.
pub(super) struct Evaluator<'a> {
    /// The text of the expression, which literals are read from again.
    pub(super) source: &'a str,
}

impl Evaluator<'_> {
    pub(super) fn eval(&self, ast: &Ast, value: &Value) -> Result<Value, String> {
        match ast {
            Ast::Identity { .. } => Ok(value.clone()),
            Ast::Field { name, .. } => Ok(value.get(name).cloned().unwrap_or_default()),
            Ast::Index { idx, .. } => Ok(index(value, *idx)),
            Ast::Slice {
                start, stop, step, ..
            } => slice(value, *start, *stop, *step),
            Ast::Literal { value, offset } => {
                let read = literal::at(self.source, *offset);
                Ok(read.unwrap_or_else(|| plain(value)))
            }
            Ast::Subexpr { lhs, rhs, .. } => {
                let left = self.eval(lhs, value)?;
                self.eval(rhs, &left)
            }
            Ast::And { lhs, rhs, .. } => {
                let left = self.eval(lhs, value)?;
                if is_true(&left) {
                    self.eval(rhs, value)
                } else {
                    Ok(left)
                }
            }
            Ast::Or { lhs, rhs, .. } => {
                let left = self.eval(lhs, value)?;
                if is_true(&left) {
                    Ok(left)
                } else {
                    self.eval(rhs, value)
                }
            }
            Ast::Not { node, .. } => Ok(Value::Bool(!is_true(&self.eval(node, value)?))),
            Ast::Condition {
                predicate, then, ..
            } => {
                let holds = is_true(&self.eval(predicate, value)?);
                if holds {
                    self.eval(then, value)
                } else {
                    Ok(Value::Null)
                }
            }
            Ast::Comparison {
                comparator,
                lhs,
                rhs,
                ..
            } => {
                let (left, right) = (self.eval(lhs, value)?, self.eval(rhs, value)?);
                compare(comparator, &left, &right)
            }
            Ast::Projection { lhs, rhs, .. } => self.project(lhs, rhs, value),
            Ast::Flatten { node, .. } => Ok(flatten(self.eval(node, value)?)),
            Ast::ObjectValues { node, .. } => Ok(match self.eval(node, value)? {
                Value::Object(members) => Value::Array(members.into_values().collect()),
                _ => Value::Null,
            }),
            Ast::MultiList { elements, .. } => self.list(elements, value),
            Ast::MultiHash { elements, .. } => self.hash(elements, value),
            Ast::Function { name, args, .. } => functions::call(self, name, args, value),
            Ast::Expref { .. } => Err("An expression reference is no value to print".to_owned()),
        }
    }

    fn project(&self, lhs: &Ast, rhs: &Ast, value: &Value) -> Result<Value, String> {
        let Value::Array(items) = self.eval(lhs, value)? else {
            return Ok(Value::Null);
        };
        let mut projected = Vec::new();
        for item in &items {
            match self.eval(rhs, item)? {
                Value::Null => {}
                selected => projected.push(selected),
            }
        }
        Ok(Value::Array(projected))
    }

    fn list(&self, elements: &[Ast], value: &Value) -> Result<Value, String> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        let items = elements.iter().map(|element| self.eval(element, value));
        Ok(Value::Array(items.collect::<Result<_, _>>()?))
    }

    fn hash(&self, elements: &[KeyValuePair], value: &Value) -> Result<Value, String> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        let mut members = Map::new();
        for element in elements {
            members.insert(element.key.clone(), self.eval(&element.value, value)?);
        }
        Ok(Value::Object(members))
    }
}

/// Everything is, but for what is empty, null and false.
fn is_true(value: &Value) -> bool {
    value.is_number() || python::is_truthy(value)
}

fn index(value: &Value, index: i32) -> Value {
    let Value::Array(items) = value else {
        return Value::Null;
    };
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    let place = if index < 0 {
        items.len().checked_sub(distance)
    } else {
        Some(distance)
    };
    let item = place.and_then(|place| items.get(place));
    item.cloned().unwrap_or_default()
}

/// Python's `value[start:stop:step]`.
fn slice(value: &Value, start: Option<i32>, stop: Option<i32>, step: i32) -> Result<Value, String> {
    let Value::Array(items) = value else {
        return Ok(Value::Null);
    };
    let step = i64::from(step);
    if step == 0 {
        return Err("slice step cannot be zero".to_owned());
    }
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let (lowest, highest) = if step > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let place = |given: Option<i32>, absent: i64| {
        given.map_or(absent, |given| {
            let given = i64::from(given);
            let place = if given < 0 { given + length } else { given };
            place.clamp(lowest, highest)
        })
    };
    let (first, last) = if step > 0 {
        (lowest, highest)
    } else {
        (highest, lowest)
    };
    let (mut at, stop) = (place(start, first), place(stop, last));
    let mut sliced = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        let item = usize::try_from(at).ok().and_then(|at| items.get(at));
        sliced.extend(item.cloned());
        at += step;
    }
    Ok(Value::Array(sliced))
}

fn flatten(value: Value) -> Value {
    let Value::Array(items) = value else {
        return Value::Null;
    };
    let flat = items.into_iter().flat_map(|item| match item {
        Value::Array(items) => items,
        other => vec![other],
    });
    Value::Array(flat.collect())
}

fn compare(comparator: &Comparator, left: &Value, right: &Value) -> Result<Value, String> {
    let holds: fn(Ordering) -> bool = match comparator {
        Comparator::Equal => return Ok(Value::Bool(equal(left, right))),
        Comparator::NotEqual => return Ok(Value::Bool(!equal(left, right))),
        Comparator::LessThan => Ordering::is_lt,
        Comparator::LessThanEqual => Ordering::is_le,
        Comparator::GreaterThan => Ordering::is_gt,
        Comparator::GreaterThanEqual => Ordering::is_ge,
    };
    let comparable = |value: &Value| value.is_number() || value.is_string();
    if !comparable(left) || !comparable(right) {
        return Ok(Value::Null);
    }
    let operator = match comparator {
        Comparator::LessThan => "<",
        Comparator::LessThanEqual => "<=",
        Comparator::GreaterThan => ">",
        _ => ">=",
    };
    order(left, right, operator).map(|ordering| Value::Bool(holds(ordering)))
}

/// The order of two numbers or two texts.
///
/// # Errors
/// Python's message for anything else.
pub(super) fn order(left: &Value, right: &Value, operator: &str) -> Result<Ordering, String> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            Ok(Exact::of(left).compare(Exact::of(right)))
        }
        (Value::String(left), Value::String(right)) => Ok(left.cmp(right)),
        (left, right) => Err(format!(
            "'{operator}' not supported between instances of '{}' and '{}'",
            python::type_name(left),
            python::type_name(right)
        )),
    }
}

/// A literal of the expression as JSON.
fn plain(value: &Rcvar) -> Value {
    match &**value {
        Variable::Null | Variable::Expref(_) => Value::Null,
        Variable::String(text) => Value::from(text.as_str()),
        Variable::Bool(truth) => Value::from(*truth),
        Variable::Number(number) => Value::Number(number.clone()),
        Variable::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Variable::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)));
            Value::Object(members.collect())
        }
    }
}
