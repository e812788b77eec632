"""The small texts that both planes share: resource names, page tokens, instants."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thingjobs.domain import arn
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.model import Scope, ScopeId
from thingjobs.domain.paging import Filters, decode_token, encode_token
from thingjobs.domain.timestamps import epoch_seconds, whole_seconds

SCOPE = Scope(ScopeId(1), "123456789012", "eu-west-1")


# --- resource names -------------------------------------------------------------------------------


def test_names_are_spelled_as_the_service_does() -> None:
    """spec: wire 7."""
    start = "arn:aws:iot:eu-west-1:123456789012"
    assert arn.thing_arn(SCOPE, "a:b") == f"{start}:thing/a:b"
    assert arn.thing_group_arn(SCOPE, "g") == f"{start}:thinggroup/g"
    assert arn.thing_type_arn(SCOPE, "y") == f"{start}:thingtype/y"
    assert arn.job_arn(SCOPE, "j") == f"{start}:job/j"
    assert arn.job_template_arn(SCOPE, "t") == f"{start}:jobtemplate/t"
    managed = arn.managed_job_template_arn("eu-west-1", "AWS-Reboot", "1.0")
    assert managed == "arn:aws:iot:eu-west-1::jobtemplate/AWS-Reboot:1.0"


@pytest.mark.parametrize(
    ("region", "partition"), [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_the_region_tells_the_partition(region: str, partition: str) -> None:
    name = arn.job_arn(Scope(ScopeId(1), "123456789012", region), "j")
    assert name == f"arn:{partition}:iot:{region}:123456789012:job/j"


def test_what_is_built_is_parsed() -> None:
    for text in (arn.thing_arn(SCOPE, "a:b"), arn.managed_job_template_arn("eu-west-1", "AWS-Reboot", "1.0")):
        assert str(arn.parse_arn(text)) == text
    assert arn.parse_arn(arn.thing_arn(SCOPE, "a:b")) == arn.Arn(
        "aws", "eu-west-1", "123456789012", "thing", "a:b"
    )


def test_a_name_belongs_to_its_own_account_and_region_only() -> None:
    """spec: wire 7."""
    for text, own in [
        ("arn:aws:iot:eu-west-1:123456789012:thing/t", True),
        ("arn:aws:iot:eu-west-2:123456789012:thing/t", False),
        ("arn:aws:iot:eu-west-1:123456789013:thing/t", False),
        ("arn:aws-cn:iot:eu-west-1:123456789012:thing/t", False),
        ("arn:aws:iot:eu-west-1::jobtemplate/AWS-Reboot:1.0", False),
    ]:
        parsed = arn.parse_arn(text)
        assert parsed is not None
        assert parsed.is_in(SCOPE) is own


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not-an-arn",
        "arn:aws:iot:eu-west-1:123456789012:thing",
        "arn:aws:iot:eu-west-1:123456789012:thing/",
        "arn:aws:s3:::bucket/key",
        "arn:aws:iot::123456789012:thing/t",
        "arn:aws:iot:eu-west-1:12345:thing/t",
        "ARN:aws:iot:eu-west-1:123456789012:thing/t",
        " arn:aws:iot:eu-west-1:123456789012:thing/t",
        "arn:aws:iot:eu-west-1:123456789012:thing/t\n",
        "arn:aws:iot:eu-west-1:123456789012:/t",
    ],
)
def test_anything_else_is_no_name_of_an_iot_resource(text: str) -> None:
    assert arn.parse_arn(text) is None


# --- page tokens ----------------------------------------------------------------------------------

FILTERS: Filters = {"status": "QUEUED", "jobId": None, "recursive": True}


def refused(token: str, operation: str = "ListJobs", filters: Filters = FILTERS) -> bool:
    """Whether the token is refused, in the words of the service. spec: control-plane 1.1, case 48."""
    try:
        decode_token(operation, filters, token, (int, str))
    except InvalidRequest as error:
        return error.message == "Next token is invalid."
    return False


@given(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1), st.text(st.characters(codec="utf-8", exclude_characters="\0"))
    )
)
def test_a_token_gives_back_its_position(position: tuple[int, str]) -> None:
    token = encode_token("ListJobs", FILTERS, position)
    assert token.replace("-", "").replace("_", "").isalnum()
    assert (
        decode_token("ListJobs", dict(sorted(FILTERS.items(), reverse=True)), token, (int, str)) == position
    )


def test_a_token_is_good_for_its_list_and_filters_only() -> None:
    token = encode_token("ListJobs", FILTERS, (1, "j"))
    assert refused(token, operation="ListThings")
    assert refused(token, filters={**FILTERS, "status": "FAILED"})
    assert not refused(token)


@settings(deadline=None)
@given(st.text())
def test_any_other_text_is_no_token(text: str) -> None:
    assert refused(text)


@settings(deadline=None)
@given(st.integers(0, 27), st.sampled_from("Aa0_-=!é "))
def test_a_damaged_token_is_refused(at: int, character: str) -> None:
    token = encode_token("ListJobs", FILTERS, (12_345, "job"))
    damaged = token[:at] + character + token[at + 1 :]
    assert damaged == token or refused(damaged)
    assert refused(token[:at])


@pytest.mark.parametrize(
    "position", [(), (1,), ("j", 1), (1, "j", 2), (2**63, "j"), (1, "\0"), (1, "\ud800")]
)
def test_a_forged_position_is_refused(position: tuple[int | str, ...]) -> None:
    """Anybody can compute the check, so what is inside is checked too."""
    assert refused(encode_token("ListJobs", FILTERS, position))


@pytest.mark.parametrize("inside", [[1, True], [1, None], [1, ["j"]], {"1": "j"}, 1.5])
def test_a_token_holds_texts_and_integers_only(inside: object) -> None:
    token = base64.urlsafe_b64encode(b"12345678" + json.dumps(inside).encode()).decode().rstrip("=")
    assert refused(token)


# --- instants -------------------------------------------------------------------------------------


def test_instants_are_seconds_on_the_wire() -> None:
    """spec: wire 5."""
    assert repr(epoch_seconds(1_560_787_022_733)) == "1560787022.733"
    assert repr(epoch_seconds(1_560_787_022_000)) == "1560787022.0"
    assert whole_seconds(1_560_787_022_999) == 1_560_787_022
    assert epoch_seconds(None) is None
    assert whole_seconds(None) is None


@settings(deadline=None)
@given(st.integers(0, 4_102_444_800_000))
def test_no_millisecond_is_lost(at: int) -> None:
    assert len(repr(epoch_seconds(at)).partition(".")[2]) <= 3
    assert round(epoch_seconds(at) * 1000) == at
