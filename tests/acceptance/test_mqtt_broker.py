"""The broker around the jobs: sessions, ordinary messages, wills, what is kept, and its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mqtt_client import Devices, Ended, unexpected
from servers import Server
from thingjobs.mqtt.packets import (
    ConnAck,
    Connect,
    FilterRequest,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    Version,
    Will,
)
from thingjobs.mqtt.properties import Properties
from thingjobs.mqtt.reasons import ReasonCode

Unique = Callable[[str], str]
V311, V5 = Version.V311, Version.V5


@pytest.fixture(params=Version, ids=lambda version: version.name)
def devices(server: Server, request: pytest.FixtureRequest) -> Iterator[Devices]:
    with Devices(server.mqtt_port, request.param) as made:
        yield made


@pytest.fixture
def devices_5(server: Server) -> Iterator[Devices]:
    with Devices(server.mqtt_port, V5) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def nothing_unexpected_is_logged(server: Server) -> Iterator[None]:
    yield
    assert unexpected(server.log_file.read_text()) == []


def said(devices: Devices, reason: ReasonCode) -> ReasonCode | None:
    """What a client is told when the server ends the connection: 3.1.1 has no words for it."""
    return reason if devices.version is V5 else None


# --- being let in -----------------------------------------------------------------------------------


def test_client_id_has_at_most_128_bytes(devices: Devices, unique: Unique) -> None:
    """spec: quotas 5"""
    longest = unique("c").ljust(128, "x")
    devices.connect(longest).ping()
    for too_long in (longest + "x", "ä" * 65):
        answer = devices.open().connect(too_long)
        assert answer.code == (ReasonCode.CLIENT_IDENTIFIER_NOT_VALID if devices.version is V5 else 2)


def test_client_without_an_id_needs_a_clean_session(devices: Devices) -> None:
    """spec: device-plane 8.1"""
    nameless = [devices.connect("", "a/b") for _ in range(2)]
    nameless[0].publish("a/b", b"1")
    for each in nameless:
        assert each.next_message().payload == b"1"
    answer = devices.open().connect("", clean_start=False)
    assert answer.code == (ReasonCode.CLIENT_IDENTIFIER_NOT_VALID if devices.version is V5 else 2)


@pytest.mark.parametrize("level", [3, 6])
def test_other_protocol_levels_are_refused(devices: Devices, level: int) -> None:
    client = devices.open(V5 if level > 5 else V311)
    client.stream.send(bytes((0x10, 14, 0, 4)) + b"MQTT" + bytes((level, 2, 0, 60, 0, 2)) + b"t1")
    packet = client.next_packet()
    assert getattr(packet, "code", None) == (ReasonCode.UNSUPPORTED_PROTOCOL_VERSION if level > 5 else 1)


@pytest.mark.parametrize(("asked", "given"), [(1, 30), (60, None), (5000, 1200), (0, 1200)])
def test_keep_alive_is_clamped(devices_5: Devices, unique: Unique, asked: int, given: int | None) -> None:
    """spec: quotas 5"""
    answer = devices_5.open().connect(unique("c"), keep_alive=asked)
    assert answer.properties.server_keep_alive == given


# --- take-over ----------------------------------------------------------------------------------------


def test_second_connection_of_a_client_ends_the_first(devices: Devices, unique: Unique) -> None:
    """case 175"""
    client_id, topic = unique("c"), unique("topic")
    first = devices.connect(client_id, topic)
    second = devices.connect(client_id, topic)
    assert first.expect_end() == said(devices, ReasonCode.SESSION_TAKEN_OVER)
    assert second.publish(topic, b"1") == 0
    assert second.next_message().payload == b"1"
    second.expect_nothing()
    assert not second.was_present


def test_persistent_session_is_taken_over_whole(devices: Devices, unique: Unique) -> None:
    """case 175"""
    client_id, topic = unique("c"), unique("topic")
    connection = devices.connect(client_id, topic, persistent=True)
    for _ in range(3):
        taken = devices.connect(client_id, persistent=True)
        assert connection.expect_end() == said(devices, ReasonCode.SESSION_TAKEN_OVER)
        assert taken.was_present
        taken.publish(topic, b"1")
        assert taken.next_message().payload == b"1"
        taken.expect_nothing()
        connection = taken


def test_many_connections_at_once_leave_one(devices: Devices, unique: Unique) -> None:
    """case 175: nobody waits for anybody's answer"""
    client_id = unique("c")
    rivals = [devices.open() for _ in range(20)]
    for rival in rivals:
        rival.send(Connect(client_id, devices.version, clean_start=False, keep_alive=60))
    admitted = [rival for rival in rivals if not ended(partial(rival.awaited, ConnAck))]
    # All have been decided, so who can be heard now was the last.
    assert len([rival for rival in admitted if not ended(rival.ping)]) == 1


