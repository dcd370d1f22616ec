"""Predictions against the floor: one row and many, busy and alone, each round beside a round of the floor. Then what
reasons cost, and what a second process on a second core brings."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load import Load, drive, require_driver
from benchmarks.machine import cores
from benchmarks.servers import Server, floor, rowcast
from rowcast.client import Client
from rowcast.datasets.schema import FeatureSchema, Kind
from rowcast.datasets.values import read_date, read_number

TABLE = Path(str(files("rowcast.examples"))) / "sba_loans.csv"
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

RowsOfBoth = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""What Rowcast is asked, and what the floor is."""

Rounds = list[tuple[Load, Load]]
"""Of each round the two that are compared."""

OneAndTwo = tuple[Callable[[int, float], Load], Callable[[int, float], Load]]
"""What drives one process, and two, over so many connections for so many seconds."""


def run() -> tuple[list[str], str]:
    """The lines of two Markdown tables, and one line with the ratios."""
    require_driver()
    server_core, driver_core = map(str, cores())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with rowcast(folder / "data", server_core) as server:
            bundle = train(server.client, folder)
            rows = rows_of(bundle)
            asked = rows, for_floor(rows, bundle)
            with floor(bundle, server_core) as floor_url:
                measured = {case: _measure(case, server, floor_url, asked, driver_core) for case in CASES}
            reasons = _measure_reasons(server, rows[:1], driver_core)
        scaled = _measure_processes(folder, bundle, asked)
    return [*_table(measured), "", *_comparisons(reasons, *scaled)], _ratios(measured, reasons, *scaled)


def train(client: Client, folder: Path) -> Path:
    client.datasets.add(TABLE, name=MODEL)
    client.train_and_wait(dataset=MODEL, target=TARGET, algorithms=["lightgbm"], folds=3)
    archive = client.models.export(MODEL, folder / "bundle.zip")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder / f"{MODEL}-1"


def rows_of(bundle: Path) -> list[dict[str, Any]]:
    """A thousand rows of the table, as typed JSON, with a typical value where one is missing: the floor takes no
    others."""
    schema = _schema(bundle)
    with TABLE.open(newline="") as lines:
        return [_complete(row, schema) for row in islice(csv.DictReader(lines), 1000)]


def _schema(bundle: Path) -> FeatureSchema:
    return FeatureSchema.model_validate_json((bundle / "schema.json").read_bytes())


def _complete(row: dict[str, str], schema: FeatureSchema) -> dict[str, Any]:
    cells = ((feature, row[feature.name].strip() or feature.example) for feature in schema.features)
    return {
        feature.name: read_number(cell) if feature.kind is Kind.NUMBER and isinstance(cell, str) else cell
        for feature, cell in cells
    }


def for_floor(rows: list[dict[str, Any]], bundle: Path) -> list[dict[str, Any]]:
    """The rows with their dates as the numbers of days that they are to the model."""
    dates = [feature for feature in _schema(bundle).features if feature.kind is Kind.DATE]
    return [row | {feature.name: read_date(row[feature.name], feature) for feature in dates} for row in rows]


def _measure(case: Case, server: Server, floor_url: str, asked: RowsOfBoth, core: str) -> Rounds:
    body, floor_body = (json.dumps({"rows": rows[: case.rows]}).encode() for rows in asked)
    rounds = []
    for _ in range(ROUNDS):
        bare = _bare(floor_url, floor_body, core, case.connections, case.seconds)
        ours = _drive(server, body, core, case.connections, case.seconds)
        rounds.append((bare, ours))
    return rounds


def _measure_reasons(server: Server, rows: list[dict[str, Any]], core: str) -> Rounds:
    """Calls without reasons, and the same calls with all of them."""
    plain, explained = json.dumps({"rows": rows}).encode(), json.dumps({"rows": rows, "explain": True}).encode()
    case = REASONS
    server.client.predict(MODEL, rows, explain=True)  # the first one loads the library of the model's own form
    return [
        (
            _drive(server, plain, core, case.connections, case.seconds),
            _drive(server, explained, core, case.connections, case.seconds),
        )
        for _ in range(ROUNDS)
    ]


def _measure_processes(folder: Path, bundle: Path, asked: RowsOfBoth) -> tuple[Rounds, Rounds]:
    """One process on one core, and two on two; beside it the same of the floor, whose processes share nothing: what two
    of these cores are worth. The driver has no core of its own here: it runs on those of the server that it drives, so
    that in both everything there is shares the cores."""
    body, plain_body = (json.dumps({"rows": rows[:1]}).encode() for rows in asked)
    shutil.copytree(folder / "data", folder / "copy")
    core, other = map(str, cores())
    both = f"{core},{other}"
    with (
        rowcast(folder / "data", core) as one,
        rowcast(folder / "copy", both, processes=2) as two,
        floor(bundle, core) as bare_one,
        floor(bundle, core, other) as bare_two,
    ):
        return _scaled(
            (partial(_drive, one, body, core), partial(_drive, two, body, both)),
            (partial(_bare, bare_one, plain_body, core), partial(_bare, bare_two, plain_body, both)),
        )


def _scaled(ours: OneAndTwo, floors: OneAndTwo) -> tuple[Rounds, Rounds]:
    rounds = [[(one(PER_PROCESS, 5), two(2 * PER_PROCESS, 5)) for one, two in (ours, floors)] for _ in range(ROUNDS)]
    return [mine for mine, _ in rounds], [bare for _, bare in rounds]


def _bare(url: str, body: bytes, cores: str, connections: int, seconds: float) -> Load:
    return _sound(drive(url, body, cores=cores, connections=connections, seconds=seconds), connections)


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


def _comparisons(reasons: Rounds, scaled: Rounds, floors: Rounds) -> list[str]:
    lines = ["| one row a call | calls/s | p99 ms | compared with | calls/s | p99 ms | ratio |", "| " + "--- | " * 7]
    named = (
        ("with all reasons", "without", reasons),
        ("two processes, two cores", "one process, one core", scaled),
        ("the floor: two processes, two cores", "one process, one core", floors),
    )
    for this, that, rounds in named:
        befores, afters = [pair[0] for pair in rounds], [pair[1] for pair in rounds]
        cells = [this, *_rate_and_p99(afters), that, *_rate_and_p99(befores), f"{_ratio(rounds, 'rate'):.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return [line.rstrip() for line in lines]


def _rate_and_p99(loads: list[Load]) -> tuple[str, str]:
    return f"{median(load.rate for load in loads):,.0f}", f"{median(load.p99_ms for load in loads):.2f}"


def _ratios(measured: dict[Case, Rounds], reasons: Rounds, scaled: Rounds, floors: Rounds) -> str:
    busy, alone, many = (measured[case] for case in CASES)
    added = median(ours.median_ms - bare.median_ms for bare, ours in alone)
    return (
        f"predict/floor={_ratio(busy, 'rate'):.2f} p99/floor={_ratio(busy, 'p99_ms'):.2f} "
        f"rows1000/floor={_ratio(many, 'rate'):.2f} alone_adds_ms={added:.2f} "
        f"reasons={_ratio(reasons, 'rate'):.2f} two_processes={_ratio(scaled, 'rate'):.2f} "
        f"floor_two_processes={_ratio(floors, 'rate'):.2f}"
    )


def _ratio(rounds: Rounds, figure: str) -> float:
    """The second by the first, the median over rounds: both ran one after the other, so a slow moment hits both."""
    return median(getattr(after, figure) / getattr(before, figure) for before, after in rounds)
