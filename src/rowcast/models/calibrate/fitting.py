"""Fitting calibration maps to held-out scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.algorithms.learner import Link
from rowcast.models.calibrate.maps import CalibrationMap, Method, Scores, log_odds, sigmoid, softmax

Codes = NDArray[np.int64]

FEWEST_ROWS = 100
FEWEST_OF_A_CLASS = 10
MOST_KNOTS = 30
_ROWS_PER_KNOT = 100
_RARER_PER_KNOT = 20
_PRIOR_ROWS = 2.0
_STEEPEST = 30.0
"""Times the sigmoid's slope: steeper pieces would turn rounding into probability."""
_MOST_ROWS = 50_000
"""That maps of several classes are fitted on: their few numbers need no more."""
_GENTLEST, _HARDEST = 0.01, 100.0
"""Slopes that are fitted, in deviations of the score or, of several classes, in units of it."""
_FURTHEST = 20.0
_STEPS = 50


def fit(method: Method, link: Link, scores: Scores, y: Codes) -> CalibrationMap | None:
    """The map of that method for scores [N,outputs] and class codes [N]; None where they are too few for it."""
    if method == "none":
        return CalibrationMap()
    fewest = int(np.bincount(y, minlength=max(2, scores.shape[1])).min())
    if len(y) < FEWEST_ROWS or (scores.shape[1] == 1 and fewest < FEWEST_OF_A_CLASS):
        return None
    if method == "sigmoid":
        return fit_sigmoid(log_odds(link, scores)[:, 0], y)
    if method == "isotonic":
        return fit_isotonic(log_odds(link, scores)[:, 0], y)
    return fit_softmax(log_odds(link, scores), y, per_class=method == "per_class")


def fit_sigmoid(score: Scores, y: Codes) -> CalibrationMap:
    """Platt's sigmoid with his targets, which keep it from 0 and 1, by Newton's method."""
    center, spread = float(score.mean()), float(score.std()) or 1.0
    x = np.column_stack([(score - center) / spread, np.ones(len(score))])
    positives = int(y.sum())
    target = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (len(y) - positives + 2))
    prior = np.log((positives + 1) / (len(y) - positives + 1))
    weights = np.array([0.0, prior])
    for _ in range(_STEPS):
        chance = sigmoid(x @ weights)
        gradient = x.T @ (chance - target)
        curvature = (x * (chance * (1 - chance))[:, None]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights -= step / max(1.0, float(np.abs(step).max()) / 2)
        if float(np.abs(step).max()) < 1e-10:
            break
    # Scores without any order would else be turned round: a slope near 0 says that they mean nothing.
    slope = max(float(weights[0]), _GENTLEST) / spread
    intercept = float(weights[1]) - slope * center
    return CalibrationMap(method="sigmoid", slope=[slope], intercept=[intercept], limit=_limit(y))


def fit_isotonic(score: Scores, y: Codes) -> CalibrationMap | None:
    """Rates that never fall, of bins with enough rows of both classes; strictly rising, so that no order is lost."""
    rarer = min(int(y.sum()), len(y) - int(y.sum()))
    bins = min(MOST_KNOTS, len(y) // _ROWS_PER_KNOT, rarer // _RARER_PER_KNOT)
    if bins < 3:
        return None
    slope = fit_sigmoid(score, y).slope[0]
    centers, rates = _blocks(score, y, bins)
    knots, heights = _rising(centers, np.log(rates / (1 - rates)), _STEEPEST * slope)
    if len(knots) < 2:
        return None
    return CalibrationMap(method="isotonic", slope=[slope], knots=knots, log_odds=heights, limit=_limit(y))


def _limit(y: Codes) -> float:
    """The log odds of all rows but one being of a class."""
    return float(np.log(len(y) + 1))


def _blocks(score: Scores, y: Codes, bins: int) -> tuple[Scores, Scores]:
    """Mean score and smoothed rate of bins of about equal count, pooled while rates fall (Ayer et al. 1955)."""
    order = np.argsort(score, kind="stable")
    ascending = score[order]
    wanted = np.linspace(0, len(order), bins + 1)[:-1].astype(np.int64)
    starts = np.unique(np.searchsorted(ascending, ascending[wanted], "left"))
    counts = np.diff(np.append(starts, len(order))).astype(float)
    sums = np.add.reduceat(ascending, starts)
    hits = np.add.reduceat(y[order].astype(float), starts)
    pooled: list[list[float]] = []
    for block in zip(counts, hits, sums, strict=True):
        pooled.append([float(part) for part in block])
        while len(pooled) > 1 and pooled[-2][1] * pooled[-1][0] >= pooled[-1][1] * pooled[-2][0]:
            last = pooled.pop()
            pooled[-1] = [a + b for a, b in zip(pooled[-1], last, strict=True)]
    count, hit, total = np.array(pooled).T
    return total / count, (hit + _PRIOR_ROWS * y.mean()) / (count + _PRIOR_ROWS)


def _rising(centers: Scores, odds: Scores, steepest: float) -> tuple[list[float], list[float]]:
    """The points without those that do not rise, or rise too steeply, from the one before."""
    knots, heights = [float(centers[0])], [float(odds[0])]
    for center, height in zip(centers[1:].tolist(), odds[1:].tolist(), strict=True):
        run, rise = center - knots[-1], height - heights[-1]
        if 0 < rise <= steepest * run:
            knots.append(center)
            heights.append(height)
    return knots, heights


def fit_softmax(scores: Scores, y: Codes, *, per_class: bool) -> CalibrationMap:
    """One slope for all classes, or a slope and a shift for each, drawn to 1 and 0 by a ridge of one row."""
    from scipy.optimize import minimize

    step = -(-len(y) // _MOST_ROWS)
    kept, codes = scores[::step], y[::step]
    count = kept.shape[1]
    start, bounds = np.ones(1), [(_GENTLEST, _HARDEST)]
    if per_class:
        start = np.concatenate([np.ones(count), np.zeros(count)])
        bounds = [(_GENTLEST, _HARDEST)] * count + [(-_FURTHEST, _FURTHEST)] * count
    objective = _vector_loss if per_class else _temperature_loss
    found = minimize(objective, start, args=(kept, codes), jac=True, bounds=bounds, method="L-BFGS-B").x
    if per_class:
        return CalibrationMap(method="per_class", slope=found[:count].tolist(), intercept=found[count:].tolist())
    return CalibrationMap(method="temperature", slope=found.tolist(), intercept=[0.0])


def _temperature_loss(slope: Scores, scores: Scores, y: Codes) -> tuple[float, Scores]:
    loss, error = _loss(scores * slope[0], y)
    return loss, np.array([float(np.sum(error * scores))])


def _vector_loss(weights: Scores, scores: Scores, y: Codes) -> tuple[float, Scores]:
    slope, shift = np.split(weights, 2)
    loss, error = _loss(scores * slope + shift, y)
    pulled = np.concatenate([slope - 1, shift]) / len(y)
    gradient = np.concatenate([np.sum(error * scores, axis=0), error.sum(axis=0)]) + pulled
    return loss + float(pulled @ pulled) * len(y) / 2, gradient


def _loss(scores: Scores, y: Codes) -> tuple[float, NDArray[Any]]:
    """Mean log loss, and its gradient by score [N,K]."""
    chances = softmax(scores)
    rows = np.arange(len(y))
    loss = float(-np.mean(np.log(np.maximum(chances[rows, y], 1e-300))))
    chances[rows, y] -= 1
    return loss, chances / len(y)
