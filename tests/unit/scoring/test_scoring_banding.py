"""Cases that were scored alike, and what became of them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from rowcast.models.evaluate.intervals import wilson
from rowcast.scoring.banding import MOST_KEPT, Outcomes
from rowcast.scoring.views import Similar


def outcomes(count: int, seed: int = 0) -> tuple[Outcomes, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.random(count).astype(np.float32)
    positive = rng.random(count) < score
    return Outcomes(score, positive), score, positive


@pytest.mark.parametrize("score", [0.1, 0.429, 0.9])
def test_the_closest_on_both_sides_are_counted(score: float) -> None:
    found, scores, positive = outcomes(4000)
    near = found.near(score)
    assert near is not None
    assert near.count == 200
    assert near.low < score < near.high
    inside = (scores >= np.float32(near.low)) & (scores <= np.float32(near.high))
    assert (inside.sum(), positive[inside].mean()) == (near.count, pytest.approx(near.observed))
    assert (scores[inside] < score).sum() == 100
    assert (near.observed_low, near.observed_high) == pytest.approx(wilson(positive[inside].sum(), 200))


@pytest.mark.parametrize("score", [0.0, 0.003, 0.997, 1.0])
def test_near_an_end_they_are_fewer_so_that_they_stay_close(score: float) -> None:
    found, _, _ = outcomes(4000)
    near = found.near(score)
    assert near is not None
    assert near.count == 50
    assert near.high - near.low < 0.03


def test_equal_scores_stay_together() -> None:
    score = np.repeat(np.float32([0.1, 0.5]), [70, 930])
    near = Outcomes(score, score > 0.2).near(0.5)
    assert near is not None
    assert (near.count, near.high, near.observed) in ((930, 0.5, 1.0), (1000, 0.5, 0.93))
    lowest = Outcomes(score, score > 0.2).near(0.05)
    assert lowest is not None
    assert (lowest.count, lowest.observed) == (70, 0)


def test_few_rows_say_nothing_and_many_are_thinned_out() -> None:
    assert outcomes(49)[0].near(0.5) is None
    assert outcomes(50)[0].near(0.5) is not None
    near = outcomes(MOST_KEPT * 3 + 1)[0].near(0.4)
    assert near is not None
    assert near.count == 500
    assert near.observed == pytest.approx(0.4, abs=0.1)


def test_only_what_is_beyond_all_rows_is_beyond_the_closest() -> None:
    for count in (60, 4000, MOST_KEPT * 3 + 1):
        found, scores, _ = outcomes(count)
        for score, beyond in ((scores.min(), None), (scores.max(), None), (0.5, None), (-0.1, "low"), (1.1, "high")):
            near = found.near(float(score))
            assert near is not None
            assert near.low <= near.high
            assert Similar(**msgspec.to_builtins(near)).beyond(float(score)) == beyond


@pytest.mark.parametrize("count", [1000, 5000])
def test_the_interval_holds_the_true_share_nine_times_in_ten(count: int) -> None:
    inside = []
    for seed in range(40):
        for score in (0.15, 0.5, 0.85):
            near = outcomes(count, seed)[0].near(score)
            assert near is not None
            inside.append(near.observed_low <= score <= near.observed_high)
    assert np.mean(inside) > 0.9
