"""`dev`: what it prints works when it is pasted."""

import re
import socket
import uuid

import pytest

from grpcurl import Grpcurl
from programs import Program, environment, run

PORTS = ("--listen", "--admin-listen", "--emulator-listen")


@pytest.fixture
def dev(programs, directory, gateway_binary):
    addresses = [f"{flag}=127.0.0.1:0" for flag in PORTS]
    program = Program([gateway_binary, "dev", *addresses], directory(), environment())
    programs.append(program)
    program.until(lambda: "Ctrl-C stops it.\n" in program.stdout)
    return program


def told(dev, name):
    return re.search(rf"^  {name} +(\S+)", dev.stdout, re.MULTILINE)[1]


def paste(dev, command):
    """Runs the one printed block that contains `command`, indented as it stands there."""
    blocks = (block for block in dev.stdout.split("\n\n") if block.startswith("  "))
    (block,) = (block for block in blocks if re.search(command, block))
    return run("bash", "-euo", "pipefail", "-c", block)


def session_id(done):
    assert done.returncode == 0, done.stderr
    found = re.search(r'"sessionId": "([^"]+)"', done.stdout)
    return str(uuid.UUID(found[1]))


def test_it_warns_against_production(dev):
    assert "Not for production" in dev.stdout


def test_the_printed_plain_call_makes_a_session_each_time(dev):
    plain = r"grpcurl -plaintext [0-9.:]+ "
    assert session_id(paste(dev, plain)) != session_id(paste(dev, plain))


def test_the_printed_call_with_settings_gets_one_session_by_its_token(dev):
    settings = r"client_request_token"
    assert session_id(paste(dev, settings)) == session_id(paste(dev, settings))


def test_the_printed_boto3_lines_read_the_session_that_the_gateway_made(dev):
    done = paste(dev, r"boto3")
    assert (done.stdout.strip(), done.returncode) == ("CREATED", 0), done.stderr


def test_the_printed_session_was_made_over_grpc_in_the_emulator(dev):
    done = run("curl", "--silent", "--fail", told(dev, "journal"))
    assert done.returncode == 0, done.stderr
    assert told(dev, "session") in done.stdout


def test_the_printed_address_has_reflection(dev):
    assert "faceliveness.v1.FaceLivenessService" in Grpcurl(told(dev, "gRPC")).list()


@pytest.mark.parametrize("flag", PORTS)
def test_a_taken_port_is_told_with_its_flag(gateway_binary, flag):
    others = [f"{other}=127.0.0.1:0" for other in PORTS if other != flag]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:{1}".format(*taken.getsockname())
        done = run(gateway_binary, "dev", flag, address, *others)
    assert done.returncode == 1
    assert address in done.stderr
    assert re.search(rf"\s{flag}\b", done.stderr)
