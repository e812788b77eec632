"""What ``jobs create`` is told, and the members of CreateJob that it means. A pure function of both."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from cyclopts import Group, Parameter, validators

from thingjobs.jobs_cli.exits import WrongUsage

_WHAT = Group("What and for whom", sort_key=1)
_HOW = Group("How it goes out", sort_key=2)
_ELSE = Group("More", sort_key=3)

_AT_LEAST_ONE = validators.Number(gte=1)
_ABORT = re.compile(r"(FAILED|REJECTED|TIMED_OUT|ALL):(\d+(?:\.\d+)?)%?:(\d+)", re.IGNORECASE)
_RETRY = re.compile(r"(FAILED|TIMED_OUT|ALL):(\d+)", re.IGNORECASE)

DOCUMENT_MEMBERS = ("document", "documentSource", "jobTemplateArn")
"""Where a job's document comes from; a flag for one of them wins over all that the file says."""


def _several(group: Group, help: str) -> Parameter:
    return Parameter(group=group, help=help, negative="", consume_multiple=True, show_default=False)


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """The flags, by what they are about."""

    target: Annotated[
        tuple[str, ...], _several(_WHAT, "A thing's NAME, group:NAME for a thing group, or an ARN; several.")
    ] = ()
    document: Annotated[str | None, Parameter(group=_WHAT, help="The job document, JSON.")] = None
    document_file: Annotated[
        Path | None,
        Parameter(
            group=_WHAT, help="Instead: a file that holds it; - is standard input.", allow_leading_hyphen=True
        ),
    ] = None
    document_source: Annotated[
        str | None, Parameter(group=_WHAT, help="Instead: the URL that the server fetches it from.")
    ] = None
    template: Annotated[
        str | None,
        Parameter(
            group=_WHAT,
            help="Instead: a job template of the account, a managed one (AWS-NAME or AWS-NAME:VERSION), "
            "or an ARN.",
        ),
    ] = None
    parameter: Annotated[
        tuple[str, ...],
        _several(_WHAT, "KEY=VALUE for a parameter of a managed template's document; several."),
    ] = ()
    description: Annotated[str | None, Parameter(group=_WHAT, help="What the job is for.")] = None
    continuous: Annotated[
        bool,
        Parameter(group=_HOW, help="Things that join a targeted group later get the job too.", negative=""),
    ] = False
    rate: Annotated[
        int | None, Parameter(group=_HOW, help="At most so many things per minute.", validator=_AT_LEAST_ONE)
    ] = None
    timeout: Annotated[
        int | None,
        Parameter(group=_HOW, help="Minutes that a thing may work on it.", validator=_AT_LEAST_ONE),
    ] = None
    abort: Annotated[
        tuple[str, ...],
        _several(
            _HOW,
            "FAILED:20%:10 cancels the job once 20 % of at least 10 finished things failed; "
            "or REJECTED, TIMED_OUT, ALL; several.",
        ),
    ] = ()
    retry: Annotated[
        tuple[str, ...],
        _several(
            _HOW, "FAILED:3 tries again three times on a thing that failed; or TIMED_OUT, ALL; several."
        ),
    ] = ()
    start_time: Annotated[str | None, Parameter(group=_HOW, help="Begin then, UTC: 2026-07-01T22:00.")] = None
    end_time: Annotated[str | None, Parameter(group=_HOW, help="End then, UTC.")] = None
    end_behavior: Annotated[
        Literal["STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL"] | None,
        Parameter(group=_HOW, help="What happens at the end time to things that are not done."),
    ] = None
    tag: Annotated[tuple[str, ...], _several(_ELSE, "KEY=VALUE, a tag of the job; several.")] = ()
    presign_role: Annotated[
        str | None, Parameter(group=_ELSE, help="ARN of the role that signs URLs in the document.")
    ] = None
    presign_seconds: Annotated[
        int | None,
        Parameter(group=_ELSE, help="How long such a URL is valid.", validator=_AT_LEAST_ONE),
    ] = None
    cli_input_json: Annotated[
        Path | None,
        Parameter(
            group=_ELSE,
            help="JSON file with members of CreateJob, as for the AWS CLI; - is standard input. Flags win.",
            allow_leading_hyphen=True,
        ),
    ] = None


