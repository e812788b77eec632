"""SigV4 signing that costs the load generator little: one cached key per day and service."""

import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

EMPTY_HASH = hashlib.sha256(b"").hexdigest()
UNRESERVED = "-_.~"

CONTROL_PLANE = "iot"
DEVICE_PLANE = "iot-jobs-data"


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)
    region: str


class Signer:
    """Builds complete, signed HTTP/1.1 requests for one server.

    A request stays valid for five minutes, so bytes that do not change may be made
    before a measurement and sent many times in it.
    """

    def __init__(self, host: str, credentials: Credentials) -> None:
        self._host = host
        self._credentials = credentials
        self._keys: dict[tuple[str, str], bytes] = {}

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: Sequence[tuple[str, str]] = (),
        service: str = CONTROL_PLANE,
    ) -> bytes:
        """The bytes of one request; ``path`` is sent as given and must not need encoding."""
        encoded = sorted(
            (quote(name, safe=UNRESERVED), quote(value, safe=UNRESERVED)) for name, value in query
        )
        query_text = "&".join(f"{name}={value}" for name, value in encoded)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        content = "content-type:application/json\n" if body else ""
        signed = "content-type;host;x-amz-date" if body else "host;x-amz-date"
        # The service signs the path as it was sent, encoded once more (wire rule for all but S3).
        canonical = (
            f"{method}\n{quote(path, safe='/' + UNRESERVED)}\n{query_text}\n"
            f"{content}host:{self._host}\nx-amz-date:{stamp}\n\n{signed}\n"
            f"{hashlib.sha256(body).hexdigest() if body else EMPTY_HASH}"
        )
        scope = f"{stamp[:8]}/{self._credentials.region}/{service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        key = self._key(stamp[:8], service)
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        target = f"{path}?{query_text}" if query_text else path
        content_header = "Content-Type: application/json\r\n" if body else ""
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"{content_header}X-Amz-Date: {stamp}\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}\r\n"
            f"User-Agent: thingjobs-bench\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _key(self, day: str, service: str) -> bytes:
        key = self._keys.get((day, service))
        if key is None:
            key = f"AWS4{self._credentials.secret_key}".encode()
            for part in (day, self._credentials.region, service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._keys[(day, service)] = key
        return key
