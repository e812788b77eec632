"""What operations need of S3-compatible storage, and how they wait for what is not at hand.

An operation runs inside a transaction and must not wait for the network. Where it comes to need a document
source or a role's credentials, it raises; nothing of it is kept. The control plane gets what was needed and
runs the operation again, from the start: so every check comes in its order, and nothing is read for a
request that is refused anyway.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.presign import S3Object


class Storage(Protocol):
    """Signing never waits; only the two coroutines use the network."""

    @property
    def hosts(self) -> Collection[str]:
        """Names, with their ports, of the storage in URLs, beside those of Amazon."""
        ...

    def check_bucket(self, named: S3Object) -> None:
        """Errors: InvalidRequest for a bucket that is not to be used."""
        ...

    def check_role(self, role_arn: str) -> None:
        """Errors: InvalidRequest for a role that nothing can be signed with."""
        ...

    def has_credentials(self, role_arn: str, now: int) -> bool:
        """Whether the role's credentials are at hand."""
        ...

    def presigned_url(self, role_arn: str, named: S3Object, *, expires_in_sec: int, now: int) -> str | None:
        """A URL to get the object with; None, and logged, if it cannot be signed now."""
        ...

    async def obtain_credentials(self, role_arn: str) -> None:
        """Errors: ServiceUnavailable."""
        ...

    async def read(self, named: S3Object, url: str, max_bytes: int) -> bytes:
        """The object that ``url`` names. Errors: InvalidRequest, LimitExceeded, ServiceUnavailable."""
        ...


class SourceNeeded(Exception):
    """A document source has to be read before the operation can be decided."""

    def __init__(self, named: S3Object, url: str) -> None:
        super().__init__(url)
        self.named = named
        self.url = url


class CredentialsNeeded(Exception):
    """A role's credentials have to be obtained before the operation can be decided."""

    def __init__(self, role_arn: str) -> None:
        super().__init__(role_arn)
        self.role_arn = role_arn


class NoStorage:
    """None is configured: nothing is read, nothing signed."""

    hosts: Collection[str] = ()

    def check_bucket(self, named: S3Object) -> None:
        raise InvalidRequest("No storage is configured.")

    def check_role(self, role_arn: str) -> None:
        raise InvalidRequest("No storage is configured.")

    def has_credentials(self, role_arn: str, now: int) -> bool:
        return False

    def presigned_url(self, role_arn: str, named: S3Object, *, expires_in_sec: int, now: int) -> str | None:
        return None

    async def obtain_credentials(self, role_arn: str) -> None:
        raise InvalidRequest("No storage is configured.")

    async def read(self, named: S3Object, url: str, max_bytes: int) -> bytes:
        raise InvalidRequest("No storage is configured.")
