"""Logistic and ridge regression on quantile-transformed numbers and one column per category."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.algorithms.learner import FittedModel, Lesson, link_nodes, of_problem
from rowcast.models.encode.encoder import Style
from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.recipe import Problem
from rowcast.models.views import Algorithm, Hyperparameter

_FILE = "model.json"
_MOST_ROWS = 200_000
_NEVER = -30.0
"""Margin of a class that the training part did not have."""


@dataclass(frozen=True)
class Linear:
    style = Style.LINEAR
    stops_early = False

    def describe(self) -> Algorithm:
        return Algorithm(
            name="linear",
            title="Linear",
            description="Logistic regression for classes, ridge for numbers: one weight per feature, easy to explain. "
            f"Fits on a random {_MOST_ROWS:,} rows of a larger table.",
            problems=list(Problem),
            hyperparameters=[
                Hyperparameter(
                    name="C", type="number", default=1.0, minimum=1e-6, maximum=1e6,
                    description="Inverse strength of the L2 penalty: smaller means simpler.",
                ),
                Hyperparameter(
                    name="max_iter", type="integer", default=300, minimum=10, maximum=10_000,
                    description="Most steps of the solver of logistic regression.",
                ),
            ],
        )  # fmt: skip

    def automatic(self, rows: int) -> dict[str, Any]:
        return {}

    def fit(self, lesson: Lesson) -> FittedModel:
        rows = _sample(len(lesson.training.y), lesson.seed)
        x, y = lesson.training.x[rows].astype(np.float64), lesson.training.y[rows]
        weights = None if lesson.training.weights is None else lesson.training.weights[rows]
        return (
            _fit_numbers(lesson, x, y, weights)
            if lesson.problem is Problem.REGRESSION
            else _fit_classes(lesson, x, y, weights)
        )

    def load(self, folder: Path, threads: int) -> FittedModel:
        data = json.loads((folder / _FILE).read_bytes())
        return LinearModel(Problem(data["problem"]), np.array(data["weights"]), np.array(data["intercept"]))


@dataclass(frozen=True)
class LinearModel:
    """``margin = x @ weights + intercept``: [D,outputs] and [outputs]."""

    problem: Problem
    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]
    rounds: int | None = None

    def predict(self, x: Floats) -> Floats:
        margin = (x @ self.weights.astype(np.float32)).astype(np.float64) + self.intercept
        if self.problem is Problem.BINARY:
            margin = 1 / (1 + np.exp(-margin))
        elif self.problem is Problem.MULTICLASS:
            powers = np.exp(margin - margin.max(axis=1, keepdims=True))
            margin = powers / powers.sum(axis=1, keepdims=True)
        return of_problem(self.problem, margin)

    def used(self, width: int) -> NDArray[np.bool_]:
        return np.asarray(self.weights.any(axis=1))

    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        margin = graph.add("Gemm", matrix, graph.constant(self.weights), graph.constant(self.intercept))
        return link_nodes(graph, self.problem, margin)

    def save(self, folder: Path) -> None:
        data = {
            "problem": self.problem,
            "weights": self.weights.tolist(),
            "intercept": self.intercept.tolist(),
        }
        (folder / _FILE).write_text(json.dumps(data))


def _sample(rows: int, seed: int) -> NDArray[np.int64]:
    if rows <= _MOST_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, _MOST_ROWS, replace=False))


def _fit_classes(lesson: Lesson, x: NDArray[np.float64], y: NDArray[Any], weights: Floats | None) -> LinearModel:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=lesson.hyperparameters["C"], max_iter=lesson.hyperparameters["max_iter"], random_state=lesson.seed
    )
    model.fit(x, y, sample_weight=weights)
    if lesson.problem is Problem.BINARY:
        return LinearModel(lesson.problem, model.coef_.T, model.intercept_)
    coefficients = np.zeros((x.shape[1], lesson.class_count))
    intercept = np.full(lesson.class_count, _NEVER)
    if len(model.classes_) == 2:  # scikit-learn then gives the margin of the second class alone
        coefficients[:, model.classes_[1]] = model.coef_[0]
        intercept[model.classes_] = 0.0, model.intercept_[0]
    else:
        coefficients[:, model.classes_] = model.coef_.T
        intercept[model.classes_] = model.intercept_
    return LinearModel(lesson.problem, coefficients, intercept)


def _fit_numbers(lesson: Lesson, x: NDArray[np.float64], y: NDArray[Any], weights: Floats | None) -> LinearModel:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1 / lesson.hyperparameters["C"], random_state=lesson.seed)
    model.fit(x, y, sample_weight=weights)
    return LinearModel(lesson.problem, model.coef_.reshape(-1, 1), np.atleast_1d(model.intercept_))
