"""Everything of ours that AWS does not have: health, metrics, what is served, the manual clock."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from thingjobs import __version__
from thingjobs.auth.keys import Role
from thingjobs.auth.sigv4 import Request
from thingjobs.clock import Clock, ManualClock
from thingjobs.domain.errors import (
    AccessDenied,
    ClockNotManual,
    InvalidRequest,
    MethodNotAllowed,
    UnknownOperation,
)
from thingjobs.domain.quotas import Quotas
from thingjobs.engine.engine import Engine
from thingjobs.http.answer import Answer
from thingjobs.http.identity import Caller, Identity
from thingjobs.http.readiness import Readiness
from thingjobs.http.served import listed
from thingjobs.metrics import Metrics
from thingjobs.operations.forecasts import ForecastRequest, make_forecast
from thingjobs.store.store import Store
from thingjobs.wire.rest_json import parse_object
from thingjobs.wire.shape_limits import ShapeLimits

MAX_ADVANCE_SECONDS = 10 * 365 * 86_400

_ADVANCE = ("POST", b"/-/clock/advance")

Handler = Callable[[Request], Awaitable[Answer]]


class Admin:
    """The endpoints under ``/-/``: a few are open to all, the others need an operator."""

    def __init__(
        self,
        *,
        identity: Identity,
        store: Store,
        clock: Clock,
        engine: Engine,
        metrics: Metrics,
        quotas: Quotas,
        shapes: ShapeLimits,
    ) -> None:
        self._identity = identity
        self._readiness = Readiness(store.probe)
        self._clock = clock
        self._engine = engine
        self._metrics = metrics
        self._make_forecast = partial(make_forecast, quotas=quotas, shape=shapes.of(ForecastRequest))
        self._open: dict[tuple[str, bytes], Handler] = {
            ("GET", b"/-/health"): self._health,
            ("GET", b"/-/ready"): self._ready,
        }
        self._operators: dict[tuple[str, bytes], Handler] = {
            ("GET", b"/-/metrics"): self._metrics_text,
            ("GET", b"/-/operations"): self._operations,
            ("GET", b"/-/clock"): self._clock_now,
            _ADVANCE: self._advance,
            ("POST", b"/-/forecast"): self._forecast,
        }

    def operator(self, request: Request) -> Caller | None:
        """Who asks; None where all may. Errors: AuthenticationError."""
        if (request.method, request.raw_path) in self._open:
            return None
        return self._identity.operator(request)

    def changes(self, request: Request) -> bool:
        """Whether the request is one that changes something."""
        return (request.method, request.raw_path) == _ADVANCE

    async def answer(self, request: Request, caller: Caller | None) -> Answer:
        """``caller`` is what ``operator`` gave. Errors: ServiceError."""
        key = (request.method, request.raw_path)
        if (handler := self._open.get(key)) is not None:
            return await handler(request)
        assert caller is not None
        if (handler := self._operators.get(key)) is not None:
            if self.changes(request) and caller.role is not Role.ADMIN:
                raise AccessDenied(f"Access key {caller.principal} has the role {caller.role}.")
            return await handler(request)
        path = request.raw_path.decode("ascii", "backslashreplace")
        if any(known == request.raw_path for _, known in (*self._open, *self._operators)):
            raise MethodNotAllowed(f"{request.method} is not allowed on {path}.")
        raise UnknownOperation(f"There is nothing at {path}.")

    async def _health(self, request: Request) -> Answer:
        return _json({"status": "ok", "version": __version__})

    async def _ready(self, request: Request) -> Answer:
        """503 with the reason while the store does not take writes, or background work is not done."""
        trouble = await self._readiness.trouble()
        if ended := self._engine.ended:
            background = f"{' and '.join(ended)} ended by a fault and will be started again"
            answer = {"status": "unavailable", "store": trouble or "ok", "background": background}
            return _json(answer, status=503)
        if trouble is not None:
            return _json({"status": "unavailable", "store": trouble}, status=503)
        return _json({"status": "ready", "store": "ok"})

    async def _metrics_text(self, request: Request) -> Answer:
        return Answer(200, self._metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")

    async def _operations(self, request: Request) -> Answer:
        """Every operation of both service models, and whether it is served."""
        return _json({"operations": listed()})

    async def _clock_now(self, request: Request) -> Answer:
        return _json({"now": self._clock.now(), "mode": self._clock.mode})

    async def _advance(self, request: Request) -> Answer:
        """Wind a manual clock; answered when everything due in between was done."""
        if not isinstance(self._clock, ManualClock):
            raise ClockNotManual("The clock is the system's; start with --clock manual to wind it.")
        seconds = parse_object(request.body).get("seconds")
        if (
            not isinstance(seconds, int | float)
            or isinstance(seconds, bool)
            or not math.isfinite(seconds)
            or not 0 <= seconds <= MAX_ADVANCE_SECONDS
        ):
            raise InvalidRequest(f"seconds must be a number from 0 to {MAX_ADVANCE_SECONDS}.")
        now = await self._engine.advance(self._clock, round(seconds * 1000))
        return _json({"now": now, "mode": self._clock.mode})

    async def _forecast(self, request: Request) -> Answer:
        """How a job would go; nothing is stored or changed."""
        members = parse_object(request.body)
        return _json(await asyncio.to_thread(self._make_forecast, members))


def _json(value: object, *, status: int = 200) -> Answer:
    return Answer(status, msgspec.json.encode(value))
