"""The commands of ``thingjobs jobs``: each asks, and shows what it was told."""

from __future__ import annotations

import itertools
import json as jsons
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter, validators
from rich.live import Live
from rich.table import Table

from thingjobs.domain.model import ExecutionStatus, JobStatus, TargetSelection
from thingjobs.jobs_cli import names, new_job, output, views, words
from thingjobs.jobs_cli.client import Connection, Members, Service
from thingjobs.jobs_cli.exits import MEANING, Exit, WrongUsage, reported
from thingjobs.jobs_cli.following import changes
from thingjobs.jobs_cli.progress import counts, verdict

STDIN = Path("-")

_CODES = "\n".join(["Exit codes:", "", *(f"* {code:d}: {meaning}" for code, meaning in MEANING.items())])

app = App(
    name="jobs",
    help_epilogue="Exit codes: 0 done, 1 refused or unreachable, 2 wrong usage. `watch --help` has them all.",
    default_parameter=Parameter(show_default=lambda default: default or None),
    config=(),  # settings of the server are not ours: THINGJOBS_… and thingjobs.toml are not read
)

JobId = Annotated[str, Parameter(help="The job's id.")]
Json = Annotated[bool, Parameter(help="Print what the AWS API answers, as JSON.", negative="")]
From = Annotated[Connection, Parameter(name="*")]
Interval = Annotated[
    float, Parameter(help="Seconds between two looks.", validator=validators.Number(gte=0.05))
]
Limit = Annotated[
    int | None, Parameter(help="At most so many; else all.", validator=validators.Number(gte=1))
]
HERE = Connection()


@app.command(help_epilogue=_CODES)
@reported
def create(
    job_id: Annotated[str | None, Parameter(help="Its id; may be in --cli-input-json instead.")] = None,
    /,
    *,
    new: Annotated[new_job.NewJob, Parameter(name="*")] = new_job.NewJob(),  # noqa: B008  # frozen
    watch: Annotated[bool, Parameter(help="Then go on as `thingjobs jobs watch`.", negative="")] = False,
    json: Json = False,
    connection: From = HERE,
) -> None:
    """Create a job for things and thing groups.

    For one thing:

        thingjobs jobs create blink --target lamp-1 --document '{"blink": 3}'

    For a group, a hundred things per minute, canceled if a fifth of them fails; wait for the end:

        thingjobs jobs create update-7 --target group:lamps \\
            --document-file update.json --rate 100 --timeout 30 \\
            --retry FAILED:2 --abort FAILED:20%:10 --watch

    Growing rates and maintenance windows are given with --cli-input-json.
    """
    service = Service(connection)
    if new.document_file == STDIN == new.cli_input_json:
        raise WrongUsage("Only one of --document-file and --cli-input-json can be standard input.")
    given = {} if new.cli_input_json is None else _members(_text(new.cli_input_json), new.cli_input_json)
    resolvers = new_job.Resolvers(
        lambda target: names.target_arn(service, target),
        lambda template: names.template_arn(service, template),
        _text,
    )
    answer = service.ask("create_job", **new_job.members(job_id, new, given, resolvers))
    if json:
        output.print_json(answer, indent=None if watch else 2)
    else:
        print(f"Created {answer['jobArn']}", flush=True)
    if watch:
        raise SystemExit(_watch(service, answer["jobId"], 1.0, None, json=json))


@app.command(name="list")
@reported
def list_(
    *,
    status: Annotated[JobStatus | None, Parameter(help="Only jobs in this state.")] = None,
    group: Annotated[str | None, Parameter(help="Only jobs that target this thing group.")] = None,
    target_selection: Annotated[TargetSelection | None, Parameter(help="Only such jobs.")] = None,
    limit: Limit = None,
    json: Json = False,
    connection: From = HERE,
) -> None:
    """List jobs, the newest first.

    For example:

        thingjobs jobs list --status in-progress
        thingjobs jobs list --group lamps --limit 10

    Times are UTC, as everywhere here.
    """
    pages = Service(connection).pages(
        "list_jobs",
        "jobs",
        limit=limit,
        status=status,
        thingGroupName=group and group.removeprefix(names.GROUP),
        targetSelection=target_selection,
    )
    console = output.Output()
    if json:
        output.print_json({"jobs": list(itertools.chain.from_iterable(pages))})
    else:
        _print_tables(console, views.job_tables(pages, console.width), "No jobs.")


