"""Figures that are right, warnings that matter, and leaks told from honest columns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn import datasets as bundled
from sklearn.metrics import roc_auc_score

import rowcast.examples
from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.objects import table_key
from rowcast.datasets.profile.associations import Target, levels, predictive_power
from rowcast.datasets.profile.profiling import profile, profile_table
from rowcast.datasets.reading.importing import import_table
from rowcast.datasets.schema import FeatureSchema
from rowcast.datasets.views import ColumnProfile, TableProfile
from rowcast.errors import InvalidInput

LIMITS = {"max_columns": 100, "max_cell_bytes": 2**20}
EXAMPLE = Path(rowcast.examples.__file__).parent / "sba_loans.csv"


class Stored:
    """A table that has been imported."""

    def __init__(self, folder: Path, data: bytes) -> None:
        self.storage = LocalStorage(folder)
        self.storage.put("uploads/1", data)
        result = import_table(
            self.storage, lambda progress: None, source_key="uploads/1", content_hash="h", filename="t.csv", kinds={},
            limits=LIMITS,
        )  # fmt: skip
        self.schema = FeatureSchema.model_validate(result["schema"])
        self.profile = TableProfile.model_validate(result["profile"])

    def against(self, target: str) -> TableProfile:
        with self.storage.local(table_key("h")) as path:
            return profile(path, self.schema, target)


def column(profile: TableProfile, name: str) -> ColumnProfile:
    return next(column for column in profile.columns if column.name == name)


def warned(profile: TableProfile, code: str) -> dict[str | None, bool]:
    return {warning.column: warning.exclude for warning in profile.warnings if warning.code == code}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return Stored(tmp_path_factory.mktemp("example"), EXAMPLE.read_bytes())


def test_kinds_of_the_example(example: Stored) -> None:
    kinds = {feature.name: feature.kind.value for feature in example.schema.features}
    money = ("DisbursementGross", "BalanceGross", "ChgOffPrinGr", "GrAppv", "SBA_Appv")
    assert {kinds[name] for name in (*money, "NoEmp", "CreateJob", "RetainedJob", "ApprovalFY", "Term")} == {"number"}
    assert {kinds[name] for name in ("ApprovalDate", "ChgOffDate", "DisbursementDate")} == {"date"}
    assert kinds["LoanNr_ChkDgt"] == "identifier"
    assert {kind for name, kind in kinds.items() if kind not in ("number", "date") and name != "LoanNr_ChkDgt"} == {
        "category"
    }
    gross = example.schema.feature("GrAppv")
    assert gross is not None
    assert (gross.unit, gross.minimum, gross.may_be_missing) == ("$", 2500.0, False)


def test_warnings_of_the_example(example: Stored) -> None:
    assert warned(example.profile, "identifier") == {"LoanNr_ChkDgt": True}
    assert warned(example.profile, "constant") == {"BalanceGross": True}
    assert warned(example.profile, "stray_values").keys() == {"RevLineCr", "LowDoc"}
    assert "City" in warned(example.profile, "high_cardinality")


def test_leaks_of_the_example_and_nothing_else(example: Stored) -> None:
    found = example.against("MIS_Status")
    assert warned(found, "leak") == {"Term": True, "ChgOffDate": True, "ChgOffPrinGr": True}
    assert {warning.column for warning in found.warnings if warning.exclude} == {
        "Term",
        "ChgOffDate",
        "ChgOffPrinGr",
        "LoanNr_ChkDgt",
        "BalanceGross",
    }
    assert (column(found, "Term").association or 0) > 0.9
    assert column(found, "MIS_Status").association is None


@pytest.mark.parametrize("name", ["breast_cancer", "iris", "wine", "diabetes"])
def test_strong_honest_columns_are_no_leaks(tmp_path: Path, name: str) -> None:
    table = getattr(bundled, f"load_{name}")()
    frame = pl.DataFrame(table.data, schema=list(table.feature_names))
    named = table.target if name == "diabetes" else np.asarray(table.target_names)[table.target].astype(str)
    stored = Stored(tmp_path, frame.with_columns(pl.Series("outcome", named)).write_csv().encode())
    assert warned(stored.against("outcome"), "leak") == {}


def test_figures_equal_those_of_numpy(tmp_path: Path) -> None:
    numbers = np.round(np.random.default_rng(0).lognormal(3, 2, 3000), 2)
    stored = Stored(tmp_path, ("n,k\n" + "".join(f"{n},a\n" for n in numbers) + "?,b\n").encode())
    found = column(stored.profile, "n")
    assert (found.count, found.missing, found.unreadable, found.distinct) == (3001, 1, 0, np.unique(numbers).size)
    assert found.mean == pytest.approx(numbers.mean())
    assert found.std == pytest.approx(numbers.std(ddof=1))
    for share, value in found.quantiles.items():
        assert value == pytest.approx(np.quantile(numbers, float(share)))
    assert found.histogram is not None
    assert sum(found.histogram.counts) == 3000
    assert (found.histogram.edges[0], found.histogram.edges[-1]) == (numbers.min(), numbers.max())
    assert column(stored.profile, "k").top[0].value == "a"


def test_columns_with_very_many_values_are_measured_on_all_rows(tmp_path: Path) -> None:
    values = np.random.default_rng(0).permutation(250_000) / 7
    lines = "".join(f"{value:.6f},w{i % 240_000}\n" for i, value in enumerate(values))
    stored = Stored(tmp_path, ("n,word\n" + lines + "x,\n,\n").encode())
    found = column(stored.profile, "n")
    assert (found.count, found.missing, found.unreadable) == (250_002, 2, 1)
    assert found.distinct == pytest.approx(250_000, rel=0.15)
    assert found.quantiles["0.5"] == pytest.approx(np.median(values), abs=1e-5)
    assert column(stored.profile, "word").missing == 2


def test_unreadable_cells_are_counted_and_shown(tmp_path: Path) -> None:
    cells = [str(n / 10) for n in range(200)]
    cells[17] = "oops"
    stored = Stored(tmp_path, ("n\n" + "\n".join(cells) + "\n").encode())
    warning = next(warning for warning in stored.profile.warnings if warning.code == "unreadable_values")
    assert (warning.rows, warning.examples) == ([18], ["oops"])
    assert column(stored.profile, "n").unreadable == 1


def test_empty_and_sparse_columns(tmp_path: Path) -> None:
    rows = "".join(f"{n % 7},,{'z' if n == 5 else ''}\n" for n in range(300))
    stored = Stored(tmp_path, ("a,empty,sparse\n" + rows).encode())
    assert warned(stored.profile, "all_missing") == {"empty": True}
    assert warned(stored.profile, "mostly_missing") == {"sparse": True}


def test_twins_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values, colours = rng.normal(size=300), rng.choice(["r", "g", "b"], 300)
    twin = {"r": "red", "g": "green", "b": "blue"}
    rows = "".join(f"{v:.4f},{math.exp(v):.6f},{c},{twin[c]}\n" for v, c in zip(values, colours, strict=True))
    stored = Stored(tmp_path, ("v,exp,c,colour\n" + rows).encode())
    assert warned(stored.profile, "near_duplicate") == {"exp": False, "colour": False}


def test_targets_with_gaps_and_rare_classes(tmp_path: Path) -> None:
    rows = "".join(f"{n * 7 % 50},{'rare' if n < 5 else '' if n < 20 else 'usual'}\n" for n in range(300))
    found = Stored(tmp_path, ("a,y\n" + rows).encode()).against("y")
    assert warned(found, "missing_target").keys() == {"y"}
    assert warned(found, "imbalance").keys() == {"y"}
    assert warned(found, "rare_classes").keys() == {"y"}


def test_a_column_that_is_filled_for_one_class_only_is_a_leak(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bad = rng.random(1000) < 0.2
    rows = "".join(
        f"{rng.normal():.3f},{n % 9 if b and n % 3 else ''},{'bad' if b else 'good'}\n" for n, b in enumerate(bad)
    )
    found = Stored(tmp_path, ("a,late,y\n" + rows).encode()).against("y")
    assert warned(found, "leak") == {"late": True}
    assert any("filled almost only where y is 'bad'" in warning.message for warning in found.warnings)


def test_columns_with_as_many_values_as_rows_cannot_cheat() -> None:
    rng = np.random.default_rng(0)
    hit = (rng.random(5000) < 0.3).astype(float)
    target, folds = Target(np.column_stack([1 - hit, hit]), ("no", "yes")), rng.permutation(5000) % 5
    words = pl.Series([f"w{n}" for n in rng.integers(0, 4000, 5000)])
    assert (predictive_power(levels(words), target, folds) or 0) < 0.53
    assert (predictive_power(levels(pl.Series(rng.normal(size=5000))), target, folds) or 0) < 0.54


def test_association_comes_near_the_auc_of_a_good_column() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=20_000)
    hit = (score + rng.normal(size=20_000) > 0).astype(float)
    target, folds = Target(np.column_stack([1 - hit, hit]), ("no", "yes")), rng.permutation(20_000) % 5
    assert predictive_power(levels(pl.Series(score)), target, folds) == pytest.approx(
        roc_auc_score(hit, score), abs=0.01
    )
    number = Target(score[:, None] * 3, ())
    assert (predictive_power(levels(pl.Series(score)), number, folds) or 0) > 0.95


def test_the_job_answers_as_json_and_refuses_unknown_targets(example: Stored) -> None:
    schema = example.schema.model_dump(mode="json")
    answer = profile_table(example.storage, lambda progress: None, content_hash="h", schema=schema, target="MIS_Status")
    assert TableProfile.model_validate(answer) == example.against("MIS_Status")
    with pytest.raises(InvalidInput) as refusal:
        profile_table(example.storage, lambda progress: None, content_hash="h", schema=schema, target="nope")
    assert refusal.value.code == "unknown_target"
