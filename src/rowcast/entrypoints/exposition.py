"""The figures in Prometheus's text format: what this server has counted, and how its queue and services are now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any, Protocol

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from rowcast import __version__
from rowcast.entrypoints.measures import BOUNDS, NOW, Figures, Measures
from rowcast.errors import Conflict, Unavailable
from rowcast.tables import Database
from rowcast.tasks.figures import lane_figures
from rowcast.tasks.handlers import BATCH, DATA, PREDICT, TRAIN
from rowcast.tasks.ports import Lanes
from rowcast.tasks.views import LaneFigures

LANES = (PREDICT, DATA, TRAIN, BATCH)
LOOK_SECONDS = 4.0
"""A scraper waits for ten: a service that hangs must not take the other figures with it."""


class Pinged(Protocol):
    def ping(self) -> None: ...


class Metrics(Protocol):
    """What a door shows."""

    def text(self, accept: str) -> tuple[str, str]:
        """The figures in the form that an Accept header asks for, and its content type."""
        ...


class Exposition:
    """The figures of the server that this process leads."""

    def __init__(self, measures: Measures, database: Database, broker: Lanes, storage: Pinged) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(_Counted(measures))
        self.registry.register(_Looked(database, broker, storage))

    def text(self, accept: str) -> tuple[str, str]:
        encode, content_type = choose_encoder(accept)
        return encode(self.registry).decode(), content_type


@contextmanager
def served(registry: CollectorRegistry, host: str, port: int) -> Iterator[None]:
    """Answer everybody who asks for the figures at that port.

    Raises:
        Conflict: something else has the port, or the address is not this machine's.
    """
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise Conflict(
            "metrics_port_taken",
            f"Cannot serve figures on {host}:{port}: {error.strerror}. Choose another ROWCAST_METRICS_PORT: processes "
            "on one machine need one each.",
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Counted(Collector):
    """What the processes have counted."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures

    def collect(self) -> Iterator[Metric]:
        figures = self._measures.all()
        yield _info()
        yield from _requests(figures)
        yield _attempts(figures)
        for name, (value,) in sorted(figures.get("totals", {}).items()):
            yield CounterMetricFamily(f"rowcast_{name}", _TOTALS[name], value)
        for name, (value,) in sorted(figures.get(NOW, {}).items()):
            yield GaugeMetricFamily(f"rowcast_{name}", _PRESENT[name], value)


class _Looked(Collector):
    """What the database and the broker say now. A part that does not answer in time is down and its figures are
    missing."""

    def __init__(self, database: Database, broker: Lanes, storage: Pinged) -> None:
        self._database = database
        self._looks = _Looks({"database": self._lanes, "broker": lambda: _broker(broker), "storage": storage.ping})

    def collect(self) -> Iterator[Metric]:
        found = self._looks.now()
        up = GaugeMetricFamily("rowcast_up", "Whether a part that is needed answers.", labels=["part"])
        for part, (answers, _) in sorted(found.items()):
            up.add_metric([part], float(answers))
        yield up
        yield from _queue(found["database"][1] or [])
        depths, dead = found["broker"][1] or ({}, None)
        messages = GaugeMetricFamily("rowcast_messages", "Messages that no worker has yet.", labels=["lane"])
        for lane, count in sorted(depths.items()):
            messages.add_metric([lane], count)
        yield messages
        if dead is not None:
            yield GaugeMetricFamily("rowcast_dead_letters", "Messages that no worker could do anything with.", dead)

    def _lanes(self) -> list[LaneFigures]:
        with self._database.reading() as session:
            return lane_figures(session)


class _Looks:
    """Looks at several things at the same time, each at most once at a time, and waits for none of them for long."""

    def __init__(self, looks: Mapping[str, Callable[[], Any]]) -> None:
        self._looks = looks
        self._running: dict[str, Future[Any]] = {}
        self._turn = threading.Lock()

    def now(self) -> dict[str, tuple[bool, Any]]:
        """Of each whether it could be seen, and what was seen."""
        with self._turn:
            running = {name: self._begun(name) for name in self._looks}
        wait(running.values(), timeout=LOOK_SECONDS)
        return {name: _outcome(future) for name, future in running.items()}

    def _begun(self, name: str) -> Future[Any]:
        future = self._running.get(name)
        if future is None or future.done():
            future = self._running[name] = Future()
            threading.Thread(target=_do, args=(self._looks[name], future), name=f"look-{name}", daemon=True).start()
        return future


