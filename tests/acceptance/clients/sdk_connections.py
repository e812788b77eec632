"""Connections of the AWS IoT device SDK for Python v2, over MQTT 3.1.1 and 5 without TLS."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from awscrt import io, mqtt, mqtt5

from acceptance.clients.scenario import SECONDS
from fleet import Fleet


@contextmanager
def connected_311(fleet: Fleet, thing: str) -> Iterator[mqtt.Connection]:
    client = mqtt.Client(io.ClientBootstrap.get_or_create_static_default())
    connection = mqtt.Connection(
        client, "127.0.0.1", fleet.server.mqtt_port, thing, clean_session=True, keep_alive_secs=60
    )
    assert connection.connect().result(SECONDS) == {"session_present": False}
    try:
        yield connection
    finally:
        connection.disconnect().result(SECONDS)


@contextmanager
def connected_5(fleet: Fleet, thing: str) -> Iterator[mqtt5.Client]:
    admitted: Future[None] = Future()
    stopped: Future[None] = Future()
    client = mqtt5.Client(
        mqtt5.ClientOptions(
            host_name="127.0.0.1",
            port=fleet.server.mqtt_port,
            connect_options=mqtt5.ConnectPacket(client_id=thing, keep_alive_interval_sec=60),
            on_lifecycle_event_connection_success_fn=lambda _: admitted.set_result(None),
            on_lifecycle_event_connection_failure_fn=lambda told: admitted.set_exception(told.exception),
            on_lifecycle_event_stopped_fn=lambda _: stopped.set_result(None),
        )
    )
    client.start()
    admitted.result(SECONDS)
    try:
        yield client
    finally:
        client.stop()
        stopped.result(SECONDS)
