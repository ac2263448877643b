"""The example client of every language creates sessions, and follows the service config."""

import datetime
import json
import signal
import uuid

import grpc
import pytest

from clients import KOTLIN, LANGUAGES, SERVICE_CONFIG, Client
from grpcurl import CREATE, Grpcurl
from peer import NOT_SERVING, Refuse
from programs import environment, eventually, run
from test_create_session import EVERYTHING, EVERYTHING_AT_AWS

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def instant(text):
    return datetime.datetime.fromisoformat(text)


def test_a_plain_call_makes_a_session(client, gateway, emulator):
    session = client.session(gateway.address)
    assert str(uuid.UUID(session.session_id)) == session.session_id
    assert session.region == "us-east-1"
    lifetime = instant(session.expire_time) - instant(session.create_time)
    assert lifetime == datetime.timedelta(minutes=3)
    assert session.replayed is False
    assert session.request_id
    (request,) = emulator.requests()
    assert request["outcome"] == {"result": "session_made", "session_id": session.session_id}
    assert session.aws_request_id == request["request_id"]


def test_every_field_arrives_at_aws(client, start_gateway, emulator, tmp_path):
    config = tmp_path / "gateway.toml"
    region = f'[[regions]]\nname = "{{}}"\nendpoint_url = "{emulator.url}"\n'
    config.write_text(region.format("us-east-1") + region.format("eu-west-1"))
    gateway = start_gateway("--config", config)
    request = tmp_path / "request.json"
    request.write_text(json.dumps(EVERYTHING))
    session = client.session(gateway.address, "--request", request)
    assert session.region == "eu-west-1"
    (request,) = emulator.requests()
    assert request["body"] == EVERYTHING_AT_AWS


def test_the_same_token_in_every_language_gets_one_session(workshop, gateway, emulator):
    sessions = [
        Client(name, workshop).session(gateway.address, "--request-token", "one-intent")
        for name in LANGUAGES
    ]
    assert len({session.session_id for session in sessions}) == 1
    assert len({instant(session.expire_time) for session in sessions[:2]}) == 1
    assert [session.replayed for session in sessions] == [False] + [True] * (len(sessions) - 1)
    assert emulator.journal()["sessions_made"] == 1


def test_calls_without_a_token_are_given_different_ones(client, gateway, emulator):
    sessions = [client.session(gateway.address).session_id for _ in range(2)]
    assert sessions[0] != sessions[1]


def test_the_coroutines_of_kotlin_make_a_session(workshop, gateway, emulator):
    directory = workshop.build(KOTLIN)
    words = ("java", "-jar", "target/client.jar", gateway.address, SERVICE_CONFIG)
    done = run(*words, cwd=directory)
    assert done.returncode == 0, done.stderr
    (request,) = emulator.requests()
    assert done.stdout.split() == [request["outcome"]["session_id"], "us-east-1"]


def test_a_deadline_ends_the_call(client, gateway, emulator):
    emulator.break_with("hang")
    assert client.refusal(gateway.address, "--deadline", "0.4").code == "DEADLINE_EXCEEDED"


def test_the_service_config_sets_a_deadline(client, gateway, emulator, tmp_path):
    config = json.loads(SERVICE_CONFIG.read_text())
    config["methodConfig"][0]["timeout"] = "0.4s"
    file = tmp_path / "service_config.json"
    file.write_text(json.dumps(config))
    emulator.break_with("hang")
    refusal = client.refusal(gateway.address, "--service-config", file)
    assert refusal.code == "DEADLINE_EXCEEDED"


