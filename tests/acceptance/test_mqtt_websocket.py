"""MQTT over WebSocket: open in ``dev``, behind a presigned query in ``serve``."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from websockets.exceptions import InvalidStatus

from fleet import Fleet
from mqtt_client import Device, Devices, Ended, WebSocketStream, unexpected
from servers import PROGRAM, Server
from thingjobs.auth.keys import FILE_NAME
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.packets import ConnAck, Connect, Publish, Version
from thingjobs.mqtt.properties import NO_PROPERTIES, Properties
from thingjobs.mqtt.reasons import ReasonCode, ReturnCode

Unique = Callable[[str], str]
Key = tuple[str, str]
V5 = Version.V5
REGION, ANOTHER = "us-east-1", "eu-west-1"
JUNK_KEY = ("AKIASTRANGERSTRANGER", "secret")


class Served(NamedTuple):
    """``thingjobs serve`` and keys for it."""

    server: Server
    admin: Key
    reader: Key
    tenant: Key


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("served") / "data"
    with Server(data, "--clock", "manual", "--regions", ANOTHER, mode="serve") as server:
        words = shlex.split(thingjobs("env", "--data", str(data)))
        variables = dict(word.split("=", 1) for word in words if "=" in word)
        admin = (variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
        reader = new_key(server, "--role", "read-only")
        tenant = new_key(server, "--role", "admin", "--account", "210987654321")
        yield Served(server, admin, reader, tenant)
        log = server.log_file.read_text()
        assert unexpected(log) == []
        assert admin[1] not in log


def thingjobs(*arguments: str) -> str:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=True).stdout


def new_key(server: Server, *options: str) -> Key:
    printed = thingjobs("keys", "create", "--data", str(server.data), *options)
    access_key_id, secret = re.findall(r"^\w+ +(\S+)$", printed, re.MULTILINE)
    return access_key_id, secret


class _SignerAt(SigV4QueryAuth):  # type: ignore[misc]  # botocore has no types
    """botocore's presigner with a clock of its own."""

    def __init__(self, key: Key, service: str, region: str, expires: int, at: datetime) -> None:
        super().__init__(Credentials(*key), service, region, expires)
        self._at = at

    def add_auth(self, request: AWSRequest) -> None:
        request.context["timestamp"] = self._at.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        canonical = self.canonical_request(request)
        signature = self.signature(self.string_to_sign(request, canonical), request)
        self._inject_signature_to_request(request, signature)


def presigned(
    server: Server,
    key: Key,
    *,
    service: str = "iotdevicegateway",
    region: str = REGION,
    expires: int = 60,
    age: timedelta = timedelta(),
    path: str = "/mqtt",
) -> str:
    request = AWSRequest("GET", server.url + path)
    _SignerAt(key, service, region, expires, datetime.now(UTC) - age).add_auth(request)
    return str(request.prepare().url)


@pytest.fixture
def opened() -> Iterator[Callable[..., Device]]:
    """Makes clients that talk through a WebSocket to a URL; they are closed in the end."""
    made: list[Device] = []

    def open_one(url: str, client_id: str | None = None, version: Version = Version.V311) -> Device:
        device = Device(WebSocketStream(url), version)
        made.append(device)
        if client_id is not None:
            device.thing = client_id
            assert device.connect(client_id).code == 0
        return device

    yield open_one
    for device in made:
        device.close()


Opened = Callable[..., Device]


