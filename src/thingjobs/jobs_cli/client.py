"""The server, as any client of the AWS API sees it: botocore's ``iot`` client with our manners."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # botocore's own
    HTTPClientError,
    ParamValidationError,
)
from cyclopts import Group, Parameter

from thingjobs.jobs_cli.exits import Failure, WrongUsage

DEFAULT_ENDPOINT = "http://127.0.0.1:8080"
DEFAULT_REGION = "us-east-1"
PAGE_SIZE = 250
"""Entries of a page, if nobody asks for fewer."""

THROTTLED_SECONDS = (0.25, 0.5, 1.0, 2.0)
"""Pauses before a throttled request is made again. After the last one the refusal is told."""

_CONNECTION = Group("Connection", sort_key=100)

Members = Mapping[str, Any]
"""Members of a shape of the service model, as botocore gives them."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where the server is and who asks; what no flag says is taken from the environment."""

    endpoint_url: Annotated[
        str | None,
        Parameter(
            group=_CONNECTION,
            help=f"HTTP API of the server; else AWS_ENDPOINT_URL, else {DEFAULT_ENDPOINT}.",
        ),
    ] = None
    region: Annotated[
        str | None, Parameter(group=_CONNECTION, help=f"Else AWS_REGION, else {DEFAULT_REGION}.")
    ] = None
    profile: Annotated[
        str | None,
        Parameter(
            group=_CONNECTION,
            help="Profile of the AWS CLI with the access key; else AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, else AWS_PROFILE, else none, which `thingjobs dev` takes too.",
        ),
    ] = None


class Refused(Failure):
    """The service's own refusal; ``code`` is its exception's name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Unreachable(Failure):
    """Nobody answers, or not as an AWS service would."""


class Service:
    """Errors of all methods: Refused; Unreachable; WrongUsage for parameters that the model rules out."""

    def __init__(self, connection: Connection) -> None:
        variables = os.environ
        self._anonymous = connection.profile is None and not (
            variables.keys() & {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"}
        )
        try:
            session = botocore.session.Session(profile=connection.profile)
            self._client = session.create_client(
                "iot",
                region_name=connection.region
                or variables.get("AWS_REGION")
                or variables.get("AWS_DEFAULT_REGION")
                or session.get_config_variable("region")
                or DEFAULT_REGION,
                endpoint_url=connection.endpoint_url or _endpoint_around(session),
                config=Config(retries={"total_max_attempts": 1}, user_agent_extra="thingjobs-jobs"),
                **({"aws_access_key_id": "dev", "aws_secret_access_key": "dev"} if self._anonymous else {}),
            )
        except (BotoCoreError, ValueError) as error:
            raise WrongUsage(f"{error}") from None

    def ask(self, operation: str, **params: Any) -> Members:
        """Call an operation, named as in Python (``describe_job``); parameters that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        pauses = iter(THROTTLED_SECONDS)
        while True:
            try:
                answer = dict(getattr(self._client, operation)(**given))
                del answer["ResponseMetadata"]
                return answer
            except ClientError as error:
                pause = next(pauses, None) if _is_throttled(error) else None
                if pause is None:
                    raise self._refusal(error) from None
                time.sleep(pause)
            except ParamValidationError as error:
                raise WrongUsage(str(error.kwargs["report"])) from None
            except (ConnectionError, HTTPClientError) as error:
                raise Unreachable(
                    f"Cannot reach {self._client.meta.endpoint_url}: {_cause(error)}. Start a server with"
                    ' `thingjobs dev`, or say where it is: eval "$(thingjobs env)", or --endpoint-url.'
                ) from None
            except BotoCoreError as error:
                raise Unreachable(f"{type(error).__name__}: {error}") from None

    def pages(
        self, operation: str, entries: str, *, limit: int | None = None, **params: Any
    ) -> Iterator[Sequence[Members]]:
        """The pages of a List operation, until all or ``limit`` entries are given; ``entries`` is their
        member in the answer."""
        left, token = limit, None
        while left is None or left > 0:
            # Only a smaller page is asked for: how large one may be is for the server to say.
            size = left if left is not None and left < PAGE_SIZE else None
            answer = self.ask(operation, maxResults=size, nextToken=token, **params)
            page: Sequence[Members] = answer.get(entries, [])[:left]
            yield page
            left = None if left is None else left - len(page)
            token = answer.get("nextToken")
            if token is None:
                return

    def _refusal(self, error: ClientError) -> Refused:
        told = error.response["Error"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        hint = ' No access key was given; eval "$(thingjobs env)" sets one.' if status == 403 else ""
        return Refused(told.get("Code", str(status)), told.get("Message", "") + hint * self._anonymous)


def _endpoint_around(session: botocore.session.Session) -> str:
    """The address that variables or the profile name. It is never left to botocore, whose default is AWS."""
    variables = os.environ
    return (
        variables.get("AWS_ENDPOINT_URL_IOT")
        or variables.get("AWS_ENDPOINT_URL")
        or session.get_scoped_config().get("endpoint_url")
        or DEFAULT_ENDPOINT
    )


def _is_throttled(error: ClientError) -> bool:
    return str(error.response["Error"].get("Code", "")).startswith(("Throttling", "TooManyRequests"))


def _cause(error: BotoCoreError) -> str:
    """What the system says, below the layers of libraries."""
    cause: BaseException = error.kwargs.get("error", error)
    while (inner := getattr(cause, "original_error", None) or cause.__cause__) is not None:
        cause = inner
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