def ended(step: Callable[[], object]) -> bool:
    try:
        step()
    except (Ended, ConnectionError):
        return True
    return False


# --- ordinary messages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [0, 1])
@pytest.mark.parametrize("granted", [0, 1])
def test_message_comes_at_the_lower_qos(devices: Devices, unique: Unique, sent: int, granted: int) -> None:
    topic = unique("a/b")
    listener = devices.connect(unique("c"), topic, qos=granted)
    assert devices.connect(unique("c")).publish(topic, b"\x00\xff", sent) == 0
    message = listener.next_message()
    assert (message.topic, message.payload, message.qos) == (topic, b"\x00\xff", min(sent, granted))
    listener.expect_nothing()


def test_subscribing_at_qos_2_is_granted_1(devices: Devices, unique: Unique) -> None:
    """spec: device-plane 8.1"""
    client = devices.connect(unique("c"))
    assert client.subscribe(unique("topic"), qos=2) == (1,)


def test_publishing_at_qos_2_ends_the_connection(devices: Devices, unique: Unique) -> None:
    """spec: device-plane 8.1"""
    client = devices.connect(unique("c"))
    client.stream.send(bytes((0x34, 6, 0, 1)) + b"a" + bytes((0, 1, 0)))
    assert client.expect_end() == said(devices, ReasonCode.QOS_NOT_SUPPORTED)


def test_overlapping_subscriptions_bring_one_copy_at_the_best_qos(devices: Devices, unique: Unique) -> None:
    base = unique("base")
    client = devices.connect(unique("c"))
    client.subscribe(f"{base}/#", f"{base}/+/c", qos=0)
    client.subscribe(f"{base}/b/c", qos=1)
    client.publish(f"{base}/b/c", b"1")
    assert client.next_message().qos == 1
    client.expect_nothing()
    client.unsubscribe(f"{base}/b/c")
    client.publish(f"{base}/b/c", b"2")
    assert client.next_message().qos == 0
    client.expect_nothing()


@pytest.mark.parametrize(
    ("topic_filter", "heard"),
    [
        ("{base}/#", ["b", "b/c", ""]),
        ("{base}/+", ["b", ""]),
        ("{base}/+/#", ["b/c"]),
        ("+/b", ["b"]),
        ("{base}", ["."]),
    ],
)
def test_hash_does_not_match_the_parent(
    devices: Devices, unique: Unique, topic_filter: str, heard: list[str]
) -> None:
    """spec: device-plane 8.1: a deviation from the standard"""
    base = unique("base")
    client = devices.connect(unique("c"), topic_filter.format(base=base))
    for below in (".", "b", "b/c", ""):
        client.publish(base if below == "." else f"{base}/{below}", below.encode())
    for below in heard:
        assert client.next_message().payload == below.encode()
    client.expect_nothing()


@pytest.mark.parametrize("topic", ["$aws/x", "$other", "$aws/things/t/shadow/update", "$share/g/t"])
def test_reserved_topics_are_not_for_clients(devices: Devices, unique: Unique, topic: str) -> None:
    """spec: device-plane 1"""
    listener = devices.connect(unique("c"), "#", "$aws/#")
    if not topic.startswith("$share"):
        listener.subscribe(topic)
    for qos in (0, 1):
        assert listener.publish(topic, b"1", qos, retain=True) == 0
    listener.expect_nothing()


