"""Access keys: who may sign control-plane and device-plane requests, kept in one file of mode 0600.

The server reads the file while the command line edits it. An edit holds an flock on a lock file beside it
and replaces the file in one rename, so a reader sees the old keys or the new ones, never a half. A reader
looks at the file's metadata at most once a second, and sooner, within bounds, when asked for an id it
does not know.

A file that cannot be trusted (readable by others, not what we wrote) is refused as a whole and stays refused
until it is mended: nobody is let in on a guess.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import string
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from thingjobs.domain.errors import UnrecognizedClient
from thingjobs.secret_files import SecretFileUnusable, read_secret_file

DEFAULT_ACCOUNT = "123456789012"
FILE_NAME = "access-keys.json"

LOOK_EVERY_S = 1.0
LOOK_FOR_UNKNOWN_EVERY_S = 0.05
"""An unknown id may make us look at the file sooner, but strangers must not keep us busy with it."""

_ID_ALPHABET = string.ascii_uppercase + "234567"
_SECRET_ALPHABET = string.ascii_letters + string.digits


class Role(StrEnum):
    ADMIN = "admin"
    READ_ONLY = "read-only"


_READING = ("Describe", "List", "Get")


def may(role: Role, operation_name: str) -> bool:
    """Whether ``role`` may call the operation, named as in the service model (``DescribeJob``).

    Reading on the device plane is Describe… and Get…: it has no List… operation.
    """
    return role is Role.ADMIN or operation_name.startswith(_READING)


@dataclass(frozen=True, slots=True)
class AccessKey:
    access_key_id: str
    secret: str = field(repr=False)
    account: str
    role: Role
    created_at: int
    disabled: bool
    description: str


class AccessKeysUnusable(Exception):
    """The file of access keys cannot be trusted; the message says how to mend it."""


class AccessKeyNotFound(LookupError):
    def __init__(self, access_key_id: str) -> None:
        super().__init__(f"There is no access key {access_key_id}.")


class AccessKeys:
    """The access keys in ``path``. A missing file holds no keys."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.edition = 0
        """How often the file was read, because it had changed."""
        self._path = path
        self._monotonic = monotonic
        self._look_at = self._look_for_unknown_at = float("-inf")
        self._seen: _Fingerprint | None = None
        self._keys: Mapping[str, AccessKey] = {}
        self._unusable: str | None = None

    # --- asking -----------------------------------------------------------------------------------

    def find(self, access_key_id: str) -> AccessKey | None:
        """The key of this id, enabled or not; almost always answered from memory.

        Errors: AccessKeysUnusable.
        """
        now = self._monotonic()
        if now >= self._look_at:
            self._look(now)
        key = self._keys.get(access_key_id)
        if key is None and now >= self._look_for_unknown_at:
            self._look(now)
            key = self._keys.get(access_key_id)
        self._check_usable()
        return key

    def usable(self, access_key_id: str) -> AccessKey:
        """The enabled key of this id.

        Errors: UnrecognizedClient for an unknown or disabled key, in the same words; AccessKeysUnusable.
        """
        key = self.find(access_key_id)
        if key is None or key.disabled:
            raise UnrecognizedClient("The security token included in the request is invalid.")
        return key

    def list(self) -> Sequence[AccessKey]:
        """All keys as the file has them now, oldest first.

        Errors: AccessKeysUnusable.
        """
        self._look(self._monotonic())
        self._check_usable()
        return tuple(self._keys.values())

    # --- editing ----------------------------------------------------------------------------------

    def ensure_admin(self, now_ms: int) -> AccessKey | None:
        """The oldest enabled admin key; a missing file is begun with one. None if all were disabled.

        Errors: AccessKeysUnusable.
        """
        with self._locked():
            if not self._path.exists():
                key = _new_key(Role.ADMIN, DEFAULT_ACCOUNT, "made at the first start", now_ms)
                self._replace([key])
            keys = self.list()
        return next((key for key in keys if key.role is Role.ADMIN and not key.disabled), None)

    def create(
        self, *, role: Role, now_ms: int, account: str = DEFAULT_ACCOUNT, description: str = ""
    ) -> AccessKey:
        """Make a key; its secret is in the answer and in the file, nowhere else.

        Errors: ValueError if ``account`` is not 12 digits; AccessKeysUnusable.
        """
        if not _is_account(account):
            raise ValueError(f"An account is 12 digits, not {account!r}.")
        key = _new_key(role, account, description, now_ms)
        with self._locked():
            self._replace([*self.list(), key])
        return key

    def disable(self, access_key_id: str) -> AccessKey:
        """Refuse the key from now on; running servers follow within a second. Disabling twice is no error.

        Errors: AccessKeyNotFound; AccessKeysUnusable.
        """
        with self._locked():
            keys = {key.access_key_id: key for key in self.list()}
            if access_key_id not in keys:
                raise AccessKeyNotFound(access_key_id)
            keys[access_key_id] = replace(keys[access_key_id], disabled=True)
            self._replace(list(keys.values()))
        return keys[access_key_id]

    # --- the file ---------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        """Read the file again if its metadata changed."""
        self._look_at = now + LOOK_EVERY_S
        self._look_for_unknown_at = now + LOOK_FOR_UNKNOWN_EVERY_S
        try:
            seen = _fingerprint(os.stat(self._path))
        except FileNotFoundError:
            seen = None
        if seen == self._seen:
            return
        try:
            self._keys, self._seen = _read(self._path)
            self._unusable = None
            self.edition += 1
        except AccessKeysUnusable as error:
            self._keys, self._seen, self._unusable = {}, seen, str(error)

    def _check_usable(self) -> None:
        if self._unusable is not None:
            raise AccessKeysUnusable(self._unusable)

    def _replace(self, keys: Sequence[AccessKey]) -> None:
        """Write the file anew beside itself and put it in place; the caller holds the lock."""
        entries = [{f.name: getattr(key, f.name) for f in fields(key)} for key in keys]
        text = json.dumps({"version": 1, "keys": entries}, indent=2) + "\n"
        temporary = self._path.with_name(f".{self._path.name}.new")
        temporary.unlink(missing_ok=True)  # of an edit that died half way
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        _sync_directory(self._path.parent)
        self._look(self._monotonic())  # an editor sees its own edit at once

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold off other editors. The lock file stays: removing it would let two of them in."""
        lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


_Fingerprint = tuple[int, int, int, int, int]


def _fingerprint(status: os.stat_result) -> _Fingerprint:
    """What changes when the file is replaced or edited, or when its permissions are mended."""
    return (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_mode)


def _read(path: Path) -> tuple[Mapping[str, AccessKey], _Fingerprint | None]:
    try:
        content, status = read_secret_file(path)
    except FileNotFoundError:
        return {}, None
    except SecretFileUnusable as error:
        raise AccessKeysUnusable(str(error)) from error
    try:
        keys = _keys_from_json(content)
    except ValueError as error:
        raise AccessKeysUnusable(
            f"{path} is damaged ({error}). Restore it from a backup, or move it away to begin with new keys."
        ) from None
    return keys, _fingerprint(status)


def _keys_from_json(content: bytes) -> Mapping[str, AccessKey]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None  # the parser's own message could quote a secret
    if not isinstance(document, dict) or document.get("version") != 1:
        raise ValueError("it is not an object of version 1")
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ValueError("it has no list of keys")
    keys = [_key_from_entry(entry, number) for number, entry in enumerate(entries, 1)]
    by_id = {key.access_key_id: key for key in keys}
    if len(by_id) < len(keys):
        raise ValueError("two keys have the same access_key_id")
    return by_id


_MEMBERS: Mapping[str, Callable[[Any], bool]] = {
    "access_key_id": lambda value: isinstance(value, str) and value != "",
    "secret": lambda value: isinstance(value, str) and value != "",
    "account": lambda value: isinstance(value, str) and _is_account(value),
    "role": lambda value: value in list(Role),
    "created_at": lambda value: type(value) is int,
    "disabled": lambda value: type(value) is bool,
    "description": lambda value: isinstance(value, str),
}


def _key_from_entry(entry: object, number: int) -> AccessKey:
    if not isinstance(entry, dict) or entry.keys() != _MEMBERS.keys():
        raise ValueError(f"key {number} does not have exactly the members {', '.join(_MEMBERS)}")
    for member, is_valid in _MEMBERS.items():
        if not is_valid(entry[member]):
            raise ValueError(f"key {number} has an invalid {member}")
    return AccessKey(**{**entry, "role": Role(entry["role"])})


def _is_account(text: str) -> bool:
    return len(text) == 12 and text.isascii() and text.isdigit()


def _new_key(role: Role, account: str, description: str, now_ms: int) -> AccessKey:
    return AccessKey(
        access_key_id="AKIA" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(16)),
        secret="".join(secrets.choice(_SECRET_ALPHABET) for _ in range(40)),
        account=account,
        role=role,
        created_at=now_ms,
        disabled=False,
        description=description,
    )


def _sync_directory(directory: Path) -> None:
    """Make a rename in ``directory`` survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
