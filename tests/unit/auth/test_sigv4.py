"""What botocore signs we accept; change one bit of it and we refuse (spec: wire 6, case 169, case 170)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.utils import normalize_url_path, percent_encode, percent_encode_sequence
from hypothesis import assume, given
from hypothesis import strategies as st

from thingjobs.auth.sigv4 import (
    Authorization,
    Request,
    Verifier,
    canonical_path,
    canonical_query,
    find_authorization,
    parse_authorization,
    require_authorization,
)
from thingjobs.domain.errors import (
    AuthenticationError,
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    UnrecognizedClient,
)
from thingjobs.domain.sigv4_terms import derive_key

ACCESS_KEY_ID = "AKIAEXAMPLEEXAMPLE22"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"
REGION = "eu-north-1"
SIGNATURE = "0" * 64


def instant(timestamp: str) -> int:
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


def a_signed_request(
    url: str = "http://localhost:8080/jobs",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    params: Sequence[tuple[str, str]] | None = None,
    body: bytes = b"",
    service: str = "iot",
    region: str = REGION,
    token: str | None = None,
) -> tuple[Request, int]:
    """A request signed by botocore as it arrives on our side, and the instant of the signature."""
    request = AWSRequest(method, url, headers=headers, data=body, params=params)
    SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET, token), service, region).add_auth(request)
    return as_received(method, request.prepare().url, request.headers.items(), body)


def as_received(
    method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes
) -> tuple[Request, int]:
    parts = urlsplit(url)
    received = [(name.lower().encode(), value.encode()) for name, value in headers]
    if not any(name == b"host" for name, _ in received):
        received.insert(0, (b"host", parts.netloc.encode()))
    received.append((b"accept-encoding", b"identity"))
    timestamps = [value.decode() for name, value in received if name == b"x-amz-date"]
    now_ms = instant(timestamps[0]) if timestamps else round(datetime.now(UTC).timestamp() * 1000)
    return Request(method, parts.path.encode(), parts.query.encode(), received, body), now_ms


def a_verifier(**changes: Any) -> Verifier:
    return Verifier(**{"regions": {REGION}, **changes})


def verify(request: Request, now_ms: int, *, secret: str = SECRET) -> Authorization:
    claim = require_authorization(request)
    a_verifier().verify(claim, request, secret, now_ms)
    return claim


def with_header(request: Request, name: bytes, value: bytes | None) -> Request:
    """The request with another value of one header; None takes the header away."""
    headers = [pair for pair in request.headers if pair[0] != name]
    if value is not None:
        headers.append((name, value))
    return request._replace(headers=headers)


# --- what botocore signs ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/things/a%3Ab/jobs/%24next",
        "/things/a%3Ab/jobs/$next",
        "/things/a:b/jobs/$next",
        "/things/caf%C3%A9/jobs",
        "/things/café/jobs",
        "/things/with space/jobs",
        "/things/with%20space/jobs",
        "/jobs/a%2Fb",
        "//jobs//j1/",
        "/a/./b/../c",
        "/../../jobs",
        "/a/..",
        "/a/.",
        "/.hidden/..a/b..",
        "/~user/-_.~",
        "/a+b/c;d=e,f@g!'()*",
        "/%",
    ],
)
def test_awkward_paths_verify(path: str) -> None:
    verify(*a_signed_request(f"http://localhost:8080{path}"))


@pytest.mark.parametrize(
    "query",
    [
        "a=",
        "a",
        "a&b=",
        "b=2&a=1&a=0&A=3",
        "a=1&a=1",
        "a-b=1&a=2&ab=3",
        "resourceArn=arn%3Aaws%3Aiot%3Aeu-north-1%3A123456789012%3Ajob%2Fj1",
        "name=caf%C3%A9%20%F0%9F%98%80",
        "sum=1%2B1&tilde=~&equals=a%3Db&percent=100%25",
        "a=1&",
    ],
)
def test_awkward_queries_verify(query: str) -> None:
    verify(*a_signed_request(f"http://localhost:8080/jobs?{query}"))


def test_query_values_sent_with_a_plus_for_a_space_verify() -> None:
    request, now_ms = a_signed_request(params=[("b", "x y"), ("a", "~+é"), ("a", "")])
    assert b"x+y" in request.query_string
    verify(request, now_ms)


@pytest.mark.parametrize(
    "value", ["a  b", "  lead", "trail  ", "tab\t \tinside", "a, b", '"quoted  text"', "é  ü"]
)
def test_header_values_are_trimmed_and_their_spaces_collapsed(value: str) -> None:
    verify(*a_signed_request(headers={"X-Amzn-Principal": value}))


def test_repeated_headers_are_joined_by_commas() -> None:
    request = AWSRequest("GET", "http://localhost:8080/jobs")
    request.headers["X-Amzn-Principal"] = " one  "
    request.headers["X-Amzn-Principal"] = "two  three"
    SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET), "iot", REGION).add_auth(request)
    verify(*as_received("GET", request.url, request.headers.items(), b""))


@pytest.mark.parametrize("body", [b"", b"{}", '{"document":"é\U0001f600"}'.encode(), bytes(range(256)) * 300])
def test_bodies_verify(body: bytes) -> None:
    verify(*a_signed_request(method="PUT", body=body, headers={"Content-Type": "application/json"}))


@pytest.mark.parametrize("service", ["iot", "execute-api", "iot-jobs-data", "iotdata"])
def test_each_signing_name_of_the_two_planes_verifies(service: str) -> None:
    claim = verify(*a_signed_request(service=service))
    assert (claim.access_key_id, claim.region, claim.service) == (ACCESS_KEY_ID, REGION, service)


class EmptyObject:
    """The body of an answer, as botocore reads it."""

    def stream(self) -> Iterator[bytes]:
        yield b"{}"


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        (
            "iot-jobs-data",
            "start_next_pending_job_execution",
            {"thingName": "a:b", "statusDetails": {"k": "é"}},
        ),
        (
            "iot-jobs-data",
            "describe_job_execution",
            {"thingName": "a:b", "jobId": "$next", "includeJobDocument": True},
        ),
        ("iot-jobs-data", "get_pending_job_executions", {"thingName": "a-_b"}),
        ("iot", "create_job", {"jobId": "j1", "targets": ["arn:x"], "document": '{"a":"\u2028"}'}),
        ("iot", "list_tags_for_resource", {"resourceArn": "arn:aws:iot:eu-north-1:123456789012:job/j1"}),
        ("iot", "list_jobs", {"status": "IN_PROGRESS", "maxResults": 5, "nextToken": "a+b/c=="}),
        ("iot", "delete_job", {"jobId": "j1", "force": True}),
        ("iot", "attach_principal_policy", {"policyName": "p", "principal": "arn:aws:iot:x:y:cert/0  1"}),
        ("iot", "list_principal_things", {"principal": "arn:aws:iot:x:y:cert/01"}),
    ],
)
def test_requests_of_the_real_client_verify(
    service: str, operation: str, arguments: Mapping[str, Any]
) -> None:
    """spec: wire 6, case 169"""
    sent: list[Any] = []

    def keep(request: Any, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {}, EmptyObject())

    client = botocore.session.Session().create_client(
        service,
        region_name=REGION,
        endpoint_url="http://localhost:8080",
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )
    client.meta.events.register("before-send", keep)
    getattr(client, operation)(**arguments)
    (prepared,) = sent
    headers = [
        (name, value.decode() if isinstance(value, bytes) else value)
        for name, value in prepared.headers.items()
    ]
    verify(*as_received(prepared.method, prepared.url, headers, prepared.body or b""))


def test_a_date_header_may_stand_for_x_amz_date() -> None:
    request, now_ms = a_signed_request(headers={"Date": "anything"})
    assert b"x-amz-date" not in dict(request.headers)
    verify(request, now_ms)


# --- property: accept what was signed, refuse what was changed --------------------------------------

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_segments = st.lists(_texts, max_size=4)
_pairs = st.lists(st.tuples(_texts, _texts), max_size=4)
_header_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
_requests = st.fixed_dictionaries(
    {
        "segments": _segments,
        "pairs": _pairs,
        "principal": _header_values,
        "body": st.binary(max_size=40),
        "method": st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH"]),
    }
)


def signed(drawn: Mapping[str, Any]) -> tuple[Request, int]:
    path = "/".join(percent_encode(segment) for segment in drawn["segments"])
    query = percent_encode_sequence(drawn["pairs"])
    return a_signed_request(
        f"http://localhost:8080/{path}" + (f"?{query}" if query else ""),
        method=drawn["method"],
        headers={"X-Amzn-Principal": drawn["principal"], "Content-Type": "application/json"},
        body=drawn["body"],
    )


@given(_requests)
def test_whatever_botocore_signs_verifies(drawn: Mapping[str, Any]) -> None:
    verify(*signed(drawn))


def flipped(data: bytes, bit: int) -> bytes:
    place = bit % (len(data) * 8)
    changed = bytearray(data)
    changed[place // 8] ^= 1 << (place % 8)
    return bytes(changed)


def meaning(request: Request) -> tuple[object, ...]:
    """What the signature protects, written without the code under test."""
    parameters = [
        parameter.partition(b"=") for parameter in request.query_string.replace(b"+", b" ").split(b"&")
    ]
    return (
        request.method,
        normalize_url_path(request.raw_path.decode("latin-1")),
        sorted((unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in parameters),
        [(name, b" ".join(value.split())) for name, value in request.headers],
        request.body,
    )


@given(_requests, st.sampled_from(["raw_path", "query_string", "body", "method"]), st.integers(min_value=0))
def test_a_flipped_bit_in_path_query_body_or_method_is_refused(
    drawn: Mapping[str, Any], part: str, bit: int
) -> None:
    request, now_ms = signed(drawn)
    before = getattr(request, part)
    assume(before)
    change: dict[str, Any] = {part: _flip(before, bit)}
    changed = request._replace(**change)
    assume(changed.raw_path.startswith(b"/"))  # the HTTP server gives us no other path
    assume(meaning(changed) != meaning(request))
    with pytest.raises(AuthenticationError):
        verify(changed, now_ms)


def _flip(value: bytes | str, bit: int) -> bytes | str:
    return flipped(value.encode(), bit).decode("latin-1") if isinstance(value, str) else flipped(value, bit)


@given(_requests, st.integers(min_value=0), st.integers(min_value=0))
def test_a_flipped_bit_in_a_signed_header_is_refused(drawn: Mapping[str, Any], which: int, bit: int) -> None:
    request, now_ms = signed(drawn)
    claim = require_authorization(request)
    names = [name for name, value in request.headers if name.decode() in claim.signed_headers and value]
    name = names[which % len(names)]
    changed = with_header(request, name, flipped(dict(request.headers)[name], bit))
    assume(sorted(meaning(changed)[3]) != sorted(meaning(request)[3]))  # type: ignore[call-overload]  # lists of pairs
    with pytest.raises(AuthenticationError):
        verify(changed, now_ms)


@given(_requests, st.integers(min_value=0))
def test_a_flipped_bit_in_the_authorization_header_is_refused(drawn: Mapping[str, Any], bit: int) -> None:
    request, now_ms = signed(drawn)
    value = flipped(dict(request.headers)[b"authorization"], bit)
    changed = with_header(request, b"authorization", value)
    try:
        claim = require_authorization(changed)
    except AuthenticationError:
        return
    # The name of the key is not signed: another name finds another secret, or none.
    assume(claim.access_key_id == ACCESS_KEY_ID)
    assume(claim != require_authorization(request))  # e.g. a comma with one space less
    with pytest.raises(AuthenticationError):
        verify(changed, now_ms)


def test_another_secret_is_refused() -> None:
    request, now_ms = a_signed_request()
    with pytest.raises(InvalidSignature, match="signature we calculated does not match"):
        verify(request, now_ms, secret=SECRET[:-1] + "1")


# --- time, scope, required parts --------------------------------------------------------------------


def test_a_signature_is_good_for_five_minutes_either_way() -> None:
    """spec: wire 5.1, case 170"""
    request, signed_at = a_signed_request()
    verify(request, signed_at + 300_000)
    verify(request, signed_at - 300_000)
    with pytest.raises(InvalidSignature, match=r"^Signature expired: "):
        verify(request, signed_at + 300_001)
    with pytest.raises(InvalidSignature, match=r"^Signature not yet current: "):
        verify(request, signed_at - 300_001)


def test_an_expired_signature_is_told_the_limits() -> None:
    request, _ = a_signed_request()
    dated = with_header(request, b"x-amz-date", b"20260115T123000Z")
    claim = Authorization(ACCESS_KEY_ID, "20260115", REGION, "iot", ("host", "x-amz-date"), SIGNATURE)
    with pytest.raises(InvalidSignature) as refused:
        a_verifier().verify(claim, dated, SECRET, instant("20260115T123600Z"))
    assert refused.value.message == (
        "Signature expired: 20260115T123000Z is now earlier than 20260115T123100Z (20260115T123600Z - 5 min.)"
    )


def test_another_region_or_service_is_refused_as_a_matter_of_scope() -> None:
    """spec: wire 5.1"""
    with pytest.raises(
        InvalidSignature, match=r"^Credential should be scoped to a valid Region, not 'us-east-1'"
    ):
        verify(*a_signed_request(region="us-east-1"))
    with pytest.raises(InvalidSignature, match=r"^Credential should be scoped to correct service: "):
        verify(*a_signed_request(service="s3"))


def test_a_verifier_without_regions_takes_any() -> None:
    request, now_ms = a_signed_request(region="mars-north-1")
    a_verifier(regions=None).verify(require_authorization(request), request, SECRET, now_ms)


def test_the_day_of_the_scope_must_be_the_day_of_the_request() -> None:
    request, now_ms = a_signed_request()
    claim = require_authorization(request)
    other = Authorization(
        claim.access_key_id, "20200101", claim.region, claim.service, claim.signed_headers, claim.signature
    )
    with pytest.raises(InvalidSignature, match=r"^Date in Credential scope does not match"):
        a_verifier().verify(other, request, SECRET, now_ms)


@pytest.mark.parametrize("name", ["host", "x-amz-date"])
def test_host_and_date_must_be_signed(name: str) -> None:
    """spec: wire 6"""
    request, now_ms = a_signed_request()
    claim = require_authorization(request)
    names = tuple(other for other in claim.signed_headers if other != name)
    unsigned = Authorization(claim.access_key_id, claim.date, REGION, "iot", names, claim.signature)
    with pytest.raises(InvalidSignature, match="must be a 'SignedHeader'"):
        a_verifier().verify(unsigned, request, SECRET, now_ms)


@pytest.mark.parametrize("name", [b"x-amzn-principal", b"x-amzn-iot-principal"])
def test_a_header_that_operations_read_must_be_signed(name: bytes) -> None:
    request, now_ms = a_signed_request()
    with pytest.raises(InvalidSignature, match="must be a 'SignedHeader'"):
        verify(with_header(request, name, b"arn:aws:iot:x:y:cert/01"), now_ms)


def test_other_unsigned_headers_do_not_matter() -> None:
    request, now_ms = a_signed_request()
    verify(with_header(request, b"amz-sdk-request", b"attempt=2"), now_ms)


def test_a_signed_header_must_be_there() -> None:
    request, now_ms = a_signed_request(headers={"Content-Type": "application/json"})
    with pytest.raises(InvalidSignature, match="'content-type' is not in the request"):
        verify(with_header(request, b"content-type", None), now_ms)


def test_a_request_without_a_date_is_incomplete() -> None:
    request, now_ms = a_signed_request()
    claim = Authorization(ACCESS_KEY_ID, "20260115", REGION, "iot", ("host",), SIGNATURE)
    with pytest.raises(IncompleteSignature, match="requires existence of either a 'X-Amz-Date' or a 'Date'"):
        a_verifier().verify(claim, with_header(request, b"x-amz-date", None), SECRET, now_ms)


@pytest.mark.parametrize(
    "date",
    [
        b"2026-01-15T12:30:00Z",
        b"20260230T000000Z",
        b"20260115T250000Z",
        b"",
        b"0000000000000000",
        b"\xb2" * 16,
    ],
)
def test_a_date_that_cannot_be_read_is_incomplete(date: bytes) -> None:
    request, now_ms = a_signed_request()
    claim = Authorization(
        ACCESS_KEY_ID, date[:8].decode("latin-1"), REGION, "iot", ("host", "x-amz-date"), SIGNATURE
    )
    with pytest.raises(IncompleteSignature, match="ISO-8601"):
        a_verifier().verify(claim, with_header(request, b"x-amz-date", date), SECRET, now_ms)


@given(
    st.one_of(
        st.text(st.characters(max_codepoint=255)), st.from_regex(r"[A-Za-z]{3}, \d+ \w{3} \d+ [\d:+-]+ ?\w*")
    )
)
def test_no_date_header_breaks_the_verifier(date: str) -> None:
    request, now_ms = a_signed_request()
    dated = with_header(with_header(request, b"x-amz-date", None), b"date", date.encode("latin-1", "replace"))
    claim = Authorization(ACCESS_KEY_ID, "20260115", REGION, "iot", ("date", "host"), SIGNATURE)
    with pytest.raises(AuthenticationError):
        a_verifier().verify(claim, dated, SECRET, now_ms)


def test_a_declared_payload_hash_must_agree_with_the_body() -> None:
    """spec: wire 6"""
    right = hashlib.sha256(b"{}").hexdigest()
    verify(*a_signed_request(method="PUT", body=b"{}", headers={"X-Amz-Content-SHA256": right}))
    for wrong in (
        hashlib.sha256(b"").hexdigest(),
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "",
    ):
        with pytest.raises(InvalidSignature, match="x-amz-content-sha256"):
            verify(*a_signed_request(method="PUT", body=b"{}", headers={"X-Amz-Content-SHA256": wrong}))


def test_a_session_token_is_refused_because_there_are_none() -> None:
    with pytest.raises(UnrecognizedClient, match="security token included in the request is invalid"):
        verify(*a_signed_request(token="IQoJb3JpZ2luX2VjE"))


# --- reading the header -----------------------------------------------------------------------------

SCOPE = f"{ACCESS_KEY_ID}/20260115/{REGION}/iot/aws4_request"


@pytest.mark.parametrize(
    "header",
    [
        f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host;x-amz-date, Signature={SIGNATURE}",
        f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders=host;x-amz-date,Signature={SIGNATURE}",
        f"AWS4-HMAC-SHA256  SignedHeaders=host;x-amz-date,  Signature={SIGNATURE} ,Credential={SCOPE} ",
    ],
)
def test_order_and_spacing_of_the_parameters_are_free(header: str) -> None:
    assert parse_authorization(header) == Authorization(
        ACCESS_KEY_ID, "20260115", REGION, "iot", ("host", "x-amz-date"), SIGNATURE
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "Unsupported AWS 'algorithm': ''"),
        ("Bearer abc", "Unsupported AWS 'algorithm': 'Bearer'"),
        (f"AWS {ACCESS_KEY_ID}:abc=", "Unsupported AWS 'algorithm': 'AWS'"),
        (f"AWS4-ECDSA-P256-SHA256 Credential={SCOPE}", "Unsupported AWS 'algorithm'"),
        ("AWS4-HMAC-SHA256", "not one key=value pair"),
        ("AWS4-HMAC-SHA256 nonsense", "not one key=value pair"),
        (f"AWS4-HMAC-SHA256 Credential={SCOPE}, Credential={SCOPE}", "not one key=value pair"),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}",
            "requires 'SignedHeaders' parameter. .* requires 'Signature'",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=",
            "requires 'Signature' parameter",
        ),
        ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0", "exactly 5 slash-delimited"),
        ("AWS4-HMAC-SHA256 Credential=a//b/iot/aws4_request, SignedHeaders=host, Signature=0", "exactly 5"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/iot/aws5, SignedHeaders=host, Signature=0", "valid terminator"),
        (f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=é", "not ASCII"),
    ],
)
def test_a_header_that_cannot_be_read_is_incomplete(header: str, message: str) -> None:
    """spec: wire 5.1"""
    with pytest.raises(IncompleteSignature, match=message):
        parse_authorization(header)


def test_an_unsigned_request_claims_nothing_and_lacks_a_token() -> None:
    """spec: wire 5.1"""
    unsigned = Request("GET", b"/jobs", b"", [(b"host", b"localhost")], b"")
    assert find_authorization(unsigned) is None
    with pytest.raises(MissingAuthenticationToken):
        require_authorization(unsigned)


def test_a_presigned_query_is_not_taken_on_http() -> None:
    """spec: ruling 18"""
    query = b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=b"
    presigned = Request("GET", b"/jobs", query, [(b"host", b"localhost")], b"")
    with pytest.raises(MissingAuthenticationToken):
        find_authorization(presigned)


def test_two_authorization_headers_are_refused() -> None:
    request, now_ms = a_signed_request()
    doubled = request._replace(headers=[*request.headers, (b"authorization", b"Bearer x")])
    with pytest.raises(IncompleteSignature, match="only one"):
        verify(doubled, now_ms)


# --- canonical forms and the key cache -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        (b"", b"/"),
        (b"*", b"%2A"),
        (b"/things/a%3Ab/jobs/%24next", b"/things/a%253Ab/jobs/%2524next"),
        (b"/things/a%3Ab/jobs/$next", b"/things/a%253Ab/jobs/%24next"),
        (b"//a//b//", b"/a/b/"),
        (b"/a/../../b/./c", b"/b/c"),
        ("/é".encode(), b"/%C3%A9"),
    ],
)
def test_the_path_is_normalized_and_encoded_again(raw: bytes, canonical: bytes) -> None:
    """spec: wire 6"""
    assert canonical_path(raw) == canonical


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        (b"b=2&a=1", b"a=1&b=2"),
        (b"a", b"a="),
        (b"a=x+y%20z", b"a=x%20y%20z"),
        (b"a=%7e%2a%2F", b"a=~%2A%2F"),
        (b"a=b=c", b"a=b%3Dc"),
        (b"a=2&a=10", b"a=10&a=2"),
    ],
)
def test_the_query_has_one_canonical_form(raw: bytes, canonical: bytes) -> None:
    """spec: wire 6"""
    assert canonical_query(raw) == canonical


def test_the_signing_key_is_the_documented_one() -> None:
    """The worked example of the AWS general reference, "deriving the signing key"."""
    key = derive_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_a_cached_key_proves_and_refuses_like_a_fresh_one() -> None:
    verifier = a_verifier(max_cached_keys=1)
    for service in ("iot", "iot-jobs-data", "iot", "iot"):
        request, now_ms = a_signed_request(service=service)
        claim = require_authorization(request)
        verifier.verify(claim, request, SECRET, now_ms)
        with pytest.raises(InvalidSignature):
            verifier.verify(claim, request._replace(body=b"other"), SECRET, now_ms)
        with pytest.raises(InvalidSignature):
            verifier.verify(claim, request, "another secret", now_ms)
