//! The input of `CreateFaceLivenessSession` as Amazon Rekognition's API model
//! (2016-06-27) has it: names, order, types and constraints.

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Named members, in the model's order.
    Structure {
        members: &'static [(&'static str, &'static Shape)],
        required: &'static [&'static str],
    },
    /// Any number of values of one shape.
    List(&'static Shape),
    /// A whole number. The model's bounds, 0 to 4, are left to the gateway: it
    /// counts what lies outside as the nearest bound, as AWS's documentation says.
    Integer,
    /// Text.
    Text(Text),
    /// One of these words.
    Enumeration(&'static [&'static str]),
}

/// Constraints on a text.
#[derive(Debug)]
pub(crate) struct Text {
    /// The fewest characters.
    pub(crate) min: usize,
    /// The most characters.
    pub(crate) max: usize,
    /// The model's pattern, for messages.
    pub(crate) pattern: &'static str,
    /// Whether a text matches `pattern`.
    pub(crate) matches: fn(&str) -> bool,
    /// Whether messages must not show the value.
    pub(crate) secret: bool,
}

/// The input.
pub(crate) const INPUT: Shape = Shape::Structure {
    members: &[
        (
            "KmsKeyId",
            &Shape::Text(Text {
                min: 1,
                max: 2048,
                pattern: "^[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}$",
                matches: |text| {
                    text.starts_with(|first: char| first.is_ascii_alphanumeric())
                        && text.chars().all(|c| alphanumeric_or(c, ":_/+=,@.-"))
                },
                secret: true,
            }),
        ),
        ("Settings", &SETTINGS),
        (
            "ClientRequestToken",
            &Shape::Text(Text {
                min: 1,
                max: 64,
                pattern: "^[a-zA-Z0-9-_]+$",
                matches: |text| !text.is_empty() && text.chars().all(|c| alphanumeric_or(c, "-_")),
                secret: true,
            }),
        ),
    ],
    required: &[],
};

/// The value of `--settings`.
pub(crate) const SETTINGS: Shape = Shape::Structure {
    members: &[
        (
            "OutputConfig",
            &Shape::Structure {
                members: &[
                    (
                        "S3Bucket",
                        &Shape::Text(Text {
                            min: 3,
                            max: 255,
                            pattern: "[0-9A-Za-z\\.\\-_]*",
                            matches: |text| text.chars().all(|c| alphanumeric_or(c, ".-_")),
                            secret: false,
                        }),
                    ),
                    (
                        "S3KeyPrefix",
                        &Shape::Text(Text {
                            min: 0,
                            max: 950,
                            pattern: "\\S*",
                            // White space as Java's regular expressions have it.
                            matches: |text| !text.contains([' ', '\t', '\n', '\x0B', '\x0C', '\r']),
                            secret: false,
                        }),
                    ),
                ],
                required: &["S3Bucket"],
            },
        ),
        ("AuditImagesLimit", &Shape::Integer),
        (
            "ChallengePreferences",
            &Shape::List(&Shape::Structure {
                members: &[
                    ("Type", &Shape::Enumeration(&CHALLENGES)),
                    (
                        "Versions",
                        &Shape::Structure {
                            members: &[("Minimum", &VERSION), ("Maximum", &VERSION)],
                            required: &[],
                        },
                    ),
                ],
                required: &["Type"],
            }),
        ),
    ],
    required: &[],
};

/// The challenges by AWS's names.
pub(crate) const CHALLENGES: [&str; 2] = ["FaceMovementAndLightChallenge", "FaceMovementChallenge"];

const VERSION: Shape = Shape::Text(Text {
    min: 5,
    max: 11,
    pattern: "^(0|[1-9]\\d{0,2})\\.(0|[1-9]\\d{0,2})\\.(0|[1-9]\\d{0,2})$",
    matches: |text| text.split('.').count() == 3 && text.split('.').all(is_version_number),
    secret: false,
});

fn alphanumeric_or(character: char, others: &str) -> bool {
    character.is_ascii_alphanumeric() || others.contains(character)
}

fn is_version_number(text: &str) -> bool {
    let digits = text.bytes().all(|digit| digit.is_ascii_digit());
    digits && matches!(text.len(), 1..=3) && (text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const API: &str = include_str!("../../tests/data/face-liveness-api.json");

    /// Checks the shape against the model's of that name.
    fn check(shape: &Shape, name: &str, shapes: &Value) {
        let model = &shapes[name];
        match shape {
            Shape::Structure { members, required } => {
                assert_eq!(model["type"], "structure", "{name}");
                let model_members = model["members"].as_object().unwrap();
                let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
                assert_eq!(names, model_members.keys().collect::<Vec<_>>(), "{name}");
                let none = json!([]);
                let model_required = model.get("required").unwrap_or(&none);
                assert_eq!(&json!(required), model_required, "{name}");
                for (member, shape) in *members {
                    let target = model_members[*member]["shape"].as_str().unwrap();
                    check(shape, target, shapes);
                }
            }
            Shape::List(member) => {
                assert_eq!(model["type"], "list", "{name}");
                check(member, model["member"]["shape"].as_str().unwrap(), shapes);
            }
            Shape::Integer => assert_eq!(model["type"], "integer", "{name}"),
            Shape::Text(text) => {
                assert_eq!(model["type"], "string", "{name}");
                assert_eq!(model["pattern"], text.pattern, "{name}");
                assert_eq!(model["max"], text.max, "{name}");
                assert_eq!(
                    model.get("min").map_or(0, |min| min.as_u64().unwrap()),
                    text.min as u64
                );
            }
            Shape::Enumeration(words) => assert_eq!(model["enum"], json!(words), "{name}"),
        }
    }

    #[test]
    fn the_input_is_that_of_the_api_model() {
        let api: Value = serde_json::from_str(API).unwrap();
        let input = api["operations"]["CreateFaceLivenessSession"]["input"]
            .as_str()
            .unwrap();
        check(&INPUT, input, &api["shapes"]);
    }

    #[test]
    fn versions_are_three_numbers_without_leading_zeros() {
        let Shape::Text(version) = &VERSION else {
            panic!("not text")
        };
        for good in ["0.0.0", "1.0.0", "10.200.999"] {
            assert!((version.matches)(good), "{good}");
        }
        for bad in ["01.0.0", "1.0", "1.0.0.0", "1.0.x", "1000.0.0", "1..0", ""] {
            assert!(!(version.matches)(bad), "{bad}");
        }
    }
}
