"""The example clients: generated, built and run as their readers would."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from programs import Program, environment, run

ROOT = Path(__file__).parents[2]
SERVICE_CONFIG = ROOT / "proto/faceliveness/v1/service_config.json"

# A compiler that starts with nothing on a busy machine.
BUILD_TIMEOUT = 900.0


@dataclass(frozen=True)
class Project:
    """A directory of `examples/` and what builds it."""

    directory: str
    needs: tuple
    build: tuple


GO = Project("go", ("buf", "go"), ("buf generate", "go vet .", "go build -o client ."))
JAVA = Project("java", ("buf", "java", "mvn"), ("mvn --quiet package",))
KOTLIN = Project("kotlin", ("buf", "java", "mvn"), ("mvn --quiet package",))
PYTHON = Project("python", ("buf", "mypy", "python3"), ("buf generate", "mypy"))
TYPESCRIPT = Project("typescript", ("buf", "node", "npm"), ("buf generate", "npm run build"))


@dataclass(frozen=True)
class Language:
    """One client, and how it is started in its project's directory."""

    project: Project
    command: str
    health_checked: bool


# Each call of Java's client starts a virtual machine: the quick compiler will do.
_QUICK = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}

LANGUAGES = {
    "go": Language(GO, "./client", True),
    "python": Language(PYTHON, "python3 client.py", True),
    "grpc-js": Language(TYPESCRIPT, "node dist/src/grpc-js/client.js", False),
    "connect": Language(TYPESCRIPT, "node dist/src/connect/client.js", False),
    "java": Language(JAVA, "java -jar target/client.jar", True),
}


# What is installed or kept from one build to the next; the suite has its own.
KEPT = (".done", ".venv", "node_modules", "target")


class Workshop:
    """Builds each project at most once, in a copy of the repository's examples."""

    def __init__(self, directory):
        self._directory = Path(directory)
        self._failures = {}
        self._copy("proto")

    def _copy(self, path):
        """Copies a directory of the repository, and leaves nothing of an older copy."""
        copy = self._directory / path
        for old in copy.iterdir() if copy.exists() else ():
            if old.name not in KEPT:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        ignored = shutil.ignore_patterns(*KEPT)
        shutil.copytree(ROOT / path, copy, ignore=ignored, dirs_exist_ok=True)

    def build(self, project):
        """The project's directory. Missing tools and mistakes fail each test that needs it."""
        if project not in self._failures:
            self._failures[project] = self._build(project)
        assert not self._failures[project], self._failures[project]
        return self._directory / "examples" / project.directory

    def _build(self, project):
        if missing := [tool for tool in project.needs if not shutil.which(tool)]:
            return f"examples/{project.directory} needs {', '.join(missing)}: not installed"
        self._copy(f"examples/{project.directory}")
        for command in project.build:
            done = subprocess.run(
                command.split(),
                cwd=self._directory / "examples" / project.directory,
                capture_output=True,
                text=True,
                timeout=BUILD_TIMEOUT,
            )
            if done.returncode != 0:
                return f"{command}: {done.stdout}\n{done.stderr}"
        return None


class Client:
    """The example client of one language."""

    def __init__(self, name, workshop):
        self.name = name
        self.health_checked = LANGUAGES[name].health_checked
        self._directory = workshop.build(LANGUAGES[name].project)
        self._command = LANGUAGES[name].command.split()

    def _words(self, address, flags):
        return [*self._command, "--address", address, *flags]

    def _call(self, address, *flags, status, **env):
        words = self._words(address, flags)
        done = run(*words, cwd=self._directory, env=environment(**_QUICK, **env))
        assert done.returncode == status, f"{words}: {done.stdout}\n{done.stderr}"
        return Said(json.loads(done.stdout))

    def session(self, address, *flags, **env):
        """Calls; the call must succeed."""
        return self._call(address, *flags, status=0, **env)

    def refusal(self, address, *flags, **env):
        """Calls; the call must fail."""
        return self._call(address, *flags, status=1, **env)

    def mistake(self, address, *flags):
        """Starts the client with flags that it must not accept."""
        words = self._words(address, flags)
        done = run(*words, cwd=self._directory, env=environment(**_QUICK))
        assert done.returncode != 0, done.stdout

    def in_background(self, directory, address, *flags):
        words = self._words(address, flags)
        return Program(words, directory, environment(**_QUICK), cwd=self._directory)


class Said(dict):
    """What a client printed. What the languages leave out or print as nothing is None alike."""

    def __getattr__(self, name):
        return self.get(name)


def without_retries(directory):
    """The service config, but for its retry policy."""
    config = json.loads(SERVICE_CONFIG.read_text())
    for method in config["methodConfig"]:
        del method["retryPolicy"]
    file = Path(directory, "without_retries.json")
    file.write_text(json.dumps(config))
    return file


def default_directory():
    """Where the examples are built: `run` says so, and has installed there what npm brings."""
    return Path(os.environ["INTEROP_CLIENTS"])
