"""What is wrong with a request: every violation, in the words of the service.

msgspec decides on the fast path and stops at the first fault. Only then is the request walked here, along the
same annotations, to name all faults in one message, or to read the spellings that msgspec refuses and the
service takes (``5.0`` for an integer, ``"7"`` for an expected version).

Source: the message format, the order of the members and the enum orders (those are in the annotations) are as
observed. Unverified: the order of several faults of one value, and the clauses for the elements of string
lists and maps, which follow other AWS services.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from thingjobs.domain.document import java_double
from thingjobs.domain.errors import InvalidRequest

# Members named here are checked in this order, before the others of their structure.
CHECKED_FIRST = (
    "jobId",
    "jobTemplateId",
    "jobExecutionsRolloutConfig",
    "description",
    "presignedUrlConfig",
    "jobExecutionsRetryConfig",
    "abortConfig",
    "minNumberOfExecutedThings",
    "failureType",
    "action",
    "thresholdPercentage",
)
SHOWN_DEPTH = 8  # of a refused value; a body may be nested as deep as the parser's stack
SHOWN_CHARACTERS = 1024  # of a refused value; the rest of a document would only swell the answer
MOST_VALUES = 5_000  # that are walked one by one; a body can hold hundreds of thousands
MESSAGE_CHARACTERS = 16_384  # in all: a body can hold a hundred thousand faults, an MQTT reply cannot


def read_slowly(shape: type[Struct], members: Mapping[str, object], printed: Mapping[str, str]) -> Struct:
    """Read ``members`` after msgspec refused them.

    ``printed`` holds numbers of the query as they were written, by member.
    Errors: InvalidRequest with all violations, or with the first value of a wrong JSON type; with neither for
            a request that has too many values to be walked while everybody else waits.
    """
    if _has_more_values(members, MOST_VALUES):
        raise InvalidRequest(
            f"The request is not valid, and has more than {MOST_VALUES} values: too many to tell which."
        )
    tidied, faults = _structure(shape).read(dict(members), "")
    if faults:
        shown = [fault.clause(printed.get(fault.path)) for fault in faults]
        errors = "error" if len(shown) == 1 else "errors"
        message = f"{len(shown)} validation {errors} detected: {'; '.join(shown)}"
        raise InvalidRequest(_clipped(message, MESSAGE_CHARACTERS))
    return msgspec.convert(tidied, shape)


def _has_more_values(members: Mapping[str, object], most: int) -> bool:
    left, waiting = most, [cast(object, members)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping | list):
            left -= len(value)
            if left < 0:
                return True
            waiting.extend(value if isinstance(value, list) else value.values())
    return False


NOT_SHOWN = "(not shown)"


@dataclass(frozen=True, slots=True)
class Fault:
    """``value`` is None for null, and NOT_SHOWN for a map of structures, which the service does not print."""

    path: str
    value: str | None
    rule: str

    def clause(self, as_written: str | None = None) -> str:
        if self.value is NOT_SHOWN:
            return f"Value at '{self.path}' failed to satisfy constraint: {self.rule}"
        value = "null" if self.value is None else f"'{_clipped(as_written or self.value, SHOWN_CHARACTERS)}'"
        return f"Value {value} at '{self.path}' failed to satisfy constraint: {self.rule}"


Read = tuple[object, list[Fault]]
NOT_NULL = "Member must not be null"


def mistyped(path: str, shown: str, wanted: str) -> InvalidRequest:
    """The refusal of a value that is not of its member's JSON type."""
    value = _clipped(shown, SHOWN_CHARACTERS)
    return InvalidRequest(_clipped(f"Value '{value}' at '{path}' must be {wanted}.", MESSAGE_CHARACTERS))


# --- one checker per kind of value ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rule:
    text: str
    holds: Callable[[Any], bool]  # the value has been checked for its type by then


@dataclass(frozen=True, slots=True)
class _Scalar:
    kind: type
    rules: tuple[_Rule, ...]
    decimal_text: bool = False

    def read(self, value: object, path: str) -> Read:
        value = self._typed(value, path)
        return value, [Fault(path, _shown(value), rule.text) for rule in self.rules if not rule.holds(value)]

    def _typed(self, value: object, path: str) -> object:
        if self.kind is int:
            if isinstance(value, float) and value.is_integer():
                return int(value)
            if self.decimal_text and isinstance(value, str) and re.fullmatch("-?[0-9]{1,20}", value):
                return int(value)
        elif self.kind is float and type(value) is int:
            return float(value) if abs(value) < 2**1023 else float("inf")
        if type(value) is not self.kind:
            raise mistyped(path, _shown(value), _WANTED[self.kind])
        return value


@dataclass(frozen=True, slots=True)
class _List:
    element: _Checker
    rules: tuple[_Rule, ...]

    def read(self, value: object, path: str) -> Read:
        if not isinstance(value, list):
            raise mistyped(path, _shown(value), "a list")
        read = [_read_element(self.element, item, f"{path}.{at}.member") for at, item in enumerate(value, 1)]
        faults = [Fault(path, _shown(value, self), rule.text) for rule in self.rules if not rule.holds(value)]
        inner = [fault for _, found in read for fault in found]
        if isinstance(self.element, _Scalar) and any(fault.rule != NOT_NULL for fault in inner):
            inner = [
                Fault(path, _shown(value, self), f"Member must satisfy constraint: {_all_of(self.element)}")
            ]
        return [item for item, _ in read], faults + inner


