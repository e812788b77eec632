"""Job documents: what is one, and how devices are shown it.

A document is stored as the text it came in. Devices receive that text parsed and written again by a
service that is written in Java; ``device_spelling`` writes what it writes. Every value is turned into its
device spelling as soon as it is complete, so a document is read and written in one pass over its tokens,
without recursion: a legal document may be nested deeper than Python's own parser can go.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal

from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.quotas import DEFAULT_QUOTAS

REQUEST_INPUT = "request input"


def check_document(
    text: str, *, located_at: str = REQUEST_INPUT, nesting: int = DEFAULT_QUOTAS.document_nesting
) -> None:
    """Refuse a text that is not a job document: JSON of any kind, nested not more than ``nesting`` levels.

    Errors: InvalidRequest; ``located_at`` is the URL of a document that was read from a source.
    Source: sentences and depth as observed by others on the service (unverified by us).
    """
    device_spelling(text, located_at=located_at, nesting=nesting)


def read_source(data: bytes, url: str, *, nesting: int) -> str:
    """The document that was read from a source. Errors: as ``check_document``, also if it is not UTF-8."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid(url) from None
    check_document(text, located_at=url, nesting=nesting)
    return text


def device_spelling(text: str, *, located_at: str = REQUEST_INPUT, nesting: int | None = None) -> str:
    """The document as devices receive it, however deep it is nested; the spelling of a spelling is itself.

    Compact, members in their order, the last of duplicate members at the place of the first, members that
    are null left out, numbers and strings as Java writes them.

    Errors: as ``check_document``, which gives the ``nesting``.
    Source: observed by others on the service (unverified by us).
    """
    containers: list[list[str] | dict[str, str]] = []  # those still open, outermost first
    keys: list[str] = []  # of the members whose value is not complete yet
    expected = _VALUE
    document = ""
    for kind, lexeme in _tokens(text):
        if kind not in expected:
            break
        if kind in "[{":
            if len(containers) == nesting:
                break
            containers.append([] if kind == "[" else {})
            expected = _FIRST_ITEM if kind == "[" else _FIRST_KEY
        elif kind == ",":
            expected = _VALUE if isinstance(containers[-1], list) else _KEY
        elif kind == ":":
            expected = _VALUE
        elif expected is _KEY or (expected is _FIRST_KEY and kind == "string"):
            keys.append(_string(lexeme))
            expected = _COLON
        else:
            value = _closed(containers.pop()) if kind in "]}" else _SPELL[kind](lexeme)
            if not containers:
                document = value
                expected = _END
            elif isinstance(around := containers[-1], list):
                around.append(value)
                expected = _NEXT_ITEM
            else:
                around[keys.pop()] = value
                expected = _NEXT_MEMBER
    else:
        if expected is _END:
            return document
    raise _invalid(located_at)


def _invalid(located_at: str) -> InvalidRequest:
    return InvalidRequest(f"Job document located at {located_at} is an invalid JSON document.")


# --- reading ------------------------------------------------------------------------------------

_SCALAR = frozenset({"string", "integer", "decimal", "literal"})
_VALUE = _SCALAR | {"[", "{"}
_FIRST_ITEM = _VALUE | {"]"}
_NEXT_ITEM = frozenset({",", "]"})
_KEY = frozenset({"string"})
_FIRST_KEY = frozenset({"string", "}"})
_COLON = frozenset({":"})
_NEXT_MEMBER = frozenset({",", "}"})
_END: frozenset[str] = frozenset()

_TOKEN = re.compile(
    r"""[ \t\n\r]*+(?:
        (?P<string> " [^"\\\x00-\x1f]*+ (?: \\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}) [^"\\\x00-\x1f]*+ )*+ ")
      | (?P<mark> [][{},:])
      | (?P<literal> true|false|null)
      | (?P<decimal> -?(?:0|[1-9][0-9]*+) (?: \.[0-9]++(?:[eE][+-]?[0-9]++)? | [eE][+-]?[0-9]++ ))
      | (?P<integer> -?(?:0|[1-9][0-9]*+))
      | (?P<end> \Z)
    )""",
    re.VERBOSE,
)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each token; of punctuation the kind is the mark itself. "garbage" where none fits."""
    position = 0
    while (match := _TOKEN.match(text, position)) is not None:
        kind = match.lastgroup
        assert kind is not None
        if kind == "end":
            return
        lexeme = match[kind]
        yield (lexeme if kind == "mark" else kind), lexeme
        position = match.end()
    yield "garbage", text[position:]


# --- writing ------------------------------------------------------------------------------------


def _closed(container: list[str] | dict[str, str]) -> str:
    if isinstance(container, list):
        return f"[{','.join(container)}]"
    # Only the literal null is spelled like this: a string has quotes.
    members = [f"{key}:{value}" for key, value in container.items() if value != "null"]
    return f"{{{','.join(members)}}}"


_NOT_YET_SPELLED = re.compile(r"[\\\ud800-\udfff]")
_ESCAPED = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def _string(lexeme: str) -> str:
    """A string literal with escapes only where JSON needs them, and for surrogates without a partner."""
    if _NOT_YET_SPELLED.search(lexeme) is None:
        return lexeme
    content: str = json.loads(lexeme)
    # Halves of a pair meet even if one was written raw and the other escaped, as in Java's UTF-16.
    content = content.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return f'"{_ESCAPED.sub(_escape, content)}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _SHORT_ESCAPES.get(character) or f"\\u{ord(character):04X}"


def _integer(lexeme: str) -> str:
    return "0" if lexeme == "-0" else lexeme


def _decimal(lexeme: str) -> str:
    spelling = java_double(float(lexeme))
    return f'"{spelling}"' if spelling.endswith("Infinity") else spelling


def _literal(lexeme: str) -> str:
    return lexeme


_SPELL = {"string": _string, "integer": _integer, "decimal": _decimal, "literal": _literal}


def java_double(number: float) -> str:
    """``number`` as Java's ``Double.toString`` writes it (JDK 19 and later: as few digits as identify it).

    Shapes: not NaN. ``100.0``, ``0.001``, and beyond 10⁻³ ≤ n < 10⁷ ``1.0E7``, ``1.5E-7``; ``Infinity``.
    Source: Java SE 19 API, Double.toString.
    """
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return str(number)
    sign, digits, exponent = _shortest(number)
    point = len(digits) + exponent  # the number is 0.digits × 10^point
    if not -2 <= point <= 7:
        return f"{sign}{digits[0]}.{digits[1:] or '0'}E{point - 1}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}"


def _shortest(number: float) -> tuple[str, str, int]:
    """Sign, digits without trailing zeros, and exponent of the last of them, for a finite non-zero number."""
    text = repr(number)
    if len(_significant(text)[1]) == 1:
        # Java writes two digits at least and so looks for the nearest number of two, which differs from
        # Python's single digit only among the smallest numbers: 4.9E-324 is 5e-324 in Python.
        nearest = f"{number:.1e}"
        text = nearest if float(nearest) == number else text
    return _significant(text)


def _significant(text: str) -> tuple[str, str, int]:
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)  # neither infinite nor NaN
    padded = "".join(map(str, digits))
    stripped = padded.rstrip("0")
    return "-" * sign, stripped, exponent + len(padded) - len(stripped)
