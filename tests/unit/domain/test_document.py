"""Job documents: which are refused, and how devices see the others (spec: wire 8.1, control-plane 2)."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain.document import check_document, device_spelling, java_double
from thingjobs.domain.errors import InvalidRequest

INVALID = "Job document located at request input is an invalid JSON document."

# --- what is a document -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["[1]", "null", '"x"', "0", "true", "{}", "[]", ' \t\r\n{"op":"x"}\n', '"\\ud83d"']
)
def test_any_json_value_is_a_document(text: str) -> None:
    """spec: case 12"""
    check_document(text)


@pytest.mark.parametrize("text", ["hello", '{"a":NaN}', "Infinity", "[-Infinity]"])
def test_what_is_not_json_is_refused(text: str) -> None:
    """spec: case 12"""
    with pytest.raises(InvalidRequest) as refused:
        check_document(text)
    assert refused.value.message == INVALID


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\ufeff1", "\x0b1", "\xa01", "1 2", "{} {}", "nul", "truefalse", "'a'", "// no\n1"),
        *("[", "]", "[1,]", "[,1]", "[1 2]", "[1]]", "[}", "[1:2]"),
        *("{", "}", "{,}", '{"a"}', '{"a":}', '{"a":1,}', '{"a":1 "b":2}', "{1:2}", '{"a":1]', '{"a",1}'),
        *("01", "-", "+1", "1.", ".5", "1e", "1e+", "0x10", "1_000", "١"),
        *('"', '"a', '"\\"', '"\\x"', '"\\u12"', '"\\u12G4"', '"\x1f"', '"\n"', '"a"b"'),
    ],
)
def test_broken_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is an invalid JSON document"):
        check_document(text)


@pytest.mark.parametrize(
    ("before", "after"), [("[", "]"), ('{"a":', "}"), ("[ ", "\n]")], ids=["arrays", "objects", "spaced"]
)
def test_a_thousand_levels_are_a_document_and_one_more_is_not(before: str, after: str) -> None:
    """spec: case 203"""
    check_document(before * 1000 + "1" + after * 1000)
    for depth in (1001, 5000, 100_000):
        with pytest.raises(InvalidRequest) as refused:
            check_document(before * depth + "1" + after * depth)
        assert refused.value.message == INVALID


def test_levels_are_counted_in_depth_not_in_number() -> None:
    check_document(f"[{','.join(['[[]]'] * 2000)}]")


def test_the_refusal_names_where_the_document_came_from() -> None:
    """spec: control-plane 2.1"""
    with pytest.raises(InvalidRequest) as refused:
        check_document("x", located_at="s3://bucket/key")
    assert refused.value.message == "Job document located at s3://bucket/key is an invalid JSON document."


@given(st.text(alphabet='[]{},:"\\ 0-9.eE+utrfalsn\ud83d\x00', max_size=12))
def test_exactly_what_the_standard_library_calls_strict_json_is_accepted(text: str) -> None:
    def no_constant(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=no_constant)
    except ValueError:
        with pytest.raises(InvalidRequest):
            check_document(text)
    else:
        check_document(text)


# --- the device spelling ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "seen"),
    [
        ('{ "z": 1, "a": 2, "z": 3 }', '{"z":3,"a":2}'),
        ('{"n":null,"k":[null]}', '{"k":[null]}'),
        ("null", "null"),
        ("2.50", "2.5"),
        ("1E2", "100.0"),
        ("1e21", "1.0E21"),
        ("12345678.9", "1.23456789E7"),
        ("-0", "0"),
        ("1E400", '"Infinity"'),
        ("-1E400", '"-Infinity"'),
        ('"caf\\u00e9 \\/"', '"café /"'),
    ],
)
def test_the_documented_examples(stored: str, seen: str) -> None:
    """spec: wire 8.1"""
    assert device_spelling(stored) == seen


def test_the_document_of_the_acceptance_case() -> None:
    """spec: case 202"""
    seen = device_spelling('{ "z": 1, "n": null, "f": [1E2, 1e21, 1E400], "k": [null] }')
    assert seen == '{"z":1,"f":[100.0,1.0E21,"Infinity"],"k":[null]}'


@pytest.mark.parametrize(
    ("stored", "seen"),
    [
        ('{"a":1,"b":2,"a":null}', '{"b":2}'),
        ('{"a":null,"b":2,"a":1}', '{"a":1,"b":2}'),
        ('{"a":1,"\\u0061":2}', '{"a":2}'),
        ('{"a":{"b":{"c":null}},"d":[{"e":null},null]}', '{"a":{"b":{}},"d":[{},null]}'),
        ('{"a":"null"}', '{"a":"null"}'),
        ('{"":{"":[]}}', '{"":{"":[]}}'),
    ],
)
def test_members_are_merged_and_dropped_at_every_level(stored: str, seen: str) -> None:
    """spec: wire 8.1"""
    assert device_spelling(stored) == seen


@pytest.mark.parametrize(
    ("stored", "seen"),
    [
        ('"\\u0008\\u0009\\u000a\\u000C\\u000D"', '"\\b\\t\\n\\f\\r"'),
        ('"\\u0000\\u001f\\u000b"', '"\\u0000\\u001F\\u000B"'),
        ('"\\u0022\\u005c\\/"', '"\\"\\\\/"'),
        ('"\\u007f\\u0080\\u2028"', '"\x7f\x80\u2028"'),
        ('"\\ud83d\\ude00"', '"\U0001f600"'),
        ('"\ud83d\\ude00"', '"\U0001f600"'),
        ('"\\ud83dx\\ude00"', '"\\uD83Dx\\uDE00"'),
        ('"\ud83d"', '"\\uD83D"'),
    ],
)
def test_strings_keep_only_the_escapes_they_need(stored: str, seen: str) -> None:
    """spec: wire 8.1"""
    assert device_spelling(stored) == seen


def test_integers_of_any_size_are_unchanged() -> None:
    """spec: wire 8.1"""
    digits = "9" * 30_000
    assert device_spelling(f"[{digits},-{digits}]") == f"[{digits},-{digits}]"


def test_the_deepest_document_is_spelled() -> None:
    """spec: case 203"""
    text = '{"a":[' * 500 + "1.50" + "]}" * 500
    assert device_spelling(text) == '{"a":[' * 500 + "1.5" + "]}" * 500


# --- property: the spelling parses to what the rules say ------------------------------------------------

_spaces = st.text(alphabet=" \t\r\n", max_size=2)
_characters = st.one_of(
    st.characters(min_codepoint=32, exclude_characters='"\\'),
    st.integers(0, 0xFFFF).map(lambda code: f"\\u{code:04x}"),
    st.sampled_from(list('bfnrt/\\"')).map(lambda letter: "\\" + letter),
)
_strings = st.lists(_characters, max_size=5).map(lambda pieces: f'"{"".join(pieces)}"')
_numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
_keys = st.one_of(st.sampled_from(['"a"', '"b"', '"\\u0061"']), _strings)


def _join(opening: str, parts: list[str], spaces: str, closing: str) -> str:
    return f"{spaces}{opening}{spaces}{f'{spaces},'.join(parts)}{spaces}{closing}{spaces}"


def _containers(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.tuples(_keys, _spaces, values).map(lambda parts: f"{parts[0]}{parts[1]}:{parts[2]}")
    return st.one_of(
        st.builds(_join, st.just("["), st.lists(values, max_size=4), _spaces, st.just("]")),
        st.builds(_join, st.just("{"), st.lists(members, max_size=4), _spaces, st.just("}")),
    )


documents = st.recursive(
    st.one_of(st.sampled_from(["null", "true", "false"]), _numbers, _strings), _containers, max_leaves=12
)


def by_the_rules(text: str) -> Any:
    """The value devices see, as a tree: objects as lists of pairs, so that order counts."""

    def members(pairs: list[tuple[str, Any]]) -> Any:
        return ("object", [(key, value) for key, value in dict(pairs).items() if value is not None])

    def decimal(lexeme: str) -> Any:
        number = float(lexeme)
        return number if math.isfinite(number) else ("-Infinity" if number < 0 else "Infinity")

    return json.loads(text, object_pairs_hook=members, parse_float=decimal)


@given(documents)
def test_the_spelling_parses_to_what_the_rules_say(text: str) -> None:
    """spec: wire 8.1"""
    assert repr(json.loads(device_spelling(text), object_pairs_hook=lambda pairs: ("object", pairs))) == repr(
        by_the_rules(text)
    )


@given(documents)
def test_the_spelling_of_a_spelling_is_itself(text: str) -> None:
    assert device_spelling(device_spelling(text)) == device_spelling(text)


@given(documents)
def test_the_spelling_has_no_spaces_outside_strings_and_is_utf8(text: str) -> None:
    seen = device_spelling(text)
    seen.encode()
    compact = json.dumps(json.loads(seen), separators=(",", ":"), ensure_ascii=False)
    assert len([c for c in seen if c in " \t\r\n"]) == len([c for c in compact if c in " \t\r\n"])


# --- Java's doubles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "spelling"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-1.5, "-1.5"),
        (0.001, "0.001"),
        (0.00999, "0.00999"),
        (0.000999, "9.99E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (123456.789, "123456.789"),
        (2e23, "2.0E23"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (2.2250738585072014e-308, "2.2250738585072014E-308"),
        (5e-324, "4.9E-324"),
        (1e-323, "9.9E-324"),
        (2e-323, "2.0E-323"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
    ],
)
def test_doubles_as_java_writes_them(number: float, spelling: str) -> None:
    """spec: wire 8.1; Java SE 19, Double.toString"""
    assert java_double(number) == spelling


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_follow_the_definition(number: float) -> None:
    """The form, and: no shorter decimal identifies the number, no other of that length is nearer to it."""
    spelling = java_double(number)
    assert float(spelling) == number
    assert math.copysign(1, float(spelling)) == math.copysign(1, number)
    mantissa, _, exponent = spelling.removeprefix("-").partition("E")
    whole, _, fraction = mantissa.partition(".")
    assert fraction
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        assert not exponent
        assert whole == "0" or whole[0] != "0"
    else:
        assert exponent
        assert len(whole) == 1
        assert whole != "0"
    assert fraction == "0" or fraction[-1] != "0"

    if number != 0:
        exact, shown = Fraction(abs(number)), Fraction(spelling.removeprefix("-"))
        digits = max(2, len((whole + fraction).strip("0")))
        assert all(float(f"{number:.{n - 1}e}") != number for n in range(2, digits))
        assert abs(shown - exact) <= abs(Fraction(f"{abs(number):.{digits - 1}e}") - exact)
