from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rowcast.datasets.schema import Feature, Kind
from rowcast.models.bundle.runtime import OnnxRuntime
from rowcast.models.encode.encoder import Encoder, Style, fit_encoder
from rowcast.models.encode.encoder_onnx import SharedColumns, encoder_nodes
from rowcast.models.encode.inputs import Column, Floats, Labels, feeds
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.encode.word_tables import fit_words
from rowcast.models.recipe import Problem

FEATURES = [
    Feature(name="size", kind=Kind.NUMBER),
    Feature(name="full", kind=Kind.NUMBER),
    Feature(name="t1", kind=Kind.FLAG),
    Feature(name="when", kind=Kind.DATE),
    Feature(name="also when", kind=Kind.DATE),
    Feature(name="色", kind=Kind.CATEGORY),
    Feature(name="town", kind=Kind.CATEGORY),
    Feature(name="other town", kind=Kind.CATEGORY),
]
ROWS = 400


def towns(numbers: NDArray[Any]) -> Labels:
    return Labels.of(np.array([f"{('Old', 'New')[n % 2]} Town-{n}" for n in numbers], dtype=object))


def some_inputs(seed: int = 0) -> dict[str, Column]:
    rng = np.random.default_rng(seed)

    def gaps(values: NDArray[Any]) -> Floats:
        return np.where(rng.random(ROWS) < 0.1, np.nan, values).astype(np.float32)

    return {
        "size": gaps(np.exp(rng.normal(8, 2, ROWS))),
        "full": rng.normal(0, 1, ROWS).astype(np.float32),
        "t1": gaps(rng.integers(0, 2, ROWS)),
        "when": gaps(rng.integers(-20_000, 20_000, ROWS)),
        "also when": gaps(rng.normal(10_000, 10, ROWS)),
        "色": Labels.of(rng.choice(["", "red", "green", "bl\u00fce"], ROWS).astype(object)),
        "town": towns(rng.integers(0, 80, ROWS)),
        "other town": towns(rng.integers(40, 110, ROWS)),
    }


def fitted(style: Style, problem: Problem = Problem.BINARY, **how: bool) -> tuple[Encoder, Floats]:
    y = np.random.default_rng(1).integers(0, 2, ROWS)
    return fit_encoder(FEATURES, some_inputs(), y, problem, style, seed=0, **how)


def onnx_of(encoder: Encoder) -> OnnxRuntime:
    graph = OnnxGraph({feature.name: feature.kind is Kind.CATEGORY for feature in FEATURES})
    matrix = encoder_nodes(graph, encoder, SharedColumns())
    return OnnxRuntime(graph.finish(matrix, "matrix", len(encoder.sources())))


@pytest.mark.parametrize("problem", Problem)
@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("one_hot", [False, True])
def test_onnx_gives_the_same_matrix(style: Style, problem: Problem, one_hot: bool) -> None:
    encoder, _ = fitted(style, problem, one_hot=one_hot)
    matrix = encoder.transform(some_inputs(seed=2))
    assert matrix.shape == (ROWS, len(encoder.sources()))
    assert np.allclose(matrix, onnx_of(encoder).run(feeds(some_inputs(seed=2))), rtol=0, atol=2e-6, equal_nan=True)


ENCODERS = {style: fitted(style)[0] for style in Style}
CLIPPING = {style: fitted(style, clip=True)[0] for style in Style}
ONNX = {style: (onnx_of(ENCODERS[style]), onnx_of(CLIPPING[style])) for style in Style}
NUMBER = st.floats(width=32, allow_infinity=False, min_value=-(2.0**100), max_value=2.0**100) | st.just(float("nan"))


@given(
    numbers=st.lists(NUMBER, min_size=3, max_size=3),
    days=st.lists(st.floats(-800_000, 3_000_000, width=32) | st.just(float("nan")), min_size=2, max_size=2),
    colour=st.sampled_from(["", "red", "green", "never seen"]) | st.text(max_size=5),
    towns=st.lists(st.text(max_size=5) | st.sampled_from(["Old Town-44", "New Town-79", ""]), min_size=2, max_size=2),
)
@settings(max_examples=100, deadline=None)
@pytest.mark.parametrize("style", Style)
def test_any_row_is_encoded_alike(
    style: Style, numbers: list[float], days: list[float], colour: str, towns: list[str]
) -> None:
    values = [np.array([value], dtype=np.float32) for value in [*numbers, *days]]
    columns: list[Column] = [*values, *(Labels.of(np.array([text], dtype=object)) for text in (colour, *towns))]
    row = {feature.name: column for feature, column in zip(FEATURES, columns, strict=True)}
    for encoder, onnx in zip((ENCODERS[style], CLIPPING[style]), ONNX[style], strict=True):
        assert np.allclose(encoder.transform(row), onnx.run(feeds(row)), rtol=0, atol=2e-6, equal_nan=True)


