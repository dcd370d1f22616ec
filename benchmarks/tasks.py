"""Predictions through the queue against the floor: 32 callers who wait, and one alone. PostgreSQL and RabbitMQ are
started for it; both sides use the same ones, in turns, and all cores.

Rowcast is measured over HTTP from a driver outside, the floor from within: what HTTP costs is on Rowcast's side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load import Load, drive, require_driver
from benchmarks.predict import MODEL, rows_of, train
from benchmarks.servers import rowcast
from rowcast.client import Client

CALLERS = 32
SECONDS = 6
ROUNDS = 3


def run() -> tuple[list[str], str]:
    """The lines of a Markdown table, and one line with the ratios."""
    require_driver()
    with tempfile.TemporaryDirectory() as name, _services() as (postgres, rabbit):
        folder = Path(name)
        settings = {"ROWCAST_DATABASE_URL": postgres.create_database(), "ROWCAST_BROKER_URL": rabbit.create_vhost()}
        everywhere = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        with rowcast(folder / "data", everywhere, settings=settings) as server:
            bundle = train(server.client, folder)
            floor = _Floor(bundle, folder, postgres.create_database(), rabbit.create_vhost())
            busy, alone = [], []
            for _ in range(ROUNDS):
                busy.append((floor.measure(CALLERS), _drive(server.client, server.key, bundle, everywhere, CALLERS)))
                alone.append((floor.measure(1), _drive(server.client, server.key, bundle, everywhere, 1)))
    return _table(busy, alone), _ratios(busy, alone)


Rounds = list[tuple[tuple[float, float], Load]]
"""Of each round the floor's rate and median in milliseconds, and Rowcast's figures."""


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


def _drive(client: Client, key: str, bundle: Path, cores: str, callers: int) -> Load:
    body = json.dumps({"kind": "predict", "model": MODEL, "rows": rows_of(bundle)[:1]}).encode()
    before = _succeeded(client)
    load = drive(
        f"{client.url}/api/v1/tasks",
        body,
        cores=cores,
        connections=callers,
        seconds=SECONDS,
        key=key,
        headers={"Prefer": "wait=20"},
    )
    if load.failed > callers or not _succeeded(client) > before:
        raise SystemExit(f"{load.failed} tasks were not answered with their result")
    return load


def _succeeded(client: Client) -> str:
    """The newest task that succeeded."""
    found = client.tasks.list(state="succeeded", kind="predict", limit=1)
    return found[0].id if found else ""


def _table(busy: Rounds, alone: Rounds) -> list[str]:
    lines = [
        "| callers | floor, tasks/s | Rowcast | ratio | floor, median ms | Rowcast |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for callers, rounds in ((CALLERS, busy), (1, alone)):
        rates = median(bare[0] for bare, _ in rounds), median(ours.rate for _, ours in rounds)
        times = median(bare[1] for bare, _ in rounds), median(ours.median_ms for _, ours in rounds)
        figures = f"{rates[0]:,.0f} | {rates[1]:,.0f} | {_ratio(rounds):.2f} | {times[0]:.2f} | {times[1]:.2f}"
        lines.append(f"| {callers} | {figures} |")
    return lines


def _ratio(rounds: Rounds) -> float:
    return median(ours.rate / bare[0] for bare, ours in rounds)


def _ratios(busy: Rounds, alone: Rounds) -> str:
    lone = median(ours.median_ms for _, ours in alone)
    return f"tasks/floor={_ratio(busy):.2f} lone_ms={lone:.1f}"
