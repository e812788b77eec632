"""The only wiring: settings become a store, operations, an engine and a listening server."""

from __future__ import annotations

import asyncio
import re
import resource
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import msgspec
import structlog

from thingjobs.auth.keys import DEFAULT_ACCOUNT, FILE_NAME, AccessKeys
from thingjobs.auth.throttle import Throttle
from thingjobs.clock import Clock, ManualClock, SystemClock
from thingjobs.domain.effects import Effect
from thingjobs.domain.quotas import DEFAULT_QUOTAS, REQUEST_RATES, Quotas
from thingjobs.engine.engine import Engine
from thingjobs.engine.supervision import Supervisor
from thingjobs.http.admin import Admin
from thingjobs.http.app import App
from thingjobs.http.identity import AnyoneIdentity, Identity, SignedIdentity
from thingjobs.http.server import Server
from thingjobs.logs import Lines
from thingjobs.metrics import Metrics
from thingjobs.mqtt import revocation
from thingjobs.mqtt.access import ByRole, Principal
from thingjobs.mqtt.gateway import Gateway
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.websocket import MqttWebSocket
from thingjobs.operations.background import MANUAL_CLOCK
from thingjobs.operations.call import Endpoints
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.operations.notifications import Notifier
from thingjobs.operations.planes import ControlPlane, DevicePlane, Notifications
from thingjobs.s3.endpoint import InvalidEndpoint, is_region
from thingjobs.s3.roles import ANY_ROLE, CredentialsUnusable, Roles, read_roles
from thingjobs.s3.signing import Credentials
from thingjobs.s3.storage import Options, Storage
from thingjobs.settings import DevSettings, ServeSettings
from thingjobs.store.store import Store
from thingjobs.wire.operation import Plane
from thingjobs.wire.routes import OPERATIONS
from thingjobs.wire.shape_limits import ShapeLimits, upper_bounds

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SWITCH_INTERVAL_S = 0.001
"""How long one of the three kinds of thread may keep the others waiting for the interpreter."""
LARGEST_LIMIT = 2**31 - 1
"""Lengths and most numbers of the service model are 32-bit integers; days of that number are instants yet."""

PLACEHOLDER_CREDENTIALS = Credentials("thingjobs-dev", "thingjobs-dev")
"""What dev signs with when nothing is configured: URLs have their form, and no storage accepts them."""

log = structlog.get_logger()


class Refused(Exception):
    """The settings must not be served; the message says why."""


def access_keys(data: Path) -> AccessKeys:
    return AccessKeys(data / FILE_NAME)


async def run_dev(settings: DevSettings, lines: Lines) -> None:
    """Serve without security on loopback, until told to stop; ``lines`` is where the log goes."""
    access_keys(_made(settings.data)).ensure_admin(_now())
    identity = AnyoneIdentity(account=DEFAULT_ACCOUNT, region=settings.region)
    await _run(settings, lines, identity, "127.0.0.1", mqtt_port=settings.mqtt_port)


async def run_serve(settings: ServeSettings, lines: Lines) -> None:
    """Serve with every request's signature verified, until told to stop. Errors: Refused."""
    if settings.https_port is not None or settings.mqtts_port is not None:
        raise Refused(
            "--https-port and --mqtts-port: TLS listeners are not part of this version. "
            "Put a proxy that ends TLS in front of the HTTP port."
        )
    if settings.http_host not in LOOPBACK and not settings.http_behind_tls:
        raise Refused(
            f"--http-host {settings.http_host} would offer plain HTTP to the network. "
            "If something in front ends TLS, say so with --http-behind-tls."
        )
    keys = access_keys(_made(settings.data))
    keys.ensure_admin(_now())
    await _run(
        settings,
        lines,
        SignedIdentity(keys, region=settings.region, regions=settings.regions),
        settings.http_host,
        keys=keys,
    )


async def _run(
    settings: DevSettings | ServeSettings,
    lines: Lines,
    identity: Identity,
    host: str,
    *,
    mqtt_port: int | None = None,
    keys: AccessKeys | None = None,
) -> None:
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _allow_open_files()
    with closing(_listen(host, settings.http_port)) as http_listener:
        if mqtt_port is None:
            await _serve(settings, lines, identity, http_listener, None, keys)
            return
        with closing(_listen(host, mqtt_port)) as mqtt_listener:
            await _serve(settings, lines, identity, http_listener, mqtt_listener)