@dataclass(frozen=True, slots=True)
class _Map:
    key: _Scalar
    value: _Scalar | _Structure
    rules: tuple[_Rule, ...]

    def read(self, value: object, path: str) -> Read:
        if not isinstance(value, dict):
            raise mistyped(path, _shown(value), "an object")
        keys = [self.key.read(key, path) for key in value]
        values = [_read_element(self.value, item, f"{path}.{key}") for key, item in value.items()]
        rules = [rule.text for rule in self.rules if not rule.holds(value)]
        if any(found for _, found in keys):
            rules.append(f"Map keys must satisfy constraint: {_all_of(self.key)}")
        inner = [fault for _, found in values for fault in found]
        if isinstance(self.value, _Scalar):
            nulls = [fault for fault in inner if fault.rule == NOT_NULL]
            if len(inner) > len(nulls):
                rules.append(f"Map value must satisfy constraint: {_all_of(self.value)}")
            inner = nulls
        shown = _shown(value) if isinstance(self.value, _Scalar) else NOT_SHOWN
        faults = [Fault(path, shown, rule) for rule in rules] + inner
        return dict(zip(value, (item for item, _ in values), strict=True)), faults


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    required: bool
    checker: _Checker


@dataclass(frozen=True, slots=True)
class _Structure:
    name: str
    members: tuple[_Member, ...]

    def read(self, value: object, path: str) -> Read:
        if not isinstance(value, dict):
            raise mistyped(path, _shown(value), "an object")
        tidied: dict[object, object] = {}
        faults: list[Fault] = []
        for member in self.members:
            item, at = value.get(member.name), f"{path}.{member.name}" if path else member.name
            if item is not None:
                tidied[member.name], found = member.checker.read(item, at)
                faults += found
            elif member.required:
                faults.append(Fault(at, None, NOT_NULL))
        if not path:
            faults.sort(key=lambda fault: fault.value is not None or "." in fault.path)
        return tidied, faults


_Checker = _Scalar | _List | _Map | _Structure
_WANTED = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}


def _read_element(checker: _Checker, value: object, path: str) -> Read:
    return (None, [Fault(path, None, NOT_NULL)]) if value is None else checker.read(value, path)


def _all_of(scalar: _Scalar) -> str:
    return f"[{', '.join(rule.text for rule in scalar.rules)}]"


# --- checkers from annotations ----------------------------------------------------------------------


@cache
def _structure(shape: type[Struct]) -> _Structure:
    members = [
        _Member(field.encode_name, field.required, _checker(field.type))
        for field in msgspec.structs.fields(shape)
    ]
    rank = {name: at for at, name in enumerate(CHECKED_FIRST)}
    members.sort(key=lambda member: rank.get(member.name, len(rank)))
    return _Structure(shape.__name__, tuple(members))


def _checker(annotation: Any, meta: Meta | None = None) -> _Checker:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return _checker(next(kind for kind in arguments if kind is not NoneType))
    if origin is Annotated:
        return _checker(arguments[0], arguments[1])
    if origin is Literal:
        text = f"Member must satisfy enum value set: [{', '.join(arguments)}]"
        return _Scalar(str, (_Rule(text, frozenset(arguments).__contains__),))
    rules = tuple(_rules(meta)) if meta else ()
    if origin is list:
        return _List(_checker(arguments[0]), rules)
    if origin is dict:
        key, value = (_checker(kind) for kind in arguments)
        assert isinstance(key, _Scalar)
        assert isinstance(value, _Scalar | _Structure)
        return _Map(key, value, rules)
    if issubclass(annotation, Struct):
        return _structure(annotation)
    extra = (meta.extra if meta else None) or {}
    return _Scalar(annotation, rules, decimal_text="decimal_text" in extra)


def _rules(meta: Meta) -> Iterator[_Rule]:
    if (most := meta.max_length) is not None:
        yield _Rule(f"Member must have length less than or equal to {most}", lambda v: len(v) <= most)
    if (least := meta.min_length) is not None:
        yield _Rule(f"Member must have length greater than or equal to {least}", lambda v: len(v) >= least)
    if (high := meta.le) is not None:
        yield _Rule(f"Member must have value less than or equal to {high}", lambda v: v <= high)
    if (low := meta.ge) is not None:
        yield _Rule(f"Member must have value greater than or equal to {low}", lambda v: v >= low)
    if meta.pattern is not None:
        model_pattern = (meta.extra or {})["pattern"]
        matches = re.compile(meta.pattern).search
        yield _Rule(
            f"Member must satisfy regular expression pattern: {model_pattern}", lambda v: bool(matches(v))
        )


# --- values as Java prints them ---------------------------------------------------------------------


def _shown(value: object, checker: _Checker | None = None, depth: int = 0) -> str:
    if depth > SHOWN_DEPTH:
        return "…"
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return java_double(value)
        case list():
            element = checker.element if isinstance(checker, _List) else None
            return f"[{', '.join(_shown(item, element, depth + 1) for item in value)}]"
        case dict() if isinstance(checker, _Structure):
            members = [(member, value.get(member.name)) for member in checker.members]
            pairs = (f"{member.name}={_shown(item, member.checker, depth + 1)}" for member, item in members)
            return f"{checker.name}({', '.join(pairs)})"
        case dict():
            return f"{{{', '.join(f'{key}={_shown(item, None, depth + 1)}' for key, item in value.items())}}}"
    return str(value)


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
