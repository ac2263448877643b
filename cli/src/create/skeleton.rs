//! `--generate-cli-skeleton`: the shape of the input, to fill in.

use serde_json::{Map, Value};

use super::model::Shape;

/// The input with empty values, as the AWS CLI prints it. For a member that is
/// one of several words, the AWS CLI takes any of them; this takes the first.
pub(crate) fn skeleton(shape: &Shape) -> Value {
    match shape {
        Shape::Structure { members, .. } => {
            let members = members
                .iter()
                .map(|(name, shape)| ((*name).to_owned(), skeleton(shape)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Shape::List(member) => Value::Array(vec![skeleton(member)]),
        Shape::Integer => Value::from(0),
        Shape::Text(_) => Value::from(""),
        Shape::Enumeration(words) => Value::from(words.first().copied().unwrap_or_default()),
    }
}
