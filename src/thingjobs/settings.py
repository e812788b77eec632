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

S3Buckets = Annotated[
    tuple[str, ...],
    Parameter(
        help="Buckets that may be read and signed for; * and ? stand for any characters.",
        negative="",
        consume_multiple=True,
    ),
]
S3PrivateNetwork = Annotated[
    bool,
    Parameter(help="The storage may have a loopback or private address.", negative="--no-s3-private-network"),
]


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
    path_prefix: Annotated[
        str | None,
        Parameter(help="In front of every path of the AWS API, as in --endpoint-url http://host/prefix."),
    ] = None
    quota: Annotated[
        dict[str, int],
        Parameter(help="Override a resource quota: --quota.active_snapshot_jobs 500.", negative=""),
    ] = field(default_factory=dict)
    shape_limit: Annotated[
        dict[str, int],
        Parameter(help="Override a limit of requests: --shape-limit.JobDocument 65536.", negative=""),
    ] = field(default_factory=dict)
    rate: Annotated[
        dict[str, int],
        Parameter(help="Override a request rate, per second: --rate.CreateJob 50.", negative=""),
    ] = field(default_factory=dict)
    mqtt_limit: Annotated[
        dict[str, int],
        Parameter(help="Override a limit of MQTT: --mqtt-limit.max_subscriptions 100.", negative=""),
    ] = field(default_factory=dict)
    s3_endpoint: Annotated[
        str | None,
        Parameter(help="URL of the storage that documentSource is read from; without it nothing is read."),
    ] = None
    s3_device_endpoint: Annotated[
        str | None,
        Parameter(help="URL that presigned URLs begin with, if devices reach the storage by another name."),
    ] = None
    s3_region: Annotated[
        str | None,
        Parameter(help="Region that requests to the storage are signed for; by default --region."),
    ] = None
    s3_credentials: Annotated[
        Path | None,
        Parameter(help="TOML file: who reads documents, and who signs URLs for which role."),
    ] = None
    s3_timeout: Annotated[
        float,
        Parameter(
            help="Seconds that reading a document may take in all.",
            validator=validators.Number(gte=0.1, lte=60),
        ),
    ] = 5.0
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
    s3_buckets: S3Buckets = ("*",)
    s3_private_network: S3PrivateNetwork = True


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
    s3_buckets: S3Buckets = ()
    s3_private_network: S3PrivateNetwork = False
