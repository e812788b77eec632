"""How many things a job may be handed to in a minute, and when inside that minute.

A rollout ticks at whole minutes from its start. The rate is decided at the tick, from the counts at that
instant, and holds until the next; quota that is not used is lost.

    rate = min(M, floor(B · f^s))     s = floor(c / N)

with M the maximum, B the base rate, f the increment factor, N the threshold, and c the things notified or
succeeded so far. Source: Jobs developer guide, "job rollout configurations", whose table steps at N, 2N,
3N; batches per minute, rounding down and no carry-over are inferred.
"""

from __future__ import annotations

from typing import NamedTuple

from thingjobs.domain.model import ExponentialRate, RolloutConfig
from thingjobs.domain.quotas import DEFAULT_QUOTAS

TICK = 60_000

AT_ONCE = 50
"""Things that go out with the tick itself, also where the rest of the minute's batch is spread."""

SLICE = 1_000
_LAST_SLICE = TICK // SLICE - 1

_STEPS_TO_ANY_MAXIMUM = 226
"""With the smallest factor, 1.1, and the largest maximum, 2³¹ - 1: more steps change nothing."""


class Minute(NamedTuple):
    """The minute a rollout is in: when it began, what it allows, and how much of that is handed out."""

    tick_at: int
    rate: int
    handed_out: int


class Slice(NamedTuple):
    """``size`` things are due now; once they are handed out, more are due at ``next_at``."""

    size: int
    next_at: int


def rate_per_minute(
    config: RolloutConfig | None,
    *,
    notified: int,
    succeeded: int,
    default: int = DEFAULT_QUOTAS.rollout_per_minute,
) -> int:
    """Things that may be notified in the minute that begins with these counts; ``default`` without a rate.

    ``notified`` counts first executions that the rollout made, not retries and not things that joined
    later; ``succeeded`` counts SUCCEEDED executions.

    Shapes: the counts ≥ 0; the result is in 1..maximum and never falls as a count rises.
    Units:  things per minute.
    Errors: none; bad rates are refused when the job is created.
    Source: Jobs developer guide, "job rollout configurations"; no configuration means the documented
            maximum.
    """
    if config is None:
        return default
    rate = config.exponential_rate
    if rate is None:
        return config.maximum_per_minute
    steps = min(_steps(rate, notified, succeeded), _STEPS_TO_ANY_MAXIMUM)
    # Both powers are whole: the fraction is exact and rounded once.
    grown: int = rate.base_rate_per_minute * rate.increment_factor_tenths**steps // 10**steps
    return min(config.maximum_per_minute, grown)


def _steps(rate: ExponentialRate, notified: int, succeeded: int) -> int:
    if rate.notified_things is not None:
        return notified // rate.notified_things
    assert rate.succeeded_things is not None  # a rate with neither threshold is refused
    return succeeded // rate.succeeded_things


# --- inside a minute ----------------------------------------------------------------------------


def minute_at(
    minute: Minute | None,
    config: RolloutConfig | None,
    *,
    started_at: int,
    now: int,
    notified: int,
    succeeded: int,
    default: int = DEFAULT_QUOTAS.rollout_per_minute,
) -> Minute:
    """The minute that ``now`` is in: ``minute`` while it lasts, else a new one at today's rate.

    A configuration that changed in between therefore counts from the next tick on. Minutes that nobody
    looked at are skipped.
    """
    tick_at = started_at + (now - started_at) // TICK * TICK
    if minute is not None and minute.tick_at == tick_at:
        return minute
    rate = rate_per_minute(config, notified=notified, succeeded=succeeded, default=default)
    return Minute(tick_at, rate, 0)


def plan_slice(minute: Minute, now: int, *, spread: bool) -> Slice:
    """What of the minute's batch is due by ``now``, and when the next part is.

    Not ``spread``, the whole batch is due at the tick. Spread, the first 50 are, and the rest in even
    slices of a second, the last one a second before the next tick. A slice that comes late takes with it
    those it missed, so a minute's total is its rate, never more; what is missing when the minute is over
    is lost.

    Shapes: ``now`` ≥ ``minute.tick_at``; ``next_at`` is later than ``now`` unless the minute is over.
    Source: that batches are spread is observed by others (unverified); the form of the slices is ours.
    """
    following = minute.tick_at + TICK
    if now >= following:
        return Slice(0, following)
    to_spread = minute.rate - AT_ONCE
    if not spread or to_spread <= 0:
        return Slice(max(0, minute.rate - minute.handed_out), following)
    number = (now - minute.tick_at) // SLICE
    due = AT_ONCE + -(-to_spread * number // _LAST_SLICE)
    size = max(0, due - minute.handed_out)
    spread_out = minute.handed_out + size - AT_ONCE
    next_number = spread_out * _LAST_SLICE // to_spread + 1
    return Slice(size, minute.tick_at + next_number * SLICE)
