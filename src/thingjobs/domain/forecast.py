"""How a job would go, minute by minute, by the same rules that run it.

A forecast answers "how long will this take", "how many things have a bad release before it is stopped".
It supposes that devices are there and start at once, that a given share of executions succeeds and another
fails after a given time, evenly mixed, and that the rest never report. Minutes are those in which the job
may be handed out: its schedule is left aside.

Source: ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from thingjobs.domain.abort import abort_comment, criterion_met
from thingjobs.domain.consequence import JobStanding, consequence
from thingjobs.domain.model import (
    AbortCriterion,
    ExecutionStatus,
    JobConfig,
    JobStatus,
    TargetSelection,
)
from thingjobs.domain.quotas import DEFAULT_QUOTAS
from thingjobs.domain.retry import FIRST_ATTEMPT, Chain, next_attempt
from thingjobs.domain.rollout_rate import rate_per_minute

DEFAULT_MAX_MINUTES = 7 * 24 * 60
_WHOLE_BP = 10_000
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is supposed of the things. Shares are in hundredths of a percent of all executions.

    Errors: ValueError for what cannot be.
    """

    things: int
    success_bp: int = _WHOLE_BP
    failure_bp: int = 0
    success_seconds: int = _SECONDS
    failure_seconds: int = _SECONDS

    def __post_init__(self) -> None:
        if min(self.things, self.success_bp, self.failure_bp, self.success_seconds, self.failure_seconds) < 0:
            raise ValueError("an assumption cannot be negative")
        if self.success_bp + self.failure_bp > _WHOLE_BP:
            raise ValueError("success and failure together cannot be more than all")


class MinuteRow(NamedTuple):
    """How things are right after tick ``minute``. ``rate`` is what the tick allowed; counts are totals."""

    minute: int
    rate: int
    notified: int
    in_flight: int
    succeeded: int
    failed: int
    timed_out: int
    aborted: bool


class Outcome(StrEnum):
    COMPLETED = "COMPLETED"
    ABORTED = "ABORTED"
    WAITING = "WAITING"
    """All things have it, and those that never report keep the job open: it has no time-out."""
    CUT_OFF = "CUT_OFF"
    """It goes on behind the last row."""


class Abort(NamedTuple):
    minute: int
    criterion: AbortCriterion
    comment: str


@dataclass(frozen=True, slots=True)
class Forecast:
    rows: tuple[MinuteRow, ...]
    outcome: Outcome
    abort: Abort | None


def forecast(
    config: JobConfig,
    assumptions: Assumptions,
    *,
    max_minutes: int = DEFAULT_MAX_MINUTES,
    per_minute: int = DEFAULT_QUOTAS.rollout_per_minute,
) -> Forecast:
    """The course of a SNAPSHOT job with this configuration, from tick 0 to the minute when nothing is left.

    Reports are counted before the tick at or behind them; those of one minute come evenly mixed, and the
    abort criteria are looked at after each. ``per_minute`` is the rate of a job that has none.

    Shapes: at least one row and at most ``max_minutes`` (≥ 1), one for each minute from 0 on.
    """
    fleet = _Fleet(config, assumptions, per_minute)
    rows: list[MinuteRow] = []
    for minute in range(max_minutes):
        fleet.report(minute)
        rows.append(fleet.tick(minute))
        if fleet.is_at_rest:
            return Forecast(tuple(rows), fleet.outcome, fleet.abort)
    return Forecast(tuple(rows), Outcome.CUT_OFF, fleet.abort)


class _Ending(NamedTuple):
    """How some executions end, and where they stand in their chains."""

    status: ExecutionStatus
    chain: Chain


