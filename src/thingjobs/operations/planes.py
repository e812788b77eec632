"""The two doors to the operations: what HTTP and MQTT call, knowing nothing of transactions.

Each takes a request in its wire shape and gives an answer that is already durable, or raises a
ServiceError.
"""

from __future__ import annotations

import uuid
from typing import Any, cast

from thingjobs.domain.errors import OperationNotServed
from thingjobs.domain.model import Scope, ScopeId
from thingjobs.operations.call import Call, Endpoints
from thingjobs.operations.catalog import CONTROL
from thingjobs.operations.device import Command, DeviceOperations, Request, Response
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.store.store import Store
from thingjobs.store.tx import Tx


class ControlPlane:
    """Operators' requests, one operation each."""

    def __init__(self, store: Store, endpoints: Endpoints) -> None:
        self._store = store
        self._endpoints = endpoints

    async def answer(self, scope: Scope, operation_name: str, request: Any) -> Any:
        """The answer's shape, None for an empty one. Errors: ServiceError."""
        served = CONTROL.get(operation_name)
        if served is None:
            raise OperationNotServed(f"{operation_name} is not served here; GET /-/operations lists what is.")
        run = served.run

        def work(tx: Tx, now: int) -> Any:
            return run(Call(scope, now, _new_id, self._endpoints), tx, request)

        return await (self._store.write(work) if served.writes else self._store.read(work))


class DevicePlane:
    """Devices' requests: those that may change something are decided in sets, the rest on a snapshot."""

    def __init__(self, store: Store, documents: DeviceDocuments) -> None:
        self._store = store
        self._operations = DeviceOperations(documents)

    async def answer(self, scope: ScopeId, request: Request) -> Response:
        """Errors: ServiceError."""
        command = Command(scope, request)
        if self._operations.changes(request):
            return cast(Response, await self._store.write_item(self._operations.apply, command))
        return await self._store.read(lambda tx, now: self._operations.look_up(tx, command, now))


def _new_id() -> str:
    return str(uuid.uuid4())
