"""Firmware goes from a bucket to a device: real storage, a job from a template, a real device client.

The storage verifies signatures and their expiry (``test_s3_server`` proves that it does).
"""

from __future__ import annotations

import hashlib
import json
import queue
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from awsiot import iotjobs

from acceptance.clients.scenario import SECONDS
from acceptance.clients.sdk_connections import connected_5, connected_311, jobs_client
from fleet import ROLE, Fleet, arn
from s3_server import S3Server
from servers import Server
from thingjobs.domain.presign import S3Object
from thingjobs.operations.background import MANUAL_CLOCK
from thingjobs.s3.roles import read_roles
from thingjobs.s3.storage import Options, Storage

BUCKET = "firmware"
KEY = "lamps/image v2+é.bin"
IMAGE = hashlib.sha256(b"seed").digest() * 10_000
STATIC_ROLE = "arn:aws:iam::123456789012:role/static"
EXPIRES_IN_SEC = 60


@pytest.fixture(scope="module")
def storage(s3_server: S3Server) -> S3Server:
    """With an image, and a job document that refers to it."""
    s3 = s3_server.client()
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=IMAGE)
    document = {
        "op": "update",
        "url": f"${{aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/{BUCKET}/{KEY}}}",
        "sha256": hashlib.sha256(IMAGE).hexdigest(),
    }
    s3.put_object(Bucket=BUCKET, Key="jobs/update.json", Body=json.dumps(document).encode())
    return s3_server


