"""What a newer schema adds survives in the example client of every language, and in the gateway."""

import pytest

# Fields of CreateSessionRequest, Settings and ChallengePreference that no schema has yet (numbers
# 2000, 2001 and 2002), and a challenge with the unknown number 77.
TEXT = b"\x82\x7d\x05newer"
NUMBER = b"\x88\x7d\x2a"
FLAG = b"\x90\x7d\x01"
CHALLENGE = b"\x08\x4d"
TOKEN = b"\x1a\x05token"


def message(number, content):
    """A field of this number that holds a message."""
    return bytes([number << 3 | 2, len(content)]) + content


UNKNOWN_FIELDS = TOKEN + TEXT + message(2, NUMBER)
UNKNOWN_CHALLENGE = TOKEN + message(2, message(3, CHALLENGE + FLAG))


@pytest.fixture
def request_file(tmp_path):
    def write(content):
        file = tmp_path / "request.binpb"
        file.write_bytes(content)
        return "--request", file

    return write


@pytest.mark.parametrize("content", [UNKNOWN_FIELDS, UNKNOWN_CHALLENGE], ids=["fields", "enum"])
def test_a_client_sends_on_what_it_does_not_know(client, start_peer, request_file, content):
    peer = start_peer(b"")
    client.session(peer.address, *request_file(content))
    (call,) = peer.calls
    # A library may put what it does not know behind what it knows.
    assert sorted(call.request) == sorted(content)
    kept = [TEXT, NUMBER] if content is UNKNOWN_FIELDS else [CHALLENGE, FLAG]
    assert all(each in call.request for each in kept)


def test_a_client_reads_an_answer_with_more_than_it_knows(client, start_peer):
    answer = message(1, b"an-id") + message(2, b"eu-west-1") + TEXT + NUMBER
    session = client.session(start_peer(answer).address)
    assert (session.session_id, session.region) == ("an-id", "eu-west-1")


def test_the_gateway_passes_over_fields_that_it_does_not_know(client, gateway, request_file):
    assert client.session(gateway.address, *request_file(UNKNOWN_FIELDS)).session_id


def test_the_gateway_refuses_a_challenge_that_it_does_not_know(client, gateway, request_file):
    refusal = client.refusal(gateway.address, *request_file(UNKNOWN_CHALLENGE))
    assert refusal.reason == "INVALID_REQUEST"
    (violation,) = refusal.field_violations
    assert violation["field"] == "settings.challenge_preferences[0].type"
