"""AWS Signature Version 4 in an ``Authorization`` header: reading it, and proving it.

A client hashes what it sends into a *canonical request* and signs the hash with a key derived from its
secret, the day, the region and the service. We build the same canonical request from the bytes that
arrived, and compare. Nothing is decoded on the way: the path is signed as it was sent, percent-encoded
once more (every service but S3 does so).

    authorization = require_authorization(request)         # who claims to be calling: dev stops here
    key = access_keys.usable(authorization.access_key_id)
    verifier.verify(authorization, request, key.secret, now_ms)

Temporary credentials do not exist here: a request that carries a session token is refused as AWS refuses
a token that does not belong to its access key.

Source: "Create a signed AWS API request" (IAM user guide); spellings of the refusals follow what AWS
services print (unverified for IoT). Proven against botocore's signer in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from thingjobs.domain.errors import (
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    UnrecognizedClient,
)
from thingjobs.domain.sigv4_terms import ALGORITHM, derive_key, timestamp_of

SERVICES = frozenset({"iot", "execute-api", "iot-jobs-data", "iotdata"})
"""Signing names of both planes: control (``execute-api``: very old SDKs) and device."""

MAX_SKEW_MS = 5 * 60_000
MAX_CACHED_KEYS = 1024


class Request(NamedTuple):
    """What of an HTTP request can be signed, as it arrived.

    ``headers`` as ASGI gives them: lower-cased names, in order, a name possibly more than once.
    ``raw_path`` is still percent-encoded and has no query.
    """

    method: str
    raw_path: bytes
    query_string: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Authorization:
    """What an ``Authorization`` header claims: the credential scope, what was signed, the signature."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


# --- reading ------------------------------------------------------------------------------------

_USUAL_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/([^/,\s]+)/([^/,\s]+)/([^/,\s]+)/aws4_request, ?"
    r"SignedHeaders=([^,\s]+), ?Signature=([^,\s]+)"
)


def require_authorization(request: Request) -> Authorization:
    """The claim of a request that has to be signed.

    Errors: MissingAuthenticationToken for an unsigned or presigned request, else as ``parse_authorization``.
    """
    authorization = find_authorization(request)
    if authorization is None:
        raise MissingAuthenticationToken("Missing Authentication Token")
    return authorization


def find_authorization(request: Request) -> Authorization | None:
    """The claim of a request, None if it makes none.

    Errors: MissingAuthenticationToken if the signature is in the query: presigned requests are for MQTT
            over WebSocket only; IncompleteSignature as ``parse_authorization``.
    """
    values = [value for name, value in request.headers if name == b"authorization"]
    if len(values) > 1:
        raise IncompleteSignature("A request must have only one Authorization header.")
    if values:
        return parse_authorization(values[0].decode("latin-1"))
    if b"X-Amz-Signature=" in request.query_string or b"X-Amz-Credential=" in request.query_string:
        raise MissingAuthenticationToken("Missing Authentication Token: sign in the Authorization header.")
    return None


def parse_authorization(header: str) -> Authorization:
    """Read the value of an ``Authorization`` header.

    Errors: IncompleteSignature if it is not SigV4 with its three parameters and a scope of five parts.
    """
    match = _USUAL_HEADER.fullmatch(header)
    if match is not None and header.isascii():
        access_key_id, date, region, service, signed, signature = match.groups()
        return Authorization(access_key_id, date, region, service, tuple(signed.split(";")), signature)
    return _parse_unusual(header)


def _parse_unusual(header: str) -> Authorization:
    """The same for another order or spacing of the parameters, and for everything that must be refused."""
    if not header.isascii():
        raise IncompleteSignature("The Authorization header has characters that are not ASCII.")
    algorithm, _, rest = header.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"Unsupported AWS 'algorithm': '{algorithm}'.")
    parameters: dict[str, str] = {}
    for part in rest.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name in parameters:
            raise IncompleteSignature("Authorization header has a part that is not one key=value pair.")
        parameters[name] = value
    missing = [name for name in ("Credential", "SignedHeaders", "Signature") if not parameters.get(name)]
    if missing:
        raise IncompleteSignature(
            " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        )
    scope = parameters["Credential"].split("/")
    if len(scope) != 5 or not all(scope):
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."
        )
    access_key_id, date, region, service, terminator = scope
    if terminator != "aws4_request":
        raise IncompleteSignature("Credential should be scoped with a valid terminator: 'aws4_request'.")
    signed = tuple(parameters["SignedHeaders"].split(";"))
    return Authorization(access_key_id, date, region, service, signed, parameters["Signature"])


