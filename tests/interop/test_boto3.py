"""boto3 works with the emulator as it does with AWS."""

import uuid

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from grpcurl import CREATE
from programs import ACCESS_KEY, SECRET_KEY


@pytest.fixture
def rekognition(emulator):
    """Makes clients. They neither retry nor check parameters: what the emulator says counts."""

    def client(access_key=ACCESS_KEY, secret_key=SECRET_KEY, region="us-east-1", at=emulator):
        return boto3.client(
            "rekognition",
            endpoint_url=at.url,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(
                parameter_validation=False, retries={"total_max_attempts": 1}, proxies={}
            ),
        )

    return client


def create(client, **parameters):
    return client.create_face_liveness_session(**parameters)["SessionId"]


def status(client, session):
    return client.get_face_liveness_session_results(SessionId=session)["Status"]


def error(call, *arguments, **parameters):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    return caught.value.response["Error"]


def test_a_session_is_made_and_read(rekognition):
    client = rekognition()
    session = create(client)
    assert str(uuid.UUID(session)) == session
    assert status(client, session) == "CREATED"


def test_a_session_that_the_gateway_made_can_be_read(rekognition, grpcurl):
    assert status(rekognition(), grpcurl.call(CREATE)["sessionId"]) == "CREATED"


def test_an_unknown_session_is_not_found(rekognition):
    client = rekognition()
    assert error(status, client, str(uuid.uuid4()))["Code"] == "SessionNotFoundException"


def test_a_session_expires_after_three_minutes(rekognition, emulator):
    client = rekognition()
    session = create(client)
    emulator.advance(150)
    assert status(client, session) == "CREATED"
    emulator.advance(31)
    assert error(status, client, session)["Code"] == "SessionNotFoundException"


def test_a_session_lives_in_its_region(rekognition):
    session = create(rekognition())
    elsewhere = rekognition(region="eu-west-1")
    assert error(status, elsewhere, session)["Code"] == "SessionNotFoundException"


def test_a_wrong_secret_is_a_bad_signature(rekognition, emulator):
    client = rekognition(secret_key="wrong")
    assert error(create, client)["Code"] == "InvalidSignatureException"
    assert emulator.journal()["sessions_made"] == 0


def test_an_unknown_key_is_an_unrecognized_client(rekognition, emulator):
    client = rekognition(access_key="AKIDUNKNOWN")
    assert error(create, client)["Code"] == "UnrecognizedClientException"
    assert emulator.journal()["sessions_made"] == 0


def test_a_region_without_face_liveness_denies_access(rekognition):
    assert error(create, rekognition(region="eu-north-1"))["Code"] == "AccessDeniedException"


def test_every_broken_constraint_is_named(rekognition, emulator):
    said = error(
        create,
        rekognition(),
        KmsKeyId="-",
        ClientRequestToken="no spaces",
        Settings={
            "OutputConfig": {"S3Bucket": "b", "S3KeyPrefix": "a b"},
            "AuditImagesLimit": 5,
            "ChallengePreferences": [{"Type": "Juggling", "Versions": {"Minimum": "1"}}],
        },
    )
    assert said["Code"] == "InvalidParameterException"
    for member in (
        "kmsKeyId",
        "clientRequestToken",
        "s3Bucket",
        "s3KeyPrefix",
        "auditImagesLimit",
        "type",
        "minimum",
    ):
        assert member in said["Message"]
    assert emulator.journal()["sessions_made"] == 0


def test_a_bucket_is_required_in_an_output_config(rekognition):
    said = error(create, rekognition(), Settings={"OutputConfig": {}})
    assert said["Code"] == "InvalidParameterException"
    assert "s3Bucket" in said["Message"]


def test_the_same_token_gets_the_same_session_while_it_lives(rekognition, emulator):
    client = rekognition()
    first = create(client, ClientRequestToken="intent-1")
    assert create(client, ClientRequestToken="intent-1") == first
    assert create(client, ClientRequestToken="intent-2") != first
    assert emulator.journal()["sessions_made"] == 2
    emulator.advance(181)
    assert create(client, ClientRequestToken="intent-1") != first


def test_concurrent_sessions_are_limited_and_become_free(rekognition, start_emulator):
    limited = start_emulator("--concurrent-sessions", "3", "--session-seconds", "600")
    client = rekognition(at=limited)
    for _ in range(3):
        create(client)
    assert error(create, client)["Code"] == "ProvisionedThroughputExceededException"
    limited.advance(601)
    assert create(client)


def test_calls_per_second_are_limited_and_become_free(rekognition, start_emulator):
    limited = start_emulator("--tps", "1")
    client = rekognition(at=limited)
    codes = set()
    # A second may pass between two calls on a busy machine, not between all of these.
    for _ in range(50):
        try:
            create(client)
        except ClientError as refused:
            codes.add(refused.response["Error"]["Code"])
    assert codes == {"ProvisionedThroughputExceededException"}
    limited.advance(1)
    assert create(client)
