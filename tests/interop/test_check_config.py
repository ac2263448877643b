"""`check-config` tells every mistake at once, each with its place, or the configuration."""

import re
import tomllib

from programs import SECRET_KEY, environment, run, signing


def mistakes(done):
    """The place and the problem of each mistake told."""
    assert done.returncode == 64, done.stderr
    assert done.stdout == ""
    return dict(re.findall(r"^  (\S+(?: \S+)?): (.+)$", done.stderr, re.MULTILINE))


def test_every_mistake_of_every_source_is_told_with_its_place(gateway_binary, tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(
        'listn = "127.0.0.1:1"\n'
        'read_timeout = "soon"\n'
        "[server]\n"
        "max_in_flight = 0\n"
        'shutdown_grace = "0s"\n'
    )
    env = environment(
        FACE_LIVENESS_CONNECT_TIMEOUT="a while",
        FACE_LIVENESS_SERVER_WORKERS="-1",
        FACE_LIVENESS_REGOIN="us-east-1",
        AWS_ACCESS_KEY_ID="half-a-pair",
    )
    flags = (
        "--region",
        "eu-north-1",
        "--listen",
        "nowhere",
        "--endpoint-url",
        "ftp://x",
        "--bogus",
    )
    done = run(gateway_binary, "check-config", "--config", config, *flags, env=env)
    assert mistakes(done).keys() == {
        "--bogus",
        "--endpoint-url",
        "--listen",
        "--region",
        "AWS_SECRET_ACCESS_KEY",
        "FACE_LIVENESS_CONNECT_TIMEOUT",
        "FACE_LIVENESS_REGOIN",
        "FACE_LIVENESS_SERVER_WORKERS",
        f"{config}: listn",
        f"{config}: read_timeout",
        f"{config}: server.max_in_flight",
        f"{config}: server.shutdown_grace",
    }
    assert "12 mistakes" in done.stderr


def test_serve_refuses_what_check_config_refuses(gateway_binary):
    flags = ("--region", "eu-north-1", "--listen", "nowhere")
    served = run(gateway_binary, "serve", *flags)
    checked = run(gateway_binary, "check-config", *flags)
    assert mistakes(served).keys() == {"--region", "--listen"}
    assert served.stderr == checked.stderr


def test_a_missing_file_is_told_with_the_flag_that_names_it(gateway_binary, tmp_path):
    missing = tmp_path / "missing.toml"
    done = run(gateway_binary, "check-config", "--region", "us-east-1", "--config", missing)
    assert str(missing) in mistakes(done)["--config"]


def test_it_prints_a_configuration_file_that_gives_the_same_configuration(gateway_binary, tmp_path):
    flags = ("--region", "eu-west-1", "--listen", "127.0.0.1:4711", "--read-timeout", "2s")
    first = run(gateway_binary, "check-config", *flags)
    assert first.returncode == 0, first.stderr
    values = tomllib.loads(first.stdout)
    assert values["region"] == "eu-west-1"
    assert values["listen"] == "127.0.0.1:4711"
    printed = tmp_path / "printed.toml"
    printed.write_text(first.stdout)
    second = run(gateway_binary, "check-config", "--config", printed)
    assert second.returncode == 0, second.stderr
    assert tomllib.loads(second.stdout) == values


def test_it_says_where_each_value_comes_from(gateway_binary, tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text('read_timeout = "2s"\n')
    env = environment(FACE_LIVENESS_DEBUG="true")
    flags = ("--config", config, "--region", "us-east-1", "--listen", "127.0.0.1:4711")
    done = run(gateway_binary, "check-config", *flags, env=env)
    assert done.returncode == 0, done.stderr
    sources = dict(re.findall(r"^(\w+) = .*?# (.+)$", done.stdout, re.MULTILINE))
    assert sources["region"] == "--region"
    assert sources["debug"] == "FACE_LIVENESS_DEBUG"
    assert sources["read_timeout"] == f"file {config}"
    assert sources["connect_timeout"] == "default"


def test_it_shows_no_secret(gateway_binary):
    flags = ("--region", "us-east-1", "--insecure-no-auth")
    done = run(gateway_binary, "check-config", *flags, env=signing())
    assert done.returncode == 0, done.stderr
    assert SECRET_KEY not in done.stdout + done.stderr
