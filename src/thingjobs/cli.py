"""The command line: dev, serve, env, keys, forecast, simulate, jobs."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import uvloop
from cyclopts import App, Parameter
from cyclopts.config import Env, Toml
from rich.console import Console

from thingjobs import __version__, bootstrap, forecast_view, logs
from thingjobs.auth.keys import (
    DEFAULT_ACCOUNT,
    FILE_NAME,
    AccessKeyNotFound,
    AccessKeysUnusable,
    Role,
)
from thingjobs.domain.errors import ServiceError
from thingjobs.domain.forecast import DEFAULT_MAX_MINUTES
from thingjobs.operations.forecasts import make_forecast
from thingjobs.settings import DevSettings, ServeSettings
from thingjobs.simulate import command as simulation
from thingjobs.simulate.options import Options
from thingjobs.store.migrate import SchemaTooNew
from thingjobs.store.sqlite import DataDirectoryInUse, StoreUnusable

app = App(
    name="thingjobs",
    help="A self-hosted, wire-compatible AWS IoT Jobs service.",
    version=__version__,
    config=[Env("THINGJOBS_", command=False), Toml("thingjobs.toml", allow_unknown=True)],
)
keys = App(name="keys", help="Access keys that may call `thingjobs serve`.")
app.command(keys)
# By its name, so that a server starts without botocore.
app.command(
    "thingjobs.jobs_cli.commands:app",
    name="jobs",
    help="Create, watch and cancel jobs on a running server, over the AWS API.",
)

Data = Annotated[Path, Parameter(help="Data directory of the server.")]


@app.command
def dev(settings: Annotated[DevSettings, Parameter(name="*")] = DevSettings()) -> None:  # noqa: B008  # frozen
    """Run for development: loopback only, any credentials accepted, nothing verified."""
    lines = logs.configure(settings.log_level, settings.log_format)
    _run(bootstrap.run_dev(settings, lines))


@app.command
def serve(settings: Annotated[ServeSettings, Parameter(name="*")] = ServeSettings()) -> None:  # noqa: B008  # frozen
    """Run for production: every request must be signed with an access key of this server."""
    lines = logs.configure(settings.log_level, settings.log_format)
    _run(bootstrap.run_serve(settings, lines))


@app.command
def env(
    data: Data = Path("data"),
    http_port: Annotated[int, Parameter(help="Port of the server's HTTP API.")] = 8080,
    region: Annotated[str, Parameter(help="Region to sign for.")] = "us-east-1",
) -> None:
    """Print the exports that point the AWS CLI and SDKs at this server: eval "$(thingjobs env)"."""
    if not (data / FILE_NAME).exists():
        _fail(f"{data} has no access keys. Start the server first, or name its data directory with --data.")
    key = bootstrap.access_keys(data).ensure_admin(_now())
    if key is None:
        _fail("Every admin key is disabled. Make one: thingjobs keys create --role admin")
    for name, value in (
        ("AWS_ACCESS_KEY_ID", key.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", key.secret),
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{http_port}"),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),  # boto3 and version 1 of the CLI read no other
    ):
        print(f"export {name}={shlex.quote(value)}")
    print("unset AWS_SESSION_TOKEN")  # with one, every request would be refused


@app.command
def forecast(
    job: Annotated[Path, Parameter(help="JSON file with the members of CreateJob (--cli-input-json form).")],
    things: Annotated[int, Parameter(help="How many things the job would go to.")],
    success_rate: Annotated[
        float | None, Parameter(help="Percent of executions that succeed; by default all that do not fail.")
    ] = None,
    failure_rate: Annotated[
        float | None,
        Parameter(
            help="Percent of executions that fail; by default all that do not succeed, and none if neither "
            "rate is given. If both are, the rest never report."
        ),
    ] = None,
    success_seconds: Annotated[int, Parameter(help="Seconds until a success is reported.")] = 60,
    failure_seconds: Annotated[int, Parameter(help="Seconds until a failure is reported.")] = 60,
    max_minutes: Annotated[int, Parameter(help="Minutes to look ahead.")] = DEFAULT_MAX_MINUTES,
    json: Annotated[bool, Parameter(help="Print JSON for machines.", negative="")] = False,
) -> None:
    """Show how a job would go, minute by minute, by the rules that would run it; nothing is created."""
    answer = make_forecast(
        {
            "job": msgspec.json.decode(job.read_bytes()),
            "things": things,
            "successRate": success_rate,
            "failureRate": failure_rate,
            "successSeconds": success_seconds,
            "failureSeconds": failure_seconds,
            "maxMinutes": max_minutes,
        }
    )
    if json:
        print(msgspec.json.encode(answer).decode())
    else:
        forecast_view.show(Console(), answer, things)


@keys.command
def create(
    role: Annotated[Role, Parameter(help="What the key may do.")],
    data: Data = Path("data"),
    account: Annotated[str, Parameter(help="The account whose things and jobs it sees.")] = DEFAULT_ACCOUNT,
    description: Annotated[str, Parameter(help="Who or what the key is for.")] = "",
) -> None:
    """Make an access key and print it; the secret is shown only now."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = bootstrap.access_keys(data).create(
        role=role, now_ms=_now(), account=account, description=description
    )
    print(f"AccessKeyId     {key.access_key_id}\nSecretAccessKey {key.secret}")


@keys.command(name="list")
def list_(data: Data = Path("data")) -> None:
    """List the access keys, without their secrets."""
    for key in bootstrap.access_keys(data).list():
        made = datetime.fromtimestamp(key.created_at / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
        state = "disabled" if key.disabled else "enabled"
        print(f"{key.access_key_id}  {key.role:9}  {state:8}  {key.account}  {made}  {key.description}")


@keys.command
def disable(access_key_id: str, data: Data = Path("data")) -> None:
    """Refuse an access key from now on; a running server follows within a second."""
    bootstrap.access_keys(data).disable(access_key_id)
    print(f"{access_key_id} is disabled.")


@app.command(default_parameter=Parameter(show_env_var=False))
def simulate(options: Annotated[Options, Parameter(name="*")] = Options()) -> None:  # noqa: B008  # frozen
    """Run virtual devices over MQTT: they take jobs, work, report, fail and reboot, as asked.

    Each device connects to a running `thingjobs dev`, listens for its next job, works on it for a while with
    reports of progress, and reports the outcome. For example, against `thingjobs dev` with its defaults:

        thingjobs simulate --devices 200 --create --group lamps --failure-rate 0.1 --disconnect-rate 0.2

    Then create a job for the thing group `lamps` and watch. The summary tells the outcomes, how long requests
    took to be answered, and jobs to be told of (null if the HTTP API cannot be asked or keeps another clock).
    Exit status: 0, or 1 if the server refused a request or left it unanswered.
    """
    raise SystemExit(uvloop.run(simulation.simulate(options)))


def main() -> None:
    """The program. Expected failures are one line on standard error and exit status 1."""
    try:
        app()
    except (
        bootstrap.Refused,
        DataDirectoryInUse,
        SchemaTooNew,
        StoreUnusable,
        AccessKeysUnusable,
        AccessKeyNotFound,
        ServiceError,
        *simulation.Failed,
        msgspec.DecodeError,
        ValueError,
        OSError,
    ) as error:
        _fail(str(error))


def _run(server: object) -> None:
    assert asyncio.iscoroutine(server)
    uvloop.run(server)


def _fail(message: str) -> NoReturn:
    print(f"thingjobs: {message}", file=sys.stderr)
    raise SystemExit(1)


def _now() -> int:
    return time.time_ns() // 1_000_000
