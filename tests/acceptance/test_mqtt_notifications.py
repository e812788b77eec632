"""What devices are told of their jobs without having asked: ``notify`` and ``notify-next``."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fleet import Fleet, arn, retry
from mqtt_client import Device, Devices
from servers import Server
from thingjobs.mqtt.packets import ConnAck, Publish, Version


@pytest.fixture(params=Version, ids=lambda version: version.name)
def devices(server: Server, request: pytest.FixtureRequest) -> Iterator[Devices]:
    with Devices(server.mqtt_port, request.param) as made:
        yield made


@pytest.fixture
def device(fleet: Fleet, devices: Devices) -> Device:
    """Listens for a thing without jobs."""
    return devices.listening(fleet.thing())


def seconds(fleet: Fleet) -> int:
    return fleet.server.now() // 1000


def heard(device: Device) -> None:
    """Forget what was told so far."""
    device.ping()
    device.messages.clear()


# --- the walkthrough of the guide -----------------------------------------------------------------------


def test_first_job_is_told_of_twice(fleet: Fleet, device: Device) -> None:
    """case 86"""
    job = fleet.job(device.thing, document='{"op":"x","n":null}')
    now = seconds(fleet)
    listed = {
        "jobId": job,
        "queuedAt": now,
        "lastUpdatedAt": now,
        "executionNumber": 1,
        "versionNumber": 1,
    }
    notify = device.next_message()
    assert notify.topic == device.topic("notify")
    assert json.loads(notify.payload) == {"timestamp": now, "jobs": {"QUEUED": [listed]}}
    assert device.expect(device.topic("notify-next")) == {
        "timestamp": now,
        "execution": {**listed, "status": "QUEUED", "jobDocument": {"op": "x"}},
    }
    device.expect_nothing()


def test_job_behind_the_head_is_listed_only(fleet: Fleet, device: Device) -> None:
    """case 87"""
    first = fleet.job(device.thing)
    heard(device)
    fleet.server.advance(0.001)
    second = fleet.job(device.thing)
    assert device.expect_notify() == {"QUEUED": [first, second]}
    device.expect_nothing()


def test_starting_the_head_is_no_news(fleet: Fleet, device: Device) -> None:
    """case 88"""
    job = fleet.job(device.thing)
    heard(device)
    assert device.started()["jobId"] == job
    device.expect_nothing()
    device.report(job, "IN_PROGRESS", statusDetails={"a": "1"})
    device.expect_nothing()


def test_reporting_the_head_as_started_is_no_news(fleet: Fleet, device: Device) -> None:
    """case 88"""
    job = fleet.job(device.thing)
    heard(device)
    device.report(job, "IN_PROGRESS")
    device.expect_nothing()


def test_job_that_overtakes_is_told_of_as_next_only(fleet: Fleet, device: Device) -> None:
    """case 89"""
    fleet.job(device.thing)
    fleet.server.advance(1)
    second = fleet.job(device.thing)
    heard(device)
    fleet.server.advance(1)
    device.report(second, "IN_PROGRESS", statusDetails={"a": "1"})
    now = seconds(fleet)
    assert device.expect(device.topic("notify-next")) == {
        "timestamp": now,
        "execution": {
            "jobId": second,
            "status": "IN_PROGRESS",
            "statusDetails": {"a": "1"},
            "queuedAt": now - 1,
            "startedAt": now,
            "lastUpdatedAt": now,
            "versionNumber": 2,
            "executionNumber": 1,
            "jobDocument": {"op": "x"},
        },
    }
    device.expect_nothing()


def test_second_running_job_behind_the_first_is_no_news(fleet: Fleet, device: Device) -> None:
    """spec: device-plane 6.2"""
    first = fleet.job(device.thing)
    fleet.server.advance(1)
    second = fleet.job(device.thing)
    heard(device)
    device.report(first, "IN_PROGRESS")
    device.report(second, "IN_PROGRESS")
    device.expect_nothing()


def test_answer_then_list_then_next(fleet: Fleet, device: Device) -> None:
    """case 90, case 213; spec: ruling 31"""
    first = fleet.job(device.thing)
    fleet.server.advance(0.001)
    second = fleet.job(device.thing)
    heard(device)
    device.report(first, "SUCCEEDED", clientToken="a")  # the answer is the next message
    assert device.expect_notify() == {"QUEUED": [second]}
    assert device.expect_notify_next() == (second, "QUEUED")
    device.expect_nothing()
    device.report(second, "FAILED")
    assert device.expect_notify() == {}
    assert device.expect_notify_next() is None
    device.expect_nothing()


def test_end_of_one_behind_the_head_is_listed_only(fleet: Fleet, device: Device) -> None:
    """case 91"""
    second = fleet.job(device.thing)
    fleet.server.advance(0.001)
    third = fleet.job(device.thing)
    fleet.report(device.thing, third, "IN_PROGRESS")
    heard(device)
    device.report(second, "REJECTED")
    assert device.expect_notify() == {"IN_PROGRESS": [third]}
    device.expect_nothing()


def test_deleted_job_leaves_an_empty_list(fleet: Fleet, device: Device) -> None:
    """case 92"""
    job = fleet.job(device.thing)
    fleet.start_next(device.thing)
    heard(device)
    fleet.iot.delete_job(jobId=job, force=True)
    now = seconds(fleet)
    assert device.expect(device.topic("notify")) == {"timestamp": now, "jobs": {}}
    assert device.expect(device.topic("notify-next")) == {"timestamp": now}
    device.expect_nothing()


def test_list_has_ten_entries_the_running_first(fleet: Fleet, device: Device) -> None:
    """case 112"""
    jobs = []
    for _ in range(12):
        jobs.append(fleet.job(device.thing))
        fleet.server.advance(0.001)
    running = jobs[8:]
    for job in running:
        fleet.report(device.thing, job, "IN_PROGRESS")
    heard(device)
    fleet.job(device.thing)
    assert device.expect_notify() == {"IN_PROGRESS": running, "QUEUED": jobs[:6]}
    device.expect_nothing()


# --- other causes ---------------------------------------------------------------------------------------


def test_canceling_the_head_is_told_of(fleet: Fleet, device: Device) -> None:
    """spec: device-plane 6.2"""
    first = fleet.job(device.thing)
    fleet.server.advance(0.001)
    second = fleet.job(device.thing)
    heard(device)
    fleet.iot.cancel_job(jobId=first)
    assert device.expect_notify() == {"QUEUED": [second]}
    assert device.expect_notify_next() == (second, "QUEUED")
    fleet.iot.cancel_job_execution(thingName=device.thing, jobId=second)
    assert device.expect_notify() == {}
    assert device.expect_notify_next() is None
    device.expect_nothing()


def test_deleting_what_is_over_or_the_thing_is_no_news(fleet: Fleet, device: Device) -> None:
    """spec: device-plane 6.2"""
    done, waiting = fleet.job(device.thing), fleet.job(device.thing)
    fleet.report(device.thing, done, "SUCCEEDED")
    heard(device)
    fleet.iot.delete_job(jobId=done)
    device.expect_nothing()
    fleet.iot.delete_thing(thingName=device.thing)
    device.expect_nothing()
    assert fleet.describe(waiting)


def test_several_changes_at_once_are_told_of_once(fleet: Fleet, device: Device) -> None:
    """spec: ruling 31. A group job reaches a thing once, whatever else its transaction does."""
    group = fleet.group(device.thing, fleet.thing())
    job = fleet.job(arn("thinggroup", group), device.thing)
    assert device.expect_notify() == {"QUEUED": [job]}
    assert device.expect_notify_next() == (job, "QUEUED")
    device.expect_nothing()
    fleet.iot.delete_job(jobId=job, force=True)
    assert device.expect_notify() == {}
    assert device.expect_notify_next() is None
    device.expect_nothing()


def test_changes_over_http_are_told_of_too(fleet: Fleet, device: Device) -> None:
    """spec: device-plane 6.2"""
    job = fleet.job(device.thing)
    heard(device)
    fleet.start_next(device.thing)
    device.expect_nothing()
    fleet.report(device.thing, job, "FAILED")
    assert device.expect_notify() == {}
    assert device.expect_notify_next() is None


def test_retried_execution_is_another_head(fleet: Fleet, device: Device) -> None:
    """spec: device-plane 6.2: what identifies a head is its job and execution number"""
    job = fleet.job(device.thing, jobExecutionsRetryConfig=retry(FAILED=1))
    heard(device)
    device.report(job, "FAILED")
    assert device.expect_notify() == {"QUEUED": [job]}
    assert device.expect(device.topic("notify-next"))["execution"]["executionNumber"] == 2
    device.expect_nothing()


def test_timed_out_execution_leaves_the_list(fleet: Fleet, device: Device) -> None:
    """spec: device-plane 6.2"""
    job = fleet.job(device.thing, timeoutConfig={"inProgressTimeoutInMinutes": 1})
    heard(device)
    device.started()
    fleet.server.advance(60)
    assert fleet.execution(device.thing, job)["status"] == "TIMED_OUT"
    assert device.expect_notify() == {}
    assert device.expect_notify_next() is None
    device.expect_nothing()


# --- who is told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_announcements_come_at_the_qos_subscribed_to_and_are_not_retained(
    fleet: Fleet, devices: Devices, qos: int
) -> None:
    """spec: device-plane 1"""
    device = devices.connect(fleet.thing())
    assert device.subscribe(device.topic("notify"), qos=qos) == (min(qos, 1),)
    fleet.job(device.thing)
    message = device.next_message()
    assert (message.qos, message.retain) == (min(qos, 1), False)
    assert (message.packet_id != 0) == (qos > 0)


def test_subscribing_tells_nothing_of_what_is_there(fleet: Fleet, devices: Devices, device: Device) -> None:
    """spec: device-plane 1"""
    fleet.job(device.thing)
    heard(device)
    late = devices.connect(fleet.unique("late"))
    late.subscribe(device.topic("#"))
    late.expect_nothing()
    assert device.subscribe(device.topic("notify")) == (1,)  # again
    device.expect_nothing()


def test_one_who_listens_for_notify_next_only_hears_no_list(fleet: Fleet, devices: Devices) -> None:
    device = devices.connect(fleet.thing())
    device.subscribe(device.topic("notify-next"))
    first = fleet.job(device.thing)
    assert device.expect_notify_next() == (first, "QUEUED")
    fleet.server.advance(0.001)
    fleet.job(device.thing)
    device.expect_nothing()


@pytest.mark.parametrize(
    "topic_filter",
    ["{jobs}/#", "{jobs}/+", "$aws/things/+/jobs/+", "$aws/things/#", "$aws/#", "$aws/+/{thing}/+/#"],
)
def test_wildcards_below_aws_hear_announcements_once(
    fleet: Fleet, devices: Devices, topic_filter: str
) -> None:
    """spec: device-plane 8.1: ``#`` reaches the service's topics when its filter starts with ``$aws``"""
    thing = fleet.thing()
    listener = devices.connect(fleet.unique("listener"))
    listener.thing = thing
    spelled = topic_filter.format(jobs=f"$aws/things/{thing}/jobs", thing=thing)
    listener.subscribe(spelled, listener.topic("notify"))
    job = fleet.job(thing)
    assert listener.expect_notify() == {"QUEUED": [job]}
    assert listener.expect_notify_next() == (job, "QUEUED")
    listener.expect_nothing()
    listener.unsubscribe(spelled)
    fleet.iot.cancel_job(jobId=job)
    assert listener.expect_notify() == {}
    listener.expect_nothing()


