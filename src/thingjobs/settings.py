"""What can be configured: one table, read from flags, environment, a file and defaults, in that order.

The fields of ``Settings`` are the table: name, type, default and help. ``docs/configuration.md`` shows the
same, and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

Port = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65_535))]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings that ``dev`` and ``serve`` share."""

    data: Annotated[Path, Parameter(help="Data directory; made if it does not exist.")] = Path("data")
    http_port: Annotated[Port, Parameter(help="Port of the HTTP API; 0 takes any free one.")] = 8080
    region: Annotated[
        str,
        Parameter(
            help="AWS region: in dev of requests that name none, in serve the one they are signed for."
        ),
    ] = "us-east-1"
    clock: Annotated[
        Literal["system", "manual"],
        Parameter(help="manual: time stands still until POST /-/clock/advance winds it."),
    ] = "system"
    readers: Annotated[
        int,
        Parameter(help="Threads that read the database.", validator=validators.Number(gte=1, lte=16)),
    ] = 2
    public_host: Annotated[
        str | None,
        Parameter(
            help="Host (and port) that DescribeEndpoint tells devices; by default the address listened on."
        ),
    ] = None
    quota: Annotated[
        dict[str, int],
        Parameter(help="Override a resource quota: --quota.active_snapshot_jobs 500.", negative=""),
    ] = field(default_factory=dict)
    rate: Annotated[
        dict[str, int],
        Parameter(help="Override a request rate, per second: --rate.CreateJob 50.", negative=""),
    ] = field(default_factory=dict)
    mqtt_limit: Annotated[
        dict[str, int],
        Parameter(help="Override a limit of MQTT: --mqtt-limit.max_subscriptions 100.", negative=""),
    ] = field(default_factory=dict)
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Parameter(help="debug also logs every request that changes nothing and every device's request."),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Parameter(help="auto: console on a terminal, else one JSON object per line."),
    ] = "auto"


@dataclass(frozen=True, kw_only=True)
class DevSettings(Settings):
    """Settings of `thingjobs dev`."""

    request_rates: Annotated[
        bool, Parameter(help="Enforce request rates.", negative="--no-request-rates")
    ] = False

    mqtt_port: Annotated[Port, Parameter(help="Port of MQTT without TLS; 0 takes any free one.")] = 1883


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Settings):
    """Settings of `thingjobs serve`."""

    request_rates: Annotated[
        bool, Parameter(help="Enforce request rates.", negative="--no-request-rates")
    ] = True

    http_host: Annotated[
        str,
        Parameter(help="Address to listen on; more than loopback needs --http-behind-tls."),
    ] = "127.0.0.1"
    http_behind_tls: Annotated[
        bool,
        Parameter(help="Something in front ends TLS, so plain HTTP beyond loopback is meant.", negative=""),
    ] = False
    regions: Annotated[
        tuple[str, ...],
        Parameter(
            help="Further regions that requests may be signed for.", negative="", consume_multiple=True
        ),
    ] = ()
    https_port: Annotated[
        Port | None, Parameter(help="Reserved for TLS with device certificates; refused by this version.")
    ] = None
    mqtts_port: Annotated[
        Port | None, Parameter(help="Reserved for MQTT over TLS; refused by this version.")
    ] = None
