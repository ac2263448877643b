//! Faults as text for flags and as JSON for the control API.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::{self, Short};
use super::{Fault, FaultKind, Latency};
use crate::protocol::Operation;

/// The session id that `malformed-session-id` answers unless given another.
const MALFORMED_SESSION_ID: &str = "not-a-session-id";

/// Every name, in the order in which errors list them.
const NAMES: [&str; 16] = [
    "latency",
    "throttling",
    "internal-server-error",
    "access-denied",
    "expired-token",
    "invalid-parameter",
    "provisioned-throughput-exceeded",
    "unrecognized-client",
    "service-unavailable",
    "reset",
    "hang",
    "reset-after-create",
    "cut-short",
    "not-json",
    "no-session-id",
    "malformed-session-id",
];

/// Why a fault could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// There is no fault of this name.
    #[error("there is no fault {name:?}; there are {}", NAMES.join(", "))]
    UnknownName {
        /// The name.
        name: String,
    },
    /// The probability is none.
    #[error("{0:?} is no probability: a number from 0 to 1 follows the =, as in throttling=0.1")]
    Probability(String),
    /// The call is none.
    #[error(
        "{0:?} names no call: the number of a call, from 1, or a range follows the @, as in \
         reset@3 or reset@3..5"
    )]
    Call(String),
    /// The number of times is none.
    #[error("{0:?} is no number of times: a number from 1 follows the #, as in throttling=0.5#2")]
    Times(String),
    /// The operation is none.
    #[error("{0:?} is no operation: create, get or any, as in get/throttling")]
    Operation(String),
    /// The fault takes no such value, or lacks one.
    #[error("{name}: {problem}")]
    Value {
        /// The fault.
        name: String,
        /// What is wrong with its value.
        problem: String,
    },
}

fn value_error(name: &str, problem: impl Into<String>) -> ParseError {
    ParseError::Value {
        name: name.to_owned(),
        problem: problem.into(),
    }
}

/// `[create/|get/|any/]NAME[:VALUE][=PROBABILITY][@CALL[..CALL]][#TIMES]`
impl FromStr for Fault {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (operation, rest) = text
            .trim()
            .split_once('/')
            .unwrap_or(("create", text.trim()));
        let (rest, times) = split_off(rest, '#');
        let (rest, calls) = split_off(rest, '@');
        let (rest, probability) = split_off(rest, '=');
        let (name, value) = split_off(rest, ':');
        let mut fault = Fault::new(kind(name, value)?);
        fault.operation = operation_of(operation)?;
        if let Some(text) = probability {
            let number = text.parse().ok().filter(|p| (0.0..=1.0).contains(p));
            fault.probability = number.ok_or_else(|| ParseError::Probability(text.to_owned()))?;
        }
        if let Some(text) = calls {
            let (first, count) = calls_of(text).ok_or_else(|| ParseError::Call(text.to_owned()))?;
            fault.on_call = Some(first);
            fault.times = (count > 1).then_some(count);
        }
        if let Some(text) = times {
            let number = text.parse().ok().filter(|n| *n > 0);
            fault.times = Some(number.ok_or_else(|| ParseError::Times(text.to_owned()))?);
        }
        Ok(fault)
    }
}

