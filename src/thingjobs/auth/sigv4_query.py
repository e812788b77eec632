"""AWS Signature Version 4 in the query of a URL: how browsers and back ends open MQTT over WebSocket.

    GET /mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=…&X-Amz-Date=…&X-Amz-Expires=…
        &X-Amz-SignedHeaders=host&X-Amz-Signature=…

The signature covers all other parameters. Source: "Create a signed AWS API request" (IAM user guide), and
the MQTT over WebSocket sample of the IoT developer guide.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from urllib.parse import unquote_to_bytes

from thingjobs.auth.sigv4 import (
    MAX_SKEW_MS,
    Authorization,
    Request,
    canonical_path,
    canonical_query,
    instant_of,
)
from thingjobs.domain.errors import (
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    UnrecognizedClient,
)
from thingjobs.domain.sigv4_terms import ALGORITHM, derive_key

SERVICE = "iotdevicegateway"
MAX_EXPIRES_SECONDS = 86_400
_REQUIRED = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature")


def parse_presigned(request: Request) -> Authorization:
    """What the query of a presigned request claims.

    Errors: MissingAuthenticationToken if it is not presigned; IncompleteSignature.
    """
    parameters = _parameters(request.query_string)
    if "X-Amz-Signature" not in parameters:
        raise MissingAuthenticationToken("Missing Authentication Token")
    missing = [name for name in _REQUIRED if not parameters.get(name)]
    if missing:
        raise IncompleteSignature(f"AWS query-string parameters must include {', '.join(missing)}.")
    if parameters["X-Amz-Algorithm"] != ALGORITHM:
        raise IncompleteSignature(f"Unsupported AWS 'algorithm': '{parameters['X-Amz-Algorithm']}'.")
    scope = parameters["X-Amz-Credential"].split("/")
    if len(scope) != 5 or not all(scope) or scope[4] != "aws4_request":
        raise IncompleteSignature("Credential must have the form keyid/date/region/service/aws4_request.")
    access_key_id, date, region, service, _ = scope
    signed = tuple(parameters["X-Amz-SignedHeaders"].split(";"))
    return Authorization(access_key_id, date, region, service, signed, parameters["X-Amz-Signature"])


def verify_presigned(
    claim: Authorization, request: Request, secret: str, *, regions: Collection[str], now_ms: int
) -> None:
    """Return if ``request`` was presigned with ``secret`` for the MQTT gateway and is still good.

    Errors: InvalidSignature, IncompleteSignature; UnrecognizedClient for a session token: we issue none.
    """
    if claim.service != SERVICE:
        raise InvalidSignature(f"Credential should be scoped to correct service: '{SERVICE}'.")
    if claim.region not in regions:
        raise InvalidSignature(f"Credential should be scoped to a valid Region, not '{claim.region}'.")
    parameters = _parameters(request.query_string)
    if "X-Amz-Security-Token" in parameters:
        raise UnrecognizedClient("The security token included in the request is invalid.")
    if "host" not in claim.signed_headers:
        raise InvalidSignature("'host' must be a signed header.")
    headers = {name.decode("latin-1"): value for name, value in request.headers}
    if not all(name in headers for name in claim.signed_headers):
        raise InvalidSignature("A signed header is not in the request.")
    _check_lifetime(claim, parameters, now_ms)
    unsigned_query = b"&".join(
        part for part in request.query_string.split(b"&") if not part.startswith(b"X-Amz-Signature=")
    )
    canonical_request = b"\n".join(
        (
            request.method.encode(),
            canonical_path(request.raw_path),
            canonical_query(unsigned_query),
            *[b"%b:%b" % (name.encode(), b" ".join(headers[name].split())) for name in claim.signed_headers],
            b"",
            ";".join(claim.signed_headers).encode(),
            sha256(b"").hexdigest().encode(),
        )
    )
    string_to_sign = (
        f"{ALGORITHM}\n{parameters['X-Amz-Date']}\n"
        f"{claim.date}/{claim.region}/{claim.service}/aws4_request\n{sha256(canonical_request).hexdigest()}"
    )
    key = derive_key(secret, claim.date, claim.region, claim.service)
    expected = hmac_digest(key, string_to_sign.encode(), "sha256").hex()
    if not compare_digest(expected.encode(), claim.signature.encode()):
        raise InvalidSignature(
            "The request signature we calculated does not match the signature you provided."
        )


def _check_lifetime(claim: Authorization, parameters: dict[str, str], now_ms: int) -> None:
    """From five minutes before it was signed until it expires (five minutes after if it does not say)."""
    signed_at = instant_of(parameters["X-Amz-Date"])
    if signed_at is None or parameters["X-Amz-Date"][:8] != claim.date:
        raise IncompleteSignature("X-Amz-Date must be in ISO-8601 'basic format' and agree with the scope.")
    expires = parameters.get("X-Amz-Expires", str(MAX_SKEW_MS // 1000))
    if not expires.isdecimal() or not 1 <= int(expires) <= MAX_EXPIRES_SECONDS:
        raise IncompleteSignature(f"X-Amz-Expires must be from 1 to {MAX_EXPIRES_SECONDS} seconds.")
    if not signed_at - MAX_SKEW_MS <= now_ms <= signed_at + int(expires) * 1000:
        raise InvalidSignature("Signature expired: the presigned request is outside its lifetime.")


def _parameters(query_string: bytes) -> dict[str, str]:
    pairs = (part.partition(b"=") for part in query_string.split(b"&"))
    return {
        unquote_to_bytes(name).decode("latin-1"): unquote_to_bytes(value.replace(b"+", b" ")).decode(
            "latin-1"
        )
        for name, _, value in pairs
    }
