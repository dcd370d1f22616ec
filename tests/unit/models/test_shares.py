from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.objects import table_key
from rowcast.datasets.row_groups import RowGroups
from rowcast.models.bundle.contents import card
from rowcast.models.bundle.runtime import golden_difference, open_runtime
from rowcast.models.presets import shared_algorithms
from rowcast.models.recipe import Problem, Recipe
from rowcast.models.train.shares import finish_shares, fit_share, prepare_shares
from rowcast.models.train.terms import Terms, examples_of, sample_rows

WORK = "work/task"
TREES = {"n_estimators": 80, "learning_rate": 0.1}
ASKED = {"algorithms": ["xgboost", "lightgbm"], "hyperparameters": {"xgboost": TREES, "lightgbm": TREES}}
TARGETS = {Problem.BINARY: "outcome", Problem.MULTICLASS: "grade", Problem.REGRESSION: "amount"}


class Shared:
    """A training in shares of the table that a workshop has."""

    def __init__(self, workshop: Any, target: str, **recipe: Any) -> None:
        self.workshop = workshop
        self.storage = LocalStorage(workshop.root / "storage")
        self.table = {"content_hash": "0" * 64, "work_prefix": WORK}
        self.asked = {
            "request": {"dataset": "shop", "target": target, **recipe},
            "schema": workshop.schema.model_dump(),
        }

    def prepare(self) -> Terms:
        prepare_shares(self.storage, self.workshop.progress.append, **self.table, **self.asked)
        return Terms.model_validate_json(self.storage.read(f"{WORK}/terms.json"))

    def fit(self, algorithm: str, share: int = 0, shares: int = 1) -> None:
        place = {"algorithm": algorithm, "share": share, "shares": shares, "network": {}, "threads": 1}
        fit_share(self.storage, self.workshop.progress.append, **self.table, **place)

    def finish(self, shares: int = 1) -> dict[str, Any]:
        rest = {"dataset_number": 3, "bundle_prefix": "bundles/task", "warnings": ["large"], "threads": 1}
        rest["shares"] = shares
        return finish_shares(self.storage, self.workshop.progress.append, **self.table, **self.asked, **rest)

    def examples(self, terms: Terms, start: int, end: int) -> Any:
        groups = RowGroups(self.storage, table_key("0" * 64))
        return examples_of(groups, terms, [(start, end)], lambda fraction: None)


@pytest.mark.parametrize("problem", Problem)
def test_what_shares_learn_is_an_ordinary_version(workshop: Any, loans: Any, problem: Problem) -> None:
    workshop.put(loans(3000))
    shared = Shared(workshop, TARGETS[problem], imbalance="balanced", outliers="clip", **ASKED)
    shared.prepare()
    for algorithm in ("xgboost", "lightgbm"):
        shared.fit(algorithm)
    outcome = shared.finish()

    assert outcome["problem"] == problem
    assert outcome["row_count"] == 2400
    assert "large" in outcome["warnings"]
    for one in outcome["candidates"]:
        bundle = workshop.bundle(one["algorithm"])
        assert (bundle.manifest.runtime, bundle.manifest.row_count) == ("onnx", 2400)
        assert bundle.manifest.parity.passed
        assert golden_difference(bundle, open_runtime(bundle)) <= 1e-6
        assert one["evaluation"]["shares"] == {
            "processes": 1,
            "rows": 2400,
            "encoder_rows": 300,
            "watched_rows": 150,
            "held_out_rows": 150,
        }
        assert "learned from 300 other rows" in card(bundle)
        assert "(150 held out)" in card(bundle)


def test_it_is_as_good_as_learning_in_one_process(workshop: Any, loans: Any) -> None:
    workshop.put(loans(6000))
    features = ["term", "income, $", "state", "town"]
    recipe = {"algorithms": ["lightgbm"], "hyperparameters": {"lightgbm": TREES}, "features": features}
    alone = workshop.train("outcome", folds=3, **recipe)["candidates"][0]["metrics"]
    shared = Shared(workshop, "outcome", **recipe)
    shared.prepare()
    shared.fit("lightgbm")
    together = shared.finish()["candidates"][0]["metrics"]

    expected, found = (next(one for one in metrics if one["name"] == "roc_auc") for metrics in (alone, together))
    assert found["low"] <= expected["value"] <= found["high"]