def _do(look: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(look())
    except BaseException as error:  # noqa: BLE001  (whoever waits is told)
        future.set_exception(error)


def _outcome(future: Future[Any]) -> tuple[bool, Any]:
    if not future.done():
        return False, None
    try:
        return True, future.result()
    except Unavailable:
        return False, None


def _broker(broker: Lanes) -> tuple[dict[str, int], int]:
    return broker.depths(), broker.dead_count()


def _info() -> Metric:
    build = GaugeMetricFamily("rowcast_build_info", "The version that runs.", labels=["version"])
    build.add_metric([__version__], 1)
    return build


def _requests(figures: Figures) -> Iterator[Metric]:
    count = CounterMetricFamily("rowcast_requests", "Calls that were answered.", labels=["operation", "status"])
    meaning = "Time until an answer began, waits that were asked for included."
    took = HistogramMetricFamily("rowcast_request_seconds", meaning, labels=["operation"])
    by_operation: dict[str, list[float]] = {}
    for key, seen in sorted(figures["requests"].items()):
        status, _, operation = key.partition(" ")
        count.add_metric([operation, status], sum(seen[:-1]))
        before = by_operation.get(operation)
        by_operation[operation] = seen if before is None else [x + y for x, y in zip(before, seen, strict=True)]
    for operation, seen in by_operation.items():
        took.add_metric([operation], list(_cumulated(seen[:-1])), seen[-1])
    return iter((count, took))


def _cumulated(counts: Iterable[float]) -> Iterator[tuple[str, float]]:
    total = 0.0
    for bound, seen in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
        total += seen
        yield bound, total


def _attempts(figures: Figures) -> Metric:
    ended = CounterMetricFamily(
        "rowcast_task_attempts", "Attempts at tasks that ended in this process.", labels=["kind", "outcome"]
    )
    for key, (count,) in sorted(figures["attempts"].items()):
        ended.add_metric(key.split(" "), count)
    return ended


def _queue(found: Iterable[LaneFigures]) -> Iterator[Metric]:
    lanes = {lane: LaneFigures(lane=lane, queued=0, running=0, delayed=0, retried=0) for lane in LANES}
    lanes |= {figures.lane: figures for figures in found}
    tasks = GaugeMetricFamily("rowcast_tasks", "Tasks that have not ended.", labels=["lane", "state"])
    retried = GaugeMetricFamily("rowcast_tasks_retried", "Those that were started more than once.", labels=["lane"])
    oldest = GaugeMetricFamily("rowcast_oldest_queued_seconds", "Age of the oldest that is queued.", labels=["lane"])
    lease = GaugeMetricFamily(
        "rowcast_lease_seconds", "Until the first lease runs out; below 0 a worker is silent.", labels=["lane"]
    )
    for lane, figures in sorted(lanes.items()):
        tasks.add_metric([lane, "queued"], figures.queued - figures.delayed)
        tasks.add_metric([lane, "delayed"], figures.delayed)
        tasks.add_metric([lane, "running"], figures.running)
        retried.add_metric([lane], figures.retried)
        oldest.add_metric([lane], figures.oldest_seconds or 0)
        if figures.lease_seconds is not None:
            lease.add_metric([lane], figures.lease_seconds)
    return iter((tasks, retried, oldest, lease))


_TOTALS = {
    "receipts": "Predictions that are on record.",
    "journal_commits": "Transactions that put predictions on record; receipts by commits is the size of a group.",
}
_PRESENT = {
    "journal_waiting": "Calls that wait for their record.",
    "models_loaded": "Model versions in memory, of all processes together.",
    "database_connections_used": "Connections to the database that are in use.",
    "database_connections_open": "Connections to the database that are open.",
}