@pytest.mark.parametrize("topic_filter", ["#", "+/things/#", "+/+/+/+/+", "+/#"])
def test_wildcards_elsewhere_hear_nothing_of_it(fleet: Fleet, devices: Devices, topic_filter: str) -> None:
    """spec: device-plane 8.1"""
    listener = devices.connect(fleet.unique("listener"), topic_filter)
    fleet.job(fleet.thing())
    listener.expect_nothing()


def test_all_who_listen_are_told_and_nobody_else(fleet: Fleet, devices: Devices, device: Device) -> None:
    topic = device.topic("notify-next")
    others = [devices.connect(fleet.unique("other"), topic) for _ in range(3)]
    stranger = devices.listening(fleet.thing())
    job = fleet.job(device.thing)
    device.expect_notify()
    for each in (device, *others):
        assert each.expect(topic)["execution"]["jobId"] == job
        each.expect_nothing()
    stranger.expect_nothing()
    others[0].leave()
    others[1].close()
    others[2].unsubscribe(topic)
    fleet.iot.cancel_job(jobId=job)
    device.expect_notify()
    assert device.expect_notify_next() is None
    others[2].expect_nothing()


def test_device_that_listens_in_vain_hears_of_a_thing_made_later(fleet: Fleet, devices: Devices) -> None:
    name = fleet.unique("later")
    device = devices.listening(name)
    fleet.iot.create_thing(thingName=name)
    job = fleet.job(name)
    assert device.expect_notify() == {"QUEUED": [job]}
    assert device.expect_notify_next() == (job, "QUEUED")


