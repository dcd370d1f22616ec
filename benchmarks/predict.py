"""Predictions against the floor: one row and many, busy and alone, each round beside a round of the floor."""

from __future__ import annotations

import json
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


def run() -> tuple[list[str], str]:
    """The lines of a Markdown table, and one line with the ratios."""
    require_driver()
    server_core, driver_core = cores()
    with tempfile.TemporaryDirectory() as folder, rowcast(Path(folder) / "data", server_core) as server:
        bundle = _train(server.client, Path(folder))
        rows = _rows(bundle)
        with floor(bundle, server_core, _free_port()) as floor_url:
            measured = {case: _measure(case, server, floor_url, rows, driver_core) for case in CASES}
    return _table(measured), _ratios(measured)


def _train(client: Client, folder: Path) -> Path:
    table = Path(str(files("rowcast.examples"))) / "sba_loans.csv"
    client.datasets.add(table, name=MODEL)
    client.train_and_wait(dataset=MODEL, target=TARGET, algorithms=["lightgbm"], folds=3)
    archive = client.models.export(MODEL, folder / "bundle.zip")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder / f"{MODEL}-1"


def _rows(bundle: Path) -> list[dict[str, Any]]:
    """A thousand complete rows as typed JSON: what the floor can take too. Dates are days there, so they go as such."""
    golden = json.loads((bundle / "golden.json").read_text())["rows"]
    schema = json.loads((bundle / "schema.json").read_text())["features"]
    typical = {feature["name"]: feature["example"] for feature in schema}
    complete = [{name: typical[name] if row.get(name) is None else row[name] for name in typical} for row in golden]
    return (complete * (1000 // len(complete) + 1))[:1000]


def _measure(
    case: Case, server: Server, floor_url: str, rows: list[dict[str, Any]], core: int
) -> list[tuple[Load, Load]]:
    schema = {feature.name: feature.kind for feature in server.client.models.schema(MODEL).features}
    body = json.dumps({"rows": rows[: case.rows]}).encode()
    plain = [{name: 0 if schema[name] == "date" else value for name, value in row.items()} for row in rows[: case.rows]]
    floor_body = json.dumps({"rows": plain}).encode()
    url = f"{server.client.url}/api/v1/models/{MODEL}/predict"
    rounds = []
    for _ in range(ROUNDS):
        bare = drive(floor_url, floor_body, core=core, connections=case.connections, seconds=case.seconds)
        ours = drive(url, body, core=core, connections=case.connections, seconds=case.seconds, key=server.key)
        # The driver hangs up on what is under way when the time is over: one call per connection at most.
        if max(bare.failed, ours.failed) > case.connections:
            raise SystemExit(f"{case.name}: {bare.failed} calls of the floor failed, {ours.failed} of ours")
        rounds.append((bare, ours))
    return rounds


def _table(measured: dict[Case, list[tuple[Load, Load]]]) -> list[str]:
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


def _ratios(measured: dict[Case, list[tuple[Load, Load]]]) -> str:
    busy, alone, many = (measured[case] for case in CASES)
    added = median(ours.median_ms - bare.median_ms for bare, ours in alone)
    return (
        f"predict/floor={_ratio(busy, 'rate'):.2f} p99/floor={_ratio(busy, 'p99_ms'):.2f} "
        f"rows1000/floor={_ratio(many, 'rate'):.2f} alone_adds_ms={added:.2f}"
    )


def _ratio(rounds: list[tuple[Load, Load]], figure: str) -> float:
    """The median over rounds: the two of a round ran one after the other, so a slow moment hits both."""
    return median(getattr(ours, figure) / getattr(bare, figure) for bare, ours in rounds)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
