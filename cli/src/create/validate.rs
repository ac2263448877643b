//! Checks the parameters before anything is sent: first as the AWS CLI does
//! (types, required and unknown members, least lengths), then what AWS leaves to
//! the service (greatest lengths, patterns, enumerations), in the service's words.

use serde_json::{Map, Value};

use super::model::{INPUT, Shape, Text};
use crate::python;

/// Checks the parameters of the call.
///
/// # Errors
/// The message, all violations of the first kind that has any.
pub(crate) fn validate(parameters: &Map<String, Value>) -> Result<(), String> {
    let mut report = Report::default();
    let input = Value::Object(parameters.clone());
    report.visit(&input, &INPUT, &Path::default());
    if !report.client.is_empty() {
        let violations = report.client.join("\n");
        return Err(format!("Parameter validation failed:\n{violations}"));
    }
    match report.service.len() {
        0 => Ok(()),
        count => {
            let noun = if count == 1 { "error" } else { "errors" };
            let violations = report.service.join("; ");
            Err(format!(
                "An error occurred (InvalidParameterException) when calling the \
                 CreateFaceLivenessSession operation: {count} validation {noun} detected: {violations}"
            ))
        }
    }
}

/// Where a value stands, as the AWS CLI and as the service name it.
#[derive(Default)]
struct Path {
    /// `Settings.ChallengePreferences[0].Type`
    client: String,
    /// `settings.challengePreferences.1.member.type`
    service: String,
}

impl Path {
    fn member(&self, name: &str) -> Self {
        let (first, rest) = name.split_at(name.len().min(1));
        let camel = format!("{}{rest}", first.to_ascii_lowercase());
        let join = |parent: &str, name: &str| match parent {
            "" => name.to_owned(),
            parent => format!("{parent}.{name}"),
        };
        Self {
            client: join(&self.client, name),
            service: join(&self.service, &camel),
        }
    }

    fn element(&self, index: usize) -> Self {
        Self {
            client: format!("{}[{index}]", self.client),
            service: format!("{}.{}.member", self.service, index + 1),
        }
    }

    fn name(&self) -> &str {
        match self.client.as_str() {
            "" => "input",
            name => name,
        }
    }
}

/// The violations so far, by who tells of them.
#[derive(Default)]
struct Report {
    client: Vec<String>,
    service: Vec<String>,
}

