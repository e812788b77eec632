"""The application without a server around it."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from thingjobs.http.admin import Admin
from thingjobs.http.app import App
from thingjobs.metrics import Metrics

NOTHING = cast(Any, None)


class Busy:
    """Endpoints that never answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def operator(self, request: object) -> None:
        return None

    def changes(self, request: object) -> bool:
        return True

    async def answer(self, request: object, caller: object) -> None:
        self.asked.set()
        await asyncio.Event().wait()


class Counted:
    def __init__(self) -> None:
        self.statuses: list[int] = []

    def answered(self, plane: str, operation: str, status: int, seconds: float) -> None:
        self.statuses.append(status)


def test_request_that_is_canceled_is_refused_as_any_other() -> None:
    """As the server does with what is not done ten seconds after it was told to stop."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def work() -> list[int]:
        busy, counted = Busy(), Counted()
        app = App(
            identity=NOTHING,
            store=NOTHING,
            control=NOTHING,
            device=NOTHING,
            admin=cast(Admin, busy),
            mqtt=NOTHING,
            throttle=NOTHING,
            metrics=cast(Metrics, counted),
            shapes=NOTHING,
        )
        scope = {
            "type": "http",
            "method": "POST",
            "raw_path": b"/-/clock/advance",
            "query_string": b"",
            "headers": [],
        }
        request = asyncio.create_task(app(scope, receive, send))
        await busy.asked.wait()
        request.cancel()
        await request
        return counted.statuses

    assert asyncio.run(work()) == [503]
    head, body = sent
    headers = dict(head["headers"])
    assert (head["status"], headers[b"x-amzn-errortype"]) == (503, b"ServiceUnavailableException")
    assert headers[b"x-amzn-requestid"]
    assert "stopping" in json.loads(body["body"])["message"]
