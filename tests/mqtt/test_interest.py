"""Which subscriptions make a thing's device a listening one, and which hear of events."""

from __future__ import annotations

import pytest

from thingjobs.mqtt.interest import Every, listens_for_events, things_listened_for


@pytest.mark.parametrize(
    ("topic_filter", "things"),
    [
        ("$aws/things/t1/jobs/notify", "t1"),
        ("$aws/things/t1/jobs/notify-next", "t1"),
        ("$aws/things/t1/jobs/+", "t1"),
        ("$aws/things/t1/jobs/#", "t1"),
        ("$aws/things/t1/#", "t1"),
        ("$aws/things/t1/+/notify", "t1"),
        ("$aws/things/a:b/jobs/notify", "a:b"),
        ("$aws/things/+/jobs/notify-next", Every.THING),
        ("$aws/things/#", Every.THING),
        ("$aws/#", Every.THING),
        ("$aws/+/t1/jobs/notify", "t1"),
        ("$aws/things/t1/jobs/get/+", None),
        ("$aws/things/t1/jobs/start-next/accepted", None),
        ("$aws/things/t1/jobs/j1/update/+", None),
        ("$aws/things/t1/jobs/notify/x", None),
        ("$aws/things/t1/jobs", None),
        ("$aws/things/t1/shadow/#", None),
        ("$aws/events/job/#", None),
        ("#", None),
        ("+/things/t1/jobs/notify", None),
        ("sensors/+/temperature", None),
    ],
)
def test_a_filter_listens_for(topic_filter: str, things: str | Every | None) -> None:
    assert things_listened_for(topic_filter) == things


@pytest.mark.parametrize(
    ("topic_filter", "hears"),
    [
        ("$aws/events/#", True),
        ("$aws/events/job/#", True),
        ("$aws/events/job/j/#", True),
        ("$aws/events/jobExecution/+/succeeded", True),
        ("$aws/events/+/j/completed", True),
        ("$aws/#", True),
        ("$aws/+/job/j/completed", True),
        ("$aws/events/job/j/completed/#", False),
        ("$aws/events/job/j", False),
        ("$aws/events/thing/t/created", False),
        ("$aws/things/#", False),
        ("$aws/+/t1/jobs/notify", False),
        ("$aws", False),
        ("#", False),
        ("+/events/#", False),
    ],
)
def test_a_filter_hears_of_events(topic_filter: str, hears: bool) -> None:
    assert listens_for_events(topic_filter) is hears