impl Report {
    fn visit(&mut self, value: &Value, shape: &Shape, path: &Path) {
        match (shape, value) {
            (Shape::Structure { members, required }, Value::Object(values)) => {
                self.structure(values, members, required, path);
            }
            (Shape::List(member), Value::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.visit(value, member, &path.element(index));
                }
            }
            (Shape::Integer, Value::Number(number)) if !number.is_f64() => {}
            (Shape::Text(text), Value::String(value)) => self.text(value, text, path),
            (Shape::Enumeration(words), Value::String(value)) => {
                if !words.contains(&value.as_str()) {
                    let set = words.join(", ");
                    let constraint = format!("Member must satisfy enum value set: [{set}]");
                    self.service(Some(value), path, &constraint);
                }
            }
            (shape, value) => self.wrong_type(value, shape, path),
        }
    }

    fn structure(
        &mut self,
        values: &Map<String, Value>,
        members: &[(&str, &Shape)],
        required: &[&str],
        path: &Path,
    ) {
        let name = path.name();
        for missing in required
            .iter()
            .filter(|member| !values.contains_key(**member))
        {
            self.client.push(format!(
                "Missing required parameter in {name}: \"{missing}\""
            ));
        }
        let known = |wanted: &str| members.iter().find(|(name, _)| *name == wanted);
        for unknown in values.keys().filter(|member| known(member).is_none()) {
            let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            self.client.push(format!(
                "Unknown parameter in {name}: \"{unknown}\", must be one of: {names}"
            ));
        }
        for (member, value) in values {
            if let Some((_, shape)) = known(member) {
                self.visit(value, shape, &path.member(member));
            }
        }
    }

    fn text(&mut self, value: &str, text: &Text, path: &Path) {
        let length = value.chars().count();
        if length < text.min {
            self.client.push(format!(
                "Invalid length for parameter {}, value: {length}, valid min length: {}",
                path.name(),
                text.min
            ));
        }
        let shown = (!text.secret).then_some(value);
        if length > text.max {
            let most = format!("Member must have length less than or equal to {}", text.max);
            self.service(shown, path, &most);
        }
        if !(text.matches)(value) {
            let pattern = text.pattern;
            let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
            self.service(shown, path, &constraint);
        }
    }

    fn wrong_type(&mut self, value: &Value, shape: &Shape, path: &Path) {
        let valid = match shape {
            Shape::Structure { .. } => "<class 'dict'>",
            Shape::List(_) => "<class 'list'>, <class 'tuple'>",
            Shape::Integer => "<class 'int'>",
            Shape::Text(_) | Shape::Enumeration(_) => "<class 'str'>",
        };
        self.client.push(format!(
            "Invalid type for parameter {}, value: {}, type: <class '{}'>, valid types: {valid}",
            path.name(),
            python::str(value),
            python::type_name(value)
        ));
    }

    /// A violation that the service tells of; it leaves secret values out.
    fn service(&mut self, value: Option<&str>, path: &Path, constraint: &str) {
        let value = value.map_or(String::new(), |value| format!(" '{value}'"));
        self.service.push(format!(
            "Value{value} at '{}' failed to satisfy constraint: {constraint}",
            path.service
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(parameters: Value) -> Result<(), String> {
        validate(parameters.as_object().unwrap())
    }

    #[test]
    fn every_violation_is_told_at_once_in_the_aws_clis_words() {
        let told = check(json!({
            "KmsKeyId": "",
            "Settings": {
                "AuditImagesLimit": 2.0,
                "OutputConfig": {"S3KeyPrefix": ["a", 1]},
                "ChallengePreferences": [{"Type": 5, "X": 1}],
            },
            "ClientRequestToken": null,
        }));
        let expected = "Parameter validation failed:\n\
            Invalid length for parameter KmsKeyId, value: 0, valid min length: 1\n\
            Invalid type for parameter Settings.AuditImagesLimit, value: 2.0, type: <class 'float'>, valid types: <class 'int'>\n\
            Missing required parameter in Settings.OutputConfig: \"S3Bucket\"\n\
            Invalid type for parameter Settings.OutputConfig.S3KeyPrefix, value: ['a', 1], type: <class 'list'>, valid types: <class 'str'>\n\
            Unknown parameter in Settings.ChallengePreferences[0]: \"X\", must be one of: Type, Versions\n\
            Invalid type for parameter Settings.ChallengePreferences[0].Type, value: 5, type: <class 'int'>, valid types: <class 'str'>\n\
            Invalid type for parameter ClientRequestToken, value: None, type: <class 'NoneType'>, valid types: <class 'str'>";
        assert_eq!(told, Err(expected.to_owned()));
    }

    #[test]
    fn an_unknown_parameter_at_the_top_is_one_of_the_input() {
        let told = check(json!({"Colour": 1})).unwrap_err();
        let expected = "Unknown parameter in input: \"Colour\", must be one of: KmsKeyId, Settings, ClientRequestToken";
        assert!(told.ends_with(expected), "{told}");
    }

    #[test]
    fn what_only_the_service_checks_is_told_in_its_words_and_without_secrets() {
        let told = check(json!({
            "ClientRequestToken": "no spaces",
            "Settings": {
                "OutputConfig": {"S3Bucket": "a/b", "S3KeyPrefix": "p".repeat(951)},
                "ChallengePreferences": [{"Type": "Dance"}],
            },
        }))
        .unwrap_err();
        assert!(told.starts_with(
            "An error occurred (InvalidParameterException) when calling the \
             CreateFaceLivenessSession operation: 4 validation errors detected: \
             Value at 'clientRequestToken' failed to satisfy constraint: "
        ));
        for part in [
            "Value 'a/b' at 'settings.outputConfig.s3Bucket' failed to satisfy constraint: Member must satisfy regular expression pattern: [0-9A-Za-z\\.\\-_]*",
            "' at 'settings.outputConfig.s3KeyPrefix' failed to satisfy constraint: Member must have length less than or equal to 950",
            "Value 'Dance' at 'settings.challengePreferences.1.member.type' failed to satisfy constraint: Member must satisfy enum value set: [FaceMovementAndLightChallenge, FaceMovementChallenge]",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(!told.contains("no spaces"), "{told}");
    }

    #[test]
    fn audit_images_outside_the_models_range_are_left_to_the_gateway() {
        for limit in [-5, 0, 4, 99] {
            assert_eq!(
                check(json!({"Settings": {"AuditImagesLimit": limit}})),
                Ok(())
            );
        }
    }
}
