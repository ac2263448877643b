"""grpcurl, as a user calls it."""

import json
from dataclasses import dataclass

from programs import Program, environment, run

CREATE = "faceliveness.v1.FaceLivenessService/CreateSession"


@dataclass
class Answer:
    """A good answer, with the metadata that came with it."""

    message: dict
    metadata: dict


@dataclass
class Refusal:
    """A status other than OK, as google.rpc.Status, with the trailers that came with it."""

    status: dict
    trailers: dict

    @property
    def code(self):
        return self.status["code"]

    @property
    def reason(self):
        return self.detail("ErrorInfo")["reason"]

    def detail(self, name):
        """The detail of this type; there must be exactly one."""
        url = f"type.googleapis.com/google.rpc.{name}"
        (found,) = (each for each in self.status["details"] if each["@type"] == url)
        return found

    def has_detail(self, name):
        return any(each["@type"].endswith(f".{name}") for each in self.status["details"])

    @property
    def pushback(self):
        return int(self.trailers["grpc-retry-pushback-ms"])


class Grpcurl:
    """grpcurl in plaintext against one address, knowing the schema by reflection alone."""

    def __init__(self, address):
        self.address = address

    def _words(self, *flags, request=None):
        data = [] if request is None else ["-d", json.dumps(request)]
        return ["grpcurl", "-plaintext", *flags, *data, self.address]

    def list(self):
        return _good(run(*self._words(), "list")).split()

    def describe(self, symbol, *flags):
        return _good(run(*self._words(*flags), "describe", symbol))

    def answer(self, method=CREATE, request=None, *flags):
        """Calls; the call must succeed."""
        words = self._words("-v", *flags, request=request)
        output = _good(run(*words, method))
        body = output.split("Response contents:\n")[1].split("\nResponse trailers received:")[0]
        return Answer(json.loads(body), _metadata(output))

    def call(self, method=CREATE, request=None, *flags):
        return self.answer(method, request, *flags).message

    def refusal(self, method=CREATE, request=None, *flags):
        """Calls; the server must refuse the call."""
        words = self._words("-v", "-format-error", *flags, request=request)
        done = run(*words, method)
        assert done.returncode != 0, f"the call succeeded: {done.stdout}"
        return Refusal(json.loads(done.stderr), _metadata(done.stdout))

    def in_background(self, directory, method, request=None):
        return Program([*self._words(request=request), method], directory, environment())


def _good(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


def _metadata(verbose):
    """Headers and trailers of grpcurl's verbose output."""
    metadata = {}
    for block in ("Response headers received:\n", "Response trailers received:\n"):
        _, found, rest = verbose.partition(block)
        for line in rest.splitlines() if found else []:
            name, separator, value = line.partition(": ")
            if not separator:
                break
            metadata[name] = value
    return metadata
