//! A session, checked: what the gateway answered, in Rust's types.

use std::fmt;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tonic::Response;
use tonic::metadata::MetadataMap;

use crate::v1::CreateSessionResponse;

/// Metadata: the id of the request at AWS.
pub(crate) const AWS_REQUEST_ID: &str = "x-amzn-requestid";

/// Metadata: the id of the request at the gateway.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// A Face Liveness session, ready for an app to stream to.
///
/// `Debug` does not show the session's id: treat it as a secret.
///
/// ```no_run
/// # #[cfg(feature = "transport")]
/// # async fn example(client: face_liveness_client::Client) -> Result<(), face_liveness_client::Error> {
/// let session = client.create_session(face_liveness_client::v1::CreateSessionRequest::default()).await?;
/// println!(
///     "stream to {} in {}, within {:?}",
///     session.session_id, session.region, session.remaining()
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Session {
    /// The session's id: a lower-case UUID. Good for one stream.
    pub session_id: String,
    /// The AWS region that the session lives in; the app needs it with the id.
    pub region: String,
    /// When Amazon Rekognition made the session, by the gateway's clock.
    pub create_time: SystemTime,
    /// When the session stops being usable, by the gateway's clock.
    pub expire_time: SystemTime,
    /// Whether this is an earlier session, returned again because of its
    /// `client_request_token`.
    pub replayed: bool,
    /// The id of the request at AWS, for AWS's support.
    pub aws_request_id: Option<String>,
    /// The id of the request at the gateway, as its log has it.
    pub request_id: Option<String>,
    /// When the session expires at the latest, by this machine's own clock.
    expires: Option<Instant>,
}

impl Session {
    /// How long the session can still be used; zero when it has expired.
    ///
    /// A new session's time is counted from the moment that it was asked for, so
    /// a difference between this machine's clock and the gateway's does not
    /// matter. A replayed session's is the time until `expire_time`, by this
    /// machine's clock, and never more than the session's whole life.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        match self.expires {
            Some(expires) => expires.saturating_duration_since(Instant::now()),
            None => self
                .expire_time
                .duration_since(SystemTime::now())
                .unwrap_or_default()
                .min(self.life()),
        }
    }

    fn life(&self) -> Duration {
        self.expire_time
            .duration_since(self.create_time)
            .unwrap_or_default()
    }

    /// Checks an answer to a call that was sent at `asked`.
    pub(crate) fn parse(
        response: Response<CreateSessionResponse>,
        asked: Instant,
    ) -> Result<Self, Malformed> {
        let (metadata, answer, _) = response.into_parts();
        if !is_session_id(&answer.session_id) {
            return Err(Malformed("session_id is not a lower-case UUID"));
        }
        if answer.region.is_empty() {
            return Err(Malformed("region is empty"));
        }
        let create_time = time(answer.create_time).ok_or(Malformed("create_time is no time"))?;
        let expire_time = time(answer.expire_time).ok_or(Malformed("expire_time is no time"))?;
        let life = expire_time
            .duration_since(create_time)
            .map_err(|_| Malformed("expire_time is before create_time"))?;
        Ok(Self {
            session_id: answer.session_id,
            region: answer.region,
            create_time,
            expire_time,
            replayed: answer.replayed,
            aws_request_id: text(&metadata, AWS_REQUEST_ID),
            request_id: text(&metadata, REQUEST_ID),
            expires: (!answer.replayed)
                .then(|| asked.checked_add(life))
                .flatten(),
        })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("session_id", &format_args!("[redacted]"))
            .field("region", &self.region)
            .field("create_time", &self.create_time)
            .field("expire_time", &self.expire_time)
            .field("replayed", &self.replayed)
            .field("aws_request_id", &self.aws_request_id)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the gateway's answer is malformed: {0}")]
pub(crate) struct Malformed(&'static str);

fn is_session_id(id: &str) -> bool {
    id.len() == 36 && uuid::Uuid::try_parse(id).is_ok() && !id.contains(char::is_uppercase)
}

fn time(timestamp: Option<prost_types::Timestamp>) -> Option<SystemTime> {
    timestamp?.try_into().ok()
}

/// The value of a metadata key, if it is there and is text.
pub(crate) fn text(metadata: &MetadataMap, key: &str) -> Option<String> {
    Some(metadata.get(key)?.to_str().ok()?.to_owned())
}
