"""What README.md shows to paste works as it is written, but for the address, and answers so."""

import re
from pathlib import Path

import pytest

from clients import LANGUAGES
from programs import run

README = Path(__file__).parents[2] / "README.md"
ADDRESS = "127.0.0.1:50051"


def blocks(language):
    text = README.read_text()
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for block in found if ADDRESS in block and re.search("grpcurl |buf curl ", block)]


def transcripts():
    """Each command that follows a prompt, and the output that follows the command."""
    for block in blocks("console"):
        for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command = re.match(r"(?:.*\\\n)*.*\n", entry)[0]
            if command.startswith("grpcurl"):
                yield command, entry.removeprefix(command)


def paste(command, address):
    return run("bash", "-euo", "pipefail", "-c", command.replace(ADDRESS, address))


def words(output):
    """What is the same each time: not ids, not times, not grpcurl's white space."""
    output = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", output)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", output).split()


def test_every_transcript_is_true(gateway):
    found = list(transcripts())
    assert len(found) >= 3
    for command, expected in found:
        done = paste(command, gateway.address)
        assert words(done.stdout + done.stderr) == words(expected), command


def test_every_call_to_paste_makes_a_session(gateway):
    found = blocks("sh")
    assert found
    for command in found:
        done = paste(command, gateway.address)
        assert done.returncode == 0, done.stderr
        assert '"sessionId"' in done.stdout


# What `run` has done before the examples are built.
INSTALL = {
    "python3 -m venv .venv && . .venv/bin/activate",
    "pip install -r requirements.txt",
    "npm ci",
}


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_examples_are_built_and_called_as_it_says(name):
    language = LANGUAGES[name]
    begin = f"```sh\ncd examples/{language.project.directory}\n"
    block = README.read_text().partition(begin)[2].partition("```")[0]
    lines = [line.partition(" #")[0].strip() for line in block.splitlines()]
    calls = [
        f"{each.command} --address localhost:50051"
        for each in LANGUAGES.values()
        if each.project == language.project
    ]
    assert f"{language.command} --address localhost:50051" in lines
    assert set(lines) <= {*INSTALL, *language.project.build, *calls}
