"""Creates a face liveness session through the gateway, and prints it as JSON, or what the gateway
says about the refusal."""

import argparse
import json
import os
import signal
import sys
import uuid
from pathlib import Path

import grpc
from google.protobuf import json_format

from connection import connect
from faceliveness.v1.face_liveness_pb2 import CreateSessionRequest
from faceliveness.v1.face_liveness_pb2_grpc import FaceLivenessServiceStub
from refusal import decode_refusal, first

SERVICE_CONFIG = Path(__file__).parents[2] / "proto/faceliveness/v1/service_config.json"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    flag = parser.add_argument
    flag("--address", default="localhost:50051", metavar="HOST:PORT", help="the gateway")
    flag("--ca", type=Path, help="authorities of its certificate (PEM); without it plaintext")
    flag("--cert", type=Path, help="certificate of this client (PEM), for mutual TLS")
    flag("--key", type=Path, help="its private key (PEM)")
    flag("--token-file", type=Path, help="bearer token")
    flag("--service-config", type=Path, default=SERVICE_CONFIG, help="gRPC service config")
    flag("--request", type=Path, help="CreateSessionRequest, a .json or .binpb file")
    flag("--request-token", help="names the intent; a repeat gets the same session")
    flag("--region", help="AWS region of the session")
    flag("--deadline", type=float, help="seconds for the whole call; else the service config's")
    return parser.parse_args()


def read_request(flags: argparse.Namespace) -> CreateSessionRequest:
    """The request, which always names the intent: retries then get one session, not several."""
    request = CreateSessionRequest()
    if flags.request:
        if flags.request.suffix == ".json":
            json_format.Parse(flags.request.read_text(), request)
        else:
            request.ParseFromString(flags.request.read_bytes())
    if flags.region:
        request.region = flags.region
    if flags.request_token:
        request.client_request_token = flags.request_token
    if not request.HasField("client_request_token"):
        request.client_request_token = str(uuid.uuid4())
    return request


def main() -> int:
    flags = arguments()
    request = read_request(flags)
    # With OpenTelemetry, its grpc instrumentation does this.
    parent = os.environ.get("TRACEPARENT")
    metadata = (("traceparent", parent),) if parent else ()

    # A program shares one channel among all its calls.
    with connect(flags) as channel:
        stub = FaceLivenessServiceStub(channel)
        call = stub.CreateSession.future(request, timeout=flags.deadline, metadata=metadata)
        # Ctrl-C cancels the call, here and in the gateway.
        signal.signal(signal.SIGINT, lambda *_: call.cancel())
        try:
            session = call.result()
        except (grpc.RpcError, grpc.FutureCancelledError):
            print(json.dumps(decode_refusal(call), indent=2))
            return 1
        answered = [*call.initial_metadata(), *call.trailing_metadata()]

    described = {
        "session_id": session.session_id,
        "region": session.region,
        "create_time": session.create_time.ToJsonString(),
        "expire_time": session.expire_time.ToJsonString(),
        "replayed": session.replayed,
        "request_id": first(answered, "x-request-id"),
        "aws_request_id": first(answered, "x-amzn-requestid"),
    }
    print(json.dumps(described, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