def refused(url: str) -> int:
    """The HTTP status with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as told:
        WebSocketStream(url)
    return told.value.response.status_code


# --- dev ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", Version)
def test_device_works_through_a_websocket(fleet: Fleet, opened: Opened, version: Version) -> None:
    """spec: device-plane 8"""
    thing = fleet.thing()
    device = opened(fleet.server.url + "/mqtt", thing, version)
    assert device.stream.subprotocol == "mqtt"  # type: ignore[attr-defined]  # it is a WebSocketStream
    device.subscribe(device.topic("notify"), device.topic("notify-next"))
    job = fleet.job(thing)
    assert device.expect_notify() == {"QUEUED": [job]}
    assert device.expect_notify_next() == (job, "QUEUED")
    assert device.started()["jobId"] == job
    device.report(job, "SUCCEEDED")
    assert device.expect_notify() == {}
    assert device.expect_notify_next() is None
    device.publish("a/b", b"x" * 131_072)
    device.expect_nothing()
    device.leave()


def test_message_need_not_be_a_packet(fleet: Fleet, opened: Opened) -> None:
    """MQTT 5, 6.0: packets may be split and joined in any way."""
    device = opened(fleet.server.url + "/mqtt")
    data = encode(Connect(fleet.unique("c"), Version.V311, True, 60), Version.V311) + b"\xc0\x00" * 2
    for byte in data[:-3]:
        device.stream.send(bytes((byte,)))
    device.stream.send(b"")
    device.stream.send(data[-3:])
    kinds = [type(device.next_packet()).__name__ for _ in range(3)]
    assert kinds == ["ConnAck", "PingResp", "PingResp"]


def test_text_ends_the_connection(fleet: Fleet, opened: Opened) -> None:
    device = opened(fleet.server.url + "/mqtt", fleet.unique("c"))
    device.stream.send_text("no")  # type: ignore[attr-defined]  # it is a WebSocketStream
    assert device.expect_end() is None
    assert device.stream.close_code == 1003  # type: ignore[attr-defined]  # it is a WebSocketStream


def test_mistake_ends_the_connection_with_its_reason(fleet: Fleet, opened: Opened) -> None:
    device = opened(fleet.server.url + "/mqtt", fleet.unique("c"), V5)
    device.send(Publish("a/+", b""))
    assert device.expect_end() == ReasonCode.TOPIC_NAME_INVALID
    with pytest.raises(Ended):
        device.next_packet()


def test_websocket_elsewhere_is_refused(fleet: Fleet) -> None:
    for path in ("/", "/mqtt/", "/-/health", "/things/t/jobs"):
        assert refused(fleet.server.url + path) == 403


def test_client_is_one_whatever_it_comes_through(fleet: Fleet, opened: Opened) -> None:
    """case 175: over WebSocket, then over TCP"""
    client_id = fleet.unique("c")
    first = opened(fleet.server.url + "/mqtt", client_id, V5)
    with Devices(fleet.server.mqtt_port) as devices:
        devices.connect(client_id).ping()
    assert first.expect_end() == ReasonCode.SESSION_TAKEN_OVER


def test_half_a_handshake_harms_nobody(fleet: Fleet, opened: Opened) -> None:
    address = urlsplit(fleet.server.url)
    head = f"GET /mqtt HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\n"
    for rest in (
        "",
        "Connection: Upgrade\r\n\r\n",
        "Connection: Upgrade\r\nSec-WebSocket-Version: 1\r\n\r\n",
    ):
        with socket.create_connection((address.hostname, address.port), timeout=20) as half:
            half.sendall((head + rest).encode())
            if rest:
                assert half.recv(100).startswith(b"HTTP/1.1 4")
    opened(fleet.server.url + "/mqtt", fleet.unique("c")).ping()
    assert unexpected(fleet.server.log_file.read_text()) == []


# --- serve --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", Version)
def test_presigned_query_lets_a_device_in(
    served: Served, unique: Unique, opened: Opened, version: Version
) -> None:
    """spec: device-plane 8, ruling 18, ruling 24"""
    fleet = Fleet(served.server, unique, key=served.admin)
    thing = fleet.thing()
    device = opened(presigned(served.server, served.admin), thing, version)
    device.subscribe(device.topic("notify-next"))
    job = fleet.job(thing)
    assert device.expect_notify_next() == (job, "QUEUED")
    device.report(job, "SUCCEEDED")
    assert fleet.describe(job)["status"] == "COMPLETED"


def test_wrong_signature_is_refused(served: Served) -> None:
    server, admin = served.server, served.admin
    assert refused(server.url + "/mqtt") == 403
    good = presigned(server, admin)
    last = "0" if good[-1] != "0" else "1"
    for url in (
        good[:-1] + last,
        good.replace("/mqtt?", "/mqtt?a=b&"),
        good.replace("X-Amz-Expires=60", "X-Amz-Expires=61"),
        presigned(server, (admin[0], "wrong")),
        presigned(server, JUNK_KEY),
        presigned(server, admin, service="iotdata"),
        presigned(server, admin, service="iot"),
        presigned(server, admin, region="ap-south-1"),
        presigned(server, admin, path="/"),
        presigned(server, admin, age=timedelta(minutes=2)),
        presigned(server, admin, age=timedelta(minutes=-6)),
        presigned(server, admin, expires=100_000),
    ):
        assert refused(url) == 403


def test_presigned_query_opens_nothing_else(served: Served) -> None:
    """spec: ruling 18"""
    url = presigned(served.server, served.admin, path="/jobs")
    status, _, _ = served.server.http("GET", url.removeprefix(served.server.url))
    assert status == 403


@pytest.mark.parametrize("version", Version)
def test_reader_looks_and_changes_nothing(
    served: Served, unique: Unique, opened: Opened, version: Version
) -> None:
    """spec: device-plane 8.1, 8.2"""
    fleet = Fleet(served.server, unique, key=served.admin)
    thing = fleet.thing()
    url = presigned(served.server, served.reader)
    reader = opened(url, unique("reader"), version)
    reader.thing = thing
    reader.subscribe(reader.topic("#"), "a/b")
    job = fleet.job(thing)
    assert reader.expect_notify() == {"QUEUED": [job]}
    assert reader.expect_notify_next() == (job, "QUEUED")
    assert [each["jobId"] for each in reader.accepted("get")["queuedJobs"]] == [job]
    assert reader.accepted(f"{job}/get")["execution"]["jobId"] == job
    for topic in (reader.topic("start-next"), reader.topic(f"{job}/update"), "a/b"):
        if version is V5:
            assert reader.publish(topic, b'{"status":"FAILED"}') == ReasonCode.NOT_AUTHORIZED
            reader.expect_nothing()
        else:
            publisher = opened(url, unique("reader"), version)
            publisher.send(Publish(topic, b'{"status":"FAILED"}', 1, packet_id=1))
            publisher.expect_end()
    assert fleet.execution(thing, job)["status"] == "QUEUED"
    reader.expect_nothing()
    if version is V5:
        reader.send(Publish("a/b", b""))  # nothing can answer it at QoS 0
        assert reader.expect_end() == ReasonCode.NOT_AUTHORIZED


# --- keys that change while a connection is open --------------------------------------------------------


def edit_keys(server: Server, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Edit the file of keys by hand, as an operator might."""
    path = server.data / FILE_NAME
    document = json.loads(path.read_text())
    change(document["keys"])
    edited = path.with_suffix(".edited")
    edited.touch(mode=0o600)
    edited.write_text(json.dumps(document))
    edited.replace(path)


