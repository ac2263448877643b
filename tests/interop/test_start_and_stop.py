"""The gateway starts or says why not, and stops in order or at once."""

import json
import re
import signal
import socket
import time

import pytest

from grpcurl import CREATE, Grpcurl
from programs import run, signing

WATCH = "grpc.health.v1.Health/Watch"


def messages(gateway):
    lines = gateway.stderr.splitlines(keepends=True)
    return [json.loads(line)["message"] for line in lines if line.endswith("\n")]


def until_it_calls_aws(gateway, emulator):
    gateway.until(lambda: emulator.faults()[0]["calls"] >= 1)


def test_a_taken_port_is_told_with_its_flag(gateway_binary):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:{1}".format(*taken.getsockname())
        flags = ("--region", "us-east-1", "--listen", address)
        done = run(gateway_binary, "serve", *flags, env=signing())
    assert done.returncode == 1
    assert address in done.stderr
    assert re.search(r"\s--listen\b", done.stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well_and_it_says_so(gateway, number):
    gateway.signal(number)
    assert gateway.wait() == 0
    assert any(message.startswith("shut down: ") for message in messages(gateway))


def test_an_open_watch_does_not_hold_up_the_shutdown(gateway, in_background):
    watch = in_background(gateway, WATCH)
    watch.until(lambda: "SERVING" in watch.stdout)
    gateway.terminate()
    began = time.monotonic()
    assert gateway.wait() == 0
    # Far below the 20 s that calls in flight have.
    assert time.monotonic() - began < 10
    assert "shut down: every call has finished" in messages(gateway)


def test_a_call_in_flight_is_finished_before_the_end(gateway, emulator, in_background):
    emulator.break_with("latency", latency="1s")
    call = in_background(gateway, CREATE)
    until_it_calls_aws(gateway, emulator)
    gateway.terminate()
    assert gateway.wait() == 0
    assert call.wait() == 0, call.stderr
    assert "sessionId" in call.stdout


def test_a_second_signal_ends_it_at_once(gateway, emulator, in_background):
    emulator.break_with("hang")
    in_background(gateway, CREATE)
    until_it_calls_aws(gateway, emulator)
    gateway.terminate()
    gateway.until(lambda: any("shutting down" in message for message in messages(gateway)))
    assert gateway.is_running()
    gateway.terminate()
    # Far below the 20 s that the call in flight would have.
    assert gateway.wait(timeout=5) == 130


def test_it_serves_while_load_balancers_take_notice(start_gateway):
    gateway = start_gateway(FACE_LIVENESS_SERVER_DRAIN_DELAY="60s")
    gateway.terminate()
    gateway.until(lambda: gateway.healthcheck().returncode == 4)
    assert Grpcurl(gateway.address).call()["sessionId"]
    assert gateway.is_running()