def test_no_row_of_the_sample_is_learned_from_and_every_other_once(workshop: Any, loans: Any) -> None:
    rows = loans(1000)
    rows["number"] = [str(number) for number in range(1000)]
    workshop.put(rows)
    shared = Shared(workshop, "amount", features=["number", "state"], kinds={"number": "number"}, **ASKED)
    terms = shared.prepare()
    sample = pl.read_parquet(workshop.root / "storage" / WORK / "sample.parquet")["number"].cast(pl.Int64).to_list()
    cuts = [0, 250, 617, 1000]
    parts = [shared.examples(terms, start, end) for start, end in pairwise(cuts)]

    learned = [int(number) for part in parts for number in part.x[:, 0]]
    assert [number // 5 for number in sample] == list(range(200))
    assert min(Counter(number % 5 for number in sample).values()) > 20  # whatever repeats in the table is met
    assert learned == sorted(set(range(1000)) - set(sample))


def test_every_share_has_rows_of_all_parts_of_the_table_and_what_is_left_out_is_told(workshop: Any, loans: Any) -> None:
    rows = loans(1000)
    rows["outcome"][500:] = [None] * 500  # the newest have no outcome yet
    workshop.put(rows)
    shared = Shared(workshop, "outcome", features=["term", "town"], algorithms=["lightgbm"])
    terms = shared.prepare()
    for share in range(3):
        shared.fit("lightgbm", share, 3)
    learned = [int(shared.storage.read(f"{WORK}/lightgbm/rows/{share}")) for share in range(3)]
    sample = np.sum(sample_rows(np.arange(200), terms.step, terms.seed) < 500)
    assert min(learned) > 100 and sum(learned) == 500 - sample
    warnings = shared.finish(3)["warnings"]
    assert any(said.startswith(f"{800 - sum(learned)} rows beside the sample") for said in warnings)
    assert "What other remarks count was counted in a sample of 200 rows." in warnings


def test_rows_are_read_alike_however_a_flag_is_spelled(workshop: Any, loans: Any) -> None:
    rows = loans(1000)
    spelled = [["yes", "Y"], ["no", "N"]]
    rows["paid"] = [spelled[one == "default"][number % 2] for number, one in enumerate(rows["outcome"])]
    rows["paid"][7] = None
    workshop.put(rows)
    shared = Shared(workshop, "paid", features=["term", "town"], kinds={"paid": "flag"}, **ASKED)
    terms = shared.prepare()
    examples = shared.examples(terms, 0, 1000)

    sample = set(sample_rows(np.arange(200), terms.step, terms.seed).tolist())
    learned = [one for number, one in enumerate(rows["outcome"]) if number not in sample and number != 7]
    assert (examples.y == terms.yes).tolist() == [one == "paid" for one in learned]


def test_a_fit_goes_on_where_it_was_kept(workshop: Any, loans: Any) -> None:
    workshop.put(loans(1000))
    for algorithm in ("xgboost", "lightgbm"):
        recipe = {"algorithms": [algorithm], "hyperparameters": {algorithm: {**TREES, "early_stopping_rounds": 80}}}
        shared = Shared(workshop, "outcome", **recipe)
        shared.prepare()
        shared.fit(algorithm)
        kept = shared.storage.read(f"{WORK}/{algorithm}/kept")
        workshop.progress.clear()
        shared.fit(algorithm)

        assert shared.storage.read(f"{WORK}/{algorithm}/kept") == kept  # of 75 trees, and five were left to grow
        assert not [told for told in workshop.progress if told.stage == "fit"]


def test_the_rows_of_a_stored_table_are_read_by_their_numbers(tmp_path: Path) -> None:
    table = pl.DataFrame({"a": range(1000), "b": [None if n % 3 else str(n) for n in range(1000)]})
    (tmp_path / "storage").mkdir()
    table.write_parquet(tmp_path / "storage" / "table", row_group_size=300)
    groups = RowGroups(LocalStorage(tmp_path / "storage"), "table")
    blocks = list(groups.blocks(["b"], 250, 950))

    assert groups.row_count == 1000
    assert [(block.start, block.frame.height) for block in blocks] == [(250, 50), (300, 300), (600, 300), (900, 50)]
    assert pl.concat(block.frame for block in blocks).equals(table.select("b").slice(250, 700))


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({}, ("lightgbm",)),
        ({"preset": "best"}, ("lightgbm", "xgboost")),
        ({"algorithms": ["xgboost"]}, ("xgboost",)),
        ({"algorithms": ["xgboost", "linear"]}, ()),
        ({"hyperparameters": {"linear": {"C": 1}}}, ()),
        ({"time_column": "since"}, ()),
    ],
)
def test_which_algorithms_can_be_shared(recipe: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert shared_algorithms(Recipe(target="y", **recipe)) == expected
