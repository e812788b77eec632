"""The AWS API over HTTP, as one plain ASGI application.

The path of every request: read the body, find out who calls, find the operation, decode, run, encode.
Each step may refuse with a ServiceError; ``wire`` says how that looks.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog

from thingjobs.auth.keys import Role, may
from thingjobs.auth.sigv4 import Request
from thingjobs.auth.throttle import Throttle
from thingjobs.domain.errors import (
    AccessDenied,
    InvalidRequest,
    OperationNotServed,
    ServiceError,
    ServiceUnavailable,
    Throttled,
    UnknownOperation,
)
from thingjobs.http.admin import Admin
from thingjobs.http.answer import Answer
from thingjobs.http.identity import Identity
from thingjobs.http.served import is_served
from thingjobs.metrics import Metrics
from thingjobs.mqtt.access import Principal
from thingjobs.mqtt.websocket import MqttWebSocket
from thingjobs.operations.catalog import CONTROL
from thingjobs.operations.planes import ControlPlane, DevicePlane
from thingjobs.store.store import Store
from thingjobs.wire.errors import answer_for
from thingjobs.wire.operation import Plane
from thingjobs.wire.rest_json import decode_request, encode_error, encode_response, route
from thingjobs.wire.shape_limits import ShapeLimits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MQTT_PATH = b"/mqtt"
MAX_BODY_BYTES = 1_048_576
BODY_SECONDS = 30.0
"""For a client to send its body, once it has sent the head."""

STOPPING = "The server is stopping. What was asked for may have happened or not; look, or ask again."

log = structlog.get_logger()


class ClientGone(Exception):
    """The client went away before its request was complete."""


class App:
    """Answers AWS requests itself, behind ``path_prefix``, and gives ``/-/`` to ``admin``."""

    def __init__(
        self,
        *,
        identity: Identity,
        store: Store,
        control: ControlPlane,
        device: DevicePlane,
        admin: Admin,
        mqtt: MqttWebSocket,
        throttle: Throttle,
        metrics: Metrics,
        path_prefix: str = "",
        shapes: ShapeLimits,
    ) -> None:
        self._identity = identity
        self._store = store
        self._control = control
        self._device = device
        self._admin = admin
        self._mqtt = mqtt
        self._throttle = throttle
        self._metrics = metrics
        self._path_prefix = path_prefix
        self._shapes = shapes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._carry_mqtt(scope, receive, send)
            return
        method, raw_path = scope["method"], scope["raw_path"]
        exchange = _Exchange(method, raw_path)
        try:
            request = Request(
                method,
                raw_path,
                scope["query_string"],
                scope["headers"],
                await _body(scope["headers"], receive),
            )
            if raw_path.startswith(b"/-/"):
                exchange.operation_name = "admin"
                operator = self._admin.operator(request)
                exchange.principal = operator.principal if operator else None
                exchange.writes = self._admin.changes(request)
                answer = await self._admin.answer(request, operator)
            else:
                answer = await self._answer(exchange, request)
        except ClientGone:
            return
        except asyncio.CancelledError:
            answer = exchange.refusal(ServiceUnavailable(STOPPING))
        except Exception as error:  # the outermost edge: what is not a refusal is logged here, once
            answer = exchange.refusal(error)
        exchange.ended()
        self._count(exchange, answer)
        try:
            await _send(send, exchange.request_id, answer)
        finally:
            exchange.log(answer)

    def refuse_unreadable(self, message: str) -> tuple[str, Answer]:
        """Count and log bytes that are not HTTP; the request id they get, and the answer."""
        exchange = _Exchange(None, None)
        answer = exchange.refusal(InvalidRequest(message), close=True)
        exchange.ended()
        self._count(exchange, answer)
        exchange.log(answer)
        return exchange.request_id, answer

    def _count(self, exchange: _Exchange, answer: Answer) -> None:
        self._metrics.answered(exchange.plane_name, exchange.operation_name, answer.status, exchange.seconds)

    async def _carry_mqtt(self, scope: Message, receive: Receive, send: Send) -> None:
        """MQTT over WebSocket; a connection that may not be is refused with 403 before it is one."""
        request = Request("GET", scope["raw_path"], scope["query_string"], scope["headers"], b"")
        try:
            if request.raw_path != MQTT_PATH:
                raise UnknownOperation(f"There is no WebSocket at {scope['path']}.")
            caller = self._identity.for_mqtt(request)
            tenant = await self._store.scope(caller.account, caller.region)
        except ServiceError as refusal:
            log.info("mqtt_refused", error=answer_for(refusal).control.name, message=refusal.message)
            await send({"type": "websocket.close", "code": 1008})
            return
        principal = Principal(tenant, caller.principal, read_only=caller.role is Role.READ_ONLY)
        await self._mqtt.serve(scope, receive, send, principal)

    async def _answer(self, exchange: _Exchange, request: Request) -> Answer:
        caller = self._identity.identify(request)
        exchange.plane_name, exchange.principal = caller.plane.value, caller.principal
        match = route(caller.plane, request.method, request.raw_path, self._path_prefix)
        operation = self._shapes.applied_to(match.operation)
        exchange.operation_name = operation.name
        if not is_served(operation):
            raise OperationNotServed(f"{operation.name} is not served here; GET /-/operations lists what is.")
        if not may(caller.role, operation.name):
            raise AccessDenied(
                f"Access key {caller.principal} has the role {caller.role} and is not authorized to perform:"
                f" {'iot' if caller.plane is Plane.CONTROL else 'iotjobsdata'}:{operation.name}"
            )
        device_plane = caller.plane is Plane.DEVICE
        self._throttle.take(caller.account, operation.name, device_plane=device_plane)
        shape: Any = decode_request(
            operation, match.path_params, request.query_string, request.headers, request.body
        )
        scope = await self._store.scope(caller.account, caller.region)
        if device_plane:
            return Answer(200, encode_response(await self._device.submit(scope.id, shape)))
        exchange.writes = CONTROL[operation.name].writes
        return Answer(200, encode_response(await self._control.answer(scope, operation.name, shape)))


class _Exchange:
    """What is known of one request so far, for its log line and its refusal."""

    def __init__(self, method: str | None, raw_path: bytes | None) -> None:
        self.request_id = str(uuid.uuid4())
        self.method = method
        self.raw_path = raw_path
        self.plane_name = "none"
        self.principal: str | None = None
        self.operation_name = "unknown"
        self.writes = False
        self.seconds = 0.0
        self._started = time.perf_counter()

    def ended(self) -> None:
        self.seconds = time.perf_counter() - self._started

    def refusal(self, error: Exception, *, close: bool = False) -> Answer:
        forms = answer_for(error, self.operation_name)
        form = forms.device if self.plane_name == "device" else forms.control
        if not isinstance(error, ServiceError):
            log.error(
                "request_failed",
                request_id=self.request_id,
                operation=self.operation_name,
                exc_info=error,
            )
        return Answer(
            form.status,
            encode_error(error),
            form.name,
            close=close or isinstance(error, BodyTooLarge),
            retry_after_seconds=error.retry_after_seconds if isinstance(error, Throttled) else None,
        )

    def log(self, answer: Answer) -> None:
        """Changes and refusals at info, what only looked at debug."""
        quiet = answer.error_type is None and not self.writes
        (log.debug if quiet else log.info)(
            "request",
            request_id=self.request_id,
            plane=self.plane_name,
            operation=self.operation_name,
            method=self.method,
            path=None if self.raw_path is None else self.raw_path.decode("latin-1"),
            status=answer.status,
            error=answer.error_type,
            principal=self.principal,
            milliseconds=round(self.seconds * 1000, 2),
        )


class BodyTooLarge(InvalidRequest):
    pass


async def _body(headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes:
    """The whole body. Errors: BodyTooLarge, InvalidRequest if it comes too slowly, ClientGone."""
    for name, value in headers:
        if name == b"content-length" and int(value) > MAX_BODY_BYTES:
            raise _too_large()
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        return body
    try:
        return await asyncio.wait_for(_rest_of_body(message, receive), BODY_SECONDS)
    except TimeoutError:
        raise InvalidRequest("The request's body did not arrive in time.") from None


async def _rest_of_body(message: Message, receive: Receive) -> bytes:
    body = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body"):
            return bytes(body)
        message = await receive()


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"The request's body is larger than {MAX_BODY_BYTES} bytes.")


async def _send(send: Send, request_id: str, answer: Answer) -> None:
    head = {"type": "http.response.start", "status": answer.status, "headers": answer.headers(request_id)}
    await send(head)
    await send({"type": "http.response.body", "body": answer.body})
