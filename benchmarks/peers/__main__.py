"""``make bench-peers``: one row of JSON on one core, over 16 connections, by Rowcast and by other servers of models.

All run the same ONNX. Rowcast checks a key and puts every call on record; the others do neither. Each server is started
for its round alone, next to a round of Rowcast.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from benchmarks.inference import MODEL, WARM_UP_SECONDS, Target, json_body, rows, trained
from benchmarks.load import Load, drive, require_driver
from benchmarks.machine import cores, describe
from benchmarks.servers import family, free_port, processor_seconds

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent.parent / ".venv-peers"
RESULTS = HERE.parent / "results" / "peers.md"
CONNECTIONS, SECONDS, ROUNDS = 16, 4, 2
START_SECONDS, STOP_SECONDS = 600, 20
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Peer:
    """A server: its environment, the command in it that is told a port last, and what it is asked where."""

    name: str
    environment: str
    command: tuple[str, ...]
    path: str
    body: bytes


@dataclass(frozen=True)
class Measured:
    """A load, and the processor time of the server for each call, in microseconds."""

    load: Load
    micros: float


def peers() -> list[Peer]:
    row = [float(f"{value:.5f}") for value in rows(1)[0]]
    rows_body, tensor = json.dumps({"rows": [row]}).encode(), json.dumps({"inputs": [row]}).encode()
    return [
        Peer("MLServer", "mlserver", ("python", "serve_mlserver.py"), f"/v2/models/{MODEL}/infer", json_body()),
        Peer("BentoML", "bentoml", ("bentoml", "serve", "serve_bentoml:Onnx", "--port"), "/predict", rows_body),
        Peer("LitServe", "litserve", ("python", "serve_litserve.py"), "/predict", rows_body),
        Peer("Ray Serve", "ray", ("python", "serve_ray.py"), "/", rows_body),
        Peer("mlflow models serve", "mlflow", ("python", "serve_mlflow.py"), "/invocations", tensor),
    ]


def main() -> None:
    """Measure, print the table and write it to the results."""
    require_driver()
    server_core, driver_core = map(str, cores())
    measured: dict[str, list[tuple[Measured, Measured]]] = {}
    with tempfile.TemporaryDirectory() as name, trained(Path(name), server_core) as (ours, bundle):
        for _ in range(ROUNDS):
            for peer in peers():
                both = _side_by_side(ours, peer, bundle / "quick.onnx", server_core, driver_core)
                measured.setdefault(peer.name, []).append(both)
    report = "\n".join(["# peers", "", describe(), "", *_table(measured), ""])
    RESULTS.write_text(report)
    print(report)


def _side_by_side(ours: Target, peer: Peer, graph: Path, server: str, driver: str) -> tuple[Measured, Measured]:
    mine = _driven(f"{ours.http}/v2/models/{MODEL}/infer", json_body(), driver, ours.pid, ours.key)
    with _serving(peer, graph, server) as (url, pid):
        return mine, _driven(url, peer.body, driver, pid)


def _driven(url: str, body: bytes, core: str, pid: int, key: str | None = None) -> Measured:
    processes = family(pid)
    before = sum(map(processor_seconds, processes))
    load = drive(url, body, cores=core, connections=CONNECTIONS, seconds=SECONDS, key=key)
    if load.failed > CONNECTIONS:
        raise SystemExit(f"{load.failed} calls of {url} failed")
    spent = sum(map(processor_seconds, processes)) - before
    return Measured(load, spent / (load.rate * (SECONDS + WARM_UP_SECONDS)) * 1e6)


@contextmanager
def _serving(peer: Peer, graph: Path, core: str) -> Iterator[tuple[str, int]]:
    """The peer on that core; gives the address of its predictions and the number of its process once it answers."""
    port = free_port()
    program, *arguments = peer.command
    programs = ENVIRONMENTS / peer.environment / "bin"
    command = ["taskset", "-c", core, str(programs / program), *arguments, str(port)]
    settings = {**os.environ, **QUIET, "PEER_MODEL": str(graph), "PATH": f"{programs}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        command, cwd=HERE, env=settings, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}{peer.path}"
        _until_answered(peer, url, process)
        yield url, process.pid
    finally:
        _end(process)


def _until_answered(peer: Peer, url: str, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + START_SECONDS
    headers = {"Content-Type": "application/json"}
    while True:
        with suppress(httpx2.TransportError):
            if httpx2.post(url, content=peer.body, headers=headers, timeout=30).status_code == 200:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{peer.name} did not start")
        time.sleep(0.5)


def _end(process: subprocess.Popen[Any]) -> None:
    """End what was started with all that it started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _table(measured: Mapping[str, list[tuple[Measured, Measured]]]) -> list[str]:
    everyone = [mine for rounds in measured.values() for mine, _ in rounds]
    lines = ["| server | calls/s | median ms | p99 ms | processor us | of Rowcast |", "| " + "--- | " * 6]
    lines.append(_line("Rowcast, with a key and a receipt", everyone, 1.0))
    for name, rounds in measured.items():
        ratio = median(theirs.load.rate / mine.load.rate for mine, theirs in rounds)
        lines.append(_line(name, [theirs for _, theirs in rounds], ratio))
    return [line.rstrip() for line in lines]


def _line(name: str, rounds: list[Measured], ratio: float) -> str:
    rate, middle, p99 = (median(getattr(one.load, part) for one in rounds) for part in ("rate", "median_ms", "p99_ms"))
    micros = median(one.micros for one in rounds)
    return f"| {name} | {rate:,.0f} | {middle:.2f} | {p99:.2f} | {micros:,.0f} | {ratio:.3f} |"


if __name__ == "__main__":
    main()
