"""The message for a request that breaks constraints. Messages of rows marked observed are compared whole."""

from __future__ import annotations

import json

import pytest

from thingjobs.domain.errors import InvalidRequest
from thingjobs.wire.operation import Plane
from thingjobs.wire.rest_json import decode_request
from thingjobs.wire.routing import operation_named

CONTROL, DEVICE = Plane.CONTROL, Plane.DEVICE
CRITERION = {
    "failureType": "FAILED",
    "action": "CANCEL",
    "thresholdPercentage": 50,
    "minNumberOfExecutedThings": 1,
}


def message(plane: Plane, name: str, body: object = None, query: str = "", **path: str) -> str:
    """The refusal of a request; path labels default to ``x1``."""
    operation = operation_named(plane, name)
    labels = {param.name: "x1" for param in operation.path} | path
    with pytest.raises(InvalidRequest) as caught:
        decode_request(operation, labels, query.encode(), [], json.dumps(body or {}).encode())
    return caught.value.message


def accepted(name: str, body: object, **path: str) -> bool:
    operation = operation_named(CONTROL, name)
    labels = {param.name: "x1" for param in operation.path} | path
    decode_request(operation, labels, b"", [], json.dumps(body).encode())
    return True


def create_job(path: dict[str, str] | None = None, **body: object) -> str:
    return message(CONTROL, "CreateJob", {"targets": ["arn"], **body}, **(path or {}))


# --- the words ------------------------------------------------------------------------------------


def test_two_faults_in_an_abort_criterion() -> None:
    """case 26."""
    criterion = {**CRITERION, "thresholdPercentage": 101, "failureType": "X"}
    assert create_job(abortConfig={"criteriaList": [criterion]}) == (
        "2 validation errors detected: "
        "Value 'X' at 'abortConfig.criteriaList.1.member.failureType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ALL, TIMED_OUT, FAILED, REJECTED]; "
        "Value '101.0' at 'abortConfig.criteriaList.1.member.thresholdPercentage' failed to satisfy "
        "constraint: Member must have value less than or equal to 100"
    )


def test_a_rate_above_the_maximum() -> None:
    """case 17."""
    assert create_job(jobExecutionsRolloutConfig={"maximumPerMinute": 1001}) == (
        "1 validation error detected: Value '1001' at 'jobExecutionsRolloutConfig.maximumPerMinute' failed "
        "to satisfy constraint: Member must have value less than or equal to 1000"
    )


def test_faults_come_in_the_order_of_the_service_whatever_the_order_of_the_request() -> None:
    """case 216."""
    body = {
        "abortConfig": {"criteriaList": [{**CRITERION, "failureType": "BAD"}]},
        "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 11}]},
        "presignedUrlConfig": {"expiresInSec": 59},
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 0},
    }
    text = message(CONTROL, "UpdateJob", body)
    assert text.startswith("4 validation errors detected: ")
    places = [text.index(name) for name in ("RolloutConfig", "presigned", "RetryConfig", "abortConfig")]
    assert places == sorted(places)


def test_every_member_of_an_abort_criterion_is_checked_in_the_order_of_the_service() -> None:
    """spec: control-plane 1.4."""
    text = create_job(abortConfig={"criteriaList": [CRITERION, {}]})
    clause = "Value null at 'abortConfig.criteriaList.2.member.{}' failed to satisfy constraint: {}"
    names = ("minNumberOfExecutedThings", "failureType", "action", "thresholdPercentage")
    clauses = [clause.format(name, "Member must not be null") for name in names]
    assert text == f"4 validation errors detected: {'; '.join(clauses)}"


def test_a_job_id_and_a_description_that_break_their_patterns() -> None:
    """case 13; spec: control-plane 1.4."""
    assert create_job({"jobId": "a b"}, description="") == (
        "2 validation errors detected: Value 'a b' at 'jobId' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+; "
        "Value '' at 'description' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [^\p{C}]+"
    )


