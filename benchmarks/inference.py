"""The Open Inference Protocol against its floors: JSON, binary tensors and gRPC, in rounds that alternate.

The table is of numbers alone, made with a fixed seed: thirty columns and no two rows alike.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import grpc
import numpy as np

from benchmarks.load import Load, drive, require_driver
from benchmarks.machine import cores
from benchmarks.servers import free_port, listening, processor_seconds, rowcast
from rowcast.client import Client
from rowcast.inference import v2_pb2 as v2

MODEL, TARGET = "numbers", "y"
COLUMNS, TRAINED_ON, MANY = 30, 4000, 1000
SECONDS, WARM_UP_SECONDS, ROUNDS = 4, 1, 3
METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True, eq=False)
class Case:
    """A call over and over, over so many connections; ``floors`` are the kinds of server that it is held against."""

    name: str
    body: bytes
    connections: int
    floors: tuple[str, ...]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Measured:
    """Answers a second, and the processor time of the server for each, in microseconds."""

    rate: float
    micros: float


@dataclass(frozen=True)
class Target:
    """A server: its address for HTTP and for gRPC, its process, and the key that it wants."""

    http: str
    grpc: str
    pid: int
    key: str | None = None


Rounds = list[dict[str, Measured]]
"""Of each round, what was measured by the name of the server."""


def run() -> tuple[list[str], str]:
    """The lines of a Markdown table, and one line with the ratios."""
    require_driver()
    server_core, driver_core = map(str, cores())
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ours, bundle = stack.enter_context(trained(Path(name), server_core))
        targets = {"rowcast": ours}
        for kind in ("asgi", "aio", "threads"):
            command = [sys.executable, "-m", "benchmarks.inference_floor", kind]
            port, pid = stack.enter_context(listening(command, server_core, {"FLOOR_BUNDLE": str(bundle)}))
            targets[kind] = Target(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}", pid)
        _check(ours)
        measured = {case: _measure(case, targets, driver_core) for case in cases()}
    return _table(measured), _ratios(measured)


@contextmanager
def trained(folder: Path, core: str) -> Iterator[tuple[Target, Path]]:
    """Rowcast with the model, and the model's exported bundle."""
    port = free_port()
    with rowcast(folder / "data", core, settings={"ROWCAST_GRPC_PORT": str(port)}) as server:
        bundle = train(server.client, folder)
        yield Target(server.client.url, f"http://127.0.0.1:{port}", server.pid, server.key), bundle


def train(client: Client, folder: Path) -> Path:
    chance = np.random.default_rng(0)
    table = chance.normal(size=(TRAINED_ON, COLUMNS))
    classes = np.where(table[:, :6].sum(axis=1) + chance.normal(size=TRAINED_ON) > 0, "yes", "no")
    with (folder / "numbers.csv").open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow([*(f"x{number}" for number in range(COLUMNS)), TARGET])
        writer.writerows([*(f"{value:.5f}" for value in row), one] for row, one in zip(table, classes, strict=True))
    client.datasets.add(folder / "numbers.csv", name=MODEL)
    client.train_and_wait(dataset=MODEL, target=TARGET, algorithms=["lightgbm"], folds=3)
    with zipfile.ZipFile(client.models.export(MODEL, folder / "bundle.zip")) as packed:
        packed.extractall(folder)
    return folder / f"{MODEL}-1"


