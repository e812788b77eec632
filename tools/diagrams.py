"""Write the diagrams and the worked examples of docs/lifecycle.md from the rules that run.

    python tools/diagrams.py            writes docs/lifecycle.md
    python tools/diagrams.py --check    writes nothing; exits 1 and shows the difference if there is one

The page's prose is written by hand. Its blocks are what the functions in ``BLOCKS`` give: transitions are
read off the tables of ``domain``, or found by asking its functions in every status; examples are computed by
the functions they are about.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise

import pages
from pages import table
from thingjobs.domain import execution as executions
from thingjobs.domain import job as jobs
from thingjobs.domain import windows
from thingjobs.domain.abort import abort_comment, criterion_met, executed
from thingjobs.domain.consequence import JobStanding, consequence, is_complete
from thingjobs.domain.deadline import deadline_at, time_out
from thingjobs.domain.errors import ServiceError
from thingjobs.domain.execution import DISCARD_STEP_TIMER, Trigger
from thingjobs.domain.model import (
    AbortCriterion,
    Counters,
    ExecutionId,
    ExecutionStatus,
    ExponentialRate,
    FailureType,
    Job,
    JobConfig,
    JobExecution,
    JobFacts,
    JobKey,
    JobStatus,
    RetryCriterion,
    RolloutConfig,
    ScopeId,
    TargetSelection,
    ThingKey,
)
from thingjobs.domain.quotas import DEFAULT_QUOTAS
from thingjobs.domain.retry import FIRST_ATTEMPT, next_attempt
from thingjobs.domain.rollout_rate import Minute, plan_slice, rate_per_minute
from thingjobs.domain.schedule import (
    EndBehavior,
    MaintenanceWindow,
    Phase,
    SchedulingConfig,
    parse_schedule_time,
)
from thingjobs.domain.targeting import JobMoment, Newest, NoExecution, on_associate, on_join, on_leave
from thingjobs.wire.errors import answer_for

MINUTE = 60_000
NOON = parse_schedule_time("2026-03-04T12:00")

Edge = tuple[str, str, str]
"""From, to, and why."""


# --- jobs -----------------------------------------------------------------------------------------


def job_diagram() -> str:
    edges: list[Edge] = [
        ("[*]", windows.STATUS_IN[Phase.OPEN], "CreateJob"),
        ("[*]", windows.STATUS_IN[Phase.WAITING], "CreateJob with startTime"),
    ]
    for was, phase, why in phase_edges():
        statuses = windows.STATUS_IN[was], windows.STATUS_IN[phase]
        if statuses[0] is not statuses[1]:
            edges.append((*statuses, why))
    for status in JobStatus:
        job = a_job(status)
        if can_complete(status, ended=False):
            edges.append((status, JobStatus.COMPLETED, "nothing pending, nothing to hand out"))
        elif can_complete(status, ended=True):
            edges.append((status, JobStatus.COMPLETED, "ended, nothing pending"))
        if can_be_aborted(status):
            edges.append((status, JobStatus.CANCELED, "abort criterion met"))
        for name, act in ACTIONS.items():
            after = outcome(act, job)
            if isinstance(after, Job) and after.status is not status:
                edges.append((status, after.status, name))
        days = DEFAULT_QUOTAS.retention_days
        if jobs.is_retired(job, DEFAULT_QUOTAS, job.last_updated_at + days * jobs.DAY_MS):
            edges.append((status, "[*]", f"{days} days later"))
    edges.append((JobStatus.DELETION_IN_PROGRESS, "[*]", "all executions are deleted"))
    return diagram(edges)


def job_actions() -> str:
    """What each action makes of a job in each status, or with which HTTP status it is refused."""
    head = ["Action", *(f"`{status}`" for status in JobStatus)]
    rows = []
    for name, act in ACTIONS.items():
        cells = []
        for status in JobStatus:
            after = outcome(act, a_job(status))
            if isinstance(after, Job):
                cells.append("allowed" if after.status is status else f"`{after.status}`")
            else:
                form = answer_for(after).control
                cells.append(f"{form.status} {form.name}")
        rows.append([name, *cells])
    return table(head, rows)


def _associate(job: Job) -> Job:
    return jobs.associate(job, [], [], comment=None, now=NOON)[0]


def _update(job: Job) -> Job:
    jobs.check_updatable(job)
    return job


ACTIONS: Mapping[str, Callable[[Job], Job]] = {
    "UpdateJob": _update,
    "AssociateTargetsWithJob": _associate,
    "CancelJob": lambda job: jobs.cancel(job, force=False, reason_code=None, comment=None, now=NOON),
    "DeleteJob": lambda job: jobs.delete(job, force=False, deletions_in_progress=0, now=NOON),
    "DeleteJob with force": lambda job: jobs.delete(job, force=True, deletions_in_progress=0, now=NOON),
}


def outcome(act: Callable[[Job], Job], job: Job) -> Job | ServiceError:
    try:
        return act(job)
    except ServiceError as refusal:
        return refusal


def can_complete(status: JobStatus, *, ended: bool) -> bool:
    return is_complete(JobStanding(status, TargetSelection.SNAPSHOT, rolling_out=False, ended=ended), {})


def can_be_aborted(status: JobStatus) -> bool:
    counters = {ExecutionStatus.FAILED: 1, ExecutionStatus.QUEUED: 1}
    standing = JobStanding(status, TargetSelection.SNAPSHOT, rolling_out=False, ended=False)
    return (
        consequence(standing, counters, criteria=[an_abort("FAILED", 10_000, 1)], retry=None).aborts
        is not None
    )


# --- schedules ------------------------------------------------------------------------------------

_WEEKLY = MaintenanceWindow("cron(0 2 ? * SUN *)", 120)
_ONCE = MaintenanceWindow("cron(0 2 8 3 ? 2026)", 120)
_START, _END = "2026-03-04T12:00", "2026-03-16T12:00"
SCHEDULES = (
    SchedulingConfig(None, _END, None, ()),
    SchedulingConfig(_START, None, None, ()),
    SchedulingConfig(_START, _END, None, ()),
    SchedulingConfig(_START, _END, None, (_WEEKLY,)),
    SchedulingConfig(_START, "2026-03-15T03:00", None, (_WEEKLY,)),
    SchedulingConfig(_START, _END, None, (_ONCE,)),
    SchedulingConfig(_START, "2026-03-05T12:00", None, (_WEEKLY,)),
)
CREATED = parse_schedule_time("2026-03-04T10:00")
WHY: Mapping[tuple[Phase, Phase], str] = {
    (Phase.WAITING, Phase.OPEN): "startTime, or the first window opens",
    (Phase.WAITING, Phase.ENDED): "endTime",
    (Phase.OPEN, Phase.CLOSED): "a window closes",
    (Phase.CLOSED, Phase.OPEN): "the next window opens",
    (Phase.OPEN, Phase.SPENT): "the last window closes",
    (Phase.OPEN, Phase.ENDED): "endTime",
    (Phase.SPENT, Phase.ENDED): "endTime",
}


def phases_of(config: SchedulingConfig) -> Iterator[tuple[int, Phase]]:
    """The phases a job goes through from its creation on, and since when."""
    at: int | None = CREATED
    while at is not None:
        yield at, windows.phase_at(config, at)
        at = windows.next_boundary(config, at)


def phase_edges() -> Sequence[tuple[Phase, Phase, str]]:
    """The changes of phase that the schedules above lead to: each has a reason, and each reason is met."""
    met = set()
    for config in SCHEDULES:
        phases = [phase for _, phase in phases_of(config)]
        met |= {pair for pair in pairwise(phases) if pair[0] is not pair[1]}
    if met != set(WHY):
        raise ValueError(f"changes of phase and their reasons differ in {met ^ set(WHY)}")
    return [(*pair, why) for pair, why in WHY.items()]


def phase_diagram() -> str:
    edges: list[Edge] = [("[*]", Phase.WAITING, "startTime to come"), ("[*]", Phase.OPEN, "no startTime")]
    return diagram([*edges, *phase_edges()])


def phase_table() -> str:
    rows = [
        [
            f"`{phase}`",
            f"`{windows.STATUS_IN[phase]}`",
            "yes" if phase is Phase.OPEN else "no",
            "no" if phase in windows.HIDDEN else "yes",
        ]
        for phase in Phase
    ]
    return table(["Phase", "Status of the job", "Is handed out", "Devices see what is pending"], rows)


def window_timeline() -> str:
    config = SchedulingConfig(_START, _END, None, (_WEEKLY,))
    rows = [
        [day_and_time(at), f"`{phase}`", f"`{windows.STATUS_IN[phase]}`"] for at, phase in phases_of(config)
    ]
    return table(["From", "Phase", "Status"], rows)


def end_behaviors() -> str:
    behaviors: Sequence[EndBehavior | None] = (None, "STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL")
    rows = []
    for behavior in behaviors:
        sweep = windows.sweep_at_end(SchedulingConfig(None, _END, behavior, ()))
        becomes = []
        for status in (ExecutionStatus.QUEUED, ExecutionStatus.IN_PROGRESS):
            trigger = Trigger(sweep.value) if sweep is not None else None
            after = executions.next_status(status, trigger) if trigger is not None else None
            becomes.append("stays" if after is None else f"`{after}`")
        rows.append([f"`{behavior}`" if behavior else "none given", *becomes])
    return table(["`endBehavior`", "`QUEUED`", "`IN_PROGRESS`"], rows)


# --- executions -----------------------------------------------------------------------------------

BY: Mapping[Trigger, str] = {
    Trigger.START: "device: start-next, or update to IN_PROGRESS",
    Trigger.SUCCEED: "device",
    Trigger.FAIL: "device",
    Trigger.REJECT: "device",
    Trigger.CANCEL: "CancelJob, CancelJobExecution, abort, endBehavior CANCEL",
    Trigger.FORCE_CANCEL: "the same with force, endBehavior FORCE_CANCEL",
    Trigger.REMOVE: "the thing is deleted; while QUEUED also: it left its last target of a CONTINUOUS job",
    Trigger.TIME_OUT: "a timer ran out",
}


def execution_diagram() -> str:
    edges: list[Edge] = [("[*]", ExecutionStatus.QUEUED, "tick, join, retry")]
    for before, transitions in executions.TRANSITIONS.items():
        for after, triggers in _by_status(transitions):
            edges.append((before, after, ", ".join(words(trigger) for trigger in triggers)))
    return diagram(edges)


def _by_status(
    transitions: Mapping[Trigger, ExecutionStatus],
) -> Iterator[tuple[ExecutionStatus, list[Trigger]]]:
    for after in dict.fromkeys(transitions.values()):
        yield after, [trigger for trigger, status in transitions.items() if status is after]


def execution_transitions() -> str:
    rows = []
    for trigger in Trigger:
        cells = [words(trigger), BY[trigger]]
        for status in (ExecutionStatus.QUEUED, ExecutionStatus.IN_PROGRESS):
            before = an_execution(status)
            after = moved(before, trigger)
            if after is None:
                cells.append("–")
            else:
                cells.append(
                    f"`{after.status}`, version +{after.version - before.version}{_start(before, after)}"
                )
        rows.append(cells)
    return table(["What happens", "By", "to `QUEUED`", "to `IN_PROGRESS`"], rows)


def _start(before: JobExecution, after: JobExecution) -> str:
    return ", starts it" if before.started_at is None and after.started_at is not None else ""


def moved(execution: JobExecution, trigger: Trigger) -> JobExecution | None:
    """The execution after ``trigger``, by the function that the server calls; None if it is refused."""
    if executions.next_status(execution.status, trigger) is None:
        return None
    match trigger:
        case Trigger.CANCEL | Trigger.FORCE_CANCEL:
            return executions.cancel(execution, "j", force=trigger is Trigger.FORCE_CANCEL, now=NOON)
        case Trigger.REMOVE:
            return executions.remove(execution, now=NOON)
        case Trigger.TIME_OUT:
            return time_out(execution, now=NOON)
        case _:
            return report(execution, some_facts(), trigger)


# --- timers ---------------------------------------------------------------------------------------


def timers() -> str:
    """An in-progress time-out of 20 minutes, and step time-outs sent in minutes after noon."""
    facts = some_facts(in_progress_timeout_minutes=20)
    execution = an_execution(ExecutionStatus.QUEUED)
    rows = []
    for minute, step in ((0, None), (5, 7), (10, 5), (13, 9), (15, None), (16, DISCARD_STEP_TIMER)):
        execution = report(execution, facts, Trigger.START, at=NOON + minute * MINUTE, step=step)
        rows.append(
            [
                clock(NOON + minute * MINUTE),
                "starts"
                if minute == 0
                else "reports"
                if step is None
                else f"reports, `stepTimeoutInMinutes` {step}",
                clock(execution.in_progress_deadline_at),
                clock(execution.step_deadline_at),
                clock(deadline_at(execution)),
            ]
        )
    return table(["Time", "The device", "In-progress timer", "Step timer", "Times out at"], rows)


# --- retries --------------------------------------------------------------------------------------


def retries() -> str:
    criteria = (RetryCriterion("FAILED", 2), RetryCriterion("TIMED_OUT", 1))
    chain, rows = FIRST_ATTEMPT, []
    failed, timed_out = ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT
    for number, ended_as in enumerate((failed, timed_out, failed, timed_out), start=1):
        following = next_attempt(criteria, ended_as, chain)
        used = following or chain
        rows.append(
            [
                str(number),
                str(chain.retry_attempt),
                f"`{ended_as}`",
                f"{used.failed_retries} of 2",
                f"{used.timed_out_retries} of 1",
                f"number {number + 1}" if following else "none: the thing is done with the job",
            ]
        )
        if following:
            chain = following
    head = ["Execution", "`retryAttempt`", "Ends as", "Used after FAILED", "Used after TIMED_OUT", "Next"]
    return table(head, rows)


# --- rollout --------------------------------------------------------------------------------------

Rated = tuple[str, RolloutConfig | None, int]
RATES: Sequence[Rated] = (
    ("no configuration", None, 2_500),
    ("`maximumPerMinute` 100", RolloutConfig(100, None), 250),
    (
        "base 50, factor 2, after each 1,000 notified, maximum 1,000",
        RolloutConfig(1000, ExponentialRate(50, 20, 1000, None)),
        10_000,
    ),
    (
        "base 10, factor 1.5, after each 100 notified, maximum 60",
        RolloutConfig(60, ExponentialRate(10, 15, 100, None)),
        500,
    ),
)


def rates() -> str:
    """Ticks of the same rate share a row."""
    rows = []
    for name, config, things in RATES:
        ticks = list(_ticks(config, things))
        for rate, group in groupby(ticks, key=lambda tick: tick[1]):
            same = list(group)
            first, last = same[0][0], same[-1][0]
            numbers = str(first) if first == last else f"{first}–{last}"
            rows.append([f"{name}; {things:,} things", numbers, f"{rate:,}", f"{same[-1][2]:,}"])
    return table(["Rollout", "Ticks", "Rate", "Notified after the last"], _without_repetition(rows))


def _ticks(config: RolloutConfig | None, things: int) -> Iterator[tuple[int, int, int]]:
    """Number, rate, and things notified after it, if nobody has succeeded."""
    notified = number = 0
    while notified < things:
        rate = rate_per_minute(config, notified=notified, succeeded=0)
        notified = min(things, notified + rate)
        yield number, rate, notified
        number += 1


def _without_repetition(rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Rows without a first cell that is that of the row above."""
    above = None
    for first, *others in rows:
        yield ["" if first == above else first, *others]
        above = first


