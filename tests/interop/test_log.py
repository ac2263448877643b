"""Nothing secret is in the log, however much of it is asked for."""

import json

from grpcurl import CREATE, Grpcurl
from programs import ACCESS_KEY, SECRET_KEY, run

TOKEN = "token-5d41402a"
KEY = "arn:aws:kms:us-east-1:111122223333:key/9b2e7c1f"
BAD_TOKEN = "bad token 7c6a180b"
BAD_KEY = "-bad-key-98f13708"
BAD_SESSION = "no-session-6512bd43"
BEARER = "bearer-c20ad4d7"


def test_debug_log_holds_neither_tokens_nor_keys_nor_session_ids(start_gateway, emulator):
    gateway = start_gateway("--debug")
    grpcurl = Grpcurl(gateway.address)
    secret = {"kms_key_id": KEY, "client_request_token": TOKEN}
    header = ("-H", f"authorization: Bearer {BEARER}")
    sessions = [
        grpcurl.call(CREATE, secret, *header),
        grpcurl.call(CREATE, secret, *header),
        grpcurl.call(),
    ]
    grpcurl.refusal(CREATE, {"kms_key_id": BAD_KEY, "client_request_token": BAD_TOKEN}, *header)
    faults = ["access-denied", "invalid-parameter", "throttling", "not-json", "no-session-id"]
    for fault in faults:
        emulator.break_with(fault)
        grpcurl.refusal(CREATE, secret | {"client_request_token": f"{TOKEN}-{fault}"}, *header)
    emulator.break_with("malformed-session-id", session_id=BAD_SESSION)
    grpcurl.refusal(CREATE, {"client_request_token": f"{TOKEN}-malformed"})
    run("curl", "--silent", f"http://{gateway.address}/{TOKEN}")
    gateway.terminate()
    assert gateway.wait() == 0

    lines = [json.loads(line) for line in gateway.stderr.splitlines()]
    assert {"DEBUG", "INFO", "WARN"} <= {line["level"] for line in lines}
    ids = [session["sessionId"] for session in sessions]
    ids += [
        request["outcome"]["session_id"]
        for request in emulator.requests()
        if "session_id" in request["outcome"]
    ]
    for secret in [TOKEN, KEY, BAD_TOKEN, BAD_KEY, BAD_SESSION, BEARER, *ids]:
        assert secret not in gateway.stderr
    for credential in (ACCESS_KEY, SECRET_KEY):
        assert credential not in gateway.stderr
