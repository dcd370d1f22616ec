"""Logistic and ridge regression on quantile-transformed numbers and one column per category."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.algorithms.learner import Contributions, FittedModel, Lesson, Link, margin_link
from rowcast.models.encode.encoder import Style
from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.recipe import Problem
from rowcast.models.views import Algorithm, Hyperparameter

_FILE = "model.json"
_MOST_ROWS = 200_000
_NEWTON_COLUMNS = 200
"""Up to here Newton's few steps take less than the hundreds of gradient steps that correlated columns need."""

_ONE_CORE_CELLS = 50_000_000
"""Up to here a step is so short that waking a second thread takes longer than it brings."""

_NEVER = -30.0
"""Margin of a class that the training part did not have."""


@dataclass(frozen=True)
class Linear:
    style = Style.LINEAR
    stops_early = False
    explains = True
    shared = False

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
        weights, intercept, means = (np.array(data[name]) for name in ("weights", "intercept", "means"))
        return LinearModel(Problem(data["problem"]), weights, intercept, means)


@dataclass(frozen=True)
class LinearModel:
    """``margin = x @ weights + intercept``: [D,outputs] and [outputs]; ``means`` [D] are those of the training rows."""

    problem: Problem
    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]
    means: NDArray[np.float64]
    rounds: int | None = None

    @property
    def link(self) -> Link:
        return margin_link(self.problem)

    def score(self, x: Floats) -> NDArray[np.float64]:
        return np.asarray(x.astype(np.float64) @ self.weights + self.intercept)

    def contributions(self, x: Floats) -> Contributions:
        """Weight times distance from the mean: the SHAP value of a linear model with independent columns."""
        columns = (x.astype(np.float64) - self.means)[:, :, None] * self.weights[None]
        base = np.tile(self.means @ self.weights + self.intercept, (len(x), 1))
        return Contributions(base, columns)

    def used(self, width: int) -> NDArray[np.bool_]:
        return np.asarray(self.weights.any(axis=1))

    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        return graph.add("Gemm", matrix, graph.constant(self.weights), graph.constant(self.intercept))

    def save(self, folder: Path) -> None:
        data = {
            "problem": self.problem,
            "weights": self.weights.tolist(),
            "intercept": self.intercept.tolist(),
            "means": self.means.tolist(),
        }
        (folder / _FILE).write_text(json.dumps(data))


def _sample(rows: int, seed: int) -> NDArray[np.int64]:
    if rows <= _MOST_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, _MOST_ROWS, replace=False))


def _fit_classes(lesson: Lesson, x: NDArray[np.float64], y: NDArray[Any], weights: Floats | None) -> LinearModel:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = LogisticRegression(
        C=lesson.hyperparameters["C"],
        max_iter=lesson.hyperparameters["max_iter"],
        solver="newton-cholesky" if lesson.problem is Problem.BINARY and x.shape[1] <= _NEWTON_COLUMNS else "lbfgs",
        random_state=lesson.seed,
    )
    with threadpool_limits(1 if x.size <= _ONE_CORE_CELLS else None):
        model.fit(x, y, sample_weight=weights)
    if lesson.problem is Problem.BINARY:
        return LinearModel(lesson.problem, model.coef_.T, model.intercept_, x.mean(axis=0))
    coefficients = np.zeros((x.shape[1], lesson.class_count))
    intercept = np.full(lesson.class_count, _NEVER)
    if len(model.classes_) == 2:  # scikit-learn then gives the margin of the second class alone
        coefficients[:, model.classes_[1]] = model.coef_[0]
        intercept[model.classes_] = 0.0, model.intercept_[0]
    else:
        coefficients[:, model.classes_] = model.coef_.T
        intercept[model.classes_] = model.intercept_
    return LinearModel(lesson.problem, coefficients, intercept, x.mean(axis=0))


def _fit_numbers(lesson: Lesson, x: NDArray[np.float64], y: NDArray[Any], weights: Floats | None) -> LinearModel:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1 / lesson.hyperparameters["C"], random_state=lesson.seed)
    model.fit(x, y, sample_weight=weights)
    return LinearModel(lesson.problem, model.coef_.reshape(-1, 1), np.atleast_1d(model.intercept_), x.mean(axis=0))
