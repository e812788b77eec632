"""Reading a file that holds secrets: only one that nobody else can read is trusted."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class SecretFileUnusable(Exception):
    """The file cannot be read, or others can read it too; the message says how to mend it."""


def read_secret_file(path: Path) -> tuple[bytes, os.stat_result]:
    """What is in the file, and the metadata it had then.

    Errors: FileNotFoundError; SecretFileUnusable.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SecretFileUnusable(f"{path} cannot be read: {error.strerror}.") from error
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise SecretFileUnusable(
            f"{path} holds secrets and is open to other users (mode {mode:04o}). "
            f"Run: chmod 600 {path}, and replace the keys if somebody may have read them."
        )
    return content, status
