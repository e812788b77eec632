"""How each domain error looks on the wire: one table, for both planes of HTTP and for MQTT.

Source: the service model's exception shapes; spellings of the errors that come before an operation is
known follow common AWS practice (unverified).
"""

from __future__ import annotations

from dataclasses import dataclass

from thingjobs.domain import errors as e


@dataclass(frozen=True, slots=True)
class HttpError:
    """``name`` goes into ``x-amzn-ErrorType``."""

    name: str
    status: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One error on the control plane, on the HTTP device plane and on MQTT (``code`` of a rejected reply)."""

    control: HttpError
    device: HttpError
    mqtt_code: str


def _same(name: str, status: int, mqtt_code: str) -> Answer:
    error = HttpError(name, status)
    return Answer(error, error, mqtt_code)


_INTERNAL = Answer(
    HttpError("InternalFailureException", 500), HttpError("ServiceUnavailableException", 503), "InternalError"
)
_INTERNAL_OF_MANAGED = _same("InternalServerException", 500, "InternalError")
_UNAVAILABLE_OF_TEMPLATES = _same("InternalFailureException", 500, "InternalError")
_OF_TEMPLATES = frozenset(
    {"CreateJobTemplate", "DeleteJobTemplate", "DescribeJobTemplate", "ListJobTemplates"}
)
_OF_MANAGED = frozenset({"ListManagedJobTemplates", "DescribeManagedJobTemplate"})

ANSWERS: dict[type[e.ServiceError], Answer] = {
    e.InvalidRequest: _same("InvalidRequestException", 400, "InvalidRequest"),
    e.MalformedJson: _same("InvalidRequestException", 400, "InvalidJson"),
    e.SerializationFailed: Answer(
        HttpError("SerializationException", 400), HttpError("InvalidRequestException", 400), "InvalidRequest"
    ),
    e.UnknownOperation: _same("UnknownOperationException", 404, "InvalidTopic"),
    e.MethodNotAllowed: _same("MethodNotAllowedException", 405, "InvalidTopic"),
    e.OperationNotServed: _same("NotImplementedException", 501, "InvalidTopic"),
    e.ResourceNotFound: _same("ResourceNotFoundException", 404, "ResourceNotFound"),
    e.JobNotFound: _same("ResourceNotFoundException", 404, "ResourceNotFound"),
    e.ResourceAlreadyExists: _same("ResourceAlreadyExistsException", 409, "InvalidRequest"),
    e.Conflict: _same("ConflictException", 409, "InvalidRequest"),
    e.VersionConflict: _same("VersionConflictException", 409, "VersionMismatch"),
    # The device model has no VersionConflictException: a stale version is a bad request there.
    e.VersionMismatch: Answer(
        HttpError("VersionConflictException", 409),
        HttpError("InvalidRequestException", 400),
        "VersionMismatch",
    ),
    e.InvalidStateTransition: _same("InvalidStateTransitionException", 409, "InvalidStateTransition"),
    e.TerminalStateReached: _same("TerminalStateException", 410, "TerminalStateReached"),
    e.LimitExceeded: _same("LimitExceededException", 410, "RequestThrottled"),
    e.Throttled: Answer(
        HttpError("ThrottlingException", 400), HttpError("ThrottlingException", 429), "RequestThrottled"
    ),
    e.ServiceUnavailable: _same("ServiceUnavailableException", 503, "InternalError"),
    e.ClockNotManual: _same("ConflictException", 409, "InternalError"),
    e.MissingAuthenticationToken: _same("MissingAuthenticationTokenException", 403, "InternalError"),
    e.IncompleteSignature: _same("IncompleteSignatureException", 403, "InternalError"),
    e.UnrecognizedClient: _same("UnrecognizedClientException", 403, "InternalError"),
    e.InvalidSignature: _same("InvalidSignatureException", 403, "InternalError"),
    e.AccessDenied: _same("AccessDeniedException", 403, "InternalError"),
}


def answer_for(error: Exception, operation_name: str = "") -> Answer:
    """The wire form of ``error``; anything that is not a ServiceError is an internal error.

    Internal errors have a name of their own in the operations on managed templates, and those on templates
    have no ServiceUnavailableException.
    """
    if isinstance(error, e.ServiceUnavailable) and operation_name in _OF_TEMPLATES:
        return _UNAVAILABLE_OF_TEMPLATES
    for kind in type(error).__mro__:
        if (answer := ANSWERS.get(kind)) is not None:
            return answer
    return _INTERNAL_OF_MANAGED if operation_name in _OF_MANAGED else _INTERNAL
