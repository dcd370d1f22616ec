"""Which folds a training uses: as many as asked for or possible, in time or at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowcast.errors import InvalidInput, Problem
from rowcast.models.presets import Plan
from rowcast.models.train.folds import Fold, folds_in_time, hold_out, random_folds
from rowcast.models.train.target import Target


@dataclass(frozen=True)
class TestedRows:
    """``fold_of_row`` [N] is the fold that tests a row, from 0, or -1 for rows that are only learned from."""

    folds: list[Fold]
    fold_of_row: NDArray[np.int64]
    warnings: list[str]


def plan_folds(target: Target, plan: Plan, moments: NDArray[np.float64] | None, seed: int) -> TestedRows:
    """The folds of a training.

    Raises ``InvalidInput("folds_too_many")`` when more were asked for than can be, and
    ``InvalidInput("folds_one_class")`` when no fold in time has two classes to learn from.
    """
    most = _most(target, moments)
    if plan.folds_asked_for and plan.folds > most:
        message = f"{plan.folds} folds are more than this table allows: give at most {most}."
        problem = Problem(code="folds_too_many", message=message, field="folds")
        raise InvalidInput("folds_too_many", message, [problem])
    count = min(plan.folds, max(2, most))
    warnings = (
        [f"{count} folds instead of {plan.folds}: the smallest class has {most} rows."] if count < plan.folds else []
    )
    if moments is not None:
        return _in_time(target, moments, count, warnings)
    if len(target.y) > plan.hold_out_beyond:
        folds = hold_out(target.y, seed, by_class=target.of_classes)
    else:
        folds = random_folds(target.y, count, seed, by_class=target.of_classes)
    return TestedRows(folds, _fold_of_row(folds, len(target.y)), warnings)


def _most(target: Target, moments: NDArray[np.float64] | None) -> int:
    """The most folds possible: each tests a row of every class; in time each tests a later moment."""
    if moments is not None:
        return len(np.unique(moments)) - 1
    return int(np.bincount(target.y).min()) if target.of_classes else len(target.y)


def _in_time(target: Target, moments: NDArray[np.float64], count: int, warnings: list[str]) -> TestedRows:
    folds = folds_in_time(moments, count)
    enough = 2 if target.of_classes else 1
    usable = [fold for fold in folds if len(np.unique(target.y[fold.training])) >= enough]
    if not usable:
        message = "No stretch of time has two classes before it to learn from; use fewer folds or no time column."
        problem = Problem(code="folds_one_class", message=message, field="time_column")
        raise InvalidInput("folds_one_class", message, [problem])
    if len(usable) < len(folds):
        warnings = [*warnings, f"{len(folds) - len(usable)} folds were left out: only one class came before them."]
    return TestedRows(usable, _fold_of_row(usable, len(target.y)), warnings)


def _fold_of_row(folds: list[Fold], rows: int) -> NDArray[np.int64]:
    numbers = np.full(rows, -1, dtype=np.int64)
    for number, fold in enumerate(folds):
        numbers[fold.testing] = number
    return numbers
