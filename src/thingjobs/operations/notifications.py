"""Who must be told that a thing's pending list changed, and what they must be told.

Things with a listening device are *watched*. For each of them is remembered what its device was last
told: which executions the list had, and which was first. Whenever a transaction may have changed lists,
the lists of watched things are read again inside it and compared: a device hears of its list if the set
is another, of its next job if the first is another. Things nobody listens for cost nothing.

All of it happens on the writer's thread, so what is remembered is what was committed. Of a change to very
many things, some are compared at once and the rest in the batches that follow.

Source: Jobs developer guide, "job notifications", and its walkthrough where its prose differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from thingjobs.domain import pending
from thingjobs.domain.effects import Effect, Listed, PendingChanged, PendingNotice, VisibilityChanged
from thingjobs.domain.model import ExecutionId, JobExecution, ScopeId, ThingKey
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.store.executions import ThingName
from thingjobs.store.tx import Tx

COMPARED_AT_ONCE = 200
MAX_REMEMBERED = 100_000


class Told(NamedTuple):
    """What a device knows of its list."""

    executions: frozenset[ExecutionId]
    head: ExecutionId | None


NOTHING = Told(frozenset(), None)


class Notifier:
    """Follows the batches of the store. Its methods run on the writer's thread, inside a transaction."""

    def __init__(self, documents: DeviceDocuments, quotas: Quotas = DEFAULT_QUOTAS) -> None:
        self._documents = documents
        self._quotas = quotas
        self._watchers: dict[ThingName | ScopeId, int] = {}  # of a scope: of every thing in it
        self._begun: list[ThingName | ScopeId] = []  # in this batch, which may yet fail
        self._ended: list[ThingName | ScopeId] = []
        self._told: dict[ThingName, Told] = {}
        self._changed: dict[ThingName, None] = {}
        self._compared: dict[ThingName, Told] = {}

    # --- who listens --------------------------------------------------------------------------------

    def watch(
        self, tx: Tx, thing: ThingName, known: Told | None = None, now: int = 0
    ) -> PendingNotice | None:
        """Begin to listen for a thing.

        ``known`` is what a device that slept knew when it fell asleep; the notice is what it missed.
        """
        executions = self._lists(tx, [thing]).get(thing, [])
        missed = None if known is None else self._notice(tx, thing, known, executions, now)
        self._told.setdefault(thing, _told(executions))
        self._begin(thing)
        return missed

    def unwatch(self, thing: ThingName) -> Told:
        """Listen no more, once the batch is committed; what the device knew."""
        self._ended.append(thing)
        return self._told.get(thing, NOTHING)

    def watch_all(self, scope: ScopeId) -> None:
        """Begin to listen for every thing of a scope (a wildcard in the place of the thing name)."""
        self._begin(scope)

    def unwatch_all(self, scope: ScopeId) -> None:
        self._ended.append(scope)

    def _begin(self, watched: ThingName | ScopeId) -> None:
        self._watchers[watched] = self._watchers.get(watched, 0) + 1
        self._begun.append(watched)

    def _end(self, watched: ThingName | ScopeId) -> None:
        left = self._watchers.get(watched, 0) - 1
        if left > 0:
            self._watchers[watched] = left
            return
        self._watchers.pop(watched, None)
        things = [watched] if isinstance(watched, tuple) else [*self._told, *self._changed]
        for thing in things:
            if not self._is_watched(thing):
                self._told.pop(thing, None)
                self._changed.pop(thing, None)

    # --- following the store ------------------------------------------------------------------------

    def follow(self, tx: Tx, effects: Sequence[Effect], now: int) -> Sequence[Effect]:
        for effect in effects:
            if isinstance(effect, PendingChanged):
                self._note(effect.scope, effect.thing_names)
            elif isinstance(effect, VisibilityChanged):
                self._note(effect.scope, [name for scope, name in self._told if scope == effect.scope])
        if not self._changed:
            return ()
        things = list(islice(self._changed, COMPARED_AT_ONCE))
        lists = self._lists(tx, things)
        notices = []
        for thing in things:
            executions = lists.get(thing)
            if executions is None:  # deleted: nobody is told
                self._compared[thing] = NOTHING
                continue
            self._compared[thing] = _told(executions)
            notice = self._notice(tx, thing, self._told.get(thing), executions, now)
            if notice is not None:
                notices.append(notice)
        return notices

    def settled(self, committed: bool) -> None:
        if committed:
            self._told.update(self._compared)
            for thing in self._compared:
                self._changed.pop(thing, None)
            if len(self._told) > MAX_REMEMBERED:
                self._forget_some()
        else:
            self._documents.forget()
        for watched in self._ended if committed else self._begun:
            self._end(watched)
        self._begun, self._ended = [], []
        self._compared = {}

    def has_more(self) -> bool:
        return bool(self._changed)

    def _note(self, scope: ScopeId, names: Iterable[str]) -> None:
        if not self._watchers:
            return
        everything = scope in self._watchers
        for name in names:
            thing = (scope, name)
            if everything or thing in self._watchers:
                self._changed[thing] = None

    def _is_watched(self, thing: ThingName) -> bool:
        return thing in self._watchers or thing[0] in self._watchers

    def _notice(
        self, tx: Tx, thing: ThingName, before: Told | None, executions: Sequence[Listed], now: int
    ) -> PendingNotice | None:
        """What is owed to one who knew ``before``; one who knows nothing is told all."""
        after = _told(executions)
        if before == after:
            return None
        head_changed = before is None or before.head != after.head
        document = None
        if head_changed and executions:
            document = self._documents.text(tx, executions[0].job, now)
        return PendingNotice(
            scope=thing[0],
            thing_name=thing[1],
            at=now,
            list_changed=before is None or before.executions != after.executions,
            head_changed=head_changed,
            pending=tuple(pending.listed(executions, lambda listed: listed.job.has_windows, self._quotas)),
            document=document,
        )

    def _lists(self, tx: Tx, things: Sequence[ThingName]) -> dict[ThingName, list[Listed]]:
        """The pending lists of those of ``things`` that exist."""
        queues = tx.executions.pending_of_things(things)
        jobs = tx.jobs.facts({e.job_key for e in queues.executions}) if queues.executions else {}
        by_thing: dict[ThingKey, list[JobExecution]] = {}
        for execution in queues.executions:
            if pending.is_visible(execution, jobs[execution.job_key]):
                by_thing.setdefault(execution.thing_key, []).append(execution)
        return {
            thing: [Listed(e, jobs[e.job_key]) for e in pending.in_order(by_thing.get(key, ()))]
            for thing, key in queues.things.items()
        }

    def _forget_some(self) -> None:
        """Forget the oldest of what only a wildcard watches."""
        for thing in list(islice((t for t in self._told if t not in self._watchers), MAX_REMEMBERED // 10)):
            del self._told[thing]


def _told(executions: Sequence[Listed]) -> Told:
    head = executions[0].execution.id if executions else None
    return Told(frozenset(listed.execution.id for listed in executions), head)
