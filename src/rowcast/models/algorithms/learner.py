"""What every algorithm is to the rest of the house: a ``Learner`` that turns a ``Lesson`` into a ``FittedModel``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rowcast.models.encode.encoder import Style
from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.recipe import Problem
from rowcast.models.views import Algorithm


@dataclass(frozen=True)
class Examples:
    """Encoded rows [N,D], their targets [N] (class codes, or numbers scaled to mean 0 and deviation 1) and weights."""

    x: Floats
    y: NDArray[Any]
    weights: Floats | None = None


@dataclass(frozen=True)
class Lesson:
    """All that a learner needs. With ``watch`` a booster stops early on it; with ``rounds`` it grows so many trees."""

    problem: Problem
    class_count: int
    training: Examples
    hyperparameters: Mapping[str, Any]
    seed: int
    threads: int
    watch: Examples | None = None
    rounds: int | None = None
    tick: Callable[[float], None] = lambda fraction: None
    """Told now and then which fraction of the fit is done, by learners whose library has a callback."""

    @property
    def outputs(self) -> int:
        """Scores per row inside the model: one for two classes or a number, else one per class."""
        return self.class_count if self.problem is Problem.MULTICLASS else 1


class FittedModel(Protocol):
    """A model on encoded rows. Predictions are float32: probabilities [N,K], or numbers [N,1]."""

    @property
    def rounds(self) -> int | None:
        """Trees that a booster kept, for a refit on more rows."""
        ...

    def predict(self, x: Floats) -> Floats: ...

    def used(self, width: int) -> NDArray[np.bool_]:
        """Which of the ``width`` columns can change a prediction."""
        ...

    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        """Append the model to a graph; its output tensor, as ``predict`` gives it."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model in its own format, which holds no code."""
        ...


class Learner(Protocol):
    """One algorithm. Its library is imported when it fits or loads, not before."""

    style: Style
    stops_early: bool

    def describe(self) -> Algorithm: ...

    def automatic(self, rows: int) -> dict[str, Any]:
        """Values for this many rows of the hyperparameters that are None, that is automatic."""
        ...

    def fit(self, lesson: Lesson) -> FittedModel: ...

    def load(self, folder: Path, threads: int) -> FittedModel: ...


def two_columns(positive: NDArray[Any]) -> Floats:
    """Probabilities of both classes from that of the second."""
    chance = positive.astype(np.float32).reshape(-1, 1)
    return np.hstack([np.float32(1) - chance, chance])


def two_column_nodes(graph: OnnxGraph, positive: str) -> str:
    """The same of a tensor [N,1]."""
    return graph.concat([graph.add("Sub", graph.constant(1.0), positive), positive])


def in_all_classes(found: NDArray[Any], classes: NDArray[Any], class_count: int) -> Floats:
    """Probabilities [N,class_count] from those of the classes that a training part happened to have."""
    full = np.zeros((len(found), class_count), dtype=np.float32)
    full[:, classes.astype(np.int64)] = found
    return full


def of_problem(problem: Problem, scores: NDArray[Any]) -> Floats:
    """Predictions of probabilities or numbers as a library gives them: [N] or [N,K]."""
    if problem is Problem.BINARY:
        return two_columns(scores.ravel())
    return scores.reshape(len(scores), -1).astype(np.float32)


def link_nodes(graph: OnnxGraph, problem: Problem, margin: str) -> str:
    """The nodes from a model's margin to its prediction: sigmoid, softmax or nothing."""
    if problem is Problem.BINARY:
        return two_column_nodes(graph, graph.add("Sigmoid", margin))
    return graph.add("Softmax", margin, axis=1) if problem is Problem.MULTICLASS else margin
