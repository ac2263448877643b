import os
import signal
from pathlib import Path

import pytest

from grpcurl import Grpcurl
from programs import Emulator, Gateway, signing


def pytest_configure():
    # Terminated, too, the suite takes its programs with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _binary(variable):
    path = Path(os.environ[variable])
    assert os.access(path, os.X_OK), f"{variable}={path} is not a program"
    return path


@pytest.fixture(scope="session")
def gateway_binary():
    return _binary("INTEROP_GATEWAY")


@pytest.fixture(scope="session")
def emulator_binary():
    return _binary("INTEROP_EMULATOR")


@pytest.fixture
def directory(tmp_path_factory):
    """Makes a fresh directory each time it is called."""
    return lambda: tmp_path_factory.mktemp("program")


@pytest.fixture
def programs():
    """What is put in here is stopped when the test ends, however it ends."""
    started = []
    yield started
    for program in reversed(started):
        program.stop()


@pytest.fixture
def start_emulator(programs, directory, emulator_binary):
    def start(*flags):
        emulator = Emulator(emulator_binary, directory(), *flags)
        programs.append(emulator)
        return emulator

    return start


@pytest.fixture
def emulator(start_emulator):
    return start_emulator()


@pytest.fixture
def start_gateway(programs, directory, gateway_binary, emulator):
    """Starts a gateway in front of `emulator`; keywords are variables of its environment."""

    def start(*flags, ready=True, env=None, **variables):
        if "--config" not in flags:
            flags = ["--endpoint-url", emulator.url, "--region", "us-east-1", *flags]
        env = (signing() if env is None else env) | variables
        gateway = Gateway(gateway_binary, directory(), *flags, env=env, ready=ready)
        programs.append(gateway)
        return gateway

    return start


@pytest.fixture
def gateway(start_gateway):
    return start_gateway()


@pytest.fixture
def grpcurl(gateway):
    return Grpcurl(gateway.address)


@pytest.fixture
def in_background(programs, directory):
    """Makes a grpcurl call that outlives the line that makes it."""

    def start(gateway, method, request=None):
        program = Grpcurl(gateway.address).in_background(directory(), method, request)
        programs.append(program)
        return program

    return start
