"""The gRPC health service says whether calls can succeed."""

import json

import pytest

from grpcurl import Grpcurl
from programs import environment

CHECK = "grpc.health.v1.Health/Check"
WATCH = "grpc.health.v1.Health/Watch"
NOT_FOUND = 5

SERVICE = "faceliveness.v1.FaceLivenessService"


def states(output):
    """What a watch has said, oldest first."""
    found = []
    while output.strip():
        try:
            message, end = json.JSONDecoder().raw_decode(output.lstrip())
        except json.JSONDecodeError:
            break
        found.append(message["status"])
        output = output.lstrip()[end:]
    return found


@pytest.mark.parametrize("service", ["", SERVICE])
def test_check_says_serving(grpcurl, service):
    assert grpcurl.call(CHECK, {"service": service}) == {"status": "SERVING"}


def test_check_of_an_unknown_service_says_so(grpcurl):
    assert grpcurl.refusal(CHECK, {"service": "no.such.Service"}).code == NOT_FOUND


def test_check_says_not_serving_without_credentials(start_gateway):
    gateway = start_gateway(env=environment(), ready=False)
    answer = Grpcurl(gateway.address).call(CHECK, {"service": SERVICE})
    assert answer == {"status": "NOT_SERVING"}


def test_watch_tells_the_state_and_its_change(gateway, in_background):
    watch = in_background(gateway, WATCH, {"service": SERVICE})
    watch.until(lambda: states(watch.stdout) == ["SERVING"])
    gateway.terminate()
    watch.wait()
    assert states(watch.stdout) == ["SERVING", "NOT_SERVING"]
