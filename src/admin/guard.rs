//! Keeps web pages out: they run in the browsers of people who can reach the
//! port.

use std::net::IpAddr;

use aws_smithy_types::base64;
use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use super::page::PAGE;

/// The explanation that goes with a refused `Host`.
const WRONG_HOST: &str =
    "this port answers to localhost, 127.0.0.1 and [::1] only: call it by one of these\n";

/// The explanation that goes with what a page of another origin sent.
const CROSSING: &str = "nothing can be changed from a page of another origin\n";

/// Routes with what keeps web pages out. On loopback the `Host` is checked.
pub(super) fn guarded(routes: Router, on_loopback: bool) -> Router {
    let policy = HeaderValue::from_str(&policy(PAGE)).ok();
    routes
        .layer(from_fn(move |request: Request, next: Next| async move {
            if on_loopback && !names_loopback(request.headers()) {
                return (StatusCode::MISDIRECTED_REQUEST, WRONG_HOST).into_response();
            }
            if comes_from_elsewhere(&request) {
                return (StatusCode::FORBIDDEN, CROSSING).into_response();
            }
            next.run(request).await
        }))
        .layer(from_fn(move |request: Request, next: Next| {
            let policy = policy.clone();
            async move { hardened(next.run(request).await, policy) }
        }))
}

/// A page whose name an attacker lets resolve to 127.0.0.1 comes with that name.
fn names_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether a browser says that a page of another origin wants to change something.
/// Only browsers send the header.
fn comes_from_elsewhere(request: &Request) -> bool {
    let site = request.headers().get("sec-fetch-site");
    let elsewhere = site.is_some_and(|site| site != "same-origin" && site != "none");
    elsewhere && !request.method().is_safe()
}

fn hardened(mut response: Response, policy: Option<HeaderValue>) -> Response {
    const FIXED: [(HeaderName, &str); 6] = [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(policy) = policy {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The Content-Security-Policy under which only the page's own scripts and styles
/// run, and only this port is asked.
fn policy(page: &str) -> String {
    let scripts = sources(page, "script");
    let styles = sources(page, "style");
    format!(
        "default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; \
         img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The hashes of all elements of this name in the page.
fn sources(page: &str, element: &str) -> String {
    let (open, close) = (format!("<{element}"), format!("</{element}>"));
    let contents = page.split(&open).skip(1).filter_map(|rest| {
        let (content, _) = rest.split_once('>')?.1.split_once(&close)?;
        Some(content)
    });
    let hashes: Vec<_> = contents
        .map(|content| format!("'sha256-{}'", base64::encode(Sha256::digest(content))))
        .collect();
    if hashes.is_empty() {
        return "'none'".to_owned();
    }
    hashes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_loopback_are_answered_to() {
        let cases = [
            ("localhost", true),
            ("LocalHost:9464", true),
            ("127.0.0.1:9464", true),
            ("127.9.9.9", true),
            ("[::1]:9464", true),
            ("evil.example", false),
            ("localhost.evil.example:9464", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1", false),
            ("", false),
        ];
        for (host, expected) in cases {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            assert_eq!(names_loopback(&headers), expected, "{host:?}");
        }
        assert!(!names_loopback(&HeaderMap::new()));
    }

    #[test]
    fn the_policy_lets_only_the_pages_own_scripts_and_styles_run() {
        let page = "<style>a{}</style><script type=\"module\">let b;</script>";
        let policy = policy(page);
        let hash = |text: &str| base64::encode(Sha256::digest(text));
        assert!(policy.contains(&format!("script-src 'sha256-{}';", hash("let b;"))));
        assert!(policy.contains(&format!("style-src 'sha256-{}';", hash("a{}"))));
        assert!(policy.contains("default-src 'none'"));
        assert!(!policy.contains("unsafe"));
    }
}
