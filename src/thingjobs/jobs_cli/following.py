"""A job as it goes on: asked for again and again, told whenever it is another."""

from __future__ import annotations

import time
from collections.abc import Iterator

from thingjobs.jobs_cli.client import Members, Refused, Service, Unreachable
from thingjobs.jobs_cli.exits import Exit, Failure
from thingjobs.jobs_cli.progress import verdict

NOT_FOUND = "ResourceNotFoundException"
PATIENCE_SECONDS = 60.0
"""With a server that answered before and does not now."""


class JobDeleted(Failure):
    exit = Exit.DELETED


class NotOver(Failure):
    exit = Exit.TIMED_OUT


def changes(
    service: Service, job_id: str, *, interval: float, timeout: float | None = None
) -> Iterator[Members]:
    """DescribeJob's answers that differ from the one before, up to the one that shows the end.

    Units:  seconds between two questions, and until it is given up.
    Errors: JobDeleted; NotOver; those of Service.
    """
    give_up_at = None if timeout is None else time.monotonic() + timeout
    last: Members | None = None
    answered_at = time.monotonic()
    while True:
        try:
            answer = service.ask("describe_job", jobId=job_id)
            answered_at = time.monotonic()
        except Unreachable:
            if last is None or time.monotonic() - answered_at > PATIENCE_SECONDS:
                raise
            answer = last  # it may be started anew
        except Refused as refusal:
            if last is not None and refusal.code == NOT_FOUND:
                raise JobDeleted(f"Job {job_id} was deleted.") from None
            raise
        if answer != last:
            yield answer
            last = answer
        if verdict(answer["job"]) is not None:
            return
        left = None if give_up_at is None else give_up_at - time.monotonic()
        if left is not None and left <= 0:
            raise NotOver(f"Job {job_id} is still {answer['job']['status']} after {timeout:g} s.")
        time.sleep(interval if left is None else min(interval, left))
