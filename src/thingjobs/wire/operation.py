"""What an operation is on the wire: where it is found, and what its request and answer carry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from msgspec import Struct


class Plane(StrEnum):
    """The two services behind one host; they share some paths."""

    CONTROL = "control"
    DEVICE = "device"


class Reader(Enum):
    """How the text of a path, query or header value is read."""

    STRING = "String"
    LONG = "Long"
    BOOLEAN = "Boolean"


@dataclass(frozen=True, slots=True)
class Param:
    """A request member outside the body: called ``name`` in the URI or header, ``member`` in the request."""

    name: str
    member: str
    reader: Reader


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service model. ``request`` is None while we have no shapes for it."""

    plane: Plane
    name: str
    method: str
    uri: str
    request: type[Struct] | None = None
    response: type[Struct] | None = None
    path: tuple[Param, ...] = ()
    query: tuple[Param, ...] = ()
    header: tuple[Param, ...] = ()
    has_body: bool = False
