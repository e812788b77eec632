"""Logs: an event's name with fields, one line each, on standard error.

What libraries log through ``logging`` takes the same form, with the logger's name as ``logger``.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import structlog


class Lines:
    """Writes lines to a file descriptor and never fails: a disk may fill and a reader may go away.

    Lines that could not be written are lost, and counted in ``lost``. Before the first one that can be,
    ``notice`` is written: a line that says how many were lost just now. It may be used by any thread.
    """

    def __init__(self, descriptor: int, notice: Callable[[int], str]) -> None:
        self.lost = 0
        self._descriptor = descriptor
        self._notice = notice
        self._lost_just_now = 0
        self._cut = False
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        """``line`` has its line feed."""
        with self._lock:
            if self._lost_just_now and self._put(self._notice(self._lost_just_now)):
                self._lost_just_now = 0
            if self._lost_just_now or not self._put(line):
                self._lost_just_now += 1
                self.lost += 1

    def flush(self) -> None:
        """Nothing is held back."""

    def _put(self, line: str) -> bool:
        data = line.encode("utf-8", "backslashreplace")
        if self._cut:  # by a disk that filled up in the middle of a line
            data = b"\n" + data
        rest = data
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            if len(rest) < len(data):
                self._cut = True
            return False
        self._cut = False
        return True


def configure(level: str, log_format: str) -> Lines:
    """``level`` is a name of ``logging``; ``log_format`` json, console, or auto (console on a terminal)."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    common: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=terminal)]
        if log_format == "console" or (log_format == "auto" and terminal)
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_to_json)]
    )
    log = structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[*common, *rendering], wrapper_class=structlog.BoundLogger
    )

    def notice(lost: int) -> str:
        line = log.warning("log_lines_lost", lines=lost)
        return f"{line}\n"

    lines = Lines(_descriptor(), notice)
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*common, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(lines),  # type: ignore[arg-type]  # writes and flushes only
        cache_logger_on_first_use=True,
    )
    _take_libraries(lines, common, rendering)
    return lines


def _descriptor() -> int:
    """Standard error's; a program may be started without one."""
    return os.open(os.devnull, os.O_WRONLY) if sys.stderr is None else sys.stderr.fileno()


def _take_libraries(lines: Lines, common: list[Any], rendering: list[Any]) -> None:
    """Have all that is logged through ``logging``, and warnings of Python, look like our own lines."""
    handler = logging.StreamHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _to_json(event: dict[str, Any], **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()
