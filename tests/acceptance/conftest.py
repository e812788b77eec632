"""One development server for all tests of a module, each test with names of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from fleet import Fleet
from servers import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``thingjobs dev`` with a manual clock."""
    with Server(tmp_path_factory.mktemp("server") / "data", "--clock", "manual") as running:
        yield running


@pytest.fixture(scope="session")
def unique() -> Callable[[str], str]:
    """A name that no other test of the session has."""
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}-{next(numbers)}"


@pytest.fixture(scope="module")
def fleet(server: Server, unique: Callable[[str], str]) -> Fleet:
    return Fleet(server, unique)
