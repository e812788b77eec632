"""Who is calling, and which plane they mean."""

from __future__ import annotations

import re
import time
from base64 import b64decode
from collections.abc import Sequence
from hmac import compare_digest
from typing import NamedTuple, Protocol

import structlog

from thingjobs.auth.keys import AccessKey, AccessKeys, AccessKeysUnusable, Role
from thingjobs.auth.sigv4 import Request, Verifier, find_authorization, require_authorization
from thingjobs.auth.sigv4_query import parse_presigned, verify_presigned
from thingjobs.domain.errors import (
    InvalidSignature,
    MissingAuthenticationToken,
    ServiceUnavailable,
    UnrecognizedClient,
)
from thingjobs.wire.operation import Plane

log = structlog.get_logger()

_PLANE_OF_SERVICE = {
    "iot": Plane.CONTROL,
    "execute-api": Plane.CONTROL,
    "iot-jobs-data": Plane.DEVICE,
    "iotdata": Plane.DEVICE,
}
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")


class Caller(NamedTuple):
    """``principal`` names the caller in logs and refusals."""

    account: str
    region: str
    plane: Plane
    role: Role
    principal: str


class Identity(Protocol):
    """How callers are told apart."""

    def identify(self, request: Request) -> Caller:
        """Errors: AuthenticationError."""
        ...

    def operator(self, request: Request) -> Caller:
        """The caller of an endpoint of ours under ``/-/``. Errors: AuthenticationError."""
        ...

    def for_mqtt(self, request: Request) -> Caller:
        """Who opens a WebSocket for MQTT. Errors: AuthenticationError."""
        ...


class AnyoneIdentity:
    """``dev``: the signature is not verified; its scope still says which plane and region are meant."""

    def __init__(self, *, account: str, region: str) -> None:
        self._account = account
        self._region = region

    def identify(self, request: Request) -> Caller:
        claim = find_authorization(request)
        if claim is None:
            plane = plane_of_host(request.headers) or Plane.CONTROL
            return Caller(self._account, self._region, plane, Role.ADMIN, "anonymous")
        if claim.service not in _PLANE_OF_SERVICE:
            raise InvalidSignature(
                f"Credential should be scoped to correct service: 'iot', not '{claim.service}'."
            )
        if not _REGION.fullmatch(claim.region):
            raise InvalidSignature(f"Credential should be scoped to a valid Region, not '{claim.region}'.")
        plane = _PLANE_OF_SERVICE[claim.service]
        return Caller(self._account, claim.region, plane, Role.ADMIN, claim.access_key_id)

    def operator(self, request: Request) -> Caller:
        return Caller(self._account, self._region, Plane.CONTROL, Role.ADMIN, "anonymous")

    def for_mqtt(self, request: Request) -> Caller:
        return Caller(self._account, self._region, Plane.DEVICE, Role.ADMIN, "anonymous")


class SignedIdentity:
    """``serve``: every request proves an access key of ours."""

    def __init__(self, keys: AccessKeys, *, region: str, regions: Sequence[str]) -> None:
        self._keys = keys
        self._region = region
        self._regions = frozenset((region, *regions))
        self._verifier = Verifier(regions=self._regions)

    def identify(self, request: Request) -> Caller:
        claim = require_authorization(request)
        key = self._usable(claim.access_key_id)
        # Real time, also when the service's own clock is wound by hand: clients sign with theirs.
        self._verifier.verify(claim, request, key.secret, time.time_ns() // 1_000_000)
        return Caller(
            key.account, claim.region, _PLANE_OF_SERVICE[claim.service], key.role, key.access_key_id
        )

    def for_mqtt(self, request: Request) -> Caller:
        """With a presigned query, as browsers and back ends do."""
        claim = parse_presigned(request)
        key = self._usable(claim.access_key_id)
        now = time.time_ns() // 1_000_000
        verify_presigned(claim, request, key.secret, regions=self._regions, now_ms=now)
        return Caller(key.account, claim.region, Plane.DEVICE, key.role, key.access_key_id)

    def operator(self, request: Request) -> Caller:
        """Also with the access key as name and password (HTTP Basic), for curl and Prometheus."""
        for name, value in request.headers:
            if name == b"authorization" and value[:6].lower() == b"basic ":
                return self._basic(value[6:])
        return self.identify(request)

    def _basic(self, encoded: bytes) -> Caller:
        try:
            access_key_id, _, secret = b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            raise MissingAuthenticationToken("The Authorization header cannot be read.") from None
        key = self._usable(access_key_id)
        if not compare_digest(key.secret.encode(), secret.encode()):
            raise UnrecognizedClient("The security token included in the request is invalid.")
        return Caller(key.account, self._region, Plane.CONTROL, key.role, key.access_key_id)

    def _usable(self, access_key_id: str) -> AccessKey:
        try:
            return self._keys.usable(access_key_id)
        except AccessKeysUnusable as error:
            log.error("access_keys_unusable", error=str(error))
            raise ServiceUnavailable("Access keys cannot be checked now; try again later.") from None


def plane_of_host(headers: Sequence[tuple[bytes, bytes]]) -> Plane | None:
    """The plane an AWS host name belongs to; None if it does not tell."""
    host = next((value for name, value in headers if name == b"host"), b"").lower()
    if host.startswith(b"data.jobs.iot.") or b".jobs.iot." in host or b"-ats.iot." in host:
        return Plane.DEVICE
    return Plane.CONTROL if host.startswith(b"iot.") else None
