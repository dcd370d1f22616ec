"""Choosing a calibration: every method fitted on some folds' held-out scores and judged on the others'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rowcast.models.algorithms.learner import Link
from rowcast.models.calibrate.fitting import Codes, fit
from rowcast.models.calibrate.maps import NONE, CalibrationMap, Method, Scores, predictions
from rowcast.models.encode.inputs import Floats, Indices
from rowcast.models.evaluate.metrics import calibration_figures
from rowcast.models.recipe import Problem

METHODS: dict[Problem, tuple[Method, ...]] = {
    Problem.BINARY: ("none", "sigmoid", "isotonic"),
    Problem.MULTICLASS: ("none", "temperature", "per_class"),
}
_WORTH = 1e-3
"""Share of the log loss that a method must gain over a simpler one."""
_PARTS = 5


class Figures(BaseModel):
    """How far probabilities of held-out rows are from what happened; less is better."""

    model_config = ConfigDict(frozen=True)

    log_loss: float
    brier: float
    ece: float = Field(description="Expected calibration error; of several classes that of the most probable one.")


class Calibration(BaseModel):
    """The map of a model's scores to its probabilities, and what it changed on rows that it was not fitted on."""

    model_config = ConfigDict(frozen=True)

    map: CalibrationMap = NONE
    before: Figures
    after: Figures
    log_loss_by_method: dict[str, float]


@dataclass(frozen=True)
class Calibrated:
    """``predictions`` are those of held-out rows, each by a map that was fitted on other rows."""

    predictions: Floats
    calibration: Calibration


@dataclass(frozen=True)
class Split:
    """Positions to fit a map on, and those to try it on."""

    fitted: Indices
    tried: Indices


def calibrate(
    problem: Problem, link: Link, scores: Scores, y: Codes, folds: NDArray[np.int64], *, in_time: bool, seed: int
) -> Calibrated:
    """The best calibration of held-out scores [N,outputs], whose rows were tested in ``folds`` [N].

    A method is judged by log loss, cross-fitted over the folds (in time, on earlier folds alone), and taken only if it
    gains a thousandth over all simpler ones. The map that is served is fitted on all rows.
    """
    splits = _splits(folds, in_time, seed)
    tried = {method: _cross_fitted(method, link, scores, y, splits) for method in METHODS[problem]}
    known = {method: found for method, found in tried.items() if found is not None}
    figures = {method: Figures(**calibration_figures(problem, y, found)) for method, found in known.items()}
    chosen: Method = "none"
    for method in known:
        if figures[method].log_loss < figures[chosen].log_loss * (1 - _WORTH):
            chosen = method
    served = fit(chosen, link, scores, y) or NONE
    calibration = Calibration(
        map=served,
        before=figures["none"],
        after=figures[chosen],
        log_loss_by_method={method: found.log_loss for method, found in figures.items()},
    )
    return Calibrated(known[chosen], calibration)


def _cross_fitted(method: Method, link: Link, scores: Scores, y: Codes, splits: Sequence[Split]) -> Floats | None:
    """Predictions of every row by a map fitted on others; None where some part has too few rows for the method."""
    found = predictions(link, scores)
    if method == "none":
        return found
    for split in splits:
        fitted = fit(method, link, scores[split.fitted], y[split.fitted])
        if fitted is None:
            return None
        found[split.tried] = predictions(link, scores[split.tried], fitted)
    return found


def _splits(folds: NDArray[np.int64], in_time: bool, seed: int) -> list[Split]:
    numbers = np.unique(folds)
    if len(numbers) == 1:
        return _random(np.arange(len(folds)), seed)
    if not in_time:
        return [Split(np.flatnonzero(folds != number), np.flatnonzero(folds == number)) for number in numbers]
    # Nothing comes before the first stretch of time: its rows are calibrated by its other rows.
    first = _random(np.flatnonzero(folds == numbers[0]), seed)
    later = [Split(np.flatnonzero(folds < number), np.flatnonzero(folds == number)) for number in numbers[1:]]
    return first + later


def _random(rows: Indices, seed: int) -> list[Split]:
    part = np.random.default_rng(seed).permutation(len(rows)) % _PARTS
    return [Split(rows[part != number], rows[part == number]) for number in range(_PARTS)]
