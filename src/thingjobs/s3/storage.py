"""All that the rest of the server asks of S3: may this be signed, sign it, read it.

    storage.check_bucket(named); storage.check_role(role_arn)        a job is created: refuse what cannot work
    await storage.obtain_credentials(role_arn)
    document = await storage.read(named, url, max_bytes)
    storage.presigned_url(role_arn, named, expires_in_sec=…, now=…)  a device gets a document: from any thread

Two clocks: what devices get is dated by the service's (``now``), as all that devices see. Whether
credentials are still good, and what is signed for reading, goes by the system's, as the storage does.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from ipaddress import ip_address

import structlog

from thingjobs.domain.errors import InvalidRequest, ServiceUnavailable
from thingjobs.domain.presign import S3Object
from thingjobs.s3.endpoint import AWS, Endpoint, InvalidEndpoint, checked_endpoint, is_region
from thingjobs.s3.guard import AddressRefused, Resolve, check_address
from thingjobs.s3.reader import Reader, ReadFailed, unavailable
from thingjobs.s3.roles import ANY_ROLE, Roles
from thingjobs.s3.sessions import Assume, Sessions, assume_role
from thingjobs.s3.signing import Credentials, Presigner
from thingjobs.s3.threads import Threads

READS_AT_A_TIME = 8
MAX_REMEMBERED_URLS = 256

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is configured, as in ``Settings``; ``timeout`` in seconds for one read with all its waiting."""

    region: str
    endpoint: str | None = None
    device_endpoint: str | None = None
    buckets: Sequence[str] = ()
    private_network: bool = False
    timeout: float = 5.0


def _system_now() -> int:
    return time.time_ns() // 1_000_000


_system_tls = cache(ssl.create_default_context)


