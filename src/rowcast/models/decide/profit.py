"""The profit curve: what all held-out cases together would have earned at every threshold, and the best threshold.

The best threshold is the one with which all cases are expected to earn most by their calibrated probabilities (Elkan
2001, "The foundations of cost-sensitive learning", IJCAI). What they did earn is the same on average, but near its top
it hangs on a few large cases, so its highest point lies anywhere on a plateau. That point is taken only where it earned
clearly more: by three standard errors of the sum over the cases that are decided on otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.decide.policy import Bands
from rowcast.models.evaluate.intervals import percentile_interval, resampled_sums
from rowcast.models.evaluate.ranking import shares
from rowcast.models.views import ProfitCurve, ProfitPoint, Spread

Floats = NDArray[np.float64]

CURVE_POINTS = 200
_PARTS = 5
_CLEARLY = 3.0
"""Standard errors by which what happened must exceed what was expected: the highest of many points may by chance."""


@dataclass(frozen=True)
class Cases:
    """Cases by score, lowest first: ``score`` float32 [N], and what each earned by which side of a threshold it is on.

    ``below`` [N] is earned by cases under the threshold, ``above`` [N] by those at it or over it; ``gain`` [N] is by
    how much the first was expected to exceed the second before the outcome was known.
    """

    score: NDArray[np.float32]
    below: Floats
    above: Floats
    gain: Floats

    @staticmethod
    def of(score: NDArray[np.float32], below: Floats, above: Floats, gain: Floats) -> Cases:
        """From cases in any order."""
        order = np.argsort(score, kind="stable")
        return Cases(score[order], below[order], above[order], gain[order])

    def part(self, chosen: NDArray[np.bool_]) -> Cases:
        return Cases(self.score[chosen], self.below[chosen], self.above[chosen], self.gain[chosen])

    def count_below(self, threshold: float) -> int:
        return int(np.searchsorted(self.score, np.float32(threshold), "left"))

    def earned(self, threshold: float) -> Floats:
        """What each case [N] earns with this threshold."""
        under = np.arange(len(self.score)) < self.count_below(threshold)
        return np.where(under, self.below, self.above)


@dataclass(frozen=True)
class Thresholds:
    """Every threshold that parts the cases in another way, lowest first, what all cases earn with it, and the position
    of the best one."""

    threshold: Floats
    count_below: NDArray[np.int64]
    profit: Floats
    best: int


def thresholds(cases: Cases) -> Thresholds:
    """All thresholds from 0 to 1 that part the cases differently; all but the ends are scores of cases.

    A threshold is the shortest decimal that reads back as the same float32, which is how scores are compared.
    """
    starts = np.flatnonzero(np.diff(cases.score) > 0) + 1
    counts = np.concatenate([[0], starts, [len(cases.score)] if not len(cases.score) or cases.score[-1] < 1 else []])
    inner = [float(str(score)) for score in cases.score[starts]]
    below, above, gain = (np.concatenate([[0.0], np.cumsum(each)]) for each in (cases.below, cases.above, cases.gain))
    where = counts.astype(np.int64)
    profit = below[where] + above[-1] - above[where]
    return Thresholds(
        threshold=np.array([0.0, *inner, 1.0][: len(where)]),
        count_below=where,
        profit=profit,
        best=_best(cases, where, profit, gain[where]),
    )


def _best(cases: Cases, count_below: NDArray[np.int64], profit: Floats, expected: Floats) -> int:
    """Position of the threshold with the highest ``expected`` profit, unless another earned significantly more."""
    promised, highest = int(np.argmax(expected)), int(np.argmax(profit))
    parted = slice(*sorted((count_below[promised], count_below[highest])))
    scatter = np.sum((cases.below[parted] - cases.above[parted]) ** 2)
    return highest if profit[highest] - profit[promised] > _CLEARLY * np.sqrt(scatter) else promised


def profit_curve(
    cases: Cases, of: str, bands: Bands | None = None, *, accept_below: bool, unknown: int, seed: int = 0
) -> ProfitCurve:
    """The curve over at most 200 thresholds, its best point, and what that can be compared with.

    The best threshold is searched among all. Its profit is that of the cases it was chosen on, so it may flatter;
    ``new_cases`` does not: in each of five random parts cases are decided on by the threshold that is best in the
    others, and the 95 % interval of what they earn on average is the percentile interval of a bootstrap over cases.
    """
    tried, share = thresholds(cases), _Points(cases, accept_below)
    return ProfitCurve(
        of=of,
        accepted="below" if accept_below else "above",
        rows=len(cases.score),
        unknown=unknown,
        points=[share.at(float(tried.threshold[place])) for place in _spread(tried)],
        best=share.at(float(tried.threshold[tried.best])),
        new_cases=_new_cases(cases, seed),
        half=share.at(0.5),
        each=share.each(),
        accept_all=share.every(accepted=True),
        decline_all=share.every(accepted=False),
        yellow=share.at(bands.yellow) if bands else None,
        red=share.at(bands.red) if bands else None,
    )


@dataclass(frozen=True)
class _Points:
    """Points of the curve of these cases."""

    cases: Cases
    accept_below: bool

    def at(self, threshold: float) -> ProfitPoint:
        under = self.cases.count_below(threshold)
        count = len(self.cases.score)
        profit = float(self.cases.below[:under].sum() + self.cases.above[under:].sum())
        return self._point(threshold, under if self.accept_below else count - under, profit)

    def every(self, *, accepted: bool) -> ProfitPoint:
        """All cases on one side, which no threshold may bring about."""
        earned = self.cases.below if accepted is self.accept_below else self.cases.above
        return self._point(None, len(earned) if accepted else 0, float(earned.sum()))

    def each(self) -> ProfitPoint:
        """Every case on the side where it is itself expected to earn more."""
        gain = self.cases.gain
        under = gain >= 0 if self.accept_below else gain > 0
        earned = np.where(under, self.cases.below, self.cases.above)
        accepted = under if self.accept_below else ~under
        return self._point(None, int(accepted.sum()), float(earned.sum()))

    def _point(self, threshold: float | None, accepted: int, profit: float) -> ProfitPoint:
        count = max(1, len(self.cases.score))
        return ProfitPoint(
            threshold=threshold, accepted_share=accepted / count, profit=profit, profit_per_case=profit / count
        )


def _spread(tried: Thresholds) -> list[int]:
    """At most ``CURVE_POINTS`` positions, evenly spread over the cases, with both ends and the best."""
    last = len(tried.threshold) - 1
    if last < CURVE_POINTS:
        return list(range(last + 1))
    steps = np.linspace(0, tried.count_below[-1], CURVE_POINTS - 2)
    evenly = np.searchsorted(tried.count_below, steps).clip(0, last)
    return sorted({0, last, tried.best, *evenly[1:-1].tolist()})


def _new_cases(cases: Cases, seed: int) -> Spread:
    """What a case earns on average when the threshold was chosen without it."""
    rng = np.random.default_rng(seed)
    part = rng.permutation(len(cases.score)) % _PARTS
    earned = np.zeros(len(cases.score))
    for number in range(_PARTS):
        inside = part == number
        tried = thresholds(cases.part(~inside))
        earned[inside] = cases.part(inside).earned(float(tried.threshold[tried.best]))
    return spread_of_mean(earned, rng)


def spread_of_mean(values: NDArray[Any], rng: np.random.Generator) -> Spread:
    """The mean of values [N] with the 95 % percentile interval of a bootstrap."""
    if not len(values):
        return Spread(value=0.0)
    mean = float(values.mean())
    sums = resampled_sums(np.column_stack([values, np.ones(len(values))]), rng)
    found = percentile_interval(mean, shares(sums[:, 0], sums[:, 1]))
    return Spread(value=mean) if found is None else Spread(value=mean, low=found[0], high=found[1])
