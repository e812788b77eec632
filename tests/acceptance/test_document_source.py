"""Job documents read from storage (spec: control-plane 2, 2.1), against a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fleet import DOCUMENT, ROLE, Fleet, Refusal, arn, invalid, refusal
from s3_server import S3Server
from servers import Server
from storage_servers import RawServer, answers, hangs, refuses

BUCKET = "documents"
PRESIGNED = json.dumps({"u": f"${{aws:iot:s3-presigned-url:s3://{BUCKET}/image}}"})
OBJECTS = {
    "job.json": DOCUMENT.encode(),
    "a b/é+.json": b'{ "named": "oddly" }',
    "presigned.json": PRESIGNED.encode(),
    "text.txt": b"not JSON",
    "empty.json": b"",
    "latin.json": '{"a":"é"}'.encode("latin-1"),
    "deep.json": b"[" * 1001 + b"]" * 1001,
    "most.json": b'"' + b"x" * 32_766 + b'"',
    "big.json": b'"' + b"x" * 32_767 + b'"',
}


@pytest.fixture(scope="module")
def storage(s3_server: S3Server) -> S3Server:
    s3 = s3_server.client()
    s3.create_bucket(Bucket=BUCKET)
    for key, content in OBJECTS.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    return s3_server


@pytest.fixture(scope="module")
def server(storage: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    credentials = folder / "s3.toml"
    credentials.touch(mode=0o600)
    keys = f'access_key_id = "{storage.access_key_id}"\nsecret_access_key = "{storage.secret_access_key}"\n'
    credentials.write_text(f'[reader]\n{keys}[[role]]\nrole_arn = "{ROLE}"\n{keys}')
    room = [f"--quota.{name}=1000" for name in ("active_snapshot_jobs", "concurrent_jobs")]
    options = ["--s3-endpoint", storage.endpoint, "--s3-region", storage.region]
    buckets = ["--s3-buckets", BUCKET, "missing", "versions", "--s3-credentials", str(credentials)]
    with Server(folder / "data", *options, *buckets, *room) as running:
        yield running


@pytest.fixture(scope="module")
def authority(storage: S3Server) -> str:
    return storage.endpoint.removeprefix("http://")


Create = Callable[..., None]


@pytest.fixture(params=["CreateJob", "CreateJobTemplate"])
def create(request: pytest.FixtureRequest, fleet: Fleet) -> Create:
    """Makes a job or template with what it is given, and proves that a refusal left nothing behind."""

    def run(**members: Any) -> None:
        name = fleet.unique("d")
        if request.param == "CreateJob":
            make: Callable[[], Any] = lambda: fleet.iot.create_job(  # noqa: E731  # beside the other one
                jobId=name, targets=[arn("thing", fleet.thing())], **members
            )
            describe: Callable[[], Any] = lambda: fleet.iot.describe_job(jobId=name)  # noqa: E731
        else:
            make = lambda: fleet.iot.create_job_template(  # noqa: E731
                jobTemplateId=name, description="d", **members
            )
            describe = lambda: fleet.iot.describe_job_template(jobTemplateId=name)  # noqa: E731
        try:
            make()
        except Exception:
            assert refusal(describe).status == 404
            raise

    return run


def job_at(fleet: Fleet, source: str, **members: Any) -> str:
    job = fleet.unique("j")
    fleet.iot.create_job(jobId=job, targets=[arn("thing", fleet.thing())], documentSource=source, **members)
    return job


def document_of(fleet: Fleet, job: str) -> str:
    return str(fleet.iot.get_job_document(jobId=job)["document"])


# --- what is read -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("s3://documents/job.json", "job.json"),
        ("https://s3.us-east-1.amazonaws.com/documents/job.json", "job.json"),
        ("https://s3-us-east-1.amazonaws.com/documents/job.json", "job.json"),
        ("http://s3.amazonaws.com/documents/job.json", "job.json"),
        ("https://documents.s3.us-east-1.amazonaws.com/job.json", "job.json"),
        ("https://documents.s3.amazonaws.com/a%20b/%C3%A9%2B.json", "a b/é+.json"),
        ("s3://documents/a b/é+.json", "a b/é+.json"),
        ("http://{authority}/documents/job.json", "job.json"),
        ("http://documents.{authority}/a%20b/%C3%A9%2B.json", "a b/é+.json"),
        ("s3://documents/most.json", "most.json"),
    ],
)
def test_every_form_of_url_names_an_object(fleet: Fleet, authority: str, source: str, key: str) -> None:
    """spec: control-plane 2, documentSource"""
    source = source.format(authority=authority)
    job = job_at(fleet, source)
    assert document_of(fleet, job) == OBJECTS[key].decode()
    assert fleet.iot.describe_job(jobId=job)["documentSource"] == source


def test_a_document_is_read_once(fleet: Fleet, storage: S3Server) -> None:
    """spec: control-plane 2: a later overwrite changes nothing"""
    s3 = storage.client()
    s3.put_object(Bucket=BUCKET, Key="changing", Body=b'{"v":1}')
    template = fleet.unique("tpl")
    fleet.iot.create_job_template(
        jobTemplateId=template, description="d", documentSource=f"s3://{BUCKET}/changing"
    )
    job = job_at(fleet, f"s3://{BUCKET}/changing")
    s3.put_object(Bucket=BUCKET, Key="changing", Body=b'{"v":2}')
    made = fleet.iot.describe_job_template(jobTemplateId=template)
    assert (made["document"], made["documentSource"]) == ('{"v":1}', f"s3://{BUCKET}/changing")
    assert document_of(fleet, job) == '{"v":1}'
    late = fleet.unique("j")
    fleet.iot.create_job(
        jobId=late, targets=[arn("thing", fleet.thing())], jobTemplateArn=arn("jobtemplate", template)
    )
    assert document_of(fleet, late) == '{"v":1}'
    assert fleet.iot.describe_job(jobId=late)["documentSource"] == f"s3://{BUCKET}/changing"


def test_a_source_replaces_the_document_of_a_template(fleet: Fleet) -> None:
    """spec: control-plane 3.1 rule 4"""
    template = fleet.unique("tpl")
    fleet.iot.create_job_template(jobTemplateId=template, description="d", document="[]")
    job = job_at(fleet, f"s3://{BUCKET}/job.json", jobTemplateArn=arn("jobtemplate", template))
    assert document_of(fleet, job) == DOCUMENT


def test_a_version_may_be_named(fleet: Fleet, storage: S3Server) -> None:
    s3 = storage.client()
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="versions", Key="v", Body=b"[1]")["VersionId"]
    s3.put_object(Bucket="versions", Key="v", Body=b"[2]")
    source = f"https://versions.s3.amazonaws.com/v?versionId={first}"
    assert document_of(fleet, job_at(fleet, source)) == "[1]"


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("https://example.com/documents/job.json", "Job document source {source} is invalid."),
        ("s3://documents/", "Provided S3 url is not valid: {source}. Error: Key cannot be null"),
        ("s3://missing/job.json", "Bucket specified by url: {source} is not found."),
        ("s3://documents/none.json", "Job document located at {source} is not found."),
        ("s3://documents/text.txt", "Job document located at {source} is an invalid JSON document."),
        ("s3://documents/empty.json", "Job document located at {source} is an invalid JSON document."),
        ("s3://documents/latin.json", "Job document located at {source} is an invalid JSON document."),
        ("s3://documents/deep.json", "Job document located at {source} is an invalid JSON document."),
        ("s3://secrets/job.json", "Bucket secrets is not allowed by --s3-buckets."),
        # What would have the server connect elsewhere:
        ("http://169.254.169.254/latest/meta-data", "Job document source {source} is invalid."),
        ("http://127.0.0.1/documents/job.json", "Job document source {source} is invalid."),
        ("http://localhost:8080/-/keys", "Job document source {source} is invalid."),
        ("file:///etc/passwd", "Job document source {source} is invalid."),
        (
            "https://user:secret@s3.amazonaws.com/documents/job.json",
            "Job document source {source} is invalid.",
        ),
        ("https://s3.amazonaws.com:8443/documents/job.json", "Job document source {source} is invalid."),
        (
            "https://s3.amazonaws.com.evil.example/documents/job.json",
            "Job document source {source} is invalid.",
        ),
        ("https://evil.example/s3.amazonaws.com/job.json", "Job document source {source} is invalid."),
    ],
)
def test_what_cannot_be_read_is_refused_and_leaves_nothing(create: Create, source: str, said: str) -> None:
    """case 204; issue: SSRF"""
    assert refusal(create, documentSource=source) == invalid(said.format(source=source))


def test_a_document_that_is_too_large_is_refused(create: Create) -> None:
    """case 204"""
    source = "s3://documents/big.json"
    assert refusal(create, documentSource=source) == Refusal(
        410, "LimitExceededException", f"Job document from {source} exceeds size limit 32768 bytes."
    )


def test_placeholders_in_a_document_from_storage_need_a_role(create: Create) -> None:
    """spec: control-plane 2, presignedUrlConfig.roleArn"""
    source = "s3://documents/presigned.json"
    told = refusal(create, documentSource=source)
    assert told.message.startswith("Role must be provided for pre-sign S3 urls in job document of job d-")
    create(documentSource=source, presignedUrlConfig={"roleArn": ROLE})


# --- storage that misbehaves ------------------------------------------------------------------------


def reading_from(storage: RawServer, folder: Path, *options: str) -> Server:
    return Server(folder / "data", "--s3-endpoint", storage.url, "--s3-buckets", "b", *options)


def test_nothing_is_read_for_a_request_that_is_refused_anyway(
    tmp_path: Path, unique: Callable[[str], str]
) -> None:
    """spec: control-plane 3.1 rule 1: template, id and targets come before the document"""
    with RawServer(answers(200, b"{}")) as storage, reading_from(storage, tmp_path) as server:
        fleet = Fleet(server, unique)
        taken, template = fleet.job(fleet.thing()), fleet.unique("tpl")
        fleet.iot.create_job_template(jobTemplateId=template, description="d", document="{}")
        target, source = arn("thing", fleet.thing()), "s3://b/k"
        create, create_template = fleet.iot.create_job, fleet.iot.create_job_template
        told = [
            refusal(create, jobId=taken, targets=[target], documentSource=source),
            refusal(create, jobId="j", targets=[arn("thing", "none")], documentSource=source),
            refusal(
                create,
                jobId="j",
                targets=[target],
                documentSource=source,
                jobTemplateArn=arn("jobtemplate", "none"),
            ),
            refusal(create_template, jobTemplateId=template, description="d", documentSource=source),
        ]
        assert [each.status for each in told] == [409, 404, 404, 409]
        assert storage.requests == []
        fleet.iot.create_job(jobId="j", targets=[target], documentSource=source)
        assert len(storage.requests) == 1


def test_a_redirect_is_not_followed(tmp_path: Path, unique: Callable[[str], str]) -> None:
    with RawServer(answers(200, b"{}")) as elsewhere:
        redirect = answers(302, b"", f"Location: {elsewhere.url}/b/k")
        with RawServer(redirect) as storage, reading_from(storage, tmp_path) as server:
            told = refusal(job_at, fleet=Fleet(server, unique), source="s3://b/k")
        assert (told.status, told.code) == (400, "InvalidRequestException")
        assert "redirect" in told.message
        assert elsewhere.requests == []


def test_storage_in_trouble_is_no_fault_of_the_caller(tmp_path: Path, unique: Callable[[str], str]) -> None:
    with RawServer(refuses(500, "InternalError")) as storage, reading_from(storage, tmp_path) as server:
        fleet = Fleet(server, unique)
        told = refusal(job_at, fleet=fleet, source="s3://b/k")
        assert (told.status, told.code) == (503, "ServiceUnavailableException")
        assert fleet.iot.list_jobs()["jobs"] == []
        told = refusal(
            fleet.iot.create_job_template, jobTemplateId="t", description="d", documentSource="s3://b/k"
        )
        assert (told.status, told.code) == (500, "InternalFailureException")  # its model has no 503
        assert "cannot be read now" in told.message


def test_storage_that_hangs_holds_up_nobody_else(tmp_path: Path, unique: Callable[[str], str]) -> None:
    """Issue: reads happen outside the transaction and block nobody."""
    with (
        RawServer(hangs) as storage,
        reading_from(storage, tmp_path, "--s3-timeout", "60") as server,
        ThreadPoolExecutor(1) as aside,
    ):
        fleet = Fleet(server, unique)
        waiting = aside.submit(refusal, job_at, fleet=Fleet(server, unique), source="s3://b/k")
        assert storage.asked.acquire(timeout=20)
        thing = fleet.thing()
        job = fleet.job(thing)
        assert fleet.start_next(thing) is not None
        fleet.report(thing, job, "SUCCEEDED")
        assert fleet.describe(job)["status"] == "COMPLETED"
        assert not waiting.done()
        storage.stopping.set()  # it hangs up
        told = waiting.result(20)
        assert (told.status, told.code) == (503, "ServiceUnavailableException")


def test_an_id_that_is_taken_while_the_document_is_read_is_refused(
    tmp_path: Path, unique: Callable[[str], str]
) -> None:
    """The request is decided anew when its document is there."""

    def let_in_another(server: RawServer, connection: Any) -> None:
        fleet.iot.create_job(jobId="j", targets=[target], document="[1]")
        answers(200, b"[2]")(server, connection)

    with RawServer(let_in_another) as storage, reading_from(storage, tmp_path) as running:
        fleet = Fleet(running, unique)
        target = arn("thing", fleet.thing())
        told = refusal(fleet.iot.create_job, jobId="j", targets=[target], documentSource="s3://b/k")
        assert (told.status, told.code) == (409, "ResourceAlreadyExistsException")
        assert document_of(fleet, "j") == "[1]"


def test_a_server_without_storage_says_so(tmp_path: Path, unique: Callable[[str], str]) -> None:
    with Server(tmp_path / "data") as server:
        told = refusal(job_at, fleet=Fleet(server, unique), source="s3://b/k")
    assert (told.status, told.code) == (400, "InvalidRequestException")
    assert "--s3-endpoint" in told.message
