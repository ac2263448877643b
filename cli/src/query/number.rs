//! Numbers as in Python: whole ones stay whole, and compare with the others.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// A number without loss: whole, or a float.
#[derive(Clone, Copy, Debug)]
pub(super) enum Exact {
    Whole(i128),
    Float(f64),
}

impl Exact {
    pub(super) fn of(number: &Number) -> Self {
        match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Self::Whole(whole.into()),
            (None, Some(whole)) => Self::Whole(whole.into()),
            (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "as Python rounds")]
    pub(super) fn float(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }

    /// As JSON; null for what JSON cannot say.
    pub(super) fn value(self) -> Value {
        let number = match self {
            Self::Whole(whole) => i64::try_from(whole)
                .map(Number::from)
                .or_else(|_| u64::try_from(whole).map(Number::from))
                .ok(),
            Self::Float(_) => None,
        };
        let number = number.or_else(|| Number::from_f64(self.float()));
        number.map_or(Value::Null, Value::Number)
    }

    pub(super) fn abs(self) -> Self {
        match self {
            Self::Whole(whole) => Self::Whole(whole.abs()),
            Self::Float(float) => Self::Float(float.abs()),
        }
    }

    pub(super) fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Self::Whole(left.saturating_add(right)),
            (left, right) => Self::Float(left.float() + right.float()),
        }
    }

    /// The whole number that `round` makes of a float.
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    pub(super) fn rounded(self, round: fn(f64) -> f64) -> Self {
        match self {
            Self::Whole(whole) => Self::Whole(whole),
            Self::Float(float) => Self::Whole(round(float) as i128),
        }
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => left.cmp(&right),
            (left, right) => left
                .float()
                .partial_cmp(&right.float())
                .unwrap_or(Ordering::Equal),
        }
    }
}

/// Whether two values are equal: numbers by value, the rest member by member.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            Exact::of(left).compare(Exact::of(right)).is_eq()
        }
        (Value::Array(left), Value::Array(right)) => {
            let pairs = left.iter().zip(right);
            left.len() == right.len() && pairs.into_iter().all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, left)| right.get(name).is_some_and(|right| equal(left, right));
            left.len() == right.len() && left.iter().all(same)
        }
        (left, right) => left == right,
    }
}
