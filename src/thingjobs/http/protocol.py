"""HTTP/1.1 as uvicorn speaks it, with bounds on what a client may send before it is somebody.

uvicorn's own answer to bytes that are not HTTP is plain text; ours has the service's shape. Its parser
gathers headers without end, and waits for them without end; ours does neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from thingjobs.http.answer import Answer

MAX_HEAD_BYTES = 65_536
"""Request line and headers together."""

HEAD_SECONDS = 30.0
"""For a new connection to send its first complete head."""


Refuse = Callable[[str], tuple[str, Answer]]
"""Gives the id of a request that is none, and its answer with status 400; counts and logs it."""


class HeadTooLarge(Exception):
    """More request line and headers than anyone needs."""


class BoundedProtocol(HttpToolsProtocol):
    def __init__(self, refuse: Refuse, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refuse = refuse
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        request_id, answer = self._refuse(msg)
        head = b"".join(b"%b: %b\r\n" % header for header in answer.headers(request_id))
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + answer.body)
        self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLarge  # the parser turns it into the 400 above

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
