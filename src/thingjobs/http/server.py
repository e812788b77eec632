"""The listening server: uvicorn, configured once, that stops without leaving anything half done."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

from thingjobs.http.protocol import BoundedProtocol

KEEP_ALIVE_SECONDS = 75
MAX_WEBSOCKET_MESSAGE = 262_144
SHUTDOWN_SECONDS = 10
"""For requests in hand to be answered after SIGTERM; their connections are then closed."""


class Server(uvicorn.Server):
    """Ends ``serve`` on SIGTERM or SIGINT and returns, so that the store is closed after the last answer.

    uvicorn itself raises the signal again, which would end the process before that.
    """

    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
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
