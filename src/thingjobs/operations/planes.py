"""The two doors to the operations: what HTTP and MQTT call, knowing nothing of transactions.

Each takes a request in its wire shape and gives an answer that is already durable, or raises a
ServiceError.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

from thingjobs.domain.document import read_source
from thingjobs.domain.effects import PendingNotice
from thingjobs.domain.errors import OperationNotServed, ServiceUnavailable
from thingjobs.domain.model import Scope, ScopeId
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.operations.call import Call, Endpoints
from thingjobs.operations.catalog import CONTROL, Served
from thingjobs.operations.device import Command, DeviceOperations, Request, Response
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.operations.notifications import Notifier, Told
from thingjobs.operations.storage import CredentialsNeeded, NoStorage, SourceNeeded, Storage
from thingjobs.store.executions import ThingName
from thingjobs.store.store import Store
from thingjobs.store.tx import Tx

MAX_NEEDS = 3
"""How often an operation may need something from outside: a source, credentials, and those again."""


class ControlPlane:
    """Operators' requests, one operation each."""

    def __init__(
        self,
        store: Store,
        endpoints: Endpoints,
        quotas: Quotas,
        *,
        spread: bool = False,
        storage: Storage | None = None,
    ) -> None:
        """``spread``: see ``Call``."""
        self._store = store
        self._endpoints = endpoints
        self._quotas = quotas
        self._spread = spread
        self._storage = storage or NoStorage()

    async def answer(self, scope: Scope, operation_name: str, request: Any) -> Any:
        """The answer's shape, None for an empty one. Errors: ServiceError."""
        served = CONTROL.get(operation_name)
        if served is None:
            raise OperationNotServed(f"{operation_name} is not served here; GET /-/operations lists what is.")
        sources: dict[str, str] = {}
        for _ in range(MAX_NEEDS):
            try:
                return await self._run(served, scope, request, sources)
            except SourceNeeded as needed:
                quotas = self._quotas
                data = await self._storage.read(needed.named, needed.url, quotas.document_source_bytes)
                sources[needed.url] = read_source(data, needed.url, nesting=quotas.document_nesting)
            except CredentialsNeeded as needed:
                await self._storage.obtain_credentials(needed.role_arn)
        raise ServiceUnavailable("What the request needs of the storage is gone too soon; try again later.")

    def _run(
        self, served: Served, scope: Scope, request: Any, sources: Mapping[str, str]
    ) -> asyncio.Future[Any]:
        def work(tx: Tx, now: int) -> Any:
            call = Call(
                scope,
                now,
                _new_id,
                self._endpoints,
                self._quotas,
                self._spread,
                self._storage,
                sources,
            )
            return served.run(call, tx, request)

        return self._store.write(work) if served.writes else self._store.read(work)


class DevicePlane:
    """Devices' requests: those that may change something are decided in sets, the rest on a snapshot."""

    def __init__(self, store: Store, documents: DeviceDocuments, quotas: Quotas = DEFAULT_QUOTAS) -> None:
        self._store = store
        self._operations = DeviceOperations(documents, quotas)

    def submit(self, scope: ScopeId, request: Request) -> asyncio.Future[Response]:
        """The answer to come. Errors, of the call or in the answer: ServiceError."""
        command = Command(scope, request)
        if self._operations.changes(request):
            return self._store.write_item(self._operations.apply, command)
        return self._store.read(lambda tx, now: self._operations.look_up(tx, command, now))


class Notifications:
    """Who listens for which things' pending lists; the effects of commits bring what they are owed."""

    def __init__(self, store: Store, notifier: Notifier) -> None:
        self._store = store
        self._notifier = notifier

    async def listen(self, thing: ThingName, known: Told | None = None) -> PendingNotice | None:
        """Begin to listen for a thing: from the answer on no change is missed.

        ``known`` is what a device that slept knew; the notice is what it missed, if it missed something.
        """
        return await self._store.write(lambda tx, now: self._notifier.watch(tx, thing, known, now))

    async def listen_no_more(self, thing: ThingName) -> Told:
        """What the device knew."""
        return await self._store.write(lambda tx, now: self._notifier.unwatch(thing))

    async def listen_to_all(self, scope: ScopeId) -> None:
        await self._store.write(lambda tx, now: self._notifier.watch_all(scope))

    async def listen_to_all_no_more(self, scope: ScopeId) -> None:
        await self._store.write(lambda tx, now: self._notifier.unwatch_all(scope))


def _new_id() -> str:
    return str(uuid.uuid4())
