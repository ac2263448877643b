//! What must hold whatever comes in. The function takes any bytes, and panics when it
//! does not hold: the target in `fuzz/` looks for such bytes, and ordinary tests replay
//! those of `fuzz/corpus`. Public for these two alone.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request};
use serde_json::Value;

use crate::api::{self, Delivery};
use crate::control;
use crate::faults::Fault;
use crate::protocol::Answer;
use crate::quota::Quota;
use crate::state::Shared;
use crate::{Credentials, Emulator};

/// Between head and body.
const BOUNDARY: &[u8] = b"\n\n";

/// Lines of `NAME: VALUE`, an empty line and a body, as of an HTTP request: every call
/// is answered as AWS would, with and without signatures. The first line may be faults
/// (`faults: throttling=0.5@3 reset`), or a path of the control API
/// (`PUT /_emulator/faults`).
pub fn http(bytes: &[u8]) {
    let boundary = bytes.windows(BOUNDARY.len()).position(|at| at == BOUNDARY);
    let (head, body) = match boundary {
        Some(at) => (&bytes[..at], &bytes[at + BOUNDARY.len()..]),
        None => (bytes, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let body = Bytes::copy_from_slice(body);
    let Some(request) = request(&head) else {
        return;
    };
    for verify in [false, true] {
        let builder = Emulator::builder()
            .credentials([Credentials::new("AKIDFUZZ", "secret")])
            .verify_signatures(verify)
            .quota(Quota::UNLIMITED)
            .seed(1)
            .faults(faults(&head));
        let shared = builder.into_shared();
        if let Some((method, path)) = control_of(&head) {
            let answer = control::answer(&shared, &method, path, &body);
            assert!(json(&answer).is_some(), "the control API speaks JSON");
        }
        call(&shared, &request, &body);
        call(&shared, &request, &body);
        let journal = shared.state().journal.read();
        assert!(serde_json::to_value(&journal).is_ok());
    }
}

fn call(shared: &Shared, request: &Parts, body: &Bytes) {
    let reply = api::call(shared, "id", request, body);
    if let Delivery::Answer(answer) | Delivery::CutShort(answer) = reply.delivery {
        let is_good = answer.status.is_success();
        let told = json(&answer).is_some_and(|body| body.get("__type").is_some());
        assert!(is_good || told, "an error without its type");
    }
}

fn json(answer: &Answer) -> Option<Value> {
    serde_json::from_slice(&answer.body).ok()
}

/// The request that these lines are the head of; what is no header is left out.
fn request(head: &str) -> Option<Parts> {
    let mut request = Request::post("/");
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(": ") {
            let fits = http::HeaderName::try_from(name).is_ok()
                && http::HeaderValue::try_from(value).is_ok();
            if fits {
                request = request.header(name, value);
            }
        }
    }
    Some(request.body(()).ok()?.into_parts().0)
}

fn faults(head: &str) -> Vec<Fault> {
    let line = head.lines().find_map(|line| line.strip_prefix("faults: "));
    let read = line.into_iter().flat_map(str::split_whitespace);
    let mut faults = Vec::new();
    for fault in read.filter_map(|text| text.parse::<Fault>().ok()) {
        let written = serde_json::to_value(&fault).unwrap_or_default();
        let again: Option<Fault> = serde_json::from_value(written).ok();
        assert_eq!(again.as_ref(), Some(&fault), "it reads as it is written");
        faults.push(fault);
    }
    faults
}

fn control_of(head: &str) -> Option<(Method, &str)> {
    let (method, path) = head.lines().next()?.split_once(' ')?;
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    path.starts_with(control::PREFIX).then_some((method, path))
}
