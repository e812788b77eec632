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

    def headers(self, request_id: str) -> list[tuple[bytes, bytes]]:
        """Those that an answer has, whoever writes them."""
        headers = [
            (b"content-type", self.content_type.encode()),
            (b"content-length", str(len(self.body)).encode()),
            (b"x-amzn-requestid", request_id.encode()),
        ]
        if self.error_type is not None:
            headers.append((b"x-amzn-errortype", self.error_type.encode()))
        if self.close:
            headers.append((b"connection", b"close"))
        if self.retry_after_seconds is not None:
            headers.append((b"retry-after", str(self.retry_after_seconds).encode()))
        return headers
