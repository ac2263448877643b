//! awsJson1.1 as Rekognition speaks it: operations, answers and error shapes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TARGET_PREFIX: &str = "RekognitionService.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const RETRY_AFTER: HeaderName = HeaderName::from_static("x-amz-retry-after");

/// The header that carries the request id on every answer.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The operations of the API that the emulator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// Makes a session.
    CreateFaceLivenessSession,
    /// Reads a session's status and results.
    GetFaceLivenessSessionResults,
}

impl Operation {
    /// The operation that `X-Amz-Target` names.
    pub(crate) fn of_target(headers: &HeaderMap) -> Option<Self> {
        let target = headers.get("x-amz-target")?.to_str().ok()?;
        match target.strip_prefix(TARGET_PREFIX)? {
            "CreateFaceLivenessSession" => Some(Self::CreateFaceLivenessSession),
            "GetFaceLivenessSessionResults" => Some(Self::GetFaceLivenessSessionResults),
            _ => None,
        }
    }

    /// AWS's name of the operation.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateFaceLivenessSession => "CreateFaceLivenessSession",
            Self::GetFaceLivenessSessionResults => "GetFaceLivenessSessionResults",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the content type is the one that the protocol requires.
pub(crate) fn has_protocol_content_type(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(CONTENT_TYPE))
}

/// An error as the API answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) message: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// Rekognition's own errors say `Message`, those of AWS's front end `message`.
    modelled: bool,
}

impl ApiError {
    fn modelled(code: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            modelled: true,
            ..Self::common(code, status, message)
        }
    }

    fn common(code: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            code,
            status,
            message: Some(message.into()),
            retry_after: None,
            modelled: false,
        }
    }

    /// What a region without Face Liveness answers: no message at all.
    pub(crate) fn access_denied() -> Self {
        Self {
            message: None,
            ..Self::modelled("AccessDeniedException", StatusCode::BAD_REQUEST, "")
        }
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::modelled(
            "InvalidParameterException",
            StatusCode::BAD_REQUEST,
            message,
        )
    }

    pub(crate) fn provisioned_throughput_exceeded(message: &str) -> Self {
        Self::modelled(
            "ProvisionedThroughputExceededException",
            StatusCode::BAD_REQUEST,
            message,
        )
    }

    pub(crate) fn throttling(retry_after: Option<Duration>) -> Self {
        Self {
            retry_after,
            ..Self::modelled(
                "ThrottlingException",
                StatusCode::INTERNAL_SERVER_ERROR,
                "Service is temporarily unable to process the request",
            )
        }
    }

    pub(crate) fn internal_server_error() -> Self {
        Self::modelled(
            "InternalServerError",
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal server error",
        )
    }

    pub(crate) fn session_not_found() -> Self {
        Self::modelled(
            "SessionNotFoundException",
            StatusCode::BAD_REQUEST,
            "Session not found",
        )
    }

    pub(crate) fn expired_token() -> Self {
        Self::common(
            "ExpiredTokenException",
            StatusCode::BAD_REQUEST,
            "The security token included in the request is expired",
        )
    }

    pub(crate) fn unrecognized_client() -> Self {
        Self::common(
            "UnrecognizedClientException",
            StatusCode::BAD_REQUEST,
            "The security token included in the request is invalid.",
        )
    }

    pub(crate) fn invalid_signature(message: impl Into<String>) -> Self {
        Self::common(
            "InvalidSignatureException",
            StatusCode::BAD_REQUEST,
            message,
        )
    }

    pub(crate) fn incomplete_signature(message: impl Into<String>) -> Self {
        Self::common(
            "IncompleteSignatureException",
            StatusCode::BAD_REQUEST,
            message,
        )
    }

    pub(crate) fn missing_authentication_token() -> Self {
        Self::common(
            "MissingAuthenticationTokenException",
            StatusCode::BAD_REQUEST,
            "Missing Authentication Token",
        )
    }

    pub(crate) fn service_unavailable() -> Self {
        Self::common(
            "ServiceUnavailable",
            StatusCode::SERVICE_UNAVAILABLE,
            "Service is unavailable",
        )
    }

    pub(crate) fn serialization(message: Option<String>) -> Self {
        Self {
            message,
            modelled: true,
            ..Self::common("SerializationException", StatusCode::BAD_REQUEST, "")
        }
    }

    pub(crate) fn unknown_operation() -> Self {
        Self {
            message: None,
            ..Self::common("UnknownOperationException", StatusCode::BAD_REQUEST, "")
        }
    }

    pub(crate) fn request_too_large() -> Self {
        Self {
            message: None,
            ..Self::common(
                "RequestEntityTooLargeException",
                StatusCode::PAYLOAD_TOO_LARGE,
                "",
            )
        }
    }

    fn body(&self) -> Value {
        let mut body = json!({ "__type": self.code });
        if let (Some(message), Some(members)) = (&self.message, body.as_object_mut()) {
            let member = if self.modelled { "Message" } else { "message" };
            members.insert(member.into(), message.clone().into());
        }
        body
    }
}

/// An answer, before it becomes bytes on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) retry_after: Option<Duration>,
}

impl Answer {
    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self {
            status,
            content_type: CONTENT_TYPE,
            body: Bytes::from(body.to_string()),
            retry_after: None,
        }
    }

    /// What is no call of this API at all gets XML, whatever was asked.
    fn xml(status: StatusCode, body: &'static str) -> Self {
        Self {
            status,
            content_type: "application/xml",
            body: Bytes::from_static(body.as_bytes()),
            retry_after: None,
        }
    }

    /// An answer that promises JSON and holds something else.
    pub(crate) fn not_json() -> Self {
        Self {
            status: StatusCode::OK,
            content_type: CONTENT_TYPE,
            body: Bytes::from_static(b"<html><body>It works!</body></html>"),
            retry_after: None,
        }
    }

    pub(crate) fn not_an_operation() -> Self {
        Self::xml(StatusCode::NOT_FOUND, "<UnknownOperationException/>\n")
    }

    pub(crate) fn not_a_post() -> Self {
        Self::xml(
            StatusCode::FORBIDDEN,
            "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be \
             authorized</Message>\n</AccessDeniedException>\n",
        )
    }

    /// Headers besides the content length, which the connection adds.
    pub(crate) fn headers(&self, request_id: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.content_type),
        );
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(wait) = self.retry_after {
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            headers.insert(RETRY_AFTER, HeaderValue::from(millis));
        }
        headers
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        Self {
            retry_after: error.retry_after,
            ..Self::json(error.status, &error.body())
        }
    }
}
