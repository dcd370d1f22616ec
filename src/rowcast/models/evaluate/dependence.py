"""Partial dependence: the average answer for the same rows while one feature runs over its values.

After Friedman, "Greedy Function Approximation" (2001), section 8.2: it shows what the model does, not what the world
does, and supposes that the feature can change while the others stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.schema import Feature, Kind
from rowcast.models.encode.inputs import MISSING, Column, Inputs, Labels, row_count, take, written

MOST_FEATURES = 8
MOST_POINTS = 12
_MOST_CATEGORIES = 10
_MOST_ROWS = 200
_BATCH_CELLS = 4_000_000
"""Of rows that are answered in one call."""
_QUANTILES = np.linspace(0.01, 0.99, MOST_POINTS)
"""Beyond them there are too few rows to learn from."""
_BINS = 24

Answers = Callable[[Inputs], NDArray[Any]]
Data = dict[str, Any]


def partial_dependence(
    answers: Answers, features: Sequence[Feature], inputs: Inputs, outputs: Mapping[str, int], seed: int
) -> list[Data]:
    """A curve for each of the features, in their order: its usual values, what ``answers``
    gives on average with each, and how frequent they are in ``inputs``.

    ``outputs`` are those that are followed, each with its place in an answer [N,K]. The average is over the same rows
    throughout, at most 200 by chance.
    """
    total = row_count(inputs)
    chosen = np.sort(np.random.default_rng(seed).choice(total, min(total, _MOST_ROWS), replace=False))
    sample = take(inputs, chosen)
    curves = []
    for feature in features:
        points, counts, histogram = _points(feature, inputs[feature.name])
        if len(points) > 1:
            averages = _averages(answers, sample, feature.name, points)
            curves.append(
                {
                    "feature": feature.name,
                    "kind": feature.kind.value,
                    "rows": len(chosen),
                    "values": written(feature, points),
                    "averages": {name: averages[:, place].tolist() for name, place in outputs.items()},
                    "counts": counts,
                    "histogram": histogram,
                }
            )
    return curves


def _averages(answers: Answers, sample: Inputs, name: str, points: Column) -> NDArray[np.float64]:
    """The average answer [points, K] when all rows of the sample have each of the points."""
    rows = row_count(sample)
    at_once = max(1, _BATCH_CELLS // (rows * len(sample)))
    found = []
    for start in range(0, len(points), at_once):
        place = np.arange(start, min(start + at_once, len(points)))
        repeated = take(sample, np.tile(np.arange(rows), len(place)))
        changed = answers({**repeated, name: take({name: points}, np.repeat(place, rows))[name]})
        found.append(changed.reshape(len(place), rows, -1).mean(axis=1, dtype=np.float64))
    return np.vstack(found)


def _points(feature: Feature, column: Column) -> tuple[Column, list[int | None], Data | None]:
    """The values to try, the one that is not known last where it occurs; how many rows have each, of a number or date
    only for the one that is not known; and how the numbers or dates are spread between the first and the last."""
    if isinstance(column, Labels):
        counts = np.bincount(column.codes, minlength=len(column.levels))
        order = [code for code in np.argsort(-counts, kind="stable").tolist() if counts[code]]
        known = [code for code in order if column.levels[code] != MISSING][:_MOST_CATEGORIES]
        tried = [*known, *(code for code in order if column.levels[code] == MISSING)]
        return Labels(np.array(tried, dtype=np.int32), column.levels), counts[tried].tolist(), None
    numbers = column[np.isfinite(column)]
    missing = int(np.isnan(column).sum())
    last, count_of_last = ([np.nan], [missing]) if missing else ([], [])
    if feature.kind is Kind.FLAG:
        values, frequencies = np.unique(numbers, return_counts=True)
        return np.array([*values, *last], np.float32), [*frequencies.tolist(), *count_of_last], None
    values = np.unique(np.quantile(numbers, _QUANTILES, method="nearest")) if len(numbers) else numbers
    points = np.array([*values, *last], np.float32)
    return points, [*[None] * len(values), *count_of_last], _histogram(feature, numbers, values)


def _histogram(feature: Feature, numbers: NDArray[np.float32], values: NDArray[np.float32]) -> Data | None:
    if len(values) < 2:
        return None
    counts, edges = np.histogram(numbers, bins=_BINS, range=(float(values[0]), float(values[-1])))
    return {"edges": written(feature, edges.astype(np.float32)), "counts": counts.tolist()}
