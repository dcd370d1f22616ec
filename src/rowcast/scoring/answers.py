"""Model outputs as answers: the JSON of ``views.Predictions``, made and written at speed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from rowcast.models.decide.policy import Color
from rowcast.models.evaluate.conformal import ANSWERED_LEVEL, PredictionIntervals
from rowcast.models.recipe import Problem
from rowcast.scoring.reasons import Explanation

DECIMALS = 7
"""Decimals of a probability: float32 carries no more below 1, and two runtimes of one model agree on five."""

Outputs = npt.NDArray[np.float32]
NO_OUTPUTS: Outputs = np.empty((0, 0), dtype=np.float32)


class Interval(msgspec.Struct, gc=False):
    """``views.Interval``."""

    level: float
    low: float
    high: float


class Decision(msgspec.Struct, omit_defaults=True, gc=False):
    """``views.Decision``."""

    color: Color | None = None
    expected_profit: float | None = None
    expected_if_declined: float | None = None
    problems: list[dict[str, str]] = []


class Answer(msgspec.Struct, omit_defaults=True, gc=False):
    """``views.Prediction``: a class with probabilities, or a number with an interval."""

    value: str | float
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    interval: Interval | None = None
    decision: Decision | None = None
    explanation: Explanation | None = None
    notes: list[dict[str, str]] | None = None


class Answers(msgspec.Struct):
    """``views.Predictions``: answers in the order of the rows, None where a row was skipped."""

    model: str
    version: int
    alias: str | None
    predictions: list[Answer | None]
    errors: list[dict[str, Any]]
    policy: int | None = None


def encode(answers: Answers) -> bytes:
    """The answers as JSON."""
    return msgspec.json.encode(answers)


def renderer_of(
    problem: Problem, classes: list[str], intervals: PredictionIntervals | None = None
) -> Callable[[Outputs], list[Answer]]:
    """What makes answers of a model's outputs: [N,K] probabilities in the order of the classes, or [N,1] numbers.

    The class is the most probable one; of two it is the positive one, the second, from 0.5 on. It is decided before
    probabilities are rounded. A number is the shortest decimal that reads back as the same float32.
    """
    match problem:
        case Problem.BINARY:
            return partial(_binary, classes=classes)
        case Problem.MULTICLASS:
            return partial(_multiclass, classes=classes)
        case Problem.REGRESSION:
            return _numbers if intervals is None else partial(_numbers_between, intervals=intervals)


def _binary(outputs: Outputs, classes: list[str]) -> list[Answer]:
    negative, positive = classes
    if len(outputs) == 1:  # for a single row this takes half the time of what follows
        exact = outputs[0].tolist()
        low, high = round(exact[0], DECIMALS), round(exact[1], DECIMALS)
        return [Answer(positive if exact[1] >= 0.5 else negative, high, {negative: low, positive: high})]
    rows = _rounded(outputs)
    values = [positive if chosen else negative for chosen in (outputs[:, 1] >= 0.5).tolist()]
    highs, both = [high for _, high in rows], [{negative: low, positive: high} for low, high in rows]
    return [*map(Answer, values, highs, both)]


def _multiclass(outputs: Outputs, classes: list[str]) -> list[Answer]:
    likeliest = outputs.argmax(axis=1).tolist()
    return [
        Answer(classes[chosen], None, dict(zip(classes, row, strict=True)))
        for chosen, row in zip(likeliest, _rounded(outputs), strict=True)
    ]


def _numbers(outputs: Outputs) -> list[Answer]:
    return [Answer(float(str(number))) for number in outputs[:, 0]]


def _numbers_between(outputs: Outputs, intervals: PredictionIntervals) -> list[Answer]:
    return [
        Answer(float(str(number)), interval=Interval(ANSWERED_LEVEL, float(str(low)), float(str(high))))
        for number, low, high in zip(outputs[:, 0], *intervals.ends(outputs), strict=True)
    ]


def _rounded(outputs: Outputs) -> list[list[float]]:
    rows: list[list[float]]
    if len(outputs) == 1:  # for a single row this takes half the time of the array's own rounding
        rows = [[round(probability, DECIMALS) for probability in outputs[0].tolist()]]
    else:
        rows = outputs.astype(np.float64).round(DECIMALS).tolist()
    return rows
