from __future__ import annotations

import sys

import pytest

from rowcast.adapters.compute.local import LocalCompute
from rowcast.errors import Unavailable
from rowcast.tasks.handlers import Bench, Limits
from rowcast.tasks.training_jobs import train

JOB = (sys.executable, "-c", "from rowcast.wiring import job; job()")
KILLED = (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")


@pytest.fixture
def told():
    return []


@pytest.fixture
def bench(storage, tmp_path, told):
    """Makes a bench whose compute starts that command, where more than 1,000 rows are many."""

    def bench(command):
        compute = LocalCompute((tmp_path / "storage").as_uri(), command=command, threads=1)
        return Bench(None, storage, compute, Limits(threads=1, spread_rows=1000), told.append, lambda: False)

    return bench


def payload(rows, schema=None, **recipe):
    request = {"dataset": "loans", "target": "MIS_Status", **recipe}
    return {
        "request": request, "content_hash": "0" * 64, "dataset_number": 1, "schema": schema, "row_count": rows
    }  # fmt: skip


def test_a_large_table_is_learned_in_shares(bench, storage, example, told):
    storage.put("uploads/task", example.read_bytes())
    made = bench(JOB)
    limits = {"max_columns": 100, "max_rows": 10_000, "max_cell_bytes": 10_000}
    given = {"source_key": "uploads/task", "content_hash": "0" * 64, "filename": "loans.csv", "kinds": {}}
    table = made.run("import", {**given, "limits": limits}, timeout=60)
    told.clear()
    trees = {"lightgbm": {"n_estimators": 60}}
    outcome = train(made, payload(table["row_count"], table["schema"], hyperparameters=trees, folds=4), "bundles/1")

    assert [one["algorithm"] for one in outcome["candidates"]] == ["lightgbm"]
    assert outcome["row_count"] == table["row_count"] * 4 // 5
    assert any("baseline, linear would need all rows" in one for one in outcome["warnings"])
    assert any("in place of folds" in one for one in outcome["warnings"])
    assert [*storage.list("bundles/1/shared")] == []
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize(("rows", "advised"), [(2000, True), (900, False)])
def test_who_asks_for_what_cannot_be_shared_is_told_when_memory_runs_out(bench, rows, advised):
    with pytest.raises(Unavailable) as caught:
        train(bench(KILLED), payload(rows, algorithms=["linear"]), "bundles/1")

    assert caught.value.code == "job_killed"
    assert ("xgboost or lightgbm" in caught.value.message) == advised
