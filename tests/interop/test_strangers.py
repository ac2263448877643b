"""Whoever speaks something other than gRPC is told so, or let go, and harms nobody."""

import random
import socket
import ssl

import pytest

from grpcurl import Grpcurl
from programs import TIMEOUT, run

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def connect(gateway):
    host, port = gateway.address.split(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT)


def serves(gateway):
    return bool(Grpcurl(gateway.address).call()["sessionId"])


def test_http_1_gets_a_sentence(gateway):
    done = run("curl", "--silent", "--show-error", "--include", f"http://{gateway.address}/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("HTTP/1.1 505 ")
    assert "this port speaks gRPC" in done.stdout
    assert serves(gateway)


def test_http_2_that_is_not_grpc_gets_a_sentence(gateway):
    url = f"http://{gateway.address}/"
    done = run("curl", "--silent", "--show-error", "--include", "--http2-prior-knowledge", url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("HTTP/2 415")
    assert "this port speaks gRPC" in done.stdout
    assert serves(gateway)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(bytes(range(256)) * 256, id="64 KiB of every byte"),
        pytest.param(random.Random(1).randbytes(4096), id="random bytes"),
        pytest.param(PREFACE[:10], id="half a preface"),
        pytest.param(PREFACE + b"\xff" * 9 + bytes(range(256)), id="a broken frame"),
        pytest.param(PREFACE + b"\x00\x00\x04\x08\x00\x00\x00\x00\x00" * 1000, id="broken frames"),
        pytest.param(b"\r\n" * 1000, id="empty lines"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_garbage_leaves_it_alive(gateway, said):
    with connect(gateway) as stranger:
        try:
            stranger.sendall(said)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(65536):
                pass
        except TimeoutError:
            raise
        except OSError:
            pass  # Thrown out before the end of it: just as well.
    assert serves(gateway)


def test_tls_is_refused_at_once(gateway):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with connect(gateway) as stranger, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(stranger)
    assert serves(gateway)


def test_a_connection_that_says_nothing_is_closed_and_others_are_served(start_gateway):
    gateway = start_gateway(FACE_LIVENESS_SERVER_HANDSHAKE_TIMEOUT="500ms")
    with connect(gateway) as idle:
        assert serves(gateway)
        assert idle.recv(1) == b""
    assert serves(gateway)


def test_many_idle_connections_leave_room_for_others(gateway):
    idle = [connect(gateway) for _ in range(200)]
    try:
        assert serves(gateway)
    finally:
        for connection in idle:
            connection.close()
