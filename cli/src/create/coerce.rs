//! Makes of shorthand's texts what the model wants: numbers, and lists of what
//! was given without brackets.

use serde_json::Value;

use super::model::Shape;
use crate::python;

/// Converts `value` in place. What does not fit the shape stays as it is, for
/// [`super::validate`] to tell of.
///
/// # Errors
/// Python's message for a text that is no number.
pub(crate) fn coerce(value: &mut Value, shape: &Shape) -> Result<(), String> {
    match (shape, value) {
        (Shape::Structure { members, .. }, Value::Object(values)) => {
            for (name, shape) in *members {
                if let Some(value) = values.get_mut(*name) {
                    coerce(value, shape)?;
                }
            }
        }
        (Shape::List(member), Value::Array(values)) => {
            for value in values {
                coerce(value, member)?;
            }
        }
        (Shape::List(_), value) => *value = Value::Array(vec![value.take()]),
        (Shape::Integer, value) => {
            if let Some(number) = integer(value)? {
                *value = number.into();
            }
        }
        _ => {}
    }
    Ok(())
}

/// The number that a text stands for; nothing for what JSON has made a value of.
fn integer(value: &Value) -> Result<Option<i64>, String> {
    match value {
        Value::String(text) => python::int(text).map(Some),
        Value::Array(_) | Value::Object(_) => Err(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            python::type_name(value)
        )),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::create::model::SETTINGS;
    use serde_json::json;

    fn settings(mut value: Value) -> Result<Value, String> {
        coerce(&mut value, &SETTINGS).map(|()| value)
    }

    #[test]
    fn texts_become_what_the_model_wants() {
        for (given, made) in [
            (
                json!({"AuditImagesLimit": " 2 "}),
                json!({"AuditImagesLimit": 2}),
            ),
            (
                json!({"AuditImagesLimit": "-1"}),
                json!({"AuditImagesLimit": -1}),
            ),
            (
                json!({"ChallengePreferences": {"Type": "T"}}),
                json!({"ChallengePreferences": [{"Type": "T"}]}),
            ),
            (
                json!({"AuditImagesLimit": 2}),
                json!({"AuditImagesLimit": 2}),
            ),
            (json!({"Colour": "red"}), json!({"Colour": "red"})),
            (json!({"OutputConfig": "x"}), json!({"OutputConfig": "x"})),
        ] {
            assert_eq!(settings(given), Ok(made));
        }
    }

    #[test]
    fn what_is_no_number_is_told_in_pythons_words() {
        for (given, message) in [
            (json!("x"), "invalid literal for int() with base 10: 'x'"),
            (
                json!(["1", "2"]),
                "int() argument must be a string, a bytes-like object or a real number, not 'list'",
            ),
        ] {
            assert_eq!(
                settings(json!({"AuditImagesLimit": given})),
                Err(message.to_owned())
            );
        }
    }
}
