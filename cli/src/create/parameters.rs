//! From the options of the command to the parameters of the call, as JSON with
//! AWS's names.

use serde_json::{Map, Value};

use super::model::SETTINGS;
use super::{coerce, json, paramfile, shorthand};
use crate::args::Create;
use crate::failure::Failure;

/// What the options say, options winning over `--cli-input-json`. Nothing is
/// checked against the model yet.
///
/// # Errors
/// Values that cannot be read, in the AWS CLI's words.
pub(crate) fn parameters(options: &Create) -> Result<Map<String, Value>, Failure> {
    let mut parameters = Map::new();
    if let Some(text) = value(&options.kms_key_id, "--kms-key-id")? {
        parameters.insert("KmsKeyId".to_owned(), text.into());
    }
    if let Some(text) = value(&options.settings, "--settings")? {
        parameters.insert("Settings".to_owned(), settings(&text)?);
    }
    if let Some(text) = value(&options.client_request_token, "--client-request-token")? {
        parameters.insert("ClientRequestToken".to_owned(), text.into());
    }
    if let Some(text) = value(&options.cli_input_json, "--cli-input-json")? {
        for (name, value) in input_json(&text)? {
            parameters.entry(name).or_insert(value);
        }
    }
    Ok(parameters)
}

/// An option's value, or the contents of the file that it names.
fn value(given: &Option<String>, option: &str) -> Result<Option<String>, Failure> {
    let Some(given) = given else {
        return Ok(None);
    };
    let contents = paramfile::load(given).map_err(|error| Failure::parameter(option, error))?;
    Ok(Some(contents.unwrap_or_else(|| given.clone())))
}

fn settings(text: &str) -> Result<Value, Failure> {
    let option = "--settings";
    let trimmed = text.trim();
    if trimmed.starts_with('{') {
        return json::parse(text).map_err(|error| Failure::parameter(option, error));
    }
    if trimmed.starts_with('[') {
        return Err(Failure::parameter(
            option,
            format_args!("Invalid JSON:\n{text}"),
        ));
    }
    let mut settings = shorthand::parse(text).map_err(|error| match error {
        shorthand::Error::Syntax(message) => Failure::parameter(option, message),
        shorthand::Error::File(message) => Failure::exception(message),
    })?;
    coerce::coerce(&mut settings, &SETTINGS).map_err(Failure::exception)?;
    Ok(settings)
}

fn input_json(text: &str) -> Result<Map<String, Value>, Failure> {
    // The AWS CLI leaves the dashes out here.
    let parsed = json::parse(text).map_err(|error| Failure::parameter("cli-input-json", error))?;
    match parsed {
        Value::Object(members) => Ok(members),
        other => Err(Failure::exception(format_args!(
            "'{}' object has no attribute 'keys'",
            crate::python::type_name(&other)
        ))),
    }
}
