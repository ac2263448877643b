"""The example client of every language decodes each refusal with its details."""

import json
import socket

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from grpcurl import CREATE
from peer import Refuse

GATEWAY, AWS = "faceliveness.v1", "rekognition.amazonaws.com"

INVALID = {
    "kmsKeyId": "-",
    "settings": {
        "outputConfig": {"s3Bucket": "b", "s3KeyPrefix": "a b"},
        "challengePreferences": [{"versions": {"minimum": "01.0.0", "maximum": "1"}}],
    },
    "clientRequestToken": "no spaces",
}


@pytest.fixture
def refusal(client, without_retries):
    """The refusal of a call that is made once, which must have this code, reason and domain."""

    def call(gateway, code, reason, domain, *flags):
        refusal = client.refusal(gateway.address, *without_retries, *flags)
        assert (refusal.code, refusal.reason, refusal.domain) == (code, reason, domain), refusal
        assert refusal.message
        assert refusal.request_id
        assert bool(refusal.quota_violations) == (code == "RESOURCE_EXHAUSTED")
        return refusal

    return call


def assert_final(refusal):
    assert (refusal.pushback_ms, refusal.retry_delay) == (-1, None)


def assert_retryable(refusal):
    assert refusal.pushback_ms > 0
    assert refusal.retry_delay == pytest.approx(refusal.pushback_ms / 1000, abs=0.001)


def fields(refusal):
    assert all(violation["description"] for violation in refusal.field_violations)
    return {violation["field"] for violation in refusal.field_violations}


@pytest.fixture
def request_file(tmp_path):
    def write(message):
        file = tmp_path / "request.json"
        file.write_text(json.dumps(message))
        return "--request", file

    return write


def test_an_invalid_request_names_every_field(refusal, gateway, request_file):
    flags = request_file(INVALID)
    said = refusal(gateway, "INVALID_ARGUMENT", "INVALID_REQUEST", GATEWAY, *flags)
    assert fields(said) == {
        "kms_key_id",
        "settings.output_config.s3_bucket",
        "settings.output_config.s3_key_prefix",
        "settings.challenge_preferences[0].type",
        "settings.challenge_preferences[0].versions.minimum",
        "settings.challenge_preferences[0].versions.maximum",
        "client_request_token",
    }
    assert_final(said)


def test_a_region_that_is_not_served(refusal, gateway):
    flags = ("--region", "ap-south-1")
    said = refusal(gateway, "INVALID_ARGUMENT", "REGION_NOT_SERVED", GATEWAY, *flags)
    assert fields(said) == {"region"}
    assert "us-east-1" in said.message
    assert_final(said)


def test_a_request_outside_the_callers_policy(refusal, start_gateway, emulator, request_file):
    gateway = start_gateway(FACE_LIVENESS_DEFAULT_CALLER_POLICY_MAX_AUDIT_IMAGES="1")
    flags = request_file({"settings": {"auditImagesLimit": 3}})
    said = refusal(gateway, "PERMISSION_DENIED", "POLICY", GATEWAY, *flags)
    assert fields(said) == {"settings.audit_images_limit"}
    assert_final(said)


def test_a_token_that_is_used_again_for_something_else(client, refusal, gateway, request_file):
    token = ("--request-token", "reused")
    client.session(gateway.address, *token)
    flags = (*token, *request_file({"settings": {"auditImagesLimit": 3}}))
    said = refusal(gateway, "ALREADY_EXISTS", "TOKEN_REUSED", GATEWAY, *flags)
    assert fields(said) == {"settings.audit_images_limit"}
    assert_final(said)


def test_a_session_that_is_about_to_expire(client, refusal, start_gateway):
    gateway = start_gateway(FACE_LIVENESS_LEDGER_MIN_REMAINING="2m 59s 999ms")
    token = ("--request-token", "late")
    client.session(gateway.address, *token)
    said = refusal(gateway, "FAILED_PRECONDITION", "SESSION_EXPIRING", GATEWAY, *token)
    assert_final(said)


def test_the_callers_own_rate(client, refusal, start_gateway):
    gateway = start_gateway(FACE_LIVENESS_DEFAULT_CALLER_RATE="0.01")
    client.session(gateway.address)
    assert_retryable(refusal(gateway, "RESOURCE_EXHAUSTED", "CALLER_RATE", GATEWAY))