@app.command
@reported
def show(
    job_id: JobId,
    /,
    *,
    follow: Annotated[
        bool, Parameter(help="Show its progress until it is over, on a terminal.", negative="")
    ] = False,
    interval: Interval = 1.0,
    json: Json = False,
    connection: From = HERE,
) -> None:
    """Show a job: how far it is, what was ordered, when and why it ended.

    For example:

        thingjobs jobs show update-7 --follow

    Counters are those of the service: each retry counts as another execution.
    """
    if follow and json:
        raise WrongUsage("For JSON until the end, say: thingjobs jobs watch --json")
    service = Service(connection)
    answer = service.ask("describe_job", jobId=job_id)
    tags = service.ask("list_tags_for_resource", resourceArn=answer["job"]["jobArn"]).get("tags", [])
    if json:
        output.print_json({**answer, "tags": tags})
        return
    console = output.Output()
    if not follow:
        console.print(views.page(answer, tags))
    elif console.is_terminal:
        with Live(views.page(answer, tags), console=console, auto_refresh=False) as live:
            for answer in changes(service, job_id, interval=interval):
                live.update(views.page(answer, tags), refresh=True)
    else:
        console.print(views.page(answer, tags))
        _print_changes(changes(service, job_id, interval=interval))


@app.command(help_epilogue=_CODES)
@reported
def watch(
    job_id: JobId,
    /,
    *,
    interval: Interval = 1.0,
    timeout: Annotated[
        float | None,
        Parameter(help="Give up after so many seconds.", validator=validators.Number(gte=0)),
    ] = None,
    json: Annotated[
        bool, Parameter(help="One JSON object per line for every change: DescribeJob's answer.", negative="")
    ] = False,
    connection: From = HERE,
) -> None:
    """Watch a job until it is over; the exit code says how it ended.

    Shows live progress on a terminal, else a line for every change.

        thingjobs jobs watch update-7 --timeout 3600 && echo everywhere

    A retry counts as another execution: a job whose retries went well ends with 3. A continuous job is over
    when it is canceled or reaches its end time.
    """
    raise SystemExit(_watch(Service(connection), job_id, interval, timeout, json=json))


@app.command
@reported
def cancel(
    job_id: JobId,
    /,
    *,
    force: Annotated[bool, Parameter(help="Also where it is in progress.", negative="")] = False,
    reason_code: Annotated[str | None, Parameter(help="Why, in capitals: ROLLED_BACK.")] = None,
    comment: Annotated[str | None, Parameter(help="Why, in words.")] = None,
    json: Json = False,
    connection: From = HERE,
) -> None:
    """Cancel a job. Things that work on it may finish, unless you say --force.

    For example:

        thingjobs jobs cancel update-7 --force --reason-code BAD_RELEASE

    What is queued is canceled in any case.
    """
    service = Service(connection)
    answer = service.ask(
        "cancel_job", jobId=job_id, force=force or None, reasonCode=reason_code, comment=comment
    )
    if json:
        output.print_json(answer)
        return
    job = service.ask("describe_job", jobId=job_id)["job"]
    print(f"Canceled {job_id}: {words.tally(counts(job))}.")


@app.command
@reported
def executions(
    job_id: JobId,
    /,
    *,
    status: Annotated[ExecutionStatus | None, Parameter(help="Only executions in this state.")] = None,
    thing: Annotated[
        str | None, Parameter(help="Only this thing's, with the details that it reported.")
    ] = None,
    limit: Limit = None,
    json: Json = False,
    connection: From = HERE,
) -> None:
    """List the executions of a job: how it went on each thing.

    For example:

        thingjobs jobs executions update-7 --status failed
        thingjobs jobs executions update-7 --thing lamp-1

    With --thing, each attempt is shown on its own.
    """
    service = Service(connection)
    if thing is not None:
        _show_thing(service, job_id, thing, status, limit, json=json)
        return
    entries = "executionSummaries"
    pages = service.pages("list_job_executions_for_job", entries, limit=limit, jobId=job_id, status=status)
    console = output.Output()
    if json:
        output.print_json({entries: list(itertools.chain.from_iterable(pages))})
    else:
        _print_tables(console, views.execution_tables(pages, console.width), "No executions.")


