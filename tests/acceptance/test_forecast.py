"""The forecast, as an operator asks for it: over HTTP and on the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from servers import PROGRAM, Server

STAGED = {
    "jobExecutionsRolloutConfig": {
        "maximumPerMinute": 1000,
        "exponentialRate": {
            "baseRatePerMinute": 50,
            "incrementFactor": 2,
            "rateIncreaseCriteria": {"numberOfNotifiedThings": 1000},
        },
    }
}
CAUTIOUS = {
    "abortConfig": {
        "criteriaList": [
            {
                "failureType": "FAILED",
                "action": "CANCEL",
                "thresholdPercentage": 20,
                "minNumberOfExecutedThings": 100,
            }
        ]
    }
}


def ask(server: Server, members: object) -> tuple[int, Any]:
    status, _, body = server.http("POST", "/-/forecast", json.dumps(members).encode())
    return status, json.loads(body)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), "forecast", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_plan_of_a_staged_job_is_told_minute_by_minute(server: Server) -> None:
    """case 133: the same numbers as the running job's"""
    status, answer = ask(server, {"job": STAGED, "things": 10_000})
    assert status == 200
    notified = {row["minute"]: row["notified"] for row in answer["minutes"]}
    assert [notified[m] for m in (19, 29, 34, 37, 38, 43)] == [1000, 2000, 3000, 4200, 5000, 10_000]
    assert (answer["outcome"], answer["finishedMinute"], answer["abort"]) == ("COMPLETED", 44, None)


def test_an_abort_is_foreseen(server: Server) -> None:
    status, answer = ask(server, {"job": {**STAGED, **CAUTIOUS}, "things": 10_000, "failureRate": 25})
    assert status == 200
    assert answer["outcome"] == "ABORTED"
    assert "Abort criteria for failure type FAILED with threshold 20.00% met" in answer["abort"]["comment"]
    assert answer["minutes"][-1]["notified"] < 10_000


@pytest.mark.parametrize("rate", [{"successRate": 70}, {"failureRate": 30}, {"successRate": 69.999}])
def test_rate_that_is_not_given_is_what_the_other_leaves(server: Server, rate: dict[str, float]) -> None:
    _, answer = ask(server, {"job": CAUTIOUS, "things": 500, **rate})
    assert answer["outcome"] == "ABORTED"
    _, answer = ask(server, {"job": {}, "things": 10_000, **rate})
    last = answer["minutes"][-1]
    assert (answer["outcome"], last["inFlight"]) == ("COMPLETED", 0)
    assert last["succeeded"] == pytest.approx(7000, abs=1)


def test_things_that_neither_succeed_nor_fail_are_silent(server: Server) -> None:
    _, answer = ask(server, {"job": {}, "things": 100, "successRate": 70, "failureRate": 20})
    last = answer["minutes"][-1]
    assert (answer["outcome"], last["succeeded"], last["failed"]) == ("WAITING", 70, 20)
    assert last["inFlight"] == 10


def test_nothing_is_stored(server: Server) -> None:
    iot = server.client("iot")
    before = iot.list_jobs()["jobs"]
    ask(server, {"job": {**STAGED, "jobId": "never-made", "targets": ["x"]}, "things": 10})
    assert iot.list_jobs()["jobs"] == before


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"things": 1}, "missing required field `job`"),
        ({"job": {}, "things": "many"}, "The forecast cannot be read"),
        ({"job": {}, "things": -1}, "things must be from 0"),
        ({"job": {}, "things": 1, "successRate": 90, "failureRate": 20}, "cannot be more than all"),
        ({"job": {}, "things": 1, "successRate": -0.001}, "successRate must be a percentage from 0 to 100"),
        ({"job": {}, "things": 1, "failureRate": 100.5}, "failureRate must be a percentage from 0 to 100"),
        ({"job": {"jobExecutionsRolloutConfig": {}}, "things": 1}, "Provide MaximumPerMinute value or"),
        ({"job": {"timeoutConfig": {}}, "things": 1}, "inProgressTimeoutInMinutes cannot be null"),
    ],
)
def test_what_cannot_be_forecast_is_refused(server: Server, members: object, sentence: str) -> None:
    status, answer = ask(server, members)
    assert status == 400
    assert sentence in answer["message"]


def test_the_command_prints_a_plot_or_json(tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text(json.dumps({**STAGED, "jobId": "j"}))
    shown = run(str(job), "--things", "10000")
    assert shown.returncode == 0, shown.stderr
    assert "█" in shown.stdout
    assert "Completed in minute 44." in shown.stdout
    machine = run(str(job), "--things", "10000", "--json")
    assert json.loads(machine.stdout)["outcome"] == "COMPLETED"


def test_the_command_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text("{")
    assert run(str(job), "--things", "1").returncode == 1
    assert run(str(tmp_path / "missing.json"), "--things", "1").returncode == 1
    job.write_text(json.dumps({"abortConfig": {"criteriaList": []}}))
    refused = run(str(job), "--things", "1")
    assert refused.returncode == 1
    assert refused.stderr.startswith("thingjobs: The forecast cannot be read")


@pytest.mark.parametrize("option", ["--success-rate", "--failure-rate"])
@pytest.mark.parametrize("rate", ["inf", "nan", "-0.001", "101"])
def test_the_command_refuses_what_is_no_percentage(tmp_path: Path, option: str, rate: str) -> None:
    job = tmp_path / "job.json"
    job.write_text("{}")
    refused = run(str(job), "--things", "1", f"{option}={rate}")
    assert refused.returncode == 1
    assert refused.stderr.endswith("Rate must be a percentage from 0 to 100.\n")
    assert refused.stderr.count("\n") == 1


def test_a_forecast_keeps_to_the_limits_that_are_set(tmp_path: Path) -> None:
    options = ("--shape-limit.MaxJobExecutionsPerMin=5000", "--quota.rollout_per_minute=10")
    with Server(tmp_path / "data", *options) as server:
        fast = {"jobExecutionsRolloutConfig": {"maximumPerMinute": 5_000}}
        _, answer = ask(server, {"job": fast, "things": 10_000})
        assert [row["notified"] for row in answer["minutes"][:2]] == [5_000, 10_000]
        _, answer = ask(server, {"job": {}, "things": 20})
        assert [row["notified"] for row in answer["minutes"][:2]] == [10, 20]
        fast["jobExecutionsRolloutConfig"]["maximumPerMinute"] = 5_001
        assert ask(server, {"job": fast, "things": 1})[0] == 400