fn split_off(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn kind(name: &str, value: Option<&str>) -> Result<FaultKind, ParseError> {
    let plain = match name {
        "latency" => {
            let value = value.ok_or_else(|| {
                value_error(
                    name,
                    "needs a value, as in latency:20ms or latency:10ms..50ms",
                )
            })?;
            let latency: Latency = value
                .parse()
                .map_err(|error: latency::ParseError| value_error(name, error.to_string()))?;
            return Ok(FaultKind::Latency(latency));
        }
        "throttling" => return throttling(value),
        "malformed-session-id" => {
            let id = value.unwrap_or(MALFORMED_SESSION_ID);
            return Ok(FaultKind::MalformedSessionId(id.to_owned()));
        }
        "internal-server-error" => FaultKind::InternalServerError,
        "access-denied" => FaultKind::AccessDenied,
        "expired-token" => FaultKind::ExpiredToken,
        "invalid-parameter" => FaultKind::InvalidParameter,
        "provisioned-throughput-exceeded" => FaultKind::ProvisionedThroughputExceeded,
        "unrecognized-client" => FaultKind::UnrecognizedClient,
        "service-unavailable" => FaultKind::ServiceUnavailable,
        "reset" => FaultKind::Reset,
        "hang" => FaultKind::Hang,
        "reset-after-create" => FaultKind::ResetAfterCreate,
        "cut-short" => FaultKind::CutShort,
        "not-json" => FaultKind::NotJson,
        "no-session-id" => FaultKind::NoSessionId,
        _ => {
            let name = name.to_owned();
            return Err(ParseError::UnknownName { name });
        }
    };
    match value {
        None => Ok(plain),
        Some(value) => Err(value_error(
            name,
            format!("takes no value, but got {value:?}"),
        )),
    }
}

fn throttling(value: Option<&str>) -> Result<FaultKind, ParseError> {
    let retry_after = match value {
        None => None,
        Some(text) => Some(latency::duration(text).ok_or_else(|| {
            value_error(
                "throttling",
                format!("{text:?} is no duration for x-amz-retry-after, as in throttling:500ms"),
            )
        })?),
    };
    Ok(FaultKind::Throttling { retry_after })
}

fn operation_of(text: &str) -> Result<Option<Operation>, ParseError> {
    match text {
        "create" | "CreateFaceLivenessSession" => Ok(Some(Operation::CreateFaceLivenessSession)),
        "get" | "GetFaceLivenessSessionResults" => {
            Ok(Some(Operation::GetFaceLivenessSessionResults))
        }
        "any" => Ok(None),
        _ => Err(ParseError::Operation(text.to_owned())),
    }
}

fn operation_name(operation: Option<Operation>) -> &'static str {
    match operation {
        Some(Operation::CreateFaceLivenessSession) => "create",
        Some(Operation::GetFaceLivenessSessionResults) => "get",
        None => "any",
    }
}

/// The first call and how many, of `3` or `3..5`.
fn calls_of(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first >= 1 && last >= first).then(|| (first, last - first + 1))
}

pub(super) fn write(fault: &Fault, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match fault.operation {
        Some(Operation::CreateFaceLivenessSession) => {}
        other => write!(f, "{}/", operation_name(other))?,
    }
    f.write_str(fault.kind.name())?;
    match &fault.kind {
        FaultKind::Latency(latency) => write!(f, ":{latency}")?,
        FaultKind::Throttling {
            retry_after: Some(wait),
        } => write!(f, ":{}", Short(*wait))?,
        FaultKind::MalformedSessionId(id) if id != MALFORMED_SESSION_ID => write!(f, ":{id}")?,
        _ => {}
    }
    if fault.probability < 1.0 {
        write!(f, "={}", fault.probability)?;
    }
    match (fault.on_call, fault.times) {
        (Some(first), Some(times)) if times > 1 => {
            write!(f, "@{first}..{}", first.saturating_add(times - 1))
        }
        (Some(first), _) => write!(f, "@{first}"),
        (None, Some(times)) => write!(f, "#{times}"),
        (None, None) => Ok(()),
    }
}

/// A fault as JSON; see [`Fault`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wire {
    fault: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_call: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
}

impl TryFrom<Wire> for Fault {
    type Error = ParseError;

