"""How long what can wait does wait for clients that are slow to take it.

An event waits in the outbox, on the disk, so it need not be pushed into the session of a client that does not
keep up. While such a client takes what it has, the rest waits for it, and so do those who listen to the same
events. It is given up as soon as nothing moves, and before one that hardly moves keeps the others waiting for
long.

Source: ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from thingjobs.mqtt.clients import Client

LADEN = 0.5
"""Share of what may wait for a client that events may fill; the rest is for messages that cannot wait."""
RELIEVED = 0.25
"""Share at which a client that was laden gets more."""
STANDSTILL_S = 10.0
"""Without an acknowledgement."""
PATIENCE_S = 60.0
"""From laden to relieved: with the limits of ``Limits`` four messages a second."""
LOOK_EVERY_S = 0.02


async def until_relieved(laden: Sequence[Client], max_queued: int) -> None:
    """Wait until each of ``laden`` is relieved, has left or was given up; ``max_queued`` as in ``Limits``."""
    await asyncio.gather(*(_relieved(client, max_queued) for client in laden))


async def _relieved(client: Client, max_queued: int) -> None:
    loop, session = asyncio.get_running_loop(), client.session
    last_sent = session.last_sent
    moved_at = began_at = loop.time()
    while client.line is not None and session.load(max_queued) > RELIEVED:
        now = loop.time()
        if session.last_sent != last_sent:
            last_sent, moved_at = session.last_sent, now
        if now >= moved_at + STANDSTILL_S or now >= began_at + PATIENCE_S:
            client.line.evict()
            return
        await asyncio.sleep(LOOK_EVERY_S)