# --- proving ------------------------------------------------------------------------------------

_EMPTY_SHA256 = sha256(b"").hexdigest().encode()
_SIGNED_IF_SENT = ("x-amzn-principal", "x-amzn-iot-principal")
"""Headers that operations read: unsigned, anyone on the way could put them into a signed request."""


class Verifier:
    """Proves requests, remembering the keys derived from secrets (deriving one costs four HMACs).

    ``regions``: those this server answers for, None for any. A key enters the cache only after it proved a
    request, so strangers cannot crowd it; when full the oldest leaves.
    """

    def __init__(
        self,
        *,
        regions: Collection[str] | None,
        services: Collection[str] = SERVICES,
        max_cached_keys: int = MAX_CACHED_KEYS,
    ) -> None:
        self._regions = None if regions is None else frozenset(regions)
        self._services = frozenset(services)
        self._max_cached_keys = max_cached_keys
        self._signing_keys: dict[tuple[str, str, str, str], bytes] = {}

    def verify(self, claim: Authorization, request: Request, secret: str, now_ms: int) -> None:
        """Return if ``request`` was signed with ``secret`` as ``claim`` says, within 5 minutes of now.

        Errors: InvalidSignature; IncompleteSignature if the request has no date that can be read;
                UnrecognizedClient if it carries a session token.
        """
        self._check_scope(claim)
        headers = _joined(request.headers)
        if b"x-amz-security-token" in headers:
            raise UnrecognizedClient("The security token included in the request is invalid.")
        signed = claim.signed_headers
        _check_signed_headers(signed, headers)
        timestamp = _timestamp(signed, headers)
        _check_age(claim, timestamp, now_ms)

        canonical_request = b"\n".join(
            (
                request.method.encode(),
                canonical_path(request.raw_path),
                canonical_query(request.query_string) if request.query_string else b"",
                *[b"%b:%b" % (name, _trim(headers[name])) for name in map(str.encode, signed)],
                b"",
                ";".join(signed).encode(),
                _payload_hash(request.body, headers.get(b"x-amz-content-sha256")),
            )
        )
        string_to_sign = (
            f"{ALGORITHM}\n{timestamp}\n{claim.date}/{claim.region}/{claim.service}/aws4_request\n"
            f"{sha256(canonical_request).hexdigest()}"
        )

        scope = (secret, claim.date, claim.region, claim.service)
        known_key = self._signing_keys.get(scope)
        signing_key = known_key or derive_key(*scope)
        expected = hmac_digest(signing_key, string_to_sign.encode(), "sha256").hex()
        if not compare_digest(expected, claim.signature):
            raise InvalidSignature(
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. "
                "Consult the service documentation for details."
            )
        if known_key is None:
            self._remember(scope, signing_key)

    def _check_scope(self, claim: Authorization) -> None:
        if self._regions is not None and claim.region not in self._regions:
            raise InvalidSignature(f"Credential should be scoped to a valid Region, not '{claim.region}'.")
        if claim.service not in self._services:
            names = ", ".join(f"'{name}'" for name in sorted(self._services))
            raise InvalidSignature(f"Credential should be scoped to correct service: {names}.")

    def _remember(self, scope: tuple[str, str, str, str], signing_key: bytes) -> None:
        if len(self._signing_keys) >= self._max_cached_keys:
            del self._signing_keys[next(iter(self._signing_keys))]
        self._signing_keys[scope] = signing_key


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Each header once: the values of repeated headers are trimmed and joined by commas."""
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = _trim(joined[name]) + b"," + _trim(value) if name in joined else value
    return joined


def _trim(value: bytes) -> bytes:
    """``value`` without outer spaces, and with one for each run of inner spaces."""
    return b" ".join(value.split())


def _check_signed_headers(signed: tuple[str, ...], headers: dict[bytes, bytes]) -> None:
    if "host" not in signed:
        raise InvalidSignature("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    for name in signed:
        if name.encode() not in headers:
            raise InvalidSignature(f"The signed header '{name}' is not in the request.")
    for name in _SIGNED_IF_SENT:
        if name.encode() in headers and name not in signed:
            raise InvalidSignature(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")


def _timestamp(signed: tuple[str, ...], headers: dict[bytes, bytes]) -> str:
    """The signed date of the request, as it stands in the string to sign: ``20260115T123000Z``."""
    name = "x-amz-date" if b"x-amz-date" in headers else "date"
    raw = headers.get(name.encode())
    if raw is None:
        raise IncompleteSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    if name not in signed:
        raise InvalidSignature(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    text = _trim(raw).decode("latin-1")
    if name == "date" and not _is_basic_iso(text):
        text = _basic_iso_of_http_date(text)
    if not _is_basic_iso(text):
        raise IncompleteSignature("Date must be in ISO-8601 'basic format'.")
    return text


def _basic_iso_of_http_date(text: str) -> str:
    """``Thu, 15 Jan 2026 12:30:00 GMT`` in the other form; unchanged if it cannot be read."""
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:  # how the parser says "-0000", which is UTC and what botocore writes
            date = date.replace(tzinfo=UTC)
        return date.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError):
        return text


def _is_basic_iso(text: str) -> bool:
    return len(text) == 16 and text[8] == "T" and text[15] == "Z" and (text[:8] + text[9:15]).isdecimal()


def instant_of(timestamp: str) -> int | None:
    """Milliseconds since the epoch of ``20260115T123000Z``; None of what is not such a time."""
    if not _is_basic_iso(timestamp):
        return None
    try:
        return round(datetime.fromisoformat(timestamp).timestamp() * 1000)
    except ValueError:
        return None


def _check_age(claim: Authorization, timestamp: str, now_ms: int) -> None:
    if claim.date != timestamp[:8]:
        raise InvalidSignature(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date}' != '{timestamp[:8]}'."
        )
    signed_at = instant_of(timestamp)
    if signed_at is None:
        raise IncompleteSignature("Date must be in ISO-8601 'basic format'.")
    if signed_at < now_ms - MAX_SKEW_MS:
        limit, now = timestamp_of(now_ms - MAX_SKEW_MS), timestamp_of(now_ms)
        raise InvalidSignature(f"Signature expired: {timestamp} is now earlier than {limit} ({now} - 5 min.)")
    if signed_at > now_ms + MAX_SKEW_MS:
        limit, now = timestamp_of(now_ms + MAX_SKEW_MS), timestamp_of(now_ms)
        raise InvalidSignature(
            f"Signature not yet current: {timestamp} is still later than {limit} ({now} + 5 min.)"
        )


def _payload_hash(body: bytes, declared: bytes | None) -> bytes:
    computed = sha256(body).hexdigest().encode() if body else _EMPTY_SHA256
    # Also refuses UNSIGNED-PAYLOAD and the streaming forms: no IoT client sends them.
    if declared is not None and _trim(declared) != computed:
        raise InvalidSignature("The value of x-amz-content-sha256 is not the SHA-256 of the body.")
    return computed


# --- canonical forms ----------------------------------------------------------------------------


def _percent_encoder(safe: bytes) -> Callable[[bytes], bytes]:
    """Encode every byte but letters, digits and ``safe``; untouched parts are not walked byte by byte."""
    unsafe = re.compile(rb"[^A-Za-z0-9%b]" % re.escape(safe))
    encoded = {bytes([byte]): b"%%%02X" % byte for byte in range(256)}

    def encode(raw: bytes) -> bytes:
        return unsafe.sub(lambda match: encoded[match[0]], raw)

    return encode


_encode_path = _percent_encoder(b"-_.~/")
_encode_query = _percent_encoder(b"-_.~")


def canonical_path(raw_path: bytes) -> bytes:
    """``raw_path`` without empty and dot segments, percent-encoded on top of what the client encoded."""
    if b"//" in raw_path or b"/." in raw_path:
        raw_path = _without_dots(raw_path)
    return _encode_path(raw_path or b"/")


def _without_dots(raw_path: bytes) -> bytes:
    segments: list[bytes] = []
    for segment in raw_path.split(b"/"):
        if segment == b"..":
            del segments[-1:]
        elif segment not in (b"", b"."):
            segments.append(segment)
    leading = b"/" if raw_path.startswith(b"/") else b""
    trailing = b"/" if segments and raw_path.endswith(b"/") else b""
    return leading + b"/".join(segments) + trailing


def canonical_query(query_string: bytes) -> bytes:
    """Parameters decoded as forms are, encoded in the one canonical way, sorted by name, then value."""
    pairs: list[tuple[bytes, bytes]] = []
    for parameter in query_string.split(b"&"):
        name, _, value = parameter.partition(b"=")
        pairs.append((_canonical_component(name), _canonical_component(value)))
    pairs.sort()
    return b"&".join([b"%b=%b" % pair for pair in pairs])


def _canonical_component(raw: bytes) -> bytes:
    if b"%" in raw or b"+" in raw:
        raw = unquote_to_bytes(raw.replace(b"+", b" "))
    return _encode_query(raw)
