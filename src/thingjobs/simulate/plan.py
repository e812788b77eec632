"""What is to become of a job execution on a virtual device: a pure function of the seed and its name.

So a run can be repeated, whatever the order in which devices get their work, and a device that comes back
to a job, even in another process, goes on with the same fate.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from thingjobs.simulate.options import Options, Range


class Plan(NamedTuple):
    """``outcome`` is the final status. ``drop_after`` is the report after which the connection drops:
    0 is the start of the work, ``progress`` + 1 the final report, None never. So is ``reboot_after``, but
    nobody reboots between the final report and its answer."""

    outcome: str
    work_seconds: float
    drop_after: int | None
    offline_seconds: float
    reboot_after: int | None
    reboot_seconds: float


def plan(options: Options, thing_name: str, job_id: str, execution_number: int) -> Plan:
    random = Random(f"{options.seed}/{thing_name}/{job_id}/{execution_number}")  # noqa: S311  # no secret
    fate, drop = random.random(), random.random()
    if fate < options.rejection_rate:
        outcome = "REJECTED"
    elif fate < options.rejection_rate + options.failure_rate:
        outcome = "FAILED"
    else:
        outcome = "SUCCEEDED"
    mean = options.work_mean
    return Plan(
        outcome,
        _within(random, options.work_seconds) if mean is None else mean * random.expovariate(1),
        random.randint(0, options.progress + 1) if drop < options.disconnect_rate else None,
        _within(random, options.offline_seconds),
        random.randint(0, options.progress) if random.random() < options.reboot_rate else None,
        _within(random, options.reboot_seconds),
    )


def _within(random: Random, bounds: Range) -> float:
    return random.uniform(*bounds)
