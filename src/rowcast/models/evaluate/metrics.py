"""Metrics: how good predictions are for rows that the model has not learned from.

Definitions are those of scikit-learn, where it has one. A figure that is not defined for the rows at hand (an ROC AUC
of one class, an R2 of a constant) is left out; nothing here ever is NaN or infinite, and nothing warns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.errors import Internal
from rowcast.models.evaluate.intervals import (
    UNITS,
    Floats,
    blocks,
    median_interval,
    percentile_interval,
    resample_count,
    resampled_sums,
    resampled_totals,
    weighted_median,
)
from rowcast.models.evaluate.ranking import (
    Codes,
    Ranking,
    calibration_bins,
    condensed,
    one_against_rest,
    rank,
    rank_statistics,
    roc_auc,
    shares,
)
from rowcast.models.recipe import Problem
from rowcast.models.views import Metric

Interval = tuple[float, float]

PRIMARY = {Problem.BINARY: "roc_auc", Problem.MULTICLASS: "log_loss", Problem.REGRESSION: "rmse"}
SMALLER_IS_BETTER = frozenset({"log_loss", "brier", "ece", "rmse", "mae", "median_absolute_error", "mape"})
ORDER = {
    Problem.BINARY: (
        "roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "balanced_accuracy",
        "precision", "recall", "f1", "ks", "mcc", "ece",
    ),
    Problem.MULTICLASS: (
        "log_loss", "accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro",
        "roc_auc_ovr", "brier",
    ),
    Problem.REGRESSION: ("rmse", "mae", "r2", "median_absolute_error", "mape"),
}  # fmt: skip
UNLIMITED = frozenset({"log_loss", "brier", "rmse", "mae", "mape"})

INFLATED = frozenset({"ks"})
"""Metrics that resampling makes larger on average, whose intervals are corrected for it."""

SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)
"""Log loss takes probabilities for no smaller: models are served in float32, whose own 0 may be rounding."""

CALIBRATION_BINS = 10


def primary_metric(problem: Problem) -> str:
    """The metric that decides which of two models is better."""
    return PRIMARY[problem]


def greater_is_better(name: str) -> bool:
    """Whether a model with more of the metric ``name`` is the better one."""
    return name not in SMALLER_IS_BETTER


def score(problem: Problem, y: NDArray[Any], prediction: NDArray[Any]) -> float:
    """The primary metric alone, without an interval. Inputs as for ``evaluate``.

    An ROC AUC of rows that are all of one class is 0.5: they say nothing for or against the model.
    """
    truth, predicted = checked(problem, y, prediction)
    if len(truth) == 0:
        raise Internal("nothing_to_score", "There are no predictions to score; check the split of the rows.")
    ones = np.ones(len(truth))
    if problem is Problem.BINARY:
        auc = float(roc_auc(*rank(predicted[:, 1], truth == 1, ones).sides))
        return auc if np.isfinite(auc) else 0.5
    if problem is Problem.MULTICLASS:
        return float(np.mean(log_losses(truth, predicted)))
    with np.errstate(over="ignore"):
        return _root_mean_square(truth - predicted, ones)


def evaluate(
    problem: Problem,
    y: NDArray[Any],
    prediction: NDArray[Any],
    classes: list[str],
    positive: str | None = None,
    folds: NDArray[Any] | None = None,
    weights: NDArray[Any] | None = None,
    seed: int = 0,
) -> list[Metric]:
    """Every metric of the problem with its 95 % bootstrap interval over rows and its value in each fold.

    ``y`` [N]: class codes 0..K-1 in the order of ``classes`` (of two, code 1 is the positive one) or numbers.
    ``prediction``: probabilities [N, K] (of two classes also those of the positive one, [N] or [N, 1]) or numbers [N]
    or [N, 1]. ``folds`` [N]: the number of each row's fold; a metric's ``folds`` are in ascending order of that number,
    without those in which it is not defined. ``weights`` [N]: how much each row counts, equal by default.
    The same seed gives the same intervals. ``ece`` has none: resampling inflates it far more than it varies. Raises
    Internal when the arrays do not fit together or are not finite.
    """
    truth, predicted = checked(problem, y, prediction, len(classes))
    if classes and positive is not None and problem is Problem.BINARY and positive != classes[1]:
        raise Internal("classes_out_of_order", "The positive class must be the second of the two classes.")
    counted = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=float)
    _check_weights(counted, len(truth))
    kept = counted > 0
    groups = None if folds is None else np.asarray(folds)[kept]
    return _measure(problem, truth[kept], predicted[kept], counted[kept], groups, seed)


def calibration_figures(problem: Problem, y: NDArray[Any], prediction: NDArray[Any]) -> dict[str, float]:
    """``log_loss``, ``brier`` and ``ece`` (of several classes that of the most probable one). Inputs as above."""
    truth, predicted = checked(problem, y, prediction)
    ones = np.ones(len(truth))
    shown = (predicted[:, 1], truth == 1)
    if problem is Problem.MULTICLASS:
        shown = (predicted.max(axis=1), np.argmax(predicted, axis=1) == truth)
    losses = _mean_losses(_loss_columns(truth, predicted, ones).sum(axis=0))
    error = calibration_bins(rank(*shown, ones), CALIBRATION_BINS).error
    return {name: float(value) for name, value in losses.items()} | {"ece": error}


def _measure(
    problem: Problem, y: NDArray[Any], prediction: Floats, weights: Floats, folds: NDArray[Any] | None, seed: int
) -> list[Metric]:
    if len(y) == 0:
        return []
    with np.errstate(all="ignore"):
        values = _values(problem, y, prediction, weights)
        intervals = _intervals(problem, y, prediction, weights, values, np.random.default_rng(seed))
        parts = [] if folds is None else [folds == fold for fold in np.unique(folds)]
        by_fold = [_values(problem, y[rows], prediction[rows], weights[rows]) for rows in parts]
    return [_metric(name, values[name], intervals.get(name), by_fold) for name in ORDER[problem] if name in values]


def _metric(name: str, value: float, interval: Interval | None, by_fold: list[dict[str, float]]) -> Metric:
    low, high = interval if interval is not None and np.all(np.isfinite(interval)) else (None, None)
    return Metric(
        name=name,
        value=value,
        low=low,
        high=high,
        folds=[fold[name] for fold in by_fold if name in fold],
        greater_is_better=greater_is_better(name),
    )


# Checks


def checked(
    problem: Problem, y: NDArray[Any], prediction: NDArray[Any], class_count: int = 0
) -> tuple[NDArray[Any], Floats]:
    """``y`` as int64 [N] or float [N], ``prediction`` as float64 [N, K] or, of numbers, [N]. Raises Internal."""
    predicted = np.asarray(prediction, dtype=float)
    if problem is Problem.REGRESSION:
        truth: NDArray[Any] = np.asarray(y, dtype=float).reshape(-1)
        predicted = predicted.reshape(-1)
    else:
        truth = _codes(y)
        predicted = _probabilities(problem, predicted)
        _check_codes(truth, predicted.shape[1], class_count)
    if len(truth) != len(predicted):
        raise Internal("lengths_differ", "There must be one prediction for each row.")
    if not (np.isfinite(truth).all() and np.isfinite(predicted).all()):
        raise Internal("not_finite", "Targets and predictions must be finite numbers; the model may have diverged.")
    return truth, predicted


def _probabilities(problem: Problem, predicted: Floats) -> Floats:
    columns = predicted.shape[1] if predicted.ndim == 2 else 1
    if problem is Problem.BINARY and columns == 1:
        chance = predicted.reshape(-1)
        return np.column_stack([1 - chance, chance])
    if predicted.ndim != 2 or (problem is Problem.BINARY and columns != 2):
        raise Internal("wrong_shape", "Probabilities must have one row per row of the table and one column per class.")
    return predicted


def _codes(y: NDArray[Any]) -> Codes:
    codes = np.asarray(y).reshape(-1)
    if not np.isfinite(codes).all():
        raise Internal("not_finite", "Class codes must be whole numbers; rows without a target cannot be judged.")
    return codes.astype(np.int64)


def _check_codes(codes: Codes, columns: int, class_count: int) -> None:
    if class_count and class_count != columns:
        raise Internal("wrong_shape", "Probabilities must have one column per class.")
    if len(codes) and not (codes.min() >= 0 and codes.max() < columns):
        raise Internal("unknown_class_code", "Class codes must be positions in the list of classes.")


def _check_weights(weights: Floats, rows: int) -> None:
    if weights.shape != (rows,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise Internal("wrong_weights", "There must be one finite weight, 0 or more, for each row.")


# Values and intervals of a problem


def _values(problem: Problem, y: NDArray[Any], prediction: Floats, weights: Floats) -> dict[str, float]:
    """Every metric that is defined, by name."""
    if problem is Problem.BINARY:
        values = _binary_values(y, prediction, weights)
    elif problem is Problem.MULTICLASS:
        values = _multiclass_values(y, prediction, weights)
    else:
        values = _regression_values(y, prediction, weights)
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}


def _binary_values(y: Codes, prediction: Floats, weights: Floats) -> dict[str, Any]:
    """Precision is 0 where positives exist and none is predicted: nothing was found, though nothing was wrong."""
    ranking = rank(prediction[:, 1], y == 1, weights)
    counts = _binary_counts(confusion(y, prediction, weights))
    if ranking.positive.any():
        counts["precision"] = np.nan_to_num(counts["precision"])
    return {
        **rank_statistics(*ranking.sides),
        **counts,
        **_mean_losses(_loss_columns(y, prediction, weights).sum(axis=0)),
        "ece": calibration_bins(ranking, CALIBRATION_BINS).error,
    }


def _multiclass_values(y: Codes, prediction: Floats, weights: Floats) -> dict[str, Any]:
    return {
        **_multiclass_counts(confusion(y, prediction, weights)),
        **_mean_losses(_loss_columns(y, prediction, weights).sum(axis=0)),
        "roc_auc_ovr": one_against_rest(y, prediction, weights)[0],
    }


def _regression_values(y: Floats, prediction: Floats, weights: Floats) -> dict[str, Any]:
    residual = y - prediction
    order = np.argsort(np.abs(residual), kind="stable")
    return {
        **_residual_statistics(_residual_columns(y, residual, weights).sum(axis=0), bool(np.ptp(y) > 0)),
        "rmse": _root_mean_square(residual, weights),
        "median_absolute_error": weighted_median(np.abs(residual)[order], weights[order]),
    }


def _intervals(
    problem: Problem,
    y: NDArray[Any],
    prediction: Floats,
    weights: Floats,
    values: dict[str, float],
    rng: np.random.Generator,
) -> dict[str, Interval | None]:
    """The interval of each metric, by name; it may lack some."""
    if problem is Problem.REGRESSION:
        return _regression_intervals(y, prediction, weights, values, rng)
    columns = [_loss_columns(y, prediction, weights)]
    if problem is Problem.MULTICLASS:
        columns.append((weights * one_against_rest(y, prediction, weights)[1])[:, None])
    sums = resampled_sums(np.hstack(columns), rng)
    replicates = _mean_losses(sums) | _count_replicates(problem, y, prediction, weights, rng)
    if problem is Problem.BINARY:
        replicates |= _rank_replicates(rank(prediction[:, 1], y == 1, weights), rng)
    elif "roc_auc_ovr" in values:
        replicates["roc_auc_ovr"] = values["roc_auc_ovr"] + sums[:, 3]
    return _percentiles(values, replicates)


def _regression_intervals(
    y: Floats, prediction: Floats, weights: Floats, values: dict[str, float], rng: np.random.Generator
) -> dict[str, Interval | None]:
    residual = y - prediction
    sums = resampled_sums(_residual_columns(y, residual, weights), rng)
    order = np.argsort(np.abs(residual), kind="stable")
    return {
        **_percentiles(values, _residual_statistics(sums, bool(np.ptp(y) > 0))),
        "median_absolute_error": median_interval(np.abs(residual)[order], weights[order]),
    }


def _percentiles(values: dict[str, float], replicates: dict[str, Any]) -> dict[str, Interval | None]:
    return {
        name: percentile_interval(value, replicates[name], *_range(name), corrected=name in INFLATED)
        for name, value in values.items()
        if name in replicates
    }


def _range(name: str) -> Interval:
    least = {"mcc": -1.0, "r2": -np.inf}.get(name, 0.0)
    return least, np.inf if name in UNLIMITED else 1.0


# Metrics of order


def _rank_replicates(ranking: Ranking, rng: np.random.Generator) -> dict[str, Floats]:
    """The metrics of order in R resamples, [R] each; none when a class is missing.

    A long ranking is condensed first; what that shifts in the metric itself is taken back out of the replicates.
    """
    if not ranking.has_both:
        return {}
    small = condensed(ranking, UNITS)
    cells = np.stack(small.sides)
    squares = np.stack([small.positive_squares, small.negative_squares])
    parts = [
        rank_statistics(draws[:, 0], draws[:, 1])
        for size in blocks(resample_count(cells.size), cells.size)
        for draws in [resampled_totals(cells, squares, size, rng)]
    ]
    exact, coarse = rank_statistics(*ranking.sides), rank_statistics(*small.sides)
    return {name: np.concatenate([part[name] for part in parts]) + (exact[name] - coarse[name]) for name in exact}


# Metrics of decisions, from confusion matrices [..., K, K] with rows true and columns predicted


def confusion(y: Codes, prediction: Floats, weights: Floats) -> Floats:
    """Sums of weights by true and most probable class [K, K]; of equally probable classes the first is taken."""
    count = prediction.shape[1]
    cell = y * count + np.argmax(prediction, axis=1)
    sums: Floats = np.bincount(cell, weights, minlength=count * count).astype(float)
    return sums.reshape(count, count)


def _count_replicates(
    problem: Problem, y: Codes, prediction: Floats, weights: Floats, rng: np.random.Generator
) -> dict[str, Floats]:
    totals, squares = confusion(y, prediction, weights), confusion(y, prediction, weights**2)
    statistics = _binary_counts if problem is Problem.BINARY else _multiclass_counts
    parts = [
        statistics(resampled_totals(totals, squares, size, rng))
        for size in blocks(resample_count(totals.size), totals.size)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _binary_counts(matrix: Floats) -> dict[str, Floats]:
    """What needs positives, negatives or predicted positives is undefined (NaN) without them, but MCC is then 0."""
    tn, fp, fn, tp = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    recall, specificity = shares(tp, tp + fn), shares(tn, tn + fp)
    spread = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
    return {
        "accuracy": shares(tp + tn, tp + tn + fp + fn),
        "balanced_accuracy": (recall + specificity) / 2,
        "precision": shares(tp, tp + fp),
        "recall": recall,
        "f1": np.where(tp + fn > 0, shares(2 * tp, 2 * tp + fp + fn), np.nan),
        "mcc": np.clip(np.nan_to_num(shares(tp * tn - fp * fn, spread)), -1.0, 1.0),
    }


def _multiclass_counts(matrix: Floats) -> dict[str, Floats]:
    """Means over the classes that occur among the rows or the predictions; balanced accuracy over those of the rows."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    true, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)
    occurs = true + predicted > 0
    recall = shares(hits, true)
    return {
        "accuracy": shares(hits.sum(axis=-1), true.sum(axis=-1)),
        "balanced_accuracy": _mean_where(true > 0, recall),
        "precision_macro": _mean_where(occurs, shares(hits, predicted)),
        "recall_macro": _mean_where(occurs, recall),
        "f1_macro": _mean_where(occurs, shares(2 * hits, true + predicted)),
    }


