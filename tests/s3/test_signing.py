"""What we sign is what botocore would have signed (spec: wire 8)."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest
from botocore import auth
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain.presign import S3Object
from thingjobs.s3.endpoint import AWS, checked_endpoint
from thingjobs.s3.signing import MAX_CACHED_KEYS, Credentials, Presigner, object_target

NOW = 1_768_480_200_000
REGION = "eu-north-1"
KEYS = Credentials("AKIAEXAMPLEEXAMPLE22", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00")
SESSION = Credentials(KEYS.access_key_id, KEYS.secret_access_key, "IQoJb3JpZ2luX2VjEJr//+/=token")
MINIO = "http://127.0.0.1:9000"


def signed(
    named: S3Object,
    *,
    credentials: Credentials = KEYS,
    endpoint: str = MINIO,
    now: int = NOW,
    expires: int = 60,
) -> str:
    location = checked_endpoint(endpoint, REGION).location(REGION)
    target = Presigner().target(location, credentials, named, region=REGION, expires_in_sec=expires, now=now)
    return location.origin + target


def signed_by_botocore(
    named: S3Object, *, credentials: Credentials = KEYS, endpoint: str = MINIO, expires: int = 60
) -> str:
    location = checked_endpoint(endpoint, REGION).location(REGION)
    request = AWSRequest("GET", location.origin + object_target(location, named))
    keys = BotocoreCredentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token
    )
    at = datetime.fromtimestamp(NOW / 1000, UTC).replace(tzinfo=None)
    with patch.object(auth, "get_current_datetime", return_value=at):
        S3SigV4QueryAuth(keys, "s3", REGION, expires=expires).add_auth(request)
    url: str = request.url
    return url


def parts(url: str) -> tuple[str, str, str, list[tuple[str, str]]]:
    """A URL without the order of its parameters, which does not count."""
    split = urlsplit(url)
    return split.scheme, split.netloc, split.path, sorted(parse_qsl(split.query, keep_blank_values=True))


AWKWARD_KEYS = [
    "firmware.bin",
    "my firmware v1.bin",
    "a+b=c&d?e#f.bin",
    "прошивка/версия 1/🔧.bin",
    "//leading//and///doubled/",
    "100%/%20/%2F",
    "~tilde~/*'()!@:$,;[]",
    '\\back\\slash|pipe<>"quote`{}^',
    "new\nline\ttab\x00nul\x7f",
    "/",
    "k" * 1024,
    "ü" * 30_000,
]


@pytest.mark.parametrize("key", AWKWARD_KEYS, ids=lambda key: ascii(key)[:24])
@pytest.mark.parametrize("version_id", [None, "null", "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", "ü &=?"])
@pytest.mark.parametrize("credentials", [KEYS, SESSION], ids=["keys", "session"])
def test_urls_are_signed_as_botocore_signs_them(
    key: str, version_id: str | None, credentials: Credentials
) -> None:
    named = S3Object("firmware", key, None, version_id)
    ours, theirs = (sign(named, credentials=credentials) for sign in (signed, signed_by_botocore))
    assert parts(ours) == parts(theirs)


@pytest.mark.parametrize(
    "endpoint",
    [AWS, MINIO, "https://storage.example.net", "https://gw.example.net:444/s3/v1", "http://[::1]:9000"],
)
def test_every_form_of_endpoint_is_signed_as_botocore_signs_it(endpoint: str) -> None:
    named = S3Object("firmware", "lamp v2.bin")
    assert parts(signed(named, endpoint=endpoint)) == parts(signed_by_botocore(named, endpoint=endpoint))


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_any_key_is_signed_as_botocore_signs_it(key: str, version_id: str | None) -> None:
    named = S3Object("firmware", key, None, version_id)
    assert parts(signed(named)) == parts(signed_by_botocore(named))
    assert unquote(urlsplit(signed(named)).path) == f"/firmware/{key}"


def test_url_lives_from_the_given_instant_for_the_given_time() -> None:
    """case 178"""
    query = parse_qs(urlsplit(signed(S3Object("b", "k"), expires=3600)).query)
    assert query["X-Amz-Date"] == ["20260115T123000Z"]
    assert query["X-Amz-Expires"] == ["3600"]


def test_a_second_later_the_url_is_another() -> None:
    """case 178"""
    urls = {signed(S3Object("b", "k"), now=NOW + milliseconds) for milliseconds in (0, 999, 1000, 2000)}
    assert len(urls) == 3


def test_keys_that_were_derived_before_sign_the_same() -> None:
    presigner = Presigner()
    location = checked_endpoint(MINIO, REGION).location(REGION)

    def target(credentials: Credentials, now: int) -> str:
        return presigner.target(
            location, credentials, S3Object("b", "k"), region=REGION, expires_in_sec=60, now=now
        )

    day = 86_400_000
    first = [target(KEYS, NOW + n * day) for n in range(3)]
    for n in range(MAX_CACHED_KEYS + 1):  # others come and crowd them out
        target(Credentials("AK", f"secret {n}"), NOW)
    assert [target(KEYS, NOW + n * day) for n in range(3)] == first


def test_secrets_do_not_show() -> None:
    shown = repr(SESSION) + str(SESSION)
    assert SESSION.secret_access_key not in shown
    assert str(SESSION.session_token) not in shown
