"""Reading one object over HTTP: one GET, one deadline, a bound on what is taken in.

The server at the other end is not trusted. It may redirect, compress, drip a byte a second, promise ten
bytes and send a gigabyte. So every wait ends at one deadline, no more than a byte beyond the limit is read,
only a plain 200 with a body of known length counts, and nothing it says leads anywhere else.

``fetch`` blocks; ``Storage`` runs it on a thread.
"""

from __future__ import annotations

import io
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, NoReturn, cast

from thingjobs.domain.errors import InvalidRequest, LimitExceeded, ServiceError, ServiceUnavailable
from thingjobs.domain.presign import S3Object
from thingjobs.s3.endpoint import Endpoint, Location
from thingjobs.s3.guard import AddressRefused, Resolve, connect, time_left, vetted_addresses
from thingjobs.s3.signing import Credentials, Presigner, object_target

SIGNED_FOR_SECONDS = 300
MAX_ERROR_BODY = 8192
ROOM_FOR_HEAD = 256 * 1024
BYTES_FOR_BYTE = 8
"""What a body in chunks of one byte takes on the wire, and more."""

_ERROR_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9.]{1,64})\s*</Code>")


class ReadFailed(Exception):
    """An object that was not read: ``answer`` is for the caller, ``reason`` for the log."""

    def __init__(self, answer: ServiceError, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Where documents are read and how; ``credentials`` None reads as anybody would.

    ``system_now``: milliseconds; what is signed for ourselves has to agree with the storage's own clock.
    """

    endpoint: Endpoint
    credentials: Credentials | None
    private_network: bool
    resolve: Resolve
    tls: Callable[[], ssl.SSLContext]
    presigner: Presigner
    system_now: Callable[[], int]

    def fetch(self, named: S3Object, url: str, max_bytes: int, *, deadline: float) -> bytes:
        """The whole object. ``url`` is what the caller wrote; ``deadline`` in seconds of ``time.monotonic``.

        Errors: ReadFailed.
        """
        try:
            region = self.endpoint.signing_region(named.region)
            location = self.endpoint.location(region)
            request = _request(location, self._target(location, named, region))
            with self._connected(location, deadline) as connection:
                connection.settimeout(time_left(deadline))
                connection.sendall(request)
                incoming = _Incoming(connection, deadline, ROOM_FOR_HEAD + BYTES_FOR_BYTE * max_bytes)
                with HTTPResponse(cast(socket.socket, incoming)) as response:
                    response.begin()
                    return _body(response, url, max_bytes)
        except AddressRefused as error:
            raise ReadFailed(
                InvalidRequest(
                    f"Job document located at {url} cannot be read: "
                    f"the host of --s3-endpoint has {error.why}."
                ),
                str(error),
            ) from None
        except TimeoutError:
            raise unavailable(url, "the storage did not answer in time") from None
        except ssl.SSLError as error:
            raise unavailable(url, "TLS with the storage failed", str(error)) from None
        except (OSError, HTTPException, ValueError) as error:
            raise unavailable(url, "the connection to the storage failed", repr(error)) from None

    def _target(self, location: Location, named: S3Object, region: str) -> str:
        if self.credentials is None:
            return object_target(location, named)
        return self.presigner.target(
            location,
            self.credentials,
            named,
            region=region,
            expires_in_sec=SIGNED_FOR_SECONDS,
            now=self.system_now(),
        )

    def _connected(self, location: Location, deadline: float) -> socket.socket:
        addresses = vetted_addresses(location, private_network=self.private_network, resolve=self.resolve)
        connection = connect(addresses, deadline=deadline)
        if location.scheme == "http":
            return connection
        try:
            connection.settimeout(time_left(deadline))
            return self.tls().wrap_socket(connection, server_hostname=location.host)
        except BaseException:
            connection.close()
            raise


def unavailable(url: str, why: str, detail: str = "") -> ReadFailed:
    """What the storage, or the way to it, does not give now; asking again may help."""
    return ReadFailed(
        ServiceUnavailable(f"Job document located at {url} cannot be read now: {why}."),
        f"{why}: {detail}" if detail else why,
    )


# --- one exchange -------------------------------------------------------------------------------


def _request(location: Location, target: str) -> bytes:
    head = (
        f"GET {target} HTTP/1.1",
        f"Host: {location.authority}",
        "User-Agent: thingjobs",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*head, "")).encode("ascii")


class _Incoming(io.RawIOBase):
    """What arrives on a connection until the deadline; all that ``HTTPResponse`` asks of a socket.

    A time-out of the socket is for each wait by itself, and a drip would never meet it. ``budget`` bounds
    the bytes that arrive, whatever the framing says of them.
    """

    def __init__(self, connection: socket.socket, deadline: float, budget: int) -> None:
        self._connection = connection
        self._deadline = deadline
        self._budget = budget

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(time_left(self._deadline))
        received = self._connection.recv_into(buffer)
        self._budget -= received
        if self._budget < 0:
            raise OSError("the storage sends more than an object of this size can take")
        return received


def _body(response: HTTPResponse, url: str, max_bytes: int) -> bytes:
    """Errors: ReadFailed, OSError, HTTPException."""
    if response.status != 200:
        _refuse(response, url)
    if response.getheader("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise _unreadable(url, "it is stored with a Content-Encoding")
    if response.length is None and not response.chunked:
        raise unavailable(url, "the storage did not say how long it is")
    too_large = ReadFailed(
        LimitExceeded(f"Job document from {url} exceeds size limit {max_bytes} bytes."), "too large"
    )
    if response.length is not None and response.length > max_bytes:
        raise too_large
    content = response.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise too_large
    if response.length:
        raise unavailable(url, "the storage broke off")
    return content


def _refuse(response: HTTPResponse, url: str) -> NoReturn:
    """Errors: ReadFailed, OSError, HTTPException."""
    status = response.status
    if 300 <= status < 400:
        raise _unreadable(url, "the storage answers with a redirect, and redirects are not followed")
    found = _ERROR_CODE.search(response.read(MAX_ERROR_BODY))
    code = found[1].decode() if found else ""
    answered = f"the storage answers {status} {code}".rstrip()
    if status == 404:
        what = "Bucket specified by url:" if code == "NoSuchBucket" else "Job document located at"
        raise ReadFailed(InvalidRequest(f"{what} {url} is not found."), answered)
    if status in (401, 403):
        raise _unreadable(url, "access denied", answered)
    if status == 429 or not 400 <= status < 500:
        raise unavailable(url, answered)
    raise _unreadable(url, answered)


def _unreadable(url: str, why: str, detail: str = "") -> ReadFailed:
    return ReadFailed(InvalidRequest(f"Job document located at {url} cannot be read: {why}."), detail or why)
