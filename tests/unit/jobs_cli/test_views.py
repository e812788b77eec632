"""Progress, words and pages: what a person is told of a job."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from thingjobs.domain.model import ExecutionStatus
from thingjobs.jobs_cli import progress, views, words
from thingjobs.jobs_cli.exits import Exit

AT = datetime(2026, 7, 1, 22, 0, 5, 125_000, tzinfo=UTC)


def a_job(status: str = "IN_PROGRESS", processing: int = 0, **counters: int) -> dict[str, Any]:
    """``a_job(Failed=1)``"""
    details: dict[str, Any] = {f"numberOf{name}Things": count for name, count in counters.items()}
    if processing:
        details["processingTargets"] = ["arn"] * processing
    return {
        "jobId": "j",
        "status": status,
        "targets": ["arn:aws:iot:us-east-1:123456789012:thinggroup/lamps"] * 2,
        "targetSelection": "SNAPSHOT",
        "jobProcessDetails": details,
        "createdAt": AT,
        "lastUpdatedAt": AT,
    }


def drawn(renderable: Any, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("job", "ended"),
    [
        (a_job("SCHEDULED"), None),
        (a_job("IN_PROGRESS", Failed=1), None),
        (a_job("DELETION_IN_PROGRESS"), None),
        (a_job("COMPLETED", Succeeded=2, Removed=1), Exit.DONE),
        (a_job("COMPLETED"), Exit.DONE),
        (a_job("COMPLETED", Succeeded=2, Failed=1), Exit.PARTLY),
        (a_job("COMPLETED", TimedOut=1), Exit.PARTLY),
        (a_job("COMPLETED", Rejected=1), Exit.PARTLY),
        (a_job("COMPLETED", Canceled=1), Exit.PARTLY),
        (a_job("CANCELED", Succeeded=2), Exit.CANCELED),
    ],
)
def test_verdict_is_that_of_the_counters(job: dict[str, Any], ended: Exit | None) -> None:
    assert progress.verdict(job) is ended


counted = st.fixed_dictionaries({status: st.integers(0, 10**9) for status in progress.ORDER})


@given(counted, st.integers(8, 200))
def test_bar_is_full_and_forgets_nobody(counts: dict[ExecutionStatus, int], width: int) -> None:
    cells = progress.shares(counts, width)
    assert sum(cells.values()) == (width if any(counts.values()) else 0)
    assert all((cells[status] > 0) == (counts[status] > 0) for status in counts)


@given(counted)
def test_all_is_only_said_of_all(counts: dict[ExecutionStatus, int]) -> None:
    unfinished = any(counts[status] for status in progress.UNFINISHED)
    assert (progress.percent(counts) == 100) == (bool(any(counts.values())) and not unfinished)


def test_a_line_tells_the_course() -> None:
    job = a_job(processing=1, Succeeded=1200, Queued=300)
    assert words.course(job, progress.counts(job)) == (
        "IN_PROGRESS (rolling out, 1 of 2 targets to go) 80%, 1,200 of 1,500 executions finished:"
        " 1,200 succeeded, 300 queued"
    )


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(milliseconds=250), "0.2 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=4, seconds=3), "4 min 3 s"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=2, seconds=5), "2 h"),
        (timedelta(days=1, hours=3, minutes=9), "1 day 3 h"),
        (timedelta(days=12), "12 days"),
        (timedelta(seconds=-1), "0.0 s"),
    ],
)
def test_durations_are_two_units(span: timedelta, said: str) -> None:
    assert words.duration(span) == said


def test_times_are_utc() -> None:
    east = AT.astimezone(tz=None)
    assert words.instant(east) == "2026-07-01 22:00:05"


def test_configuration_is_told_in_words() -> None:
    job = {
        **a_job(),
        "jobExecutionsRolloutConfig": {
            "maximumPerMinute": 1000,
            "exponentialRate": {
                "baseRatePerMinute": 50,
                "incrementFactor": 1.5,
                "rateIncreaseCriteria": {"numberOfSucceededThings": 100},
            },
        },
        "timeoutConfig": {"inProgressTimeoutInMinutes": 90},
        "abortConfig": {
            "criteriaList": [
                {"failureType": "ALL", "thresholdPercentage": 12.5, "minNumberOfExecutedThings": 10}
            ]
        },
        "schedulingConfig": {
            "startTime": "2026-07-01T22:00",
            "endTime": "2026-07-02T22:00",
            "endBehavior": "FORCE_CANCEL",
            "maintenanceWindows": [{"startTime": "cron(0 2 * * ? *)", "durationInMinutes": 60}],
        },
        "presignedUrlConfig": {"roleArn": "arn:role", "expiresInSec": 3600},
    }
    told = dict(words.configuration(job, "https://x"))
    assert told == {
        "targets": "group:lamps\ngroup:lamps",
        "selection": "snapshot: things that were in the targets when it was created",
        "rollout": "50 things per minute, 1.5 times as many after every 100 succeeded, up to 1,000",
        "time-out": "1 h 30 min after a thing begins",
        "abort": "once 12.5% of at least 10 failed, were rejected or timed out",
        "schedule": "starts 2026-07-01T22:00\n"
        "ends 2026-07-02T22:00, then it is canceled, also where it is in progress\n"
        "window cron(0 2 * * ? *) for 1 h",
        "signed URLs": "by arn:role, valid for 1 h",
        "document": "https://x",
    }


def test_many_targets_are_cut_short() -> None:
    job = {**a_job(), "targets": [f"arn:aws:iot:us-east-1:123456789012:thing/t{n}" for n in range(100)]}
    assert dict(words.configuration(job, None))["targets"].endswith("t9\nand 90 more")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_page_keeps_its_width_and_takes_no_markup(width: int) -> None:
    job = {**a_job(Succeeded=3, Failed=1, Queued=6), "description": "[red]all[/] lamps", "comment": "x" * 300}
    shown = drawn(views.page({"job": job}, [{"Key": "team", "Value": "[b]"}]), width)
    assert all(len(line) <= width for line in shown.splitlines())
    assert "[red]all[/] lamps" in shown
    assert "team = [b]" in shown
    assert "█" in shown
    assert "40%, 4 of 10 executions finished" in shown


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_are_folded_and_nothing_else(width: int) -> None:
    name = "z" * 64
    (table,) = views.job_tables([[{**a_job(), "jobId": name}]], width)
    lines = drawn(table, width).splitlines()
    assert "created (UTC)" in lines[0]
    assert lines[1].split()[1:] == ["IN_PROGRESS", "snapshot", *["2026-07-01", "22:00"] * 2]
    assert sum(line.count("z") for line in lines[1:]) == 64


def test_pages_of_a_table_line_up_below_one_head() -> None:
    def entry(name: str) -> dict[str, Any]:
        return {**a_job(), "jobId": name}

    first, second = views.job_tables([[entry("a-long-name")], [entry("b")]], 200)
    head, one = drawn(first, 200).splitlines()
    (other,) = drawn(second, 200).splitlines()
    assert head.split()[:3] == ["job", "status", "selection"]
    assert one.index("IN_PROGRESS") == other.index("IN_PROGRESS") == head.index("status")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


@given(json_values, st.booleans())
def test_document_is_indented_and_stays_what_it_is(value: Any, ascii_only: bool) -> None:
    expected = json.dumps(value, indent=2, ensure_ascii=ascii_only)
    assert words.indented(json.dumps(value, ensure_ascii=ascii_only)) == expected


def test_numbers_of_a_document_are_left_alone() -> None:
    assert views.document('{"a":1.50,"a":1e400}').plain == '{\n  "a": 1.50,\n  "a": 1e400\n}'
    assert views.document("{not JSON").plain == "{not JSON"
