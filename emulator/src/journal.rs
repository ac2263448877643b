//! What the emulator saw and did.

use std::collections::VecDeque;
use std::time::SystemTime;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::protocol::Operation;
use crate::signature::SignatureState;

/// Requests that the journal remembers unless configured.
pub const DEFAULT_JOURNAL_SIZE: usize = 10_000;

/// Bodies longer than this are left out of the journal, so that its memory stays bounded.
pub const MAX_JOURNALED_BODY: usize = 8 * 1024;

/// What happened since the emulator started or was reset.
///
/// The counts cover everything; `requests` is the latest of it. Requests to the control API are
/// not part of it, nor is what is no call of the API at all (another method, path or content
/// type).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// Calls received, whatever became of them.
    pub requests_seen: u64,
    /// Sessions made; calls that got an earlier session by its token are not among them.
    pub sessions_made: u64,
    /// Calls that got an earlier session by its token.
    pub sessions_replayed: u64,
    /// Calls refused because a quota was used up; injected throttles are not among them.
    pub throttled: u64,
    /// Calls that a fault other than latency hit.
    pub faults_injected: u64,
    /// Different tokens that made a session. A token counts again when its session has expired,
    /// and in every account and region.
    pub distinct_tokens: u64,
    /// The latest requests, oldest first; how many is configured.
    pub requests: Vec<RequestRecord>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The `x-amzn-requestid` of its answer.
    pub request_id: String,
    /// When it came, as RFC 3339.
    pub time: String,
    /// What it asked for; none when the emulator does not know the operation.
    pub operation: Option<Operation>,
    /// The region it was for.
    pub region: String,
    /// The access key that it claims to be signed with.
    pub access_key: Option<String>,
    /// What became of its signature.
    pub signature: SignatureState,
    /// The attempt, from 1, that the SDK says this is (`amz-sdk-request`).
    pub attempt: Option<u32>,
    /// How many attempts the SDK says it makes at most.
    pub max_attempts: Option<u32>,
    /// The id that the attempts of one SDK call share (`amz-sdk-invocation-id`).
    pub invocation_id: Option<String>,
    /// The body; none if it is not JSON or longer than [`MAX_JOURNALED_BODY`].
    pub body: Option<Value>,
    /// The fault that hit it, other than latency.
    pub fault: Option<String>,
    /// Added latency in milliseconds.
    pub latency_ms: u64,
    /// The HTTP status of its answer; none if it got no whole answer.
    pub status: Option<u16>,
    /// What the emulator did.
    pub outcome: Outcome,
}

/// What the emulator did with a request; a fault may have spoilt the answer afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It made a session.
    SessionMade {
        /// The session.
        session_id: String,
    },
    /// It returned the session that the same token had made.
    SessionReplayed {
        /// The session.
        session_id: String,
    },
    /// It returned a session's results.
    ResultsReturned {
        /// The session.
        session_id: String,
    },
    /// It answered an error.
    Refused {
        /// The error's code.
        code: String,
    },
    /// It did nothing: the connection was reset or left hanging before.
    NotProcessed,
}

impl RequestRecord {
    pub(crate) fn new(request_id: &str, region: &str, headers: &HeaderMap) -> Self {
        let sdk_request = header(headers, "amz-sdk-request").unwrap_or_default();
        let number = |name: &str| {
            sdk_request
                .split(';')
                .filter_map(|part| part.trim().split_once('='))
                .find_map(|(key, value)| (key == name).then(|| value.parse().ok())?)
        };
        Self {
            request_id: request_id.to_owned(),
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            operation: Operation::of_target(headers),
            region: region.to_owned(),
            access_key: None,
            signature: SignatureState::Absent,
            attempt: number("attempt"),
            max_attempts: number("max"),
            invocation_id: header(headers, "amz-sdk-invocation-id").map(str::to_owned),
            body: None,
            fault: None,
            latency_ms: 0,
            status: None,
            outcome: Outcome::NotProcessed,
        }
    }
}

/// The longest text from a header that the journal keeps, in bytes.
const MAX_HEADER_TEXT: usize = 256;

impl RequestRecord {
    /// Headers are the client's: what comes from them is kept up to a length.
    fn clipped(mut self) -> Self {
        let from_headers = [
            Some(&mut self.region),
            self.access_key.as_mut(),
            self.invocation_id.as_mut(),
        ];
        for text in from_headers.into_iter().flatten() {
            text.truncate(text.floor_char_boundary(MAX_HEADER_TEXT));
        }
        self
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Writes the journal.
#[derive(Debug)]
pub(crate) struct Recorder {
    counts: Journal,
    latest: VecDeque<RequestRecord>,
    capacity: usize,
}

impl Recorder {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            counts: Journal::default(),
            latest: VecDeque::new(),
            capacity,
        }
    }

    pub(crate) fn session_made(&mut self, with_token: bool) {
        self.counts.sessions_made += 1;
        self.counts.distinct_tokens += u64::from(with_token);
    }

    pub(crate) fn throttled(&mut self) {
        self.counts.throttled += 1;
    }

    pub(crate) fn push(&mut self, record: RequestRecord) {
        self.counts.requests_seen += 1;
        self.counts.faults_injected += u64::from(record.fault.is_some());
        if matches!(record.outcome, Outcome::SessionReplayed { .. }) {
            self.counts.sessions_replayed += 1;
        }
        self.latest.push_back(record.clipped());
        while self.latest.len() > self.capacity {
            self.latest.pop_front();
        }
    }

    pub(crate) fn read(&self) -> Journal {
        Journal {
            requests: self.latest.iter().cloned().collect(),
            ..self.counts.clone()
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }
}
