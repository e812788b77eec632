"""paho's client and the server's core talk over a pretended socket: an independent codec agrees with ours."""

from __future__ import annotations

from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.subscribeoptions import SubscribeOptions

from thingjobs.mqtt.events import Disconnected, Event, Subscribed
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.packets import Connect, FilterRequest, Publish, Unsubscribe, Version, Will
from thingjobs.mqtt.properties import Properties
from thingjobs.mqtt.reasons import ReasonCode
from thingjobs.mqtt.session import Delivery, ServerConnection
from thingjobs.mqtt.session_state import SessionState

PROTOCOLS = {Version.V311: paho.MQTTv311, Version.V5: paho.MQTTv5}
TOPIC = "$aws/things/t1/jobs/start-next"


class PretendedSocket:
    """Both directions between paho and a core."""

    def __init__(self, core: ServerConnection) -> None:
        self.core = core
        self.events: list[Event] = []
        self._unread = b""

    def send(self, data: bytes) -> int:
        self.events += self.core.receive(bytes(data), 0.0)
        return len(data)

    def recv(self, size: int) -> bytes:
        self._unread += self.core.bytes_to_send()
        if not self._unread and not self.core.is_closed:
            raise BlockingIOError
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def setblocking(self, flag: bool) -> None:
        pass

    def close(self) -> None:
        pass

    def fileno(self) -> int:
        return -1


class Device(paho.Client):
    """A paho client on a pretended socket. What it is told is noted in ``told``."""

    def __init__(self, version: Version, **options: Any) -> None:  # Any: passed on to paho
        super().__init__(CallbackAPIVersion.VERSION2, client_id="t1", protocol=PROTOCOLS[version], **options)
        self.version = version
        self.wire = PretendedSocket(ServerConnection(Limits(), 0.0))
        self.told: list[Any] = []  # Any: whatever paho's callbacks are given
        self.on_connect = lambda *given: self.told.append(
            ("connect", given[2].session_present, given[3].value)
        )
        self.on_subscribe = lambda *given: self.told.append([code.value for code in given[3]])
        self.on_publish = lambda *given: self.told.append(("published", given[3].value))
        self.on_unsubscribe = lambda *given: self.told.append("unsubscribed")
        self.on_message = lambda *given: self.told.append(given[2])
        self.on_disconnect = lambda *given: self.told.append(("disconnect", given[3].value))

    def _create_socket(self) -> Any:  # Any: paho's type has more members than it uses
        return self.wire

    def heard(self) -> list[Any]:
        """Let paho read all there is; what it has told us since."""
        for _ in range(20):
            self.loop_read()
        told, self.told = self.told, []
        return told

    def seen(self) -> list[Event]:
        """What the core has made of paho's bytes since."""
        seen, self.wire.events = self.wire.events, []
        return seen

    def let_in(self, **properties: Any) -> None:
        self.connect("pretended", keepalive=60, **properties)
        self.wire.core.accept(SessionState("t1"), 0.0, session_present=False)
        assert self.heard() == [("connect", False, 0)]
        self.seen()


@pytest.fixture(params=Version)
def version(request: pytest.FixtureRequest) -> Version:
    assert isinstance(request.param, Version)
    return request.param


def test_paho_is_let_in(version: Version) -> None:
    device = Device(version)
    device.username_pw_set("?SDK=test", "secret")
    device.will_set("w", b"gone", 1, True)
    device.connect("pretended", keepalive=60)
    assert device.seen() == [
        Connect("t1", version, True, 60, "?SDK=test", b"secret", Will("w", b"gone", 1, True))
    ]
    device.wire.core.accept(SessionState("t1"), 0.0, session_present=False)
    assert device.heard() == [("connect", False, 0)]


def test_paho_is_refused(version: Version) -> None:
    device = Device(version)
    device.connect("pretended", keepalive=60)
    device.wire.core.refuse(ReasonCode.SERVER_BUSY)
    expected = 0x89 if version is Version.V5 else 0x88  # 3.1.1 knows one of them only
    assert device.heard()[0] == ("connect", False, expected)


