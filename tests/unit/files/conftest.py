"""A table of random loans, imported and trained on as the server does it, and files to predict for."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pytest

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.ports import Progress
from rowcast.datasets.reading.importing import import_table
from rowcast.models.bundle.contents import Bundle, load
from rowcast.models.train.training import train
from rowcast.scoring.directory import VersionKey
from rowcast.scoring.files.job import score_file
from rowcast.scoring.files.objects import errors_key, predictions_key

HASH = "0" * 64
LIMITS = {"max_columns": 50, "max_cell_bytes": 5000}
COLUMNS = ["id", "term", "income", "since", "state", "town", "owns home"]
MODELS = {
    "outcome": ["lightgbm", "xgboost", "catboost", "random_forest", "linear"],
    "grade": ["lightgbm", "random_forest"],
    "amount": ["lightgbm", "xgboost"],
}


@dataclass
class Shop:
    """A storage with models, by target and algorithm."""

    storage: LocalStorage
    keys: dict[tuple[str, str], VersionKey]

    def bundle(self, target: str, algorithm: str) -> Bundle:
        key = self.keys[target, algorithm]
        with self.storage.local_folder(key.bundle_key) as folder:
            return load(folder, key.bundle_hash)

    def score(
        self,
        content: bytes,
        target: str = "outcome",
        algorithm: str = "lightgbm",
        *,
        task_id: str = "t",
        report: Callable[[Progress], None] = lambda progress: None,
        **asked: Any,
    ) -> dict[str, Any]:
        self.storage.put(f"uploads/{task_id}", content)
        content_hash = hashlib.sha256(content).hexdigest()
        given = {
            "content_hash": content_hash,
            "is_table": False,
            "policy": None,
            "output": None,
            "columns": None,
            "limits": LIMITS,
            "threads": 2,
        }
        key = asdict(self.keys[target, algorithm])
        source = f"uploads/{task_id}"
        return score_file(self.storage, report, task_id=task_id, source_key=source, model=key, **{**given, **asked})

    def predictions(self, task_id: str = "t") -> bytes:
        return self.storage.read(predictions_key(task_id))

    def errors(self, task_id: str = "t") -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.storage.read(errors_key(task_id)).decode())))


def written(rows: list[list[str]], header: list[str] = COLUMNS, **style: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", **style).writerows([header, *rows])
    return text.getvalue().encode()


def loans(count: int, seed: int = 0) -> list[list[str]]:
    """Rows of COLUMNS, with gaps, currencies and grouping, as people write them."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        day = np.datetime64("1990-02-27") + rng.integers(0, 10_000)
        income = float(np.exp(rng.normal(8, 1)))
        row = [
            f"{number:09}",
            str(rng.integers(6, 240)),
            f"${income:,.2f}" if rng.random() < 0.5 else f"{income:.2f}",
            f"{day.astype(object):%d-%b-%y}",
            str(rng.choice(["NY", "CA", "Ω, 'quoted'", "東京", ' has "quotes"'])),
            f"town {rng.integers(0, 60)}",
            str(rng.choice(["yes", "no"])),
        ]
        rows.append([row[0], *(("" if rng.random() < 0.06 else cell) for cell in row[1:])])
    return rows


def targets(rows: list[list[str]], seed: int = 1) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    found = []
    for row in rows:
        term, income = float(row[1] or 60), float((row[2] or "3000").replace("$", "").replace(",", ""))
        risk = 1.0 * (term < 80) + (income < 2500) + (row[4] == "NY") + rng.normal(0, 0.4)
        grade = "C" if risk > 2 else "B" if risk > 1 else "A"
        found.append(["default" if risk > 1.3 else "paid", grade, f"{10_000 * risk + 100 * term:.2f}"])
    return found


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    storage = LocalStorage(tmp_path_factory.mktemp("shop") / "storage")
    rows = loans(400)
    table = [row + target for row, target in zip(rows, targets(rows), strict=True)]
    storage.put("uploads/table", written(table, [*COLUMNS, "outcome", "grade", "amount"]))
    described = import_table(
        storage, lambda progress: None, source_key="uploads/table", content_hash=HASH, filename="loans.csv",
        kinds={"id": "identifier"}, limits=LIMITS,
    )  # fmt: skip
    keys = {}
    for target, algorithms in MODELS.items():
        others = sorted({"outcome", "grade", "amount"} - {target})
        outcome = train(
            storage, lambda progress: None,
            request={"dataset": "loans", "target": target, "algorithms": algorithms, "exclude": others, "folds": 2,
                     "optional": ["*"]},
            content_hash=HASH, dataset_number=1, schema=described["schema"], bundle_prefix=f"bundles/{target}/1",
            threads=2,
        )  # fmt: skip
        for candidate in outcome["candidates"]:
            name = candidate["algorithm"]
            keys[target, name] = VersionKey(
                f"{target}-{name}", target, 1, candidate["bundle_key"], candidate["bundle_hash"]
            )
    return Shop(storage, keys)


@pytest.fixture
def make_rows() -> Callable[..., list[list[str]]]:
    return loans


@pytest.fixture
def write() -> Callable[..., bytes]:
    return written


@pytest.fixture(autouse=True)
def tidy(shop: Shop) -> None:
    for folder in ("scored", "uploads"):
        shop.storage.delete(folder)
