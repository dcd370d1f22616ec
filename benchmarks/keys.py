"""What it costs to know who calls: predictions with a key against a server that asks for none, and with a key that has
limits on a server where predictions are paid. One row a call, each server on the same core, in turns."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.load import Load, drive, require_driver
from benchmarks.machine import cores
from benchmarks.predict import MODEL, rows_of, train
from benchmarks.servers import Server, rowcast

CONNECTIONS, SECONDS, ROUNDS = 16, 5, 3
PLENTY = 10**9


def run() -> tuple[list[str], str]:
    """The lines of a Markdown table, and one line with the ratios."""
    require_driver()
    core, driver_core = map(str, cores())
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        with rowcast(folder / "keyless", core) as server:
            bundle = train(server.client, folder)
            key = server.key
        for copy in ("key", "paid"):
            shutil.copytree(folder / "keyless", folder / copy)
        body = json.dumps({"rows": rows_of(bundle)[:1]}).encode()
        keyless = rowcast(folder / "keyless", core, settings={"ROWCAST_API_KEY": key}, module="benchmarks.keyless")
        paid = stack.enter_context(rowcast(folder / "paid", core, settings={"ROWCAST_CREDITS": "paid"}))
        servers = {
            "no key asked for": stack.enter_context(keyless),
            "with a key": stack.enter_context(rowcast(folder / "key", core)),
            "paid, with a key that has limits": Server(paid.client, _limited(paid)),
        }
        loads: dict[str, list[Load]] = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, server in servers.items():
                loads[name].append(_drive(server, body, driver_core))
    return _table(loads)


def _limited(server: Server) -> str:
    """A key that every limit there is has to be looked at for, with the credits to use it."""
    server.client.credits.top_up(server.client.me().name, PLENTY)
    limits = {"rows_per_day": PLENTY, "requests_per_second": 10_000, "credits_per_month": PLENTY}
    return server.client.keys.make("limited", **limits).key


def _drive(server: Server, body: bytes, core: str) -> Load:
    url = f"{server.client.url}/api/v1/models/{MODEL}/predict"
    load = drive(url, body, cores=core, connections=CONNECTIONS, seconds=SECONDS, key=server.key)
    if load.failed > CONNECTIONS:
        raise SystemExit(f"{load.failed} calls failed")
    return load


def _table(loads: dict[str, list[Load]]) -> tuple[list[str], str]:
    (_, bare), *others = loads.items()
    lines = ["| one row, 16 connections | calls/s | p99 ms | of the rate without |", "| --- | ---: | ---: | ---: |"]
    ratios = {
        name: median(one.rate / other.rate for one, other in zip(rounds, bare, strict=True))
        for name, rounds in loads.items()
    }
    for name, rounds in loads.items():
        rate, p99 = median(load.rate for load in rounds), median(load.p99_ms for load in rounds)
        lines.append(f"| {name} | {rate:,.0f} | {p99:.2f} | {ratios[name]:.2f} |")
    key, paid = (ratios[name] for name, _ in others)
    return lines, f"key/keyless={key:.2f} paid_with_limits/keyless={paid:.2f}"
