"""Clients that mean no good: the server gives them up, and serves all others as before."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from fleet import Fleet
from mqtt_client import SECONDS, Device, Devices, TcpStream, WebSocketStream, unexpected
from servers import Server
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.packets import (
    Connect,
    FilterRequest,
    PingReq,
    Publish,
    Subscribe,
    Unsubscribe,
    Version,
    Will,
)
from thingjobs.mqtt.reasons import ReasonCode

CROWD = 1_000
MEGABYTE = 1_048_576


@pytest.fixture(params=Version, ids=lambda version: version.name)
def devices(server: Server, request: pytest.FixtureRequest) -> Iterator[Devices]:
    with Devices(server.mqtt_port, request.param) as made:
        yield made


@pytest.fixture(scope="module")
def healthy(server: Server, fleet: Fleet) -> Iterator[Callable[[], None]]:
    """Proves that a device which was there before all abuse is told of a job and does it."""
    with Devices(server.mqtt_port) as made:
        device = made.listening(fleet.thing())

        def works() -> None:
            job = fleet.job(device.thing)
            assert device.expect_notify() == {"QUEUED": [job]}
            assert device.expect_notify_next() == (job, "QUEUED")
            device.report(job, "SUCCEEDED")
            assert device.expect_notify() == {}
            assert device.expect_notify_next() is None
            device.expect_nothing()

        yield works
    assert unexpected(server.log_file.read_text()) == []


def memory(server: Server) -> int:
    """Bytes of the server's process that are in memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def metric(server: Server, name: str) -> float:
    lines = server.http("GET", "/-/metrics")[2].decode().splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{name} "))
    return float(value)


# --- bytes that are no MQTT -----------------------------------------------------------------------------

CONNECT = encode(Connect("x", Version.V311, True, 60), Version.V311)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"\x00" * 100,
        b"\xff" * 100,
        b"\x10\xff\xff\xff\xff\x7f",
        b"\x10\xff\xff\xff\x7f",  # 256 MB to come
        b"\x10\x04\x00\x04MQ",
        b"\x10\x0c\x00\x04XXXX\x04\x02\x00\x3c\x00\x00",
        CONNECT[:1] + b"\x00",
        b"\xc0\x00",  # a PINGREQ comes first
        CONNECT + CONNECT,
        CONNECT + b"\x30\xff\xff\xff\x7f",
        CONNECT + b"\x82\x02\x00\x01",
        CONNECT + b"\x82\x05\x00\x00\x00\x00\x00",
        CONNECT + b"\x30\x03\x00\x05a",
        CONNECT + b"\x30\x04\x00\x02\xff\xfe",
        CONNECT + b"\x32\x05\x00\x01a\x00\x00",
        CONNECT + b"\xf0\x00",
        CONNECT + b"\x50\x02\x00\x01",
    ],
    ids=lambda garbage: garbage[:30].hex(),
)
def test_garbage_ends_its_connection(server: Server, garbage: bytes) -> None:
    client = Device(TcpStream(server.mqtt_port))
    client.stream.send(garbage)
    received = b""
    while data := client.stream.receive():
        received += data
    assert len(received) <= 10  # a CONNACK at most
    client.close()


def test_half_packets_wait_and_harm_nobody(server: Server, healthy: Callable[[], None]) -> None:
    with ExitStack() as halves:
        for end in range(1, len(CONNECT)):
            stream = TcpStream(server.mqtt_port)
            halves.callback(stream.close)
            stream.send(CONNECT[:end])
        large = encode(Publish("a", b"x" * 100_000), Version.V311)
        for end in (1, 3, 5, 50_000, 99_999):
            device = Device(TcpStream(server.mqtt_port))
            halves.callback(device.close)
            device.connect(f"half-{end}")
            device.stream.send(large[:end])
        healthy()
    healthy()


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    version=st.sampled_from(Version),
    said=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(  # a known packet with a body that is not its own
                lambda header, body: bytes((header, len(body))) + body,
                st.sampled_from([0x10, 0x30, 0x32, 0x40, 0x82, 0xA2, 0xC0, 0xE0, 0xF0]),
                st.binary(max_size=60),
            ),
            st.sampled_from(["$aws/things/t/jobs/get", "a", "$aws/things/t/jobs/j/update"]).flatmap(
                lambda topic: st.binary(max_size=40).map(
                    lambda payload: encode(Publish(topic, payload, 1, packet_id=5), Version.V311)
                )
            ),
        ),
        max_size=5,
    ),
    admitted=st.booleans(),
)
def test_any_bytes_do_no_harm(
    server: Server, healthy: Callable[[], None], version: Version, said: list[bytes], admitted: bool
) -> None:
    """What is sent is read to the end, or the connection is ended; then the log is looked at."""
    stream = TcpStream(server.mqtt_port)
    client = Device(stream, version)
    try:
        if admitted:
            client.connect("fuzz")
        with suppress(OSError):  # ended before all was said
            for data in said:
                stream.send(data)
            stream.end()
        while stream.receive():
            pass
    finally:
        client.close()


