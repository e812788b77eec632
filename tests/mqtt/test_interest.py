"""Which subscriptions make a thing's device a listening one."""

from __future__ import annotations

import pytest

from thingjobs.mqtt.interest import Every, things_listened_for


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