class _Fleet:
    """The things while the forecast runs."""

    def __init__(self, config: JobConfig, assumptions: Assumptions, per_minute: int) -> None:
        self._config = config
        self._assumptions = assumptions
        self._per_minute = per_minute
        self._counters = dict.fromkeys(ExecutionStatus, 0)
        self._notified = 0
        self._started = 0
        self._endings: defaultdict[int, list[tuple[_Ending, int]]] = defaultdict(list)
        """By minute: how executions end then, and how many."""
        self.abort: Abort | None = None

    @property
    def is_at_rest(self) -> bool:
        return not self._is_rolling_out and not self._endings

    @property
    def outcome(self) -> Outcome:
        if self.abort is not None:
            return Outcome.ABORTED
        return Outcome.WAITING if self._counters[ExecutionStatus.IN_PROGRESS] else Outcome.COMPLETED

    @property
    def _is_rolling_out(self) -> bool:
        return self.abort is None and self._notified < self._assumptions.things

    # --- what happens in a minute -----------------------------------------------------------------

    def report(self, minute: int) -> None:
        """Count the executions that end by ``minute``, and start the retries they get."""
        endings = self._endings.pop(minute, [])
        retries: defaultdict[Chain, int] = defaultdict(int)
        # Only where a criterion might be met does it matter which report came first.
        steps = _mixed(endings) if self._may_abort(endings) else endings
        for ending, count in steps:
            self._counters[ExecutionStatus.IN_PROGRESS] -= count
            self._counters[ending.status] += count
            retry = self._consequence(ending, minute)
            if retry is not None:
                retries[retry] += count
                self._counters[ExecutionStatus.QUEUED] += count
        for chain, count in retries.items():
            self._counters[ExecutionStatus.QUEUED] -= count
            self._start(chain, count, minute)

    def tick(self, minute: int) -> MinuteRow:
        rate = 0
        if self._is_rolling_out:
            rate = rate_per_minute(
                self._config.rollout,
                notified=self._notified,
                succeeded=self._counters[ExecutionStatus.SUCCEEDED],
                default=self._per_minute,
            )
            batch = min(rate, self._assumptions.things - self._notified)
            self._notified += batch
            self._start(FIRST_ATTEMPT, batch, minute)
        return MinuteRow(
            minute,
            rate,
            self._notified,
            self._counters[ExecutionStatus.IN_PROGRESS],
            self._counters[ExecutionStatus.SUCCEEDED],
            self._counters[ExecutionStatus.FAILED],
            self._counters[ExecutionStatus.TIMED_OUT],
            self.abort is not None,
        )

    def _consequence(self, ending: _Ending, minute: int) -> Chain | None:
        """The retry that follows, or the abort."""
        follows = consequence(
            JobStanding(
                JobStatus.IN_PROGRESS if self.abort is None else JobStatus.CANCELED,
                TargetSelection.SNAPSHOT,
                rolling_out=self._is_rolling_out,
                ended=False,
            ),
            self._counters,
            criteria=self._config.abort,
            retry=next_attempt(self._config.retry, ending.status, ending.chain),
        )
        if follows.aborts is not None:
            self.abort = Abort(minute, follows.aborts, abort_comment(follows.aborts, self._counters))
        return follows.retry

    def _may_abort(self, endings: Iterable[tuple[_Ending, int]]) -> bool:
        """False only if no order of ``endings`` can meet a criterion: not even all failures first."""
        if self.abort is not None or not self._config.abort:
            return False
        worst = dict(self._counters)
        for ending, count in endings:
            if ending.status is not ExecutionStatus.SUCCEEDED:
                worst[ending.status] += count
        eager = [replace(criterion, min_number_of_executed_things=1) for criterion in self._config.abort]
        return criterion_met(eager, worst) is not None

    # --- how executions will end ------------------------------------------------------------------

    def _start(self, chain: Chain, count: int, minute: int) -> None:
        succeeded_before, failed_before = self._shares()
        self._started += count
        self._counters[ExecutionStatus.IN_PROGRESS] += count
        succeeded, failed = self._shares()
        succeeded -= succeeded_before
        failed -= failed_before
        timeout = self._config.in_progress_timeout_minutes
        given = self._assumptions
        for status, ends, seconds in (
            (ExecutionStatus.SUCCEEDED, succeeded, given.success_seconds),
            (ExecutionStatus.FAILED, failed, given.failure_seconds),
            (ExecutionStatus.TIMED_OUT, count - succeeded - failed, None),
        ):
            if timeout is not None and (seconds is None or seconds >= timeout * _SECONDS):
                status, seconds = ExecutionStatus.TIMED_OUT, timeout * _SECONDS
            if ends and seconds is not None:
                # Whole minutes: a report counts at the next tick, at the earliest the one after its start.
                at = minute + max(1, -(-seconds // _SECONDS))
                self._endings[at].append((_Ending(status, chain), ends))

    def _shares(self) -> tuple[int, int]:
        """Of all executions started so far, how many succeed and how many fail. Neither ever falls."""
        answering_bp = self._assumptions.success_bp + self._assumptions.failure_bp
        if answering_bp == 0:
            return 0, 0
        answering = self._started * answering_bp // _WHOLE_BP
        failing = answering * self._assumptions.failure_bp // answering_bp
        return answering - failing, failing


def _mixed(endings: Sequence[tuple[_Ending, int]]) -> list[tuple[_Ending, int]]:
    """One by one, each kind spread evenly over the whole."""
    total = sum(count for _, count in endings)
    places = [
        ((2 * i + 1) * total // count, order, ending)
        for order, (ending, count) in enumerate(endings)
        for i in range(count)
    ]
    return [(ending, 1) for _, _, ending in sorted(places)]