def test_many_things_are_told_each_of_its_own(fleet: Fleet, devices: Devices) -> None:
    listeners = [devices.listening(thing) for thing in fleet.things(30)]
    group = fleet.group(*(each.thing for each in listeners))
    job = fleet.job(arn("thinggroup", group))
    for each in listeners:
        assert each.expect_notify() == {"QUEUED": [job]}
        assert each.expect_notify_next() == (job, "QUEUED")
    fleet.iot.cancel_job(jobId=job)
    for each in listeners:
        assert each.expect_notify() == {}
        assert each.expect_notify_next() is None
        each.expect_nothing()


# --- devices that sleep -----------------------------------------------------------------------------------


def test_returning_device_is_told_of_the_outcome(fleet: Fleet, devices: Devices) -> None:
    """spec: device-plane 6.3. What it missed follows from what it knew, and is not a replay."""
    thing = fleet.thing()
    device = devices.listening(thing, persistent=True)
    first = fleet.job(thing)
    device.expect_notify()
    assert device.expect_notify_next() == (first, "QUEUED")
    device.leave()
    jobs = []
    for _ in range(2):
        fleet.server.advance(1)
        jobs.append(fleet.job(thing))
    fleet.report(thing, first, "SUCCEEDED")
    fleet.report(thing, jobs[1], "REJECTED")
    device = devices.connect(thing, persistent=True)
    assert device.was_present
    assert device.expect_notify() == {"QUEUED": jobs[:1]}
    assert device.expect_notify_next() == (jobs[0], "QUEUED")
    device.expect_nothing()
    fleet.iot.cancel_job(jobId=jobs[0])
    assert device.expect_notify() == {}
    assert device.expect_notify_next() is None
    device.expect_nothing()


