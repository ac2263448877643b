//! Signature Version 4: who signed a request, for which region, and whether the signature holds.
//!
//! The signature is recomputed over exactly the headers that the client says it signed, so every
//! client that AWS accepts is accepted here. Keys and digests come from `aws-sigv4` and `sha2`.
//! A session token takes part as a signed header; the token itself is not checked.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::request::Parts;
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::credentials::{Credentials, DEFAULT_ACCOUNT};
use crate::protocol::ApiError;
use crate::region;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "rekognition";
const TERMINATOR: &str = "aws4_request";

/// How far a signature's date may be off, either way.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// What became of a request's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureState {
    /// It is that of a known key pair over this request.
    Verified,
    /// It was there, and nobody looked: verification is off.
    Unverified,
    /// The request carried none.
    Absent,
    /// It was refused; the request's outcome says with which error.
    Refused,
}

/// Who called, as far as the request tells.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) access_key: Option<String>,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) signature: SignatureState,
}

/// Decides about signatures.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) credentials: HashMap<String, Credentials>,
    pub(crate) verify: bool,
    pub(crate) default_region: String,
}

impl Verifier {
    /// Identifies the caller, and says what AWS would answer if the signature does not hold.
    pub(crate) fn identify(
        &self,
        request: &Parts,
        body: &[u8],
        now: SystemTime,
    ) -> (Caller, Result<(), ApiError>) {
        let authorization = request
            .headers
            .get(header::AUTHORIZATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let claim = authorization
            .as_deref()
            .map(|text| Claim::parse(text, &request.headers));
        let verdict = match &claim {
            _ if !self.verify => Ok(()),
            None => Err(ApiError::missing_authentication_token()),
            Some(Err(refusal)) => Err(refusal.clone()),
            Some(Ok(claim)) => self.check(claim, request, body, now),
        };
        let signature = match (&claim, &verdict) {
            (None, _) => SignatureState::Absent,
            (_, Err(_)) => SignatureState::Refused,
            _ if self.verify => SignatureState::Verified,
            _ => SignatureState::Unverified,
        };
        (self.caller(claim.and_then(Result::ok), signature), verdict)
    }

    fn caller(&self, claim: Option<Claim<'_>>, signature: SignatureState) -> Caller {
        let known = claim
            .as_ref()
            .and_then(|claim| self.credentials.get(claim.access_key));
        Caller {
            account: known
                .map_or(DEFAULT_ACCOUNT, Credentials::account)
                .to_owned(),
            region: claim
                .as_ref()
                .map_or(self.default_region.as_str(), |claim| claim.region)
                .to_owned(),
            access_key: claim.map(|claim| claim.access_key.to_owned()),
            signature,
        }
    }

    fn check(
        &self,
        claim: &Claim<'_>,
        request: &Parts,
        body: &[u8],
        now: SystemTime,
    ) -> Result<(), ApiError> {
        claim.check_scope(&request.headers)?;
        let signed_at = claim.check_date(now)?;
        let Some(credentials) = self.credentials.get(claim.access_key) else {
            return Err(ApiError::unrecognized_client());
        };
        let key = generate_signing_key(
            credentials.secret_key(),
            signed_at,
            claim.region,
            claim.service,
        );
        let expected = calculate_signature(key, claim.string_to_sign(request, body).as_bytes());
        if bool::from(expected.as_bytes().ct_eq(claim.signature.as_bytes())) {
            return Ok(());
        }
        Err(ApiError::invalid_signature(
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method. Consult the service documentation for \
             details.",
        ))
    }
}

/// What the `Authorization` header claims.
struct Claim<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
    /// `X-Amz-Date`, as sent.
    timestamp: String,
}

