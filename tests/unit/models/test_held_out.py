"""What a training keeps of its held-out predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rowcast.models.decide.held_out import HeldOut

FEATURES = ["term", "income, $", "since", "state", "town", "owns home"]


@pytest.mark.parametrize("preset", ["fast", "best"])
def test_they_are_those_that_the_evaluation_used(workshop: Any, loans: Any, preset: str) -> None:
    rows = loans(600)
    for gap in (3, 50, 599):
        rows["outcome"][gap] = None
    workshop.put(rows)
    outcome = workshop.train("outcome", features=FEATURES, preset=preset, folds=3, algorithms=["linear"], seed=3)
    bundle = workshop.bundle("linear")
    kept = HeldOut.unpacked((bundle.folder / "held_out.npy").read_bytes())
    assert "held_out.npy" in bundle.manifest.files
    assert set(kept.rows.tolist()) == set(range(600)) - {3, 50, 599}
    written = [rows["outcome"][row] for row in kept.rows.tolist()]
    assert [bundle.manifest.classes[code] for code in kept.codes.tolist()] == written
    assert kept.predicted.shape == (597, 2)
    brier = float(np.mean((kept.predicted[:, 1] - kept.codes) ** 2))
    told = {metric["name"]: metric["value"] for metric in outcome["candidates"][0]["metrics"]}
    assert brier == pytest.approx(told["brier"], abs=1e-6)


def test_numbers_have_bands_of_their_own(workshop: Any, loans: Any) -> None:
    workshop.put(loans(1000))
    outcome = workshop.train("amount", features=FEATURES, folds=3, algorithms=["lightgbm"], preset="fast")
    kept = HeldOut.unpacked((workshop.folder("lightgbm") / "held_out.npy").read_bytes())
    assert kept.predicted.shape == (1000, 1)
    bands = outcome["candidates"][0]["evaluation"]["bands"]
    assert len(bands) == 10
    assert sum(band["count"] for band in bands) == 1000
    assert (bands[0]["low"], bands[-1]["high"]) == (None, None)
    predicted = kept.predicted[:, 0].astype(np.float64)
    for band in bands:
        inside = np.ones(1000, dtype=bool)
        inside &= predicted >= (band["low"] if band["low"] is not None else -np.inf)
        inside &= predicted < (band["high"] if band["high"] is not None else np.inf)
        assert band["count"] == inside.sum()
        assert band["observed"] == pytest.approx(kept.truth[inside].mean())
        assert band["observed_low"] < band["observed"] < band["observed_high"] < band["new_high"]
        assert 0.6 < band["inside"] <= 1
    assert np.mean([band["inside"] for band in bands]) == pytest.approx(0.9, abs=0.05)
    means = [band["observed"] for band in bands]
    assert means == sorted(means)
