//! The constraints that the API model of Amazon Rekognition (2016-06-27) puts on requests.
//!
//! A value of the wrong JSON type is a `SerializationException`; values of the right type outside
//! their constraints are one `InvalidParameterException` that lists them all. `null` is absent and
//! unknown members are ignored, as AWS's JSON services do.
//!
//! `AuditImagesLimit` outside 0..=4 is refused, as the model says. AWS's documentation says that
//! such a value counts as the nearest bound; a client that clamps it works with either.

use serde_json::{Map, Value};

use crate::protocol::ApiError;

/// What the emulator needs of a valid `CreateFaceLivenessSession`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CreateRequest {
    pub(crate) client_request_token: Option<String>,
}

/// Checks a `CreateFaceLivenessSession` request.
pub(crate) fn create(body: &Value) -> Result<CreateRequest, ApiError> {
    let mut checks = Checks::default();
    let request = structure(body)?;
    checks.text(request, "", "KmsKeyId", &KMS_KEY_ID)?;
    let token = checks.text(request, "", "ClientRequestToken", &CLIENT_REQUEST_TOKEN)?;
    if let Some(settings) = member(request, "Settings") {
        check_settings(&mut checks, structure(settings)?)?;
    }
    checks.finish()?;
    Ok(CreateRequest {
        client_request_token: token.map(str::to_owned),
    })
}

/// Checks a `GetFaceLivenessSessionResults` request and returns the session id.
pub(crate) fn get_results(body: &Value) -> Result<String, ApiError> {
    let mut checks = Checks::default();
    let request = structure(body)?;
    let id = checks.required_text(request, "", "SessionId", &SESSION_ID)?;
    checks.finish()?;
    Ok(id.unwrap_or_default().to_owned())
}

fn check_settings(checks: &mut Checks, settings: &Map<String, Value>) -> Result<(), ApiError> {
    if let Some(output) = member(settings, "OutputConfig") {
        let output = structure(output)?;
        let at = "settings.outputConfig.";
        checks.required_text(output, at, "S3Bucket", &S3_BUCKET)?;
        checks.text(output, at, "S3KeyPrefix", &S3_KEY_PREFIX)?;
    }
    if let Some(limit) = member(settings, "AuditImagesLimit") {
        checks.audit_images_limit(integer(limit)?);
    }
    if let Some(preferences) = member(settings, "ChallengePreferences") {
        for (index, preference) in list(preferences)?.iter().enumerate() {
            check_preference(checks, index, structure(preference)?)?;
        }
    }
    Ok(())
}

fn check_preference(
    checks: &mut Checks,
    index: usize,
    preference: &Map<String, Value>,
) -> Result<(), ApiError> {
    let at = format!("settings.challengePreferences.{}.member.", index + 1);
    checks.required_text(preference, &at, "Type", &CHALLENGE_TYPE)?;
    if let Some(versions) = member(preference, "Versions") {
        let versions = structure(versions)?;
        let at = format!("{at}versions.");
        checks.text(versions, &at, "Minimum", &VERSION)?;
        checks.text(versions, &at, "Maximum", &VERSION)?;
    }
    Ok(())
}

/// What a string may be.
struct Text {
    min: usize,
    max: usize,
    /// The model's words for `matches`.
    constraint: &'static str,
    matches: fn(&str) -> bool,
}

const KMS_KEY_ID: Text = Text {
    min: 1,
    max: 2048,
    constraint: "Member must satisfy regular expression pattern: \
                 ^[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}$",
    matches: |text| {
        text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(|c| alphanumeric_or(c, ":_/+=,@.-"))
    },
};
const CLIENT_REQUEST_TOKEN: Text = Text {
    min: 1,
    max: 64,
    constraint: "Member must satisfy regular expression pattern: ^[a-zA-Z0-9-_]+$",
    matches: |text| !text.is_empty() && text.chars().all(|c| alphanumeric_or(c, "-_")),
};
const S3_BUCKET: Text = Text {
    min: 3,
    max: 255,
    constraint: "Member must satisfy regular expression pattern: [0-9A-Za-z\\.\\-_]*",
    matches: |text| text.chars().all(|c| alphanumeric_or(c, ".-_")),
};
const S3_KEY_PREFIX: Text = Text {
    min: 0,
    max: 950,
    constraint: "Member must satisfy regular expression pattern: \\S*",
    matches: |text| !text.contains([' ', '\t', '\n', '\x0B', '\x0C', '\r']),
};
const CHALLENGE_TYPE: Text = Text {
    min: 0,
    max: usize::MAX,
    constraint: "Member must satisfy enum value set: \
                 [FaceMovementAndLightChallenge, FaceMovementChallenge]",
    matches: |text| {
        matches!(
            text,
            "FaceMovementAndLightChallenge" | "FaceMovementChallenge"
        )
    },
};
const VERSION: Text = Text {
    min: 5,
    max: 11,
    constraint: "Member must satisfy regular expression pattern: \
                 ^(0|[1-9]\\d{0,2})\\.(0|[1-9]\\d{0,2})\\.(0|[1-9]\\d{0,2})$",
    matches: |text| text.split('.').count() == 3 && text.split('.').all(is_version_number),
};
const SESSION_ID: Text = Text {
    min: 36,
    max: 36,
    constraint: "Member must satisfy regular expression pattern: \
                 [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    matches: is_session_id,
};

