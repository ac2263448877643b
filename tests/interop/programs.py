"""The programs under test, started on free ports and stopped whatever happens."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

# Bounds every wait. Generous: it only matters when something is broken.
TIMEOUT = 30.0

# What the emulators of this suite accept unless a test says otherwise.
ACCESS_KEY = "AKIDINTEROP"
SECRET_KEY = "interop-secret-3f9c"

_FOREIGN = ("AWS_", "FACE_LIVENESS_", "REKOGNITION_EMULATOR_", "OTEL_")


def environment(**extra):
    """The environment of this process without what would configure the programs, plus `extra`.

    The file names keep the machine's own AWS configuration out.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN) and not name.lower().endswith("_proxy")
    }
    env |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return env | extra


def signing(access_key=ACCESS_KEY, secret_key=SECRET_KEY, region="us-east-1", **extra):
    """An environment in which AWS's clients sign with this key pair."""
    return environment(
        AWS_ACCESS_KEY_ID=access_key,
        AWS_SECRET_ACCESS_KEY=secret_key,
        AWS_DEFAULT_REGION=region,
        **extra,
    )


def run(*command, timeout=TIMEOUT, **kwargs):
    """Runs a command to its end and gives back its output, whatever its exit status."""
    kwargs.setdefault("env", environment())
    command = [str(word) for word in command]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **kwargs)


def eventually(probe, what, timeout=TIMEOUT):
    """Asks `probe` again and again until it gives something true, which is returned."""
    deadline = time.monotonic() + timeout
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what()}"
        time.sleep(0.02)
    return found


class Program:
    """A program that runs in the background and writes its output to files."""

    def __init__(self, command, directory, env, **kwargs):
        self._out = Path(directory, "stdout")
        self._err = Path(directory, "stderr")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=env,
                **kwargs,
            )

    @property
    def stdout(self):
        return self._out.read_text()

    @property
    def stderr(self):
        return self._err.read_text()

    def _shown(self):
        return f"{self.process.args}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"

    def until(self, probe, timeout=TIMEOUT):
        """Waits until `probe` gives something true, or fails as soon as the program has ended."""

        def alive():
            ended = self.process.poll() is not None
            found = probe()
            assert found or not ended, f"ended early: {self._shown()}"
            return found

        return eventually(alive, self._shown, timeout)

    def is_running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=TIMEOUT):
        """The exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {timeout} s: {self._shown()}") from None

    def stop(self):
        """Ends the program at once."""
        self.process.kill()
        self.process.wait()


class Emulator(Program):
    """`rekognition-emulator`, and its control API."""

    def __init__(self, binary, directory, *flags):
        command = [binary, "--listen", "127.0.0.1:0", *flags]
        if "--credentials" not in flags:
            command += ["--credentials", f"{ACCESS_KEY}:{SECRET_KEY}"]
        super().__init__(command, directory, environment())
        self.url = self.until(self._endpoint)

    def _endpoint(self):
        # The journal's line is the last: the whole announcement is there.
        if "/_emulator/journal\n" not in self.stdout:
            return None
        lines = (line.split() for line in self.stdout.splitlines())
        return next(line[1] for line in lines if line[:1] == ["endpoint"])

    def _control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_emulator/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.load(answer)

    def journal(self):
        return self._control("GET", "journal")

    def requests(self):
        return self.journal()["requests"]

    def faults(self):
        return self._control("GET", "faults")["faults"]

    def break_with(self, fault, **members):
        """Sets the one fault from now on."""
        self._control("PUT", "faults", {"faults": [{"fault": fault, **members}]})

    def work_again(self):
        self._control("DELETE", "faults")

    def advance(self, seconds):
        self._control("POST", "clock", {"advance_ms": int(seconds * 1000)})


class Gateway(Program):
    """`face-liveness-gateway serve`, logging JSON and ready unless said otherwise."""

    def __init__(self, binary, directory, *flags, env, ready=True):
        self.binary = binary
        ports = [port for port in ("--listen", "--admin-listen") if port not in flags]
        addresses = [f"{port}=127.0.0.1:0" for port in ports]
        command = [binary, "serve", *addresses, "--log-format", "json", *flags]
        # Nobody here must take notice of a shutdown first, unless a test says so.
        env = {"FACE_LIVENESS_SERVER_DRAIN_DELAY": "0s"} | env
        super().__init__(command, directory, env)
        self.address = self.until(lambda: self._logged("address"))
        self.admin = self._logged("admin")
        if ready:
            self.until(lambda: self.healthcheck().returncode == 0)

    def _logged(self, field):
        """The field of the first line in the log that has it."""
        lines = (line for line in self.stderr.splitlines(keepends=True) if line.endswith("\n"))
        return next(filter(None, (json.loads(line).get(field) for line in lines)), None)

    def healthcheck(self, *flags):
        return run(self.binary, "healthcheck", "--address", self.address, *flags)

    def terminate(self):
        self.signal(signal.SIGTERM)