def test_an_interrupt_cancels_the_call_in_the_gateway_too(
    client, start_gateway, emulator, programs, directory
):
    gateway = start_gateway(FACE_LIVENESS_SERVER_MAX_IN_FLIGHT="1")
    emulator.break_with("hang")
    waiting = client.in_background(directory(), gateway.address)
    programs.append(waiting)
    waiting.until(lambda: emulator.faults()[0]["hits"])
    assert Grpcurl(gateway.address).refusal().reason == "OVERLOADED"
    waiting.signal(signal.SIGINT)
    # Java's ends as one that a signal has ended.
    assert waiting.wait() in (1, 128 + signal.SIGINT)
    assert json.loads(waiting.stdout)["code"] == "CANCELLED"
    # Not before, or the call might be answered.
    emulator.work_again()
    # The place in flight is free again.
    eventually(lambda: _serves(gateway), lambda: gateway.stderr)


def _serves(gateway):
    return run("grpcurl", "-plaintext", gateway.address, CREATE).returncode == 0


def test_trace_context_is_passed_on(client, start_peer):
    peer = start_peer(b"")
    client.session(peer.address, TRACEPARENT=TRACEPARENT)
    (call,) = peer.calls
    assert call.metadata["traceparent"] == TRACEPARENT


def test_a_gateway_that_is_not_ready_fails_the_call_in_time(client, start_gateway):
    gateway = start_gateway(env=environment(), ready=False)
    refusal = client.refusal(gateway.address, "--deadline", "1")
    assert refusal.code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")


def test_health_checks_keep_calls_from_a_server_that_cannot_serve(client, start_peer):
    peer = start_peer(b"", health=NOT_SERVING)
    if client.health_checked:
        client.refusal(peer.address, "--deadline", "1")
        assert peer.calls == []
    else:
        client.session(peer.address)


def test_health_is_watched_as_the_service_config_says(client, start_peer):
    peer = start_peer(b"")
    client.session(peer.address)
    watched = ["faceliveness.v1.FaceLivenessService"] if client.health_checked else []
    assert peer.watched == watched


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_retry_waits_as_pushed_back_and_keeps_the_token(client, start_peer, code):
    peer = start_peer(Refuse(code, trailers=(("grpc-retry-pushback-ms", "300"),)), b"")
    client.session(peer.address)
    first, second = peer.calls
    # The peer's clock counts from when it has read the request: the refusal leaves it later.
    assert second.time - first.time >= 0.3
    assert second.metadata["grpc-previous-rpc-attempts"] == "1"
    assert second.request == first.request
    assert len(second.request) > 20


def test_the_gateways_push_back_is_obeyed(client, start_gateway):
    gateway = start_gateway(FACE_LIVENESS_DEFAULT_CALLER_RATE="0.5")
    client.session(gateway.address)
    client.session(gateway.address)
    gateway.terminate()
    gateway.wait()
    assert "CALLER_RATE" in gateway.stderr


def test_no_retry_follows_where_push_back_forbids_it(client, start_peer):
    forbidden = Refuse(grpc.StatusCode.UNAVAILABLE, trailers=(("grpc-retry-pushback-ms", "-1"),))
    peer = start_peer(forbidden)
    refusal = client.refusal(peer.address)
    assert (refusal.code, refusal.pushback_ms) == ("UNAVAILABLE", -1)
    assert len(peer.calls) == 1


def test_no_retry_follows_a_code_that_the_service_config_does_not_name(client, start_peer):
    peer = start_peer(Refuse(grpc.StatusCode.INTERNAL))
    assert client.refusal(peer.address).code == "INTERNAL"
    assert len(peer.calls) == 1


def test_attempts_end_where_the_service_config_says(client, start_peer):
    peer = start_peer(
        Refuse(grpc.StatusCode.UNAVAILABLE, trailers=(("grpc-retry-pushback-ms", "1"),))
    )
    assert client.refusal(peer.address).code == "UNAVAILABLE"
    assert len(peer.calls) == 5


def test_a_call_is_retried_without_push_back_too(client, start_peer):
    peer = start_peer(Refuse(grpc.StatusCode.UNAVAILABLE), b"")
    client.session(peer.address)
    assert len(peer.calls) == 2