@pytest.mark.parametrize("topic_filter", ["a/#/b", "a#", "a+/b", "+a", "a/b#"])
def test_filter_with_a_wildcard_in_the_wrong_place_is_refused(
    devices: Devices, unique: Unique, topic_filter: str
) -> None:
    client = devices.connect(unique("c"))
    refused = ReasonCode.TOPIC_FILTER_INVALID if devices.version is V5 else 0x80
    assert client.subscribe(topic_filter, "a/b") == (refused, 1)


def test_shared_subscriptions_are_refused(devices: Devices, unique: Unique) -> None:
    client = devices.connect(unique("c"))
    refused = ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED if devices.version is V5 else 0x80
    assert client.subscribe("$share/g/a") == (refused,)


def test_unsubscribing_says_what_was_there(devices: Devices, unique: Unique) -> None:
    client = devices.connect(unique("c"), "a/b")
    codes = client.unsubscribe("a/b", "never")
    assert codes == ((0, ReasonCode.NO_SUBSCRIPTION_EXISTED) if devices.version is V5 else ())
    client.publish("a/b")
    client.expect_nothing()


# --- sessions -----------------------------------------------------------------------------------------


def test_session_that_sleeps_is_kept_its_messages_at_qos_1(devices: Devices, unique: Unique) -> None:
    """spec: device-plane 6.3, 8.1"""
    client_id, base = unique("c"), unique("base")
    sender = devices.connect(unique("c"))
    client = devices.connect(client_id, f"{base}/1", persistent=True)
    client.subscribe(f"{base}/0", qos=0)
    assert not client.was_present
    client.leave()
    for n in range(3):
        sender.publish(f"{base}/1", b"kept %d" % n)
        sender.publish(f"{base}/1", b"lost %d" % n, qos=0)
        sender.publish(f"{base}/0", b"lost %d" % n)
    client = devices.connect(client_id, persistent=True)
    assert client.was_present
    assert [client.next_message().payload for _ in range(3)] == [b"kept 0", b"kept 1", b"kept 2"]
    client.expect_nothing()
    client.leave()
    client = devices.connect(client_id)  # clean: the session ends
    assert not client.was_present
    client.leave()
    client = devices.connect(client_id, persistent=True)
    assert not client.was_present
    sender.publish(f"{base}/1", b"to nobody")
    client.expect_nothing()


def test_connection_that_breaks_leaves_the_session(devices: Devices, unique: Unique) -> None:
    client_id, topic = unique("c"), unique("topic")
    client = devices.connect(client_id, topic, persistent=True)
    client.close()
    devices.connect(unique("c")).publish(topic, b"1")
    client = devices.connect(client_id, persistent=True)
    assert client.was_present
    # Sent before the server saw the end, it was in flight; sent after, it waited.
    message = client.next_message()
    assert message.payload == b"1"
    client.expect_nothing()


def test_session_without_persistence_ends_with_its_connection(devices: Devices, unique: Unique) -> None:
    client_id, topic = unique("c"), unique("topic")
    devices.connect(client_id, topic).leave()
    client = devices.connect(client_id, persistent=True)
    assert not client.was_present
    client.publish(topic)
    client.expect_nothing()


def test_session_expires(tmp_path_factory: pytest.TempPathFactory) -> None:
    """spec: device-plane 8.1, ruling 16: real time, also under the manual clock"""
    data = tmp_path_factory.mktemp("expiry") / "data"
    with Server(data, "--clock", "manual") as server, Devices(server.mqtt_port, V5) as devices:

        def sessions() -> int:
            lines = server.http("GET", "/-/metrics")[2].decode().splitlines()
            (count,) = (line.split()[1] for line in lines if line.startswith("thingjobs_mqtt_sessions "))
            return int(float(count))

        def asleep(seconds: int) -> None:
            client = devices.open()
            client.connect("c", clean_start=False, properties=Properties(session_expiry_interval=seconds))
            client.subscribe("a", "$aws/things/t/jobs/notify")
            client.leave()

        asleep(1)
        assert sessions() == 1
        server.advance(7200)
        assert sessions() == 1
        while sessions():
            pass  # for a second
        assert not devices.connect("c", persistent=True).was_present
        asleep(60)
        assert sessions() == 1
        assert unexpected(server.log_file.read_text()) == []


