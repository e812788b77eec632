"""What the members of a job mean, in words. Pure; all times are UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from thingjobs.domain.model import ExecutionStatus, JobStatus, TargetSelection
from thingjobs.jobs_cli.client import Members
from thingjobs.jobs_cli.names import short_target
from thingjobs.jobs_cli.progress import ORDER, Counts, finished, percent, processing, total

MOST_TARGETS = 10

SELECTION: Mapping[str, str] = {
    TargetSelection.SNAPSHOT: "snapshot: things that were in the targets when it was created",
    TargetSelection.CONTINUOUS: "continuous: things that join a targeted group get it too",
}
END_BEHAVIOR: Mapping[str, str] = {
    "STOP_ROLLOUT": "then no further thing gets it",
    "CANCEL": "then it is canceled",
    "FORCE_CANCEL": "then it is canceled, also where it is in progress",
}
_INDENT = "  "
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}:,]|[^][{}:,"\s]+')
_UNITS = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def instant(at: datetime) -> str:
    """``2026-07-01 22:00:05``"""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def minute(at: datetime) -> str:
    """``2026-07-01 22:00``, where room is short."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def duration(span: timedelta) -> str:
    """Its two largest units: ``4 min 3 s``, ``2 days 5 h``; below a second, ``0.3 s``."""
    seconds = max(0.0, span.total_seconds())
    if seconds < 1:
        return f"{seconds:.1f} s"
    left = int(seconds)
    parts: list[tuple[int, str]] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{n} {'days' if unit == 'day' and n != 1 else unit}" for n, unit in parts[:2] if n)


def status(name: str) -> str:
    """``TIMED_OUT`` as people read it in a sentence."""
    return name.lower().replace("_", " ")


def tally(counted: Counts) -> str:
    """``3 succeeded, 1 failed``; what is zero is not said."""
    said = ", ".join(f"{counted[each]:,} {status(each)}" for each in ORDER if counted[each])
    return said or "no executions"


def share(counted: Counts) -> str:
    if not total(counted):
        return "no executions yet"
    return f"{percent(counted)}%, {finished(counted):,} of {total(counted):,} executions finished"


def stage(job: Members) -> str:
    """What is going on, beside the status: ``rolling out, 2 of 5 targets to go``; often nothing."""
    going = processing(job)
    if job["status"] == JobStatus.IN_PROGRESS and going:
        return f"rolling out, {going:,} of {len(job['targets']):,} targets to go"
    if job.get("isConcurrent") and job["status"] == JobStatus.CANCELED:
        return "its executions are being canceled"
    if job.get("forceCanceled"):
        return "by force"
    return ""


def course(job: Members, counted: Counts) -> str:
    """A job's state in one line."""
    going = stage(job)
    return f"{job['status']}{f' ({going})' if going else ''} {share(counted)}: {tally(counted)}"


def configuration(job: Members, document_source: str | None) -> Iterator[tuple[str, str]]:
    """Label and words for all that was ordered, in the order in which people ask."""
    yield "targets", _targets(job.get("targets", ()))
    yield "selection", SELECTION.get(job["targetSelection"], job["targetSelection"])
    for label, member, say in (
        ("rollout", "jobExecutionsRolloutConfig", _rollout),
        ("time-out", "timeoutConfig", _timeout),
        ("retry", "jobExecutionsRetryConfig", _retries),
        ("abort", "abortConfig", _aborts),
        ("schedule", "schedulingConfig", _schedule),
        ("next windows", "scheduledJobRollouts", _windows_ahead),
        ("signed URLs", "presignedUrlConfig", _presigned),
        ("template", "jobTemplateArn", str),
        ("parameters", "documentParameters", pairs),
        ("packages", "destinationPackageVersions", "\n".join),
        ("namespace", "namespaceId", str),
    ):
        if job.get(member):
            yield label, say(job[member])
    if document_source:
        yield "document", document_source


