"""Prediction intervals cover what they claim, on tables that nobody has seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rowcast.models.evaluate.conformal import LEVELS, fit_intervals


def coverage(found: Any, y: Any, predicted: Any) -> dict[float, float]:
    return {level: float(np.mean(np.abs(y - predicted) <= found.half_width(predicted, level))) for level in LEVELS}


@pytest.mark.parametrize("growing", [False, True])
def test_new_rows_lie_inside_as_often_as_claimed(growing: bool) -> None:
    rng = np.random.default_rng(0)

    def rows(count: int) -> tuple[Any, Any]:
        predicted = rng.gamma(2, 50, count)
        size = 0.3 * predicted if growing else np.full(count, 10.0)
        return predicted + size * rng.standard_t(4, count), predicted

    y, predicted = rows(4000)
    found = fit_intervals(y, predicted, 0)
    assert found.method == ("scaled" if growing else "absolute")
    unseen, answered = rows(20_000)
    for level, share in coverage(found, unseen, answered).items():
        assert share == pytest.approx(level, abs=0.02)
        assert found.coverage[str(level)] == pytest.approx(level, abs=0.01)
    if growing:
        low, high = answered < 60, answered > 150
        for part in (low, high):
            assert coverage(found, unseen[part], answered[part])[0.9] == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("rows", [10, 40])
def test_few_rows_give_wide_intervals(rows: int) -> None:
    shares = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        error, new = rng.normal(size=rows), rng.normal(size=50)
        found = fit_intervals(error, np.zeros(rows), seed)
        shares.append(coverage(found, new, np.zeros(50))[0.8])
    assert np.mean(shares) > 0.8 - 0.01


def test_a_perfect_model_has_intervals_of_no_width() -> None:
    y = np.arange(500.0)
    found = fit_intervals(y, y, 0)
    assert found.half_width(y).max() == 0
    assert set(found.half_widths) == {"0.5", "0.8", "0.9", "0.95"}


def test_trained_models_cover_held_out_tables(workshop: Any, loans: Any) -> None:
    from rowcast.datasets.rows import RowReader
    from rowcast.models.bundle.runtime import open_runtime

    features = ["term", "income, $", "since", "state", "town", "owns home"]
    rows = loans(3000)
    learned = {name: cells[:1000] for name, cells in rows.items()}
    held_out = [
        dict(zip(features, cells, strict=True)) for cells in zip(*(rows[f][1000:] for f in features), strict=True)
    ]
    workshop.put(learned)
    workshop.train("amount", features=features, algorithms=["linear", "lightgbm"])
    for algorithm in ("linear", "lightgbm"):
        bundle = workshop.bundle(algorithm)
        assert bundle.manifest.intervals is not None
        predicted = open_runtime(bundle).run(RowReader(bundle.schema).read(held_out).inputs)[:, 0].astype(float)
        truth = np.array([float(cell) if cell else np.nan for cell in rows["amount"][1000:]])
        known = ~np.isnan(truth)
        for level, share in coverage(bundle.manifest.intervals, truth[known], predicted[known]).items():
            assert share == pytest.approx(level, abs=0.04)