async def _serve(
    settings: DevSettings | ServeSettings,
    lines: Lines,
    identity: Identity,
    http_listener: socket.socket,
    mqtt_listener: socket.socket | None,
    keys: AccessKeys | None = None,
) -> None:
    address = _address(http_listener)
    path_prefix = _path_prefix(settings.path_prefix)
    quotas = _quotas(settings.quota)
    limits = _mqtt_limits(settings.mqtt_limit)
    shapes = _shape_limits(settings.shape_limit)
    throttle = Throttle(_rates(settings), time.monotonic)
    storage = _storage(settings, placeholder=isinstance(settings, DevSettings))
    clock: Clock = SystemClock() if settings.clock == "system" else ManualClock(0)
    engine = Engine(clock, quotas)
    documents = DeviceDocuments(storage)
    notifier = Notifier(documents, quotas)
    publishers: list[Callable[[Sequence[Effect]], None]] = [engine.publish]

    def publish(effects: Sequence[Effect]) -> None:
        for publisher in publishers:
            publisher(effects)

    store = Store(settings.data, now=clock.now, readers=settings.readers, publish=publish, follower=notifier)
    try:
        if isinstance(clock, ManualClock):
            stands_at = await store.read(lambda tx, _: tx.scopes.recall(MANUAL_CLOCK))
            clock.set(int(stands_at) if stands_at is not None else _now())
        host = settings.public_host or address
        device = DevicePlane(store, documents, quotas)
        hub = Hub(ByRole(), device, Notifications(store, notifier), throttle, clock.now, limits, shapes)
        publishers.append(hub.publish)
        gateway = Gateway(hub)
        metrics = Metrics(store, hub, lambda: lines.lost)
        app = App(
            identity=identity,
            store=store,
            control=ControlPlane(
                store,
                Endpoints(device=host, jobs=host, credentials=host),
                quotas,
                spread=not isinstance(clock, ManualClock),
                storage=storage,
            ),
            device=device,
            admin=Admin(
                identity=identity,
                store=store,
                clock=clock,
                engine=engine,
                metrics=metrics,
                quotas=quotas,
                shapes=shapes,
            ),
            mqtt=MqttWebSocket(hub),
            throttle=throttle,
            metrics=metrics,
            shapes=shapes,
            path_prefix=path_prefix,
        )
        mqtt = None
        if mqtt_listener is not None:
            scope = await store.scope(DEFAULT_ACCOUNT, settings.region)
            await gateway.listen(mqtt_listener, Principal(scope, "anonymous"))
            mqtt = _address(mqtt_listener)
        await storage.start()
        engine.start(store, hub.announce, hub.events_wanted)
        following = None
        if keys is not None:
            follow = partial(revocation.follow, keys, hub)
            following = asyncio.create_task(Supervisor().run("revocation", follow))
        log.info(
            "listening",
            http=f"http://{address}",
            mqtt=mqtt,
            data=str(settings.data),
            clock=clock.mode,
            open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        )
        await Server(app).serve(sockets=[http_listener])
        log.info("stopping")
        if following is not None:
            following.cancel()
        await gateway.close()
    finally:
        await storage.stop()
        await engine.stop()
        store.close()


def _storage(settings: DevSettings | ServeSettings, placeholder: bool) -> Storage:
    """S3 as configured; a ``placeholder`` without a credentials file signs for every role with made-up keys.

    Errors: Refused for an endpoint that is none, and for a credentials file that cannot be used.
    """
    if not is_region(settings.region):
        raise Refused(f"--region: {settings.region!r} is not the name of a region.")
    options = Options(
        region=settings.s3_region or settings.region,
        endpoint=settings.s3_endpoint,
        device_endpoint=settings.s3_device_endpoint,
        buckets=settings.s3_buckets,
        private_network=settings.s3_private_network,
        timeout=settings.s3_timeout,
    )
    roles = Roles(static={ANY_ROLE: PLACEHOLDER_CREDENTIALS} if placeholder else {})
    try:
        if settings.s3_credentials is not None:
            roles = read_roles(settings.s3_credentials)
        return Storage(options, roles)
    except CredentialsUnusable as error:
        raise Refused(f"--s3-credentials: {error}") from None
    except InvalidEndpoint as error:
        raise Refused(str(error)) from None


def _quotas(overrides: Mapping[str, int]) -> Quotas:
    """Errors: Refused for a quota that does not exist."""
    known = [each.name for each in fields(Quotas)]
    _check_overrides("quota", overrides, known)
    return replace(DEFAULT_QUOTAS, **overrides)


def _mqtt_limits(overrides: Mapping[str, int]) -> Limits:
    """Errors: Refused for a limit that does not exist."""
    _check_overrides("mqtt-limit", overrides, Limits.__struct_fields__)
    return msgspec.structs.replace(Limits(), **overrides)


def _shape_limits(overrides: Mapping[str, int]) -> ShapeLimits:
    """Errors: Refused for a shape without an upper bound, and for one below its lower bound."""
    known = upper_bounds()
    _check_overrides("shape-limit", overrides, list(known))
    for name, value in overrides.items():
        least = known[name].least
        if value < least:
            raise Refused(f"--shape-limit.{name} must be from {least} to {LARGEST_LIMIT}, not {value}.")
    return ShapeLimits(overrides)


def _rates(settings: DevSettings | ServeSettings) -> Mapping[str, int] | None:
    """Requests per second, None if they are not limited. Errors: Refused for an unknown operation."""
    control = (operation.name for operation in OPERATIONS if operation.plane is Plane.CONTROL)
    known = [*REQUEST_RATES, *control]
    _check_overrides("rate", settings.rate, known)
    return {**REQUEST_RATES, **settings.rate} if settings.request_rates else None


def _check_overrides(kind: str, overrides: Mapping[str, int], known: Sequence[str]) -> None:
    for name, value in overrides.items():
        if name not in known:
            raise Refused(f"--{kind}.{name}: there is no such {kind}.")
        if not 1 <= value <= LARGEST_LIMIT:
            raise Refused(f"--{kind}.{name} must be from 1 to {LARGEST_LIMIT}, not {value}.")


def _path_prefix(text: str | None) -> str:
    """Errors: Refused for what is no prefix of a path."""
    if text is None:
        return ""
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", text):
        raise Refused(f"--path-prefix {text}: it has the form /a or /a/b, without a slash at its end.")
    return text


def _allow_open_files() -> None:
    """Raise the limit on open files as far as it may be: each device is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems name a limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _listen(host: str, port: int) -> socket.socket:
    """Errors: Refused if the port is taken or not ours to take."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Refused(f"Cannot listen on {host} port {port}: {error.strerror}.") from None
    listener.listen(4096)
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = _name(listener.getsockname())
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _name(sockname: Sequence[object]) -> tuple[str, int]:
    host, port = sockname[:2]
    return str(host), int(str(port))


def _made(data: Path) -> Path:
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return data


def _now() -> int:
    return time.time_ns() // 1_000_000
