"""The figures of the credit example's reports: intervals that hold what they say, and features that do not repeat."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from rowcast.datasets.schema import Kind
from rowcast.datasets.views import ColumnProfile, TableProfile

FOLDER = Path(__file__).parents[3] / "examples" / "credit-default"


@pytest.fixture
def module(monkeypatch):
    """A module of the example by name: they stand beside its program."""
    monkeypatch.syspath_prepend(FOLDER)
    return import_module


def test_auc_and_its_interval(module):
    measures = module("measures")
    rng = np.random.default_rng(0)
    bad = (rng.random(500) < 0.2).astype(float)
    scores = np.round(rng.normal(bad), 1)
    found = measures.Resampled(bad, rounds=200).auc(scores)
    assert found.value == pytest.approx(roc_auc_score(bad, scores))
    assert found.low < found.value < found.high
    assert measures.Resampled(bad, rounds=50).auc_difference(scores, scores).verdict == 0


def test_shares_and_folds(module):
    measures = module("measures")
    none = measures.share(0, 50)
    assert (none.value, round(none.low, 3), round(none.high, 3)) == (0.0, 0.0, 0.071)
    assert measures.fold_difference([0.8, 0.81, 0.82, 0.8, 0.81], [0.7, 0.71, 0.7, 0.72, 0.7]).verdict == 1
    assert measures.fold_difference([0.8, 0.7, 0.9], [0.7, 0.8, 0.85]).verdict == 0


def test_loans_of_one_day_are_on_one_side(module, tmp_path):
    days = ["1-Jan-99", "2-Jan-70", "3-Jan-05", "3-Jan-05", "3-Jan-05"]
    lines = [f"{day},{'CHGOFF' if day[0] == '3' else 'P I F'}\n" for day in days]
    (tmp_path / "t.csv").write_text("ApprovalDate,MIS_Status\n" + "".join(lines) + "4-Jan-05,\n")
    loans = module("loans").read(tmp_path / "t.csv")
    assert loans.earlier["ApprovalDate"].to_list() == ["2-Jan-70", "1-Jan-99"]
    assert (loans.later.height, loans.first_later, loans.bad.sum()) == (3, "2005-01-03", 3)


def test_mrmr_prefers_what_was_not_said_yet(module):
    rng = np.random.default_rng(0)
    strong, other = rng.integers(0, 10, 400), rng.integers(0, 10, 400)
    table = pl.DataFrame({"strong": strong, "copy": strong, "other": other, "noise": other}).cast(pl.String)
    columns = [
        ColumnProfile(name=name, kind=Kind.NUMBER, count=400, missing=0, distinct=10, association=association)
        for name, association in {"strong": 0.8, "copy": 0.79, "other": 0.6, "noise": 0.5}.items()
    ]
    chosen = module("selecting").by_mrmr(table.columns, TableProfile(row_count=400, columns=columns), table)
    assert chosen == ["strong", "other"]
