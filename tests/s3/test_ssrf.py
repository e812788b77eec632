"""A caller cannot make the server fetch, or sign, what it should not: each way is refused in clear words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage_servers import RawServer, answers, resolves
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.presign import S3Object, parse_s3_url
from thingjobs.s3.endpoint import InvalidEndpoint
from thingjobs.s3.roles import Roles
from thingjobs.s3.signing import Credentials
from thingjobs.s3.storage import Options, Storage

URL = "s3://firmware/lamp.json"
LAMP = S3Object("firmware", "lamp.json")
ROLE = "arn:aws:iam::123456789012:role/firmware"


def a_storage(endpoint: str | None = "http://storage.example.net", **changes: Any) -> Storage:
    resolve = {"resolve": changes.pop("resolve")} if "resolve" in changes else {}
    options = {"region": "us-east-1", "endpoint": endpoint, "buckets": ("firmware", "team-*"), **changes}
    return Storage(Options(**options), Roles(static={ROLE: Credentials("AK", "hush")}), **resolve)


def read(storage: Storage, named: S3Object = LAMP) -> bytes:
    return asyncio.run(storage.read(named, URL, 32_768))


def signed(storage: Storage, named: S3Object) -> str | None:
    return storage.presigned_url(ROLE, named, expires_in_sec=60, now=1_768_480_200_000)


# --- URLs that name no object -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://s3.amazonaws.com/bucket/key",
        "gopher://s3.amazonaws.com/bucket/key",
        "https://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:9000/firmware/lamp.json",
        "http://localhost/firmware/lamp.json",
        "https://user:secret@s3.amazonaws.com/bucket/key",
        "https://s3.amazonaws.com@evil.example/bucket/key",
        "https://s3.amazonaws.com:8443/bucket/key",
        "https://s3.amazonaws.com.evil.example/bucket/key",
        "https://evil.example/s3.amazonaws.com/bucket/key",
        "https://evil.example#.s3.amazonaws.com/bucket/key",
        "https://s3.us-east-1.internal/bucket/key",
        "//s3.amazonaws.com/bucket/key",
        "s3:///key",
    ],
)
@pytest.mark.parametrize("percent_encoded", [True, False])
def test_only_urls_of_s3_name_an_object(url: str, percent_encoded: bool) -> None:
    assert parse_s3_url(url, percent_encoded=percent_encoded) is None


# --- objects that no request may name -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "why"),
    [
        (S3Object("other", "k"), "Bucket other is not allowed by --s3-buckets."),
        (S3Object("firmware2", "k"), "not allowed by --s3-buckets"),
        (S3Object("my-firmware", "k"), "not allowed by --s3-buckets"),
        (S3Object("Firmware", "k"), "not allowed by --s3-buckets"),
        (S3Object("..", "firmware/k"), "'..' is not the name of a bucket"),
        (S3Object("team-a/../other", "k"), "not the name of a bucket"),
        (S3Object("team-a?x=y", "k"), "not the name of a bucket"),
        (S3Object("team-a%2f..", "k"), "not the name of a bucket"),
        (S3Object("user:secret@team-a", "k"), "not the name of a bucket"),
        (S3Object("firmware\r\nX: y", "k"), "not the name of a bucket"),
        (S3Object("", "k"), "not the name of a bucket"),
        (S3Object("firmware", "../other/k"), "segment . or .."),
        (S3Object("firmware", "a/../../other/k"), "segment . or .."),
        (S3Object("firmware", "a/./k"), "segment . or .."),
        (S3Object("firmware", ".."), "segment . or .."),
        (S3Object("firmware", "k\ud800"), "not valid Unicode"),
        (S3Object("firmware", "k", None, "\udfff"), "not valid Unicode"),
        (S3Object("firmware", "k", "evil.example/"), "not the name of a region"),
    ],
)
def test_no_request_and_no_url_leaves_the_allowed_buckets(named: S3Object, why: str) -> None:
    with RawServer(answers(200, b"secret")) as server:
        storage = a_storage(server.url, private_network=True)
        for refused in (storage.check_bucket, lambda named: read(storage, named)):
            with pytest.raises(InvalidRequest) as refusal:
                refused(named)
            assert why in refusal.value.message
        assert signed(storage, named) is None
    assert server.requests == []


def test_patterns_let_through_what_they_say() -> None:
    storage = a_storage()
    for bucket in ("firmware", "team-a", "team-"):
        storage.check_bucket(S3Object(bucket, "k"))
        assert signed(storage, S3Object(bucket, "k")) is not None


def test_no_bucket_is_allowed_if_none_is_configured() -> None:
    with pytest.raises(InvalidRequest, match="--s3-buckets"):
        a_storage(buckets=()).check_bucket(LAMP)


def test_odd_keys_stay_inside_their_bucket() -> None:
    """What could end the path, the request line or the head is encoded."""
    with RawServer(answers(200, b"{}")) as server:
        read(
            a_storage(server.url, private_network=True),
            S3Object("firmware", "//?#%2e%2e/ HTTP/1.1\r\nHost: x"),
        )
    line = server.requests[0].split(b"\r\n")[0]
    assert line == b"GET /firmware///%3F%23%252e%252e/%20HTTP/1.1%0D%0AHost%3A%20x HTTP/1.1"


# --- where connections may go ---------------------------------------------------------------------------


def test_without_an_endpoint_nothing_is_read() -> None:
    with pytest.raises(InvalidRequest, match=r"reads from no storage\. Name it with --s3-endpoint"):
        read(a_storage(None))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("169.254.169.254", "a link-local address, which is never allowed"),
        ("::ffff:169.254.169.254", "a link-local address, which is never allowed"),
        ("fd00:ec2::254", "a cloud's metadata address, which is never allowed"),
        ("127.0.0.1", "a loopback address, which needs --s3-private-network"),
        ("::1", "a loopback address, which needs --s3-private-network"),
        ("10.0.0.5", "a private address, which needs --s3-private-network"),
        ("0.0.0.0", "an unspecified address, which is never allowed"),
    ],
)
def test_a_name_that_resolves_to_an_address_inside_is_refused(address: str, why: str) -> None:
    """The caller learns the rule, and not the address."""
    with pytest.raises(InvalidRequest) as refused:
        read(a_storage(resolve=resolves("52.218.1.1", address)))
    assert refused.value.message == (
        f"Job document located at {URL} cannot be read: the host of --s3-endpoint has {why}."
    )


def test_link_local_stays_forbidden_on_a_private_network() -> None:
    with pytest.raises(InvalidRequest, match="link-local address, which is never allowed"):
        read(a_storage(resolve=resolves("169.254.169.254"), private_network=True))


def test_the_region_of_an_object_cannot_lead_to_an_address_inside() -> None:
    storage = a_storage("http://s3.{region}.example.net", resolve=resolves("10.0.0.5"))
    with pytest.raises(InvalidRequest, match="a private address"):
        read(storage, S3Object("firmware", "k", "eu-north-1"))


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "http://[::1]:9000", "http://169.254.169.254"])
def test_an_address_that_could_never_be_read_from_is_refused_at_the_start(endpoint: str) -> None:
    with pytest.raises(InvalidEndpoint, match=r"--s3-endpoint: .* address, which"):
        a_storage(endpoint)


def test_devices_may_be_sent_anywhere() -> None:
    """The server never connects to the endpoint of devices, which may be in a network of theirs."""
    storage = a_storage(None, device_endpoint="http://192.168.1.10:9000")
    url = signed(storage, LAMP)
    assert url is not None
    assert url.startswith("http://192.168.1.10:9000/firmware/lamp.json?")
