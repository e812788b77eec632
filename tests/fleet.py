"""Things, groups, jobs and devices on a running server, asked for through boto3."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from servers import Server

ACCOUNT = "123456789012"
REGION = "us-east-1"
CONNECTIONS = 4
DOCUMENT = '{"op":"x"}'
ROLE = f"arn:aws:iam::{ACCOUNT}:role/presigner"

DEVICE_PLANE = {"Host": f"data.jobs.iot.{REGION}.amazonaws.com"}
"""Headers by which a request that is not signed reaches the device plane."""


class Refusal(NamedTuple):
    """What a refused caller is told."""

    status: int
    code: str
    message: str


def refusal(call: Callable[..., Any], **params: Any) -> Refusal:
    """The refusal of a call that must not succeed."""
    try:
        answer = call(**params)
    except ClientError as error:
        told = error.response["Error"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return Refusal(status, told["Code"], told["Message"])
    raise AssertionError(f"not refused: {answer}")


def invalid(message: str) -> Refusal:
    return Refusal(400, "InvalidRequestException", message)


def not_found(message: str) -> Refusal:
    return Refusal(404, "ResourceNotFoundException", message)


def wrong_state(message: str) -> Refusal:
    return Refusal(409, "InvalidStateTransitionException", message)


def arn(kind: str, name: str, *, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:iot:{region}:{account}:{kind}/{name}"


def retry(**times: int) -> dict[str, Any]:
    """A jobExecutionsRetryConfig: ``retry(FAILED=3)``."""
    return {"criteriaList": [{"failureType": name, "numberOfRetries": n} for name, n in times.items()]}


def abort(*criteria: dict[str, Any]) -> dict[str, Any]:
    """An abortConfig; what a criterion does not say is one FAILED, at half of them or more."""
    usual = {
        "failureType": "FAILED",
        "action": "CANCEL",
        "thresholdPercentage": 50.0,
        "minNumberOfExecutedThings": 1,
    }
    return {"criteriaList": [{**usual, **members} for members in criteria]}


class Fleet:
    """``iot`` and ``data`` are the clients of the two planes; names that tests do not choose are unique."""

    def __init__(self, server: Server, unique: Callable[[str], str], *, key: tuple[str, str] = ("k", "s")):
        self.server = server
        self.unique = unique
        self.iot = server.client("iot", key=key)
        self.data = server.client("iot-jobs-data", key=key)

    def minutes_ahead(self, minutes: float) -> str:
        """A schedule's time, on the server's clock; its seconds are cut off."""
        at = datetime.fromtimestamp(self.server.now() / 1000, UTC) + timedelta(minutes=minutes)
        return at.strftime("%Y-%m-%dT%H:%M")

    # --- registry ---------------------------------------------------------------------------------

    def thing(self, prefix: str = "t") -> str:
        name = self.unique(prefix)
        self.iot.create_thing(thingName=name)
        return name

    def things(self, count: int) -> list[str]:
        return [self.thing() for _ in range(count)]

    def group(self, *things: str, parent: str | None = None) -> str:
        name = self.unique("g")
        above = {} if parent is None else {"parentGroupName": parent}
        self.iot.create_thing_group(thingGroupName=name, **above)
        for thing in things:
            self.iot.add_thing_to_thing_group(thingGroupName=name, thingName=thing)
        return name

    def crowd(self, count: int) -> str:
        """A group of ``count`` things, registered over a few plain connections: boto3 would take seconds."""
        group = self.group()
        names = [f"{group}-{number:05d}" for number in range(count)]
        share = -(-count // CONNECTIONS)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            parts = [names[at : at + share] for at in range(0, count, share)]
            for _ in pool.map(lambda part: self._register(part, group), parts):
                pass
        return group

    def _register(self, names: list[str], group: str) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc)
        for name in names:
            member = json.dumps({"thingName": name, "thingGroupName": group})
            for method, path, body in (
                ("POST", f"/things/{name}", "{}"),
                ("PUT", "/thing-groups/addThingToThingGroup", member),
            ):
                connection.request(method, path, body)
                answer = connection.getresponse()
                assert answer.read() is not None
                assert answer.status == 200
        connection.close()

    # --- jobs -------------------------------------------------------------------------------------

    def order(self, *targets: str, **members: Any) -> dict[str, Any]:
        """The parameters of a CreateJob. A target is a thing's name or an ARN; members that are None are
        left out."""
        arns = [target if target.startswith("arn:") else arn("thing", target) for target in targets]
        params = {"jobId": self.unique("j"), "targets": arns, "document": DOCUMENT, **members}
        return {name: value for name, value in params.items() if value is not None}

    def job(self, *targets: str, **members: Any) -> str:
        """Create a job; its id."""
        return str(self.iot.create_job(**self.order(*targets, **members))["jobId"])

    def refused_job(self, *targets: str, **members: Any) -> Refusal:
        """The refusal of a CreateJob, which must leave nothing behind."""
        order = self.order(*targets, **members)
        told = refusal(self.iot.create_job, **order)
        if told.status != 409 and len(order["jobId"]) <= 64 and " " not in order["jobId"]:
            assert refusal(self.iot.describe_job, jobId=order["jobId"]).status == 404
        return told

    def completed_job(self) -> str:
        thing = self.thing()
        job = self.job(thing)
        self.report(thing, job, "SUCCEEDED")
        return job

    def describe(self, job: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.iot.describe_job(jobId=job)["job"]
        return answer

    def counted(self, job: str) -> dict[str, int]:
        """A job's counters that are not zero, by their short names (``Queued``)."""
        details = self.describe(job)["jobProcessDetails"]
        return {
            name.removeprefix("numberOf").removesuffix("Things"): count
            for name, count in details.items()
            if name.startswith("numberOf") and count
        }

    def execution(self, thing: str, job: str, **params: Any) -> dict[str, Any]:
        """An execution as operators see it."""
        answer: dict[str, Any] = self.iot.describe_job_execution(thingName=thing, jobId=job, **params)
        return dict(answer["execution"])

    # --- devices ----------------------------------------------------------------------------------

    def start_next(self, thing: str, **members: Any) -> dict[str, Any] | None:
        """The execution that the device gets, if any."""
        answer = self.data.start_next_pending_job_execution(thingName=thing, **members)
        execution: dict[str, Any] | None = answer.get("execution")
        return execution

    def report(self, thing: str, job: str, status: str, **members: Any) -> dict[str, Any]:
        """A device's update; the answer's members."""
        answer = self.data.update_job_execution(thingName=thing, jobId=job, status=status, **members)
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def pending(self, thing: str) -> tuple[list[str], list[str]]:
        """Job ids in progress, job ids queued."""
        answer = self.data.get_pending_job_executions(thingName=thing)
        return [e["jobId"] for e in answer["inProgressJobs"]], [e["jobId"] for e in answer["queuedJobs"]]
