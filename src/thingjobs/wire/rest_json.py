"""The REST-JSON protocol: from the parts of a request to its shape, from an answer or an error to a body."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import UNSET, Struct, UnsetType

from thingjobs.domain import errors
from thingjobs.wire import documented_forms, validation
from thingjobs.wire.operation import Operation, Param, Reader
from thingjobs.wire.routing import Match, operation_named, route
from thingjobs.wire.shapes import iot_jobs_data

__all__ = [
    "Match",
    "decode_members",
    "decode_request",
    "encode_error",
    "encode_response",
    "execution_state",
    "operation_named",
    "parse_object",
    "route",
]

Headers = Iterable[tuple[bytes, bytes]]

_NOT_JSON = "The contents of the request could not be interpreted as valid UTF-8-encoded JSON"
_INTERNAL = "Internal failure"
_LONG = re.compile("-?[0-9]{1,19}")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


# --- requests -----------------------------------------------------------------------------------


def decode_request(
    operation: Operation, path_params: Mapping[str, str], query_string: bytes, headers: Headers, body: bytes
) -> Struct:
    """The request that an HTTP message carries, in the shape of its operation.

    Header names come in lower case. A body is read only if the operation has members there.
    Errors: InvalidRequest with all violations in one message, MalformedJson, SerializationFailed for a path
    segment that is no number, OperationNotServed.
    """
    members = parse_object(body) if operation.has_body else {}
    if members:
        _keep_to_body(operation, members)
        documented_forms.rewrite(operation.name, members)
    written: dict[str, str] = {}
    if operation.query and query_string:
        _take(operation.query, _form_decoded(query_string), members, written)
    if operation.header:
        _take(
            operation.header,
            {name.decode("latin-1"): v.decode("latin-1") for name, v in headers},
            members,
            written,
        )
    for param in operation.path:
        text = path_params[param.name]
        members[param.member] = _path_number(text) if param.reader is Reader.LONG else text
    return decode_members(operation, members, written)


def decode_members(
    operation: Operation, members: Mapping[str, object], written: Mapping[str, str] | None = None
) -> Struct:
    """The request whose members, by their names in the model, are ``members``, wherever they came from.

    ``written`` is how the numbers among them were spelled, if that matters for an error message.
    Errors: InvalidRequest, OperationNotServed.
    """
    if operation.request is None:
        raise errors.OperationNotServed(f"{operation.name} is not served.")
    try:
        return msgspec.convert(members, operation.request)
    except msgspec.ValidationError:
        return validation.read_slowly(operation.request, members, written or {})


def parse_object(body: bytes) -> dict[str, object]:
    """The JSON object that ``body`` is; nothing at all is an empty one."""
    if not body:
        return {}
    try:
        parsed = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise errors.MalformedJson(_NOT_JSON) from None
    if not isinstance(parsed, dict):
        raise errors.MalformedJson(_NOT_JSON)
    return parsed


def _keep_to_body(operation: Operation, members: dict[str, object]) -> None:
    """Drop what belongs elsewhere in the message: an unknown member of the body, it is ignored."""
    for param in (*operation.query, *operation.header):
        if param.member in members and (operation.name, param.member) not in documented_forms.ALSO_IN_BODY:
            del members[param.member]


def _take(
    params: Iterable[Param], given: Mapping[str, str], members: dict[str, object], written: dict[str, str]
) -> None:
    for param in params:
        if (text := given.get(param.name)) is None:
            continue
        if param.reader is Reader.STRING:
            members[param.member] = text
        elif param.reader is Reader.BOOLEAN:
            if text not in ("true", "false"):
                raise validation.mistyped(param.member, text, "true or false")
            members[param.member] = text == "true"
        else:
            if not _LONG.fullmatch(text):
                raise validation.mistyped(param.member, text, "an integer")
            members[param.member] = int(text)
            written[param.member] = text


def _path_number(text: str) -> int:
    if not _LONG.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise errors.SerializationFailed(f"'{text}' can not be converted to Long")
    return int(text)


def _form_decoded(query_string: bytes) -> dict[str, str]:
    """The parameters of a query string; the last of several with one name wins."""
    pairs = (pair.partition(b"=") for pair in query_string.split(b"&"))
    try:
        return {_form_text(name): _form_text(value) for name, _, value in pairs}
    except UnicodeDecodeError:
        raise errors.InvalidRequest("The query string is not valid UTF-8.") from None


def _form_text(text: bytes) -> str:
    return unquote_to_bytes(text.replace(b"+", b" ")).decode()


# --- answers ------------------------------------------------------------------------------------


def encode_response(response: Struct | None) -> bytes:
    """The body of an answer; operations whose output has no members answer None, a body of no bytes.

    Shapes know their plane: the control plane writes null for what is unset, the device plane leaves it out.
    """
    return b"" if response is None else _encode(response)


class _ErrorBody(Struct, rename="camel", omit_defaults=True):
    message: str
    resource_id: str | UnsetType | None = UNSET
    resource_arn: str | UnsetType | None = UNSET
    execution_state: iot_jobs_data.JobExecutionState | UnsetType = UNSET
    limit: int | UnsetType = UNSET
    used: int | UnsetType = UNSET


def encode_error(error: Exception) -> bytes:
    """The body of a refusal; what went wrong inside is not told."""
    if not isinstance(error, errors.ServiceError):
        return _encode(_ErrorBody(_INTERNAL))
    body = _ErrorBody(error.message)
    if isinstance(error, errors.ResourceAlreadyExists):
        body.resource_id, body.resource_arn = error.resource_id, error.resource_arn
    elif isinstance(error, errors.Conflict):
        body.resource_id = None
    elif isinstance(error, errors.Throttled):
        body.limit, body.used = error.limit, error.used
    elif isinstance(error, errors.InvalidStateTransition) and error.state:
        body.execution_state = execution_state(error.state)
    return _encode(body)


def execution_state(state: errors.ExecutionState) -> iot_jobs_data.JobExecutionState:
    """What a refused device is shown of its execution, over HTTP and MQTT alike."""
    details = None if state.status_details is None else dict(state.status_details)
    return iot_jobs_data.JobExecutionState(
        status=state.status, status_details=details, version_number=state.version_number
    )
