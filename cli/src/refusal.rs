//! A call that made no session, told as the AWS CLI tells of errors, and what to
//! do next.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;

use face_liveness_client::{Error, ErrorKind, FieldViolation, Reason};

use crate::failure::Failure;

/// The end of the program after a failed `CreateFaceLivenessSession`.
pub(crate) fn failure(error: &Error, endpoint: &str) -> Failure {
    let mut text = headline(error, endpoint);
    // Writing into a string cannot fail.
    for violation in error.field_violations() {
        let _ = write!(
            text,
            "\n  {}: {}",
            parameter(violation),
            violation.description
        );
    }
    if let Some(advice) = advice(error) {
        let _ = write!(text, "\n{advice}");
    }
    if let Some(wait) = error.retry_after() {
        let _ = write!(
            text,
            "\nWait {:.1} s before the next call.",
            wait.as_secs_f64()
        );
    }
    if error.attempts() > 1 {
        let _ = write!(text, "\nAttempts made: {}", error.attempts());
    }
    if let Some(id) = error.request_id() {
        let _ = write!(text, "\nRequest id at the gateway: {id}");
    }
    if let Some(id) = error.aws_request_id() {
        let _ = write!(text, "\nRequest id at AWS: {id}");
    }
    Failure::exception(text)
}

/// What happened, in one line.
fn headline(error: &Error, endpoint: &str) -> String {
    let url = format!("{}/", endpoint.trim_end_matches('/'));
    match error.kind() {
        ErrorKind::Transport if timed_out(error) => {
            format!("Connect timeout on endpoint URL: \"{url}\"")
        }
        ErrorKind::Transport => format!("Could not connect to the endpoint URL: \"{url}\""),
        ErrorKind::Deadline => format!("Read timeout on endpoint URL: \"{url}\""),
        // The program has no other token than one that is given as it is.
        ErrorKind::Token => {
            "The token is empty or has characters that a header cannot have".to_owned()
        }
        _ => format!(
            "An error occurred ({}) when calling the CreateFaceLivenessSession operation: {}",
            reason(error),
            error.message()
        ),
    }
}

/// The gateway's reason, or the gRPC code where there is none.
pub(crate) fn reason(error: &Error) -> String {
    match error.reason() {
        Some(reason) => reason.to_string(),
        None => code_name(error.code()),
    }
}

/// The code's name in the gRPC specification.
pub(crate) fn code_name(code: tonic::Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn timed_out(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What to do next, where the message does not say it.
fn advice(error: &Error) -> Option<String> {
    let advice = match (error.kind(), error.reason()) {
        (ErrorKind::Transport, _) => {
            let cause = error.message();
            return Some(format!(
                "The cause: {cause}\nCheck --endpoint-url, the network and, for https://, \
                 --ca-bundle; `face-liveness health` asks the gateway whether it serves."
            ));
        }
        (ErrorKind::Deadline, _) => {
            "Give it longer with --cli-read-timeout. With a --client-request-token of your own, \
             the same call again gets a session that was made after all."
        }
        (ErrorKind::Token, _) => "Check --token, its variable or its line in the profile.",
        (_, Some(Reason::Unauthenticated)) => {
            "Say who calls with --token, or --client-cert and --client-key."
        }
        (_, Some(Reason::Policy)) => "Ask the gateway's operator what this caller may ask for.",
        (_, Some(Reason::AccountQuota)) => "A longer --cli-read-timeout waits for the quota.",
        (_, Some(Reason::TokenReused | Reason::SessionExpiring)) => {
            "Use another --client-request-token."
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

/// The field by the name that the AWS CLI has for it:
/// `settings.output_config.s3_bucket` is `Settings.OutputConfig.S3Bucket`.
fn parameter(violation: &FieldViolation) -> String {
    if violation.field == "region" {
        return "--region".to_owned();
    }
    let mut name = String::new();
    let mut begins = true;
    for character in violation.field.chars() {
        match character {
            '_' => begins = true,
            _ if begins => {
                name.push(character.to_ascii_uppercase());
                begins = false;
            }
            _ => {
                name.push(character);
                begins = character == '.';
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_names_of_the_specification() {
        for (code, name) in [
            (tonic::Code::Unavailable, "UNAVAILABLE"),
            (tonic::Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            (tonic::Code::NotFound, "NOT_FOUND"),
        ] {
            assert_eq!(code_name(code), name);
        }
    }
}