fn alphanumeric_or(c: char, others: &str) -> bool {
    c.is_ascii_alphanumeric() || others.contains(c)
}

fn is_version_number(part: &str) -> bool {
    (1..=3).contains(&part.len())
        && part.bytes().all(|byte| byte.is_ascii_digit())
        && (part == "0" || !part.starts_with('0'))
}

fn is_session_id(text: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|byte| byte == b'-' || is_hex(byte))
}

/// Collects every violation, as AWS does, before it answers.
#[derive(Default)]
struct Checks {
    violations: Vec<String>,
}

impl Checks {
    fn text<'a>(
        &mut self,
        from: &'a Map<String, Value>,
        at: &str,
        name: &str,
        rule: &Text,
    ) -> Result<Option<&'a str>, ApiError> {
        let Some(value) = member(from, name) else {
            return Ok(None);
        };
        let text = string(value)?;
        let length = text.chars().count();
        if length < rule.min {
            let least = format!(
                "Member must have length greater than or equal to {}",
                rule.min
            );
            self.violation(&quoted(text), at, name, &least);
        }
        if length > rule.max {
            let most = format!("Member must have length less than or equal to {}", rule.max);
            self.violation(&quoted(text), at, name, &most);
        }
        if !(rule.matches)(text) {
            self.violation(&quoted(text), at, name, rule.constraint);
        }
        Ok(Some(text))
    }

    fn required_text<'a>(
        &mut self,
        from: &'a Map<String, Value>,
        at: &str,
        name: &str,
        rule: &Text,
    ) -> Result<Option<&'a str>, ApiError> {
        let text = self.text(from, at, name, rule)?;
        if text.is_none() {
            self.violation("null", at, name, "Member must not be null");
        }
        Ok(text)
    }

    fn audit_images_limit(&mut self, value: i32) {
        let name = "AuditImagesLimit";
        let shown = quoted(&value.to_string());
        if value < 0 {
            let least = "Member must have value greater than or equal to 0";
            self.violation(&shown, "settings.", name, least);
        }
        if value > 4 {
            let most = "Member must have value less than or equal to 4";
            self.violation(&shown, "settings.", name, most);
        }
    }

    fn violation(&mut self, value: &str, at: &str, name: &str, constraint: &str) {
        let (first, rest) = name.split_at(name.len().min(1));
        self.violations.push(format!(
            "Value {value} at '{at}{}{rest}' failed to satisfy constraint: {constraint}",
            first.to_ascii_lowercase()
        ));
    }

    fn finish(self) -> Result<(), ApiError> {
        let count = self.violations.len();
        if count == 0 {
            return Ok(());
        }
        let noun = if count == 1 { "error" } else { "errors" };
        Err(ApiError::invalid_parameter(format!(
            "{count} validation {noun} detected: {}",
            self.violations.join("; ")
        )))
    }
}

fn quoted(value: &str) -> String {
    format!("'{value}'")
}

fn member<'a>(from: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    from.get(name).filter(|value| !value.is_null())
}

fn structure(value: &Value) -> Result<&Map<String, Value>, ApiError> {
    value
        .as_object()
        .ok_or_else(|| wrong_type(value, "a structure"))
}

fn list(value: &Value) -> Result<&Vec<Value>, ApiError> {
    value.as_array().ok_or_else(|| wrong_type(value, "a list"))
}

fn string(value: &Value) -> Result<&str, ApiError> {
    value.as_str().ok_or_else(|| wrong_type(value, "a String"))
}

fn integer(value: &Value) -> Result<i32, ApiError> {
    value
        .as_i64()
        .and_then(|number| i32::try_from(number).ok())
        .ok_or_else(|| wrong_type(value, "an Integer"))
}

fn wrong_type(found: &Value, wanted: &str) -> ApiError {
    let found = match found {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "Start of list",
        Value::Object(_) => "Start of structure or map",
    };
    ApiError::serialization(Some(format!("{found} can not be converted to {wanted}")))
}