def slices() -> str:
    """How the batch of a minute is spread under the system's clock, second by second."""
    minute, rows = Minute(0, 200, 0), []
    at = 0
    while at < MINUTE:
        part = plan_slice(minute, at, spread=True)
        minute = minute._replace(handed_out=minute.handed_out + part.size)
        if at <= 3_000 or minute.handed_out == minute.rate:
            rows.append([f"{at // 1000}", str(part.size), str(minute.handed_out)])
        at = part.next_at
    return table(["Second", "Handed out", "In all"], rows)


# --- abort ----------------------------------------------------------------------------------------

Tried = tuple[int, FailureType, int, int, int, int, int]
ABORTS: Sequence[Tried] = (
    # minimum, type, threshold in hundredths of a percent, SUCCEEDED, FAILED, TIMED_OUT, REJECTED
    (5, "FAILED", 2000, 3, 1, 0, 0),
    (5, "FAILED", 2000, 4, 1, 0, 0),
    (5, "FAILED", 2001, 4, 1, 0, 0),
    (5, "FAILED", 2000, 3, 0, 1, 1),
    (5, "ALL", 4000, 3, 0, 1, 1),
    (3, "FAILED", 3333, 2, 1, 0, 0),
    (3, "FAILED", 3334, 2, 1, 0, 0),
    (1, "TIMED_OUT", 10_000, 0, 0, 1, 0),
    (1, "FAILED", 1, 9999, 1, 0, 0),
)


