"""Connections of a few clients that come and go in any order, while the store takes its time.

Whatever happens in between, in the end the store counts exactly those listeners that the sessions call for,
every open connection is its client's only one and is told of its things, and what has ended leaves nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from random import Random
from typing import NamedTuple, cast

import pytest
from structlog.testing import capture_logs

from mqtt.pretended import PretendedTransport
from thingjobs.auth.throttle import Throttle
from thingjobs.domain.effects import PendingNotice
from thingjobs.domain.model import Scope, ScopeId
from thingjobs.mqtt.access import ByRole, Principal
from thingjobs.mqtt.connection import Connection
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.interest import Every
from thingjobs.mqtt.packets import (
    Connect,
    Disconnect,
    FilterRequest,
    Packet,
    Subscribe,
    Unsubscribe,
    Version,
)
from thingjobs.mqtt.properties import Properties
from thingjobs.operations.notifications import NOTHING, Told
from thingjobs.operations.planes import DevicePlane, Notifications
from thingjobs.store.executions import ThingName

SCOPE = Scope(ScopeId(1), "123456789012", "us-east-1")
NOTIFY = "$aws/things/t/jobs/notify"
FILTERS = (NOTIFY, "$aws/things/t/jobs/#", "$aws/things/other/jobs/notify", "$aws/things/+/jobs/notify")
SESSION_SECONDS = 100
LONG_SECONDS = 4_000.0
"""Ends every session that sleeps. Time moves only when all is quiet."""
QUIET_TURNS = 5
"""Until whatever was just said, or came due, has become a task."""
PLAYS = 1_000

CLEAN = Connect("", Version.V311, True, 60)
PERSISTENT = Connect("", Version.V311, False, 60)
HELLOS = (
    CLEAN,
    PERSISTENT,
    Connect("", Version.V5, True, 60, properties=Properties(session_expiry_interval=SESSION_SECONDS)),
    Connect("", Version.V5, False, 60, properties=Properties(session_expiry_interval=SESSION_SECONDS)),
    Connect("", Version.V5, False, 60, properties=Properties(session_expiry_interval=0)),
)


class Opens(NamedTuple):
    """A client opens a connection and says hello on it."""

    client_id: str
    hello: Connect


class Says(NamedTuple):
    """The client of the connection that was opened so many before the last says something."""

    back: int
    packet: Packet


class Goes(NamedTuple):
    """A connection ends without a word."""

    back: int


Act = Opens | Says | Goes
Step = tuple[Act, int]
"""What happens, and how many turns of the loop pass until the next step."""


def some_steps(random: Random) -> Sequence[Step]:
    """Connections, most of which are subscribed on before they end."""
    steps: list[Step] = []
    for _ in range(random.randint(3, 12)):
        back = random.choice((0, 0, 0, 0, 1, 2))
        act = random.choices((_opens, _subscribes, _unsubscribes, _leaves, _goes), (7, 6, 2, 2, 3))[0]
        steps.append((act(random, back), random.choice((0, 0, 1, 2, 5, 30))))
    return steps


def _opens(random: Random, back: int) -> Act:
    return Opens(random.choice("aab"), random.choice(HELLOS))


def _subscribes(random: Random, back: int) -> Act:
    filters = random.choices(FILTERS, k=random.randint(1, 3))
    return Says(back, Subscribe(1, tuple(FilterRequest(each, 1) for each in filters)))


def _unsubscribes(random: Random, back: int) -> Act:
    return Says(back, Unsubscribe(1, (random.choice(FILTERS),)))


def _leaves(random: Random, back: int) -> Act:
    return Says(back, Disconnect(0))


def _goes(random: Random, back: int) -> Act:
    return Goes(back)


class Loop(asyncio.SelectorEventLoop):
    """Its time stands still unless it is set."""

    now = 0.0

    def time(self) -> float:
        return self.now


class SlowStore(Notifications):
    """Counts listeners, and takes as many turns of the loop for its next answer as ``turns`` says.

    Some answers, if ``fails`` says so, are that nothing was done.
    """

    def __init__(self, turns: Iterator[int], fails: Iterator[bool]) -> None:
        self._turns = turns
        self._fails = fails
        self.listeners: Counter[str | Every] = Counter()

    async def _count(self, target: str | Every, change: int) -> None:
        fails = next(self._fails)
        if not fails:
            self.listeners[target] += change
        for _ in range(next(self._turns)):
            await asyncio.sleep(0)
        if fails:
            raise RuntimeError("on purpose")

    async def listen(self, thing: ThingName, known: Told | None = None) -> PendingNotice | None:
        await self._count(thing[1], 1)
        return None

    async def listen_no_more(self, thing: ThingName) -> Told:
        await self._count(thing[1], -1)
        return NOTHING

    async def listen_to_all(self, scope: ScopeId) -> None:
        await self._count(Every.THING, 1)

    async def listen_to_all_no_more(self, scope: ScopeId) -> None:
        await self._count(Every.THING, -1)


class Opened(NamedTuple):
    client_id: str
    version: Version
    connection: Connection
    transport: PretendedTransport

    @property
    def is_open(self) -> bool:
        return not self.transport.is_over


class Stage:
    def __init__(self, turns: Sequence[int], fails: Sequence[bool] = (False,)) -> None:
        self.store = SlowStore(cycle(turns), cycle(fails))
        no_device = cast(DevicePlane, None)  # nothing is asked for here
        self.hub = Hub(ByRole(), no_device, self.store, Throttle(None, lambda: 0.0), lambda: 0)
        self.opened: list[Opened] = []

    async def play(self, steps: Sequence[Step]) -> None:
        for act, turns in steps:
            self._do(act)
            for _ in range(turns):
                await asyncio.sleep(0)
        await self.quiet()

    def _do(self, act: Act) -> None:
        if isinstance(act, Opens):
            made = Connection(self.hub, Principal(SCOPE, "anonymous"))
            one = Opened(act.client_id, act.hello.version, made, PretendedTransport())
            self.opened.append(one)
            made.connection_made(one.transport)
            hello = act.hello
            named = Connect(act.client_id, hello.version, hello.clean_start, 60, properties=hello.properties)
            made.data_received(encode(named, hello.version))
        elif act.back < len(self.opened):
            one = self.opened[-1 - act.back]
            if one.is_open and isinstance(act, Says):
                one.connection.data_received(encode(act.packet, one.version))
            elif one.is_open:
                one.connection.connection_lost(None)

    async def quiet(self) -> None:
        for _ in range(QUIET_TURNS):
            await asyncio.sleep(0)
        while self.hub.tasks:
            await asyncio.sleep(0)

    def called_for(self) -> Counter[str | Every]:
        """The listeners that the sessions call for: of those that sleep, only those for every thing."""
        return Counter(
            thing
            for client in self.hub.clients
            for thing in client.things()
            if client.line is not None or thing is Every.THING
        )

    def check_open_connections(self) -> None:
        for one in self.opened:
            if one.is_open:
                client = self.hub.clients.find(SCOPE.id, one.client_id)
                assert client is not None
                assert client.line is one.connection
                assert not client.is_asleep
                assert all(self.store.listeners[thing] for thing in client.things())
                one.transport.written = b""
                self.hub.clients.announce(SCOPE.id, "t", NOTIFY, b"{}")
                hears = client.things() & {"t", Every.THING}
                assert one.transport.written.count(NOTIFY.encode()) == bool(hears)


def played(stage: Stage, steps: Sequence[Step], *, store_fails: bool = False) -> None:
    async def play() -> None:
        await stage.play(steps)
        stage.check_open_connections()
        if store_fails:
            return
        assert +stage.store.listeners == stage.called_for()
        for one in stage.opened:
            if one.is_open:
                one.connection.connection_lost(None)
        await stage.quiet()
        assert +stage.store.listeners == stage.called_for()
        loop.now += LONG_SECONDS
        await stage.quiet()
        assert not len(stage.hub.clients)
        assert not any(stage.store.listeners.values())

    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(play())


RETURNS_IN_ONE_PASS: Sequence[Step] = [
    (Opens("a", PERSISTENT), 9),
    (Says(0, Subscribe(1, (FilterRequest(NOTIFY, 1),))), 9),
    (Opens("a", PERSISTENT), 0),
    (Goes(1), 0),
]
"""The new connection says hello while the end of the old one is already on its way."""


@pytest.mark.parametrize("turns", [0, 3])
def test_client_that_returns_while_its_connection_ends_is_told_of_its_things(turns: int) -> None:
    played(Stage([turns]), RETURNS_IN_ONE_PASS)


def test_sessions_listen_for_what_they_call_for() -> None:
    for seed in range(PLAYS):
        random = Random(seed)
        with shown(seed, steps := some_steps(random)):
            played(Stage([random.randint(0, 6) for _ in range(8)]), steps)


def test_no_open_connection_is_deaf_though_the_store_fails() -> None:
    """What was refused ends the connection that asked, and nobody else's."""
    with capture_logs():
        for seed in range(PLAYS):
            random = Random(seed)
            with shown(seed, steps := some_steps(random)):
                turns = [random.randint(0, 6) for _ in range(8)]
                fails = [random.random() < 0.2 for _ in range(20)]
                played(Stage(turns, [*fails, False]), steps, store_fails=True)


@contextmanager
def shown(seed: int, steps: Sequence[Step]) -> Iterator[None]:
    """Say which play it was that failed."""
    try:
        yield
    except Exception as error:
        error.add_note("\n".join((f"seed {seed}", *map(str, steps))))
        raise
