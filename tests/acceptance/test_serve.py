"""`thingjobs serve`: nobody gets in without a signature, and nothing insecure is served."""

from __future__ import annotations

import base64
import os
import re
import shlex
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from fleet import Fleet, Refusal, refusal
from servers import PROGRAM, Server

SECONDS = 30
STRANGER = ("AKIASTRANGERSTRANGER", "secret")


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A program that ends by itself, with no setting or key from around it."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "THINGJOBS_"))}
    return subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**clean, **(environment or {})},
    )


def thingjobs(*arguments: str) -> str:
    """What a command prints."""
    ended = run(str(PROGRAM), *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def refused_to_start(*arguments: str) -> str:
    """The one line that says why a server does not start."""
    ended = run(str(PROGRAM), *arguments, "--log-level", "error")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("thingjobs: ")
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def exports(data: Path, *options: str) -> dict[str, str]:
    """What ``eval "$(thingjobs env)"`` would set."""
    *lines, last = thingjobs("env", "--data", str(data), *options).splitlines()
    assert last == "unset AWS_SESSION_TOKEN"
    words = [shlex.split(line) for line in lines]
    assert {word for word, _ in words} == {"export"}
    return dict(variable.split("=", 1) for _, variable in words)


def key_of(data: Path) -> tuple[str, str]:
    variables = exports(data)
    return variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]


def new_key(data: Path, *options: str) -> tuple[str, str]:
    printed = thingjobs("keys", "create", "--data", str(data), *options)
    access_key_id, secret = re.findall(r"^\w+ +(\S+)$", printed, re.MULTILINE)
    return access_key_id, secret


