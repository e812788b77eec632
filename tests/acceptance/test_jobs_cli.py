"""``thingjobs jobs`` against a real server: what it says, what it prints for machines, how it ends."""

from __future__ import annotations

import itertools
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fleet import DOCUMENT, Fleet, arn
from servers import PROGRAM, Server

GIVE_UP_SECONDS = 60
QUICK = ("--interval", "0.05")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Ours, without keys and settings from around the tests, and a terminal of 80 columns."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "THINGJOBS_"))}
    return {**clean, "HOME": "/nonexistent", "TERM": "xterm-256color", "COLUMNS": "80", **variables}


def run(
    *arguments: str, input: str | None = None, url: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    around = variables if url is None else {"AWS_ENDPOINT_URL": url, **variables}
    return subprocess.run(
        [PROGRAM, "jobs", *arguments],
        input=input,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_SECONDS,
        check=False,
        env=environment(around),
    )


def done(server: Server, *arguments: str, input: str | None = None) -> str:
    """What a command that goes well prints."""
    ended = run(*arguments, input=input, url=server.url)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    return ended.stdout


def told(server: Server, *arguments: str) -> Any:
    return json.loads(done(server, *arguments, "--json"))


def refused(server: Server, code: int, *arguments: str) -> str:
    """The one line that a command says instead."""
    ended = run(*arguments, url=server.url)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.startswith("thingjobs: ")
    assert ended.stderr.count("\n") == 1
    return ended.stderr.removeprefix("thingjobs: ").rstrip("\n")


class Watching:
    """``jobs watch`` while the test goes on; a line that it printed says that it has seen so much."""

    def __init__(self, server: Server, job: str, *options: str) -> None:
        self.process = subprocess.Popen(
            [PROGRAM, "jobs", "watch", job, *QUICK, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment({"AWS_ENDPOINT_URL": server.url}),
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self) -> tuple[int, list[str], str]:
        """Exit code, the lines that were not read yet, standard error."""
        out, err = self.process.communicate(timeout=GIVE_UP_SECONDS)
        return self.process.returncode, out.splitlines(), err


# --- create ---------------------------------------------------------------------------------------


def test_a_job_is_made_as_the_flags_say(server: Server, fleet: Fleet, tmp_path: Path) -> None:
    thing, job = fleet.thing(), fleet.unique("j")
    group = fleet.group(thing)
    file = tmp_path / "document.json"
    file.write_text(DOCUMENT)
    out = done(
        server, "create", job, "--target", thing, f"group:{group}", "--document-file", str(file),
        "--description", "all lamps", "--continuous", "--rate", "10", "--timeout", "30",
        "--abort", "FAILED:20%:10", "--abort", "TIMED_OUT:5:1", "--retry", "FAILED:3",
        "--tag", "team=light",
    )  # fmt: skip
    assert out == f"Created {arn('job', job)}\n"
    made = fleet.describe(job)
    assert made["targets"] == [arn("thing", thing), arn("thinggroup", group)]
    assert (made["description"], made["targetSelection"]) == ("all lamps", "CONTINUOUS")
    assert made["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 10}
    assert made["timeoutConfig"] == {"inProgressTimeoutInMinutes": 30}
    assert [c["thresholdPercentage"] for c in made["abortConfig"]["criteriaList"]] == [20.0, 5.0]
    assert made["jobExecutionsRetryConfig"]["criteriaList"][0]["numberOfRetries"] == 3
    assert told(server, "show", job)["tags"] == [{"Key": "team", "Value": "light"}]
    assert done(server, "document", job) == f"{DOCUMENT}\n"


def test_a_job_is_made_from_a_template(server: Server, fleet: Fleet) -> None:
    template, job = fleet.unique("tpl"), fleet.unique("j")
    fleet.iot.create_job_template(
        jobTemplateId=template,
        description="d",
        document=DOCUMENT,
        timeoutConfig={"inProgressTimeoutInMinutes": 5},
    )
    done(server, "create", job, "--target", fleet.thing(), "--template", template, "--rate", "7")
    made = fleet.describe(job)
    assert made["jobTemplateArn"] == arn("jobtemplate", template)
    assert made["timeoutConfig"] == {"inProgressTimeoutInMinutes": 5}
    assert made["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 7}
    assert done(server, "document", job) == f"{DOCUMENT}\n"
    said = refused(server, 1, "create", job, "--target", fleet.thing(), "--template", "nope")
    assert said == "ResourceNotFoundException: Job Template nope cannot be found."


def test_a_job_is_made_from_a_managed_template_with_its_parameters(server: Server, fleet: Fleet) -> None:
    job = fleet.unique("j")
    download = ("--template", "AWS-Download-File", "--parameter", "filePath=/tmp/a=b")
    made = ("create", job, "--target", fleet.thing(), *download)
    assert "needs the parameter downloadUrl" in refused(server, 1, *made)
    done(server, *made, "--parameter", "downloadUrl=https://example.com/?x=1")
    (step,) = json.loads(done(server, "document", job))["steps"]
    assert step["action"]["input"]["args"] == ["https://example.com/?x=1", "/tmp/a=b"]
    assert "${aws:iot:parameter:filePath}" in done(server, "document", job, "--before-substitution")


def test_a_schedule_is_taken(server: Server, fleet: Fleet) -> None:
    job = fleet.unique("j")
    start, end = fleet.minutes_ahead(60), fleet.minutes_ahead(120)
    flags = ("--start-time", start, "--end-time", end, "--end-behavior", "FORCE_CANCEL")
    answer = told(server, "create", job, "--target", fleet.thing(), "--document", "{}", *flags)
    assert answer == {"jobArn": arn("job", job), "jobId": job}
    shown = done(server, "show", job)
    assert "SCHEDULED" in shown
    assert f"starts {start}" in shown
    assert f"ends {end}, then it is canceled, also where it is in progress" in shown
    assert told(server, "list", "--status", "scheduled")["jobs"][0]["jobId"] == job


def test_members_come_from_a_file_and_flags_win(server: Server, fleet: Fleet) -> None:
    job = fleet.unique("j")
    rate = {"maximumPerMinute": 7}
    given = {**fleet.order(fleet.thing(), description="old"), "jobExecutionsRolloutConfig": rate}
    done(server, "create", job, "--cli-input-json", "-", "--description", "new", input=json.dumps(given))
    made = fleet.describe(job)
    assert (made["description"], made["jobExecutionsRolloutConfig"]) == ("new", rate)


def test_document_comes_from_standard_input(server: Server, fleet: Fleet) -> None:
    job = fleet.unique("j")
    done(server, "create", job, "--target", fleet.thing(), "--document-file", "-", input='{"ä": 1.50}')
    assert done(server, "document", job) == '{"ä": 1.50}\n'
    assert told(server, "document", job, "--before-substitution") == {"document": '{"ä": 1.50}'}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--target", "nobody"), "ResourceNotFoundException: Thing 123456789012:nobody not found."),
        (("--target", "group:none"), "ResourceNotFoundException: "),
        (("--target", arn("thing", "nobody")), "ResourceNotFoundException: "),
        (("--target", "{thing}", "--document", "{"), "InvalidRequestException: "),
        (("--target", "{thing}", "--document", "x" * 32_769), "InvalidRequestException: "),
        (("--target", "{thing}", "--start-time", "soon"), "InvalidRequestException: "),
    ],
)
def test_what_the_service_refuses_is_said_in_its_words(
    server: Server, fleet: Fleet, flags: tuple[str, ...], message: str
) -> None:
    thing, job = fleet.thing(), fleet.unique("j")
    given = [flag.replace("{thing}", thing) for flag in flags]
    document = [] if "--document" in flags else ["--document", "{}"]
    assert refused(server, 1, "create", job, *given, *document).startswith(message)
    assert refused(server, 1, "show", job) == f"ResourceNotFoundException: Job {job} cannot be found."


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--abort", "FAILED:lots"), "--abort FAILED:lots: say FAILED:20%:10, where"),
        (("--retry", "3"), "--retry 3: say FAILED:3, where"),
        (("--tag", "team"), "--tag team: say KEY=VALUE."),
        (("--document-source", "https://x"), "Give one of --document, "),
        (("--cli-input-json", "/nowhere"), "/nowhere: No such file or directory."),
        (("--cli-input-json", __file__), f"--cli-input-json {__file__}: Extra data"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(server: Server, flags: tuple[str, ...], message: str) -> None:
    said = refused(server, 2, "create", "j", "--target", "t", "--document", "{}", *flags)
    assert said.startswith(message)


def test_what_the_model_rules_out_is_wrong_usage(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text('{"targets": ["a"], "document": "{}", "colour": 7, "tags": "x"}')
    said = refused(server, 2, "create", "j", "--cli-input-json", str(file))
    assert "Unknown parameter in input" in said
    assert "Invalid type for parameter tags" in said


def test_unknown_flag_is_wrong_usage(server: Server) -> None:
    ended = run("list", "--colour", url=server.url)
    assert ended.returncode == 2
    assert "--colour" in ended.stdout + ended.stderr


# --- list, show, executions, document, cancel -----------------------------------------------------


def test_every_page_of_jobs_is_listed(server: Server, fleet: Fleet) -> None:
    group = fleet.group()
    made = {fleet.job(arn("thinggroup", group)) for _ in range(260)}
    listed = told(server, "list", "--group", group)["jobs"]
    assert {job["jobId"] for job in listed} == made
    assert ISO.fullmatch(listed[0]["createdAt"])
    assert len(told(server, "list", "--group", group, "--limit", "255")["jobs"]) == 255
    lines = done(server, "list", "--group", f"group:{group}").splitlines()
    assert len(lines) == 261
    assert lines[0].split()[:3] == ["job", "status", "selection"]
    assert {line.split()[0] for line in lines[1:]} == made


def test_reader_that_goes_away_is_no_accident(server: Server, fleet: Fleet) -> None:
    group = fleet.group()
    for _ in range(3):
        fleet.job(arn("thinggroup", group))
    for options in ((), ("--json",)):
        reader, writer = os.pipe()
        os.close(reader)
        ended = subprocess.run(
            [PROGRAM, "jobs", "list", "--group", group, *options],
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=GIVE_UP_SECONDS,
            check=False,
            env=environment({"AWS_ENDPOINT_URL": server.url}),
        )
        os.close(writer)
        assert (ended.returncode, ended.stderr) == (141, b"")


def test_nothing_to_list_is_said(server: Server, fleet: Fleet) -> None:
    group = fleet.group()
    assert done(server, "list", "--group", group) == "No jobs.\n"
    assert told(server, "list", "--group", group) == {"jobs": []}
    assert done(server, "executions", fleet.job(fleet.thing()), "--status", "failed") == "No executions.\n"


def test_a_job_is_shown_with_progress_and_words(server: Server, fleet: Fleet) -> None:
    things = fleet.things(4)
    job = fleet.job(*things, timeoutConfig={"inProgressTimeoutInMinutes": 90})
    fleet.report(things[0], job, "SUCCEEDED")
    fleet.report(things[1], job, "FAILED")
    shown = done(server, "show", job)
    assert "50%, 2 of 4 executions finished" in shown
    assert re.search(r"█+▓+░+", shown)
    assert "1 h 30 min after a thing begins" in shown
    assert told(server, "show", job)["job"]["jobProcessDetails"]["numberOfFailedThings"] == 1


def test_executions_are_listed(server: Server, fleet: Fleet) -> None:
    group = fleet.crowd(260)
    job = fleet.job(arn("thinggroup", group))
    entries = told(server, "executions", job)["executionSummaries"]
    assert len({entry["thingArn"] for entry in entries}) == 260
    first = entries[0]["thingArn"].partition("/")[2]
    fleet.report(first, job, "FAILED")
    (failed,) = told(server, "executions", job, "--status", "failed")["executionSummaries"]
    assert failed["jobExecutionSummary"]["status"] == "FAILED"
    lines = done(server, "executions", job).splitlines()
    assert len(lines) == 261
    assert sum("FAILED" in line for line in lines) == 1


def test_executions_of_a_thing_are_shown_with_what_it_said(server: Server, fleet: Fleet) -> None:
    thing = fleet.thing()
    retries = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}
    job = fleet.job(thing, jobExecutionsRetryConfig=retries)
    fleet.report(thing, job, "FAILED", statusDetails={"why": "no power"})
    both = told(server, "executions", job, "--thing", thing)["executions"]
    assert {(e["executionNumber"], e["retryAttempt"], e["status"]) for e in both} == {
        (1, 0, "FAILED"),
        (2, 1, "QUEUED"),
    }
    shown = done(server, "executions", job, "--thing", thing)
    assert "why = no power" in shown
    assert "execution 2  QUEUED" in shown
    assert refused(server, 1, "executions", job, "--thing", "nobody").startswith("ResourceNotFoundException")


def test_a_job_is_canceled_with_reasons(server: Server, fleet: Fleet) -> None:
    busy, waiting = fleet.things(2)
    job = fleet.job(busy, waiting)
    fleet.report(busy, job, "IN_PROGRESS")
    assert done(server, "cancel", job, "--reason-code", "BAD", "--comment", "dark") == (
        f"Canceled {job}: 1 canceled, 1 in progress.\n"
    )
    assert "BAD: dark" in done(server, "show", job)
    other = fleet.job(busy)
    fleet.report(busy, other, "IN_PROGRESS")
    assert told(server, "cancel", other, "--force")["jobId"] == other
    assert fleet.describe(other)["forceCanceled"] is True
    assert refused(server, 1, "cancel", fleet.completed_job()).startswith("InvalidRequestException: Job ")


# --- watch ----------------------------------------------------------------------------------------


def test_watching_tells_every_change_and_ends_with_the_job(server: Server, fleet: Fleet) -> None:
    things = fleet.things(2)
    job = fleet.job(*things)
    watching = Watching(server, job)
    assert f"Z {job} IN_PROGRESS 0%, 0 of 2 executions finished: 2 queued" in watching.line()
    fleet.report(things[0], job, "SUCCEEDED")
    assert "50%, 1 of 2 executions finished: 1 succeeded, 1 queued" in watching.line()
    fleet.report(things[1], job, "SUCCEEDED")
    code, lines, errors = watching.end()
    assert (code, errors) == (0, "")
    assert lines[-1].endswith(f"{job} COMPLETED 100%, 2 of 2 executions finished: 2 succeeded")


def test_watching_for_machines_is_a_line_of_json_for_each_change(server: Server, fleet: Fleet) -> None:
    thing = fleet.thing()
    job = fleet.job(thing)
    watching = Watching(server, job, "--json")
    assert json.loads(watching.line())["job"]["status"] == "IN_PROGRESS"
    fleet.report(thing, job, "SUCCEEDED")
    code, lines, _ = watching.end()
    assert code == 0
    assert [json.loads(line)["job"]["status"] for line in lines] == ["COMPLETED"]
    assert ISO.fullmatch(json.loads(lines[0])["job"]["completedAt"])


@pytest.mark.parametrize("status", ["FAILED", "REJECTED", "TIMED_OUT", "CANCELED"])
def test_job_that_did_not_go_well_everywhere_ends_with_3(server: Server, fleet: Fleet, status: str) -> None:
    good, bad = fleet.things(2)
    job = fleet.job(good, bad, timeoutConfig={"inProgressTimeoutInMinutes": 1})
    fleet.report(good, job, "SUCCEEDED")
    if status == "TIMED_OUT":
        fleet.report(bad, job, "IN_PROGRESS")
        server.advance(61)
    elif status == "CANCELED":
        fleet.iot.cancel_job_execution(jobId=job, thingName=bad)
    else:
        fleet.report(bad, job, status)
    ended = run("watch", job, url=server.url)
    assert (ended.returncode, ended.stderr) == (3, "")
    assert f"1 succeeded, 1 {status.lower().replace('_', ' ')}" in ended.stdout


def test_canceled_job_ends_with_4(server: Server, fleet: Fleet) -> None:
    job = fleet.job(fleet.thing())
    watching = Watching(server, job)
    watching.line()
    fleet.iot.cancel_job(jobId=job)
    assert watching.end()[0] == 4


def test_job_that_its_criteria_abort_ends_with_4(server: Server, fleet: Fleet) -> None:
    things, job = fleet.things(2), fleet.unique("j")
    done(server, "create", job, "--target", *things, "--document", "{}", "--abort", "FAILED:10%:1")
    fleet.report(things[0], job, "FAILED")
    assert run("watch", job, url=server.url).returncode == 4


def test_job_that_is_deleted_meanwhile_ends_with_5(server: Server, fleet: Fleet) -> None:
    job = fleet.job(fleet.thing())
    watching = Watching(server, job)
    watching.line()
    fleet.iot.delete_job(jobId=job, force=True)
    code, _, errors = watching.end()
    assert (code, errors) == (5, f"thingjobs: Job {job} was deleted.\n")


def test_job_that_takes_too_long_ends_with_6(server: Server, fleet: Fleet) -> None:
    job = fleet.job(fleet.thing())
    ended = run("watch", job, "--timeout", "0", url=server.url)
    assert (ended.returncode, ended.stderr) == (
        6,
        f"thingjobs: Job {job} is still IN_PROGRESS after 0 s.\n",
    )


def test_unknown_job_ends_with_1(server: Server) -> None:
    assert refused(server, 1, "watch", "none") == "ResourceNotFoundException: Job none cannot be found."


def test_interrupted_watching_ends_with_130_and_without_a_word(server: Server, fleet: Fleet) -> None:
    watching = Watching(server, fleet.job(fleet.thing()))
    watching.line()
    watching.process.send_signal(signal.SIGINT)
    assert watching.end() == (130, [], "")


def test_a_job_can_be_made_and_watched_at_once(server: Server, fleet: Fleet) -> None:
    job = fleet.unique("j")
    ended = run(
        "create", job, "--target", f"group:{fleet.group()}", "--document", "{}", "--watch", url=server.url
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Created ")
    assert f"{job} COMPLETED no executions yet" in ended.stdout


# --- a terminal -----------------------------------------------------------------------------------


def on_a_terminal(server: Server, *arguments: str, meanwhile: Callable[[bytes], None]) -> tuple[int, bytes]:
    """Exit code and all that was drawn; ``meanwhile`` is called with what is drawn so far."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(PROGRAM, [str(PROGRAM), "jobs", *arguments], environment({"AWS_ENDPOINT_URL": server.url}))
    drawn = b""
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # how Linux tells the end
            chunk = b""
        if not chunk:
            break
        drawn += chunk
        meanwhile(drawn)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), drawn


@pytest.mark.parametrize(("command", "code"), [(("watch",), 3), (("show", "--follow"), 0)])
def test_live_view_follows_the_job_to_its_end(
    server: Server, fleet: Fleet, command: tuple[str, ...], code: int
) -> None:
    things = fleet.things(2)
    job = fleet.job(*things)
    steps = [
        (b"0%, 0 of 2 executions finished", things[0], "SUCCEEDED"),
        (b"50%, 1 of 2 executions finished", things[1], "FAILED"),
    ]

    def work(drawn: bytes) -> None:
        if steps and steps[0][0] in drawn:
            _, thing, status = steps.pop(0)
            fleet.report(thing, job, status)

    ended, drawn = on_a_terminal(server, *command, job, *QUICK, meanwhile=work)
    assert ended == code
    assert b"100%, 2 of 2 executions finished" in drawn
    assert b"COMPLETED" in drawn
    assert drawn.count(b"\x1b[?25l") == drawn.count(b"\x1b[?25h") == 1  # the cursor is back
    assert b"Traceback" not in drawn


def test_document_is_indented_on_a_terminal(server: Server, fleet: Fleet) -> None:
    job = fleet.job(fleet.thing(), document='{"version":1.50}')
    _, pretty = on_a_terminal(server, "document", job, meanwhile=lambda _: None)
    assert b"1.50" in pretty
    assert pretty.count(b"\n") == 3
    _, raw = on_a_terminal(server, "document", job, "--raw", meanwhile=lambda _: None)
    assert raw == b'{"version":1.50}\r\n'


# --- where the server is, and who asks ------------------------------------------------------------


def test_where_nobody_listens_is_said_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    ended = run("list", "--endpoint-url", url)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"thingjobs: Cannot reach {url}: Connection refused. Start a server with `thingjobs dev`,"
        ' or say where it is: eval "$(thingjobs env)", or --endpoint-url.\n'
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--endpoint-url", "here"), "thingjobs: Invalid endpoint: here\n"),
        (("--profile", "none"), "thingjobs: The config profile (none) could not be found\n"),
    ],
)
def test_connection_that_cannot_be_meant_is_wrong_usage(arguments: tuple[str, ...], message: str) -> None:
    ended = run("list", *arguments)
    assert (ended.returncode, ended.stderr) == (2, message)


def test_serve_takes_the_key_that_env_sets(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data, mode="serve") as server:
        ended = run("list", url=server.url)
        assert ended.returncode == 1
        assert ended.stderr.startswith("thingjobs: UnrecognizedClientException: ")
        assert ended.stderr.endswith('No access key was given; eval "$(thingjobs env)" sets one.\n')

        script = f'eval "$({PROGRAM} env --data {data} --http-port {server.url.rpartition(":")[2]})"; '
        script += f"{PROGRAM} jobs list --json"
        shell = subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, check=False, env=environment({})
        )
        assert json.loads(shell.stdout) == {"jobs": []}, shell.stderr


def test_key_that_may_only_read_lists_and_makes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data, mode="serve") as server:
        printed = subprocess.run(
            [PROGRAM, "keys", "create", "read-only", "--data", data],
            capture_output=True,
            text=True,
            check=True,
            env=environment({}),
        ).stdout
        access_key_id, secret = re.findall(r"^\w+ +(\S+)$", printed, re.MULTILINE)
        profile = tmp_path / "credentials"
        profile.write_text(
            f"[reader]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret}\n"
        )
        around = {"url": server.url, "AWS_SHARED_CREDENTIALS_FILE": str(profile)}
        assert run("list", "--profile", "reader", **around).stdout == "No jobs.\n"
        assert run("list", AWS_PROFILE="reader", **around).stdout == "No jobs.\n"
        order = ("create", "j", "--target", arn("thing", "t"), "--document", "{}")
        ended = run(*order, "--profile", "reader", **around)
        assert ended.returncode == 1
        assert ended.stderr.startswith("thingjobs: AccessDeniedException: ")


def test_settings_of_the_server_are_not_ours(server: Server) -> None:
    ended = run("list", url=server.url, THINGJOBS_REGION="nowhere", THINGJOBS_LIMIT="x")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("arguments", [("dev", "--help"), ("serve", "--help"), ("--help",), ("keys", "list")])
def test_other_commands_do_not_load_the_client(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """So that a server starts fast."""
    script = (
        "import sys; from thingjobs.cli import main\n"
        f"sys.argv = ['thingjobs', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith(('botocore', 'thingjobs.jobs_cli'))])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment({}),
    )
    assert loaded.stdout.splitlines()[-1] == "[]"


# --- odd input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "flags", "code"),
    [
        ('{"schedulingConfig":3}', ("--end-time", "2099-01-01T00:00"), 2),
        ('{"jobExecutionsRolloutConfig":null}', ("--rate", "5"), 0),
    ],
)
def test_members_of_the_file_that_flags_go_into_may_be_odd(
    server: Server, fleet: Fleet, given: str, flags: tuple[str, ...], code: int
) -> None:
    job = ("create", fleet.unique("j"), "--target", fleet.thing(), "--document", "{}")
    ended = run(*job, *flags, "--cli-input-json", "-", input=given, url=server.url)
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.count("\n") == (code != 0)


def test_a_job_that_does_not_exist_has_no_executions_to_list(server: Server, fleet: Fleet) -> None:
    said = refused(server, 1, "executions", "nope", "--thing", fleet.thing())
    assert said.startswith("ResourceNotFoundException: ")


def test_a_server_may_have_smaller_pages(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--shape-limit.LaserMaxResults", "3") as server:
        fleet = Fleet(server, lambda prefix: f"{prefix}-{next(numbers)}")
        numbers = itertools.count()
        thing = fleet.thing()
        made = [fleet.job(thing) for _ in range(5)]
        assert len(told(server, "list")["jobs"]) == len(made)
        assert len(told(server, "list", "--limit", "2")["jobs"]) == 2