def test_the_accounts_quota(client, refusal, start_gateway):
    gateway = start_gateway(
        FACE_LIVENESS_QUOTA_CONCURRENT_SESSIONS="1", FACE_LIVENESS_QUOTA_SESSION_LENGTH="1m"
    )
    client.session(gateway.address)
    assert_retryable(refusal(gateway, "RESOURCE_EXHAUSTED", "ACCOUNT_QUOTA", GATEWAY))


def test_too_much_in_flight(refusal, start_gateway, emulator, in_background):
    gateway = start_gateway(FACE_LIVENESS_SERVER_MAX_IN_FLIGHT="1")
    emulator.break_with("hang")
    waiting = in_background(gateway, CREATE)
    waiting.until(lambda: emulator.faults()[0]["hits"])
    assert_retryable(refusal(gateway, "UNAVAILABLE", "OVERLOADED", GATEWAY))


def test_the_servers_deadline(refusal, start_gateway, emulator):
    gateway = start_gateway(FACE_LIVENESS_SERVER_MAX_DEADLINE="300ms")
    emulator.break_with("hang")
    assert_final(refusal(gateway, "DEADLINE_EXCEEDED", "DEADLINE", GATEWAY))


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("throttling", "UNAVAILABLE", "UPSTREAM_THROTTLED"),
        ("internal-server-error", "UNAVAILABLE", "UPSTREAM_UNAVAILABLE"),
        ("expired-token", "UNAVAILABLE", "UPSTREAM_CREDENTIALS"),
        ("provisioned-throughput-exceeded", "RESOURCE_EXHAUSTED", "UPSTREAM_QUOTA"),
    ],
)
def test_what_aws_refuses_for_now(refusal, gateway, emulator, fault, code, reason):
    emulator.break_with(fault)
    said = refusal(gateway, code, reason, AWS)
    assert_retryable(said)
    assert said.aws_request_id == emulator.requests()[-1]["request_id"]


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("invalid-parameter", "INVALID_ARGUMENT", "UPSTREAM_INVALID_PARAMETER"),
        ("access-denied", "INTERNAL", "UPSTREAM_ACCESS_DENIED"),
        ("no-session-id", "INTERNAL", "UPSTREAM_MALFORMED"),
    ],
)
def test_what_aws_refuses_for_good(refusal, gateway, emulator, fault, code, reason):
    emulator.break_with(fault)
    said = refusal(gateway, code, reason, AWS)
    assert_final(said)
    assert said.aws_request_id == emulator.requests()[-1]["request_id"]


@pytest.mark.parametrize(
    ("code", "reason", "delay_ms"),
    [
        pytest.param(grpc.StatusCode.UNAVAILABLE, "DRAINING", 100, id="draining"),
        pytest.param(grpc.StatusCode.INTERNAL, "INTERNAL", None, id="a panic"),
    ],
)
def test_what_the_gateway_says_only_in_trouble(refusal, start_peer, code, reason, delay_ms):
    """Sent by a server that can be told to: these need a race, or a defect, in the gateway."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain=GATEWAY, metadata={"a": "b"})
    details = [any_pb2.Any(), any_pb2.Any()] if delay_ms else [any_pb2.Any()]
    details[0].Pack(info)
    if delay_ms:
        delay = duration_pb2.Duration(nanos=delay_ms * 1_000_000)
        details[1].Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code.value[0], message="as it says", details=details)
    trailers = (
        ("grpc-status-details-bin", status.SerializeToString()),
        ("grpc-retry-pushback-ms", str(delay_ms or -1)),
        ("x-request-id", "a-request"),
    )
    said = refusal(start_peer(Refuse(code, "as it says", trailers)), code.name, reason, GATEWAY)
    assert said.metadata == {"a": "b"}
    assert (said.message, said.request_id) == ("as it says", "a-request")
    if delay_ms:
        assert_retryable(said)
    else:
        assert_final(said)


def test_nobody_who_answers(client):
    with socket.socket() as taken:
        # Bound, and never listening: whoever connects is refused.
        taken.bind(("127.0.0.1", 0))
        said = client.refusal("127.0.0.1:{1}".format(*taken.getsockname()), "--deadline", "5")
    assert said.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    assert said.reason is None
