"""Presigned queries, proven against botocore's own presigner (spec: wire 6, the WebSocket row)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from thingjobs.auth.sigv4 import Request
from thingjobs.auth.sigv4_query import parse_presigned, verify_presigned
from thingjobs.domain.errors import (
    AuthenticationError,
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    UnrecognizedClient,
)

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = b"127.0.0.1:8080"


def now_ms() -> int:
    return round(datetime.now(UTC).timestamp() * 1000)


def presigned(
    *,
    service: str = "iotdevicegateway",
    region: str = "us-east-1",
    expires: int = 60,
    token: str | None = None,
) -> Request:
    request = AWSRequest("GET", f"http://{HOST.decode()}/mqtt")
    SigV4QueryAuth(Credentials("AKID", SECRET, token), service, region, expires).add_auth(request)
    query = urlsplit(request.prepare().url).query.encode()
    return Request("GET", b"/mqtt", query, [(b"host", HOST), (b"upgrade", b"websocket")], b"")


def verify(request: Request, *, secret: str = SECRET, at: int | None = None) -> None:
    claim = parse_presigned(request)
    verify_presigned(claim, request, secret, regions=["us-east-1"], now_ms=now_ms() if at is None else at)


def test_what_botocore_presigns_is_accepted() -> None:
    request = presigned()
    assert parse_presigned(request).access_key_id == "AKID"
    verify(request)


@pytest.mark.parametrize("expires", [1, 60, 86_400])
def test_it_is_good_until_it_expires(expires: int) -> None:
    request = presigned(expires=expires)
    signed_at = now_ms() // 1000 * 1000
    verify(request, at=signed_at + expires * 1000 - 1000)
    with pytest.raises(InvalidSignature, match="Signature expired"):
        verify(request, at=signed_at + expires * 1000 + 2000)
    with pytest.raises(InvalidSignature, match="Signature expired"):
        verify(request, at=signed_at - 302_000)


CHANGES: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("another key", lambda q: q.replace(b"AKID", b"AKIE")),
    ("a longer life", lambda q: q.replace(b"Expires=60", b"Expires=61")),
    ("another parameter", lambda q: q + b"&x=1"),
    ("another signature", lambda q: q[:-1] + (b"0" if q[-1:] != b"0" else b"1")),
    ("a signature that is no text", lambda q: q[:-2] + b"%FF"),
]


@pytest.mark.parametrize("change", [c for _, c in CHANGES], ids=[name for name, _ in CHANGES])
def test_a_changed_query_is_refused(change: Callable[[bytes], bytes]) -> None:
    request = presigned()
    with pytest.raises(InvalidSignature):
        verify(request._replace(query_string=change(request.query_string)))


def test_another_host_path_or_secret_is_refused() -> None:
    request = presigned()
    for changed in (
        request._replace(headers=[(b"host", b"elsewhere")]),
        request._replace(raw_path=b"/mqtt/x"),
        request._replace(headers=[]),
    ):
        with pytest.raises(InvalidSignature):
            verify(changed)
    with pytest.raises(InvalidSignature):
        verify(request, secret=SECRET + "x")


@pytest.mark.parametrize("scope", [{"service": "iot"}, {"region": "eu-west-1"}])
def test_another_service_or_region_is_refused(scope: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature, match="Credential should be scoped"):
        verify(presigned(**scope))  # type: ignore[arg-type]  # one keyword of strings


def test_a_session_token_is_refused() -> None:
    with pytest.raises(UnrecognizedClient):
        verify(presigned(token="token"))


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (b"", MissingAuthenticationToken),
        (b"a=b", MissingAuthenticationToken),
        (b"X-Amz-Signature=00", IncompleteSignature),
        (
            b"X-Amz-Algorithm=AWS4-HMAC-SHA1&X-Amz-Credential=a/b/c/d/aws4_request&X-Amz-Date=x"
            b"&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
            IncompleteSignature,
        ),
        (
            b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b&X-Amz-Date=x"
            b"&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
            IncompleteSignature,
        ),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(query: bytes, error: type[AuthenticationError]) -> None:
    with pytest.raises(error):
        parse_presigned(Request("GET", b"/mqtt", query, [(b"host", HOST)], b""))


@pytest.mark.parametrize("value", ["0", "86401", "-1", "x"])
def test_a_lifetime_out_of_range_is_refused(value: str) -> None:
    request = presigned()
    query = request.query_string.replace(b"Expires=60", b"Expires=" + value.encode())
    with pytest.raises(IncompleteSignature, match="X-Amz-Expires"):
        verify(request._replace(query_string=query))