    fn try_from(wire: Wire) -> Result<Self, ParseError> {
        let mut fault = Fault::new(wire.kind()?);
        fault.operation = operation_of(wire.operation.as_deref().unwrap_or("create"))?;
        if let Some(number) = wire.probability {
            if !(0.0..=1.0).contains(&number) {
                return Err(ParseError::Probability(number.to_string()));
            }
            fault.probability = number;
        }
        if wire.on_call == Some(0) {
            return Err(ParseError::Call("0".into()));
        }
        if wire.times == Some(0) {
            return Err(ParseError::Times("0".into()));
        }
        fault.on_call = wire.on_call;
        fault.times = wire.times;
        Ok(fault)
    }
}

impl Wire {
    fn kind(&self) -> Result<FaultKind, ParseError> {
        let values = [
            ("latency", "latency", self.latency.is_some()),
            (
                "retry_after_ms",
                "throttling",
                self.retry_after_ms.is_some(),
            ),
            (
                "session_id",
                "malformed-session-id",
                self.session_id.is_some(),
            ),
        ];
        for (member, only, given) in values {
            if given && self.fault != only {
                return Err(value_error(
                    &self.fault,
                    format!("{member} goes with {only} only"),
                ));
            }
        }
        match self.fault.as_str() {
            "latency" => kind("latency", self.latency.as_deref()),
            "malformed-session-id" => kind("malformed-session-id", self.session_id.as_deref()),
            "throttling" => Ok(FaultKind::Throttling {
                retry_after: self.retry_after_ms.map(Duration::from_millis),
            }),
            name => kind(name, None),
        }
    }
}

impl From<Fault> for Wire {
    fn from(fault: Fault) -> Self {
        let mut wire = Self {
            fault: fault.kind.name().to_owned(),
            operation: Some(operation_name(fault.operation).to_owned()),
            probability: (fault.probability < 1.0).then_some(fault.probability),
            on_call: fault.on_call,
            times: fault.times,
            latency: None,
            retry_after_ms: None,
            session_id: None,
        };
        match fault.kind {
            FaultKind::Latency(latency) => wire.latency = Some(latency.to_string()),
            FaultKind::Throttling {
                retry_after: Some(wait),
            } => {
                wire.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            }
            FaultKind::MalformedSessionId(id) => wire.session_id = Some(id),
            _ => {}
        }
        wire
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_text_and_as_json() {
        for name in NAMES {
            let text = match name {
                "latency" => "get/latency:20ms=0.5@3..5".to_owned(),
                _ => format!("any/{name}=0.25#2"),
            };
            let fault: Fault = text.parse().unwrap();
            assert_eq!(fault.kind.name(), name);
            assert_eq!(fault.to_string(), text);
            let json = serde_json::to_string(&fault).unwrap();
            assert_eq!(
                serde_json::from_str::<Fault>(&json).unwrap(),
                fault,
                "{json}"
            );
        }
    }

    #[test]
    fn mistakes_in_text_say_what_is_allowed() {
        for (text, said) in [
            ("throtling=0.1", "reset-after-create"),
            ("throttling=1.5", "from 0 to 1"),
            ("throttling=", "from 0 to 1"),
            ("reset@0", "from 1"),
            ("reset@5..3", "range"),
            ("reset#0", "from 1"),
            ("put/reset", "create, get or any"),
            ("latency", "latency:20ms"),
            ("latency:soon", "10ms..50ms"),
            ("throttling:soon", "throttling:500ms"),
            ("hang:5s", "takes no value"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn mistakes_in_json_say_what_is_allowed() {
        for (json, said) in [
            (r#"{"fault":"nope"}"#, "reset-after-create"),
            (r#"{"fault":"reset","probabilty":1}"#, "probability"),
            (r#"{"fault":"reset","probability":2}"#, "from 0 to 1"),
            (r#"{"fault":"reset","on_call":0}"#, "from 1"),
            (
                r#"{"fault":"reset","latency":"1s"}"#,
                "goes with latency only",
            ),
        ] {
            let error = serde_json::from_str::<Fault>(json).unwrap_err().to_string();
            assert!(error.contains(said), "{json}: {error}");
        }
    }
}