def test_outliers_are_clipped_but_what_is_rare_is_kept() -> None:
    features = [Feature(name="n", kind=Kind.NUMBER), Feature(name="mostly 0", kind=Kind.NUMBER)]
    features.append(Feature(name="rare", kind=Kind.FLAG))
    rare = np.zeros(1000, dtype=np.float32)
    rare[:2] = 1.0
    inputs: dict[str, Column] = {"n": np.arange(1000, dtype=np.float32), "mostly 0": rare * 7, "rare": rare}
    encoder, matrix = fit_encoder(features, inputs, rare.astype(int), Problem.BINARY, Style.BOOSTER, 0, clip=True)
    assert (matrix[:, 0].min(), matrix[:, 0].max()) == (5.0, 994.0)
    assert (matrix[:, 1].max(), matrix[:, 2].max()) == (7.0, 1.0)
    far = {"n": np.array([-1e9, 1e9, np.nan], dtype=np.float32), "mostly 0": rare[:3], "rare": rare[:3]}
    again = Encoder.from_json(encoder.to_json()).transform(far)
    assert again[:2, 0].tolist() == [5.0, 994.0]


def test_only_boosters_see_what_is_missing() -> None:
    nothing = Labels(np.zeros(3, dtype=np.int32), [""])
    unknown = np.full(3, np.nan, dtype=np.float32)
    missing = {name: nothing if isinstance(column, Labels) else unknown for name, column in some_inputs().items()}
    assert np.isnan(ENCODERS[Style.BOOSTER].transform(missing)).any()
    assert not np.isnan(ENCODERS[Style.FOREST].transform(missing)).any()
    assert not np.isnan(ENCODERS[Style.LINEAR].transform(missing)).any()


def test_a_column_that_was_never_missing_gets_its_median_when_it_is() -> None:
    encoder = ENCODERS[Style.BOOSTER]
    row = some_inputs() | {"full": np.full(ROWS, np.nan, dtype=np.float32)}
    filled = encoder.transform(row)[:, encoder.sources().index(("full",))]
    assert filled[0] == np.median(np.asarray(some_inputs()["full"]))


def test_targets_of_a_row_do_not_leak_into_its_own_encoding() -> None:
    y = np.random.default_rng(5).integers(0, 2, ROWS)
    towns = Labels.of(np.array([f"town {n % 160}" for n in range(ROWS)], dtype=object))
    inputs: dict[str, Column] = {"town": towns}
    features = [Feature(name="town", kind=Kind.CATEGORY)]
    encoder, cross_fitted = fit_encoder(features, inputs, y, Problem.BINARY, Style.BOOSTER, seed=0)
    in_sample = encoder.transform(inputs)
    assert np.corrcoef(in_sample[:, 0], y)[0, 1] > 0.5
    assert abs(np.corrcoef(cross_fitted[:, 0], y)[0, 1]) < 0.2


def test_few_levels_have_columns_beside_their_codes_where_that_is_asked_for() -> None:
    texts = np.array(["a", "b", "c"], dtype=object)[np.arange(ROWS) % 3]
    inputs: dict[str, Column] = {"grade": Labels.of(texts)}
    features = [Feature(name="grade", kind=Kind.CATEGORY)]
    y = (np.arange(ROWS) % 3 == 1).astype(int)
    encoder, matrix = fit_encoder(features, inputs, y, Problem.BINARY, Style.FOREST, seed=0, one_hot=True)
    assert encoder.sources() == [("grade",)] * 4
    assert matrix[1].tolist() == [3.0, 0.0, 0.0, 1.0]
    assert matrix[:, 1:].sum(axis=1).tolist() == [1.0] * ROWS
    unseen = encoder.transform({"grade": Labels.of(np.array(["never seen"], dtype=object))})
    assert unseen[0, 1:].tolist() == [0.0] * 3


def test_of_many_levels_it_is_told_how_common_each_is_and_the_numbers_that_they_are() -> None:
    texts = np.array([f"{300 + n % 40}" for n in range(ROWS)] + ["300"] * 9 + ["777", ""], dtype=object)
    inputs: dict[str, Column] = {"postal code": Labels.of(texts)}
    features = [Feature(name="postal code", kind=Kind.CATEGORY)]
    y = np.arange(len(texts)) % 2
    encoder, _ = fit_encoder(features, inputs, y, Problem.BINARY, Style.BOOSTER, seed=0)

    assert encoder.sources() == [("postal code",)] * 3
    asked: dict[str, Column] = {"postal code": Labels.of(np.array(["300", "339", "777", "never"], dtype=object))}
    common, other, once, unseen = encoder.transform(asked)[:, 1:].tolist()
    assert common == [np.float32(np.mean(texts == "300")), 300.0]
    assert other == [np.float32(np.mean(texts == "339")), 339.0]
    assert once == unseen  # too seldom to learn from
    assert once[0] == 0.0
    assert 310 < once[1] < 330

    words: dict[str, Column] = {"postal code": Labels.of(np.where(texts == "300", "centre", texts).astype(object))}
    encoder, _ = fit_encoder(features, words, y, Problem.BINARY, Style.BOOSTER, seed=0)
    assert len(encoder.sources()) == 2


