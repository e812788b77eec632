"""Documents as devices get them: presigned URLs, signed at the delivery (spec: wire 8, 8.1)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from factories import NOW, a_job, add_things, arn
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.model import JobFacts
from thingjobs.domain.presign import S3Object
from thingjobs.operations import jobs
from thingjobs.operations.call import Call
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.operations.storage import CredentialsNeeded, SourceNeeded
from thingjobs.s3.roles import AssumedRole, Roles
from thingjobs.s3.sessions import Session
from thingjobs.s3.signing import Credentials
from thingjobs.s3.storage import Options, Storage
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

ROLE = "arn:aws:iam::123456789012:role/static"
ASSUMED = "arn:aws:iam::123456789012:role/assumed"
PLACEHOLDER = "${aws:iot:s3-presigned-url:http://files.plant:9000/firmware/a.bin}"
KEYS = Credentials("AKID", "secret")


@pytest.fixture
def storage() -> Storage:
    return Storage(
        Options(region="us-east-1", endpoint="http://files.plant:9000", buckets=["firmware"]),
        Roles(None, {ROLE: KEYS}, {ASSUMED: AssumedRole(ASSUMED, KEYS, "https://sts.example.net", 3600)}),
    )


@pytest.fixture
def call(call: Call, storage: Storage) -> Call:
    return replace(call, storage=storage)


@pytest.fixture
def documents(storage: Storage) -> DeviceDocuments:
    return DeviceDocuments(storage)


def a_signed_job(call: Call, tx: Tx, job_id: str = "j1", *values: str) -> None:
    add_things(call, tx, "t1")
    a_job(
        call,
        tx,
        job_id,
        [arn(call, "t1")],
        document=json.dumps({"n": None, "urls": values or [PLACEHOLDER]}),
        presignedUrlConfig={"roleArn": ROLE, "expiresInSec": 60},
    )


def facts_of(call: Call, tx: Tx, job_id: str = "j1") -> JobFacts:
    key = tx.jobs.key(call.scope.id, job_id)
    assert key is not None
    return tx.jobs.facts([key])[key]


def date_of(document: str) -> str:
    (url,) = json.loads(document)["urls"]
    return str(parse_qs(urlsplit(url).query)["X-Amz-Date"][0])


def test_a_url_begins_to_count_when_it_is_handed_out(call: Call, tx: Tx, documents: DeviceDocuments) -> None:
    """Within one second all devices get the same."""
    a_signed_job(call, tx)
    job = facts_of(call, tx)
    texts = {documents.text(tx, job, NOW + n) for n in range(1000)}
    assert len(texts) == 1
    assert date_of(texts.pop()) == "20231114T221320Z"
    assert date_of(documents.text(tx, job, NOW + 1000)) == "20231114T221321Z"


def test_an_updated_expiry_holds_at_once(call: Call, tx: Tx, documents: DeviceDocuments) -> None:
    """Even at the same instant, as under a manual clock."""
    a_signed_job(call, tx)
    assert "X-Amz-Expires=60" in documents.text(tx, facts_of(call, tx), NOW)
    longer = iot.PresignedUrlConfig(role_arn=ROLE, expires_in_sec=90)
    jobs.update_job(call, tx, iot.UpdateJobRequest(job_id="j1", presigned_url_config=longer))
    assert "X-Amz-Expires=90" in documents.text(tx, facts_of(call, tx), NOW)


def test_other_placeholders_stay(call: Call, tx: Tx, documents: DeviceDocuments) -> None:
    """spec: wire 8"""
    a_signed_job(call, tx, "j1", "${aws:iot:parameter:x}", "${aws:iot:code-sign-signature:s3://r.b/k@v}")
    assert "${aws:iot:code-sign-signature:s3://r.b/k@v}" in documents.text(tx, facts_of(call, tx), NOW)


@pytest.mark.parametrize(
    "options",
    [
        Options(region="us-east-1", endpoint="http://files.plant:9000", buckets=["others"]),
        Options(region="us-east-1", endpoint="http://elsewhere:9000", buckets=["firmware"]),
        Options(region="us-east-1", buckets=["firmware"]),
    ],
    ids=["bucket", "endpoint", "no endpoint"],
)
def test_what_can_no_longer_be_signed_stays_and_is_logged(call: Call, tx: Tx, options: Options) -> None:
    """spec: wire 8, signing impossible at delivery: the settings are others now than at the creation"""
    a_signed_job(call, tx)
    documents = DeviceDocuments(Storage(options, Roles(None, {ROLE: KEYS}, {})))
    with capture_logs() as logged:
        text = documents.text(tx, facts_of(call, tx), NOW)
        assert documents.text(tx, facts_of(call, tx), NOW + 1) == text  # and is not logged again
    assert json.loads(text) == {"urls": [PLACEHOLDER]}
    assert [(entry["event"], entry["job_id"]) for entry in logged] == [("presign_failed", "j1")]


def test_a_role_whose_credentials_are_gone_leaves_the_placeholder(call: Call, tx: Tx) -> None:
    a_signed_job(call, tx)
    documents = DeviceDocuments(Storage(Options(region="us-east-1", buckets=["*"]), Roles()))
    assert PLACEHOLDER in documents.text(tx, facts_of(call, tx), NOW)


# --- at the creation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "placeholder", "said"),
    [
        ("arn:aws:iam::123456789012:role/none", PLACEHOLDER, "role/none cannot sign"),
        (ROLE, "${aws:iot:s3-presigned-url:s3://secrets/k}", "Bucket secrets is not allowed"),
    ],
)
def test_what_could_not_be_signed_is_refused(
    call: Call, tx: Tx, role: str, placeholder: str, said: str
) -> None:
    """Issue: refused at creation, not on the device."""
    add_things(call, tx, "t1")
    with pytest.raises(InvalidRequest, match=said):
        a_job(
            call, tx, "j1", [arn(call, "t1")],
            document=json.dumps([placeholder]), presignedUrlConfig={"roleArn": role},
        )  # fmt: skip


def test_credentials_that_are_not_at_hand_are_asked_for(call: Call, tx: Tx) -> None:
    add_things(call, tx, "t1")
    with pytest.raises(CredentialsNeeded) as needed:
        a_job(
            call, tx, "j1", [arn(call, "t1")],
            document=json.dumps([PLACEHOLDER]), presignedUrlConfig={"roleArn": ASSUMED},
        )  # fmt: skip
    assert needed.value.role_arn == ASSUMED


def test_a_source_is_asked_for_and_then_taken(call: Call, tx: Tx) -> None:
    """The same call with what was read goes through."""
    add_things(call, tx, "t1")
    url = "http://files.plant:9000/firmware/job.json"
    with pytest.raises(SourceNeeded) as needed:
        a_job(call, tx, "j1", [arn(call, "t1")], document=None, documentSource=url)
    assert (needed.value.named, needed.value.url) == (S3Object("firmware", "job.json"), url)
    read = replace(call, sources={url: '{"op":1}'})
    a_job(read, tx, "j1", [arn(call, "t1")], document=None, documentSource=url)
    answer = jobs.describe_job(call, tx, iot.DescribeJobRequest(job_id="j1"))
    assert answer.document_source == url


def test_credentials_that_come_later_sign_at_once(call: Call, tx: Tx) -> None:
    """Also where a manual clock stands still: nothing of a failure is remembered."""
    a_signed_job(call, tx)
    assumed = AssumedRole(ROLE, KEYS, "https://sts.example.net", 3600)
    storage = Storage(
        Options(region="us-east-1", endpoint="http://files.plant:9000", buckets=["*"]),
        Roles(None, {}, {ROLE: assumed}),
        assume=lambda role: Session(KEYS, expires_at=NOW + 3_600_000),
        system_now=lambda: NOW,
    )
    documents = DeviceDocuments(storage)
    job = facts_of(call, tx)
    assert PLACEHOLDER in documents.text(tx, job, NOW)
    asyncio.run(storage.obtain_credentials(ROLE))
    assert PLACEHOLDER not in documents.text(tx, job, NOW)
