"""Ranking: rows of two classes sorted once by score, from which all that depends on their order is a running sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowcast.models.evaluate.intervals import Floats

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Ranking:
    """Cells of rows that share a score, highest score first; every array is [C].

    ``positive`` and ``negative`` are the sums of the weights of the rows of each class in a cell,
    ``positive_squares`` and ``negative_squares`` the sums of their squares.
    """

    score: Floats
    positive: Floats
    negative: Floats
    positive_squares: Floats
    negative_squares: Floats

    @property
    def sides(self) -> tuple[Floats, Floats]:
        return self.positive, self.negative

    @property
    def has_both(self) -> bool:
        """Whether there are rows of both classes, without which there is nothing to rank."""
        return bool(self.positive.any() and self.negative.any())


def rank(score: Floats, positive: NDArray[np.bool_], weights: Floats) -> Ranking:
    """The ranking of rows with ``score`` [N], class ``positive`` [N] and ``weights`` [N]; N is at least 1."""
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    own, other = (weights * positive)[order], (weights * ~positive)[order]
    return Ranking(ordered[starts], *(np.add.reduceat(sums, starts) for sums in (own, other, own**2, other**2)))


def condensed(ranking: Ranking, cells: int) -> Ranking:
    """The ranking in at most about ``cells`` cells, merged so that each spans an equal piece of the ROC curve.

    Half of the cells go to the positives and half to the negatives, so that a few hundred of the rarer class among a
    million keep a cell each. A merged cell has the score of its first. Needs rows of both classes.
    """
    if len(ranking.score) <= cells:
        return ranking
    starts = equal_steps(np.cumsum(ranking.positive), np.cumsum(ranking.negative), cells)
    sums = (ranking.positive, ranking.negative, ranking.positive_squares, ranking.negative_squares)
    return Ranking(ranking.score[starts], *(np.add.reduceat(column, starts) for column in sums))


def equal_steps(first: Floats, second: Floats, steps: int) -> NDArray[np.int64]:
    """Positions at which a path enters each of ``steps`` pieces of equal length.

    ``first`` and ``second`` [C] are its coordinates, which never fall and end above 0. Length is measured along the
    axes, each scaled to its last value. At most ``steps`` + 1 positions, of which the first is 0.
    """
    length = (first / first[-1] + second / second[-1]) / 2
    piece = np.floor(length * steps * (1 - 1e-12))
    return np.flatnonzero(np.concatenate([[True], piece[1:] != piece[:-1]]))


def shares(part: Floats, whole: Floats) -> Floats:
    """``part`` / ``whole``, elementwise with broadcasting; NaN where ``whole`` is not above 0."""
    shape = np.broadcast_shapes(part.shape, whole.shape)
    ratio: Floats = np.divide(part, whole, out=np.full(shape, np.nan), where=whole > 0)
    return ratio


# What follows takes weights of positives and negatives by cell, highest score first, [C] or for R resamples [R, C],
# and gives one figure [] or one per resample [R], NaN where a class is missing.


def roc_auc(positive: Floats, negative: Floats) -> Floats:
    """The chance that a positive row scores above a negative one, ties counting half (Mann and Whitney 1947)."""
    below = negative.sum(axis=-1, keepdims=True) - np.cumsum(negative, axis=-1) + negative / 2
    wins = np.sum(positive * below, axis=-1)
    return np.clip(shares(wins, positive.sum(axis=-1) * negative.sum(axis=-1)), 0.0, 1.0)


def average_precision(positive: Floats, negative: Floats) -> Floats:
    """The mean precision over the positives found, without interpolation: the area under precision and recall."""
    found = np.cumsum(positive, axis=-1)
    precision = shares(found, found + np.cumsum(negative, axis=-1))
    total = positive.sum(axis=-1)
    mean = shares(np.sum(positive * np.nan_to_num(precision), axis=-1), total)
    return np.where(negative.sum(axis=-1) > 0, np.minimum(mean, 1.0), np.nan)


def kolmogorov_smirnov(positive: Floats, negative: Floats) -> Floats:
    """The largest distance between the distributions of the scores of both classes."""
    hits = shares(np.cumsum(positive, axis=-1), positive.sum(axis=-1, keepdims=True))
    alarms = shares(np.cumsum(negative, axis=-1), negative.sum(axis=-1, keepdims=True))
    distance: Floats = np.max(np.abs(hits - alarms), axis=-1)
    return np.minimum(distance, 1.0)


def rank_statistics(positive: Floats, negative: Floats) -> dict[str, Floats]:
    """The metrics of order by name."""
    return {
        "roc_auc": roc_auc(positive, negative),
        "pr_auc": average_precision(positive, negative),
        "ks": kolmogorov_smirnov(positive, negative),
    }


def one_against_rest(y: Codes, prediction: Floats, weights: Floats) -> tuple[float, Floats]:
    """The mean ROC AUC of each class against all others, and what each row adds to it per unit of weight [N].

    The mean is over the classes that some rows have and some have not; NaN, without additions, if there is none. The
    additions are the placements of DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44), centred: weighted by a
    resample's counts they sum to the change of the mean AUC, to first order.
    """
    aucs, addition = [], np.zeros(len(y))
    for code in range(prediction.shape[1]):
        own = y == code
        if own.any() and not own.all():
            placement = _placements(prediction[:, code], own, weights)
            auc = float(np.average(placement[own], weights=weights[own]))
            aucs.append(min(auc, 1.0))
            addition += (placement - auc) / np.where(own, weights[own].sum(), weights[~own].sum())
    return (float(np.mean(aucs)), addition / len(aucs)) if aucs else (np.nan, addition)


def _placements(score: Floats, own: NDArray[np.bool_], weights: Floats) -> Floats:
    """For each row the share of the other side that it is ranked right against, ties counting half: [N]."""
    _, cell = np.unique(score, return_inverse=True)
    first, second = (np.bincount(cell, weights * side) for side in (own, ~own))
    below: Floats = (np.cumsum(second) - second / 2) / second.sum()
    above: Floats = 1 - (np.cumsum(first) - first / 2) / first.sum()
    return np.where(own, below[cell], above[cell])


# Calibration


@dataclass(frozen=True)
class CalibrationBins:
    """Rows in bins of about equal weight by score, lowest first, every array [B].

    ``predicted`` is the mean score of a bin, ``observed`` the share of its positives, ``weight`` its sum of weights.
    """

    predicted: Floats
    observed: Floats
    weight: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of ``observed`` from ``predicted``, weighted by rows.

        Naeini, Cooper and Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning", AAAI;
        with bins of equal count as in Nixon et al. 2019, "Measuring calibration in deep learning".
        """
        return float(np.sum(self.weight * np.abs(self.observed - self.predicted)) / np.sum(self.weight))


def calibration_bins(ranking: Ranking, bins: int) -> CalibrationBins:
    """The rows of a ranking in at most ``bins`` bins. Rows of one score are never parted, so bins may be uneven."""
    score, positive = ranking.score[::-1], ranking.positive[::-1]
    weight = positive + ranking.negative[::-1]
    middle = np.cumsum(weight) - weight / 2
    piece = np.floor(middle / weight.sum() * bins)
    starts = np.flatnonzero(np.concatenate([[True], piece[1:] != piece[:-1]]))
    total = np.add.reduceat(weight, starts)
    predicted = np.add.reduceat(weight * score, starts) / total
    return CalibrationBins(predicted, np.add.reduceat(positive, starts) / total, total)
