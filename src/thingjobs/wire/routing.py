"""From a method and a raw path to an operation."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from thingjobs.domain.errors import InvalidRequest, MethodNotAllowed, UnknownOperation
from thingjobs.wire.operation import Operation, Plane
from thingjobs.wire.routes import OPERATIONS


class Match(NamedTuple):
    """An operation, and the text of the labels in its path."""

    operation: Operation
    path_params: dict[str, str]


def route(plane: Plane, method: str, raw_path: bytes, prefix: str = "") -> Match:
    """The operation of ``plane`` that a request line asks for.

    The path is split before it is decoded, so ``%2F`` never separates. A literal segment wins over a label of
    the same method: ``$next`` is a job id to describe, and a literal to start.
    """
    path = raw_path.removeprefix(prefix.encode()) if prefix else raw_path
    if not path.startswith(b"/") or (prefix and len(path) == len(raw_path)):
        raise UnknownOperation(f"No operation has the path {_shown(raw_path)}.")
    segments = [_decoded(segment) for segment in path[1:].split(b"/")]
    tree = _TREES[plane].get(method)
    leaf = tree.find(segments, 0) if tree else None
    if leaf is not None:
        return Match(leaf.operation, leaf.labels_of(segments))
    for other, trees in _TREES.items():
        if method in trees and (leaf := trees[method].find(segments, 0)) is not None:
            # Its path may exist here too, with other methods: still nothing here is meant by it.
            raise UnknownOperation(
                f"{leaf.operation.name} is an operation of the {other} plane, not of the {plane} plane."
            )
    if any(other.find(segments, 0) for other in _TREES[plane].values()):
        raise MethodNotAllowed(f"{method} is not allowed on {_shown(raw_path)}.")
    raise UnknownOperation(f"No operation has the path {_shown(raw_path)}.")


def operation_named(plane: Plane, name: str) -> Operation:
    """The operation with this name; both planes have a DescribeJobExecution."""
    return _BY_NAME[plane, name]


def _decoded(segment: bytes) -> str:
    try:
        return (unquote_to_bytes(segment) if b"%" in segment else segment).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The path is not valid UTF-8.") from None


def _shown(raw_path: bytes) -> str:
    return raw_path.decode("ascii", "backslashreplace")


class _Leaf:
    """An operation at the end of a path, and where in the path its labels stand."""

    def __init__(self, operation: Operation) -> None:
        parts = operation.uri[1:].split("/")
        self.operation = operation
        self.labels = [(part[1:-1], at) for at, part in enumerate(parts) if part.startswith("{")]
        self.greedy = bool(self.labels) and self.labels[-1][0].endswith("+")

    def labels_of(self, segments: list[str]) -> dict[str, str]:
        if not self.greedy:
            return {name: segments[at] for name, at in self.labels}
        *single, (name, start) = self.labels
        return {**{label: segments[at] for label, at in single}, name[:-1]: "/".join(segments[start:])}


class _Tree:
    """The paths of one method. A greedy label (``{arn+}``) takes all that is left."""

    def __init__(self) -> None:
        self.literals: dict[str, _Tree] = {}
        self.label: _Tree | None = None
        self.leaf: _Leaf | None = None
        self.greedy: _Leaf | None = None

    def add(self, operation: Operation) -> None:
        node = self
        for part in operation.uri[1:].split("/"):
            if part.endswith("+}"):
                node.greedy = _Leaf(operation)
                return
            if part.startswith("{"):
                node.label = node.label or _Tree()
                node = node.label
            else:
                node = node.literals.setdefault(part, _Tree())
        node.leaf = _Leaf(operation)

    def find(self, segments: list[str], at: int) -> _Leaf | None:
        if at == len(segments):
            return self.leaf
        segment = segments[at]
        literal = self.literals.get(segment)
        found = literal.find(segments, at + 1) if literal else None
        if found is None and segment:
            if self.label:
                found = self.label.find(segments, at + 1)
            found = found or self.greedy
        return found


def _trees() -> dict[Plane, dict[str, _Tree]]:
    trees: dict[Plane, dict[str, _Tree]] = {plane: {} for plane in Plane}
    for operation in OPERATIONS:
        trees[operation.plane].setdefault(operation.method, _Tree()).add(operation)
    return trees


_TREES = _trees()
_BY_NAME = {(operation.plane, operation.name): operation for operation in OPERATIONS}