def test_a_template_without_description() -> None:
    """case 62."""
    assert message(CONTROL, "CreateJobTemplate") == (
        "1 validation error detected: Value null at 'description' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_an_absent_required_member_comes_first() -> None:
    """spec: control-plane 1.4."""
    text = message(CONTROL, "CreateJobTemplate", jobTemplateId="a b")
    assert text.startswith("2 validation errors detected: Value null at 'description'")


def test_a_report_without_status() -> None:
    """spec: device-plane 4.4."""
    assert message(DEVICE, "UpdateJobExecution") == (
        "1 validation error detected: Value null at 'status' failed to satisfy constraint: "
        "Member must not be null"
    )


@pytest.mark.parametrize(
    ("maximum", "rule"),
    [
        ("0", "greater than or equal to 1"),
        ("251", "less than or equal to 250"),
        ("0251", "less than or equal to 250"),
    ],
)
def test_a_query_number_prints_as_it_was_given(maximum: str, rule: str) -> None:
    """cases 50 and 189."""
    for operation in ("ListJobs", "ListJobExecutionsForJob", "ListThings"):
        assert message(CONTROL, operation, query=f"maxResults={maximum}") == (
            f"1 validation error detected: Value '{maximum}' at 'maxResults' failed to satisfy constraint: "
            f"Member must have value {rule}"
        )


def test_a_status_filter_outside_the_enum() -> None:
    """case 189."""
    assert message(CONTROL, "ListJobExecutionsForJob", query="status=queued") == (
        "1 validation error detected: Value 'queued' at 'status' failed to satisfy constraint: "
        "Member must satisfy enum value set: [REMOVED, SUCCEEDED, TIMED_OUT, IN_PROGRESS, QUEUED, CANCELED, "
        "FAILED, REJECTED]"
    )


def test_succeeded_is_no_status_of_a_job() -> None:
    """spec: control-plane 1.3."""
    assert "Value 'SUCCEEDED' at 'status'" in message(CONTROL, "ListJobs", query="status=SUCCEEDED")


def test_lists_print_as_java_does() -> None:
    """spec: control-plane 1.4."""
    assert create_job(jobExecutionsRetryConfig={"criteriaList": []}) == (
        "1 validation error detected: Value '[]' at 'jobExecutionsRetryConfig.criteriaList' failed to "
        "satisfy constraint: Member must have length greater than or equal to 1"
    )
    retry = {"failureType": "FAILED", "numberOfRetries": 1}
    printed = "RetryCriteria(failureType=FAILED, numberOfRetries=1)"
    assert create_job(jobExecutionsRetryConfig={"criteriaList": [retry] * 3}) == (
        f"1 validation error detected: Value '[{printed}, {printed}, {printed}]' at "
        "'jobExecutionsRetryConfig.criteriaList' failed to satisfy constraint: "
        "Member must have length less than or equal to 2"
    )
    assert "criteriaList=null" not in create_job(jobExecutionsRetryConfig={"criteriaList": [{}] * 3})


def test_a_long_value_is_cut_in_the_message() -> None:
    text = create_job(document="x" * 40_000)
    assert len(text) < 2_000
    assert text.endswith(
        "…' at 'document' failed to satisfy constraint: Member must have length less than or equal to 32768"
    )


def test_a_message_stays_short_however_many_faults_there_are() -> None:
    text = create_job(tags=[{"Key": "#" * 1000, "Value": "v"}] * 1000)
    assert text.startswith("2000 validation errors detected: Value '####")
    assert len(text) < 17_000
    assert len(create_job(documentParameters={"k" * 100_000: None})) < 17_000
    assert len(create_job(documentParameters={"k" * 100_000: 5})) < 17_000


@pytest.mark.parametrize("member", ["targets", "documentParameters", "description", "abortConfig"])
def test_a_deeply_nested_value_is_cut_in_the_message(member: str) -> None:
    body = f'{{"targets":["a"],"{member}":{"[" * 900}{"]" * 900}}}'
    operation = operation_named(CONTROL, "CreateJob")
    with pytest.raises(InvalidRequest, match=r"Value '\[\[\[\[\[\[\[\[\[?…\]"):
        decode_request(operation, {"jobId": "j"}, b"", [], body.encode())


def test_a_wrong_json_type_is_told_alone_with_its_path() -> None:
    criterion = {**CRITERION, "thresholdPercentage": "half", "failureType": "X"}
    assert create_job(abortConfig={"criteriaList": [CRITERION, criterion]}) == (
        "Value 'half' at 'abortConfig.criteriaList.2.member.thresholdPercentage' must be a number."
    )
    assert create_job(abortConfig=[]) == "Value '[]' at 'abortConfig' must be an object."
    assert create_job(targets={"a": None}) == "Value '{a=null}' at 'targets' must be a list."
    assert create_job(targets=["a", True]) == "Value 'true' at 'targets.2.member' must be a string."
    assert create_job(documentParameters=["a"]) == "Value '[a]' at 'documentParameters' must be an object."


def test_a_null_inside_a_list_or_a_map_is_a_fault() -> None:
    assert "Value null at 'targets.2.member'" in create_job(targets=["a", None])
    assert "Value null at 'documentParameters.k'" in create_job(documentParameters={"k": None})
    assert "Value null at 'tags.1.member'" in create_job(tags=[None])


def test_elements_of_lists_and_maps_are_told_with_the_whole_value() -> None:
    """Unverified: the words that other AWS services use."""
    assert create_job(targets=["a", "b" * 2049]).endswith(
        "' at 'targets' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must have length less than or equal to 2048]"
    )
    text = message(DEVICE, "UpdateJobExecution", {"status": "FAILED", "statusDetails": {"a b": "", "c": "d"}})
    clause = "Value '{a b=, c=d}' at 'statusDetails' failed to satisfy constraint:"
    least = "Member must have length greater than or equal to 1"
    assert text == (
        f"2 validation errors detected: {clause} Map keys must satisfy constraint: "
        f"[Member must have length less than or equal to 128, {least}, "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9:_-]+]; "
        f"{clause} Map value must satisfy constraint: "
        f"[Member must have length less than or equal to 1024, {least}, "
        r"Member must satisfy regular expression pattern: [^\p{C}]+]"
    )


