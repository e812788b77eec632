"""The listening server: uvicorn, configured once, that stops without leaving anything half done."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial

import uvicorn

from thingjobs.http.app import App
from thingjobs.http.protocol import BoundedProtocol

KEEP_ALIVE_SECONDS = 75
MAX_WEBSOCKET_MESSAGE = 262_144
SHUTDOWN_SECONDS = 10
"""For requests in hand to be answered after SIGTERM; they are then refused with 503."""
REFUSAL_SECONDS = 1.0
"""For these refusals to be sent."""


class Server(uvicorn.Server):
    """Ends ``serve`` on SIGTERM or SIGINT and returns, so that the store is closed after the last answer.

    uvicorn itself raises the signal again, which would end the process before that.
    """

    def __init__(self, app: App) -> None:
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(BoundedProtocol, app.refuse_unreadable),  # type: ignore[arg-type]  # called, no more
                ws="websockets-sansio",
                ws_max_size=MAX_WEBSOCKET_MESSAGE,
                ws_ping_interval=None,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if refused := self.server_state.tasks:
            await asyncio.wait(refused, timeout=REFUSAL_SECONDS)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def _is_news(record: logging.LogRecord) -> bool:
    """What is not HTTP is logged by the application already, with its request id."""
    return record.msg != "Invalid HTTP request received."
