//! What the gateway's operator can do about each reason. (What its callers can
//! do stands in the status itself.)

/// Every reason in the table of refusals, and the operator's remedy.
const REMEDIES: [(&str, &str); 22] = [
    (
        "ACCOUNT_QUOTA",
        "The account's quota is used up: ask AWS for more and set quota.*, or have callers give their calls later deadlines.",
    ),
    (
        "CALLER_RATE",
        "A caller exceeds its own rate: have it slow down, or raise its rate in [[callers]].",
    ),
    (
        "DEADLINE",
        "Calls take longer than their callers wait: see the upstream latency and the queue, or have callers give later deadlines.",
    ),
    (
        "DRAINING",
        "This replica is shutting down: callers find another if there is one.",
    ),
    (
        "INTERNAL",
        "The gateway has a defect: its log has the details.",
    ),
    (
        "INVALID_REQUEST",
        "The caller's request breaks constraints: the refusal names each field.",
    ),
    (
        "KEYS_UNAVAILABLE",
        "The token issuer's keys cannot be read, or hundreds of calls wait for them: check auth.jwt.jwks, and the network to it; the log has the details.",
    ),
    (
        "OVERLOADED",
        "More calls are in flight than server.max_in_flight, or one caller has too many of them: add replicas, raise it, or give the caller a rate. Or an address watches the health too often: have its clients share a watch.",
    ),
    (
        "POLICY",
        "A caller asks for what its policy does not allow, or is not admitted: check-config --as tells its rule; widen it in [[callers]], or have the caller ask for less.",
    ),
    (
        "REGION_NOT_SERVED",
        "A caller asks for a region that is not configured: add it to [[regions]], or have the caller ask for none.",
    ),
    (
        "SESSION_EXPIRING",
        "A caller repeats a call too late: have it use a new client_request_token for each intent.",
    ),
    (
        "TOKEN_REUSED",
        "A caller uses one client_request_token for different requests: have it use a token for each intent.",
    ),
    (
        "UNAUTHENTICATED",
        "A caller has no credentials that are accepted: have it get new ones; compare [[tokens]], [auth.jwt] and tls.client_ca with what it sends.",
    ),
    (
        "UNIMPLEMENTED",
        "A client calls a method that there is not, or compresses messages: compare its schema.",
    ),
    (
        "UPSTREAM_ACCESS_DENIED",
        "Allow the gateway's role rekognition:CreateFaceLivenessSession, and s3:PutObject for the bucket; check that the region has Face Liveness.",
    ),
    (
        "UPSTREAM_CREDENTIALS",
        "Renew or correct the gateway's AWS credentials; /readyz tells whether they can be loaded.",
    ),
    (
        "UPSTREAM_INVALID_PARAMETER",
        "AWS refused the parameters: check the KMS key, and that the bucket lies in the session's region.",
    ),
    (
        "UPSTREAM_MALFORMED",
        "AWS's answer is not a session: check endpoint_url, and proxies on the way.",
    ),
    (
        "UPSTREAM_QUOTA",
        "AWS admits less than is configured, or others use the account's quota too: compare quota.creates_per_second with the account's, or share it through quota_store.",
    ),
    (
        "UPSTREAM_REJECTED",
        "AWS refused for a reason that the gateway does not know: its log has the details.",
    ),
    (
        "UPSTREAM_THROTTLED",
        "AWS is short of capacity: it passes; see the AWS Health Dashboard if it lasts.",
    ),
    (
        "UPSTREAM_UNAVAILABLE",
        "AWS failed or cannot be reached: check the network, endpoint_url and the time-outs; see the AWS Health Dashboard.",
    ),
];

/// Every reason.
pub(crate) fn reasons() -> impl Iterator<Item = &'static str> {
    REMEDIES.into_iter().map(|(reason, _)| reason)
}

/// What the operator can do about a refusal with this reason.
pub(crate) fn remedy(reason: &str) -> Option<&'static str> {
    let remedy = REMEDIES.iter().find(|(name, _)| *name == reason);
    remedy.map(|(_, remedy)| *remedy)
}

/// The reason as it stands in the table; `None` if it does not.
pub(crate) fn known(reason: &str) -> Option<&'static str> {
    reasons().find(|known| *known == reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_remedy_for_every_reason_that_the_readme_lists() {
        let readme = include_str!("../../README.md");
        let errors = readme
            .split("\n## ")
            .find(|part| part.starts_with("Errors"));
        let rows = errors.unwrap().lines().filter_map(|line| {
            let name = line.strip_prefix("| `")?.split('`').next()?;
            Some(name)
        });
        let mut listed: Vec<_> = rows.collect();
        listed.sort_unstable();
        assert_eq!(listed, reasons().collect::<Vec<_>>());
    }
}
