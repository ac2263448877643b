"""A call makes a session, and everything that the caller set arrives at AWS."""

import datetime
import re
import uuid

import pytest

from grpcurl import CREATE, Grpcurl

EVERYTHING = {
    "kms_key_id": "alias/liveness-images",
    "settings": {
        "output_config": {"s3_bucket": "my-bucket", "s3_key_prefix": "liveness/audit"},
        "audit_images_limit": 3,
        "challenge_preferences": [
            {
                "type": "CHALLENGE_TYPE_FACE_MOVEMENT",
                "versions": {"minimum": "1.0.0", "maximum": "1.2.3"},
            },
            {
                "type": "CHALLENGE_TYPE_FACE_MOVEMENT_AND_LIGHT",
                "versions": {"minimum": "2.0.0", "maximum": "2.999.0"},
            },
        ],
    },
    "client_request_token": "order-1742_a",
    "region": "eu-west-1",
}

EVERYTHING_AT_AWS = {
    "KmsKeyId": "alias/liveness-images",
    "Settings": {
        "OutputConfig": {"S3Bucket": "my-bucket", "S3KeyPrefix": "liveness/audit"},
        "AuditImagesLimit": 3,
        "ChallengePreferences": [
            {"Type": "FaceMovementChallenge", "Versions": {"Minimum": "1.0.0", "Maximum": "1.2.3"}},
            {
                "Type": "FaceMovementAndLightChallenge",
                "Versions": {"Minimum": "2.0.0", "Maximum": "2.999.0"},
            },
        ],
    },
    "ClientRequestToken": "order-1742_a",
}


def paths_set(value, above=""):
    """The paths of the fields that a message sets."""
    if isinstance(value, list):
        return set().union(*(paths_set(item, above) for item in value))
    if not isinstance(value, dict):
        return {above}
    return set().union(*(paths_set(item, f"{above}.{name}") for name, item in value.items()))


def paths_described(grpcurl, message, above=""):
    """The paths of the fields that a message has, as reflection tells them."""
    found = set()
    for kind, name in re.findall(r"(\S+) (\w+) = \d+;", grpcurl.describe(message)):
        path = f"{above}.{name}"
        inside = " is a message:" in grpcurl.describe(kind) if kind.startswith(".") else False
        found |= paths_described(grpcurl, kind, path) if inside else {path}
    return found


def instant(text):
    return datetime.datetime.fromisoformat(text)


def test_a_plain_call_makes_a_session(grpcurl, emulator):
    session = grpcurl.call()
    assert str(uuid.UUID(session["sessionId"])) == session["sessionId"]
    assert session["region"] == "us-east-1"
    lifetime = instant(session["expireTime"]) - instant(session["createTime"])
    assert lifetime == datetime.timedelta(minutes=3)
    age = datetime.datetime.now(datetime.UTC) - instant(session["createTime"])
    assert datetime.timedelta() <= age < datetime.timedelta(minutes=1)
    (request,) = emulator.requests()
    assert request["outcome"] == {"result": "session_made", "session_id": session["sessionId"]}
    assert request["signature"] == "verified"


def test_every_field_arrives_at_aws(start_gateway, emulator, tmp_path):
    config = tmp_path / "gateway.toml"
    region = f'[[regions]]\nname = "{{}}"\nendpoint_url = "{emulator.url}"\n'
    config.write_text(region.format("us-east-1") + region.format("eu-west-1"))
    gateway = start_gateway("--config", config)
    session = Grpcurl(gateway.address).call(CREATE, EVERYTHING)
    assert session["region"] == "eu-west-1"
    (request,) = emulator.requests()
    assert request["body"] == EVERYTHING_AT_AWS
    assert request["region"] == "eu-west-1"


def test_this_file_sets_every_field_that_there_is(grpcurl):
    described = paths_described(grpcurl, "faceliveness.v1.CreateSessionRequest")
    assert described == paths_set(EVERYTHING)


@pytest.mark.parametrize(("asked", "sent"), [(-3, 0), (0, 0), (4, 4), (9, 4)])
def test_an_audit_images_limit_counts_as_the_nearest_that_aws_takes(grpcurl, emulator, asked, sent):
    grpcurl.call(CREATE, {"settings": {"audit_images_limit": asked}})
    (request,) = emulator.requests()
    assert request["body"]["Settings"]["AuditImagesLimit"] == sent


def test_the_same_token_gets_the_same_session(grpcurl, emulator):
    sessions = [grpcurl.call(CREATE, {"client_request_token": "twice"}) for _ in range(2)]
    assert sessions[0]["sessionId"] == sessions[1]["sessionId"]
    assert emulator.journal()["sessions_made"] == 1


def test_calls_without_a_token_get_sessions_of_their_own(grpcurl, emulator):
    sessions = [grpcurl.call()["sessionId"] for _ in range(2)]
    assert sessions[0] != sessions[1]
    assert emulator.journal()["sessions_made"] == 2


def test_the_request_id_of_aws_comes_as_metadata(grpcurl, emulator):
    answer = grpcurl.answer()
    (request,) = emulator.requests()
    assert answer.metadata["x-amzn-requestid"] == request["request_id"]
