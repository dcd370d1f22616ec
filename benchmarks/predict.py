"""Predictions against the floor: one row and many, busy and alone, each round beside a round of the floor. Then what
reasons cost, and what a second process on a second core brings."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load import Load, drive, require_driver
from benchmarks.machine import cores
from benchmarks.servers import Server, floor, rowcast
from rowcast.client import Client

MODEL, TARGET = "sba_loans", "MIS_Status"
ROUNDS = 3


@dataclass(frozen=True)
class Case:
    """So many rows a call over so many connections, for so long."""

    name: str
    rows: int
    connections: int
    seconds: float


CASES = (
    Case("1 row, 16 connections", 1, 16, 5),
    Case("1 row, alone", 1, 1, 3),
    Case("1,000 rows, 4 connections", 1000, 4, 5),
)
REASONS = Case("1 row, 16 connections", 1, 16, 4)
PER_PROCESS = 16
"""Connections for each process that serves."""

Rounds = list[tuple[Load, Load]]
"""Of each round the two that are compared."""


def run() -> tuple[list[str], str]:
    """The lines of two Markdown tables, and one line with the ratios."""
    require_driver()
    server_core, driver_core = map(str, cores())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with rowcast(folder / "data", server_core) as server:
            bundle = train(server.client, folder)
            rows = rows_of(bundle)
            with floor(bundle, server_core, _free_port()) as floor_url:
                measured = {case: _measure(case, server, floor_url, rows, driver_core) for case in CASES}
            reasons = _measure_reasons(server, rows[:1], driver_core)
        shutil.copytree(folder / "data", folder / "copy")
        both = f"{server_core},{driver_core}"
        with rowcast(folder / "data", server_core) as one, rowcast(folder / "copy", both, processes=2) as two:
            scaled = _measure_processes((one, server_core), (two, both), rows[:1])
    return [*_table(measured), "", *_comparisons(reasons, scaled)], _ratios(measured, reasons, scaled)


def train(client: Client, folder: Path) -> Path:
    table = Path(str(files("rowcast.examples"))) / "sba_loans.csv"
    client.datasets.add(table, name=MODEL)
    client.train_and_wait(dataset=MODEL, target=TARGET, algorithms=["lightgbm"], folds=3)
    archive = client.models.export(MODEL, folder / "bundle.zip")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder / f"{MODEL}-1"


def rows_of(bundle: Path) -> list[dict[str, Any]]:
    """A thousand complete rows as typed JSON: what the floor can take too. Dates are days there, so they go as such."""
    golden = json.loads((bundle / "golden.json").read_text())["rows"]
    schema = json.loads((bundle / "schema.json").read_text())["features"]
    typical = {feature["name"]: feature["example"] for feature in schema}
    complete = [{name: typical[name] if row.get(name) is None else row[name] for name in typical} for row in golden]
    return (complete * (1000 // len(complete) + 1))[:1000]


def _measure(case: Case, server: Server, floor_url: str, rows: list[dict[str, Any]], core: str) -> Rounds:
    schema = {feature.name: feature.kind for feature in server.client.models.schema(MODEL).features}
    body = json.dumps({"rows": rows[: case.rows]}).encode()
    plain = [{name: 0 if schema[name] == "date" else value for name, value in row.items()} for row in rows[: case.rows]]
    floor_body = json.dumps({"rows": plain}).encode()
    rounds = []
    for _ in range(ROUNDS):
        bare = drive(floor_url, floor_body, cores=core, connections=case.connections, seconds=case.seconds)
        ours = _drive(server, body, core, case.connections, case.seconds)
        rounds.append((_sound(bare, case.connections), ours))
    return rounds


def _measure_reasons(server: Server, rows: list[dict[str, Any]], core: str) -> Rounds:
    """Calls without reasons, and the same calls with all of them."""
    plain, explained = json.dumps({"rows": rows}).encode(), json.dumps({"rows": rows, "explain": True}).encode()
    case = REASONS
    return [
        (
            _drive(server, plain, core, case.connections, case.seconds),
            _drive(server, explained, core, case.connections, case.seconds),
        )
        for _ in range(ROUNDS)
    ]


def _measure_processes(one: tuple[Server, str], two: tuple[Server, str], rows: list[dict[str, Any]]) -> Rounds:
    """One process on one core, and two on two. The driver has no core of its own here: it runs on those of the server
    that it drives, so that in both everything there is shares the cores."""
    body = json.dumps({"rows": rows}).encode()
    return [
        (
            _drive(one[0], body, one[1], PER_PROCESS, 5),
            _drive(two[0], body, two[1], 2 * PER_PROCESS, 5),
        )
        for _ in range(ROUNDS)
    ]


def _drive(server: Server, body: bytes, cores: str, connections: int, seconds: float) -> Load:
    url = f"{server.client.url}/api/v1/models/{MODEL}/predict"
    load = drive(url, body, cores=cores, connections=connections, seconds=seconds, key=server.key)
    return _sound(load, connections)


def _sound(load: Load, connections: int) -> Load:
    """The load when it says something: the driver hangs up on what is under way when the time is over, one call per
    connection at most."""
    if load.failed > connections:
        raise SystemExit(f"{load.failed} calls failed")
    return load


def _table(measured: dict[Case, Rounds]) -> list[str]:
    lines = [
        "| case | floor, calls/s | Rowcast, calls/s | of the floor | median ms (floor) | p99 ms (floor) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case, rounds in measured.items():
        bare, ours = [pair[0] for pair in rounds], [pair[1] for pair in rounds]
        cells = [
            case.name,
            f"{median(load.rate for load in bare):,.0f}",
            f"{median(load.rate for load in ours):,.0f}",
            f"{_ratio(rounds, 'rate'):.2f}",
            f"{median(load.median_ms for load in ours):.2f} ({median(load.median_ms for load in bare):.2f})",
            f"{median(load.p99_ms for load in ours):.2f} ({median(load.p99_ms for load in bare):.2f})",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _comparisons(reasons: Rounds, scaled: Rounds) -> list[str]:
    lines = ["| one row a call | calls/s | p99 ms | compared with | calls/s | p99 ms | ratio |", "| " + "--- | " * 7]
    named = (("with all reasons", "without", reasons), ("two processes, two cores", "one process, one core", scaled))
    for this, that, rounds in named:
        befores, afters = [pair[0] for pair in rounds], [pair[1] for pair in rounds]
        cells = [this, *_rate_and_p99(afters), that, *_rate_and_p99(befores), f"{_ratio(rounds, 'rate'):.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return [line.rstrip() for line in lines]


def _rate_and_p99(loads: list[Load]) -> tuple[str, str]:
    return f"{median(load.rate for load in loads):,.0f}", f"{median(load.p99_ms for load in loads):.2f}"


def _ratios(measured: dict[Case, Rounds], reasons: Rounds, scaled: Rounds) -> str:
    busy, alone, many = (measured[case] for case in CASES)
    added = median(ours.median_ms - bare.median_ms for bare, ours in alone)
    return (
        f"predict/floor={_ratio(busy, 'rate'):.2f} p99/floor={_ratio(busy, 'p99_ms'):.2f} "
        f"rows1000/floor={_ratio(many, 'rate'):.2f} alone_adds_ms={added:.2f} "
        f"reasons={_ratio(reasons, 'rate'):.2f} two_processes={_ratio(scaled, 'rate'):.2f}"
    )


def _ratio(rounds: Rounds, figure: str) -> float:
    """The second by the first, the median over rounds: both ran one after the other, so a slow moment hits both."""
    return median(getattr(after, figure) / getattr(before, figure) for before, after in rounds)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
