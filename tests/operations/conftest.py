"""A transaction on a database in memory, and a caller in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from factories import Device, a_call, memory_database
from thingjobs.operations.call import Call
from thingjobs.operations.device import DeviceOperations
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.store.tx import Tx


@pytest.fixture
def tx() -> Iterator[Tx]:
    database = memory_database()
    transaction = Tx(database)
    transaction.begin()
    yield transaction
    transaction.rollback()
    database.connection.close()


@pytest.fixture
def call(tx: Tx) -> Call:
    """In account 123456789012 and us-east-1, at ``factories.NOW``."""
    return a_call(tx)


@pytest.fixture
def device(tx: Tx, call: Call) -> Callable[[str], Device]:
    operations = DeviceOperations(DeviceDocuments())
    return lambda thing_name: Device(tx, call, thing_name, operations)
