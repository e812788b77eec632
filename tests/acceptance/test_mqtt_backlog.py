"""Clients that ask for much at once, read all of it and acknowledge it: they get it, however much it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from fleet import Fleet
from mqtt_client import Devices, MqttClient
from servers import Server
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.packets import Publish, Version

MANY = 5_000


@pytest.fixture(params=Version, ids=lambda version: version.name)
def devices(server: Server, request: pytest.FixtureRequest) -> Iterator[Devices]:
    with Devices(server.mqtt_port, request.param) as made:
        yield made


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    thread = Thread(target=work)
    thread.start()
    yield
    thread.join()


def said_at_once(client: MqttClient, *messages: Publish) -> Callable[[], None]:
    data = b"".join(encode(message, client.version) for message in messages)
    return lambda: client.stream.send(data)


def test_all_requests_that_were_sent_ahead_are_answered_in_order(fleet: Fleet, devices: Devices) -> None:
    """The acknowledgements of the first answers come behind all requests."""
    thing = fleet.thing()
    device = devices.connect(thing, f"$aws/things/{thing}/jobs/get/+")
    topic = device.topic("get")
    asked = (Publish(topic, b'{"clientToken":"%d"}' % n) for n in range(MANY))
    with meanwhile(said_at_once(device, *asked)):
        for n in range(MANY):
            assert device.expect(f"{topic}/accepted")["clientToken"] == str(n)
    device.expect_nothing()


@pytest.mark.parametrize(("qos", "count", "size"), [(1, 1_500, 1), (1, 30, 100_000), (0, 30, 100_000)])
def test_all_retained_messages_come(devices: Devices, qos: int, count: int, size: int) -> None:
    base = f"retained-{devices.version.name}-{qos}-{size}"
    sender = devices.connect("")
    for n in range(count):
        sender.publish(f"{base}/{n}", b"x" * size, retain=True)
    client = devices.connect("", f"{base}/#", qos=qos)
    topics = [client.next_message().topic for _ in range(count)]
    assert topics == [f"{base}/{n}" for n in range(count)]
    client.expect_nothing()
    for n in range(count):
        sender.publish(f"{base}/{n}", b"", retain=True)


def test_a_burst_reaches_whoever_reads(devices: Devices, server: Server) -> None:
    """MQTT 3.1.1 lets its sender have any number of messages unanswered."""
    listener = devices.connect("", "burst")
    with Devices(server.mqtt_port) as senders:
        sender = senders.connect("")
        burst = (Publish("burst", b"%d" % n, 1, packet_id=n + 1) for n in range(MANY))
        with meanwhile(said_at_once(sender, *burst)):
            for n in range(MANY):
                assert listener.next_message().payload == b"%d" % n
    listener.expect_nothing()
