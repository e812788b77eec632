"""Threads for calls that block: a few at a time, and none of them holds up the end of the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """At most ``size`` calls at a time; more of them wait in line.

    Each call has a daemon thread of its own. The pool of the standard library would wait at the exit for
    a call that hangs, and a name that does not resolve can hang for longer than any time-out of ours. A
    caller may give up waiting; the place is free again only when the call has ended.
    """

    def __init__(self, size: int, name: str) -> None:
        self._free = asyncio.Semaphore(size)
        self._name = name

    async def run(self, call: Callable[[], T]) -> T:
        """What ``call`` gives or raises."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def ended(result: T | None, error: Exception | None) -> None:
            self._free.release()
            if answer.done():
                return  # nobody waits for it any more
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)  # type: ignore[arg-type]  # None only where T allows it

        def body() -> None:
            result, error = None, None
            try:
                result = call()
            except Exception as raised:
                error = raised
            with suppress(RuntimeError):  # the loop is closed: the server ended meanwhile
                loop.call_soon_threadsafe(ended, result, error)

        try:
            threading.Thread(target=body, name=self._name, daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self._free.release()
            raise
        return await answer