def disable(server: Server, key_id: str) -> None:
    thingjobs("keys", "disable", key_id, "--data", str(server.data))


def remove(server: Server, key_id: str) -> None:
    def change(keys: list[dict[str, Any]]) -> None:
        keys[:] = [key for key in keys if key["access_key_id"] != key_id]

    edit_keys(server, change)


def demote(server: Server, key_id: str) -> None:
    def change(keys: list[dict[str, Any]]) -> None:
        for key in keys:
            if key["access_key_id"] == key_id:
                key["role"] = "read-only"

    edit_keys(server, change)


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("revoke", [disable, remove, demote])
def test_connection_ends_with_its_key(
    served: Served, unique: Unique, opened: Opened, version: Version, revoke: Callable[[Server, str], None]
) -> None:
    """spec: device-plane 8"""
    key = new_key(served.server, "--role", "admin")
    url = presigned(served.server, key)
    idle, unasked = opened(url, unique("idle"), version), opened(url)
    other = opened(presigned(served.server, served.admin), unique("other"), version)
    revoke(served.server, key[0])
    assert idle.expect_end() == (ReasonCode.NOT_AUTHORIZED if version is V5 else None)
    unasked.expect_end()
    other.ping()
    if revoke is not demote:
        assert refused(presigned(served.server, key)) == 403


