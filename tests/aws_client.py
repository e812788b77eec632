"""The official client as an oracle: what it sends is given to us, what we answer is given to it.

No socket is opened: a request is caught just before it would be sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.model import ServiceModel, Shape
from msgspec import Struct

from thingjobs.wire.operation import Operation, Plane
from thingjobs.wire.rest_json import decode_request
from thingjobs.wire.routes import OPERATIONS
from thingjobs.wire.routing import Match, route

SERVICES = {Plane.CONTROL: "iot", Plane.DEVICE: "iot-jobs-data"}
WITH_SHAPES = [operation for operation in OPERATIONS if operation.request]

_SESSION = botocore.session.Session()


@dataclass
class Reply:
    """What a handler of the tests gives back to the client."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[AWSPreparedRequest], Reply]


def client(plane: Plane, handler: Handler) -> Any:
    """A botocore client of the plane's service that talks to ``handler``."""
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    made = _SESSION.create_client(
        SERVICES[plane],
        region_name="us-east-1",
        endpoint_url="http://localhost",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=config,
    )

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        reply = handler(request)
        headers = {"Content-Type": "application/json", **reply.headers}
        return AWSResponse(request.url, reply.status, headers, _Raw(reply.body))

    made.meta.events.register("before-send", answer)
    return made


def send(operation: Operation, **params: object) -> AWSPreparedRequest:
    """The HTTP request that the client makes of ``params``."""
    caught: list[AWSPreparedRequest] = []

    def keep(request: AWSPreparedRequest) -> Reply:
        caught.append(request)
        return Reply(b"{}")

    call(client(operation.plane, keep), operation, **params)
    return caught[0]


def call(made: Any, operation: Operation, **params: object) -> dict[str, Any]:
    """Call the client's method for ``operation``."""
    method = {name: python for python, name in made.meta.method_to_api_mapping.items()}[operation.name]
    result: dict[str, Any] = getattr(made, method)(**params)
    result.pop("ResponseMetadata")
    return result


def receive(plane: Plane, request: AWSPreparedRequest) -> tuple[Match, Struct]:
    """What we make of a request of the client."""
    url = urlsplit(request.url)
    match = route(plane, request.method, url.path.encode())
    headers = [
        (name.lower().encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in request.headers.items()
    ]
    body = request.body or b""
    body = body if isinstance(body, bytes) else body.encode()
    return match, decode_request(match.operation, match.path_params, url.query.encode(), headers, body)


def model(plane: Plane) -> ServiceModel:
    made: ServiceModel = _SESSION.get_service_model(SERVICES[plane])
    return made


def shapes_of(operation: Operation) -> tuple[Shape, Shape | None]:
    """The input and output shape of ``operation`` in the service model."""
    described = model(operation.plane).operation_model(operation.name)
    return described.input_shape, described.output_shape


class _Raw:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self) -> Iterator[bytes]:
        yield self.body


SAMPLES = {
    "RoleArn": "arn:aws:iam::123456789012:role/presigner",
    "JobTemplateArn": "arn:aws:iot:us-east-1:123456789012:jobtemplate/t1",
    "PackageVersionArn": "arn:aws:iot:us-east-1:123456789012:package/p/version/v",
    "ManagedTemplateVersion": "1.0",
    "ReasonCode": "ROLLED_BACK",
    "Principal": "arn:aws:iot:us-east-1:123456789012:cert/abc",
    "ResourceArn": "arn:aws:iot:us-east-1:123456789012:thinggroup/a:b c",
    "ThingName": "sensor:1_a-b",
    "ConnectionAttributeName": "iot:clientid",
    "UserPropertyKeyName": "key",
}


def sample(shape: Shape) -> Any:
    """A value of ``shape`` with every member filled; timestamps as epoch seconds."""
    match shape.type_name:
        case "structure":
            return {name: sample(member) for name, member in shape.members.items()}
        case "list":
            return [sample(shape.member)]
        case "map":
            return {sample(shape.key): sample(shape.value)}
        case "string" if shape.enum:
            return shape.enum[0]
        case "string":
            return SAMPLES.get(shape.name, "Value-1" if "pattern" in shape.metadata else "Väl ue/%:+&=1")
        case "timestamp":
            return 1560787022.733
        case "boolean":
            return True
        case "double":
            return 2.5
    return int(shape.metadata.get("min", 7))


def minimal(shape: Shape) -> Any:
    """The smallest value that the model allows: required members, shortest texts, the first of an enum.

    A string is as many ones as must be. Errors: AssertionError if its pattern does not take those.
    """
    least = int(shape.metadata.get("min", 0))
    match shape.type_name:
        case "structure":
            return {name: minimal(shape.members[name]) for name in shape.required_members}
        case "list":
            return [minimal(shape.member) for _ in range(least)]
        case "map":
            return {minimal(shape.key): minimal(shape.value) for _ in range(least)}
        case "string" if shape.enum:
            return shape.enum[0]
        case "string":
            ones = "1" * max(least, 1)
            java = shape.metadata.get("pattern", ".*")
            pattern = java.replace(r"\p{C}", r"\0").replace(r"\p{Graph}", "!-~")
            assert re.fullmatch(pattern, ones), shape.name
            return ones
        case "timestamp":
            return 0
        case "boolean":
            return False
    return least
