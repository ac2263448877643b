"""A server that answers as a test says, and remembers what it was asked."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc

CREATE = "/faceliveness.v1.FaceLivenessService/CreateSession"
WATCH = "/grpc.health.v1.Health/Watch"

# grpc.health.v1.HealthCheckResponse with this status.
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


@dataclass
class Call:
    """One call that arrived."""

    time: float
    request: bytes
    metadata: dict


@dataclass
class Refuse:
    """An answer other than OK."""

    code: grpc.StatusCode
    message: str = ""
    trailers: tuple = ()


class Peer(grpc.GenericRpcHandler):
    """Gives the answers in turn, the last one for ever: bytes of a response, or a `Refuse`."""

    def __init__(self, *answers, health=SERVING):
        self.calls = []
        self.watched = []
        self._answers = answers
        self._health = health
        self._server = grpc.server(ThreadPoolExecutor(8), handlers=[self])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self):
        self._server.stop(None)

    def service(self, handler_call_details):
        if handler_call_details.method == CREATE:
            return grpc.unary_unary_rpc_method_handler(self._create)
        if handler_call_details.method == WATCH:
            return grpc.unary_stream_rpc_method_handler(self._watch)
        return None

    def _create(self, request, context):
        metadata = dict(context.invocation_metadata())
        self.calls.append(Call(time.monotonic(), request, metadata))
        answer = self._answers[min(len(self.calls), len(self._answers)) - 1]
        if isinstance(answer, Refuse):
            context.set_trailing_metadata(answer.trailers)
            context.abort(answer.code, answer.message)
        return answer

    def _watch(self, request, context):
        # A string field with the number 1.
        self.watched.append(request[2:].decode())
        yield self._health
        while context.is_active():
            time.sleep(0.05)
