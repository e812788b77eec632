"""``thingjobs simulate`` against a real server: what it reports is what the server counts."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fleet import retry
from servers import PROGRAM, Server

DEVICES = 20
GIVE_UP_SECONDS = 30
QUICK_WORK = ("--work-seconds", "0", "0.05", "--offline-seconds", "0", "0.05", "--json")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("simulate") / "data") as running:
        yield running


def simulate(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "simulate", *options],
        capture_output=True,
        text=True,
        timeout=GIVE_UP_SECONDS,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


def simulate_fleet(server: Server, prefix: str, *options: str) -> dict[str, Any]:
    """The summary of twenty devices that ended well."""
    fleet = ("--devices", str(DEVICES), "--prefix", prefix, "--mqtt-port", str(server.mqtt_port))
    done = simulate(*fleet, *QUICK_WORK, *options)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def make_fleet(server: Server, name: str) -> None:
    """Twenty things called after the group they are in, by a simulation without work."""
    created = ("--create", "--group", name, "--endpoint-url", server.url)
    summary = simulate_fleet(server, f"{name}-", *created, "--until", "duration", "0")
    assert summary["finished"] == 0


def create_job(server: Server, job_id: str, group: str, **members: Any) -> None:
    iot = server.client("iot")
    arn = iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
    iot.create_job(jobId=job_id, targets=[arn], document="{}", **members)


def attempts(server: Server, job_id: str) -> list[dict[str, Any]]:
    """The executions of a job, those before their retries as well."""
    pages = server.client("iot").get_paginator("list_job_executions_for_job").paginate(jobId=job_id)
    return [each["jobExecutionSummary"] for page in pages for each in page["executionSummaries"]]


def counters(server: Server, job_id: str) -> dict[str, int]:
    """The job's counters as DescribeJob shows them, by the names of the statuses."""
    job = server.client("iot").describe_job(jobId=job_id)["job"]
    assert job["status"] == "COMPLETED"
    details = job["jobProcessDetails"]
    return {
        status: details[f"numberOf{status.title()}Things"]
        for status in ("SUCCEEDED", "FAILED", "REJECTED")
        if details[f"numberOf{status.title()}Things"]
    }


def test_summary_agrees_with_the_counters_of_the_job(server: Server, unique: Callable[[str], str]) -> None:
    group, job_id = unique("sim"), unique("job")
    make_fleet(server, group)
    create_job(server, job_id, group)
    rates = ("--failure-rate", "0.3", "--rejection-rate", "0.3", "--seed", "7")
    summary = simulate_fleet(server, f"{group}-", *rates, "--until", "jobs", str(DEVICES))
    assert summary["outcomes"] == counters(server, job_id)
    assert set(summary["outcomes"]) == {"SUCCEEDED", "FAILED", "REJECTED"}
    assert (summary["started"], summary["finished"]) == (DEVICES, DEVICES)
    assert summary["errors"] == {}
    assert summary["connects"] == DEVICES
    assert summary["request_to_answer_ms"]["p50"] > 0


def test_dropped_connections_lose_no_report(server: Server, unique: Callable[[str], str]) -> None:
    group, job_id = unique("sim"), unique("job")
    make_fleet(server, group)
    create_job(server, job_id, group)
    rates = ("--failure-rate", "0.2", "--disconnect-rate", "1")
    summary = simulate_fleet(server, f"{group}-", *rates, "--until", "jobs", str(DEVICES))
    assert summary["outcomes"] == counters(server, job_id)
    assert summary["finished"] == DEVICES
    assert (summary["drops"], summary["reconnects"]) == (DEVICES, DEVICES)
    assert (summary["losses"], summary["errors"]) == (0, {})


def test_reboot_begins_the_job_anew(server: Server, unique: Callable[[str], str]) -> None:
    """Its execution stays IN_PROGRESS meanwhile, and is the one that ends."""
    group, job_id = unique("sim"), unique("job")
    make_fleet(server, group)
    create_job(server, job_id, group)
    rates = ("--reboot-rate", "1", "--disconnect-rate", "0.5", "--reboot-seconds", "0", "0.05")
    summary = simulate_fleet(server, f"{group}-", *rates, "--until", "jobs", str(DEVICES))
    assert summary["outcomes"] == counters(server, job_id) == {"SUCCEEDED": DEVICES}
    assert summary["reboots"] == DEVICES
    assert summary["drops"] > 0
    assert summary["reconnects"] == summary["reboots"] + summary["drops"]
    assert (summary["losses"], summary["errors"]) == (0, {})
    assert {attempt["executionNumber"] for attempt in attempts(server, job_id)} == {1}


