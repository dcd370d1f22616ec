"""Curves: what a person looks at to judge a model, as plain data for a chart.

Everything is ready for JSON: lists, text, whole numbers and finite floats; what is not defined is None or
an empty list.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.evaluate.intervals import Floats, wilson
from rowcast.models.evaluate.metrics import CALIBRATION_BINS, checked, confusion
from rowcast.models.evaluate.ranking import Codes, Ranking, calibration_bins, equal_steps, rank, roc_auc
from rowcast.models.recipe import Problem

CURVE_POINTS = 200
SCATTER_POINTS = 500
HISTOGRAM_BINS = 20

Data = dict[str, Any]


def curves(problem: Problem, y: NDArray[Any], prediction: NDArray[Any], classes: list[str]) -> Data:
    """The evaluation of held-out predictions, all but the importance of features. Inputs as for ``metrics.evaluate``.

    Binary: ``roc``, ``pr``, ``calibration``, ``confusion``, ``score_histogram``, ``prevalence``. Multiclass:
    ``confusion``, ``per_class`` and ``calibration`` of the most probable class. Regression: ``residuals``,
    ``residual_histogram``, ``predicted_vs_actual``. Raises Internal when the arrays do not fit together.
    """
    truth, predicted = checked(problem, y, prediction, len(classes))
    if problem is Problem.BINARY:
        return _binary(truth, predicted, classes)
    if problem is Problem.MULTICLASS:
        return _multiclass(truth, predicted, classes)
    return _regression(truth, predicted)


def _binary(y: Codes, prediction: Floats, classes: list[str]) -> Data:
    ranking = _ranking(prediction[:, 1], y == 1)
    return {
        "roc": _roc(ranking),
        "pr": _precision_recall(ranking),
        "calibration": _calibration(ranking),
        "confusion": _confusion(y, prediction, classes),
        "score_histogram": _score_histogram(y, prediction[:, 1]),
        "prevalence": float(np.mean(y)) if len(y) else None,
    }


def _multiclass(y: Codes, prediction: Floats, classes: list[str]) -> Data:
    right = np.argmax(prediction, axis=1) == y
    return {
        "confusion": _confusion(y, prediction, classes),
        "per_class": _per_class(y, prediction, classes),
        "calibration": _calibration(_ranking(prediction.max(axis=1), right)),
    }


def _regression(y: Floats, prediction: Floats) -> Data:
    with np.errstate(over="ignore"):
        residual = y - prediction
    chosen = _spread(prediction, SCATTER_POINTS)
    return {
        "residuals": {"predicted": _numbers(prediction[chosen]), "residual": _numbers(residual[chosen])},
        "residual_histogram": _residual_histogram(residual[np.isfinite(residual)]),
        "predicted_vs_actual": {"actual": _numbers(y[chosen]), "predicted": _numbers(prediction[chosen])},
    }


# Curves of order


def _ranking(score: Floats, positive: NDArray[np.bool_]) -> Ranking | None:
    return rank(score, positive, np.ones(len(score))) if len(score) else None


def _roc(ranking: Ranking | None) -> Data:
    """From (0, 0), where nothing is called positive (threshold None), to (1, 1); empty without both classes."""
    if ranking is None or not ranking.has_both:
        return {"fpr": [], "tpr": [], "threshold": []}
    hits, alarms = _from_zero(ranking.positive), _from_zero(ranking.negative)
    tpr, fpr = hits / hits[-1], alarms / alarms[-1]
    chosen = _points(tpr, fpr, int(np.argmax(np.abs(tpr - fpr))))
    return {"fpr": _numbers(fpr[chosen]), "tpr": _numbers(tpr[chosen]), "threshold": _thresholds(ranking, chosen)}


def _precision_recall(ranking: Ranking | None) -> Data:
    """From recall 0, with precision 1 by convention and threshold None, to recall 1; empty without positives."""
    if ranking is None or not ranking.positive.any():
        return {"precision": [], "recall": [], "threshold": []}
    found, called = _from_zero(ranking.positive), _from_zero(ranking.positive + ranking.negative)
    recall = found / found[-1]
    precision = np.divide(found, called, out=np.ones(len(found)), where=called > 0)
    full = int(np.searchsorted(recall, 1.0))
    chosen = _points(recall, _from_zero(np.abs(np.diff(precision))), full)
    return {
        "precision": _numbers(precision[chosen]),
        "recall": _numbers(recall[chosen]),
        "threshold": _thresholds(ranking, chosen),
    }


def _from_zero(amounts: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(amounts)])


def _points(first: Floats, second: Floats, corner: int) -> NDArray[np.int64]:
    """At most ``CURVE_POINTS`` positions of a path: both ends, its ``corner`` and steps of equal length between."""
    last = len(first) - 1
    if last < CURVE_POINTS:
        return np.arange(last + 1)
    steps = equal_steps(first, second if second[-1] > 0 else first, CURVE_POINTS - 3)
    return np.unique(np.concatenate([steps, [corner, last]]))


def _thresholds(ranking: Ranking, chosen: NDArray[np.int64]) -> list[float | None]:
    """The score at and above which rows are called positive at each point; None for none at all."""
    return [None if position == 0 else float(ranking.score[position - 1]) for position in chosen]


# Counts


def _calibration(ranking: Ranking | None) -> Data:
    """Mean predicted and observed rate in bins of about equal count, with the 95 % Wilson interval of the latter."""
    if ranking is None:
        return {"predicted": [], "observed": [], "low": [], "high": [], "count": []}
    bins = calibration_bins(ranking, CALIBRATION_BINS)
    low, high = wilson(bins.observed * bins.weight, bins.weight)
    return {
        "predicted": _numbers(bins.predicted),
        "observed": _numbers(bins.observed),
        "low": _numbers(low),
        "high": _numbers(high),
        "count": _counts(bins.weight),
    }


def _confusion(y: Codes, prediction: Floats, classes: list[str]) -> Data:
    matrix = confusion(y, prediction, np.ones(len(y)))
    return {"labels": list(classes), "matrix": [_counts(row) for row in matrix]}


def _score_histogram(y: Codes, score: Floats) -> Data:
    """Rows of each class by probability of the positive one, in equal steps from 0 to 1."""
    edges = np.linspace(0.0, 1.0, HISTOGRAM_BINS + 1)
    bounded = np.clip(score, 0.0, 1.0)
    sides = {"positive": bounded[y == 1], "negative": bounded[y == 0]}
    return {"edges": _numbers(edges)} | {
        name: _counts(np.histogram(values, edges)[0]) for name, values in sides.items()
    }


def _per_class(y: Codes, prediction: Floats, classes: list[str]) -> list[Data]:
    """Each class against the rest; a figure that needs rows or predictions of a class that has none is None."""
    matrix = confusion(y, prediction, np.ones(len(y)))
    hits, true, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return [
        {
            "label": label,
            "precision": _share(hits[code], predicted[code]),
            "recall": _share(hits[code], true[code]),
            "f1": _share(2 * hits[code], true[code] + predicted[code]),
            "support": int(true[code]),
            "roc_auc": _class_auc(y, prediction, code),
        }
        for code, label in enumerate(classes)
    ]


def _class_auc(y: Codes, prediction: Floats, code: int) -> float | None:
    sides = (prediction[:, code], y == code)
    ranking = _ranking(*sides)
    return float(roc_auc(*ranking.sides)) if ranking is not None and ranking.has_both else None


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


# Regression


def _spread(prediction: Floats, count: int) -> NDArray[np.int64]:
    """At most ``count`` rows, evenly spread over the order of their predictions, lowest and highest included."""
    order = np.argsort(prediction, kind="stable")
    if len(order) <= count:
        return order
    return order[np.linspace(0, len(order) - 1, count).round().astype(np.int64)]


def _residual_histogram(residual: Floats) -> Data:
    """Residuals (actual minus predicted) between their quantiles 0.5 % and 99.5 %, in equal steps.

    ``count`` has one number per step; ``below`` and ``above`` count the rows beyond, whose few far values would leave
    all others in one step. A single value has one step of no width.
    """
    if len(residual) == 0:
        return {"edges": [], "count": [], "below": 0, "above": 0}
    low, high = np.percentile(residual, [0.5, 99.5], method="nearest")
    with np.errstate(over="ignore", invalid="ignore"):
        edges = np.linspace(low, high, HISTOGRAM_BINS + 1)
    if not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        edges = np.array([low, high])
    below, above = int(np.sum(residual < low)), int(np.sum(residual > high))
    inside = residual[(residual >= low) & (residual <= high)]
    step = np.clip(np.searchsorted(edges, inside, "right") - 1, 0, len(edges) - 2)
    count = np.bincount(step, minlength=len(edges) - 1)
    return {"edges": _numbers(edges), "count": _counts(count), "below": below, "above": above}


# JSON


def _numbers(values: Floats) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _counts(values: NDArray[Any]) -> list[int]:
    return [round(float(value)) for value in values]