class Resolvers(NamedTuple):
    """What needs more than the flags: ARNs of the server, and the text of a file."""

    target_arn: Callable[[str], str]
    template_arn: Callable[[str], str]
    text: Callable[[Path], str]


def members(job_id: str | None, new: NewJob, given: Mapping[str, Any], resolve: Resolvers) -> dict[str, Any]:
    """The members of CreateJob: ``given`` are those of a file, and a flag replaces what it is about.

    Errors: WrongUsage, before anything is resolved; what the resolvers raise.
    """
    sources = [new.document, new.document_file, new.document_source, new.template]
    if sum(source is not None for source in sources) > 1:
        raise WrongUsage(
            "Give one of --document, --document-file, --document-source and --template, not several."
        )
    job: dict[str, Any] = dict(given)
    whole: Sequence[tuple[str, object]] = (
        ("jobId", job_id),
        ("description", new.description),
        ("targetSelection", "CONTINUOUS" if new.continuous else None),
        ("documentParameters", _pairs("--parameter", new.parameter)),
        ("tags", [{"Key": key, "Value": value} for key, value in _pairs("--tag", new.tag).items()]),
        ("abortConfig", _criteria([_abort(text) for text in new.abort])),
        ("jobExecutionsRetryConfig", _criteria([_retry(text) for text in new.retry])),
    )
    job.update((name, value) for name, value in whole if value)
    within: Sequence[tuple[str, str, object]] = (
        ("jobExecutionsRolloutConfig", "maximumPerMinute", new.rate),
        ("timeoutConfig", "inProgressTimeoutInMinutes", new.timeout),
        ("presignedUrlConfig", "roleArn", new.presign_role),
        ("presignedUrlConfig", "expiresInSec", new.presign_seconds),
        ("schedulingConfig", "startTime", new.start_time),
        ("schedulingConfig", "endTime", new.end_time),
        ("schedulingConfig", "endBehavior", new.end_behavior),
    )
    for name, member, value in within:
        if value is not None:
            around = job.get(name) or {}
            if not isinstance(around, dict):
                raise WrongUsage(f"{name} in --cli-input-json must be an object.")
            job[name] = {**around, member: value}
    if not job.get("jobId"):
        raise WrongUsage("Say the id of the job: thingjobs jobs create JOB_ID …")
    if not (new.target or job.get("targets")):
        raise WrongUsage("Say for whom the job is: --target NAME, --target group:NAME or an ARN.")
    if any(source is not None for source in sources):
        for name in DOCUMENT_MEMBERS:
            job.pop(name, None)
        job.update(_document(new, resolve))
    if new.target:
        job["targets"] = [resolve.target_arn(target) for target in new.target]
    return job


def _document(new: NewJob, resolve: Resolvers) -> dict[str, str]:
    if new.document_file is not None:
        return {"document": resolve.text(new.document_file)}
    if new.document_source is not None:
        return {"documentSource": new.document_source}
    if new.template is not None:
        return {"jobTemplateArn": resolve.template_arn(new.template)}
    return {"document": new.document or ""}


def _pairs(flag: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise WrongUsage(f"{flag} {text}: say KEY=VALUE.")
        pairs[key] = value
    return pairs


def _criteria(criteria: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    return {"criteriaList": list(criteria)} if criteria else None


def _abort(text: str) -> dict[str, Any]:
    match = _ABORT.fullmatch(text)
    if match is None:
        raise WrongUsage(
            f"--abort {text}: say FAILED:20%:10, where FAILED can also be REJECTED, TIMED_OUT or ALL, 20% is"
            " the share of failures and 10 the number of things that finished before it counts."
        )
    return {
        "failureType": match[1].upper(),
        "action": "CANCEL",
        "thresholdPercentage": float(match[2]),
        "minNumberOfExecutedThings": int(match[3]),
    }


def _retry(text: str) -> dict[str, Any]:
    match = _RETRY.fullmatch(text)
    if match is None:
        raise WrongUsage(
            f"--retry {text}: say FAILED:3, where FAILED can also be TIMED_OUT or ALL, and 3 is the number of"
            " retries."
        )
    return {"failureType": match[1].upper(), "numberOfRetries": int(match[2])}
