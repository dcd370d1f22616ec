"""What every algorithm is to the rest of the house: a ``Learner`` that turns a ``Lesson`` into a ``FittedModel``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rowcast.models.encode.encoder import Style
from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.recipe import Problem
from rowcast.models.views import Algorithm, Hyperparameter

ONE_HOT = Hyperparameter(
    name="one_hot", type="boolean", default=False,
    description="Show categories of few levels as a column per level too, beside the one with their codes.",
)  # fmt: skip
"""Of trees: the encoder reads it, not the learner."""


@dataclass(frozen=True)
class Examples:
    """Encoded rows [N,D], their targets [N] (class codes, or numbers scaled to mean 0 and deviation 1) and weights."""

    x: Floats
    y: NDArray[Any]
    weights: Floats | None = None


@dataclass(frozen=True)
class Together:
    """Several processes learn one model, each from rows of its own; all of them watch the same ones.

    ``network`` are the parameters by which LightGBM finds the others. XGBoost has been told by whoever started the
    process.
    """

    network: Mapping[str, Any]
    begun: bytes | None
    """The model as it was kept last, in its library's own format, to go on from."""
    keep: Callable[[bytes], None]
    """Takes the model as it is now, every ``boosting.KEPT_TREES`` trees."""


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
    together: Together | None = None
    """With others, by learners that are ``shared``."""

    @property
    def outputs(self) -> int:
        """Scores per row inside the model: one for two classes or a number, else one per class."""
        return self.class_count if self.problem is Problem.MULTICLASS else 1


class Link(StrEnum):
    """What the scores of a model are. Scores of several models are averaged before they become predictions."""

    NUMBER = "number"
    """The predicted number [N,1]."""
    LOG_ODDS = "log_odds"
    """Log odds of the positive class [N,1], or of several classes the logarithms of their weights [N,K]."""
    PROBABILITY = "probability"
    """The probability of the positive class [N,1], or of every class [N,K]."""


@dataclass(frozen=True)
class Contributions:
    """What each column adds to each score: ``base`` [N,outputs] + ``columns`` [N,D,outputs] summed over D = scores."""

    base: NDArray[np.float64]
    columns: NDArray[np.float64]


class FittedModel(Protocol):
    """A model on encoded rows, which gives each a score (see ``Link``)."""

    @property
    def rounds(self) -> int | None:
        """Trees that a booster kept, for a refit on more rows."""
        ...

    @property
    def link(self) -> Link: ...

    def score(self, x: Floats) -> NDArray[np.float64]:
        """Scores [N,outputs]."""
        ...

    def contributions(self, x: Floats) -> Contributions | None:
        """How the scores come about, None where the algorithm cannot say."""
        ...

    def used(self, width: int) -> NDArray[np.bool_]:
        """Which of the ``width`` columns can change a prediction."""
        ...

    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        """Append the model to a graph; its output tensor, as ``score`` gives it."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model in its own format, which holds no code."""
        ...


class Learner(Protocol):
    """One algorithm. Its library is imported when it fits or loads, not before."""

    style: Style
    stops_early: bool
    explains: bool
    """Whether its models give contributions."""
    shared: bool
    """Whether several processes can learn one model of it together."""

    def describe(self) -> Algorithm: ...

    def automatic(self, rows: int) -> dict[str, Any]:
        """Values for this many rows of the hyperparameters that are None, that is automatic."""
        ...

    def fit(self, lesson: Lesson) -> FittedModel: ...

    def load(self, folder: Path, threads: int) -> FittedModel: ...


def in_all_classes(found: NDArray[Any], classes: NDArray[Any], class_count: int) -> NDArray[np.float64]:
    """Probabilities [N,class_count] from those of the classes that a training part happened to have."""
    full = np.zeros((len(found), class_count))
    full[:, classes.astype(np.int64)] = found
    return full


def as_columns(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Scores as a library gives them, [N] or [N,K], as [N,outputs]."""
    return np.asarray(scores, dtype=np.float64).reshape(len(scores), -1)


def margin_link(problem: Problem) -> Link:
    """What the margins of a linear model or a booster are."""
    return Link.NUMBER if problem is Problem.REGRESSION else Link.LOG_ODDS
