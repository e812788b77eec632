"""A small MQTT client over a real socket that does one thing after the other.

Nothing is waited for by the clock. That a message does not come is proved by a round trip: what the server
had to send by then has arrived before the answer to a PINGREQ.
"""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar

import websockets.sync.client
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from thingjobs.mqtt.decoder import Decoder
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.packets import (
    ConnAck,
    Connect,
    Disconnect,
    FilterRequest,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Version,
    Will,
)
from thingjobs.mqtt.properties import NO_PROPERTIES, Properties

SECONDS = 20.0
"""After which a test that waits for something is given up."""
LARGEST_ANSWER = 1_000_000

P = TypeVar("P", bound=Packet)


class Ended(AssertionError):
    """The server ended the connection; ``code`` is the reason that it gave, if it did (MQTT 5)."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"the server ended the connection: {code}")
        self.code = code


class Stream(Protocol):
    """A connection as bytes."""

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes:
        """Some bytes, none at the end."""
        ...

    def close(self) -> None: ...


class TcpStream:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        try:
            return self._socket.recv(65_536)
        except ConnectionResetError:
            return b""

    def end(self) -> None:
        """Send no more, and go on receiving."""
        self._socket.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Wake up whoever sends or receives: it is over."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()


class WebSocketStream:
    def __init__(self, url: str) -> None:
        """``url`` is the server's http:// address with the path and query."""
        self._open = ExitStack()
        self._connection = self._open.enter_context(
            websockets.sync.client.connect(
                url.replace("http://", "ws://", 1),
                subprotocols=[Subprotocol("mqtt")],
                compression=None,
                open_timeout=SECONDS,
                max_size=LARGEST_ANSWER,
            )
        )
        self.subprotocol = self._connection.subprotocol

    def send(self, data: bytes) -> None:
        self._connection.send(data)

    def send_text(self, text: str) -> None:
        self._connection.send(text)

    def receive(self) -> bytes:
        try:
            data = self._connection.recv(SECONDS)
        except ConnectionClosed:
            return b""
        assert isinstance(data, bytes), "MQTT is binary"
        return data

    @property
    def close_code(self) -> int | None:
        return self._connection.close_code

    def cut(self) -> None:
        with suppress(OSError):
            self._connection.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._open.close()


