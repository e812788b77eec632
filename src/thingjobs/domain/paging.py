"""Page tokens: opaque to callers, and good only for the list, and the filters, that they were given for.

A token is no secret and proves nothing: it is checked, not trusted. What it holds is a place in an order that
the caller may see anyway.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import TypeVar, overload

from thingjobs.domain.errors import InvalidRequest

Place = str | int
Filters = Mapping[str, str | int | bool | None]

A = TypeVar("A", str, int)
B = TypeVar("B", str, int)
C = TypeVar("C", str, int)

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_INVALID = "Next token is invalid."
_CHECK_BYTES = 8
_FORMAT = 1  # raise it when the meaning of a position changes: tokens of before are then refused


def encode_token(operation: str, filters: Filters, position: tuple[Place, ...]) -> str:
    """The token of the page that begins after ``position``, the sort key of the last row given out."""
    text = json.dumps(position, separators=(",", ":")).encode()
    return urlsafe_b64encode(_check(operation, filters, text) + text).rstrip(b"=").decode()


@overload
def decode_token(operation: str, filters: Filters, token: str, kinds: tuple[type[A]]) -> tuple[A]: ...
@overload
def decode_token(
    operation: str, filters: Filters, token: str, kinds: tuple[type[A], type[B]]
) -> tuple[A, B]: ...
@overload
def decode_token(
    operation: str, filters: Filters, token: str, kinds: tuple[type[A], type[B], type[C]]
) -> tuple[A, B, C]: ...
def decode_token(operation: str, filters: Filters, token: str, kinds: tuple[type, ...]) -> tuple[Place, ...]:
    """The position in ``token``; ``kinds`` are the types of its parts, integers of 64 bits at most.

    Errors: InvalidRequest for a token that is damaged or belongs to another list.
    """
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        position = json.loads(raw[_CHECK_BYTES:])
    except (ValueError, RecursionError):
        position = None
    if not isinstance(position, list) or [type(part) for part in position] != list(kinds):
        raise InvalidRequest(_INVALID)
    if not all(_storable(part) for part in position):
        raise InvalidRequest(_INVALID)
    if encode_token(operation, filters, tuple(position)) != token:
        raise InvalidRequest(_INVALID)
    return tuple(position)


def _check(operation: str, filters: Filters, position: bytes) -> bytes:
    bound_to = json.dumps([_FORMAT, operation, sorted(filters.items())]).encode()
    return sha256(bound_to + b"\0" + position).digest()[:_CHECK_BYTES]


def _storable(part: Place) -> bool:
    """Whether a database takes it: anybody can make a token with a valid check."""
    if isinstance(part, int):
        return -(2**63) <= part < 2**63
    return not _UNSTORABLE.search(part)
