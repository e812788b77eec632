"""Settings of storage: what cannot work, or would be unsafe, ends the program at its start."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from servers import PROGRAM, Server
from storage_servers import RawServer, assumes

SECONDS = 30
ROLE = '[[role]]\nrole_arn = "arn:aws:iam::123456789012:role/cameras"\n'
KEYS = 'access_key_id = "AK"\nsecret_access_key = "hush"\n'


def refused_to_start(*arguments: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "THINGJOBS_"))}
    ended = subprocess.run(
        [PROGRAM, *arguments, "--http-port", "0"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=clean,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    return ended.stderr.removeprefix("thingjobs: ").rstrip("\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--s3-endpoint", "minio:9000"], "--s3-endpoint: it must begin with http:// or https://."),
        (
            ["--s3-endpoint", "http://127.0.0.1:9000"],
            "--s3-endpoint: 127.0.0.1 is a loopback address, which needs --s3-private-network.",
        ),
        (
            ["--s3-endpoint", "http://169.254.169.254", "--s3-private-network"],
            "--s3-endpoint: 169.254.169.254 is a link-local address, which is never allowed.",
        ),
        (
            ["--s3-device-endpoint", "https://user:hush@files.example.net"],
            "--s3-device-endpoint: it must not have credentials in it.",
        ),
        (["--s3-region", "EU West"], "--s3-region: 'EU West' is not the name of a region."),
    ],
)
def test_what_could_never_work_is_refused(tmp_path: Path, options: list[str], why: str) -> None:
    assert refused_to_start("serve", "--data", str(tmp_path / "data"), *options) == why


def test_a_file_of_credentials_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s3.toml"
    file.write_text(ROLE + KEYS)
    file.chmod(0o644)
    message = refused_to_start("dev", "--data", str(tmp_path / "data"), "--s3-credentials", str(file))
    assert message.startswith(
        f"--s3-credentials: {file} holds secrets and is open to other users (mode 0644)"
    )


def test_a_typing_error_in_the_file_of_credentials_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s3.toml"
    file.touch(0o600)
    file.write_text(ROLE + KEYS.replace("secret_", "secert_"))
    message = refused_to_start("dev", "--data", str(tmp_path / "data"), "--s3-credentials", str(file))
    assert message == f"--s3-credentials: {file}: role 1 has no secret_access_key."


def test_the_server_has_its_sessions_before_it_listens(tmp_path: Path) -> None:
    file = tmp_path / "s3.toml"
    file.touch(0o600)
    with RawServer(assumes("ASIA1", "given", "token", "2126-01-15T13:30:00Z")) as sts:
        file.write_text(f'{ROLE}{KEYS}sts_endpoint = "{sts.url}"\n')
        with Server(tmp_path / "data", "--s3-credentials", str(file)) as server:
            assert len(sts.requests) == 1
            assert server.http("GET", "/-/health")[0] == 200
    log = [json.loads(line) for line in server.log_file.read_text().splitlines()]
    events = [entry["event"] for entry in log]
    assert events.index("s3_credentials_refreshed") < events.index("listening")
    assert "hush" not in server.log_file.read_text()
