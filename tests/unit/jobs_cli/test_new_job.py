"""From flags to the members of CreateJob."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from thingjobs.jobs_cli.client import Members
from thingjobs.jobs_cli.exits import WrongUsage
from thingjobs.jobs_cli.names import short_target, target_arn, template_arn
from thingjobs.jobs_cli.new_job import NewJob, Resolvers, members

ACCOUNT = "arn:aws:iot:us-east-1:123456789012"
RESOLVED = Resolvers(
    target_arn=lambda target: f"arn of {target}",
    template_arn=lambda template: f"arn of {template}",
    text=lambda path: f"text of {path}",
)


class Catalog:
    """A server that knows everything it is asked for, and notes what that was."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []

    def ask(self, operation: str, **params: object) -> Members:
        self.asked.append((operation, params))
        return dict.fromkeys(("thingArn", "thingGroupArn", "jobTemplateArn", "templateArn"), "arn:it")


def order(given: dict[str, Any] | None = None, **flags: Any) -> dict[str, Any]:
    flags = {"target": ("t",), "document": "{}", **flags}
    return members("j", NewJob(**flags), given or {}, RESOLVED)


def test_little_is_needed() -> None:
    assert order() == {"jobId": "j", "targets": ["arn of t"], "document": "{}"}


def test_every_flag_has_its_member() -> None:
    assert order(
        target=("t", "group:g"),
        description="d",
        continuous=True,
        rate=100,
        timeout=30,
        abort=("FAILED:20%:10", "timed_out:0.5:1"),
        retry=("FAILED:3", "TIMED_OUT:1"),
        start_time="2026-07-01T22:00",
        end_time="2026-07-02T22:00",
        end_behavior="CANCEL",
        tag=("k=v=w", "e="),
        parameter=("a=b",),
        presign_role="role",
        presign_seconds=60,
    ) == {
        "jobId": "j",
        "targets": ["arn of t", "arn of group:g"],
        "document": "{}",
        "description": "d",
        "targetSelection": "CONTINUOUS",
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 100},
        "timeoutConfig": {"inProgressTimeoutInMinutes": 30},
        "abortConfig": {
            "criteriaList": [
                {
                    "failureType": "FAILED",
                    "action": "CANCEL",
                    "thresholdPercentage": 20.0,
                    "minNumberOfExecutedThings": 10,
                },
                {
                    "failureType": "TIMED_OUT",
                    "action": "CANCEL",
                    "thresholdPercentage": 0.5,
                    "minNumberOfExecutedThings": 1,
                },
            ]
        },
        "jobExecutionsRetryConfig": {
            "criteriaList": [
                {"failureType": "FAILED", "numberOfRetries": 3},
                {"failureType": "TIMED_OUT", "numberOfRetries": 1},
            ]
        },
        "schedulingConfig": {
            "startTime": "2026-07-01T22:00",
            "endTime": "2026-07-02T22:00",
            "endBehavior": "CANCEL",
        },
        "tags": [{"Key": "k", "Value": "v=w"}, {"Key": "e", "Value": ""}],
        "documentParameters": {"a": "b"},
        "presignedUrlConfig": {"roleArn": "role", "expiresInSec": 60},
    }


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"document_file": Path("f")}, {"document": "text of f"}),
        ({"document_source": "https://x"}, {"documentSource": "https://x"}),
        ({"template": "T"}, {"jobTemplateArn": "arn of T"}),
        ({"document": ""}, {"document": ""}),
        ({}, {"document": "old", "documentSource": "old"}),
    ],
)
def test_flag_for_the_document_wins_over_all_sources_of_the_file(
    flags: dict[str, Any], expected: dict[str, str]
) -> None:
    given = {"document": "old", "documentSource": "old"}
    made = order(given, **{"document": None, **flags})
    assert {name: made[name] for name in made.keys() - {"jobId", "targets"}} == expected


def test_flag_replaces_its_member_and_leaves_those_beside_it() -> None:
    growing = {"baseRatePerMinute": 5}
    given = {
        "jobId": "of-the-file",
        "targets": ["a"],
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 7, "exponentialRate": growing},
        "tags": [{"Key": "old"}],
        "namespaceId": "n",
    }
    made = order(given, target=(), rate=100, tag=("k=v",))
    assert (made["jobId"], made["targets"], made["namespaceId"]) == ("j", ["a"], "n")
    assert made["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 100, "exponentialRate": growing}
    assert made["tags"] == [{"Key": "k", "Value": "v"}]
    assert members(None, NewJob(), given, RESOLVED)["jobId"] == "of-the-file"
    assert given["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 7, "exponentialRate": growing}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"document_source": "x"}, "Give one of --document, "),
        ({"target": ()}, "Say for whom the job is: --target"),
        ({"abort": ("FAILED",)}, "--abort FAILED: say FAILED:20%:10"),
        ({"abort": ("BROKEN:20%:10",)}, "--abort BROKEN:20%:10: say FAILED:20%:10"),
        ({"abort": ("FAILED:-1:10",)}, "--abort FAILED:-1:10: say"),
        ({"retry": ("REJECTED:1",)}, "--retry REJECTED:1: say FAILED:3"),
        ({"tag": ("k",)}, "--tag k: say KEY=VALUE."),
        ({"parameter": ("=v",)}, "--parameter =v: say KEY=VALUE."),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        order(**flags)
    assert str(refused.value).startswith(message)


def test_a_job_needs_an_id() -> None:
    with pytest.raises(WrongUsage, match="Say the id of the job"):
        members(None, NewJob(target=("t",)), {}, RESOLVED)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("lamp", [("describe_thing", {"thingName": "lamp"})]),
        ("thing:group:x", [("describe_thing", {"thingName": "group:x"})]),
        ("group:lamps", [("describe_thing_group", {"thingGroupName": "lamps"})]),
        ("arn:it", []),
    ],
)
def test_targets_are_looked_up_by_name(name: str, asked: list[Any]) -> None:
    server = Catalog()
    assert target_arn(server, name) == "arn:it"
    assert server.asked == asked


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("mine", [("describe_job_template", {"jobTemplateId": "mine"})]),
        (
            "AWS-Reboot",
            [("describe_managed_job_template", {"templateName": "AWS-Reboot", "templateVersion": None})],
        ),
        (
            "AWS-Reboot:1.0",
            [("describe_managed_job_template", {"templateName": "AWS-Reboot", "templateVersion": "1.0"})],
        ),
        ("arn:it", []),
    ],
)
def test_templates_are_looked_up_by_name(name: str, asked: list[Any]) -> None:
    server = Catalog()
    assert template_arn(server, name) == "arn:it"
    assert server.asked == asked


@pytest.mark.parametrize(
    ("arn", "short"),
    [
        (f"{ACCOUNT}:thing/lamp", "lamp"),
        (f"{ACCOUNT}:thing/group:x", "thing:group:x"),
        (f"{ACCOUNT}:thinggroup/lamps", "group:lamps"),
        ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket"),
    ],
)
def test_targets_are_shown_as_they_can_be_typed(arn: str, short: str) -> None:
    assert short_target(arn) == short