def test_fuzzing_left_no_trace(server: Server, healthy: Callable[[], None]) -> None:
    healthy()
    assert unexpected(server.log_file.read_text()) == []


# --- limits ------------------------------------------------------------------------------------------------


def test_what_is_too_large_is_not_waited_for(
    server: Server, devices: Devices, healthy: Callable[[], None]
) -> None:
    """The length alone ends the connection: not a byte of the rest is kept."""
    before = memory(server)
    for _ in range(50):
        client = devices.connect("")
        client.stream.send(b"\x30\xff\xff\xff\x7f" + b"\x00\x01a" + b"x" * 1000)
        assert client.expect_end() == (ReasonCode.PACKET_TOO_LARGE if devices.version is Version.V5 else None)
    healthy()
    assert memory(server) < before + 20 * MEGABYTE


def test_long_topics_end_the_connection(devices: Devices, healthy: Callable[[], None]) -> None:
    for topic in ("t" * 65_535, "/" * 200, "$aws/things/t/jobs/" + "x" * 300):
        client = devices.connect("")
        client.send(Publish(topic, b""))
        client.expect_end()
        client = devices.connect("")
        client.send(Subscribe(1, (FilterRequest(topic),)))
        client.expect_end()
    healthy()


def test_every_kind_of_wildcard_at_once(fleet: Fleet, devices: Devices, healthy: Callable[[], None]) -> None:
    """50 filters of all forms from each of 20 clients: a message finds its way as fast as before."""
    shapes = [
        "/".join("+" if mask >> level & 1 else f"l{level}" for level in range(depth)) + end
        for depth in (4, 6)
        for mask in range(1, 26)
        for end in ("", "/#")
    ]
    topic = "/".join(f"l{level}" for level in range(6))
    clients = []
    for n in range(20):
        client = devices.connect("")
        mine = (shapes[n % 2 :: 2] * 2)[:50]
        for start in range(0, 48, 8):
            client.subscribe(*mine[start : start + 8])
        clients.append(client)
    for n in range(20):
        clients[0].publish(topic, b"%d" % n)
    for client in clients:
        client.ping()
        assert len(client.messages) == 20, "one copy each"
    healthy()


def test_thousands_of_sessions_of_one_client_leave_nothing(server: Server, devices: Devices) -> None:
    before = memory(server)
    client_id = "again"
    for n in range(300):
        device = devices.open()
        device.connect(client_id, clean_start=n % 2 == 0, will=Will("w", b"x" * 60_000, 1))
        device.subscribe("$aws/things/again/jobs/notify", "a/#")
    assert memory(server) < before + 40 * MEGABYTE


# --- clients that say nothing, and clients that do not listen ---------------------------------------------


def test_a_crowd_that_never_says_connect(
    server: Server, devices: Devices, healthy: Callable[[], None]
) -> None:
    with ExitStack() as crowd:
        for n in range(CROWD):
            silent = socket.create_connection(("127.0.0.1", server.mqtt_port), timeout=20)
            crowd.callback(silent.close)
            if n % 3 == 0:
                silent.sendall(b"\x10")
        healthy()
        devices.connect("")  # it comes behind all of them
        assert metric(server, "thingjobs_mqtt_connections") > CROWD
    healthy()