class MqttClient:
    """One connection of one client. It acknowledges messages at QoS 1 unless told not to."""

    def __init__(self, stream: Stream, version: Version = Version.V311, *, acknowledges: bool = True) -> None:
        self.stream = stream
        self.version = version
        self.acknowledges = acknowledges
        self.messages: deque[Publish] = deque()  # that came while something else was waited for
        self._decoder = Decoder(LARGEST_ANSWER, version)
        self._packet_id = 0

    # --- packets ----------------------------------------------------------------------------------

    def send(self, *packets: Packet) -> None:
        self.stream.send(b"".join(encode(packet, self.version) for packet in packets))

    def next_packet(self) -> Packet:
        """Errors: Ended."""
        while (packet := self._decoder.next_packet()) is None:
            data = self.stream.receive()
            if not data:
                raise Ended(None)
            self._decoder.feed(data)
        if isinstance(packet, Disconnect):
            raise Ended(packet.code)
        if isinstance(packet, Publish) and packet.qos and self.acknowledges:
            self.send(PubAck(packet.packet_id))
        return packet

    def awaited(self, kind: type[P]) -> P:
        """The next packet that is no message, which has to be of that kind."""
        while isinstance(packet := self.next_packet(), Publish):
            self.messages.append(packet)
        assert isinstance(packet, kind), packet
        return packet

    def new_packet_id(self) -> int:
        self._packet_id += 1
        return self._packet_id

    # --- what clients do --------------------------------------------------------------------------

    def connect(
        self,
        client_id: str,
        *,
        clean_start: bool = True,
        keep_alive: int = 60,
        will: Will | None = None,
        properties: Properties = NO_PROPERTIES,
    ) -> ConnAck:
        """Ask to be let in; the answer."""
        self.send(Connect(client_id, self.version, clean_start, keep_alive, will=will, properties=properties))
        return self.awaited(ConnAck)

    def subscribe(self, *filters: str | FilterRequest, qos: int = 1) -> tuple[int, ...]:
        """The codes of the answer."""
        requests = tuple(
            each if isinstance(each, FilterRequest) else FilterRequest(each, qos) for each in filters
        )
        asked = Subscribe(self.new_packet_id(), requests)
        self.send(asked)
        answer = self.awaited(SubAck)
        assert answer.packet_id == asked.packet_id
        return answer.codes

    def unsubscribe(self, *filters: str) -> tuple[int, ...]:
        asked = Unsubscribe(self.new_packet_id(), filters)
        self.send(asked)
        answer = self.awaited(UnsubAck)
        assert answer.packet_id == asked.packet_id
        return answer.codes

    def publish(
        self,
        topic: str,
        payload: bytes = b"",
        qos: int = 1,
        *,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> int:
        """Publish, and at QoS 1 wait to be told that it is in good hands; the code."""
        packet_id = self.new_packet_id() if qos else 0
        self.send(Publish(topic, payload, qos, retain, packet_id, properties=properties))
        if not qos:
            return 0
        answer = self.awaited(PubAck)
        assert answer.packet_id == packet_id
        return answer.code

    def ping(self) -> None:
        """A round trip."""
        self.send(PingReq())
        self.awaited(PingResp)

    def leave(self, code: int = 0, properties: Properties = NO_PROPERTIES) -> None:
        """Take leave and wait until the server has heard it."""
        self.send(Disconnect(code, properties))
        try:
            while True:
                self.next_packet()
        except Ended:
            self.close()

    def close(self) -> None:
        """Be gone without a word."""
        self.stream.close()

    # --- what they are told -----------------------------------------------------------------------

    def next_message(self) -> Publish:
        if self.messages:
            return self.messages.popleft()
        packet = self.next_packet()
        assert isinstance(packet, Publish), packet
        return packet

    def expect(self, topic: str) -> Any:
        """The JSON of the next message, which has to be on that topic."""
        message = self.next_message()
        assert message.topic == topic, message
        assert not message.retain
        return json.loads(message.payload)

    def expect_nothing(self) -> None:
        self.ping()
        assert not self.messages, self.messages

    def expect_end(self) -> int | None:
        """The connection ends, and nothing but messages comes before; the reason if there is one."""
        try:
            while isinstance(packet := self.next_packet(), Publish):
                self.messages.append(packet)
        except Ended as ended:
            return ended.code
        raise AssertionError(f"not ended: {packet}")


class Answer(NamedTuple):
    verdict: str  # "accepted" or "rejected"
    members: dict[str, Any]


class Device(MqttClient):
    """A connected thing. Requests are named by what follows ``$aws/things/T/jobs/``."""

    thing = ""
    was_present = False  # whether its session was there when it connected

    def topic(self, name: str) -> str:
        return f"$aws/things/{self.thing}/jobs/{name}"

    def ask(self, name: str, members: Mapping[str, Any] | bytes = b"{}") -> Answer:
        """Ask for something and wait for the answer, which has to be the next message."""
        payload = members if isinstance(members, bytes) else json.dumps(members).encode()
        topic = self.topic(name)
        assert self.publish(topic, payload) == 0
        message = self.next_message()
        answered, _, verdict = message.topic.rpartition("/")
        assert answered == topic, message
        return Answer(verdict, json.loads(message.payload))

    def accepted(self, name: str, members: Mapping[str, Any] | bytes = b"{}") -> dict[str, Any]:
        verdict, told = self.ask(name, members)
        assert verdict == "accepted", told
        return told

    def rejected(self, name: str, members: Mapping[str, Any] | bytes = b"{}") -> dict[str, Any]:
        verdict, told = self.ask(name, members)
        assert verdict == "rejected", told
        return told

    def started(self) -> dict[str, Any]:
        """The execution that start-next gives, which has to be one."""
        execution: dict[str, Any] = self.accepted("start-next")["execution"]
        return execution

    def report(self, job: str, status: str, **members: Any) -> dict[str, Any]:
        """An update that has to be accepted."""
        return self.accepted(f"{job}/update", {"status": status, **members})

    def expect_notify(self) -> dict[str, list[str]]:
        """The job ids of the next message, which has to be ``notify``, by status."""
        jobs = self.expect(self.topic("notify"))["jobs"]
        return {status: [each["jobId"] for each in listed] for status, listed in jobs.items()}

    def expect_notify_next(self) -> tuple[str, str] | None:
        """Job and status of the next message, which has to be ``notify-next``; None if nothing is next."""
        execution = self.expect(self.topic("notify-next")).get("execution")
        return None if execution is None else (execution["jobId"], execution["status"])


class Devices:
    """Makes clients of one server that are all closed in the end."""

    def __init__(self, port: int, version: Version = Version.V311) -> None:
        self.port = port
        self.version = version
        self._made: list[MqttClient] = []

    def open(
        self, version: Version | None = None, *, stream: Stream | None = None, acknowledges: bool = True
    ) -> Device:
        """A connection on which nothing has been said."""
        device = Device(stream or TcpStream(self.port), version or self.version, acknowledges=acknowledges)
        self._made.append(device)
        return device

    def connect(
        self,
        client_id: str = "",
        *filters: str,
        qos: int = 1,
        acknowledges: bool = True,
        persistent: bool = False,
        **options: Any,
    ) -> Device:
        """A client that was let in, subscribed to some filters. A persistent one returns to its session."""
        if persistent:
            hello = self.returning(client_id)
            options.update(clean_start=False, properties=hello.properties)
        device = self.open(acknowledges=acknowledges)
        device.thing = client_id
        answer = device.connect(client_id, **options)
        assert answer.code == 0, answer
        device.was_present = answer.session_present
        if filters:
            assert set(device.subscribe(*filters, qos=qos)) == {qos}
        return device

    def returning(self, client_id: str) -> Connect:
        """What a client with a persistent session says first."""
        kept = Properties(session_expiry_interval=3600) if self.version is Version.V5 else NO_PROPERTIES
        return Connect(client_id, self.version, False, 60, properties=kept)

    def listening(self, thing: str, *, qos: int = 1, **options: Any) -> Device:
        """A thing's device that hears of its pending list and its next job."""
        topics = (f"$aws/things/{thing}/jobs/{name}" for name in ("notify", "notify-next"))
        return self.connect(thing, *topics, qos=qos, **options)

    def __enter__(self) -> Devices:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._made:
            client.close()


def unexpected(log: str) -> list[str]:
    """The lines of a server's log that tell of something that must not happen."""
    signs = ("mqtt_task_failed", "request_failed", "Traceback", "never retrieved", '"level":"error"')
    return [line for line in log.splitlines() if any(sign in line for sign in signs)]