def rows(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(1).normal(size=(count, COLUMNS)).round(5).astype(np.float32)


def json_body(count: int = 1) -> bytes:
    """A matrix of all numeric features."""
    one = {"name": "matrix", "shape": [count, COLUMNS], "datatype": "FP32"}
    return json.dumps({"inputs": [{**one, "data": [float(f"{value:.5f}") for value in rows(count).flat]}]}).encode()


def cases() -> list[Case]:
    raw = rows(MANY).tobytes()
    one = {"name": "matrix", "shape": [MANY, COLUMNS], "datatype": "FP32"}
    head = json.dumps(
        {
            "inputs": [{**one, "parameters": {"binary_data_size": len(raw)}}],
            "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}],
        }
    ).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    message = _message(1).SerializeToString()
    framed = b"\0" + len(message).to_bytes(4, "big") + message
    call = {"Content-Type": "application/grpc", "te": "trailers"}
    return [
        Case("V2 JSON, 1 row, 16 connections", json_body(), 16, ("asgi",), {}),
        Case("V2 binary, 1,000 x 30, 4 connections", head + raw, 4, ("asgi",), length),
        Case("V2 gRPC, 1 row, 16 connections", framed, 16, ("aio", "threads"), call),
    ]


def _message(count: int) -> v2.ModelInferRequest:
    tensor = v2.ModelInferRequest.InferInputTensor(name="matrix", datatype="FP32", shape=[count, COLUMNS])
    return v2.ModelInferRequest(model_name=MODEL, inputs=[tensor], raw_input_contents=[rows(count).tobytes()])


def _check(ours: Target) -> None:
    """One call as the driver makes it, for that does not look into answers of gRPC."""
    with grpc.insecure_channel(ours.grpc.removeprefix("http://")) as channel:
        call = channel.unary_unary(METHOD, v2.ModelInferRequest.SerializeToString, v2.ModelInferResponse.FromString)
        call(_message(1), metadata=[("authorization", f"Bearer {ours.key}")], timeout=30)


def _measure(case: Case, targets: Mapping[str, Target], core: str) -> Rounds:
    named = [*case.floors, "rowcast"]
    return [{name: _driven(case, targets[name], core) for name in named} for _ in range(ROUNDS)]


def _driven(case: Case, target: Target, core: str) -> Measured:
    over_grpc = "te" in case.headers
    url = target.grpc + METHOD if over_grpc else f"{target.http}/v2/models/{MODEL}/infer"
    load = partial(drive, url, case.body, cores=core, connections=case.connections, seconds=SECONDS)
    before = processor_seconds(target.pid)
    found: Load = load(key=target.key, headers=case.headers, http2=over_grpc)
    if found.failed > case.connections:
        raise SystemExit(f"{found.failed} calls failed")
    calls = found.rate * (SECONDS + WARM_UP_SECONDS)
    return Measured(found.rate, (processor_seconds(target.pid) - before) / calls * 1e6)


def _table(measured: Mapping[Case, Rounds]) -> list[str]:
    lines = [
        "| case | floor, calls/s | Rowcast, calls/s | of the floor | floor, us | Rowcast, us | by processor time |",
        "| " + " | ".join(["---"] * 7) + " |",
    ]
    for case, rounds in measured.items():
        best = _best_floor(case, rounds)
        bare, ours = [one[best] for one in rounds], [one["rowcast"] for one in rounds]
        cells = [
            f"{case.name} (floor: {best})",
            f"{median(one.rate for one in bare):,.0f}",
            f"{median(one.rate for one in ours):,.0f}",
            f"{_of_floor(case, rounds):.2f}",
            f"{median(one.micros for one in bare):,.0f}",
            f"{median(one.micros for one in ours):,.0f}",
            f"{median(one[best].micros / one['rowcast'].micros for one in rounds):.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _best_floor(case: Case, rounds: Rounds) -> str:
    return max(case.floors, key=lambda name: median(one[name].rate for one in rounds))


def _of_floor(case: Case, rounds: Rounds) -> float:
    best = _best_floor(case, rounds)
    return median(one["rowcast"].rate / one[best].rate for one in rounds)


def _ratios(measured: Mapping[Case, Rounds]) -> str:
    names = ("v2_json/floor", "v2_binary_1000x30/floor", "v2_grpc/floor")
    ratios = [_of_floor(case, rounds) for case, rounds in measured.items()]
    return " ".join(f"{name}={ratio:.2f}" for name, ratio in zip(names, ratios, strict=True))
