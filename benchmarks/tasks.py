"""Predictions through the queue against the floor: 32 callers who wait, and one alone; in one process and in two, free
and paid. PostgreSQL and RabbitMQ are started for it; both sides use the same ones, in turns, and all cores.

Rowcast is measured over HTTP from a driver outside, the floor from within: what HTTP costs is on Rowcast's side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from benchmarks.load import Load, drive, require_driver
from benchmarks.predict import MODEL, rows_of, train
from benchmarks.servers import Server, rowcast
from rowcast.client import Client

CALLERS = 32
SECONDS = 6
ROUNDS = 3

Rounds = list[tuple[tuple[float, float], Load]]
"""Of each round the floor's rate and median in milliseconds, and Rowcast's figures."""


@dataclass(frozen=True)
class Shape:
    """The commands that serve together, with which settings, and for how many callers they are measured."""

    name: str
    commands: Sequence[str]
    callers: Sequence[int]
    settings: Mapping[str, str] = field(default_factory=dict)


PAID = {"ROWCAST_CREDITS": "paid", "ROWCAST_SIGN_UP_CREDITS": "1000000000000"}
SHAPES = (
    Shape("up", ["up"], [CALLERS, 1]),
    Shape("api and worker", ["api", "worker"], [CALLERS, 1]),
    Shape("up, paid", ["up"], [CALLERS], PAID),
    Shape("api and worker, paid", ["api", "worker"], [CALLERS], PAID),
)


def run() -> tuple[list[str], str]:
    """The lines of a Markdown table, and one line with the ratios."""
    require_driver()
    with tempfile.TemporaryDirectory() as name, _services() as (postgres, rabbit):
        folder = Path(name)
        services = {
            "ROWCAST_DATABASE_URL": postgres.create_database(),
            "ROWCAST_BROKER_URL": rabbit.create_vhost(),
            "ROWCAST_GRPC_PORT": "0",
        }
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        with rowcast(folder / "data", cores, settings=services) as server:
            bundle = train(server.client, folder)
        floor = _Floor(bundle, folder, postgres.create_database(), rabbit.create_vhost())
        measured: dict[tuple[str, int], Rounds] = {}
        for shape in SHAPES:
            settings = {**services, **shape.settings}
            with rowcast(folder / "data", cores, settings=settings, commands=shape.commands) as server:
                rowcast_itself = _Rowcast(server, bundle, cores)
                for callers in shape.callers:
                    rounds = [(floor.measure(callers), rowcast_itself.measure(callers)) for _ in range(ROUNDS)]
                    measured[shape.name, callers] = rounds
    return _table(measured), _ratios(measured)


class _Floor:
    """The bare loop, as one process and with a worker of its own: the quicker of the two counts."""

    def __init__(self, bundle: Path, folder: Path, postgres: str, rabbit: str) -> None:
        kinds = {
            feature["name"]: feature["kind"] for feature in json.loads((bundle / "schema.json").read_text())["features"]
        }
        row = rows_of(bundle)[0]
        plain = {name: 0 if kinds[name] == "date" else value for name, value in row.items()}
        self._body = folder / "floor.json"
        self._body.write_text(json.dumps({"rows": [plain]}))
        self._environment = os.environ | {"FLOOR_BUNDLE": str(bundle)}
        self._command = [sys.executable, "-m", "benchmarks.tasks_floor", postgres, rabbit, str(self._body)]

    def measure(self, callers: int) -> tuple[float, float]:
        return max(self._once(callers), self._once(callers, "apart"))

    def _once(self, callers: int, *how: str) -> tuple[float, float]:
        command = [*self._command, str(callers), str(SECONDS), *how]
        said = subprocess.run(command, env=self._environment, check=True, capture_output=True, text=True, timeout=120)
        rate, milliseconds = map(float, said.stdout.split())
        return rate, milliseconds


@contextmanager
def _services() -> Iterator[tuple[Any, Any]]:
    """A PostgreSQL and a RabbitMQ as the tests use them, with fsync on."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from services import PrivatePostgres, PrivateRabbit

    postgres, rabbit = PrivatePostgres().start(), PrivateRabbit().start()
    try:
        yield postgres, rabbit
    finally:
        postgres.remove()
        rabbit.remove()


class _Rowcast:
    """A server that is there, with the request that it is asked."""

    def __init__(self, server: Server, bundle: Path, cores: str) -> None:
        self._server = server
        self._cores = cores
        self._url = f"{server.client.url}/api/v1/tasks"
        self._body = json.dumps({"kind": "predict", "model": MODEL, "rows": rows_of(bundle)[:1]}).encode()
        sent = {"Authorization": f"Bearer {server.key}", "Prefer": "wait=60"}
        httpx2.post(self._url, content=self._body, headers=sent, timeout=70)  # once its worker is there

    def measure(self, callers: int) -> Load:
        client = self._server.client
        before = _succeeded(client)
        load = drive(
            self._url,
            self._body,
            cores=self._cores,
            connections=callers,
            seconds=SECONDS,
            key=self._server.key,
            headers={"Prefer": "wait=20"},
        )
        if load.failed > callers or not _succeeded(client) > before:
            raise SystemExit(f"{load.failed} tasks were not answered with their result")
        return load


def _succeeded(client: Client) -> str:
    """The newest task that succeeded."""
    found = client.tasks.list(state="succeeded", kind="predict", limit=1)
    return found[0].id if found else ""


def _table(measured: Mapping[tuple[str, int], Rounds]) -> list[str]:
    lines = [
        "| Rowcast as | callers | floor, tasks/s | Rowcast | ratio | floor, median ms | Rowcast |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (shape, callers), rounds in measured.items():
        rates = median(bare[0] for bare, _ in rounds), median(ours.rate for _, ours in rounds)
        times = median(bare[1] for bare, _ in rounds), median(ours.median_ms for _, ours in rounds)
        figures = f"{rates[0]:,.0f} | {rates[1]:,.0f} | {_ratio(rounds):.2f} | {times[0]:.2f} | {times[1]:.2f}"
        lines.append(f"| {shape} | {callers} | {figures} |")
    return lines


def _ratio(rounds: Rounds) -> float:
    return median(ours.rate / bare[0] for bare, ours in rounds)


def _ratios(measured: Mapping[tuple[str, int], Rounds]) -> str:
    """The lower of the two shapes, which both have to do."""
    free = min(_ratio(measured[shape, CALLERS]) for shape in ("up", "api and worker"))
    paid = min(_ratio(measured[shape, CALLERS]) for shape in ("up, paid", "api and worker, paid"))
    lone = max(median(ours.median_ms for _, ours in measured[shape, 1]) for shape in ("up", "api and worker"))
    return f"tasks/floor={free:.2f} paid/floor={paid:.2f} lone_ms={lone:.1f}"
