from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.rows import RowReader
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.models.algorithms.linear import LinearModel
from rowcast.models.algorithms.tree_ensemble import float32_at_most
from rowcast.models.bundle.exporting import export
from rowcast.models.bundle.lookups import taken_out
from rowcast.models.bundle.runtime import MatrixRuntime, OnnxRuntime
from rowcast.models.encode.encoder import Style, fit_encoder
from rowcast.models.encode.inputs import Column, Floats, Labels
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.recipe import Problem
from rowcast.models.train.member import Member

FEATURES = [Feature(name="n", kind=Kind.NUMBER), Feature(name="c", kind=Kind.CATEGORY)]
INPUTS: dict[str, Column] = {
    "n": np.linspace(-1, 1, 100, dtype=np.float32),
    "c": Labels.of(np.array(["a", "b"] * 50, dtype=object)),
}


@dataclass(frozen=True)
class WrongAboutMissing(LinearModel):
    """Serves as the others do until a value is missing."""

    def score(self, x: Floats) -> NDArray[np.float64]:
        score = super().score(np.nan_to_num(x))
        return np.where(np.isnan(x).any(axis=1, keepdims=True), -score, score)


@dataclass(frozen=True)
class NotExportable(LinearModel):
    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        return graph.add("NoSuchOperator", matrix)


def gate(model: Any, inputs: dict[str, Column]) -> Any:
    y: NDArray[Any] = np.array([0, 1] * 50)
    encoder, _ = fit_encoder(FEATURES, inputs, y, Problem.BINARY, Style.BOOSTER, 0)
    return export([Member(encoder, model, "linear")], FEATURES, Problem.BINARY, inputs, seed=0)


WEIGHTS = {"weights": np.array([[1.0], [2.0]]), "intercept": np.array([0.5]), "means": np.zeros(2)}


def test_onnx_that_agrees_passes() -> None:
    exported = gate(LinearModel(Problem.BINARY, **WEIGHTS), INPUTS)
    assert exported.parity.passed
    assert exported.parity.max_difference < 1e-6
    assert exported.model


def test_the_quicker_form_gives_the_same_bits_for_one_row_and_for_many() -> None:
    exported = gate(LinearModel(Problem.BINARY, **WEIGHTS), INPUTS)
    quicker, whole = MatrixRuntime(*exported.quicker), OnnxRuntime(exported.model)
    numbers = np.array([0.25, np.nan, -7.0, 3e38], dtype=np.float32).reshape(-1, 1)
    texts = np.array(["a", "", "never seen", "b"], dtype=object).reshape(-1, 1)
    inputs = {"n": numbers, "c": texts}
    assert np.array_equal(quicker.run(inputs), whole.run(inputs), equal_nan=True)
    for row in range(4):
        one = {name: column[row : row + 1] for name, column in inputs.items()}
        assert np.array_equal(quicker.run(one), whole.run(one), equal_nan=True)


def test_texts_that_several_tables_know_are_looked_up_once_and_mean_the_same() -> None:
    features = [Feature(name=name, kind=Kind.CATEGORY) for name in ("code", "colour", "word", "last code")]
    many = np.arange(320) % 40
    inputs: dict[str, Column] = {
        "code": Labels.of(np.array([f"{number}" for number in many], dtype=object)),
        "colour": Labels.of(np.array(["red", "blue"] * 160, dtype=object)),
        "word": Labels.of(np.array([f"{('old', 'new')[number % 2]} {number}" for number in many[::-1]], dtype=object)),
        "last code": Labels.of(np.array([f"{number // 3}" for number in many], dtype=object)),
    }
    y = (many > 17).astype(int)
    members = []
    for seed in (0, 1):
        encoder, _ = fit_encoder(features, inputs, y, Problem.BINARY, Style.BOOSTER, seed)
        assert encoder.words
        assert encoder.same is not None
        weights = np.random.default_rng(seed).normal(size=(len(encoder.sources()), 1))
        model = LinearModel(Problem.BINARY, weights=weights, intercept=np.zeros(1), means=np.zeros(len(weights)))
        members.append(Member(encoder, model, "linear"))
    exported = export(members, features, Problem.BINARY, inputs, seed=0)
    quicker, whole = MatrixRuntime(*exported.quicker), OnnxRuntime(exported.model)

    draw = np.random.default_rng(0)
    texts = {name: np.append(draw.choice(column.levels, 50), ["", "never seen"]) for name, column in inputs.items()}
    asked = {name: column.astype(object).reshape(-1, 1) for name, column in texts.items()}
    expected = whole.run(asked)
    assert np.array_equal(quicker.run(asked), expected)
    reader = RowReader(FeatureSchema(features=features), quicker.codes)
    rows = [dict(zip(texts, row, strict=True)) for row in zip(*(map(str, one) for one in texts.values()), strict=True)]
    assert np.array_equal(quicker.run(reader.read(rows).inputs), expected)
    assert quicker.run({name: column[:0] for name, column in asked.items()}).shape == (0, 2)
    assert np.array_equal(np.concatenate([quicker.run(reader.read([row]).inputs) for row in rows]), expected)


def test_many_rows_are_run_in_another_order_and_answered_in_theirs() -> None:
    exported = gate(LinearModel(Problem.BINARY, **WEIGHTS), INPUTS)
    graph, matrix = exported.quicker
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(500, 1)).astype(np.float32)
    numbers[::7] = np.nan
    inputs = {"n": numbers, "c": draw.choice(np.array(["a", "b", "", "never seen"], dtype=object), (500, 1))}
    expected = OnnxRuntime(exported.model).run(inputs)
    for feature in ("n", "c", "of another model"):
        assert np.array_equal(MatrixRuntime(graph, matrix, alike=feature).run(inputs), expected)


def test_a_graph_that_uses_texts_otherwise_has_no_quicker_form() -> None:
    graph = OnnxGraph({"c": True})
    count = graph.add("Cast", graph.add("Shape", "c"), to=1)
    assert taken_out(graph.finish(graph.add("Unsqueeze", count, graph.constant([0], np.int64)), "n", 2)) is None


def test_onnx_that_differs_only_where_values_are_missing_is_refused() -> None:
    gaps = np.array(INPUTS["n"])
    gaps[::7] = np.nan
    exported = gate(WrongAboutMissing(Problem.BINARY, **WEIGHTS), INPUTS | {"n": gaps})
    assert not exported.parity.passed
    assert exported.model is None
    assert "tolerance" in exported.parity.reason or "failed" in exported.parity.reason


def test_a_model_that_onnx_cannot_express_is_served_natively() -> None:
    exported = gate(NotExportable(Problem.BINARY, **WEIGHTS), INPUTS)
    assert exported.model is None
    assert exported.parity.reason.startswith("ONNX failed with")
    assert exported.parity.max_difference is None


def test_thresholds_keep_every_comparison() -> None:
    rng = np.random.default_rng(0)
    thresholds = np.concatenate([rng.normal(0, 1e6, 500), rng.normal(0, 1e-6, 500)])
    rounded = float32_at_most(thresholds)
    near = np.concatenate(
        [rounded, np.nextafter(rounded, np.float32(np.inf)), np.nextafter(rounded, np.float32(-1e38))]
    )
    for x, threshold, served in zip(near, np.tile(thresholds, 3), np.tile(rounded, 3), strict=True):
        assert (float(x) <= threshold) == bool(x <= served)
