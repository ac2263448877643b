//! `Debug` for the messages that carry secrets: everything shows but them.

use std::fmt;

use crate::v1::{CreateSessionRequest, CreateSessionResponse};

/// Stands for a value that is present and must not be shown.
const REDACTED: fmt::Arguments<'static> = format_args!("[redacted]");

fn redact<T>(secret: &Option<T>) -> Option<fmt::Arguments<'static>> {
    secret.as_ref().map(|_| REDACTED)
}

impl fmt::Debug for CreateSessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateSessionRequest")
            .field("kms_key_id", &redact(&self.kms_key_id))
            .field("settings", &self.settings)
            .field("client_request_token", &redact(&self.client_request_token))
            .field("region", &self.region)
            .finish()
    }
}

impl fmt::Debug for CreateSessionResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateSessionResponse")
            .field("session_id", &REDACTED)
            .field("region", &self.region)
            .field("create_time", &self.create_time)
            .field("expire_time", &self.expire_time)
            .field("replayed", &self.replayed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_secret() {
        let request = CreateSessionRequest {
            kms_key_id: Some("alias/secret".to_owned()),
            client_request_token: Some("secret-token".to_owned()),
            region: Some("eu-west-1".to_owned()),
            ..Default::default()
        };
        let response = CreateSessionResponse {
            session_id: "secret-session".to_owned(),
            region: "us-east-1".to_owned(),
            ..Default::default()
        };
        let shown = format!("{request:?} {response:?}");
        assert!(!shown.contains("secret"), "{shown}");
        assert!(
            shown.contains("eu-west-1") && shown.contains("us-east-1"),
            "{shown}"
        );
    }
}
