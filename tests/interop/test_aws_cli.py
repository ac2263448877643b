"""The AWS CLI works with the emulator as it does with AWS."""

import json
import uuid

import pytest

from programs import run, signing

SETTINGS = {
    "OutputConfig": {"S3Bucket": "my-bucket", "S3KeyPrefix": "liveness/"},
    "AuditImagesLimit": 2,
    "ChallengePreferences": [{"Type": "FaceMovementChallenge", "Versions": {"Minimum": "1.0.0"}}],
}


@pytest.fixture
def aws(emulator):
    def call(*words, env=None):
        command = ("aws", "rekognition", *words, "--endpoint-url", emulator.url)
        return run(*command, env=env or signing(AWS_MAX_ATTEMPTS="1"))

    return call


def good(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_session_is_made_and_read(aws):
    session = good(aws("create-face-liveness-session"))["SessionId"]
    assert str(uuid.UUID(session)) == session
    results = good(aws("get-face-liveness-session-results", "--session-id", session))
    assert (results["SessionId"], results["Status"]) == (session, "CREATED")


def test_every_option_arrives_and_a_token_gets_one_session(aws, emulator):
    words = (
        *("create-face-liveness-session", "--kms-key-id", "alias/liveness"),
        *("--settings", json.dumps(SETTINGS), "--client-request-token", "intent-1"),
    )
    assert good(aws(*words)) == good(aws(*words))
    first, second = emulator.requests()
    assert first["body"] == second["body"]
    assert first["body"] == {
        "KmsKeyId": "alias/liveness",
        "Settings": SETTINGS,
        "ClientRequestToken": "intent-1",
    }
    assert emulator.journal()["sessions_made"] == 1


@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({"secret_key": "wrong"}, "InvalidSignatureException"),
        ({"access_key": "AKIDUNKNOWN"}, "UnrecognizedClientException"),
        ({"region": "eu-north-1"}, "AccessDeniedException"),
    ],
)
def test_who_may_not_call_is_told_as_by_aws(aws, env, code):
    done = aws("create-face-liveness-session", env=signing(**env))
    assert done.returncode != 0
    assert f"({code})" in done.stderr


def test_a_broken_constraint_is_told_as_by_aws(aws):
    done = aws("create-face-liveness-session", "--client-request-token", "no spaces")
    assert done.returncode != 0
    assert "(InvalidParameterException)" in done.stderr
    assert "clientRequestToken" in done.stderr


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("throttling", "ThrottlingException"),
        ("internal-server-error", "InternalServerError"),
        ("provisioned-throughput-exceeded", "ProvisionedThroughputExceededException"),
    ],
)
def test_a_fault_is_told_as_by_aws(aws, emulator, fault, code):
    emulator.break_with(fault)
    done = aws("create-face-liveness-session")
    assert done.returncode != 0
    assert f"({code})" in done.stderr


def test_the_cli_retries_a_throttle_and_succeeds(aws, emulator):
    emulator.break_with("throttling", times=1)
    good(aws("create-face-liveness-session", env=signing(AWS_MAX_ATTEMPTS="3")))
    assert [request["status"] for request in emulator.requests()] == [500, 200]