@pytest.fixture(scope="module")
def credentials(storage: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A role with keys of its own, and one that STS gives sessions for."""
    keys = f'access_key_id = "{storage.access_key_id}"\nsecret_access_key = "{storage.secret_access_key}"\n'
    file = tmp_path_factory.mktemp("credentials") / "s3.toml"
    file.touch(mode=0o600)
    file.write_text(
        f'[reader]\n{keys}\n[[role]]\nrole_arn = "{STATIC_ROLE}"\n{keys}\n'
        f'[[role]]\nrole_arn = "{ROLE}"\n{keys}sts_endpoint = "{storage.endpoint}"\n'
    )
    return file


@pytest.fixture(scope="module")
def options(storage: S3Server, credentials: Path) -> list[str]:
    return [
        "--s3-endpoint", storage.endpoint, "--s3-region", storage.region, "--s3-buckets", BUCKET,
        "--s3-private-network", "--s3-credentials", str(credentials),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def server(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server") / "data", *options) as running:
        yield running


@pytest.fixture(params=[STATIC_ROLE, ROLE], ids=["static keys", "assumed role"])
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def template(fleet: Fleet, role: str) -> str:
    """The ARN of a template whose document was read from the bucket."""
    return template_with(fleet, role)


def template_with(fleet: Fleet, role: str) -> str:
    made = fleet.iot.create_job_template(
        jobTemplateId=fleet.unique("firmware"),
        description="Update to version 2",
        documentSource=f"s3://{BUCKET}/jobs/update.json",
        presignedUrlConfig={"roleArn": role, "expiresInSec": EXPIRES_IN_SEC},
    )
    return str(made["jobTemplateArn"])


def job_for(fleet: Fleet, thing: str, template: str) -> str:
    job = fleet.unique("update")
    fleet.iot.create_job(jobId=job, targets=[arn("thing", thing)], jobTemplateArn=template)
    return job


def download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return bytes(answer.read())


def answered(url: str) -> int:
    try:
        download(url)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    return 200


class FirmwareUpdater:
    """A device's agent on ``IotJobsClientV2``: told of a job, it downloads, verifies and reports."""

    def __init__(self, connection: Any, thing: str) -> None:
        self._thing = thing
        self._told: queue.Queue[Any] = queue.Queue()
        self._client, self._stream = jobs_client(connection, thing, self._told.put)

    def update_when_told(self) -> str:
        """Do the next job, and give the URL that it was done with."""
        told = self._told.get(timeout=SECONDS).execution
        started = _result(
            self._client.start_next_pending_job_execution(
                iotjobs.StartNextPendingJobExecutionRequest(thing_name=self._thing)
            )
        ).execution
        assert started.job_id == told.job_id
        document = started.job_document
        matches = hashlib.sha256(download(document["url"])).hexdigest() == document["sha256"]
        report = iotjobs.UpdateJobExecutionRequest(
            thing_name=self._thing,
            job_id=started.job_id,
            status="SUCCEEDED" if matches else "FAILED",
            expected_version=started.version_number,
        )
        _result(self._client.update_job_execution(report))
        return str(document["url"])


def _result(answer: Future[Any]) -> Any:
    return answer.result(SECONDS)


@pytest.mark.parametrize("connected", [connected_311, connected_5], ids=["3.1.1", "5"])
def test_a_device_updates_itself_from_the_bucket(
    fleet: Fleet, template: str, connected: Callable[[Fleet, str], Any]
) -> None:
    thing = fleet.thing()
    with connected(fleet, thing) as connection:
        device = FirmwareUpdater(connection, thing)
        job = job_for(fleet, thing, template)
        device.update_when_told()
    described = fleet.iot.describe_job(jobId=job)
    assert described["job"]["status"] == "COMPLETED"
    assert described["job"]["jobProcessDetails"]["numberOfSucceededThings"] == 1
    assert described["documentSource"] == f"s3://{BUCKET}/jobs/update.json"
    assert "${aws:iot:s3-presigned-url:" in fleet.iot.get_job_document(jobId=job)["document"]


def test_a_url_is_for_its_object_only(fleet: Fleet, template: str) -> None:
    thing = fleet.thing()
    job_for(fleet, thing, template)
    url = json.loads(fleet.start_next(thing)["jobDocument"])["url"]  # type: ignore[index]  # there is one
    assert download(url) == IMAGE
    assert answered(url.replace("/lamps/", "/jobs/")) == 403


def set_back(data: Path, seconds: int) -> None:
    """Have a manual clock stand earlier than it did."""
    with sqlite3.connect(data / "thingjobs.db") as database:
        database.execute("UPDATE meta SET value = value - ? WHERE name = ?", (seconds * 1000, MANUAL_CLOCK))
    database.close()


def test_a_url_fails_after_its_expiry_on_the_servers_clock(
    fleet: Fleet, options: list[str], tmp_path: Path, unique: Callable[[str], str]
) -> None:
    """Case 178 against real storage: what was signed a minute ago is refused, what is signed now is not."""
    data = tmp_path / "data"
    with Server(data, "--clock", "manual") as first:
        first.advance(1)
    set_back(data, EXPIRES_IN_SEC + 30)
    with Server(data, "--clock", "manual", *options) as behind:
        fleet = Fleet(behind, unique)
        thing = fleet.thing()
        job_for(fleet, thing, template_with(fleet, STATIC_ROLE))

        def url() -> str:
            execution = fleet.start_next(thing)
            assert execution is not None
            return str(json.loads(execution["jobDocument"])["url"])

        assert answered(url()) == 403
        behind.advance(EXPIRES_IN_SEC + 30)
        assert download(url()) == IMAGE


def test_a_url_fails_after_two_real_seconds(storage: S3Server, credentials: Path) -> None:
    """On the storage's own clock. Jobs cannot ask for less than a minute, so the signer is asked."""
    signer = Storage(
        Options(region=storage.region, endpoint=storage.endpoint, buckets=["*"], private_network=True),
        read_roles(credentials),
    )
    now = time.time_ns() // 1_000_000
    url = signer.presigned_url(STATIC_ROLE, S3Object(BUCKET, KEY), expires_in_sec=2, now=now)
    assert url is not None
    assert download(url) == IMAGE
    give_up_at = time.monotonic() + SECONDS
    while (status := answered(url)) == 200:
        assert time.monotonic() < give_up_at, "the storage still takes the URL"
    assert status == 403
