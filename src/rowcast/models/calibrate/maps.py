"""Calibration maps: from the mean score of a model's members to its probabilities, in numpy and as ONNX nodes.

Of two classes: sigmoid is that of Platt 1999, "Probabilistic outputs for support vector machines"; isotonic follows
Zadrozny and Elkan 2002, "Transforming classifier scores into accurate multiclass probability estimates". Of more:
temperature and per-class (vector) scaling are those of Guo et al. 2017, "On calibration of modern neural networks".
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rowcast.models.algorithms.learner import Link
from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph

Scores = NDArray[np.float64]
Method = Literal["none", "sigmoid", "isotonic", "temperature", "per_class"]

SMALLEST_SHARE = 2.0**-13
"""Shares of trees below this count as this much where their logarithm is taken: float32 knows them no better."""


class CalibrationMap(BaseModel):
    """How scores become probabilities.

    Shares of trees are taken as their log odds, or of several classes as their logarithms.
    none: as the model means them. sigmoid: the log odds are ``slope * score + intercept``. isotonic: the log odds are
    ``log_odds`` at the ascending ``knots``, linear between them and, beyond the outer ones, with ``slope``. Neither
    goes beyond ``limit``, which stands for one row in all that it was fitted on: no such map is surer than that.
    temperature and per_class: each class's score times ``slope`` plus ``intercept``, one or one per class, normalised.
    """

    model_config = ConfigDict(frozen=True)

    method: Method = "none"
    slope: list[float] = []
    intercept: list[float] = []
    knots: list[float] = []
    log_odds: list[float] = []
    limit: float = 0.0


NONE = CalibrationMap()


def predictions(link: Link, scores: Scores, calibration: CalibrationMap = NONE) -> Floats:
    """What is served for scores [N,outputs]: probabilities float32 [N,K], or numbers float32 [N,1]."""
    if link is Link.NUMBER:
        return scores.astype(np.float32)
    if scores.shape[1] > 1:
        return _of_many(link, scores, calibration).astype(np.float32)
    chance = _of_two(link, scores, calibration).astype(np.float32)
    return np.hstack([np.float32(1) - chance, chance])


def prediction_nodes(graph: OnnxGraph, link: Link, scores: str, outputs: int, calibration: CalibrationMap) -> str:
    """The same of a tensor float32 [N,outputs]."""
    if link is Link.NUMBER:
        return scores
    if outputs > 1:
        return _nodes_of_many(graph, link, scores, calibration)
    chance = _nodes_of_two(graph, link, scores, calibration)
    return graph.concat([graph.add("Sub", graph.constant(1.0), chance), chance])


def log_odds(link: Link, scores: Scores) -> Scores:
    """Scores of two classes [N,1] as log odds, of more [N,K] as logarithms: what the maps work on, and what models that
    score differently have in common."""
    if link is not Link.PROBABILITY:
        return scores
    if scores.shape[1] > 1:
        return np.asarray(np.log(np.maximum(scores, SMALLEST_SHARE)))
    shares = np.clip(scores, SMALLEST_SHARE, 1 - SMALLEST_SHARE)
    return np.asarray(np.log(shares) - np.log(1 - shares))


def log_odds_nodes(graph: OnnxGraph, link: Link, scores: str, *, several: bool) -> str:
    """The same of a tensor float32 [N,outputs], of ``several`` classes or of two."""
    if link is not Link.PROBABILITY:
        return scores
    if several:
        return _log(graph, graph.add("Max", scores, graph.constant(SMALLEST_SHARE)))
    shares = graph.add("Clip", scores, graph.constant(SMALLEST_SHARE), graph.constant(1 - SMALLEST_SHARE))
    rest = graph.add("Sub", graph.constant(1.0), shares)
    return graph.add("Sub", _log(graph, shares), _log(graph, rest))


def softmax(scores: Scores) -> Scores:
    """Probabilities [N,K] in proportion to the exponentials of the scores."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Scores = powers / powers.sum(axis=1, keepdims=True)
    return shares


def sigmoid(log_odds: Scores) -> Scores:
    """The probability of log odds; 0 and 1 are never left, and nothing overflows."""
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -700, 700))))


def _of_two(link: Link, scores: Scores, calibration: CalibrationMap) -> Scores:
    if calibration.method == "none":
        return scores if link is Link.PROBABILITY else sigmoid(scores)
    scores = log_odds(link, scores)
    straight = scores * calibration.slope[0]
    if calibration.method == "sigmoid":
        mapped = straight + calibration.intercept[0]
    else:
        over = np.maximum(scores - np.array(calibration.knots), 0.0)
        mapped = straight + _start(calibration) + (over @ _bends(calibration))[:, None]
    return sigmoid(np.clip(mapped, -calibration.limit, calibration.limit))


def _of_many(link: Link, scores: Scores, calibration: CalibrationMap) -> Scores:
    if calibration.method == "none":
        return scores if link is Link.PROBABILITY else softmax(scores)
    return softmax(log_odds(link, scores) * calibration.slope + np.array(calibration.intercept))


def _nodes_of_two(graph: OnnxGraph, link: Link, scores: str, calibration: CalibrationMap) -> str:
    if calibration.method == "none":
        return scores if link is Link.PROBABILITY else graph.add("Sigmoid", scores)
    scores = log_odds_nodes(graph, link, scores, several=False)
    straight = graph.add("Mul", scores, graph.constant(calibration.slope[0]))
    if calibration.method == "sigmoid":
        shift = graph.constant(calibration.intercept[0])
    else:
        over = graph.add("Relu", graph.add("Sub", scores, graph.constant([calibration.knots])))
        bends = graph.constant(_bends(calibration).reshape(-1, 1))
        shift = graph.add("Gemm", over, bends, graph.constant([_start(calibration)]))
    limits = graph.constant(-calibration.limit), graph.constant(calibration.limit)
    return graph.add("Sigmoid", graph.add("Clip", graph.add("Add", straight, shift), *limits))


def _nodes_of_many(graph: OnnxGraph, link: Link, scores: str, calibration: CalibrationMap) -> str:
    if calibration.method == "none":
        return scores if link is Link.PROBABILITY else graph.add("Softmax", scores, axis=1)
    logarithms = log_odds_nodes(graph, link, scores, several=True)
    scaled = graph.add("Mul", logarithms, graph.constant([calibration.slope]))
    return graph.add("Softmax", graph.add("Add", scaled, graph.constant([calibration.intercept])), axis=1)


def _log(graph: OnnxGraph, tensor: str) -> str:
    """By way of float64: onnxruntime's logarithm of float32 has another last bit for a row alone than among others."""
    return graph.add("Cast", graph.add("Log", graph.add("Cast", tensor, to=11)), to=1)


def _bends(calibration: CalibrationMap) -> NDArray[Any]:
    """By how much the slope changes at every knot."""
    rise = np.diff(calibration.log_odds) / np.diff(calibration.knots)
    return np.diff(np.concatenate([calibration.slope, rise, calibration.slope]))


def _start(calibration: CalibrationMap) -> float:
    """The log odds at score 0 of the line that leads to the first knot."""
    return calibration.log_odds[0] - calibration.slope[0] * calibration.knots[0]
