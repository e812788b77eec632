"""What stands for a socket where a test looks at connections from within."""

from __future__ import annotations

import asyncio


class PretendedTransport(asyncio.Transport):
    """Keeps what is written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.is_over = True

    def abort(self) -> None:
        self.is_over = True
