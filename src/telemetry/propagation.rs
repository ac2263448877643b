//! The trace that a call belongs to, as its caller tells it in the metadata
//! `traceparent` and `tracestate` of W3C.
//!
//! Of `tracestate`, where a caller may write whatever it likes, no more is kept
//! than how OpenTelemetry sampled the trace (`ot=th:…;rv:…`, hexadecimal numbers):
//! spans carry it to the collector, and nothing else here would read the rest.
//!
//! Source: "Trace Context" level 2 of W3C; "TraceState: Probability Sampling" of
//! OpenTelemetry.

use http::{HeaderMap, HeaderName};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The longest `tracestate` that is looked at, in characters: as much as W3C asks
/// everybody to pass on.
const MAX_STATE: usize = 512;

/// How many members it may have, by W3C.
const MAX_MEMBERS: usize = 32;

/// Of hexadecimal digits in a number of the sampling.
const MAX_DIGITS: usize = 14;

/// The caller's trace; an empty context if it tells of none.
pub(super) fn context(headers: &HeaderMap) -> Context {
    if !headers.contains_key(TRACEPARENT) {
        return Context::new();
    }
    let metadata = Metadata {
        headers,
        state: sampling(headers),
    };
    TraceContextPropagator::new().extract_with_context(&Context::new(), &metadata)
}

/// Metadata as the propagator may read it.
struct Metadata<'a> {
    headers: &'a HeaderMap,
    state: Option<String>,
}

impl Extractor for Metadata<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACESTATE {
            return self.state.as_deref();
        }
        self.headers.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.keys().map(HeaderName::as_str).collect()
    }
}

/// What is kept of `tracestate`.
fn sampling(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(TRACESTATE).iter();
    let lines: Vec<&str> = lines
        .map(|line| line.to_str().ok())
        .collect::<Option<_>>()?;
    // The lines of a header are one list.
    let length = lines.iter().map(|line| line.len() + 1).sum::<usize>();
    if length > MAX_STATE + 1 {
        return None;
    }
    let members = lines.iter().flat_map(|line| line.split(','));
    let members = members.map(|member| member.trim_matches([' ', '\t']));
    let members: Vec<&str> = members.filter(|member| !member.is_empty()).collect();
    if members.len() > MAX_MEMBERS {
        return None;
    }
    let own = members
        .iter()
        .find_map(|member| member.strip_prefix("ot="))?;
    let number = |key| {
        let digits = own.split(';').find_map(|part| part.strip_prefix(key))?;
        is_number(digits).then(|| format!("{key}{digits}"))
    };
    let kept: Vec<String> = ["th:", "rv:"].into_iter().filter_map(number).collect();
    (!kept.is_empty()).then(|| format!("ot={}", kept.join(";")))
}

fn is_number(digits: &str) -> bool {
    let hexadecimal = |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(hexadecimal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use opentelemetry::trace::TraceContextExt as _;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// What is kept of these lines.
    fn kept(lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_static(PARENT));
        for line in lines {
            headers.append(TRACESTATE, HeaderValue::from_str(line).unwrap());
        }
        let context = context(&headers);
        let span = context.span();
        assert!(span.span_context().is_valid());
        span.span_context().trace_state().header()
    }

    #[test]
    fn of_the_state_only_the_sampling_is_kept() {
        assert_eq!(
            kept(&["ot=th:c;rv:0123456789abcd"]),
            "ot=th:c;rv:0123456789abcd"
        );
        assert_eq!(kept(&["congo=hush, ot=x:hush;th:c"]), "ot=th:c");
        assert_eq!(
            kept(&["congo=hush", "ot=rv:0123456789abcd"]),
            "ot=rv:0123456789abcd"
        );
        for nothing in [
            "",
            "congo=hush",
            "ot=hush",
            "ot=th:hush",
            "ot=th:0123456789abcdef",
        ] {
            assert_eq!(kept(&[nothing]), "", "{nothing}");
        }
    }

    #[test]
    fn a_state_beyond_the_limits_of_w3c_is_not_looked_at() {
        let sampling = "ot=th:c";
        let filled = |length: usize| format!("{sampling},x={}", "y".repeat(length - 10));
        assert_eq!(kept(&[&filled(MAX_STATE)]), sampling);
        assert_eq!(kept(&[&filled(MAX_STATE + 1)]), "");
        let members = |count: usize| format!("{sampling}{}", ",x=y".repeat(count - 1));
        assert_eq!(kept(&[&members(MAX_MEMBERS)]), sampling);
        assert_eq!(kept(&[&members(MAX_MEMBERS + 1)]), "");
    }

    #[test]
    fn without_a_trace_there_is_no_context() {
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static(TRACESTATE),
            HeaderValue::from_static("ot=th:c"),
        )]);
        assert!(!context(&headers).has_active_span());
    }
}