def history(job: Members) -> Iterator[tuple[str, str]]:
    """When things happened to the job, and why it ended."""
    created, completed = job["createdAt"], job.get("completedAt")
    yield "created", f"{instant(created)} UTC"
    yield "updated", f"{instant(job['lastUpdatedAt'])} UTC"
    if completed is not None:
        yield "completed", f"{instant(completed)} UTC, after {duration(completed - created)}"
    why = ": ".join(job[name] for name in ("reasonCode", "comment") if job.get(name))
    if why:
        yield "reason", why


def indented(document: str) -> str:
    """JSON with a member per line. Nothing but space is changed: ``2.50`` stays what it is."""
    lines, depth = [""], 0
    for part in _PART.findall(document):
        if part in "}]":
            depth -= 1
            if lines[-1].strip():
                lines.append(_INDENT * depth)
            else:  # nothing is in it
                lines.pop()
        lines[-1] += ": " if part == ":" else part
        if part in "{[":
            depth += 1
        if part in "{[,":
            lines.append(_INDENT * depth)
    return "\n".join(lines)


def pairs(of: Mapping[str, str]) -> str:
    return "\n".join(f"{key} = {value}" for key, value in of.items())


def took(execution: Members) -> str:
    """From its start to its last change, once it is finished."""
    unfinished = execution["status"] in (ExecutionStatus.QUEUED, ExecutionStatus.IN_PROGRESS)
    if unfinished or "startedAt" not in execution:
        return ""
    return duration(execution["lastUpdatedAt"] - execution["startedAt"])


def _targets(arns: Sequence[str]) -> str:
    shown = "\n".join(short_target(arn) for arn in arns[:MOST_TARGETS])
    more = len(arns) - MOST_TARGETS
    return f"{shown}\nand {more:,} more" if more > 0 else shown


def _rollout(config: Members) -> str:
    most = config.get("maximumPerMinute")
    growing = config.get("exponentialRate")
    if growing is None:
        return f"at most {most:,} things per minute"
    criteria = growing["rateIncreaseCriteria"]
    notified, succeeded = criteria.get("numberOfNotifiedThings"), criteria.get("numberOfSucceededThings")
    each = f"{notified:,} notified" if notified else f"{succeeded:,} succeeded"
    up_to = f", up to {most:,}" if most else ""
    return (
        f"{growing['baseRatePerMinute']:,} things per minute, {growing['incrementFactor']:g} times as many"
        f" after every {each}{up_to}"
    )


def _timeout(config: Members) -> str:
    return f"{duration(timedelta(minutes=config['inProgressTimeoutInMinutes']))} after a thing begins"


def _retries(config: Members) -> str:
    return "\n".join(
        f"{_times(each['numberOfRetries'])} if {_failure(each)}" for each in config["criteriaList"]
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _aborts(config: Members) -> str:
    return "\n".join(
        f"once {each['thresholdPercentage']:g}% of at least {each['minNumberOfExecutedThings']:,}"
        f" {_failure(each)}"
        for each in config["criteriaList"]
    )


def _failure(criterion: Members) -> str:
    kind = criterion["failureType"]
    return "failed, were rejected or timed out" if kind == "ALL" else status(kind)


def _schedule(config: Members) -> str:
    lines = []
    if start := config.get("startTime"):
        lines.append(f"starts {start}")
    if end := config.get("endTime"):
        behavior = config.get("endBehavior", "STOP_ROLLOUT")
        lines.append(f"ends {end}, {END_BEHAVIOR.get(behavior, behavior)}")
    for window in config.get("maintenanceWindows") or ():
        lines.append(
            f"window {window['startTime']} for {duration(timedelta(minutes=window['durationInMinutes']))}"
        )
    return "\n".join(lines)


def _windows_ahead(rollouts: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(rollout["startTime"] for rollout in rollouts)


def _presigned(config: Members) -> str:
    seconds, role = config.get("expiresInSec"), config.get("roleArn")
    valid = f"valid for {duration(timedelta(seconds=seconds))}" if seconds else ""
    return ", ".join(filter(None, (role and f"by {role}", valid)))