impl<'a> Claim<'a> {
    fn parse(authorization: &'a str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let parameters = authorization
            .strip_prefix(ALGORITHM)
            .filter(|rest| rest.starts_with(' '))
            .unwrap_or_default();
        let find = |name: &str| {
            parameters
                .split([',', ' '])
                .filter_map(|parameter| parameter.split_once('='))
                .find_map(|(key, value)| (key == name && !value.is_empty()).then_some(value))
        };
        let timestamp = text_header(headers, "x-amz-date");
        let (Some(credential), Some(signature), Some(signed_headers), Some(timestamp)) = (
            find("Credential"),
            find("Signature"),
            find("SignedHeaders"),
            timestamp.clone(),
        ) else {
            return Err(incomplete(authorization, &find, timestamp.is_some()));
        };
        let elements: Vec<&str> = credential.split('/').collect();
        let [access_key, date, region, service, terminator] = elements.as_slice() else {
            return Err(ApiError::incomplete_signature(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'"
            )));
        };
        Ok(Self {
            access_key,
            date,
            region,
            service,
            terminator,
            signed_headers,
            signature,
            timestamp,
        })
    }

    fn check_scope(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut faults = String::new();
        let host = text_header(headers, "host").unwrap_or_default();
        let other_region = region::of_host(&host).is_some_and(|region| region != self.region);
        if !region::is_well_formed(self.region) || other_region {
            let _ = write!(
                faults,
                "Credential should be scoped to a valid region, not '{}'. ",
                self.region
            );
        }
        if self.service != SERVICE {
            let _ = write!(
                faults,
                "Credential should be scoped to correct service: '{SERVICE}'. "
            );
        }
        if self.terminator != TERMINATOR {
            let _ = write!(
                faults,
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'. ",
                self.terminator
            );
        }
        if !self.signed_headers.split(';').any(|name| name == "host") {
            faults.push_str(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization. ",
            );
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(ApiError::invalid_signature(faults))
    }

    fn check_date(&self, now: SystemTime) -> Result<SystemTime, ApiError> {
        let Some(signed_at) = parse_timestamp(&self.timestamp) else {
            return Err(ApiError::incomplete_signature(format!(
                "Date must be in ISO-8601 'basic format'. Got '{}'. See \
                 http://en.wikipedia.org/wiki/ISO_8601",
                self.timestamp
            )));
        };
        if !self.timestamp.starts_with(self.date) || self.date.len() != 8 {
            return Err(ApiError::invalid_signature(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '{}' != '{}', from '{}'.",
                self.date,
                self.timestamp.get(..8).unwrap_or_default(),
                self.timestamp
            )));
        }
        let (sent, now_text) = (&self.timestamp, format_timestamp(now));
        if signed_at + TOLERANCE < now {
            let limit = format_timestamp(now - TOLERANCE);
            return Err(ApiError::invalid_signature(format!(
                "Signature expired: {sent} is now earlier than {limit} ({now_text} - 5 min.)"
            )));
        }
        if signed_at > now + TOLERANCE {
            let limit = format_timestamp(now + TOLERANCE);
            return Err(ApiError::invalid_signature(format!(
                "Signature not yet current: {sent} is still later than {limit} ({now_text} + 5 \
                 min.)"
            )));
        }
        Ok(signed_at)
    }

    fn string_to_sign(&self, request: &Parts, body: &[u8]) -> String {
        let canonical = canonical_request(request, self.signed_headers, body);
        format!(
            "{ALGORITHM}\n{}\n{}/{}/{}/{}\n{}",
            self.timestamp,
            self.date,
            self.region,
            self.service,
            self.terminator,
            sha256_hex(canonical.as_bytes())
        )
    }
}

fn incomplete<'a>(
    authorization: &str,
    find: &impl Fn(&str) -> Option<&'a str>,
    dated: bool,
) -> ApiError {
    let mut message = String::new();
    for name in ["Credential", "Signature", "SignedHeaders"] {
        if find(name).is_none() {
            let _ = write!(
                message,
                "Authorization header requires '{name}' parameter. "
            );
        }
    }
    if !dated {
        message.push_str(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
        );
    }
    let scheme = authorization.split(' ').next().unwrap_or_default();
    let _ = write!(message, "Authorization={scheme}");
    ApiError::incomplete_signature(message)
}

/// The canonical request of Signature Version 4, over the headers that were signed.
fn canonical_request(request: &Parts, signed_headers: &str, body: &[u8]) -> String {
    let mut query: Vec<&str> = request.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let mut canonical = format!(
        "{}\n{}\n{}\n",
        request.method,
        request.uri.path(),
        query.join("&")
    );
    for name in signed_headers.split(';') {
        let _ = writeln!(
            canonical,
            "{name}:{}",
            canonical_value(&request.headers, name)
        );
    }
    let _ = write!(canonical, "\n{signed_headers}\n{}", sha256_hex(body));
    canonical
}

fn canonical_value(headers: &HeaderMap, name: &str) -> String {
    let values: Vec<String> = headers
        .get_all(name)
        .iter()
        .map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect();
    values.join(",")
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// `20261122T230000Z`, the basic form of ISO 8601.
fn parse_timestamp(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    let digits = |at: usize, len: usize| {
        let part = text.get(at..at + len)?;
        part.bytes().all(|b| b.is_ascii_digit()).then_some(part)
    };
    if bytes.len() != 16 || bytes.get(8) != Some(&b'T') || bytes.get(15) != Some(&b'Z') {
        return None;
    }
    let extended = format!(
        "{}-{}-{}T{}:{}:{}Z",
        digits(0, 4)?,
        digits(4, 2)?,
        digits(6, 2)?,
        digits(9, 2)?,
        digits(11, 2)?,
        digits(13, 2)?
    );
    humantime::parse_rfc3339(&extended).ok()
}

fn format_timestamp(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at)
        .to_string()
        .replace(['-', ':'], "")
}
