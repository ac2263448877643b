"""The examples of emulator/README.md work as they are written, but for the address."""

import os
import re
import uuid
from pathlib import Path

import pytest

from programs import environment, run

README = Path(__file__).parents[2] / "emulator" / "README.md"
ADDRESS = "127.0.0.1:4580"


def example(language, containing):
    """The one example in this language that contains this text."""
    blocks = re.findall(
        rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL
    )
    (found,) = (block for block in blocks if containing in block)
    return found


@pytest.fixture
def emulator(start_emulator):
    # The key pair that the README names, which is the emulator's default.
    return start_emulator("--credentials", "test:test")


@pytest.fixture
def follow(emulator, tmp_path):
    """Runs a shell script after the README's `export` line, in an empty directory."""

    def run_script(script):
        script = f"{example('sh', 'export AWS_ACCESS_KEY_ID')}\n{script}"
        script = script.replace(ADDRESS, emulator.url.removeprefix("http://"))
        return run("bash", "-euo", "pipefail", "-c", script, cwd=tmp_path, env=environment())

    return run_script


def good(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_aws_cli_example(follow, emulator):
    assert "SessionId" in good(follow(example("sh", "aws rekognition")))
    assert emulator.journal()["distinct_tokens"] == 1


def read_back(printed):
    session, status = printed.split()
    assert str(uuid.UUID(session)) == session
    assert status == "CREATED"


def test_the_boto3_example(follow, tmp_path, emulator):
    code = example("python", "boto3").replace(ADDRESS, emulator.url.removeprefix("http://"))
    (tmp_path / "example.py").write_text(code)
    read_back(good(follow("python3 example.py")))


def test_the_javascript_example(follow, tmp_path, emulator):
    code = example("js", "client-rekognition").replace(
        ADDRESS, emulator.url.removeprefix("http://")
    )
    (tmp_path / "example.mjs").write_text(code)
    (tmp_path / "node_modules").symlink_to(os.environ["INTEROP_NODE_MODULES"])
    read_back(good(follow("node example.mjs")))


def test_the_control_example(follow, emulator):
    assert '"requests_seen":0' in good(follow(example("sh", "_emulator/faults")))
    assert [fault["fault"] for fault in emulator.faults()] == ["throttling", "latency"]
