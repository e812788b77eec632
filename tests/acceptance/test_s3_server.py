"""The S3 server that other tests rely on refuses what AWS refuses: without that, they would prove nothing."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError

from s3_server import Key, S3Server

BUCKET, NAME, OTHER_NAME, BODY = "firmware", "v1/job document.json", "v2/job document.json", b'{"op":"x"}'
SECONDS = 30.0


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """With one bucket that holds two objects."""
    with S3Server(tmp_path_factory.mktemp("s3") / "data") as running:
        client = running.client()
        client.create_bucket(Bucket=BUCKET)
        for name in (NAME, OTHER_NAME):
            client.put_object(Bucket=BUCKET, Key=name, Body=BODY)
        yield running


def presigned(
    s3: S3Server, *, bucket: str = BUCKET, name: str = NAME, seconds: int = 60, key: Key | None = None
) -> str:
    params = {"Bucket": bucket, "Key": name}
    url: str = s3.client(key=key).generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)
    return url


def fetched(url: str) -> tuple[int, str]:
    """Status, and the body or the code of the error."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            found = re.search("<Code>(.*?)</Code>", error.read().decode())
            return error.code, found[1] if found else ""


def test_presigned_url_is_path_style_and_fetches_the_object(s3: S3Server) -> None:
    url = presigned(s3)
    assert urlsplit(url).path == f"/{BUCKET}/v1/job%20document.json"
    assert fetched(url) == (200, BODY.decode())


def test_presigned_url_is_refused_after_its_time(s3: S3Server) -> None:
    url = presigned(s3, seconds=2)
    assert fetched(url) == (200, BODY.decode())
    until = time.monotonic() + SECONDS
    while (answer := fetched(url))[0] == 200:
        assert time.monotonic() < until
    assert answer == (403, "AccessDenied")
    assert fetched(presigned(s3))[0] == 200


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (r"v1/", "v2/"),
        (r"Expires=60", "Expires=600"),
        (r"Signature=\w", "Signature=g"),
        (r"(Signature=\w{63})\w", r"\1g"),
        (r"AKIAIOSFODNN7TESTING%2F\d{8}", "AKIAIOSFODNN7TESTING%2F20200101"),
    ],
)
def test_presigned_url_that_was_changed_is_refused(s3: S3Server, there: str, instead: str) -> None:
    url, changes = re.subn(there, instead, presigned(s3))
    assert changes == 1
    assert fetched(url)[0] == 403


def test_signature_of_another_key_is_refused(s3: S3Server) -> None:
    wrong_secret = Key(s3.access_key_id, "another secret")
    assert fetched(presigned(s3, key=wrong_secret)) == (403, "SignatureDoesNotMatch")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.client(key=wrong_secret).get_object(Bucket=BUCKET, Key=NAME)
    nobody = Key("AKIAIOSFODNN7NOBODY0", s3.secret_access_key)
    assert fetched(presigned(s3, key=nobody)) == (403, "InvalidAccessKeyId")


def test_nobody_reads_without_a_signature(s3: S3Server) -> None:
    assert fetched(presigned(s3).partition("?")[0]) == (403, "AccessDenied")


def test_what_is_not_there_is_not_found(s3: S3Server) -> None:
    assert fetched(presigned(s3, name="nope")) == (404, "NoSuchKey")
    assert fetched(presigned(s3, bucket="nowhere")) == (404, "NoSuchBucket")


def test_role_may_read_through_its_session_and_do_nothing_else(s3: S3Server) -> None:
    session = s3.assume_role()
    url = presigned(s3, key=session)
    assert parse_qs(urlsplit(url).query)["X-Amz-Security-Token"] == [session.session_token]
    assert fetched(url) == (200, BODY.decode())
    assert fetched(presigned(s3, key=session._replace(session_token=None)))[0] == 403
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.client(key=session).put_object(Bucket=BUCKET, Key=NAME, Body=b"")


def test_role_that_does_not_exist_is_not_assumed(s3: S3Server) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.client("sts").assume_role(RoleArn=f"{s3.role_arn}-2", RoleSessionName="tests")


def test_versions_of_an_object_are_kept(s3: S3Server) -> None:
    client = s3.client()
    client.create_bucket(Bucket="versioned")
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    first, second = (client.put_object(Bucket="versioned", Key=NAME, Body=body) for body in (b"1", b"2"))
    assert first["VersionId"] != second["VersionId"]
    kept = client.get_object(Bucket="versioned", Key=NAME, VersionId=first["VersionId"])
    assert kept["Body"].read() == b"1"