class Storage:
    """Errors of making one: InvalidEndpoint, with the name of the setting.

    ``hosts``: the lower-case ``host[:port]`` that URLs of objects may have beside those of AWS. An endpoint
    with a path in front of the bucket is none of them: its URLs would read as another bucket.
    """

    hosts: Sequence[str]

    def __init__(
        self,
        options: Options,
        roles: Roles,
        *,
        resolve: Resolve = socket.getaddrinfo,
        tls: Callable[[], ssl.SSLContext] = _system_tls,
        assume: Assume | None = None,
        system_now: Callable[[], int] = _system_now,
    ) -> None:
        if not is_region(options.region):
            raise InvalidEndpoint(f"--s3-region: {options.region!r} is not the name of a region.")
        endpoint = _endpoint("--s3-endpoint", options.endpoint, options.region)
        device = _endpoint("--s3-device-endpoint", options.device_endpoint, options.region)
        locations = [each.location(options.region) for each in (endpoint, device) if each is not None]
        self.hosts = tuple(dict.fromkeys(each.authority for each in locations if not each.prefix))
        self._endpoint_of_devices = device or endpoint or checked_endpoint(AWS, options.region)
        self._buckets = [re.compile(translate(pattern)) for pattern in options.buckets]
        self._timeout = options.timeout
        self._static = roles.static
        self._assumed = roles.assumed
        self._presigner = Presigner()
        self._remembered: dict[tuple[str, S3Object, int, int, Credentials], str] = {}
        self._reader: Reader | None = None
        if endpoint is not None:
            _check_literal(locations[0].host, private_network=options.private_network)
            self._reader = Reader(
                endpoint=endpoint,
                credentials=roles.reader,
                private_network=options.private_network,
                resolve=resolve,
                tls=tls,
                presigner=self._presigner,
                system_now=system_now,
            )
        self._threads = Threads(READS_AT_A_TIME, "s3")
        self._sessions: Sessions | None = None
        if roles.assumed:
            assume = assume or assume_role(options.region, options.timeout)
            self._sessions = Sessions(
                roles.assumed.values(), assume, system_now=system_now, timeout=options.timeout
            )
        self._renewing: asyncio.Task[None] | None = None

    # --- when a job is created ------------------------------------------------------------------

    def check_bucket(self, named: S3Object) -> None:
        """Errors: InvalidRequest if the bucket is none of ``--s3-buckets`` or no URL can name the object."""
        refusal = self._refusal(named)
        if refusal is not None:
            raise InvalidRequest(refusal)

    def check_role(self, role_arn: str) -> None:
        """Errors: InvalidRequest if the role has no credentials: nothing could ever be signed for it."""
        if not self._is_configured(role_arn):
            raise InvalidRequest(
                f"Given role {role_arn} cannot sign S3 urls: the file of --s3-credentials has no such role."
            )

    def has_credentials(self, role_arn: str, now: int) -> bool:
        """Whether the role can sign at once; ``now`` does not count: sessions end by the system's clock."""
        return self._credentials(role_arn) is not None

    async def obtain_credentials(self, role_arn: str) -> None:
        """Have credentials of the role at hand. Errors: ServiceUnavailable."""
        if self._sessions is not None and role_arn in self._assumed:
            await self._sessions.obtain(role_arn)
        elif not self._is_configured(role_arn):
            raise ServiceUnavailable(f"There are no credentials for role {role_arn}.")

    async def read(self, named: S3Object, url: str, max_bytes: int) -> bytes:
        """The object, whole. ``url`` is what the caller wrote, for the sentences of a refusal.

        Errors: InvalidRequest if it is not there, or not to be read by us; LimitExceeded if it is larger than
                ``max_bytes``; ServiceUnavailable if it cannot be read now.
        Source: sentences as observed by others on the service (unverified by us); those that AWS cannot
                give, such as a time-out, are ours.
        """
        reader = self._reader
        if reader is None:
            raise InvalidRequest(
                f"Job document located at {url} cannot be read: this server reads from no storage. "
                "Name it with --s3-endpoint."
            )
        self.check_bucket(named)
        deadline = time.monotonic() + self._timeout
        try:
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._threads.run(
                        lambda: reader.fetch(named, url, max_bytes, deadline=deadline)
                    )
            except TimeoutError:
                raise unavailable(url, "the storage did not answer in time") from None
        except ReadFailed as failed:
            (log.warning if isinstance(failed.answer, ServiceUnavailable) else log.info)(
                "s3_read_failed", bucket=named.bucket, key=named.key, reason=failed.reason
            )
            raise failed.answer from None

    # --- when a device gets a document ------------------------------------------------------------

    def presigned_url(self, role_arn: str, named: S3Object, *, expires_in_sec: int, now: int) -> str | None:
        """A URL with which anyone can GET the object until ``expires_in_sec`` after ``now``; from any thread.

        None if it cannot be signed now: no credentials at hand, or the bucket is not allowed (any more).

        Units:  ``now`` in milliseconds of the service's clock.
        """
        credentials = self._credentials(role_arn)
        if credentials is None:
            return None
        known = (role_arn, named, expires_in_sec, now // 1000, credentials)
        url = self._remembered.get(known)
        if url is None:
            if self._refusal(named) is not None:
                return None
            url = self._signed(credentials, named, expires_in_sec, now)
            if len(self._remembered) >= MAX_REMEMBERED_URLS:
                self._remembered.clear()
            self._remembered[known] = url
        return url

    def _signed(self, credentials: Credentials, named: S3Object, expires_in_sec: int, now: int) -> str:
        endpoint = self._endpoint_of_devices
        region = endpoint.signing_region(named.region)
        location = endpoint.location(region)
        target = self._presigner.target(
            location, credentials, named, region=region, expires_in_sec=expires_in_sec, now=now
        )
        return location.origin + target

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Ask STS for each of its roles, once and at most for the time-out; then keep the sessions fresh."""
        if self._sessions is not None:
            await self._sessions.renew_due()
            self._renewing = asyncio.create_task(self._sessions.run(), name="s3 credentials")

    async def stop(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    # --- rules ------------------------------------------------------------------------------------

    def _is_configured(self, role_arn: str) -> bool:
        return role_arn in self._assumed or role_arn in self._static or ANY_ROLE in self._static

    def _credentials(self, role_arn: str) -> Credentials | None:
        if self._sessions is not None and role_arn in self._assumed:
            return self._sessions.credentials(role_arn)
        return self._static.get(role_arn) or self._static.get(ANY_ROLE)

    def _refusal(self, named: S3Object) -> str | None:
        """Why no request and no URL may name this object; None if they may."""
        if not _BUCKET.fullmatch(named.bucket):
            return f"{named.bucket!r} is not the name of a bucket."
        if not any(pattern.match(named.bucket) for pattern in self._buckets):
            return f"Bucket {named.bucket} is not allowed by --s3-buckets."
        if named.region is not None and not is_region(named.region.lower()):
            return f"{named.region!r} is not the name of a region."
        if any(segment in (".", "..") for segment in named.key.split("/")):
            return f"Key {named.key!r} has a segment . or .., which clients and proxies take out of a URL."
        if _HALF_A_PAIR.search(named.key + (named.version_id or "")):
            return "The key is not valid Unicode."
        return None


_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def _endpoint(setting: str, text: str | None, region: str) -> Endpoint | None:
    try:
        return None if text is None else checked_endpoint(text, region)
    except InvalidEndpoint as error:
        raise InvalidEndpoint(f"{setting}: {error}.") from None


def _check_literal(host: str, *, private_network: bool) -> None:
    """Refuse an address at the start that would be refused at every read. A name is judged at each read."""
    try:
        ip_address(host)
    except ValueError:
        return
    try:
        check_address(host, private_network=private_network)
    except AddressRefused as error:
        raise InvalidEndpoint(f"--s3-endpoint: {error}.") from None
