"""The reserved topics of the Jobs service, below ``$aws/things/T/jobs/``.

    get · start-next                             requests about the thing's queue
    J/get · $next/get · J/update                 requests about one job
    <request>/accepted · <request>/rejected      answers
    notify · notify-next                         announcements

The number of levels tells them apart, so that a job may be called ``get`` or ``notify``: ``jobs/get`` asks
for the queue and ``jobs/get/get`` for the job of that name. Whatever is not a request asks for nothing.
Source: Jobs developer guide, "jobs device MQTT API".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

NEXT = "$next"
_PREFIX = "$aws/things/"


class Kind(StrEnum):
    """What a device asks for, named as the operation of the data plane."""

    GET_PENDING = "GetPendingJobExecutions"
    START_NEXT = "StartNextPendingJobExecution"
    DESCRIBE = "DescribeJobExecution"
    UPDATE = "UpdateJobExecution"


class JobsRequest(Struct, frozen=True, gc=False):
    """``job_id`` may be ``$next`` for DESCRIBE, and is None where the request names no job."""

    thing_name: str
    kind: Kind
    job_id: str | None = None


_OF_THE_QUEUE: Mapping[str, Kind] = {"get": Kind.GET_PENDING, "start-next": Kind.START_NEXT}
_OF_A_JOB: Mapping[str, Kind] = {"get": Kind.DESCRIBE, "update": Kind.UPDATE}


def parse(topic: str) -> JobsRequest | None:
    """The request that a message on ``topic`` is, None if it is none.

    Names are taken as they are: whether they can exist is for the operation to say, so that a device
    hears of its mistake.
    """
    if not topic.startswith(_PREFIX):
        return None
    levels = topic.split("/")
    if len(levels) < 5 or levels[3] != "jobs" or not levels[2]:
        return None
    if len(levels) == 5:
        kind = _OF_THE_QUEUE.get(levels[4])
        return None if kind is None else JobsRequest(levels[2], kind)
    job_id = levels[4]
    kind = _OF_A_JOB.get(levels[5])
    if kind is None or len(levels) > 6 or not job_id or (job_id == NEXT and kind is Kind.UPDATE):
        return None
    return JobsRequest(levels[2], kind, job_id)


def accepted(request_topic: str) -> str:
    return request_topic + "/accepted"


def rejected(request_topic: str) -> str:
    return request_topic + "/rejected"


def notify(thing_name: str) -> str:
    return f"{_PREFIX}{thing_name}/jobs/notify"


def notify_next(thing_name: str) -> str:
    return f"{_PREFIX}{thing_name}/jobs/notify-next"
