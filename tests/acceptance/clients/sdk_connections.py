"""The AWS IoT device SDK for Python v2: connections over MQTT 3.1.1 and 5 without TLS, its jobs client."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import awsiot
from awscrt import io, mqtt, mqtt5, mqtt_request_response
from awsiot import iotjobs

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


def jobs_client(
    connection: mqtt.Connection | mqtt5.Client, thing: str, told: Callable[[Any], None]
) -> tuple[iotjobs.IotJobsClientV2, Any]:
    """``IotJobsClientV2``, and its open stream that tells ``told`` of each next job."""
    client = iotjobs.IotJobsClientV2(
        connection,
        mqtt_request_response.ClientOptions(
            max_request_response_subscriptions=4,
            max_streaming_subscriptions=2,
            operation_timeout_in_seconds=int(SECONDS),
        ),
    )
    subscribed: queue.Queue[Any] = queue.Queue()
    stream = client.create_next_job_execution_changed_stream(
        iotjobs.NextJobExecutionChangedSubscriptionRequest(thing_name=thing),
        awsiot.ServiceStreamOptions(told, subscribed.put, told),
    )
    stream.open()
    established = mqtt_request_response.SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED
    assert subscribed.get(timeout=SECONDS).type == established
    return client, stream
