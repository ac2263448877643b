"""`healthcheck` tells by its exit status how a gateway is."""

import socket

import pytest

from programs import environment, run


def address_of(listener):
    return "127.0.0.1:{1}".format(*listener.getsockname())


def test_0_while_it_serves(gateway):
    done = gateway.healthcheck()
    assert (done.returncode, done.stdout) == (0, "SERVING\n"), done.stderr


def test_0_for_the_service_by_name(gateway):
    done = gateway.healthcheck("--service", "faceliveness.v1.FaceLivenessService")
    assert done.returncode == 0, done.stderr


def test_it_finds_the_gateway_by_the_variable_that_the_gateway_listens_by(gateway):
    env = environment(FACE_LIVENESS_LISTEN=gateway.address)
    done = run(gateway.binary, "healthcheck", env=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--adress", "127.0.0.1:1"), ("--address", "nowhere"), ("--timeout", "soon"), ("extra",)],
)
def test_1_for_wrong_arguments(gateway_binary, arguments):
    done = run(gateway_binary, "healthcheck", *arguments)
    assert done.returncode == 1
    assert arguments[0] in done.stderr


def test_2_where_nobody_listens(gateway_binary):
    # Bound and not listening: nobody else can take the port, and it refuses connections.
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = address_of(unused)
        done = run(gateway_binary, "healthcheck", "--address", address)
    assert done.returncode == 2
    assert address in done.stderr


def test_3_where_the_call_gets_no_answer(gateway_binary):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = address_of(silent)
        done = run(gateway_binary, "healthcheck", "--address", address, "--timeout", "200ms")
    assert done.returncode == 3
    assert address in done.stderr


def test_3_for_a_service_that_the_gateway_does_not_know(gateway):
    done = gateway.healthcheck("--service", "no.such.Service")
    assert done.returncode == 3
    assert "NotFound" in done.stderr


def test_4_without_aws_credentials(start_gateway):
    gateway = start_gateway(env=environment(), ready=False)
    done = gateway.healthcheck()
    assert done.returncode == 4
    assert "NOT_SERVING" in done.stderr


def test_4_while_it_drains(start_gateway):
    gateway = start_gateway(FACE_LIVENESS_SERVER_DRAIN_DELAY="60s")
    gateway.terminate()
    gateway.until(lambda: gateway.healthcheck().returncode != 0)
    done = gateway.healthcheck()
    assert done.returncode == 4
    assert "NOT_SERVING" in done.stderr
