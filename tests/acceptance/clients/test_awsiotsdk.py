"""The AWS IoT device SDK for Python v2: both of its jobs clients, over MQTT 3.1.1 and 5 without TLS."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import awsiot
import pytest
from awscrt import mqtt, mqtt5
from awsiot import iotjobs

from acceptance.clients.scenario import SECONDS, Execution, Rejected, work_through
from acceptance.clients.sdk_connections import connected_5, connected_311, jobs_client
from fleet import Fleet


def _execution(given: Any) -> Execution | None:
    return None if given is None else Execution(given.job_id, given.version_number)


class _Told:
    """The next jobs that the client was told of."""

    def __init__(self) -> None:
        self._events: queue.Queue[Any] = queue.Queue()

    def put(self, event: Any) -> None:
        self._events.put(event)

    def told_of(self) -> str | None:
        execution = self._events.get(timeout=SECONDS).execution
        return None if execution is None else str(execution.job_id)


class ClientV1(_Told):
    """``IotJobsClient``: it publishes, and answers are messages like others."""

    def __init__(self, connection: mqtt.Connection, thing: str) -> None:
        super().__init__()
        self._client = iotjobs.IotJobsClient(connection)
        self._thing = thing
        self._answers: queue.Queue[Any] = queue.Queue()
        named = {"thing_name": thing}
        client, ask = self._client, iotjobs
        self._subscribe(
            client.subscribe_to_next_job_execution_changed_events,
            ask.NextJobExecutionChangedSubscriptionRequest(**named),
            self.put,
        )
        for request, accepted, rejected in (
            (
                ask.StartNextPendingJobExecutionSubscriptionRequest(**named),
                client.subscribe_to_start_next_pending_job_execution_accepted,
                client.subscribe_to_start_next_pending_job_execution_rejected,
            ),
            (
                ask.DescribeJobExecutionSubscriptionRequest(**named, job_id="$next"),
                client.subscribe_to_describe_job_execution_accepted,
                client.subscribe_to_describe_job_execution_rejected,
            ),
            (
                ask.UpdateJobExecutionSubscriptionRequest(**named, job_id="+"),
                client.subscribe_to_update_job_execution_accepted,
                client.subscribe_to_update_job_execution_rejected,
            ),
        ):
            for subscribe in (accepted, rejected):
                self._subscribe(subscribe, request, self._answers.put)

    def _subscribe(
        self, subscribe: Callable[..., Any], request: Any, callback: Callable[[Any], None]
    ) -> None:
        granted, _ = subscribe(request, mqtt.QoS.AT_LEAST_ONCE, callback)
        granted.result(SECONDS)

    def start_next(self) -> Execution | None:
        request = iotjobs.StartNextPendingJobExecutionRequest(thing_name=self._thing)
        return _execution(self._ask(self._client.publish_start_next_pending_job_execution, request).execution)

    def describe_next(self) -> Execution | None:
        request = iotjobs.DescribeJobExecutionRequest(thing_name=self._thing, job_id="$next")
        return _execution(self._ask(self._client.publish_describe_job_execution, request).execution)

    def update(self, job: str, status: str, details: Mapping[str, str], expected_version: int) -> int:
        request = _update(self._thing, job, status, details, expected_version)
        answer = self._ask(self._client.publish_update_job_execution, request)
        return int(answer.execution_state.version_number)

    def _ask(self, publish: Callable[..., Future[None]], request: Any) -> Any:
        publish(request, mqtt.QoS.AT_LEAST_ONCE).result(SECONDS)
        answer = self._answers.get(timeout=SECONDS)
        assert self._answers.empty(), "one copy"
        if isinstance(answer, iotjobs.RejectedError):
            raise Rejected(answer.code)
        return answer


class ClientV2(_Told):
    """``IotJobsClientV2``: it matches answers to requests by their client token."""

    def __init__(self, connection: mqtt.Connection | mqtt5.Client, thing: str) -> None:
        super().__init__()
        self._client, self._stream = jobs_client(connection, thing, self.put)
        self._thing = thing

    def start_next(self) -> Execution | None:
        request = iotjobs.StartNextPendingJobExecutionRequest(thing_name=self._thing)
        return _execution(_result(self._client.start_next_pending_job_execution(request)).execution)

    def describe_next(self) -> Execution | None:
        request = iotjobs.DescribeJobExecutionRequest(thing_name=self._thing, job_id="$next")
        return _execution(_result(self._client.describe_job_execution(request)).execution)

    def update(self, job: str, status: str, details: Mapping[str, str], expected_version: int) -> int:
        request = _update(self._thing, job, status, details, expected_version)
        answer = _result(self._client.update_job_execution(request))
        return int(answer.execution_state.version_number)


def _result(answer: Future[Any]) -> Any:
    try:
        return answer.result(SECONDS)
    except awsiot.V2ServiceException as error:
        if error.modeled_error is None:
            raise
        raise Rejected(error.modeled_error.code) from None


def _update(
    thing: str, job: str, status: str, details: Mapping[str, str], expected_version: int
) -> iotjobs.UpdateJobExecutionRequest:
    return iotjobs.UpdateJobExecutionRequest(
        thing_name=thing,
        job_id=job,
        status=status,
        status_details=dict(details),
        expected_version=expected_version,
        include_job_execution_state=True,
    )


Connected = Callable[[Fleet, str], Any]


@pytest.mark.parametrize(
    ("connected", "made"),
    [(connected_311, ClientV1), (connected_311, ClientV2), (connected_5, ClientV2), (connected_5, ClientV1)],
    ids=["v1-3.1.1", "v2-3.1.1", "v2-5", "v1-5"],
)
def test_aws_sdk_does_its_jobs(
    fleet: Fleet, connected: Connected, made: Callable[[Any, str], ClientV1 | ClientV2]
) -> None:
    thing = fleet.thing()
    with connected(fleet, thing) as connection:
        work_through(fleet, thing, made(connection, thing))
