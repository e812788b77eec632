"""What the rest of the server asks of storage: roles, and URLs for devices (spec: wire 8)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from storage_servers import RawServer, assumes
from thingjobs.domain.errors import InvalidRequest, ServiceUnavailable
from thingjobs.domain.presign import S3Object
from thingjobs.s3.endpoint import InvalidEndpoint
from thingjobs.s3.roles import AssumedRole, Roles
from thingjobs.s3.sessions import AssumeRoleFailed, Session
from thingjobs.s3.signing import Credentials
from thingjobs.s3.storage import MAX_REMEMBERED_URLS, Options, Storage

NOW = 1_768_480_200_000
HOUR = 3_600_000
FIRMWARE = "arn:aws:iam::123456789012:role/firmware"
CAMERAS = "arn:aws:iam::123456789012:role/cameras"
LAMP = S3Object("firmware", "lamp.bin")
KEYS = Credentials("AKFIRMWARE", "hush")
STATIC = Roles(static={FIRMWARE: KEYS})


def assumed(sts: str = "http://sts.example.net") -> Roles:
    return Roles(assumed={CAMERAS: AssumedRole(CAMERAS, Credentials("AKSTS", "hush"), sts, 3600)})


def a_storage(roles: Roles = STATIC, **changes: Any) -> Storage:
    arguments = {name: changes.pop(name) for name in ("assume", "system_now") if name in changes}
    return Storage(Options(**{"region": "us-east-1", "buckets": ("*",), **changes}), roles, **arguments)


def signed(storage: Storage, named: S3Object = LAMP, *, role: str = FIRMWARE, now: int = NOW) -> str | None:
    return storage.presigned_url(role, named, expires_in_sec=60, now=now)


def signed_parts(
    storage: Storage, named: S3Object = LAMP, **changes: Any
) -> tuple[str, dict[str, list[str]]]:
    url = signed(storage, named, **changes)
    assert url is not None
    before, _, query = url.partition("?")
    return before, parse_qs(query)


# --- where URLs lead --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "region", "url", "signing_region"),
    [
        ({}, None, "https://s3.us-east-1.amazonaws.com/firmware/lamp.bin", "us-east-1"),
        ({}, "eu-north-1", "https://s3.eu-north-1.amazonaws.com/firmware/lamp.bin", "eu-north-1"),
        ({"endpoint": "http://minio:9000"}, None, "http://minio:9000/firmware/lamp.bin", "us-east-1"),
        ({"endpoint": "http://minio:9000"}, "eu-north-1", "http://minio:9000/firmware/lamp.bin", "us-east-1"),
        (
            {"endpoint": "https://s3.{region}.example.net"},
            "eu-north-1",
            "https://s3.eu-north-1.example.net/firmware/lamp.bin",
            "eu-north-1",
        ),
        (
            {"endpoint": "http://minio:9000", "device_endpoint": "https://files.example.net/s3"},
            None,
            "https://files.example.net/s3/firmware/lamp.bin",
            "us-east-1",
        ),
    ],
)
def test_urls_lead_to_the_endpoint_of_devices(
    options: dict[str, Any], region: str | None, url: str, signing_region: str
) -> None:
    before, query = signed_parts(a_storage(**options), S3Object("firmware", "lamp.bin", region))
    assert before == url
    assert query["X-Amz-Credential"] == [f"AKFIRMWARE/20260115/{signing_region}/s3/aws4_request"]


def test_hosts_are_those_of_both_endpoints() -> None:
    storage = a_storage(endpoint="http://MinIO.local:9000", device_endpoint="https://Files.Example.net:443")
    assert storage.hosts == ("minio.local:9000", "files.example.net")
    assert a_storage().hosts == ()
    assert a_storage(endpoint="https://s3.{region}.example.net").hosts == ("s3.us-east-1.example.net",)
    assert a_storage(endpoint="http://minio", device_endpoint="http://minio").hosts == ("minio",)
    assert a_storage(endpoint="https://gateway.example.net/s3").hosts == ()


def test_an_endpoint_that_is_none_is_refused_by_the_name_of_its_setting() -> None:
    with pytest.raises(InvalidEndpoint, match="--s3-endpoint: it must begin with"):
        a_storage(endpoint="minio:9000")
    with pytest.raises(InvalidEndpoint, match="--s3-device-endpoint: it must not have credentials"):
        a_storage(device_endpoint="https://user:secret@minio")
    with pytest.raises(InvalidEndpoint, match="--s3-region: 'EU West'"):
        a_storage(region="EU West")


# --- who signs ----------------------------------------------------------------------------------------


def test_a_role_signs_with_its_own_keys() -> None:
    storage = a_storage(Roles(static={FIRMWARE: KEYS, "*": Credentials("AKANY", "hush")}))
    for role, key_id in ((FIRMWARE, "AKFIRMWARE"), (CAMERAS, "AKANY")):
        storage.check_role(role)
        assert storage.has_credentials(role, NOW)
        assert signed_parts(storage, role=role)[1]["X-Amz-Credential"][0].startswith(f"{key_id}/")


def test_a_role_without_credentials_can_sign_nothing() -> None:
    storage = a_storage()
    with pytest.raises(InvalidRequest) as refused:
        storage.check_role(CAMERAS)
    assert refused.value.message == (
        f"Given role {CAMERAS} cannot sign S3 urls: the file of --s3-credentials has no such role."
    )
    assert not storage.has_credentials(CAMERAS, NOW)
    assert signed(storage, role=CAMERAS) is None
    with pytest.raises(ServiceUnavailable):
        asyncio.run(storage.obtain_credentials(CAMERAS))


def test_static_keys_are_always_at_hand() -> None:
    asyncio.run(a_storage().obtain_credentials(FIRMWARE))


def test_urls_differ_by_what_they_are_signed_for() -> None:
    """case 178. Nothing that was signed before is handed out for something else."""
    storage = a_storage(Roles(static={FIRMWARE: KEYS, CAMERAS: Credentials("AKCAMERAS", "hush")}))
    urls = {
        storage.presigned_url(role, named, expires_in_sec=expires, now=now)
        for role in (FIRMWARE, CAMERAS)
        for named in (LAMP, S3Object("firmware", "lamp.bin", None, "v1"), S3Object("lamp.bin", "firmware"))
        for expires in (60, 3600)
        for now in (NOW, NOW + 2000)
        for _ in range(2)
    }
    assert len(urls) == 2 * 3 * 2 * 2
    assert None not in urls


def test_more_urls_than_are_remembered_are_signed_all_the_same() -> None:
    storage = a_storage()
    objects = [S3Object("firmware", f"lamp-{n}.bin") for n in range(2 * MAX_REMEMBERED_URLS + 1)]
    first = [signed(storage, each) for each in objects]
    assert [signed(storage, each) for each in objects] == first
    assert len(set(first)) == len(objects)


# --- sessions -----------------------------------------------------------------------------------------


class Clock:
    now = NOW

    def __call__(self) -> int:
        return self.now


def test_a_session_signs_until_it_ends_by_the_systems_clock() -> None:
    """The service's clock may be wound: it dates what is signed, and ends no session."""
    clock = Clock()
    session = Session(Credentials("ASIA1", "given", "token"), NOW + HOUR)
    storage = a_storage(assumed(), assume=lambda _: session, system_now=clock)
    storage.check_role(CAMERAS)
    assert signed(storage, role=CAMERAS) is None
    asyncio.run(storage.obtain_credentials(CAMERAS))
    wound = NOW + 30 * 24 * HOUR
    _, query = signed_parts(storage, role=CAMERAS, now=wound)
    assert query["X-Amz-Date"] == ["20260214T123000Z"]
    assert query["X-Amz-Security-Token"] == ["token"]
    assert storage.has_credentials(CAMERAS, wound)
    clock.now += HOUR
    assert not storage.has_credentials(CAMERAS, NOW)
    assert signed(storage, role=CAMERAS) is None