@app.command
@reported
def document(
    job_id: JobId,
    /,
    *,
    before_substitution: Annotated[
        bool, Parameter(help="With its placeholders for parameters, as they were given.", negative="")
    ] = False,
    raw: Annotated[bool, Parameter(help="Exactly as stored, on a terminal too.", negative="")] = False,
    json: Json = False,
    connection: From = HERE,
) -> None:
    """Print a job's document: as stored, or indented on a terminal.

    For example:

        thingjobs jobs document update-7 | jq .version

    Into a pipe or a file it goes unchanged.
    """
    answer = Service(connection).ask(
        "get_job_document", jobId=job_id, beforeSubstitution=before_substitution or None
    )
    text = answer.get("document", "")
    console = output.Output()
    if json:
        output.print_json(answer)
    elif console.is_terminal and not raw:
        console.print(views.document(text))
    else:
        print(text, flush=True)


def _watch(service: Service, job_id: str, interval: float, timeout: float | None, *, json: bool) -> Exit:
    """Show a job's changes until its end, and tell how it ended. Errors: those of ``changes``."""
    console = output.Output()
    seen = changes(service, job_id, interval=interval, timeout=timeout)
    if json:
        for answer in seen:
            output.print_line(answer)
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for answer in seen:
                live.update(views.progress(answer["job"]), refresh=True)
    else:
        answer = _print_changes(seen)
    ended = verdict(answer["job"])
    assert ended is not None
    return ended


def _print_changes(seen: Iterator[Members]) -> Members:
    """Print a line for every change that people care for; the last answer."""
    said = ""
    for answer in seen:
        job = answer["job"]
        if (line := words.course(job, counts(job))) != said:
            said = line
            print(f"{datetime.now(UTC):%H:%M:%S}Z {job['jobId']} {line}", flush=True)
    return answer


def _show_thing(
    service: Service,
    job_id: str,
    thing: str,
    status: ExecutionStatus | None,
    limit: int | None,
    *,
    json: bool,
) -> None:
    found = []
    for entry in itertools.chain.from_iterable(
        service.pages(
            "list_job_executions_for_thing",
            "executionSummaries",
            limit=limit,
            thingName=thing,
            jobId=job_id,
            status=status,
        )
    ):
        summary = entry["jobExecutionSummary"]
        number = summary["executionNumber"]
        described = service.ask(
            "describe_job_execution", thingName=thing, jobId=job_id, executionNumber=number
        )["execution"]
        found.append({**described, "retryAttempt": summary.get("retryAttempt", 0)})
    if not found:  # the list of a job that does not exist is empty, too
        service.ask("describe_job_execution", thingName=thing, jobId=job_id)
    if json:
        output.print_json({"executions": found})
        return
    console = output.Output()
    for number, execution in enumerate(found):
        console.print(*[""] * (number > 0), views.execution_page(execution), sep="\n")
    if not found:
        print("No executions.")


def _print_tables(console: output.Output, tables: Iterator[Table], nothing: str) -> None:
    rows = 0
    for table in tables:
        rows += table.row_count
        if table.row_count:
            console.print(table)
    if not rows:
        print(nothing)


def _text(path: Path) -> str:
    """Errors: WrongUsage."""
    try:
        return (sys.stdin.buffer.read() if path == STDIN else path.read_bytes()).decode("utf-8")
    except UnicodeDecodeError:
        raise WrongUsage(f"{path}: not UTF-8.") from None
    except OSError as error:
        raise WrongUsage(f"{path}: {error.strerror}.") from None


def _members(text: str, path: Path) -> dict[str, Any]:
    """Errors: WrongUsage for what is no JSON object."""
    try:
        value = jsons.loads(text)
    except ValueError as error:
        raise WrongUsage(f"--cli-input-json {path}: {error}") from None
    if not isinstance(value, dict):
        raise WrongUsage(f"--cli-input-json {path}: must be a JSON object.")
    return value
