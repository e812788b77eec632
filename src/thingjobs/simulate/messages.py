"""What a device reads and writes on the reserved topics of its thing."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class Execution(Struct, rename="camel"):
    """A job execution as answers and notifications show it, as far as it matters here."""

    job_id: str
    status: str
    queued_at: int
    execution_number: int
    status_details: dict[str, str] = {}


class State(Struct, rename="camel"):
    status: str


class Message(Struct, rename="camel"):
    """An answer, accepted or rejected, or a ``notify-next``."""

    timestamp: int = 0
    client_token: str = ""
    execution: Execution | None = None
    code: str = ""
    execution_state: State | None = None


class Request(Struct, rename="camel", omit_defaults=True):
    """A report names its execution, so that a late copy of it never reaches a retry."""

    client_token: str
    status: str = ""
    execution_number: int = 0
    status_details: dict[str, str] | None = None


read = msgspec.json.Decoder(Message).decode
write = msgspec.json.Encoder().encode


def to_subscribe(thing_name: str) -> list[str]:
    jobs = f"$aws/things/{thing_name}/jobs"
    return [f"{jobs}/notify-next", f"{jobs}/start-next/+", f"{jobs}/+/update/+"]


def start_next(thing_name: str) -> str:
    return f"$aws/things/{thing_name}/jobs/start-next"


def update(thing_name: str, job_id: str) -> str:
    return f"$aws/things/{thing_name}/jobs/{job_id}/update"
