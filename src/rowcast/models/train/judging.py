"""Judging a candidate by its held-out scores: calibrated where that helps, measured, and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rowcast.models.calibrate.choice import Calibration, calibrate
from rowcast.models.calibrate.maps import predictions
from rowcast.models.decide.held_out import HeldOut
from rowcast.models.evaluate.bands import bands, number_bands
from rowcast.models.evaluate.conformal import PredictionIntervals, fit_intervals
from rowcast.models.evaluate.curves import curves
from rowcast.models.evaluate.importance import importance
from rowcast.models.evaluate.metrics import evaluate
from rowcast.models.recipe import Problem
from rowcast.models.train.candidates import Candidate, Conditions, Table
from rowcast.models.train.fold_plan import TestedRows
from rowcast.models.views import Metric


@dataclass(frozen=True)
class Judged:
    """A candidate and what its held-out predictions are worth. Numbers have intervals, classes a calibration."""

    candidate: Candidate
    metrics: list[Metric]
    evaluation: dict[str, Any]
    held_out: HeldOut
    """Its rows are counted among those that the training used."""
    calibration: Calibration | None = None
    intervals: PredictionIntervals | None = None


def judge(
    candidate: Candidate, table: Table, positive: str | None, tested: TestedRows, conditions: Conditions
) -> Judged:
    """Metrics, curves and importance of held-out predictions, each calibrated by a map that was fitted on others."""
    rows = np.flatnonzero(tested.fold_of_row >= 0)
    y, folds, scored = table.y[rows], tested.fold_of_row[rows], candidate.scored[rows].astype(np.float64)
    predicted, calibration, intervals = predictions(candidate.link, scored), None, None
    raw = curves(table.problem, y, predicted, table.classes)
    if table.problem is Problem.REGRESSION:
        intervals = fit_intervals(y, predicted[:, 0].astype(np.float64), conditions.seed)
    elif candidate.algorithm != "baseline":
        found = calibrate(
            table.problem, candidate.link, scored, y, folds, in_time=conditions.in_time, seed=conditions.seed
        )
        predicted, calibration = found.predictions, found.calibration
    metrics = evaluate(table.problem, y, predicted, table.classes, positive, folds, seed=conditions.seed)
    shown = curves(table.problem, y, predicted, table.classes)
    shown["importance"] = importance(candidate.drops, table.features)
    if "calibration" in raw:
        shown["calibration_before"] = raw["calibration"]
    if table.problem is Problem.BINARY:
        # The baseline's answers differ between folds alone, which is no order of the rows.
        score = np.zeros(len(y)) if candidate.algorithm == "baseline" else predicted[:, 1]
        shown["bands"] = bands(score, y == 1)
    elif intervals is not None:
        shown["bands"] = number_bands(predicted[:, 0].astype(np.float64), y, intervals)
    held_out = HeldOut(rows, y.astype(np.float64), predicted.astype(np.float32))
    return Judged(candidate, metrics, shown, held_out, calibration, intervals)