class DeafStream(TcpStream):
    """Its reader reads nothing, and it has hardly any room for what arrives."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(20)
        self._socket.connect(("127.0.0.1", port))


def until_evicted(server: Server, step: Callable[[], object]) -> None:
    """Go on until the server has given up one more client.

    A step costs less than a millisecond, and what it asks of the server far more: a number of steps would
    only measure how busy the machine is.
    """
    before = metric(server, "thingjobs_mqtt_evictions_total")
    give_up_at = monotonic() + 3 * SECONDS
    while monotonic() < give_up_at:
        step()
        if metric(server, "thingjobs_mqtt_evictions_total") > before:
            return
    raise AssertionError("the slow consumer was not given up")


@pytest.mark.parametrize("qos", [0, 1])
def test_subscriber_that_never_reads_is_given_up(
    server: Server, devices: Devices, healthy: Callable[[], None], qos: int
) -> None:
    """At QoS 0 by the bytes that wait for it, at QoS 1 by the messages."""
    before = memory(server)
    topic = f"flood-{qos}"
    client = devices.open(stream=DeafStream(server.mqtt_port), acknowledges=False)
    client.connect("deaf")
    client.subscribe(topic, qos=qos)
    sender = devices.connect("")
    payload = b"x" * (10_000 if qos else 100_000)

    def flood() -> None:
        for _ in range(50):
            sender.publish(topic, payload, qos)
        sender.ping()

    until_evicted(server, flood)
    healthy()
    assert memory(server) < before + 60 * MEGABYTE


def test_asker_that_never_reads_its_answers_is_given_up(
    fleet: Fleet, server: Server, devices: Devices, healthy: Callable[[], None]
) -> None:
    thing = fleet.thing()
    fleet.job(thing, document='{"op":"' + "x" * 30_000 + '"}')
    client = devices.open(stream=DeafStream(server.mqtt_port))
    client.connect(thing)
    asked = encode(Publish(f"$aws/things/{thing}/jobs/$next/get", b"{}"), devices.version)

    def ask() -> None:
        with suppress(OSError):  # it is over
            client.stream.send(asked * 50)

    until_evicted(server, ask)
    healthy()


def test_listener_that_never_reads_is_given_up(
    fleet: Fleet, server: Server, devices: Devices, healthy: Callable[[], None]
) -> None:
    """notify-next brings a document each time; another device of the same thing hears all of it."""
    thing = fleet.thing()
    jobs = [fleet.job(thing, document='{"op":"' + "x" * 32_000 + '"}') for _ in range(2)]
    attentive = devices.listening(thing)
    client = devices.open(stream=DeafStream(server.mqtt_port), acknowledges=False)
    client.connect(thing + "-deaf")
    client.subscribe(f"$aws/things/{thing}/jobs/notify-next", qos=0)

    def change() -> None:
        for _ in range(20):  # the head changes with each
            jobs.append(fleet.job(thing, document='{"op":"' + "x" * 32_000 + '"}'))
            fleet.iot.delete_job(jobId=jobs.pop(0), force=True)
            for _ in range(2):
                attentive.expect_notify()
            assert attentive.expect_notify_next() == (jobs[0], "QUEUED")

    until_evicted(server, change)
    attentive.expect_nothing()
    healthy()


def test_websocket_that_never_reads_is_given_up(
    server: Server, devices: Devices, healthy: Callable[[], None]
) -> None:
    address = urlsplit(server.url)
    port = address.port
    assert port is not None
    stream = DeafStream(port)
    devices.open(stream=stream)
    stream.send(
        f"GET /mqtt HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
    )
    assert stream.receive().startswith(b"HTTP/1.1 101")
    version = devices.version
    said = encode(Connect("deaf-socket", version, True, 60), version)
    said += encode(Subscribe(1, (FilterRequest("flood-ws"),)), version)
    stream.send(b"\x82" + bytes((0x80 | len(said),)) + b"\0\0\0\0" + said)  # masked with zeros
    sender = devices.connect("")

    def flood() -> None:
        for _ in range(50):
            sender.publish("flood-ws", b"x" * 100_000, 0)
        sender.ping()

    until_evicted(server, flood)
    healthy()


# --- clients that send more than anybody could want --------------------------------------------------------

FLOODS: dict[str, bytes] = {
    "PINGREQ": encode(PingReq(), Version.V311) * 100_000,
    "tiny messages": encode(Publish("z", b""), Version.V311) * 40_000,
    "messages on deep topics": encode(Publish("a/b/c/d/e/f/g/h", b""), Version.V311) * 10_000,
    "UNSUBSCRIBE of many filters": encode(Unsubscribe(1, ("a",) * 1_000), Version.V311) * 50,
    "SUBSCRIBE": encode(Subscribe(1, (FilterRequest("a/b"),)), Version.V311) * 10_000,
    "requests": encode(Publish("$aws/things/flood/jobs/get", b"{}"), Version.V311) * 5_000,
}


@contextmanager
def flooded(stream: TcpStream | WebSocketStream, flood: bytes) -> Iterator[None]:
    """As long as it lasts, the server is sent this again and again, and what it answers is read."""
    is_over = Event()

    def send() -> None:
        with suppress(OSError, ConnectionClosed):
            while not is_over.is_set():
                stream.send(flood)

    def read() -> None:
        with suppress(OSError, ConnectionClosed):
            while stream.receive():
                pass

    threads = [Thread(target=work) for work in (send, read)]
    for thread in threads:
        thread.start()
    try:
        yield
        assert all(thread.is_alive() for thread in threads), "the server did not end it"
    finally:
        is_over.set()
        stream.cut()
        for thread in threads:
            thread.join()
        stream.close()


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("transport", ["tcp", "websocket"])
def test_a_device_does_its_jobs_while_another_client_floods_the_server(
    server: Server, healthy: Callable[[], None], transport: str, flood: str
) -> None:
    stream = TcpStream(server.mqtt_port) if transport == "tcp" else WebSocketStream(server.url + "/mqtt")
    Device(stream).connect("flooder")
    with flooded(stream, FLOODS[flood]):
        for _ in range(5):
            healthy()
    healthy()
