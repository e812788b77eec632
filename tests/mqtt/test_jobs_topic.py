"""The grammar of the reserved jobs topics (spec: device-plane 1, rulings 17 and 23)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.mqtt import jobs_topic
from thingjobs.mqtt.jobs_topic import JobsRequest, Kind

PREFIX = "$aws/things/t1/jobs/"


@pytest.mark.parametrize(
    ("tail", "kind", "job_id"),
    [
        ("get", Kind.GET_PENDING, None),
        ("start-next", Kind.START_NEXT, None),
        ("j1/get", Kind.DESCRIBE, "j1"),
        ("$next/get", Kind.DESCRIBE, "$next"),
        ("j1/update", Kind.UPDATE, "j1"),
        ("get/get", Kind.DESCRIBE, "get"),
        ("get/update", Kind.UPDATE, "get"),
        ("start-next/get", Kind.DESCRIBE, "start-next"),
        ("start-next/update", Kind.UPDATE, "start-next"),
        ("notify/get", Kind.DESCRIBE, "notify"),
        ("notify-next/update", Kind.UPDATE, "notify-next"),
        ("update/update", Kind.UPDATE, "update"),
        ("not a job id/get", Kind.DESCRIBE, "not a job id"),
    ],
)
def test_requests(tail: str, kind: Kind, job_id: str | None) -> None:
    assert jobs_topic.parse(PREFIX + tail) == JobsRequest("t1", kind, job_id)


@pytest.mark.parametrize(
    "topic",
    [
        PREFIX,
        PREFIX + "notify",
        PREFIX + "notify-next",
        PREFIX + "update",
        PREFIX + "get/accepted",
        PREFIX + "start-next/rejected",
        PREFIX + "j1/get/accepted",
        PREFIX + "j1/update/rejected",
        PREFIX + "j1",
        PREFIX + "j1/",
        PREFIX + "j1/GET",
        PREFIX + "/get",
        PREFIX + "$next/update",
        PREFIX + "get/",
        PREFIX + "j1/get/get",
        "$aws/things//jobs/get",
        "$aws/things/t1/shadow/get",
        "$aws/things/t1/jobs",
        "$aws/things/t1/x/jobs/get",
        "aws/things/t1/jobs/get",
        "/$aws/things/t1/jobs/get",
        "$aws/rules/r/$aws/things/t1/jobs/get",
        "",
    ],
)
def test_what_is_no_request(topic: str) -> None:
    assert jobs_topic.parse(topic) is None


@given(st.lists(st.sampled_from(["$aws", "things", "jobs", "get", "update", "j", "$next", ""]), max_size=8))
def test_answers_are_never_requests(levels: list[str]) -> None:
    topic = "/".join(levels)
    assert jobs_topic.parse(jobs_topic.accepted(topic)) is None
    assert jobs_topic.parse(jobs_topic.rejected(topic)) is None


def test_topics_of_the_service() -> None:
    assert jobs_topic.accepted(PREFIX + "$next/get") == PREFIX + "$next/get/accepted"
    assert jobs_topic.rejected(PREFIX + "j1/update") == PREFIX + "j1/update/rejected"
    assert jobs_topic.notify("t1") == PREFIX + "notify"
    assert jobs_topic.notify_next("t1") == PREFIX + "notify-next"