def test_returning_listener_for_every_thing_finds_what_it_missed(fleet: Fleet, devices: Devices) -> None:
    """spec: device-plane 6.3"""
    client_id = fleet.unique("back-end")
    filters = ("$aws/things/+/jobs/notify", "$aws/things/+/jobs/notify-next")
    listener = devices.connect(client_id, *filters, persistent=True)
    listener.leave()
    thing = fleet.thing()
    job = fleet.job(thing)
    listener = devices.connect(client_id, persistent=True)
    listener.thing = thing
    assert listener.was_present
    assert listener.expect_notify() == {"QUEUED": [job]}
    assert listener.expect_notify_next() == (job, "QUEUED")
    listener.expect_nothing()
    listener.leave()
    fleet.report(thing, job, "SUCCEEDED")
    job = fleet.job(thing)
    listener = devices.connect(client_id, persistent=True)
    listener.thing = thing
    assert listener.expect_notify() == {}
    assert listener.expect_notify_next() is None
    assert listener.expect_notify() == {"QUEUED": [job]}
    assert listener.expect_notify_next() == (job, "QUEUED")
    listener.expect_nothing()
    fleet.iot.cancel_job(jobId=job)
    assert listener.expect_notify() == {}


def test_returning_device_that_missed_nothing_is_told_nothing(fleet: Fleet, devices: Devices) -> None:
    thing = fleet.thing()
    device = devices.listening(thing, persistent=True)
    job = fleet.job(thing)
    heard(device)
    for changes in (0, 1):
        device.leave()
        if changes:  # that come to nothing
            fleet.iot.cancel_job(jobId=fleet.job(thing))
        fleet.start_next(thing)
        device = devices.connect(thing, persistent=True)
        assert device.was_present
        device.expect_nothing()
    fleet.iot.cancel_job(jobId=job, force=True)
    assert device.expect_notify() == {}


def test_returning_device_is_told_the_list_without_a_new_head(fleet: Fleet, devices: Devices) -> None:
    thing = fleet.thing()
    device = devices.listening(thing, persistent=True)
    jobs = [fleet.job(thing)]
    heard(device)
    device.leave()
    fleet.server.advance(1)
    jobs.append(fleet.job(thing))
    device = devices.connect(thing, persistent=True)
    assert device.expect_notify() == {"QUEUED": jobs}
    device.expect_nothing()


def test_returning_device_is_told_by_its_subscriptions(fleet: Fleet, devices: Devices) -> None:
    thing = fleet.thing()
    device = devices.connect(thing, f"$aws/things/{thing}/jobs/notify-next", persistent=True)
    device.leave()
    job = fleet.job(thing)
    device = devices.connect(thing, persistent=True)
    assert device.expect_notify_next() == (job, "QUEUED")
    device.unsubscribe(device.topic("notify-next"))
    device.leave()
    fleet.iot.cancel_job(jobId=job)
    device = devices.connect(thing, persistent=True)
    assert device.was_present
    device.expect_nothing()


