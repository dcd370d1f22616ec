"""The baseline: the same answer for every row. Whatever does not beat it has learned nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.algorithms.learner import FittedModel, Lesson, Link
from rowcast.models.encode.encoder import Style
from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.recipe import Problem
from rowcast.models.views import Algorithm

_FILE = "model.json"


@dataclass(frozen=True)
class Baseline:
    style = Style.BOOSTER
    stops_early = False
    explains = False
    shared = False

    def describe(self) -> Algorithm:
        return Algorithm(
            name="baseline",
            title="Baseline",
            description="The rate of every class, or the median: what is known without looking at the features.",
            problems=list(Problem),
            hyperparameters=[],
        )

    def automatic(self, rows: int) -> dict[str, Any]:
        return {}

    def fit(self, lesson: Lesson) -> FittedModel:
        y, weights = lesson.training.y, lesson.training.weights
        if lesson.problem is Problem.REGRESSION:
            return Constant([float(np.median(y))])
        counts = np.bincount(y, weights=weights, minlength=lesson.class_count)
        return Constant((counts / counts.sum()).tolist())

    def load(self, folder: Path, threads: int) -> FittedModel:
        return Constant(json.loads((folder / _FILE).read_bytes())["answer"])


@dataclass(frozen=True)
class Constant:
    answer: list[float]
    rounds: int | None = None

    @property
    def link(self) -> Link:
        return Link.NUMBER if len(self.answer) == 1 else Link.PROBABILITY

    def score(self, x: Floats) -> NDArray[np.float64]:
        return np.tile(np.array([self._scores]), (len(x), 1))

    def contributions(self, x: Floats) -> None:
        return None

    def used(self, width: int) -> NDArray[np.bool_]:
        return np.zeros(width, dtype=np.bool_)

    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        rows = graph.add("Shape", next(iter(graph.inputs)))
        rows = graph.add("Mul", rows, graph.constant([1, 0], np.int64))
        shape = graph.add("Add", rows, graph.constant([0, len(self._scores)], np.int64))
        return graph.add("Expand", graph.constant([self._scores]), shape)

    def save(self, folder: Path) -> None:
        (folder / _FILE).write_text(json.dumps({"answer": self.answer}))

    @property
    def _scores(self) -> list[float]:
        """Of two classes that of the positive one alone, as every other algorithm gives it."""
        return self.answer[1:] if len(self.answer) == 2 else self.answer
