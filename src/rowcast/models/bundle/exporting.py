"""Members to one ONNX graph, and the gate that compares it with the native model before it may serve."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.schema import Feature, Kind
from rowcast.models.bundle.contents import TOLERANCE, Parity
from rowcast.models.bundle.lookups import Matrix, taken_out
from rowcast.models.bundle.runtime import MatrixRuntime, OnnxRuntime, difference
from rowcast.models.calibrate.maps import NONE, CalibrationMap, log_odds_nodes, prediction_nodes
from rowcast.models.encode.encoder_onnx import SharedColumns, encoder_nodes
from rowcast.models.encode.inputs import MISSING, Column, Floats, Inputs, Labels, feeds, row_count, take
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.recipe import Problem
from rowcast.models.train.member import Member, link_of, mean_prediction

UNSEEN = "never seen before"
_SAMPLED_ROWS = 400
_ODD_ROWS = 200
_LARGEST_MODEL = 1_500_000_000
"""Bytes; a protobuf message ends at 2 GB."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Export:
    """``model`` is None when ONNX was refused, ``quicker`` when there is no other form of it that gives the same."""

    model: bytes | None
    parity: Parity
    quicker: tuple[bytes, Matrix] | None = None


def export(
    members: Sequence[Member],
    features: Sequence[Feature],
    problem: Problem,
    inputs: Inputs,
    seed: int,
    calibration: CalibrationMap = NONE,
) -> Export:
    """The whole pipeline as ONNX if it agrees with the native members on sampled and odd rows.

    The rows are a few hundred of ``inputs``, the same with every feature missing in some of them, unseen categories,
    numbers outside the range, and one row where nothing is known.
    """
    probe = _probe(inputs, seed)
    try:
        model = to_onnx(members, features, problem, calibration)
        if len(model) > _LARGEST_MODEL:
            return _refused(probe, None, "the model is too large for ONNX")
        found = OnnxRuntime(model).run(feeds(probe))
    except Exception as error:  # noqa: BLE001 - whatever ONNX cannot do, the native model can
        return _refused(probe, None, f"ONNX failed with {type(error).__name__}")
    furthest = difference(mean_prediction(members, probe, calibration), found)
    if not furthest <= TOLERANCE:
        return _refused(probe, furthest, "ONNX and the native model differ by more than the tolerance")
    parity = Parity(max_difference=furthest, rows=row_count(probe), passed=True)
    return Export(model, parity, _quicker(model, probe, found))


def _quicker(model: bytes, probe: Inputs, found: Floats) -> tuple[bytes, Matrix] | None:
    """The quicker form, where it gives every bit of what was found for these rows."""
    try:
        taken = taken_out(model)
        same = taken is not None and np.array_equal(MatrixRuntime(*taken).run(feeds(probe)), found)
    except Exception as error:  # noqa: BLE001 - the model is served as it is
        log.warning("a model has no quicker form: %s", type(error).__name__)
        return None
    return taken if same else None


def to_onnx(
    members: Sequence[Member], features: Sequence[Feature], problem: Problem, calibration: CalibrationMap = NONE
) -> bytes:
    """One graph: an input per feature, named as it is; the members' mean score, calibrated; one output."""
    graph = OnnxGraph({feature.name: feature.kind is Kind.CATEGORY for feature in features})
    shared = SharedColumns()
    link, outputs = link_of(members), _outputs(members[0])
    scores = []
    for member in members:
        score = member.model.nodes(graph, encoder_nodes(graph, member.encoder, shared))
        if (member.center, member.spread) != (0.0, 1.0):
            score = graph.add("Mul", score, graph.constant(member.spread))
            score = graph.add("Add", score, graph.constant(member.center))
        same = member.model.link is link
        scores.append(score if same else log_odds_nodes(graph, member.model.link, score, several=outputs > 1))
    mean = scores[0] if len(scores) == 1 else _mean(graph, scores, [member.weight for member in members])
    answer = prediction_nodes(graph, link, mean, outputs, calibration)
    if problem is Problem.REGRESSION:
        return graph.finish(answer, "prediction", 1)
    return graph.finish(answer, "probabilities", max(2, outputs))


def _mean(graph: OnnxGraph, scores: Sequence[str], weights: Sequence[float]) -> str:
    if len(set(weights)) == 1:
        return graph.add("Mean", *scores)
    shares = np.array(weights) / sum(weights)
    return graph.add(
        "Sum", *(graph.add("Mul", *pair) for pair in zip(scores, map(graph.constant, shares), strict=True))
    )


def _outputs(member: Member) -> int:
    width = len(member.encoder.sources())
    return int(member.score(np.zeros((1, width), dtype=np.float32)).shape[1])


def _refused(probe: Inputs, furthest: float | None, reason: str) -> Export:
    finite = furthest if furthest is not None and np.isfinite(furthest) else None
    return Export(None, Parity(max_difference=finite, rows=row_count(probe), passed=False, reason=reason))


def _probe(inputs: Inputs, seed: int) -> dict[str, Column]:
    rng = np.random.default_rng(seed)
    total = row_count(inputs)
    plain = rng.choice(total, min(total, _SAMPLED_ROWS), replace=False)
    rows = np.concatenate([plain, rng.choice(total, 2 * _ODD_ROWS + 1)])
    sample = take(inputs, rows)
    return {name: _odd(column, position, len(plain)) for position, (name, column) in enumerate(sample.items())}


def _odd(column: Column, position: int, start: int) -> Column:
    """The column with missing values in some rows from ``start`` on, unusual ones in others, none known in the last."""
    missing = np.zeros(len(column), dtype=np.bool_)
    missing[start + position % _ODD_ROWS :: _ODD_ROWS // 4][: _ODD_ROWS // 8] = True
    missing[-1] = True
    unusual = np.zeros(len(column), dtype=np.bool_)
    unusual[start + _ODD_ROWS + position % _ODD_ROWS] = True
    if isinstance(column, Labels):
        codes = column.codes.copy()
        codes[missing], codes[unusual] = len(column.levels), len(column.levels) + 1
        return Labels(codes, [*column.levels, MISSING, UNSEEN])
    values = column.copy()
    values[unusual] = _outside(column, position)
    values[missing] = np.nan
    return values


def _outside(column: Floats, position: int) -> np.float32:
    known: NDArray[np.float32] = column[np.isfinite(column)]
    low, high = (known.min(), known.max()) if len(known) else (np.float32(0), np.float32(1))
    span = np.float32(high - low) if high > low else np.float32(1)
    return np.float32(high + span if position % 2 else low - span)