def test_doubles_print_as_java_does() -> None:
    """spec: control-plane 1.4."""
    rate = {"baseRatePerMinute": 1, "rateIncreaseCriteria": {}}
    for factor, printed in ((6, "6.0"), (0.5, "0.5"), (1e7, "1.0E7"), (10**400, "Infinity")):
        config = {"exponentialRate": {**rate, "incrementFactor": factor}}
        assert f"Value '{printed}' at" in create_job(jobExecutionsRolloutConfig=config)


# --- the constraints ------------------------------------------------------------------------------


def test_a_document_has_32768_code_points_at_most() -> None:
    """case 11."""
    assert accepted("CreateJob", {"targets": ["a"], "document": "😀" * 32_768})
    assert "Member must have length less than or equal to 32768" in create_job(document="x" * 32_769)


def test_a_job_id_has_64_characters_at_most() -> None:
    """case 13."""
    assert accepted("CreateJob", {"targets": ["a"]}, jobId="j" * 64)
    assert "Member must have length less than or equal to 64" in create_job({"jobId": "j" * 65})


def test_a_pattern_must_match_to_the_last_character() -> None:
    assert "at 'jobId'" in create_job({"jobId": "job\n"})
    assert "at 'jobId'" in create_job({"jobId": "jöb"})
    assert "at 'jobTemplateArn'" in create_job(jobTemplateArn="arn:aws\n")


@pytest.mark.parametrize(
    "character", ["\n", "\0", "\x7f", "\x9f", "\xad", "\u200d", "\ufeff", "\ue000", "\U000e0041"]
)
def test_control_format_and_private_characters_are_refused_in_prose(character: str) -> None:
    assert "at 'description'" in create_job(description=f"a{character}b")


def test_any_other_character_is_taken_in_prose() -> None:
    assert accepted("CreateJob", {"targets": ["a"], "description": "Größe: 5 µm, 日本語 😀 \u2028\u00a0~"})


@pytest.mark.parametrize(("key", "fine"), [("größe 日本 ½ a_.:/=+-@", True), ("a#b", False), ("a\tb", False)])
def test_a_tag_key_is_letters_numbers_blanks_and_a_few_signs(key: str, fine: bool) -> None:
    tags = {"targets": ["a"], "tags": [{"Key": key, "Value": ""}]}
    if fine:
        assert accepted("CreateJob", tags)
    else:
        assert r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*" in message(CONTROL, "CreateJob", tags)


@pytest.mark.parametrize("code", ["lower", "Ä", "A B", ""])
def test_a_reason_code_is_ascii_upper_case(code: str) -> None:
    assert r"[\p{Upper}\p{Digit}_]+" in message(CONTROL, "CancelJob", {"reasonCode": code})


@pytest.mark.parametrize("threshold", [0.0, -0.001, 33.333])
def test_the_finer_rules_for_a_threshold_are_left_to_the_domain(threshold: float) -> None:
    """spec: control-plane 2: they have sentences of their own."""
    criteria = [{**CRITERION, "thresholdPercentage": threshold}]
    assert accepted("CreateJob", {"targets": ["a"], "abortConfig": {"criteriaList": criteria}})


@pytest.mark.parametrize("minutes", [0, -1, 10_081])
def test_the_range_of_time_outs_is_left_to_the_domain(minutes: int) -> None:
    assert accepted("CreateJob", {"targets": ["a"], "timeoutConfig": {"inProgressTimeoutInMinutes": minutes}})
    assert accepted("CreateJob", {"targets": ["a"], "timeoutConfig": {}})


def test_status_details_have_ten_pairs_at_most() -> None:
    """spec: device-plane 3."""
    pairs = {f"k{n}": "v" for n in range(11)}
    for plane, name in ((DEVICE, "StartNextPendingJobExecution"), (CONTROL, "CancelJobExecution")):
        assert "length less than or equal to 10" in message(plane, name, {"statusDetails": pairs})
    assert "less than or equal to 1024" in message(
        DEVICE, "StartNextPendingJobExecution", {"statusDetails": {"k": "v" * 1025}}
    )


def test_next_is_a_job_id_on_the_device_plane_only() -> None:
    """spec: control-plane 3.11."""
    assert "at 'jobId'" in message(CONTROL, "DescribeJobExecution", jobId="$next")
    describe = operation_named(DEVICE, "DescribeJobExecution")
    assert decode_request(describe, {"thingName": "t", "jobId": "$next"}, b"", [], b"")
    assert "at 'jobId'" in message(DEVICE, "UpdateJobExecution", {"status": "FAILED"}, jobId="$next")