def _mean_where(chosen: NDArray[np.bool_], values: Floats) -> Floats:
    """The mean of the chosen values along the last axis, an undefined one counting 0."""
    return shares(np.sum(np.where(chosen, np.nan_to_num(values), 0.0), axis=-1), chosen.sum(axis=-1).astype(float))


# Means over rows, from sums of columns [N, M] along the rows or from those of R resamples [R, M]


def log_losses(y: Codes, prediction: Floats) -> Floats:
    """Minus the logarithm of the probability given to each row's true class [N], in nats."""
    given = prediction[np.arange(len(y)), y]
    return -np.log(np.clip(given, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))


def _loss_columns(y: Codes, prediction: Floats, weights: Floats) -> Floats:
    """Weight, log loss and Brier score of each row [N, 3], the latter two times the weight.

    Brier 1950: of two classes the squared error of the positive one's probability, of more their sum over classes.
    """
    given = prediction[np.arange(len(y)), y]
    brier = np.einsum("nk,nk->n", prediction, prediction) - given**2 + (1 - given) ** 2
    if prediction.shape[1] == 2:
        brier = (prediction[:, 1] - y) ** 2
    return np.column_stack([weights, weights * log_losses(y, prediction), weights * brier])


def _mean_losses(sums: Floats) -> dict[str, Floats]:
    weight = sums[..., 0]
    return {"log_loss": shares(sums[..., 1], weight), "brier": shares(sums[..., 2], weight)}