def test_a_renewed_session_signs_anew_within_the_same_second() -> None:
    clock = Clock()
    numbers = iter(range(1, 9))

    def assume(_: AssumedRole) -> Session:
        return Session(Credentials(f"ASIA{next(numbers)}", "given", "token"), clock.now + HOUR)

    storage = a_storage(assumed(), assume=assume, system_now=clock)
    ids = []
    for _ in range(2):
        asyncio.run(storage.obtain_credentials(CAMERAS))
        ids.append(signed_parts(storage, role=CAMERAS)[1]["X-Amz-Credential"][0].split("/")[0])
        clock.now += HOUR
    assert ids == ["ASIA1", "ASIA2"]


def test_the_start_has_sessions_at_hand_and_the_stop_ends_their_renewal() -> None:
    """Through botocore and a socket, as in production."""

    async def scenario() -> None:
        with RawServer(assumes("ASIA1", "given", "token", "2126-01-15T13:30:00Z")) as server:
            storage = a_storage(assumed(server.url))
            await storage.start()
            assert storage.has_credentials(CAMERAS, NOW)
            assert signed_parts(storage, role=CAMERAS)[1]["X-Amz-Security-Token"] == ["token"]
            await storage.stop()
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())


def test_the_start_does_not_depend_on_sts() -> None:
    def assume(_: AssumedRole) -> Session:
        raise AssumeRoleFailed("down")

    async def scenario() -> None:
        storage = a_storage(assumed(), assume=assume)
        await storage.start()
        assert not storage.has_credentials(CAMERAS, NOW)
        with pytest.raises(ServiceUnavailable):
            await storage.obtain_credentials(CAMERAS)
        await storage.stop()

    asyncio.run(scenario())


def test_static_roles_need_no_background() -> None:
    async def scenario() -> None:
        storage = a_storage()
        await storage.start()
        assert len(asyncio.all_tasks()) == 1
        await storage.stop()

    asyncio.run(scenario())


def test_botocore_is_imported_only_for_a_role_that_needs_it() -> None:
    """It would add a third to the time of every start."""
    code = "import sys, thingjobs.bootstrap; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_url_as_a_whole() -> None:
    url = signed(a_storage(endpoint="http://127.0.0.1:9000", private_network=True))
    assert url is not None
    split = urlsplit(url)
    assert (split.scheme, split.netloc, split.path) == ("http", "127.0.0.1:9000", "/firmware/lamp.bin")
    assert list(parse_qs(split.query)) == [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ]
