"""One development server for all tests of a module, each test with names of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from fleet import Fleet
from s3_server import S3Server
from servers import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``thingjobs dev`` with a manual clock, and room for the jobs of all tests of a module."""
    data = tmp_path_factory.mktemp("server") / "data"
    room = [f"--quota.{name}=100000" for name in ("active_snapshot_jobs", "active_continuous_jobs")]
    with Server(data, "--clock", "manual", "--quota.concurrent_jobs=100000", *room) as running:
        yield running


@pytest.fixture(scope="session")
def unique() -> Callable[[str], str]:
    """A name that no other test of the session has."""
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}-{next(numbers)}"


@pytest.fixture(scope="module")
def fleet(server: Server, unique: Callable[[str], str]) -> Fleet:
    return Fleet(server, unique)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Real storage for the tests of all modules, each with a bucket of its own."""
    with S3Server(tmp_path_factory.mktemp("s3") / "data") as running:
        yield running
