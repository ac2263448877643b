"""The Tab key completes the command line in bash, fish and zsh, with the scripts that it prints."""

from dataclasses import dataclass

import pytest

from programs import environment, run


@dataclass(frozen=True)
class Shell:
    """A shell that somebody types into."""

    command: str
    # Where the script is put, in the home directory, and what makes the shell know it there.
    script: str
    setup: str
    # Defines a program of that name, which writes down its words.
    recorder: str


SHELLS = {
    "bash": Shell(
        "bash --norc -i",
        "completions",
        "source ~/completions",
        """face-liveness() { printf '%s\\n' "$*" >>~/lines; }""",
    ),
    "fish": Shell(
        "fish --private -i",
        ".config/fish/completions/face-liveness.fish",
        "true",
        "function face-liveness; echo $argv >>~/lines; end",
    ),
    "zsh": Shell(
        "zsh -f -i",
        ".zfunc/_face-liveness",
        "fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit -u -D",
        'face-liveness() { print -r -- "$*" >>~/lines; }',
    ),
}

# What is typed before Tab, and the line that it becomes.
COMPLETED = {
    "he": "health",
    "create-f": "create-face-liveness-session",
    "des": "describe",
    "completions z": "completions zsh",
    "create --sett": "create --settings",
    "create --cli-inp": "create --cli-input-json",
    "create-face-liveness-session --kms": "create-face-liveness-session --kms-key-id",
    "create --generate-cli-skeleton o": "create --generate-cli-skeleton output",
    "health --serv": "health --service",
    "health --output ta": "health --output table",
    "bench --conc": "bench --concurrency",
    "--endp": "--endpoint-url",
}


@pytest.fixture(params=SHELLS)
def typed(request, tmp_path, cli_binary):
    """Types lines into a shell on a terminal, and gives back what the program was called with."""
    shell = SHELLS[request.param]
    script = tmp_path / shell.script
    script.parent.mkdir(parents=True, exist_ok=True)
    printed = run(cli_binary, "completions", request.param)
    assert (printed.returncode, printed.stderr) == (0, "")
    script.write_text(printed.stdout)

    def type_lines(*lines):
        keys = "\n".join([shell.setup, shell.recorder, *lines, "exit", ""])
        terminal = ("script", "--quiet", "--return", "--command", shell.command, "/dev/null")
        env = environment(
            HOME=str(tmp_path), TERM="xterm", XDG_CONFIG_HOME=str(tmp_path / ".config")
        )
        done = run(*terminal, input=keys, env=env, cwd=tmp_path)
        recorded = tmp_path / "lines"
        assert recorded.exists(), f"{shell.command}: {done.stdout}{done.stderr}"
        return [line.strip() for line in recorded.read_text().splitlines()]

    return type_lines


def test_tab_completes_commands_options_and_values(typed):
    assert typed(*(f"face-liveness {words}\t" for words in COMPLETED)) == [*COMPLETED.values()]


def test_tab_leaves_alone_what_is_no_command(typed):
    assert typed("face-liveness nonesuch\t") == ["nonesuch"]