def aborts() -> str:
    rows = []
    for minimum, kind, threshold_bp, *counts in ABORTS:
        criterion, counters = an_abort(kind, threshold_bp, minimum), _finished(counts)
        met = criterion_met([criterion], counters)
        rows.append(
            [
                str(minimum),
                f"`{kind}`",
                f"{threshold_bp / 100:.2f}",
                *(str(count) for count in counts),
                str(executed(counters)),
                "**yes**" if met else "no",
            ]
        )
    head = ["Minimum", "Failure type", "Threshold %", "SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED"]
    return table([*head, "Executed", "Aborts"], rows)


def abort_sentence() -> str:
    minimum, kind, threshold_bp, *counts = ABORTS[1]
    return f"```text\n{abort_comment(an_abort(kind, threshold_bp, minimum), _finished(counts))}\n```\n"


def _finished(counts: Sequence[int]) -> Counters:
    statuses = (
        ExecutionStatus.SUCCEEDED,
        ExecutionStatus.FAILED,
        ExecutionStatus.TIMED_OUT,
        ExecutionStatus.REJECTED,
    )
    return dict(zip(statuses, counts, strict=True))


def an_abort(kind: FailureType, threshold_bp: int, minimum: int) -> AbortCriterion:
    return AbortCriterion(kind, threshold_bp, minimum)