def test_many_levels_have_the_words_that_they_share() -> None:
    names = [f"{'First' if n % 3 == 0 else 'Second'} BANK of Town-{n:03} {n}" for n in range(60)]
    texts = np.array(names * 5 + ["First of its kind", "", ""], dtype=object)
    inputs: dict[str, Column] = {"bank": Labels.of(texts)}
    features = [Feature(name="bank", kind=Kind.CATEGORY)]
    y = np.arange(len(texts)) % 2
    encoder, matrix = fit_encoder(features, inputs, y, Problem.BINARY, Style.BOOSTER, seed=0)

    (table,) = encoder.words
    assert table.words == ["bank", "of", "town", "second", "first"]  # by rows; no numbers, no word of one level
    assert encoder.sources() == [("bank",)] * 7
    words = matrix[:, 2:]
    assert words[0].tolist() == [1.0, 1.0, 1.0, 0.0, 1.0]
    assert words[1].tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]
    assert words[-3].tolist() == [0.0] * 5  # of one row: as if it had not been there
    asked: dict[str, Column] = {"bank": Labels.of(np.array(["First of its kind", "First BANK", ""], dtype=object))}
    assert encoder.transform(asked)[:, 2:].tolist() == [[0.0, 1.0, 0.0, 0.0, 1.0], [0.0] * 5, [0.0] * 5]


@pytest.mark.parametrize("texts", [["First Bank", "Last Bank"], [f"Bank-{n}" for n in range(400)]])
def test_few_levels_and_those_of_single_rows_have_no_words(texts: list[str]) -> None:
    column = Labels.of(np.resize(np.array(texts, dtype=object), ROWS))
    assert fit_words("bank", column) is None


def test_categories_that_share_levels_have_a_column_that_says_whether_they_are_the_same() -> None:
    states = np.array(["CA", "NV", "OR", "TX", "AZ", "NM"], dtype=object)
    rng = np.random.default_rng(0)
    labels = {name: Labels.of(rng.choice(states[:most], ROWS)) for name, most in [("from", 6), ("to", 5), ("few", 4)]}
    features = [Feature(name=name, kind=Kind.CATEGORY) for name in labels]
    y = rng.integers(0, 2, ROWS)
    encoder, matrix = fit_encoder(features, labels, y, Problem.BINARY, Style.BOOSTER, seed=0)
    assert encoder.sources() == [("from",), ("to",), ("few",), ("from", "to")]
    assert matrix[:, 3].tolist() == (labels["from"].texts() == labels["to"].texts()).astype(float).tolist()

    both = {"from": ["CA", "CA", "", "never seen", "NM"], "to": ["CA", "NV", "", "never seen", "NM"]}
    asked = {name: Labels.of(np.array(both.get(name, ["CA"] * 5), dtype=object)) for name in labels}
    assert encoder.transform(asked)[:, 3].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_an_encoder_survives_json() -> None:
    for encoder in ENCODERS.values():
        again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
        rows = some_inputs(seed=3)
        assert np.array_equal(again.transform(rows), encoder.transform(rows), equal_nan=True)


def test_an_encoder_that_was_kept_before_some_columns_were_thought_of_goes_on_without_them() -> None:
    encoder, _ = fitted(Style.BOOSTER)
    days = [len(encoder.numbers) + 3, len(encoder.numbers) + 7]
    kept = encoder.to_json()
    del kept["date_parts"], kept["words"], kept["same"]
    kept["fill"] = [value for column, value in enumerate(kept["fill"]) if column not in days]
    before = Encoder.from_json(kept)
    matrix = np.delete(encoder.transform(some_inputs()), days, axis=1)
    assert len(before.sources()) == matrix.shape[1] - sum(len(table.words) for table in encoder.words) - 1
    assert np.array_equal(before.transform(some_inputs()), matrix[:, : len(before.sources())], equal_nan=True)


def test_unseen_and_rare_categories_share_a_value() -> None:
    encoder = ENCODERS[Style.BOOSTER]
    rows = some_inputs() | {"色": Labels(np.arange(ROWS, dtype=np.int32) % 2, ["never seen", "nor this"])}
    column = encoder.transform(rows)[:, encoder.sources().index(("色",))]
    assert len(np.unique(column)) == 1
