"""Figures with 95 % intervals, and differences between two ways to learn on the very same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from scipy.stats import t as student

Floats = NDArray[np.float64]
ROUNDS = 1000
_Z = 1.96


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval, where one is known."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        return self.text()

    def text(self, form: str = ".3f") -> str:
        written = f"{self.value:{form}}"
        return written if math.isnan(self.low) else f"{written} ({self.low:{form}} to {self.high:{form}})"

    @property
    def verdict(self) -> int:
        """Of a difference: 1 or -1 where the interval says its sign, 0 where it does not."""
        return int(self.low > 0) - int(self.high < 0)


def auc(scores: Floats, bad: Floats) -> float:
    """ROC AUC: how often a bad case scores above a good one; ties count half."""
    count = bad.sum()
    return float((rankdata(scores)[bad > 0].sum() - count * (count + 1) / 2) / (count * (len(bad) - count)))


def share(count: int, of: int) -> Figure:
    """A share with Wilson's interval."""
    p, z = count / of, _Z
    centre, spread = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low, high = ((centre + side) / (1 + z * z / of) for side in (-spread, spread))
    return Figure(p, min(p, low), max(p, high))  # of none and of all, rounding puts them a hair inside


class Resampled:
    """The rows of a test drawn again and again, the same draws for all that is measured on them."""

    def __init__(self, bad: Floats, rounds: int = ROUNDS) -> None:
        draws = np.random.default_rng(0).integers(0, len(bad), (rounds, len(bad)))
        self._bad, self._draws = bad, [rows for rows in draws if 0 < bad[rows].sum() < len(rows)]

    def auc(self, scores: Floats) -> Figure:
        return _figure(auc(scores, self._bad), [auc(scores[rows], self._bad[rows]) for rows in self._draws])

    def auc_difference(self, scores: Floats, other: Floats) -> Figure:
        drawn = [auc(scores[rows], self._bad[rows]) - auc(other[rows], self._bad[rows]) for rows in self._draws]
        return _figure(auc(scores, self._bad) - auc(other, self._bad), drawn)

    def mean(self, values: Floats) -> Figure:
        return _figure(float(values.mean()), [float(values[rows].mean()) for rows in self._draws])


def _figure(value: float, drawn: Sequence[float]) -> Figure:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Figure(value, float(low), float(high))


def fold_difference(folds: Sequence[float], others: Sequence[float]) -> Figure:
    """The mean difference over the same folds, with the interval of the corrected resampled t-test (Nadeau and Bengio,
    "Inference for the generalization error", Machine Learning 52, 2003): folds share rows that were learned from, so
    their differences vary less than those of independent samples would."""
    return fold_mean(np.subtract(folds, others), 1 / (len(folds) - 1))


def fold_mean(folds: Sequence[float] | Floats, tested_to_learned: float) -> Figure:
    """The mean over folds with that interval, for so many rows tested to each that was learned from."""
    count = len(folds)
    error = math.sqrt((1 / count + tested_to_learned) * float(np.var(folds, ddof=1)))
    reach = float(student.ppf(0.975, count - 1)) * error
    mean = float(np.mean(folds))
    return Figure(mean, mean - reach, mean + reach)
