"""Other upper bounds than the service model's for what requests carry.

The annotations of the request shapes are what both ways of validation follow. So a shape with another bound
is made anew once, at the start, with all that contain it, as subclasses of the generated ones: to operations
they are the same. Without other bounds the generated shapes themselves are used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta, Struct

from thingjobs.wire.operation import Operation
from thingjobs.wire.routes import OPERATIONS

S = TypeVar("S", bound=Struct)


class UpperBound(NamedTuple):
    """The largest length or value of a shape, and the smallest that it can be set to."""

    default: int | float
    least: int


class ShapeLimits:
    """Requests with other bounds; ``most`` gives these by the model's name of a shape."""

    def __init__(self, most: Mapping[str, int] | None = None) -> None:
        self._rebuilt = _Rebuilt(most or {})
        self._operations = {
            (operation.plane, operation.name): replace(operation, request=self.of(operation.request))
            for operation in (OPERATIONS if most else ())
            if operation.request is not None
        }

    def applied_to(self, operation: Operation) -> Operation:
        return self._operations.get((operation.plane, operation.name), operation)

    def of(self, shape: type[S]) -> type[S]:
        """The shape itself, or a subclass of it."""
        return cast("type[S]", self._rebuilt.struct(shape))


def upper_bounds() -> Mapping[str, UpperBound]:
    """Every bound that can be set, by the model's name of its shape."""
    found: dict[str, UpperBound] = {}
    for operation in OPERATIONS:
        for meta in _metas(operation.request):
            if meta.title is not None:
                most = meta.le if meta.max_length is None else meta.max_length
                least = meta.ge if meta.max_length is None else meta.min_length
                assert most is not None
                found[meta.title] = UpperBound(most, max(1, math.ceil(least or 1)))
    return dict(sorted(found.items()))


def _metas(annotation: Any) -> Iterator[Meta]:
    if isinstance(annotation, Meta):
        yield annotation
    elif isinstance(annotation, type) and issubclass(annotation, Struct):
        for field in msgspec.structs.fields(annotation):
            yield from _metas(field.type)
    else:
        for part in get_args(annotation):
            yield from _metas(part)


class _Rebuilt:
    """Types with other bounds; whatever contains none of them is left as it is."""

    def __init__(self, most: Mapping[str, int]) -> None:
        self._most = most
        self._structs: dict[type[Struct], type[Struct]] = {}

    def struct(self, shape: type[Struct]) -> type[Struct]:
        if shape not in self._structs:
            self._structs[shape] = self._struct(shape)
        return self._structs[shape]

    def _struct(self, shape: type[Struct]) -> type[Struct]:
        fields = msgspec.structs.fields(shape)
        kinds = [self._kind(field.type) for field in fields]
        if all(kind is field.type for kind, field in zip(kinds, fields, strict=True)):
            return shape
        return msgspec.defstruct(
            shape.__name__,
            [
                (field.name, kind) if field.default is NODEFAULT else (field.name, kind, field.default)
                for kind, field in zip(kinds, fields, strict=True)
            ],
            bases=(shape,),
            module=shape.__module__,
            rename={field.name: field.encode_name for field in fields},
            frozen=True,
            kw_only=True,
        )

    def _kind(self, annotation: Any) -> Any:
        if isinstance(annotation, type) and issubclass(annotation, Struct):
            return self.struct(annotation)
        if isinstance(annotation, Meta):
            return self._meta(annotation)
        parts = get_args(annotation)
        made = tuple(self._kind(part) for part in parts)
        if all(new is part for new, part in zip(made, parts, strict=True)):
            return annotation
        origin = get_origin(annotation)
        if origin in (Union, UnionType):
            return reduce(or_, made)
        return Annotated[made] if origin is Annotated else origin[made]

    def _meta(self, meta: Meta) -> Meta:
        most = self._most.get(meta.title or "")
        if most is None:
            return meta
        same = {name: getattr(meta, name) for name in ("title", "pattern", "min_length", "ge", "extra")}
        return Meta(**same, max_length=most) if meta.le is None else Meta(**same, le=most)