class _SignerAt(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """botocore's signer with a clock of its own."""

    def __init__(self, key: tuple[str, str], service: str, at: datetime) -> None:
        super().__init__(Credentials(*key), service, "us-east-1")
        self._at = at

    def add_auth(self, request: AWSRequest) -> None:
        request.context["timestamp"] = self._at.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        canonical = self.canonical_request(request)
        signature = self.signature(self.string_to_sign(request, canonical), request)
        self._inject_signature_to_request(request, signature)


def signed_get(
    server: Server, path: str, key: tuple[str, str], *, service: str = "iot", age: timedelta = timedelta()
) -> tuple[int, dict[str, str], bytes]:
    request = AWSRequest("GET", server.url + path, headers={"Host": urlsplit(server.url).netloc})
    _SignerAt(key, service, datetime.now(UTC) - age).add_auth(request)
    return server.http("GET", path, headers=dict(request.headers.items()))


def basic(key: tuple[str, str]) -> dict[str, str]:
    """The key as name and password."""
    return {"Authorization": "Basic " + base64.b64encode(":".join(key).encode()).decode()}


def told(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str | None]:
    return answer[0], answer[1].get("x-amzn-errortype")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("server") / "data"
    with Server(data, "--clock", "manual", "--regions", "eu-west-1", mode="serve") as running:
        yield running


@pytest.fixture(scope="module")
def key(server: Server) -> tuple[str, str]:
    return key_of(server.data)


@pytest.fixture(scope="module")
def fleet(server: Server, unique: Callable[[str], str], key: tuple[str, str]) -> Fleet:
    return Fleet(server, unique, key=key)


# --- signatures -----------------------------------------------------------------------------------


def test_names_that_are_encoded_in_paths_verify(fleet: Fleet) -> None:
    """case 169"""
    thing = fleet.thing("a:b")
    job = fleet.job(thing)
    for answer in (
        fleet.data.describe_job_execution(thingName=thing, jobId="$next"),
        fleet.data.start_next_pending_job_execution(thingName=thing),
    ):
        assert answer["execution"]["jobId"] == job


@pytest.mark.parametrize("age", [timedelta(minutes=6), timedelta(minutes=-6)])
def test_signature_of_another_time_is_refused_with_our_date(
    server: Server, key: tuple[str, str], age: timedelta
) -> None:
    """case 170; real time, also when the service's clock is wound by hand"""
    assert server.http("POST", "/-/clock/advance", b'{"seconds":3600}', basic(key))[0] == 200
    answer = signed_get(server, "/jobs", key, age=age)
    assert told(answer) == (403, "InvalidSignatureException")
    sent_at = parsedate_to_datetime(answer[1]["date"])
    assert abs(datetime.now(UTC) - sent_at) < timedelta(minutes=1)
    assert told(signed_get(server, "/jobs", key, age=age / 2)) == (200, None)


def test_wrong_secret_is_refused(server: Server, key: tuple[str, str]) -> None:
    """case 171"""
    for service in ("iot", "iot-jobs-data"):
        client = server.client(service, key=(key[0], "wrong"))
        call = client.list_jobs if service == "iot" else client.get_pending_job_executions
        params = {} if service == "iot" else {"thingName": "t"}
        assert refusal(call, **params)[:2] == (403, "InvalidSignatureException")


def test_unknown_key_is_refused(server: Server) -> None:
    """spec: wire 5.1"""
    answer = refusal(server.client("iot", key=STRANGER).list_jobs)
    assert answer == Refusal(
        403, "UnrecognizedClientException", "The security token included in the request is invalid."
    )


@pytest.mark.parametrize(
    "path",
    [
        "/jobs",
        "/things/t/jobs/$next",
        "/jobs?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=b",
        "/-/metrics",
        "/-/clock",
        "/-/operations",
    ],
)
def test_request_without_a_signature_header_is_refused(server: Server, path: str) -> None:
    """spec: wire 5.1, ruling 18, ruling 24"""
    assert told(server.http("GET", path)) == (403, "MissingAuthenticationTokenException")


def test_changed_request_is_refused(server: Server, key: tuple[str, str]) -> None:
    """spec: wire 6"""
    request = AWSRequest("GET", f"{server.url}/jobs", headers={"Host": urlsplit(server.url).netloc})
    _SignerAt(key, "iot", datetime.now(UTC)).add_auth(request)
    headers = dict(request.headers.items())
    assert told(server.http("GET", "/jobs", headers=headers)) == (200, None)
    for method, path, body in (
        ("GET", "/jobs?status=CANCELED", None),
        ("GET", "/things", None),
        ("DELETE", "/jobs", None),
        ("GET", "/jobs", b"{}"),
    ):
        assert told(server.http(method, path, body, headers)) == (403, "InvalidSignatureException")


def test_scope_names_a_service_and_a_region_of_ours(server: Server, key: tuple[str, str]) -> None:
    """spec: wire 5.1, 6"""
    answer = signed_get(server, "/jobs", key, service="s3")
    assert told(answer) == (403, "InvalidSignatureException")
    assert b"Credential should be scoped to" in answer[2]
    assert server.client("iot", region="eu-west-1", key=key).list_jobs()["jobs"] == []
    elsewhere = refusal(server.client("iot", region="ap-south-1", key=key).list_jobs)
    assert elsewhere[:2] == (403, "InvalidSignatureException")


# --- keys -----------------------------------------------------------------------------------------


def test_read_only_key_reads_both_planes_and_changes_nothing(fleet: Fleet) -> None:
    thing = fleet.thing()
    job = fleet.job(thing)
    key = new_key(fleet.server.data, "--role", "read-only")
    reader = Fleet(fleet.server, fleet.unique, key=key)
    assert reader.describe(job)["jobId"] == job
    assert reader.pending(thing) == ([], [job])
    assert reader.data.describe_job_execution(thingName=thing, jobId=job)["execution"]["jobId"] == job
    for call, params in (
        (reader.iot.create_job, reader.order(thing)),
        (reader.iot.cancel_job, {"jobId": job}),
        (reader.iot.tag_resource, {"resourceArn": "x", "tags": []}),
        (reader.data.start_next_pending_job_execution, {"thingName": thing}),
        (reader.data.update_job_execution, {"thingName": thing, "jobId": job, "status": "FAILED"}),
    ):
        assert refusal(call, **params)[:2] == (403, "AccessDeniedException")
    assert fleet.execution(thing, job)["status"] == "QUEUED"


def test_disabled_key_is_refused_by_the_running_server(server: Server) -> None:
    key = new_key(server.data, "--role", "admin")
    client = server.client("iot", key=key)
    client.list_jobs()
    thingjobs("keys", "disable", key[0], "--data", str(server.data))
    until = time.monotonic() + SECONDS  # it follows within a second
    while signed_get(server, "/-/clock", key)[0] == 200:
        assert time.monotonic() < until
    assert refusal(client.list_jobs).code == "UnrecognizedClientException"


def test_listed_keys_have_no_secrets(server: Server, key: tuple[str, str]) -> None:
    made = new_key(server.data, "--role", "read-only", "--description", "for the dashboard")
    listed = thingjobs("keys", "list", "--data", str(server.data))
    assert key[0] in listed
    (line,) = [line for line in listed.splitlines() if made[0] in line]
    assert "read-only" in line
    assert line.endswith("for the dashboard")
    assert made[1] not in listed
    assert key[1] not in listed


def test_key_of_another_account_sees_its_own_things_only(fleet: Fleet) -> None:
    thing = fleet.thing()
    tenant = fleet.server.client(
        "iot", key=new_key(fleet.server.data, "--role", "admin", "--account", "210987654321")
    )
    assert refusal(tenant.describe_thing, thingName=thing).status == 404
    assert ":210987654321:thing/" in tenant.create_thing(thingName=thing)["thingArn"]


def test_secrets_are_neither_logged_nor_readable_by_others(server: Server, key: tuple[str, str]) -> None:
    server.http("GET", "/-/metrics", headers=basic(key))
    log = server.log_file.read_text()
    assert key[1] not in log
    modes = {path.name: path.stat().st_mode & 0o077 for path in server.data.iterdir()}
    assert modes["access-keys.json"] == modes["thingjobs.db"] == 0


# --- our own endpoints ------------------------------------------------------------------------------


def test_endpoints_of_ours_take_a_signature_or_a_password(server: Server, key: tuple[str, str]) -> None:
    """spec: ruling 24"""
    for path in ("/-/health", "/-/ready"):
        assert server.http("GET", path)[0] == 200
    for path in ("/-/metrics", "/-/operations", "/-/clock"):
        assert server.http("GET", path, headers=basic(key))[0] == 200
        assert signed_get(server, path, key)[0] == 200
        for bad in ((key[0], "wrong"), STRANGER):
            assert told(server.http("GET", path, headers=basic(bad))) == (403, "UnrecognizedClientException")
    for header in ("Basic !", "Basic", "Digest x"):
        assert server.http("GET", "/-/clock", headers={"Authorization": header})[0] == 403


def test_only_an_admin_winds_the_clock(server: Server, key: tuple[str, str]) -> None:
    reader = new_key(server.data, "--role", "read-only")
    body = b'{"seconds":1}'
    assert server.http("GET", "/-/clock", headers=basic(reader))[0] == 200
    answer = server.http("POST", "/-/clock/advance", body, basic(reader))
    assert told(answer) == (403, "AccessDeniedException")
    assert server.http("POST", "/-/clock/advance", body, basic(key))[0] == 200


def test_password_opens_nothing_of_the_service(server: Server, key: tuple[str, str]) -> None:
    assert told(server.http("GET", "/jobs", headers=basic(key))) == (403, "IncompleteSignatureException")


# --- the command line -------------------------------------------------------------------------------


def test_aws_cli_works_with_what_env_prints(server: Server) -> None:
    """The commands that the quick start shows."""
    port = urlsplit(server.url).port
    environment = exports(server.data, "--http-port", str(port))

    def aws(*arguments: str) -> str:
        ended = run(str(PROGRAM.with_name("aws")), *arguments, "--output", "text", environment=environment)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    thing_arn = aws("iot", "create-thing", "--thing-name", "cli", "--query", "thingArn")
    aws("iot", "create-job", "--job-id", "cli", "--targets", thing_arn, "--document", '{"op":"x"}')
    started = aws("iot-jobs-data", "start-next-pending-job-execution", "--thing-name", "cli")
    assert "IN_PROGRESS" in started
    shown = ("--query", "job.[status,jobProcessDetails.numberOfInProgressThings]")
    endpoint = ("--endpoint-url", server.url)
    assert aws("iot", "describe-job", "--job-id", "cli", *endpoint, *shown).split() == ["IN_PROGRESS", "1"]


def test_every_server_begins_with_a_random_key(tmp_path: Path) -> None:
    with Server(tmp_path / "a", mode="serve"), Server(tmp_path / "b", mode="serve"):
        first, second = exports(tmp_path / "a"), exports(tmp_path / "b", "--region", "eu-west-1")
        assert first.keys() == second.keys() >= {"AWS_ENDPOINT_URL"}
        assert first["AWS_SECRET_ACCESS_KEY"] != second["AWS_SECRET_ACCESS_KEY"]
        assert (first["AWS_REGION"], second["AWS_REGION"]) == ("us-east-1", "eu-west-1")
        assert exports(tmp_path / "a") == first


def test_env_makes_no_key_where_no_server_was(tmp_path: Path) -> None:
    """A mistyped directory must not look like one."""
    ended = run(str(PROGRAM), "env", "--data", str(tmp_path / "typo"))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"thingjobs: {tmp_path}/typo has no access keys. Start the server first")
    assert not (tmp_path / "typo").exists()


