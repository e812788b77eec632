"""``thingjobs simulate``: options in, exit status out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal

from rich.console import Console

from thingjobs.simulate.control_plane import CannotCreate, create_things
from thingjobs.simulate.fleet import CannotConnect, Fleet, ThingMissing
from thingjobs.simulate.options import Options
from thingjobs.simulate.view import in_words, show

Failed = (CannotCreate, CannotConnect, ThingMissing)
"""What a simulation can fail of, each with a message for the user."""


async def simulate(options: Options) -> int:
    """Run a simulation; 0 if the server refused nothing and left no request unanswered.

    Errors: ValueError for options that do not go together; ``Failed``.
    """
    until = options.check()
    console = Console(highlight=False, soft_wrap=True)
    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    if options.create:
        await create_things(options.endpoint_url, options.thing_names(), options.group)
    fleet = Fleet(options)
    view = None if options.json else asyncio.ensure_future(show(fleet, console))
    try:
        await fleet.run(until, interrupted)
    finally:
        if view is not None:
            view.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await view
    summary = await fleet.summary()
    if options.json:
        print(json.dumps(summary))
    else:
        console.print(in_words(summary))
    return 1 if fleet.tally.errors else 0
