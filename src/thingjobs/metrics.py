"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from thingjobs.mqtt.hub import Hub
from thingjobs.store.store import Store

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """Counters of this server; several servers in one process do not share them.

    ``lines_lost``: how many lines of the log could not be written so far.
    """

    def __init__(self, store: Store, hub: Hub, lines_lost: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_StoreCollector(store))
        self._registry.register(_MqttCollector(hub))
        self._registry.register(_LogCollector(lines_lost))
        self._requests = Counter(
            "thingjobs_requests_total",
            "Requests answered, by operation and HTTP status.",
            ("plane", "operation", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "thingjobs_request_seconds",
            "Time from the complete request to its answer.",
            ("plane",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._series: dict[tuple[str, str, int], Counter] = {}
        self._histograms = {plane: self._seconds.labels(plane) for plane in ("control", "device", "none")}

    def answered(self, plane: str, operation: str, status: int, seconds: float) -> None:
        key = (plane, operation, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._requests.labels(plane, operation, str(status))
        series.inc()
        self._histograms[plane].observe(seconds)

    def text(self) -> bytes:
        """All of it in the Prometheus text format."""
        return generate_latest(self._registry)


class _StoreCollector(Collector):
    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterable[Metric]:
        for worker, totals in zip(("writer", "reader"), self._store.statistics, strict=True):
            for name, text, value in (
                ("batches", "Transactions run.", totals.batches),
                ("operations", "Pieces of work done in them.", totals.operations),
                ("failed_batches", "Transactions that the disk or database refused.", totals.failed_batches),
                ("busy_seconds", "Time spent in them.", totals.seconds_busy),
            ):
                yield CounterMetricFamily(f"thingjobs_{worker}_{name}", text, value)


class _MqttCollector(Collector):
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        totals = self._hub.statistics
        yield GaugeMetricFamily("thingjobs_mqtt_connections", "Open connections.", totals.connections)
        yield GaugeMetricFamily(
            "thingjobs_mqtt_sessions", "Clients, asleep ones too.", len(self._hub.clients)
        )
        for name, text, value in (
            ("connects", "Connections accepted.", totals.accepted),
            ("requests", "Requests to the Jobs service.", totals.requests),
            ("messages", "Messages of clients on ordinary topics.", totals.published),
            ("notices", "Changes of pending lists told.", totals.notified),
            ("evictions", "Clients given up because they did not read or acknowledge.", totals.evicted),
        ):
            yield CounterMetricFamily(f"thingjobs_mqtt_{name}", text, value)


class _LogCollector(Collector):
    def __init__(self, lines_lost: Callable[[], int]) -> None:
        self._lines_lost = lines_lost

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "thingjobs_log_lines_lost", "Lines that could not be written.", self._lines_lost()
        )
