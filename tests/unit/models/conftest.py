"""Tables made of random rows, stored and described as an import stores and describes them, and trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.inference.cells import gather
from rowcast.datasets.inference.inference import Hints, infer
from rowcast.datasets.objects import table_key
from rowcast.datasets.ports import Progress
from rowcast.datasets.profile.profiling import measure, with_ranges
from rowcast.datasets.schema import MISSING_TOKENS, FeatureSchema
from rowcast.models.bundle.contents import Bundle, load
from rowcast.models.train.training import train
from rowcast.models.tune.concluding import conclude
from rowcast.models.tune.proposing import GENERATION
from rowcast.models.tune.trials import run_trials

HASH = "0" * 64


@dataclass
class Workshop:
    """One stored table and what was trained on it."""

    root: Path
    progress: list[Progress] = field(default_factory=list)
    schema: FeatureSchema | None = None

    def put(self, columns: dict[str, list[Any]]) -> None:
        path = self.root / "table.parquet"
        pl.DataFrame(columns, strict=False).write_parquet(path)
        described = []
        for cells in gather(path, MISSING_TOKENS):
            feature = infer(cells, Hints())
            described.append(with_ranges(feature, measure(path, feature, cells, MISSING_TOKENS)))
        self.schema = FeatureSchema(features=tuple(described))
        LocalStorage(self.root / "storage").put_file(table_key(HASH), path)

    def train(self, target: str, **recipe: Any) -> dict[str, Any]:
        assert self.schema is not None
        return train(
            LocalStorage(self.root / "storage"),
            self.progress.append,
            request={"dataset": "shop", "target": target, **recipe},
            content_hash=HASH,
            dataset_number=3,
            schema=self.schema.model_dump(mode="json"),
            bundle_prefix="bundles/task",
            threads=2,
        )

    def tune(self, target: str, trials: int, finished: Sequence[dict[str, Any]] = (), **asked: Any) -> list[Any]:
        """Trials in addition to those finished, as a coordinator has them run."""
        known = list(finished)
        while len(known) < trials:
            start = len(known) // GENERATION * GENERATION
            numbers = list(range(len(known), min(start + GENERATION, trials)))
            known += self.run_trials(target, numbers, known, trials=trials, **asked)
        return known

    def run_trials(
        self, target: str, numbers: list[int], finished: Sequence[dict[str, Any]], **asked: Any
    ) -> list[Any]:
        storage, arguments = LocalStorage(self.root / "storage"), self._search(target, **asked)
        found = run_trials(storage, self.progress.append, finished=finished, numbers=numbers, **arguments)
        return list(found["trials"])

    def conclude(self, target: str, trials: list[dict[str, Any]], **asked: Any) -> dict[str, Any]:
        storage, arguments = LocalStorage(self.root / "storage"), self._search(target, trials=len(trials), **asked)
        return conclude(storage, self.progress.append, trials=trials, bundle_prefix="bundles/task", **arguments)

    def _search(self, target: str, **asked: Any) -> dict[str, Any]:
        assert self.schema is not None
        return {
            "request": {"dataset": "shop", "target": target, **asked},
            "content_hash": HASH,
            "dataset_number": 3,
            "schema": self.schema.model_dump(mode="json"),
            "scores_prefix": "searches/task",
            "threads": 1,
        }

    def folder(self, algorithm: str) -> Path:
        return self.root / "storage" / "bundles" / "task" / algorithm

    def bundle(self, algorithm: str) -> Bundle:
        return load(self.folder(algorithm))


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def loans() -> Callable[..., dict[str, list[Any]]]:
    return loan_rows


def loan_rows(rows: int = 240, seed: int = 0) -> dict[str, list[Any]]:
    """Cells as text: two numbers, a date, a flag, a category of few and one of many levels, all with gaps; targets.

    ``outcome`` has two classes, ``grade`` three (one of them rare), ``amount`` is a number; all depend on the features.
    """
    rng = np.random.default_rng(seed)
    term, income = rng.integers(6, 240, rows), np.exp(rng.normal(8, 1, rows)).round(2)
    day = np.datetime64("1961-02-27") + rng.integers(0, 20_000, rows)
    state, town = rng.choice(["NY", "CA", "Ω \n'quoted'", "東京"], rows), rng.integers(0, 60, rows)
    home = rng.choice(["yes", "no"], rows)
    risk = 1.0 * (term < 80) + (income < 2500) + (state == "NY") + (town < 20) + rng.normal(0, 0.4, rows)

    def with_gaps(values: Any, share: float = 0.08) -> list[Any]:
        return [None if gap else str(value) for value, gap in zip(values, rng.random(rows) < share, strict=True)]

    return {
        "term": with_gaps(term, 0.0),
        "income, $": with_gaps(income),
        "since": with_gaps(day),
        "state": with_gaps(state),
        "town": with_gaps([f"town {chr(65 + number // 26)}{chr(65 + number % 26)}" for number in town]),
        "owns home": with_gaps(home),
        "outcome": np.where(risk > 2.2, "default", "paid").tolist(),
        "grade": np.select([risk > 2.6, risk > 1.2], ["C", "B"], "A").tolist(),
        "amount": (10_000 * risk + term * 100).round(2).astype(str).tolist(),
    }


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())
