"""Every refusal the service can give, named for the fact.

An error carries what the caller is owed (a message in the service's words, the current state, the
existing resource); how it looks on the wire is decided in one place, ``wire/errors.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class ServiceError(Exception):
    """Something the caller asked for cannot be done."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# --- the request itself -------------------------------------------------------------------------


class InvalidRequest(ServiceError):
    """The request breaks a constraint, or asks for what its target's state does not allow."""


class MalformedJson(InvalidRequest):
    """The body is not the UTF-8 JSON object it should be."""


class SerializationFailed(ServiceError):
    """A value in the path cannot be read as its type."""


class UnknownOperation(ServiceError):
    """No operation has this path."""


class MethodNotAllowed(ServiceError):
    """An operation has this path, but not with this method."""


class OperationNotServed(ServiceError):
    """AWS has this operation; this server does not."""


# --- what the request names ---------------------------------------------------------------------


class ResourceNotFound(ServiceError):
    """A job, execution, thing, thing group or thing type does not exist in the caller's scope."""


class JobNotFound(ResourceNotFound):
    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job {job_id} cannot be found.")


class ResourceAlreadyExists(ServiceError):
    """The name is taken; ``resource_id`` and ``resource_arn`` say by what (None for thing groups)."""

    def __init__(self, message: str, resource_id: str | None, resource_arn: str | None) -> None:
        super().__init__(message)
        self.resource_id = resource_id
        self.resource_arn = resource_arn


class Conflict(ServiceError):
    """The id of a job template is taken."""


# --- state --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExecutionState:
    """What a refused device is told about its execution."""

    status: str
    version_number: int
    status_details: Mapping[str, str] | None


class VersionConflict(ServiceError):
    """``expectedVersion`` differs from the stored version (control plane and registry)."""


class VersionMismatch(ServiceError):
    """A device's ``expectedVersion`` differs from the stored version of its execution."""

    def __init__(self, expected: int, state: ExecutionState) -> None:
        super().__init__(f"Expected version {expected} but found version {state.version_number}")
        self.state = state


class InvalidStateTransition(ServiceError):
    """The state does not allow the change; a device is shown the execution as it is, if there is one."""

    def __init__(self, message: str, state: ExecutionState | None = None) -> None:
        super().__init__(message)
        self.state = state


class TerminalStateReached(ServiceError):
    """A device asks to describe an execution that is finished."""

    def __init__(self) -> None:
        super().__init__("Job Execution has reached terminal state. It is neither IN_PROGRESS nor QUEUED")


# --- limits and failures ------------------------------------------------------------------------


class LimitExceeded(ServiceError):
    """A resource quota is used up."""


class Throttled(ServiceError):
    """The account asks more often than its quota allows."""

    def __init__(self, operation_name: str, *, limit: int, used: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"Rate exceeded: {operation_name} is limited to {limit} requests per second and {used} were made;"
            f" try again in {retry_after_seconds} s."
        )
        self.limit = limit
        self.used = used
        self.retry_after_seconds = retry_after_seconds


class ServiceUnavailable(ServiceError):
    """The store cannot do its work now (disk full or read-only, server stopping); try again later."""


class ClockNotManual(ServiceError):
    """The clock was asked to move, and it moves by itself."""


# --- who is calling -----------------------------------------------------------------------------


class AuthenticationError(ServiceError):
    """The caller could not be identified."""


class MissingAuthenticationToken(AuthenticationError):
    pass


class IncompleteSignature(AuthenticationError):
    pass


class UnrecognizedClient(AuthenticationError):
    pass


class InvalidSignature(AuthenticationError):
    pass


class AccessDenied(ServiceError):
    """The caller is known and may not do this."""