# --- continuous jobs ------------------------------------------------------------------------------


def comings_and_goings() -> str:
    """What is done about a thing that joins or leaves, by its newest execution."""
    rows = []
    for name, newest in (
        ("none", NoExecution.NEVER_GIVEN),
        ("none left: all were deleted", NoExecution.ALL_DELETED),
        ("`QUEUED`", ExecutionStatus.QUEUED),
        ("`IN_PROGRESS`", ExecutionStatus.IN_PROGRESS),
        ("finished", ExecutionStatus.SUCCEEDED),
    ):
        rows.append(
            [
                name,
                words(on_join(_moment(Phase.OPEN), newest)),
                words(on_join(_moment(Phase.CLOSED), newest)),
                words(on_leave(_moment(Phase.OPEN), newest, still_targeted=False)),
                words(on_leave(_moment(Phase.OPEN), newest, still_targeted=True)),
                _associated(newest),
            ]
        )
    head = [
        "Newest execution",
        "Joins",
        "Joins between windows",
        "Leaves its last target",
        "Leaves one of several",
    ]
    return table([*head, "Its group becomes a target"], rows)


def _associated(newest: Newest) -> str:
    before, new = (
        words(on_associate(_moment(Phase.OPEN), newest, targeted_before=targeted))
        for targeted in (True, False)
    )
    return new if before == new else f"{new}; {before} if targeted already"