def test_session_expiry_is_capped_and_may_be_changed_at_the_end(devices_5: Devices, unique: Unique) -> None:
    client_id = unique("c")
    client = devices_5.open()
    asked = Properties(session_expiry_interval=100_000)
    answer = client.connect(client_id, clean_start=False, properties=asked)
    assert answer.properties.session_expiry_interval == 3600
    client.leave(properties=Properties(session_expiry_interval=0))
    assert not devices_5.connect(client_id, persistent=True).was_present


# --- retained messages --------------------------------------------------------------------------------


def test_retained_message_meets_later_subscribers(devices: Devices, unique: Unique) -> None:
    base = unique("base")
    sender = devices.connect(unique("c"), f"{base}/#")
    for payload in (b"1", b"2"):
        sender.publish(f"{base}/a", payload, retain=True)
        assert not sender.next_message().retain  # to those already there it is a message like others
    sender.publish(f"{base}/b", b"3", qos=0, retain=True)
    sender.next_message()
    for topic_filter in (f"{base}/a", f"{base}/+", f"{base}/#", "+/a"):
        late = devices.connect(unique("c"))
        late.subscribe(topic_filter)
        message = late.next_message()
        assert (message.topic, message.payload, message.qos, message.retain) == (f"{base}/a", b"2", 1, True)
        if topic_filter.startswith(f"{base}/") and topic_filter != f"{base}/a":
            message = late.next_message()
            assert (message.payload, message.qos, message.retain) == (b"3", 0, True)
        late.expect_nothing()
    for below in "ab":
        sender.publish(f"{base}/{below}", b"", retain=True)
    late = devices.connect(unique("c"), f"{base}/#")
    late.expect_nothing()