def test_report_sent_again_does_not_end_the_retry(server: Server, unique: Callable[[str], str]) -> None:
    """Every final report is sent twice; each attempt that ended was worked on, and is counted once."""
    group, job_id = unique("sim"), unique("job")
    make_fleet(server, group)
    create_job(server, job_id, group, jobExecutionsRetryConfig=retry(FAILED=3))
    rates = ("--failure-rate", "0.5", "--disconnect-rate", "1", "--progress", "0")
    summary = simulate_fleet(server, f"{group}-", *rates, "--until", "idle", "--quiet-seconds", "0.5")
    ended = attempts(server, job_id)
    assert summary["outcomes"] == Counter(attempt["status"] for attempt in ended)
    assert summary["outcomes"]["FAILED"] > 0
    assert all("startedAt" in attempt for attempt in ended)
    assert summary["errors"] == {}


def test_same_seed_gives_the_same_outcomes(server: Server, unique: Callable[[str], str]) -> None:
    group, job_id = unique("sim"), unique("job")
    make_fleet(server, group)
    outcomes = []
    for _ in range(2):
        create_job(server, job_id, group)
        options = ("--failure-rate", "0.5", "--until", "idle", "--quiet-seconds", "0.1")
        outcomes.append(simulate_fleet(server, f"{group}-", *options)["outcomes"])
        server.client("iot").delete_job(jobId=job_id, force=True)
    assert outcomes[0] == outcomes[1]
    assert sum(outcomes[0].values()) == DEVICES


def test_canceled_work_is_told_apart(server: Server, unique: Callable[[str], str]) -> None:
    """A job that is canceled by force while its device is at work."""
    group, job_id = unique("sim"), unique("job")
    make_fleet(server, group)
    create_job(server, job_id, group)
    command = [str(PROGRAM), "simulate", "--devices", "1", "--prefix", f"{group}-", "--json"]
    command += ["--mqtt-port", str(server.mqtt_port), "--work-seconds", "1", "1", "--progress", "10"]
    with subprocess.Popen([*command, "--until", "jobs", "1"], stdout=subprocess.PIPE, text=True) as running:
        device = server.client("iot")
        while device.describe_job(jobId=job_id)["job"]["jobProcessDetails"]["numberOfInProgressThings"] == 0:
            assert running.poll() is None
        device.cancel_job(jobId=job_id, force=True)
        output, _ = running.communicate(timeout=GIVE_UP_SECONDS)
    assert json.loads(output)["outcomes"] == {"CANCELED": 1}


def test_end_comes_quietly_while_devices_are_connecting(server: Server, unique: Callable[[str], str]) -> None:
    """Some have no socket yet, some a socket and no session."""
    name = unique("sim")
    created = ("--create", "--endpoint-url", server.url, "--devices", "50", "--prefix", f"{name}-")
    done = simulate(*created, "--mqtt-port", str(server.mqtt_port), "--until", "jobs", "0", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["finished"] == 0


def test_people_are_told_in_words(server: Server, unique: Callable[[str], str]) -> None:
    created = ("--create", "--endpoint-url", server.url, "--prefix", unique("sim"))
    done = simulate(*created, "--mqtt-port", str(server.mqtt_port), "--until", "duration", "0")
    assert done.returncode == 0, done.stderr
    assert "10 devices finished 0 job executions in" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--until", "later"), "--until later: say `idle`, `duration SECONDS` or `jobs N`."),
        (("--failure-rate", "0.6", "--rejection-rate", "0.6"), "are more than 1 together"),
        (("--work-seconds", "5", "1"), "--work-seconds 5 1: give the smaller number first"),
        (("--reboot-seconds", "5", "1"), "--reboot-seconds 5 1: give the smaller number first"),
        (("--prefix", "a b"), "--prefix a b: names of things have letters, digits and : _ - only"),
        (("--group", "lamps"), "--group only goes with --create."),
        (("--mqtt-port", "1", "--json"), "Cannot connect to MQTT on 127.0.0.1 port 1: "),
        (("--create", "--endpoint-url", "http://127.0.0.1:1"), "Cannot make things at http://127.0.0.1:1: "),
        (("--create", "--endpoint-url", "here"), "--endpoint-url here: say http://HOST:PORT."),
    ],
)
def test_what_cannot_be_is_said_in_a_line(options: tuple[str, ...], message: str) -> None:
    done = simulate(*options)
    assert done.returncode == 1
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_rate_above_one_is_a_mistake_of_usage() -> None:
    done = simulate("--failure-rate", "2")
    assert done.returncode == 2  # as for every command
    assert "Must be <= 1" in done.stdout + done.stderr


def test_missing_things_are_said(server: Server) -> None:
    done = simulate("--prefix", "nobody-", "--mqtt-port", str(server.mqtt_port), "--until", "idle")
    assert done.returncode == 1
    assert "There is no thing nobody-" in done.stderr
