"""Presigned URLs for objects in S3: Signature Version 4 in the query, by our own code.

The time is an argument, because it is the service's: under a manual clock it is not the system's. The path
is encoded once, unlike in all other services, and neither ``//`` nor a dot segment is taken out of it. What
the body has is not signed (``UNSIGNED-PAYLOAD``): there is none.

Source: "Authenticating requests: using query parameters" (S3 API reference); proven against botocore's
signer in the tests. Why not botocore's: ADR 0025.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest as hmac_digest
from urllib.parse import quote

from thingjobs.domain.presign import S3Object
from thingjobs.domain.sigv4_terms import ALGORITHM, derive_key, timestamp_of
from thingjobs.s3.endpoint import Location

MAX_CACHED_KEYS = 256


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def object_target(location: Location, named: S3Object) -> str:
    """Path and query of an object, unsigned.

    Errors: UnicodeEncodeError for half a surrogate pair in the key.
    """
    version = _version(named)
    return f"{_path(location, named)}?{version}" if version else _path(location, named)


class Presigner:
    """Signs, remembering the keys derived from secrets (deriving one costs four HMACs); for any thread."""

    def __init__(self) -> None:
        self._signing_keys: dict[tuple[Credentials, str, str], bytes] = {}

    def target(
        self,
        location: Location,
        credentials: Credentials,
        named: S3Object,
        *,
        region: str,
        expires_in_sec: int,
        now: int,
    ) -> str:
        """Path and query with which anyone can GET the object until ``expires_in_sec`` after ``now``.

        Units:  ``now`` in milliseconds, of which the signature knows whole seconds.
        Errors: UnicodeEncodeError for half a surrogate pair in the key.
        """
        signed_at = timestamp_of(now)
        date = signed_at[:8]
        scope = f"{date}/{region}/s3/aws4_request"
        parameters = [
            f"X-Amz-Algorithm={ALGORITHM}",
            f"X-Amz-Credential={quote(f'{credentials.access_key_id}/{scope}', safe='')}",
            f"X-Amz-Date={signed_at}",
            f"X-Amz-Expires={expires_in_sec}",
        ]
        if credentials.session_token is not None:
            parameters.append(f"X-Amz-Security-Token={quote(credentials.session_token, safe='')}")
        parameters.append("X-Amz-SignedHeaders=host")
        if version := _version(named):
            parameters.append(version)  # the canonical order is that of bytes: capitals come first
        path, query = _path(location, named), "&".join(parameters)
        canonical_request = f"GET\n{path}\n{query}\nhost:{location.authority}\n\nhost\nUNSIGNED-PAYLOAD"
        string_to_sign = (
            f"{ALGORITHM}\n{signed_at}\n{scope}\n{sha256(canonical_request.encode()).hexdigest()}"
        )
        signing_key = self._signing_key(credentials, date, region)
        signature = hmac_digest(signing_key, string_to_sign.encode(), "sha256").hex()
        return f"{path}?{query}&X-Amz-Signature={signature}"

    def _signing_key(self, credentials: Credentials, date: str, region: str) -> bytes:
        known = (credentials, date, region)
        signing_key = self._signing_keys.get(known)
        if signing_key is None:
            if len(self._signing_keys) >= MAX_CACHED_KEYS:
                self._signing_keys.clear()
            signing_key = derive_key(credentials.secret_access_key, date, region, "s3")
            self._signing_keys[known] = signing_key
        return signing_key


def _path(location: Location, named: S3Object) -> str:
    return f"{location.prefix}/{quote(named.bucket, safe='')}/{quote(named.key, safe='/~')}"


def _version(named: S3Object) -> str:
    return "" if named.version_id is None else f"versionId={quote(named.version_id, safe='')}"