def test_session_ends_with_its_key(served: Served, unique: Unique, opened: Opened) -> None:
    """Of the client that sleeps, and of the one that is connected."""
    key = new_key(served.server, "--role", "admin")
    asleep, connected = unique("c"), unique("c")
    for client_id in (asleep, connected):
        device = opened(presigned(served.server, key))
        device.connect(client_id, clean_start=False)
        device.subscribe("a/b")
        if client_id == asleep:
            device.leave()
    disable(served.server, key[0])
    assert device.expect_end() is None
    for client_id in (asleep, connected):
        after = opened(presigned(served.server, served.admin))
        assert not after.connect(client_id, clean_start=False).session_present


@pytest.mark.parametrize("version", Version)
def test_reader_takes_nobody_over_but_itself(
    served: Served, unique: Unique, opened: Opened, version: Version
) -> None:
    server, client_id = served.server, unique("c")
    keep = Properties(session_expiry_interval=3600) if version is V5 else NO_PROPERTIES

    def connect(key: Key) -> tuple[Device, ConnAck]:
        device = opened(presigned(server, key), version=version)
        return device, device.connect(client_id, clean_start=False, properties=keep)

    def expect_refusal() -> None:
        reader, answer = connect(served.reader)
        assert answer.code == (ReasonCode.NOT_AUTHORIZED if version is V5 else ReturnCode.AWS_NOT_AUTHORIZED)
        reader.expect_end()

    owner, _ = connect(served.admin)
    expect_refusal()
    owner.ping()
    owner.leave()
    expect_refusal()  # of its session, too
    owner, answer = connect(new_key(server, "--role", "admin"))
    assert answer.session_present
    client_id = unique("c")
    first, _ = connect(served.reader)
    second, answer = connect(served.reader)
    assert answer.session_present
    first.expect_end()
    _, answer = connect(served.admin)
    assert answer.session_present
    second.expect_end()


# --- tenants --------------------------------------------------------------------------------------------


def test_regions_and_accounts_do_not_hear_each_other(served: Served, unique: Unique, opened: Opened) -> None:
    """The same client id, thing name and topics in three scopes."""
    server = served.server
    thing = unique("t")
    scopes = [(served.admin, REGION), (served.admin, ANOTHER), (served.tenant, REGION)]
    devices = []
    for key, region in scopes:
        server.client("iot", region=region, key=key).create_thing(thingName=thing)
        device = opened(presigned(server, key, region=region), thing)
        device.subscribe("$aws/things/+/jobs/#", device.topic("notify"), "#")
        devices.append(device)
    for number, (key, region) in enumerate(scopes):
        speaker = devices[number]
        client = server.client("iot", region=region, key=key)
        arn = client.describe_thing(thingName=thing)["thingArn"]
        assert f":{region}:" in arn
        client.create_job(jobId="same", targets=[arn], document="{}")
        assert speaker.expect_notify() == {"QUEUED": ["same"]}
        assert speaker.expect_notify_next() == ("same", "QUEUED")
        speaker.publish("a/b", str(number).encode(), retain=True)
        assert speaker.next_message().payload == str(number).encode()
        for device in devices:
            device.expect_nothing()
        late = opened(presigned(server, key, region=region), unique("late"))
        late.subscribe("a/b")
        assert late.next_message().payload == str(number).encode()
        late.expect_nothing()
    for number, device in enumerate(devices):
        assert device.started()["versionNumber"] == 2
        device.report("same", "SUCCEEDED")
        assert device.expect_notify() == {}
        assert device.expect_notify_next() is None
        for other in devices[number:]:
            other.expect_nothing()
