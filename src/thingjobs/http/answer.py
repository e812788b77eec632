"""What is sent back for one request."""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """``error_type`` goes into ``x-amzn-ErrorType``; ``close`` ends the connection afterwards."""

    status: int
    body: bytes
    error_type: str | None = None
    content_type: str = "application/json"
    close: bool = False
    retry_after_seconds: int | None = None
