"""The credentials file: who reads documents, and who signs for which role.

    [reader]                                       # optional; without it documents are read as anybody would
    access_key_id = "…"
    secret_access_key = "…"

    [[role]]                                       # presignedUrlConfig.roleArn of jobs; "*" is any other role
    role_arn = "arn:aws:iam::123456789012:role/firmware"
    access_key_id = "…"
    secret_access_key = "…"

    [[role]]                                       # the same with what STS AssumeRole gives for these keys
    role_arn = "arn:aws:iam::123456789012:role/cameras"
    access_key_id = "…"
    secret_access_key = "…"
    sts_endpoint = "https://sts.example.net"
    duration_seconds = 3600

It is read once, at the start, and refused as a whole if anything in it is wrong: a typing error must not
make a role sign with keys that were meant for another.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thingjobs.s3.endpoint import InvalidEndpoint, checked_endpoint
from thingjobs.s3.signing import Credentials
from thingjobs.secret_files import SecretFileUnusable, read_secret_file

ANY_ROLE = "*"
DEFAULT_DURATION_SECONDS = 3600


class CredentialsUnusable(Exception):
    """The credentials file cannot be used; the message names the entry, and never shows a secret."""


@dataclass(frozen=True, slots=True)
class AssumedRole:
    """A role whose credentials STS gives, asked with ``keys``."""

    role_arn: str
    keys: Credentials
    sts_endpoint: str
    duration_seconds: int


@dataclass(frozen=True, slots=True)
class Roles:
    """Who reads (None: as anybody would), and who signs, by the ARN of the role or ``ANY_ROLE``."""

    reader: Credentials | None = None
    static: Mapping[str, Credentials] = field(default_factory=dict)
    assumed: Mapping[str, AssumedRole] = field(default_factory=dict)


def read_roles(path: Path) -> Roles:
    """What the credentials file says. Errors: CredentialsUnusable."""
    try:
        content, _ = read_secret_file(path)
    except FileNotFoundError:
        raise CredentialsUnusable(f"{path} does not exist.") from None
    except SecretFileUnusable as error:
        raise CredentialsUnusable(str(error)) from None
    try:
        return _roles(_toml(content))
    except ValueError as error:
        raise CredentialsUnusable(f"{path}: {error}.") from None


def _toml(content: bytes) -> Mapping[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line \d+", str(error))  # the whole message could quote a secret
        raise ValueError(f"it is not TOML ({line[0] if line else 'at its end'})") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None


def _roles(document: Mapping[str, Any]) -> Roles:
    for name in document:
        if name not in ("reader", "role"):
            raise ValueError(f"there is no table {name!r}; it may have [reader] and [[role]]")
    entries = document.get("role", [])
    if not isinstance(entries, list):
        raise ValueError("role must be an array of tables: write [[role]]")
    static: dict[str, Credentials] = {}
    assumed: dict[str, AssumedRole] = {}
    for number, entry in enumerate(entries, 1):
        role = _checked(entry, f"role {number}", _ROLE_MEMBERS, required=("role_arn", *_KEY_MEMBERS))
        role_arn = role["role_arn"]
        if role_arn in static or role_arn in assumed:
            raise ValueError(f"role {number} has the same role_arn as another: {role_arn}")
        if "sts_endpoint" in role:
            if role_arn == ANY_ROLE:
                raise ValueError(f"role {number}: STS is asked for one role, so role_arn must not be *")
            duration = role.get("duration_seconds", DEFAULT_DURATION_SECONDS)
            assumed[role_arn] = AssumedRole(role_arn, _keys(role), role["sts_endpoint"], duration)
        elif "duration_seconds" in role:
            raise ValueError(f"role {number} has duration_seconds without sts_endpoint")
        else:
            static[role_arn] = _keys(role)
    if "reader" not in document:
        return Roles(None, static, assumed)
    reader = _checked(document["reader"], "reader", _KEY_MEMBERS, required=tuple(_KEY_MEMBERS))
    return Roles(_keys(reader), static, assumed)


def _keys(entry: Mapping[str, Any]) -> Credentials:
    return Credentials(entry["access_key_id"], entry["secret_access_key"])


# --- members ------------------------------------------------------------------------------------

_ROLE_ARN = re.compile(r"\*|arn:aws[a-z-]*:iam::\d{12}:role/.+")
_KEY = re.compile(r"[!-~]+")


def _is_key(value: object) -> bool:
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def _is_role_arn(value: object) -> bool:
    return isinstance(value, str) and _ROLE_ARN.fullmatch(value) is not None


def _is_endpoint(value: object) -> bool:
    try:
        return isinstance(value, str) and checked_endpoint(value, "us-east-1") is not None
    except InvalidEndpoint:
        return False


def _is_duration(value: object) -> bool:
    return type(value) is int and 900 <= value <= 43_200


_Members = Mapping[str, tuple[Callable[[object], bool], str]]
_KEY_MEMBERS: _Members = {
    "access_key_id": (_is_key, "text without blanks"),
    "secret_access_key": (_is_key, "text without blanks"),
}
_ROLE_MEMBERS: _Members = {
    "role_arn": (_is_role_arn, "the ARN of an IAM role, or *"),
    **_KEY_MEMBERS,
    "sts_endpoint": (_is_endpoint, "a URL like https://sts.example.net"),
    "duration_seconds": (_is_duration, "an integer from 900 to 43200"),
}


def _checked(entry: object, where: str, members: _Members, *, required: tuple[str, ...]) -> Mapping[str, Any]:
    """The entry, if its members are those it may have. Errors: ValueError that shows no value."""
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is not a table")
    for name in required:
        if name not in entry:
            raise ValueError(f"{where} has no {name}")
    for name, value in entry.items():
        if name not in members:
            raise ValueError(f"{where} has a member {name!r}, which does not exist")
        is_valid, form = members[name]
        if not is_valid(value):
            raise ValueError(f"{where}: {name} must be {form}")
    return entry
