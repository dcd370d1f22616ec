from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rowcast.models.evaluate.intervals import (
    UNITS,
    blocks,
    median_interval,
    percentile_interval,
    resample_count,
    resampled_sums,
    resampled_totals,
    weighted_median,
    wilson,
)

Floats = NDArray[np.float64]


def test_wilson_matches_published_values() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    low, high = wilson([81, 15, 0, 1], [263, 148, 20, 29])
    assert np.allclose(low, [0.2553, 0.0624, 0.0000, 0.0061], atol=5e-5)
    assert np.allclose(high, [0.3662, 0.1605, 0.1611, 0.1718], atol=5e-5)


def test_wilson_of_everything_nothing_and_no_trials() -> None:
    low, high = wilson([0, 5, 0], [5, 5, 0])
    assert low[0] == 0.0
    assert high[1] == 1.0
    assert (low[2], high[2]) == (0.0, 1.0)
    assert 0 < high[0] < 1
    assert np.isclose(high[0], 1 - low[1])


def test_fewer_resamples_of_more_units() -> None:
    assert [resample_count(units) for units in (1, 1_000, 5_000, 10**6)] == [1000, 1000, 400, 200]


def test_blocks_add_up() -> None:
    assert sum(blocks(1000, 7_000)) == 1000
    assert list(blocks(3, 10**9)) == [1, 1, 1]


@pytest.mark.parametrize("rows", [50, 40 * UNITS])
def test_ratios_and_centred_sums_vary_as_much_as_those_of_resampled_rows(rows: int) -> None:
    rng = np.random.default_rng(1)
    values = rng.exponential(size=rows)
    ones, centred = np.ones(rows), values - values.mean()
    sums = resampled_sums(np.column_stack([ones, values, centred]), rng)
    assert np.std(sums[:, 1] / sums[:, 0]) == pytest.approx(np.std(values) / np.sqrt(rows), rel=0.15)
    assert np.std(sums[:, 2]) == pytest.approx(np.std(values) * np.sqrt(rows), rel=0.15)


def test_groups_are_formed_at_random_and_not_in_the_order_of_rows() -> None:
    values = np.repeat([0.0, 1.0], 10 * UNITS)
    sums = resampled_sums(np.column_stack([np.ones(len(values)), values]), np.random.default_rng(0))
    assert np.std(sums[:, 1] / sums[:, 0]) == pytest.approx(0.5 / np.sqrt(len(values)), rel=0.15)


def test_cells_vary_as_much_as_their_weighted_rows() -> None:
    weights = np.array([0.0, 0.2, 1.0, 5.0])
    totals = np.array([0.0, weights.sum(), 7.0])
    squares = np.array([0.0, np.sum(weights**2), 7.0])
    draws = resampled_totals(totals, squares, 40_000, np.random.default_rng(0))
    assert draws.shape == (40_000, 3)
    assert np.allclose(draws.mean(axis=0), totals, rtol=0.03)
    assert np.allclose(draws.var(axis=0), squares, rtol=0.05)


def test_percentile_interval_stays_in_its_range_and_holds_the_value() -> None:
    replicates = np.linspace(-1.0, 3.0, 1001)
    assert percentile_interval(0.5, replicates, 0.0, 1.0) == (0.0, 1.0)
    assert percentile_interval(5.0, replicates) == pytest.approx((-0.9, 5.0))


def test_corrected_interval_takes_out_a_bias_of_the_replicates() -> None:
    replicates = np.random.default_rng(0).normal(loc=1.0, size=100_000)
    assert percentile_interval(0.0, replicates, corrected=True) == pytest.approx((-2.96, 0.96), abs=0.2)
    assert percentile_interval(1.0, replicates, corrected=True) == pytest.approx((-0.96, 2.96), abs=0.05)
    assert percentile_interval(1.0, np.ones(9), corrected=True) == (1.0, 1.0)
    assert percentile_interval(9.0, replicates, corrected=True) is not None


def test_percentile_interval_needs_half_of_the_replicates() -> None:
    assert percentile_interval(1.0, np.array([1.0, np.nan])) is None
    assert percentile_interval(1.0, np.array([1.0, 2.0, np.nan])) is not None


@pytest.mark.parametrize("count", [1, 2, 5, 6, 101])
def test_weighted_median_of_equal_weights_is_the_median(count: int) -> None:
    values = np.sort(np.random.default_rng(count).normal(size=count))
    assert weighted_median(values, np.ones(count)) == pytest.approx(np.median(values))


def test_weights_count_as_repetitions() -> None:
    values, weights = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1, 1, 3, 1])
    assert weighted_median(values, weights.astype(float)) == np.median(np.repeat(values, weights))


def test_median_interval_is_that_of_the_plain_bootstrap() -> None:
    rng = np.random.default_rng(3)
    values = np.sort(rng.exponential(size=400))
    medians = [np.median(rng.choice(values, 400)) for _ in range(2000)]
    interval = median_interval(values, np.ones(400))
    assert interval == pytest.approx(tuple(np.percentile(medians, [2.5, 97.5])), abs=0.02)
    assert median_interval(values[:5], np.ones(5)) is None
