"""What a simulation asks of the HTTP API of a development server: things, and when they were given work."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

CONNECTIONS = 8
TIMEOUT_SECONDS = 30.0
_EXISTS = 409


class CannotCreate(Exception):
    """The server does not make things for us."""


class Notice(NamedTuple):
    """A device was told of a job execution; ``at`` is in seconds since 1970."""

    thing_name: str
    job_id: str
    execution_number: int
    at: float


async def create_things(endpoint_url: str, thing_names: Sequence[str], group: str | None) -> None:
    """Make those things that are missing, and put all into the group. Errors: CannotCreate."""
    host = host_of(endpoint_url)
    try:
        if group is not None:
            await asyncio.to_thread(_for_all, host, [group], _create_group)
        await _shared(host, thing_names, lambda connection, name: _create_thing(connection, name, group))
    except (OSError, http.client.HTTPException) as error:
        raise CannotCreate(f"Cannot make things at {endpoint_url}: {error}.") from None


async def notice_seconds(endpoint_url: str, notices: Sequence[Notice]) -> list[float]:
    """From queuing to notice, in seconds; of what cannot be found out any more, nothing.

    Devices are told ``queuedAt`` in whole seconds; the control plane shows milliseconds.
    """
    taken: list[float] = []

    def look_up(connection: http.client.HTTPConnection, notice: Notice) -> None:
        path = f"/things/{notice.thing_name}/jobs/{notice.job_id}"
        status, body = _ask(connection, "GET", f"{path}?executionNumber={notice.execution_number}")
        if status == http.client.OK:
            taken.append(max(0.0, notice.at - json.loads(body)["execution"]["queuedAt"]))

    try:
        host = host_of(endpoint_url)
        if not notices or await asyncio.to_thread(_clock_is_manual, host):
            return []
        await _shared(host, notices, look_up)
    except (OSError, http.client.HTTPException, CannotCreate):
        return []
    return taken


def _clock_is_manual(host: str) -> bool:
    """Whether the server's time stands still, so that ours says nothing about it."""
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT_SECONDS)
    try:
        status, body = _ask(connection, "GET", "/-/clock")
        return status == http.client.OK and json.loads(body)["mode"] == "manual"
    finally:
        connection.close()


def host_of(endpoint_url: str) -> str:
    """Errors: CannotCreate if it is no address of plain HTTP."""
    address = urlsplit(endpoint_url)
    if address.scheme != "http" or not address.hostname:
        raise CannotCreate(f"--endpoint-url {endpoint_url}: say http://HOST:PORT.")
    return address.netloc


def _create_group(connection: http.client.HTTPConnection, group: str) -> None:
    _make(connection, "POST", f"/thing-groups/{quote(group, safe='')}", {})


def _create_thing(connection: http.client.HTTPConnection, name: str, group: str | None) -> None:
    _make(connection, "POST", f"/things/{name}", {})
    if group is not None:
        member = {"thingName": name, "thingGroupName": group}
        _make(connection, "PUT", "/thing-groups/addThingToThingGroup", member)


def _make(connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, str]) -> None:
    """What exists already is as good as made."""
    status, said = _ask(connection, method, path, body)
    if status not in (http.client.OK, _EXISTS):
        raise CannotCreate(f"The server answered {status} to {method} {path}: {said.decode()[:300]}")


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, str] | None = None
) -> tuple[int, bytes]:
    sent = None if body is None else json.dumps(body)
    connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
    answer = connection.getresponse()
    return answer.status, answer.read()


async def _shared(
    host: str, items: Sequence[Any], do: Callable[[http.client.HTTPConnection, Any], None]
) -> None:
    """Do something for each of the items, in a few threads."""
    shares = [items[number::CONNECTIONS] for number in range(CONNECTIONS)]
    await asyncio.gather(*(asyncio.to_thread(_for_all, host, share, do) for share in shares if share))


def _for_all(host: str, items: Iterable[Any], do: Callable[[http.client.HTTPConnection, Any], None]) -> None:
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT_SECONDS)
    try:
        for item in items:
            do(connection, item)
    finally:
        connection.close()