def test_paho_publishes(version: Version) -> None:
    device = Device(version)
    device.let_in()
    device.publish(TOPIC, b"{}", 0)
    device.publish(TOPIC, b"x" * 131_072, 1, retain=True)
    first, second = device.seen()
    assert first == Publish(TOPIC, b"{}")
    assert second == Publish(TOPIC, b"x" * 131_072, 1, True, 2)
    assert device.heard() == [("published", 0)]
    assert isinstance(second, Publish)
    device.wire.core.acknowledge(second)
    assert device.heard() == [("published", 0)]


def test_paho_subscribes_and_is_sent_messages(version: Version) -> None:
    device = Device(version)
    device.let_in()
    device.subscribe([(TOPIC + "/+", 1), ("a", 0), ("b", 2)])
    (asked,) = device.seen()
    assert isinstance(asked, Subscribed)
    assert asked.requests == (FilterRequest(TOPIC + "/+", 1), FilterRequest("a", 0), FilterRequest("b", 2))
    core = device.wire.core
    core.suback(asked, {"b"})
    assert device.heard() == [[1, 0, 0x87 if version is Version.V5 else 0x80]]

    assert core.deliver("a", b"0", 0) is Delivery.SENT
    assert core.deliver(TOPIC + "/accepted", b"y" * 300, 1, retain=True) is Delivery.SENT
    first, second = device.heard()
    assert (first.topic, first.payload, first.qos) == ("a", b"0", 0)
    assert (second.topic, second.payload, second.qos) == (TOPIC + "/accepted", b"y" * 300, 1)
    assert second.retain
    assert core.session is not None
    assert core.session.in_flight == {}  # paho has acknowledged it

    device.unsubscribe("a")
    (left,) = device.seen()
    assert isinstance(left, Unsubscribe)
    assert core.unsuback(left) == ["a"]
    assert device.heard() == ["unsubscribed"]


def test_paho_pings_and_leaves(version: Version) -> None:
    device = Device(version)
    device.let_in()
    device._send_pingreq()
    assert device.heard() == []
    device.disconnect()
    assert device.seen() == [Disconnected(0)]


def test_the_properties_of_5_mean_the_same_to_paho() -> None:
    device = Device(Version.V5)
    asked: Any = PahoProperties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's is untyped
    asked.SessionExpiryInterval = 120
    asked.ReceiveMaximum = 5
    asked.MaximumPacketSize = 5000
    asked.UserProperty = ("who", "paho")
    device.connect("pretended", keepalive=10, properties=asked)
    (connect,) = device.seen()
    assert isinstance(connect, Connect)
    assert connect.properties == Properties(
        session_expiry_interval=120,
        receive_maximum=5,
        maximum_packet_size=5000,
        user_properties=(("who", "paho"),),
    )
    announced: list[Any] = []
    device.on_connect = lambda *given: announced.append(given[4])
    device.wire.core.accept(SessionState("t1"), 0.0, session_present=False)
    device.heard()
    (said,) = announced
    assert (said.ServerKeepAlive, said.MaximumQoS, said.ReceiveMaximum, said.TopicAliasMaximum) == (
        30,
        1,
        100,
        8,
    )

    sent: Any = PahoProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's is untyped
    sent.ResponseTopic = "answers"
    sent.CorrelationData = b"\x01\x02"
    sent.ContentType = "application/json"
    sent.PayloadFormatIndicator = 1
    sent.MessageExpiryInterval = 9
    sent.TopicAlias = 3
    device.publish("a", b"1", 1, properties=sent)
    (publish,) = device.seen()
    assert isinstance(publish, Publish)
    assert publish.properties == Properties(1, 9, "application/json", "answers", b"\x01\x02")

    device.subscribe("b", options=SubscribeOptions(1, noLocal=True, retainAsPublished=True, retainHandling=2))
    (subscribed,) = device.seen()
    assert isinstance(subscribed, Subscribed)
    assert subscribed.requests == (FilterRequest("b", 1, True, True, 2),)

    device.wire.core.deliver("b", b"2", 1, properties=publish.properties)
    (message,) = device.heard()
    assert message.properties.CorrelationData == b"\x01\x02"
    assert message.properties.ResponseTopic == "answers"

    device.wire.core.disconnect(ReasonCode.SESSION_TAKEN_OVER, "Connected elsewhere")
    assert device.heard() == [("disconnect", 0x8E)]