def _moment(phase: Phase) -> JobMoment:
    return JobMoment(windows.STATUS_IN[phase], TargetSelection.CONTINUOUS, phase)


# --- values ---------------------------------------------------------------------------------------


def a_job(status: JobStatus) -> Job:
    return Job(
        key=JobKey(1),
        scope=ScopeId(1),
        job_id="j",
        status=status,
        target_selection=TargetSelection.CONTINUOUS,
        description=None,
        namespace_id=None,
        config=JobConfig(),
        destination_package_versions=None,
        force_canceled=False,
        reason_code=None,
        comment=None,
        created_at=NOON,
        last_updated_at=NOON,
        completed_at=None,
        sweep=None,
    )


def an_execution(status: ExecutionStatus) -> JobExecution:
    started_at = None if status is ExecutionStatus.QUEUED else NOON
    return JobExecution(
        id=ExecutionId(1),
        job_key=JobKey(1),
        thing_key=ThingKey(1),
        thing_name="t",
        execution_number=1,
        status=status,
        version=1,
        retry_attempt=0,
        failed_retries=0,
        force_canceled=False,
        status_details=None,
        queued_at=NOON,
        started_at=started_at,
        last_updated_at=NOON,
        in_progress_deadline_at=None,
        step_deadline_at=None,
    )