def test_returning_device_is_told_at_qos_1_only(fleet: Fleet, devices: Devices) -> None:
    """spec: device-plane 6.3"""
    thing = fleet.thing()
    device = devices.connect(thing, f"$aws/things/{thing}/jobs/notify", qos=0, persistent=True)
    device.subscribe(device.topic("notify-next"))
    device.leave()
    job = fleet.job(thing)
    device = devices.connect(thing, persistent=True)
    assert device.expect_notify_next() == (job, "QUEUED")
    device.expect_nothing()
    fleet.iot.cancel_job(jobId=job)
    assert device.expect_notify() == {}
    assert device.expect_notify_next() is None


@pytest.mark.parametrize("ends_first", [True, False])
def test_device_that_returns_while_its_connection_ends_is_told_of_every_job(
    fleet: Fleet, devices: Devices, ends_first: bool
) -> None:
    """The end of the old connection and the CONNECT on an open one reach the server together."""
    thing = fleet.thing()
    device = devices.connect(thing, f"$aws/things/{thing}/jobs/notify", persistent=True)
    jobs: list[str] = []
    for _ in range(5):
        old, device = device, devices.open()
        device.thing = thing
        for _ in range(2):
            old.ping()  # by then the new connection is accepted, too
        with fleet.server.paused():
            if ends_first:
                old.close()
            device.send(devices.returning(thing))
            old.close()
        assert device.awaited(ConnAck).session_present
        jobs.append(fleet.job(thing))
        assert device.expect_notify() == {"QUEUED": jobs}
        device.expect_nothing()
        fleet.server.advance(0.001)


def test_device_that_did_not_acknowledge_is_told_again(fleet: Fleet, devices: Devices) -> None:
    """spec: device-plane 8.1, in-flight"""
    thing = fleet.thing()
    device = devices.listening(thing, persistent=True, acknowledges=False)
    job = fleet.job(thing)
    told = [device.next_message() for _ in range(2)]
    assert [message.dup for message in told] == [False, False]
    device.leave()
    device = devices.connect(thing, persistent=True)
    again = [device.next_message() for _ in range(2)]
    assert [message.dup for message in again] == [True, True]
    assert [(m.topic, m.payload, m.packet_id) for m in again] == [
        (m.topic, m.payload, m.packet_id) for m in told
    ]
    device.expect_nothing()
    assert device.started()["jobId"] == job


def test_device_that_sleeps_does_not_deafen_another(fleet: Fleet, devices: Devices, device: Device) -> None:
    """Both listen for one thing; what one has is not taken from the other."""
    topics = [device.topic("notify"), device.topic("notify-next")]
    sleeper = devices.connect(fleet.unique("sleeper"), *topics, persistent=True)
    client_id = sleeper.thing
    sleeper.leave()
    job = fleet.job(device.thing)
    assert device.expect_notify() == {"QUEUED": [job]}
    assert device.expect_notify_next() == (job, "QUEUED")
    sleeper = devices.connect(client_id, persistent=True)
    sleeper.thing = device.thing
    assert sleeper.expect_notify() == {"QUEUED": [job]}
    assert sleeper.expect_notify_next() == (job, "QUEUED")
    fleet.iot.cancel_job(jobId=job)
    for each in (device, sleeper):
        assert each.expect_notify() == {}
        assert each.expect_notify_next() is None
        each.expect_nothing()


def test_nothing_is_kept_for_a_session_that_ends(fleet: Fleet, devices: Devices) -> None:
    thing = fleet.thing()
    for persistent in (False, True):
        devices.listening(thing, persistent=persistent).leave()
        fleet.iot.cancel_job(jobId=fleet.job(thing))
        job = fleet.job(thing)
        device = devices.connect(thing)  # clean
        assert not device.was_present
        device.expect_nothing()
        device.leave()
        fleet.iot.cancel_job(jobId=job)


def test_pending_announcements_survive_the_flood(fleet: Fleet, devices: Devices, device: Device) -> None:
    """A device asks without a pause while jobs come: it is told of each, in order, between its answers."""
    asked = Publish(device.topic("get"), b"{}")
    jobs = []
    for _ in range(20):
        device.send(*[asked] * 20)
        jobs.append(fleet.job(device.thing))
        fleet.server.advance(0.001)
    device.ping()
    answers = 0
    lists: list[list[str]] = []
    while answers < 400 or len(lists) < 20:
        message = device.next_message()
        if message.topic.endswith("/get/accepted"):
            answers += 1
        elif message.topic.endswith("/notify"):
            lists.append([each["jobId"] for each in json.loads(message.payload)["jobs"]["QUEUED"]])
    assert lists == [jobs[: min(n, 10)] for n in range(1, 21)]
