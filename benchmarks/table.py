"""Importing a large CSV, profile included, against a bare polars scan that computes the same figures."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

MEGABYTES = 250
BLOCK_ROWS = 200_000
QUANTILES = (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)


def run() -> tuple[list[str], str]:
    """The lines of a Markdown table, and one line with the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        _write(table)
        bare, bare_mb = _timed("scan", table)
        ours, ours_mb = _timed("import", table)
        size = table.stat().st_size / 1e6
    lines = [
        "| what | seconds | MB/s | peak memory MB |",
        "| --- | --- | --- | --- |",
        f"| bare polars scan, {size:,.0f} MB | {bare:.1f} | {size / bare:.0f} | {bare_mb:,.0f} |",
        f"| import with kinds, profile and warnings | {ours:.1f} | {size / ours:.0f} | {ours_mb:,.0f} |",
    ]
    return lines, f"import/scan={bare / ours:.2f}"


def _write(path: Path) -> None:
    """Numbers, money, dates, codes, categories with a long tail, and missing cells."""
    draw = np.random.default_rng(0)
    first = True
    while first or path.stat().st_size < MEGABYTES * 1e6:
        block = _block(draw)
        with path.open("ab") as file:
            block.write_csv(file, include_header=first)
        first = False


def _block(draw: np.random.Generator) -> pl.DataFrame:
    count = BLOCK_ROWS
    days = pl.Series(draw.integers(0, 15_000, count), dtype=pl.Int32).cast(pl.Date)
    columns: dict[str, Any] = {f"number_{i}": draw.normal(size=count).round(4) for i in range(8)}
    columns |= {f"count_{i}": draw.poisson(3 + i, count) for i in range(4)}
    columns |= {f"category_{i}": draw.zipf(1.6, count) % (10 ** (i + 1)) for i in range(3)}
    return pl.DataFrame(columns).with_columns(
        pl.col("^category_.*$").cast(pl.String).name.map(lambda name: name) + " place",
        opened=days.dt.strftime("%d-%b-%y"),
        amount=pl.concat_str(pl.lit("$"), pl.Series(draw.integers(1, 900, count)).cast(pl.String), pl.lit(",000.00")),
        missing=pl.when(pl.Series(draw.random(count) < 0.4))
        .then(None)
        .otherwise(pl.Series(draw.integers(0, 99, count))),
    )


def _timed(what: str, table: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of one of the two, in a process of its own."""
    started = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.table", what, str(table)]
    _, status, usage = os.wait4(subprocess.Popen(command, stdout=subprocess.DEVNULL).pid, 0)
    if status:
        raise SystemExit(f"the benchmark's {what} failed")
    return time.monotonic() - started, usage.ru_maxrss / 1024


def scan(table: Path) -> None:
    """What anyone would write: types guessed, then missing, distinct, moments, quantiles and top values per column."""
    frame = pl.scan_csv(table, infer_schema_length=10_000)
    figures, tops = [], []
    for name, kind in frame.collect_schema().items():
        column = pl.col(name)
        figures += [column.null_count().alias(f"{name} missing"), column.n_unique().alias(f"{name} distinct")]
        if kind.is_numeric():
            figures += [column.mean().alias(f"{name} mean"), column.std().alias(f"{name} std")]
            figures += [column.quantile(q).alias(f"{name} {q}") for q in QUANTILES]
        tops.append(frame.group_by(column).len().top_k(20, by="len"))
    pl.collect_all([frame.select(figures), *tops], engine="streaming")


def import_table(table: Path) -> None:
    """The job as the server runs it."""
    from rowcast.datasets.reading import importing
    from rowcast.wiring import open_storage

    with tempfile.TemporaryDirectory() as folder:
        storage = open_storage(Path(folder).as_uri())
        storage.put_file("uploads/1", table)
        limits = {"max_columns": 5000, "max_cell_bytes": 2**20}
        importing.import_table(
            storage,
            lambda progress: None,
            source_key="uploads/1",
            content_hash="0" * 64,
            filename=table.name,
            kinds={},
            limits=limits,
        )


if __name__ == "__main__":
    {"scan": scan, "import": import_table}[sys.argv[1]](Path(sys.argv[2]))
