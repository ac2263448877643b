"""`buf curl` calls the gateway, with the schema of reflection or of the repository."""

import json
from base64 import b64decode

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

from clients import ROOT
from programs import run

CREATE = "faceliveness.v1.FaceLivenessService/CreateSession"


def buf_curl(gateway, request, *flags):
    plaintext = ("--protocol", "grpc", "--http2-prior-knowledge")
    url = f"http://{gateway.address}/{CREATE}"
    return run("buf", "curl", *plaintext, *flags, "--data", json.dumps(request), url)


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(["--reflect-protocol", "grpc-v1"], id="reflection v1"),
        pytest.param(["--reflect-protocol", "grpc-v1alpha"], id="reflection v1alpha"),
        pytest.param(["--schema", ROOT / "proto"], id="schema"),
    ],
)
def test_it_creates_a_session(gateway, emulator, schema):
    request = {"clientRequestToken": "buf-curl", "settings": {"auditImagesLimit": 2}}
    done = buf_curl(gateway, request, *schema)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sessionId"]
    (request,) = emulator.requests()
    assert request["body"]["Settings"] == {"AuditImagesLimit": 2}


def test_it_shows_the_details_of_a_refusal(gateway):
    done = buf_curl(gateway, {"region": "Europe"}, "--reflect")
    assert done.returncode != 0
    refusal = json.loads(done.stderr)
    assert refusal["code"] == "invalid_argument"
    info, invalid = refusal["details"]
    assert (info["type"], invalid["type"]) == ("google.rpc.ErrorInfo", "google.rpc.BadRequest")
    assert ErrorInfo.FromString(unpadded(info["value"])).reason == "INVALID_REQUEST"
    (violation,) = BadRequest.FromString(unpadded(invalid["value"])).field_violations
    assert violation.field == "region"


def unpadded(base64):
    return b64decode(base64 + "=" * (-len(base64) % 4))