# --- refusals to start ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--http-host", "0.0.0.0"), "would offer plain HTTP to the network"),
        (("--https-port", "8443"), "TLS listeners are not part of this version"),
        (("--mqtts-port", "8883"), "TLS listeners are not part of this version"),
        (("--region", "a b"), "--region: 'a b' is not the name of a region"),
        (("--path-prefix", "x/"), "--path-prefix x/: it has the form /a"),
    ],
)
def test_what_must_not_be_served_is_refused(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    assert reason in refused_to_start("serve", "--data", str(tmp_path / "data"), "--http-port", "0", *options)
    assert not (tmp_path / "data" / "thingjobs.db").exists()


def test_second_server_on_the_same_data_is_refused(server: Server) -> None:
    reason = refused_to_start("serve", "--data", str(server.data), "--http-port", "0")
    assert f"in use by another thingjobs server (process {server.process.pid})" in reason


def test_port_in_use_is_told(server: Server, tmp_path: Path) -> None:
    port = str(urlsplit(server.url).port)
    reason = refused_to_start("dev", "--data", str(tmp_path / "data"), "--http-port", port)
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use." in reason


def test_data_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        assert server.stop() == 0
    database = sqlite3.connect(data / "thingjobs.db")
    with database:
        database.execute("UPDATE meta SET value = '9999' WHERE name = 'schema_version'")
    database.close()
    assert "schema version 9999" in refused_to_start("dev", "--data", str(data), "--http-port", "0")


def test_damaged_database_is_told_in_one_line(tmp_path: Path) -> None:
    database = tmp_path / "thingjobs.db"
    database.write_text("This is text, and no database, however long it may be." * 100)
    reason = refused_to_start("dev", "--data", str(tmp_path), "--http-port", "0", "--mqtt-port", "0")
    assert f"{database} cannot be used: file is not a database." in reason
    assert "Backup and restore" in reason


def test_open_key_file_lets_nobody_in(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data, mode="serve") as server:
        key = key_of(data)
        assert server.stop() == 0
        (data / "access-keys.json").chmod(0o644)
        reason = refused_to_start("serve", "--data", str(data), "--http-port", "0")
    assert "is open to other users" in reason
    assert key[1] not in reason
