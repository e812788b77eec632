"""How a command of ``thingjobs jobs`` ends: one table of exit codes, one line for what went wrong."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Exit(IntEnum):
    DONE = 0
    ERROR = 1
    USAGE = 2
    PARTLY = 3
    CANCELED = 4
    DELETED = 5
    TIMED_OUT = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANING: Mapping[Exit, str] = {
    Exit.DONE: "done; of a watched job: COMPLETED, and every execution succeeded or was removed",
    Exit.ERROR: "the service refused or could not be reached",
    Exit.USAGE: "the command line is wrong; nothing was asked for",
    Exit.PARTLY: "the watched job is COMPLETED; executions failed, timed out, were rejected or canceled",
    Exit.CANCELED: "the watched job is CANCELED, by somebody or by its abort criteria",
    Exit.DELETED: "the watched job was deleted meanwhile",
    Exit.TIMED_OUT: "the watched job is not over after `--timeout` seconds",
    Exit.INTERRUPTED: "Ctrl-C",
    Exit.BROKEN_PIPE: "whoever read the output went away",
}


class Failure(Exception):
    """Something a command fails of; the message is for the user."""

    exit = Exit.ERROR


class WrongUsage(Failure):
    """What was typed makes no sense by itself; no server is needed to see it."""

    exit = Exit.USAGE


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """The command, which says of what it fails in one line and ends with its exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Failure as failure:
            print(f"thingjobs: {' '.join(str(failure).split())}", file=sys.stderr)
            raise SystemExit(failure.exit) from None
        except BrokenPipeError:
            # What is left in the buffer must go somewhere, or the interpreter complains when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(Exit.BROKEN_PIPE) from None

    return run