def _residual_columns(y: Floats, residual: Floats, weights: Floats) -> Floats:
    """Of each row [N, 6], times its weight: 1, distance from the mean, that squared, and error, squared error, error
    as a share of the target; the last is all NaN when some target is 0.
    """
    deviation = y - np.average(y, weights=weights)
    relative = np.abs(residual) / np.abs(y) if np.all(y != 0) else np.full(len(y), np.nan)
    columns = [np.ones(len(y)), deviation, deviation**2, np.abs(residual), residual**2, relative]
    return np.column_stack(columns) * weights[:, None]


def _residual_statistics(sums: Floats, varies: bool) -> dict[str, Floats]:
    """RMSE, MAE, R2 and MAPE (a share, not per cent); R2 is undefined unless the target ``varies``."""
    weight, first, second, absolute, squared, relative = np.moveaxis(sums, -1, 0)
    around_mean = second - first * shares(first, weight)
    return {
        "rmse": np.sqrt(shares(squared, weight)),
        "mae": shares(absolute, weight),
        "r2": 1 - shares(squared, around_mean if varies else np.zeros_like(weight)),
        "mape": shares(relative, weight),
    }


def _root_mean_square(residual: Floats, weights: Floats) -> float:
    """The root of the mean square, scaled first so that no square overflows; the largest float if an error does."""
    largest = float(np.max(np.abs(residual)))
    if largest == 0 or not np.isfinite(largest):
        return float(np.nan_to_num(largest))
    return largest * float(np.sqrt(np.average((residual / largest) ** 2, weights=weights)))
