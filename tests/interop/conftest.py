import collections
import os
import signal
from pathlib import Path

import pytest

import clients
from grpcurl import Grpcurl
from peer import Peer
from programs import Emulator, Gateway, signing


def pytest_configure(config):
    # Terminated, too, the suite takes its programs with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # In the background of a shell it ignores interrupts, and so would the programs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(Tally(), "tally")


class Tally:
    """Ends the output with how many tests passed and failed, for each client and overall."""

    def __init__(self):
        self._client = {}
        self._passed = {}

    def pytest_itemcollected(self, item):
        params = item.callspec.params if hasattr(item, "callspec") else {}
        self._client[item.nodeid] = params.get("client", "others")

    def pytest_runtest_logreport(self, report):
        # A test that passes can fail yet when what it used is taken down; one that is skipped
        # has not passed.
        self._passed[report.nodeid] = report.passed and self._passed.get(report.nodeid, True)

    def pytest_collectreport(self, report):
        if report.failed:
            self._passed[report.nodeid] = False

    def pytest_unconfigure(self):
        counts = collections.defaultdict(collections.Counter)
        for nodeid, passed in self._passed.items():
            for group in (self._client.get(nodeid, "others"), "all"):
                counts[group][passed] += 1
        for group in [*clients.LANGUAGES, "others", "all"]:
            if group in counts:
                passed, failed = counts[group][True], counts[group][False]
                print(f"{group:10}{passed:5} passed{failed:5} failed")


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


@pytest.fixture(scope="session")
def cli_binary():
    return _binary("INTEROP_CLI")


@pytest.fixture(scope="session")
def workshop():
    return clients.Workshop(clients.default_directory())


@pytest.fixture(params=clients.LANGUAGES, scope="session")
def client(request, workshop):
    """The example client of each language in turn."""
    return clients.Client(request.param, workshop)


@pytest.fixture
def without_retries(tmp_path):
    """The flags that keep a client from retrying."""
    return "--service-config", clients.without_retries(tmp_path)


@pytest.fixture
def start_peer(programs):
    """Starts a server that gives these answers."""

    def start(*answers, **kwargs):
        peer = Peer(*answers, **kwargs)
        programs.append(peer)
        return peer

    return start


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
