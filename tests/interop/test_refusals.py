"""A refusal says in details that machines read what is wrong and whether a retry helps."""

import pytest

from grpcurl import CREATE

INVALID_ARGUMENT, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE = 3, 8, 13, 14

GATEWAY, AWS = "faceliveness.v1", "rekognition.amazonaws.com"


def seconds(duration):
    return float(duration.removesuffix("s"))


def test_an_invalid_request_names_every_field_and_forbids_a_retry(grpcurl, emulator):
    refusal = grpcurl.refusal(
        CREATE,
        {
            "kms_key_id": "-",
            "settings": {
                "output_config": {"s3_bucket": "b", "s3_key_prefix": "a b"},
                "challenge_preferences": [{"versions": {"minimum": "01.0.0", "maximum": "1"}}],
            },
            "client_request_token": "no spaces",
        },
    )
    assert refusal.code == INVALID_ARGUMENT
    info = refusal.detail("ErrorInfo")
    assert (info["reason"], info["domain"]) == ("INVALID_REQUEST", GATEWAY)
    violations = refusal.detail("BadRequest")["fieldViolations"]
    assert {each["field"] for each in violations} == {
        "kms_key_id",
        "settings.output_config.s3_bucket",
        "settings.output_config.s3_key_prefix",
        "settings.challenge_preferences[0].type",
        "settings.challenge_preferences[0].versions.minimum",
        "settings.challenge_preferences[0].versions.maximum",
        "client_request_token",
    }
    assert all(each["description"].startswith("must ") for each in violations)
    assert refusal.pushback == -1
    assert not refusal.has_detail("RetryInfo")
    assert emulator.requests() == []


def test_a_region_that_is_not_served_is_refused_with_those_that_are(grpcurl, emulator):
    refusal = grpcurl.refusal(CREATE, {"region": "ap-south-1"})
    assert refusal.code == INVALID_ARGUMENT
    assert refusal.reason == "REGION_NOT_SERVED"
    (violation,) = refusal.detail("BadRequest")["fieldViolations"]
    assert violation["field"] == "region"
    assert "us-east-1" in violation["description"]
    assert refusal.pushback == -1
    assert emulator.requests() == []


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("throttling", UNAVAILABLE, "UPSTREAM_THROTTLED"),
        ("internal-server-error", UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        ("service-unavailable", UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        ("reset", UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        ("reset-after-create", UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        ("cut-short", UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        ("expired-token", UNAVAILABLE, "UPSTREAM_CREDENTIALS"),
        ("unrecognized-client", UNAVAILABLE, "UPSTREAM_CREDENTIALS"),
        ("provisioned-throughput-exceeded", RESOURCE_EXHAUSTED, "UPSTREAM_QUOTA"),
    ],
)
def test_what_a_retry_can_overcome_says_when_to_retry(grpcurl, emulator, fault, code, reason):
    emulator.break_with(fault)
    refusal = grpcurl.refusal()
    assert refusal.code == code
    info = refusal.detail("ErrorInfo")
    assert (info["reason"], info["domain"]) == (reason, AWS)
    assert refusal.pushback >= 0
    delay = seconds(refusal.detail("RetryInfo")["retryDelay"])
    assert delay == pytest.approx(refusal.pushback / 1000)
    assert refusal.has_detail("QuotaFailure") == (code == RESOURCE_EXHAUSTED)


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("invalid-parameter", INVALID_ARGUMENT, "UPSTREAM_INVALID_PARAMETER"),
        ("access-denied", INTERNAL, "UPSTREAM_ACCESS_DENIED"),
        ("no-session-id", INTERNAL, "UPSTREAM_MALFORMED"),
        ("malformed-session-id", INTERNAL, "UPSTREAM_MALFORMED"),
        ("not-json", INTERNAL, "UPSTREAM_MALFORMED"),
    ],
)
def test_what_a_retry_cannot_overcome_forbids_it(grpcurl, emulator, fault, code, reason):
    emulator.break_with(fault)
    refusal = grpcurl.refusal()
    assert refusal.code == code
    info = refusal.detail("ErrorInfo")
    assert (info["reason"], info["domain"]) == (reason, AWS)
    assert refusal.pushback == -1
    assert not refusal.has_detail("RetryInfo")


def test_a_pause_that_aws_asks_for_is_handed_on(grpcurl, emulator):
    emulator.break_with("throttling", retry_after_ms=1700)
    refusal = grpcurl.refusal()
    assert refusal.reason == "UPSTREAM_THROTTLED"
    assert refusal.pushback >= 1700


def test_a_refusal_by_aws_carries_its_request_id(grpcurl, emulator):
    emulator.break_with("access-denied")
    refusal = grpcurl.refusal()
    (request,) = emulator.requests()
    assert refusal.trailers["x-amzn-requestid"] == request["request_id"]


def test_the_gateway_serves_again_when_aws_does(grpcurl, emulator):
    emulator.break_with("access-denied")
    assert grpcurl.refusal().reason == "UPSTREAM_ACCESS_DENIED"
    emulator.work_again()
    assert grpcurl.call()["sessionId"]
