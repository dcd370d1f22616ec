"""A file of a million rows through the server, against LightGBM's own predict on the encoded matrix, all cores each;
beside them a script that does it without a server: polars, the encoder and LightGBM, all rows at once in memory."""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from benchmarks.servers import rowcast
from rowcast.client import Client
from rowcast.tasks.views import Task

MODEL, TARGET = "sba_loans", "MIS_Status"
ROWS = 1_000_000
ROUNDS = 3


def run() -> tuple[list[str], str]:
    """The lines of a Markdown table, and one line with the ratios."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name, rowcast(Path(name) / "data", ",".join(map(str, cores))) as server:
        folder = Path(name)
        table, bundle = folder / "million.csv", _train(server.client, folder)
        _write(table)
        native = _Native(bundle, len(cores))
        matrix = native.matrix(_read(table))
        bare, script, ours, whole = [], [], [], []
        with _memory() as memory:
            for _ in range(ROUNDS):
                bare.append(_timed(lambda: native.predict(matrix)))
                script.append(_timed(lambda: native.score(table, folder / "native.csv")))
                task, seconds = _scored(server.client, table, folder / "answers.csv")
                ours.append(_seconds(task))
                whole.append(seconds)
        size = table.stat().st_size / 1e6
    peak = max(memory.values()) / 1e6
    lines = [
        f"{ROWS:,} rows, {size:,.0f} MB of CSV; {native.booster.num_trees()} trees; largest process {peak:,.0f} MB.",
        "",
        "| what | seconds | rows/s |",
        "| --- | --- | --- |",
        _line(f"LightGBM's predict on the encoded matrix, {len(cores)} threads", bare),
        _line("a script: read, encode, LightGBM's predict, write", script),
        _line("the task: from on record to succeeded", ours),
        _line("with upload and download", whole),
    ]
    ratios = f"files/native={_ratio(bare, ours):.2f} files/script={_ratio(script, ours):.2f}"
    return lines, f"{ratios} files_peak_mb={peak:.0f}"


def _train(client: Client, folder: Path) -> Path:
    example = Path(str(files("rowcast.examples"))) / "sba_loans.csv"
    client.datasets.add(example, name=MODEL)
    client.train_and_wait(dataset=MODEL, target=TARGET, algorithms=["lightgbm"], folds=3, promote=True)
    with zipfile.ZipFile(client.models.export(MODEL, folder / "bundle.zip")) as packed:
        packed.extractall(folder)
    return folder / f"{MODEL}-1"


def _write(table: Path) -> None:
    """Rows of the example in random order, with amounts and counts of their own."""
    example = Path(str(files("rowcast.examples"))) / "sba_loans.csv"
    loans = pl.read_csv(example, infer_schema=False)
    dice = np.random.default_rng(1)
    amounts = pl.Series("DisbursementGross", dice.integers(1_000, 900_000, ROWS)).cast(pl.String)
    sample = loans[dice.integers(0, len(loans), ROWS)].with_columns(
        ("$" + amounts.str.replace(r"(\d{3})$", ",$1") + ".00 ").alias("DisbursementGross"),
        pl.Series("NoEmp", dice.integers(0, 500, ROWS)).cast(pl.String),
    )
    sample.write_csv(table)


class _Native:
    """The model in its own library."""

    def __init__(self, bundle: Path, threads: int) -> None:
        from rowcast.models.bundle.contents import load
        from rowcast.models.bundle.native import load_members

        (member,) = load_members(bundle / "native", threads).members
        self.schema = load(bundle).schema
        self.booster: Any = member.model.booster  # type: ignore[attr-defined]
        self._encoder = member.encoder
        self._threads = threads

    def matrix(self, frame: pl.DataFrame) -> np.ndarray[Any, Any]:
        """The rows as the booster sees them."""
        from rowcast.scoring.files.cells import ColumnReader

        readers = [ColumnReader(feature, self.schema.missing_tokens) for feature in self.schema.features]
        return self._encoder.transform({reader.name: reader.read(frame[reader.name])[0] for reader in readers})

    def predict(self, matrix: np.ndarray[Any, Any]) -> Any:
        return self.booster.predict(matrix, num_threads=self._threads)

    def score(self, table: Path, answers: Path) -> None:
        """A file with the probabilities beside the rows."""
        frame = _read(table)
        frame.with_columns(probability=pl.Series(self.predict(self.matrix(frame)))).write_csv(answers)


def _read(table: Path) -> pl.DataFrame:
    return pl.read_csv(table, infer_schema=False, empty_string_is_null=False)


def _scored(client: Client, table: Path, answers: Path) -> tuple[Task, float]:
    started = time.monotonic()
    task = client.tasks.wait(client.files.submit(MODEL, table))
    client.files.download(task, answers)
    return task, time.monotonic() - started


def _seconds(task: Task) -> float:
    assert task.finished_at is not None
    return (task.finished_at - task.created_at).total_seconds()


def _timed(work: Any) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _ratio(theirs: list[float], ours: list[float]) -> float:
    """Of their seconds to ours, round by round."""
    return median(one / other for one, other in zip(theirs, ours, strict=True))


def _line(what: str, seconds: list[float]) -> str:
    return f"| {what} | {median(seconds):.2f} | {ROWS / median(seconds):,.0f} |"


@contextmanager
def _memory() -> Iterator[dict[int, int]]:
    """The most memory that each process under this one had while the block ran, by its id, in bytes."""
    peaks: dict[int, int] = {}
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(0.05):
            for pid in _below(os.getpid()):
                with suppress(OSError, TypeError):
                    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
                    peaks[pid] = int(found[1]) * 1024  # type: ignore[index]

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        stopping.set()
        watcher.join()


def _below(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                yield child
                yield from _below(child)
