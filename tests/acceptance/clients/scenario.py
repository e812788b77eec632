"""What every real client goes through: told of a job, started it, reported progress, made a mistake, done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from fleet import Fleet

SECONDS = 20.0
"""After which a test that waits for a client library is given up."""


class Rejected(Exception):
    """A request was refused; ``code`` is the service's word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Execution(NamedTuple):
    job: str
    version: int


class JobsClient(Protocol):
    """A device's client library. It listens for its thing's next job already."""

    def told_of(self) -> str | None:
        """Wait to be told of the next job; None if there is none any more."""
        ...

    def start_next(self) -> Execution | None: ...

    def update(self, job: str, status: str, details: Mapping[str, str], expected_version: int) -> int:
        """Report; the new version. Errors: Rejected."""
        ...

    def describe_next(self) -> Execution | None: ...


def work_through(fleet: Fleet, thing: str, client: JobsClient) -> None:
    job = fleet.job(thing, document='{"op":"x","nested":{"a":[1,2]}}')
    assert client.told_of() == job
    assert client.describe_next() == Execution(job, 1)
    assert client.start_next() == Execution(job, 2)
    version = 2
    for step in range(1, 4):
        version = client.update(job, "IN_PROGRESS", {"step": str(step)}, version)
        assert version == 2 + step
        details = fleet.execution(thing, job)["statusDetails"]["detailsMap"]
        assert details == {"step": str(step)}
    try:
        client.update(job, "SUCCEEDED", {}, 1)
    except Rejected as rejected:
        assert rejected.code == "VersionMismatch"  # noqa: PT017  # the client's own kind of error
    else:
        raise AssertionError("a stale version was accepted")
    assert client.update(job, "SUCCEEDED", {"step": "done"}, version) == version + 1
    assert client.told_of() is None
    assert client.describe_next() is None
    assert client.start_next() is None
    assert fleet.execution(thing, job)["status"] == "SUCCEEDED"
    assert fleet.describe(job)["status"] == "COMPLETED"
