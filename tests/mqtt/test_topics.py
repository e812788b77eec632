"""Topic names, topic filters and who has subscribed to what."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.subscriptions import Subscriptions
from thingjobs.mqtt.topics import fits_limits, is_reserved, is_valid_filter, matches


@pytest.mark.parametrize(
    ("topic", "fits"),
    [
        ("a", True),
        ("x" * 256, True),
        ("x" * 257, False),
        ("é" * 128, True),
        ("é" * 129, False),
        ("/" * 7, True),
        ("/" * 8, False),
        ("$aws/things/t1/jobs/j/update/accepted", True),
        ("$aws/things/t1/" + "/" * 7, True),
        ("$aws/things/t1/" + "/" * 8, False),
        ("$aws/rules/r/a/b/c/d/e/f/g/h", True),
        ("$aws/rules/r/a/b/c/d/e/f/g/h/i", False),
        ("$aws/other/a/b/c/d/e/f", True),
        ("$aws/other/a/b/c/d/e/f/g", False),
    ],
)
def test_length_and_depth(topic: str, fits: bool) -> None:
    """spec: device-plane 8.1, "Payload"."""
    assert fits_limits(topic, Limits()) is fits


def test_the_longest_jobs_topic_fits() -> None:
    assert fits_limits(f"$aws/things/{'t' * 128}/jobs/{'j' * 64}/update/accepted", Limits())


def test_topics_with_a_dollar_sign_are_the_services() -> None:
    assert is_reserved("$aws/things/t1/jobs/get")
    assert is_reserved("$SYS/broker")
    assert not is_reserved("a/$b")


@pytest.mark.parametrize(
    "topic_filter", ["#", "+", "a", "/", "a/#", "+/+", "a/+/b", "/+", "+/#", "a//b", "$aws/things/+/jobs/#"]
)
def test_valid_filters(topic_filter: str) -> None:
    assert is_valid_filter(topic_filter)


@pytest.mark.parametrize("topic_filter", ["", "a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##", "++", "+#"])
def test_invalid_filters(topic_filter: str) -> None:
    assert not is_valid_filter(topic_filter)


MATCHES = [
    ("a/b", "a/b", True),
    ("a/b", "a/b/c", False),
    ("a/b", "A/b", False),
    ("a/+", "a/b", True),
    ("a/+", "a/", True),
    ("a/+", "a", False),
    ("a/+", "a/b/c", False),
    ("+", "a", True),
    ("+", "/a", False),
    ("+/+", "/a", True),
    ("/+", "/a", True),
    ("a/#", "a/b", True),
    ("a/#", "a/b/c", True),
    ("a/#", "a/", True),
    ("a/#", "a", False),
    ("a/+/#", "a/b/c", True),
    ("a/+/#", "a/b", False),
    ("#", "a", True),
    ("#", "a/b/c", True),
    ("#", "$aws/things/t1/jobs/notify", False),
    ("+/things/t1/jobs/notify", "$aws/things/t1/jobs/notify", False),
    ("+/#", "$aws/things", False),
    ("$aws/#", "$aws/things/t1/jobs/notify", True),
    ("$aws/things/+/jobs/notify", "$aws/things/t1/jobs/notify", True),
    ("$aws/things/t1/jobs/get/+", "$aws/things/t1/jobs/get/accepted", True),
    ("$aws/things/t1/jobs/+/get/+", "$aws/things/t1/jobs/$next/get/accepted", True),
    ("$aws/things/t1/jobs/#", "$aws/things/t1/jobs", False),
    ("a/#", "a/$b", True),
    ("a/+", "a/$b", True),
]


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), MATCHES)
def test_matching(topic_filter: str, topic: str, expected: bool) -> None:
    """spec: device-plane 8.1, "#" and wildcards on $aws."""
    assert matches(topic_filter, topic) is expected
    subscriptions: Subscriptions[str] = Subscriptions()
    subscriptions.add("one", topic_filter, 1)
    assert list(subscriptions.match(topic)) == ([("one", 1)] if expected else [])


# --- the index --------------------------------------------------------------------------------------

levels = st.sampled_from(["a", "b", "", "$aws", "$x"])
names = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
filters = st.builds(
    lambda head, tail: "/".join([*head, *tail]),
    st.lists(st.one_of(levels, st.just("+")), max_size=4),
    st.sampled_from([["#"], ["+"], ["a"], ["$aws"]]),
)
people = st.sampled_from(["ann", "bob", "cy"])


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "add", "add", "remove"]), people, filters, st.integers(0, 1)),
        max_size=25,
    ),
    st.lists(names, max_size=6),
)
def test_the_index_agrees_with_matching_one_by_one(
    steps: list[tuple[str, str, str, int]], topics: list[str]
) -> None:
    subscriptions: Subscriptions[str] = Subscriptions()
    present: dict[tuple[str, str], int] = {}
    for step, who, topic_filter, qos in steps:
        if step == "add":
            subscriptions.add(who, topic_filter, qos)
            present[who, topic_filter] = qos
        else:
            subscriptions.remove(who, topic_filter)
            present.pop((who, topic_filter), None)
    assert len(subscriptions) == len({topic_filter for _, topic_filter in present})
    for topic in topics:
        best: dict[str, int] = {}
        for (who, topic_filter), qos in present.items():
            if matches(topic_filter, topic):
                best[who] = max(qos, best.get(who, 0))
        found = list(subscriptions.match(topic))
        assert dict(found) == best
        assert len(found) == len(best)
    for who, topic_filter in present:
        subscriptions.remove(who, topic_filter)
    assert len(subscriptions) == 0
    assert all(not subscriptions.match(topic) for topic in topics)


def test_one_copy_at_the_best_qos_for_overlapping_subscriptions() -> None:
    subscriptions: Subscriptions[str] = Subscriptions()
    subscriptions.add("t1", "$aws/things/t1/jobs/#", 0)
    subscriptions.add("t1", "$aws/things/t1/jobs/notify", 1)
    subscriptions.add("t1", "$aws/things/t1/jobs/+", 0)
    assert list(subscriptions.match("$aws/things/t1/jobs/notify")) == [("t1", 1)]


def test_subscribing_again_changes_the_qos() -> None:
    subscriptions: Subscriptions[str] = Subscriptions()
    subscriptions.add("t1", "a", 1)
    subscriptions.add("t1", "a", 0)
    assert list(subscriptions.match("a")) == [("t1", 0)]


def test_a_device_with_four_subscriptions_costs_little() -> None:
    """The filters themselves are shared with the session; the index adds an entry for each."""
    wanted = [
        (device, f"$aws/things/thing-{device:05d}/jobs/{tail}")
        for device in range(2_000)
        for tail in ("get/+", "start-next/+", "+/get/+", "notify-next")
    ]
    subscriptions: Subscriptions[int] = Subscriptions()
    tracemalloc.start()
    try:
        for device, topic_filter in wanted:
            subscriptions.add(device, topic_filter, 1)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / 2_000 < 1_000
    assert list(subscriptions.match("$aws/things/thing-00042/jobs/j1/get/accepted")) == [(42, 1)]


def test_limits_of_topics_can_be_set() -> None:
    """spec: quotas 5"""
    limits = Limits(max_topic_bytes=5, max_topic_slashes=1)
    assert fits_limits("a/bcd", limits)
    assert not fits_limits("a/bcde", limits)
    assert not fits_limits("a/b/c", limits)
    assert fits_limits("/".join("a" * 20), Limits(max_topic_slashes=19))