def test_what_is_retained_is_bounded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ours: 64 MiB for an account in a region; what was retained first leaves first."""
    with (
        Server(tmp_path_factory.mktemp("retained") / "data") as server,
        Devices(server.mqtt_port) as devices,
    ):
        sender = devices.connect("sender")
        payload = b"x" * 131_072
        for n in range(520):
            sender.publish(f"kept/{n}", payload, 0, retain=True)
        sender.publish("kept/last", b"", retain=True)
        listener = devices.connect("listener", "kept/8", "kept/9")  # 511: a message is more than its payload
        assert listener.next_message().topic == "kept/9"
        listener.expect_nothing()


@pytest.mark.parametrize(("handling", "counts"), [(0, (1, 1)), (1, (1, 0)), (2, (0, 0))])
def test_retained_messages_as_subscribers_want_them(
    devices_5: Devices, unique: Unique, handling: int, counts: tuple[int, int]
) -> None:
    topic = unique("topic")
    devices_5.connect(unique("c")).publish(topic, b"1", retain=True)
    client = devices_5.connect(unique("c"))
    for count in counts:
        client.subscribe(FilterRequest(topic, 1, retain_handling=handling))
        client.ping()
        assert len(client.messages) == count
        client.messages.clear()


def test_retained_flag_is_kept_for_those_who_want_it(devices_5: Devices, unique: Unique) -> None:
    topic = unique("topic")
    client = devices_5.connect(unique("c"))
    client.subscribe(FilterRequest(topic, 1, retain_as_published=True))
    for retain in (True, False):
        client.publish(topic, b"1", retain=retain)
        assert client.next_message().retain is retain


# --- wills --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retain", [False, True])
def test_will_is_published_when_a_connection_breaks(devices: Devices, unique: Unique, retain: bool) -> None:
    topic = unique("will")
    listener = devices.connect(unique("c"), topic)
    devices.connect(unique("c"), will=Will(topic, b"gone", 1, retain)).close()
    assert listener.next_message().payload == b"gone"
    listener.expect_nothing()
    late = devices.connect(unique("c"), topic)
    if retain:
        assert late.next_message().payload == b"gone"
    late.expect_nothing()


def test_will_is_not_published_after_a_farewell(devices: Devices, unique: Unique) -> None:
    topic = unique("will")
    listener = devices.connect(unique("c"), topic)
    devices.connect(unique("c"), will=Will(topic, b"gone", 1)).leave()
    listener.expect_nothing()


def test_will_is_published_on_a_mistake_and_on_take_over(devices: Devices, unique: Unique) -> None:
    """spec: device-plane 8.1"""
    topic, client_id = unique("will"), unique("c")
    listener = devices.connect(unique("c"), topic)
    first = devices.connect(client_id, will=Will(topic, b"first", 1))
    second = devices.connect(client_id, will=Will(topic, b"second", 1))
    first.expect_end()
    assert listener.next_message().payload == b"first"
    listener.expect_nothing()
    second.stream.send(b"\x00\x00")
    second.expect_end()
    assert listener.next_message().payload == b"second"
    listener.expect_nothing()


def test_will_may_be_wanted_with_the_farewell(devices_5: Devices, unique: Unique) -> None:
    topic = unique("will")
    listener = devices_5.connect(unique("c"), topic)
    properties = Properties(content_type="text/plain", user_properties=(("a", "b"),))
    client = devices_5.connect(unique("c"), will=Will(topic, b"gone", 1, properties=properties))
    client.leave(ReasonCode.DISCONNECT_WITH_WILL)
    message = listener.next_message()
    assert (message.payload, message.properties) == (b"gone", properties)


def test_will_at_qos_2_is_refused(devices: Devices, unique: Unique) -> None:
    """spec: device-plane 8.1"""
    client = devices.open()
    client.send(Connect(unique("c"), devices.version, will=Will("w", b"", 2)))
    if devices.version is V5:
        assert getattr(client.next_packet(), "code", None) == ReasonCode.QOS_NOT_SUPPORTED
    assert client.expect_end() is None


def test_will_on_a_reserved_topic_is_published_nowhere(devices: Devices, unique: Unique) -> None:
    topic = f"$aws/things/{unique('t')}/jobs/notify"
    listener = devices.connect(unique("c"), topic)
    client_id = unique("c")
    devices.connect(client_id, will=Will(topic, b"{}", 1)).close()
    devices.connect(client_id)
    listener.expect_nothing()


# --- limits -------------------------------------------------------------------------------------------


def test_eight_filters_fit_into_a_packet(devices: Devices, unique: Unique) -> None:
    """spec: quotas 5"""
    client = devices.connect(unique("c"))
    assert client.subscribe(*(f"f{n}" for n in range(8))) == (1,) * 8
    client.send(Subscribe(99, tuple(FilterRequest(f"f{n}", 1) for n in range(9))))
    assert client.expect_end() == said(devices, ReasonCode.QUOTA_EXCEEDED)


def test_fifty_subscriptions_fit_into_a_connection(devices: Devices, unique: Unique) -> None:
    """spec: quotas 5"""
    client = devices.connect(unique("c"))
    for start in range(0, 48, 8):
        client.subscribe(*(f"f{n}" for n in range(start, start + 8)))
    refused = ReasonCode.QUOTA_EXCEEDED if devices.version is V5 else 0x80
    assert client.subscribe("f48", "f49", "f50", "f0") == (1, 1, refused, 1)
    client.publish("f50")
    client.expect_nothing()
    client.unsubscribe("f0")
    assert client.subscribe("f50") == (1,)


@pytest.mark.parametrize("qos", [0, 1])
def test_payload_has_at_most_128_kibibytes(devices: Devices, unique: Unique, qos: int) -> None:
    """spec: quotas 5, ruling 15"""
    topic = unique("topic")
    client = devices.connect(unique("c"), topic, qos=qos)
    client.publish(topic, b"x" * 131_072, qos)
    assert len(client.next_message().payload) == 131_072
    client.send(Publish(topic, b"x" * 131_073, qos, packet_id=9 if qos else 0))
    assert client.expect_end() == said(devices, ReasonCode.PACKET_TOO_LARGE)
    assert not client.messages


@pytest.mark.parametrize(
    ("topic", "fits"),
    [
        ("t" * 256, True),
        ("t" * 257, False),
        ("ä" * 128, True),
        ("ä" * 129, False),
        ("a/b/c/d/e/f/g/h", True),
        ("a/b/c/d/e/f/g/h/i", False),
    ],
    ids=lambda value: str(value)[:20],
)
def test_topics_are_short_and_shallow(devices: Devices, unique: Unique, topic: str, fits: bool) -> None:
    """spec: quotas 5"""
    publisher, subscriber = devices.connect(unique("c")), devices.connect(unique("c"))
    if fits:
        assert publisher.publish(topic, b"1") == 0
        assert subscriber.subscribe(topic) == (1,)
        return
    publisher.send(Publish(topic, b"1", 1, packet_id=9))
    assert publisher.expect_end() == said(devices, ReasonCode.TOPIC_NAME_INVALID)
    subscriber.send(Subscribe(9, (FilterRequest(topic, 1),)))
    assert subscriber.expect_end() == said(devices, ReasonCode.TOPIC_FILTER_INVALID)


def test_topic_with_a_wildcard_ends_the_connection(devices: Devices, unique: Unique) -> None:
    for topic in ("a/+", "#", ""):
        client = devices.connect(unique("c"))
        client.send(Publish(topic, b"1"))
        reason = ReasonCode.TOPIC_NAME_INVALID if topic else ReasonCode.PROTOCOL_ERROR
        assert client.expect_end() == said(devices, reason)


# --- MQTT 5 -------------------------------------------------------------------------------------------


def test_no_more_is_sent_unacknowledged_than_the_client_takes(devices_5: Devices, unique: Unique) -> None:
    topic = unique("topic")
    client = devices_5.open(acknowledges=False)
    client.connect(unique("c"), properties=Properties(receive_maximum=2))
    client.subscribe(topic)
    sender = devices_5.connect(unique("c"))
    for n in range(5):
        sender.publish(topic, b"%d" % n)
    first, second = client.next_message(), client.next_message()
    client.expect_nothing()
    sender.publish(topic, b"at once", qos=0)  # granted QoS 1, sent at 0: no window
    assert client.next_message().payload == b"at once"
    seen = [first.payload, second.payload]
    unacknowledged = [first, second]
    while len(seen) < 5:
        client.send(PubAck(unacknowledged.pop(0).packet_id))
        message = client.next_message()
        seen.append(message.payload)
        unacknowledged.append(message)
        client.expect_nothing()
    assert seen == [b"0", b"1", b"2", b"3", b"4"]


def test_message_larger_than_the_client_takes_is_not_sent(devices_5: Devices, unique: Unique) -> None:
    topic = unique("topic")
    client = devices_5.open()
    client.connect(unique("c"), properties=Properties(maximum_packet_size=100))
    client.subscribe(topic)
    for qos in (0, 1):
        assert client.publish(topic, b"x" * 100, qos) == 0
        client.expect_nothing()
        client.publish(topic, b"small", qos)
        assert client.next_message().payload == b"small"


def test_packet_larger_than_announced_ends_the_connection(devices_5: Devices, unique: Unique) -> None:
    client = devices_5.open()
    largest = client.connect(unique("c")).properties.maximum_packet_size
    assert largest is not None
    client.stream.send(b"\x30" + bytes((largest & 0x7F | 0x80, largest >> 7 & 0x7F | 0x80, largest >> 14)))
    assert client.expect_end() == ReasonCode.PACKET_TOO_LARGE  # without waiting for the rest


def test_topic_alias_stands_for_a_topic(devices_5: Devices, unique: Unique) -> None:
    topic = unique("topic")
    client = devices_5.open()
    answer = client.connect(unique("c"))
    assert answer.properties.topic_alias_maximum == 8
    client.subscribe(topic)
    client.publish(topic, b"1", properties=Properties(topic_alias=8))
    client.publish("", b"2", properties=Properties(topic_alias=8))
    for payload in (b"1", b"2"):
        message = client.next_message()
        assert (message.topic, message.payload, message.properties.topic_alias) == (topic, payload, None)


@pytest.mark.parametrize(
    ("topic", "alias", "reason"),
    [
        ("a", 9, ReasonCode.TOPIC_ALIAS_INVALID),
        ("a", 0, ReasonCode.TOPIC_ALIAS_INVALID),
        ("", 3, ReasonCode.PROTOCOL_ERROR),
    ],
)
def test_bad_topic_alias_ends_the_connection(
    devices_5: Devices, unique: Unique, topic: str, alias: int, reason: ReasonCode
) -> None:
    client = devices_5.connect(unique("c"))
    client.send(Publish(topic, b"", properties=Properties(topic_alias=alias)))
    assert client.expect_end() == reason


def test_properties_of_a_message_go_with_it(devices_5: Devices, unique: Unique) -> None:
    topic = unique("topic")
    client = devices_5.connect(unique("c"), topic)
    properties = Properties(
        payload_format_indicator=1,
        content_type="application/json",
        response_topic="answers",
        correlation_data=b"\x01\x02",
        user_properties=(("a", "b"), ("a", "c")),
    )
    client.publish(topic, b"{}", properties=properties)
    assert client.next_message().properties == properties
    with Devices(devices_5.port, V311) as others:
        listener = others.connect(unique("c"), topic)
        client.publish(topic, b"{}", properties=properties)
        assert listener.next_message().payload == b"{}"


def test_client_need_not_hear_itself(devices_5: Devices, unique: Unique) -> None:
    topic = unique("topic")
    client = devices_5.connect(unique("c"))
    client.subscribe(FilterRequest(topic, 1, no_local=True))
    client.publish(topic, b"mine")
    client.expect_nothing()
    devices_5.connect(unique("c")).publish(topic, b"another's")
    assert client.next_message().payload == b"another's"


def test_too_many_messages_unanswered_end_the_connection(devices_5: Devices, unique: Unique) -> None:
    client = devices_5.connect(unique("c"))
    client.send(*(Publish("$aws/things/t/jobs/get", b"{}", 1, packet_id=n + 1) for n in range(300)))
    client.acknowledges = False
    answers = 0
    with pytest.raises(Ended) as broken:  # noqa: PT012  # any number of answers may come before
        while client.next_packet():
            answers += 1
    assert broken.value.code == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED
    assert answers < 600


def test_subscription_identifiers_are_not_supported(devices_5: Devices, unique: Unique) -> None:
    client = devices_5.open()
    assert client.connect(unique("c")).properties.subscription_identifier_available == 0
    asked = Properties(subscription_identifiers=(1,))
    client.send(Subscribe(1, (FilterRequest("a"),), asked))
    assert client.expect_end() == ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED


def test_second_connect_and_servers_packets_end_the_connection(devices_5: Devices, unique: Unique) -> None:
    for packet in (Connect("c", V5), SubAck(1, (0,))):
        client = devices_5.connect(unique("c"))
        client.send(packet)
        assert client.expect_end() == ReasonCode.PROTOCOL_ERROR


def test_server_says_goodbye(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = Server(tmp_path_factory.mktemp("goodbye") / "data")
    with Devices(server.mqtt_port, V5) as fives, Devices(server.mqtt_port) as threes:
        clients = [fives.connect("5", will=Will("w", b"gone", 1)), threes.connect("3")]
        assert server.stop() == 0
        assert [client.expect_end() for client in clients] == [ReasonCode.SERVER_SHUTTING_DOWN, None]
