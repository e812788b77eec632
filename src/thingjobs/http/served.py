"""Which operations of the two service models are served, and to whom: read off the table of dispatch."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from thingjobs.auth.keys import Role, may
from thingjobs.operations.catalog import CONTROL, DEVICE
from thingjobs.wire.operation import Operation, Plane
from thingjobs.wire.routes import OPERATIONS

SERVICES = {Plane.CONTROL: "iot", Plane.DEVICE: "iot-jobs-data"}


class Listed(Struct, frozen=True):
    """An operation as ``GET /-/operations`` shows it.

    ``uri`` is the path with its placeholders; ``role`` is the least one that may call, None if it is
    not served.
    """

    service: str
    name: str
    plane: Plane
    method: str
    uri: str
    served: bool
    role: Role | None


def is_served(operation: Operation) -> bool:
    return operation.name in (CONTROL if operation.plane is Plane.CONTROL else DEVICE)


def listed() -> Sequence[Listed]:
    """Every operation of both models, those of the control plane first, by name."""
    return [
        Listed(
            service=SERVICES[operation.plane],
            name=operation.name,
            plane=operation.plane,
            method=operation.method,
            uri=operation.uri,
            served=is_served(operation),
            role=_least_role(operation) if is_served(operation) else None,
        )
        for operation in OPERATIONS
    ]


def _least_role(operation: Operation) -> Role:
    return Role.READ_ONLY if may(Role.READ_ONLY, operation.name) else Role.ADMIN