def some_facts(*, in_progress_timeout_minutes: int | None = None) -> JobFacts:
    return JobFacts(
        job_key=JobKey(1),
        scope=ScopeId(1),
        job_id="j",
        status=JobStatus.IN_PROGRESS,
        target_selection=TargetSelection.SNAPSHOT,
        namespace_id=None,
        in_progress_timeout_minutes=in_progress_timeout_minutes,
        sweep=None,
    )


def report(
    execution: JobExecution, facts: JobFacts, trigger: Trigger, *, at: int = NOON, step: int | None = None
) -> JobExecution:
    return executions.report(
        execution,
        facts,
        trigger,
        status_details=None,
        expected_version=None,
        step_timeout_minutes=step,
        now=at,
    )


# --- how it looks ---------------------------------------------------------------------------------


def diagram(edges: Iterable[Edge]) -> str:
    """One arrow for each pair of states, with all its reasons."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for before, after, why in edges:
        reasons.setdefault((str(before), str(after)), []).append(why)
    arrows = [f"    {a} --> {b}: {' · '.join(dict.fromkeys(why))}" for (a, b), why in reasons.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, "```", ""])


def words(name: str) -> str:
    return name.replace("_", " ").lower()


def clock(instant: int | None) -> str:
    if instant is None:
        return "–"
    return day_and_time(instant)[-5:]


def day_and_time(instant: int) -> str:
    days, milliseconds = divmod(instant - parse_schedule_time("2026-03-01T00:00"), 86_400_000)
    hours, minutes = divmod(milliseconds // MINUTE, 60)
    weekday = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")[days % 7]
    return f"{weekday} {days + 1} March {hours:02d}:{minutes:02d}"


# --- the command ----------------------------------------------------------------------------------

BLOCKS = (
    job_diagram,
    job_actions,
    phase_diagram,
    phase_table,
    window_timeline,
    end_behaviors,
    execution_diagram,
    execution_transitions,
    timers,
    retries,
    rates,
    slices,
    aborts,
    abort_sentence,
    comings_and_goings,
)

if __name__ == "__main__":
    sys.exit(pages.main("lifecycle.md", BLOCKS))
