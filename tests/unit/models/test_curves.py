from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn import metrics as sk

from rowcast.models.evaluate.curves import curves
from rowcast.models.recipe import Problem

TWO = ["no", "yes"]


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def binary(rows: int, rate: float = 0.3, strength: float = 1.2) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(rows)
    y = (rng.random(rows) < rate).astype(int)
    return y, 1 / (1 + np.exp(-(rng.normal(size=rows) + strength * y - 1)))


def area(x: list[float], y: list[float]) -> float:
    return float(np.trapezoid(y, x))


def test_a_short_roc_curve_holds_every_point() -> None:
    y, chance = binary(60)
    chance = np.round(chance, 1)
    fpr, tpr, threshold = sk.roc_curve(y, chance, drop_intermediate=False)
    roc = curves(Problem.BINARY, y, chance, TWO)["roc"]
    assert roc["fpr"] == pytest.approx(fpr)
    assert roc["tpr"] == pytest.approx(tpr)
    assert roc["threshold"] == [None, *threshold[1:]]


def test_a_short_precision_recall_curve_holds_every_point() -> None:
    y, chance = binary(60)
    precision, recall, threshold = sk.precision_recall_curve(y, chance)
    found = curves(Problem.BINARY, y, chance, TWO)["pr"]
    assert found["precision"] == pytest.approx(precision[::-1])
    assert found["recall"] == pytest.approx(recall[::-1])
    assert found["threshold"] == [None, *threshold[::-1]]


@pytest.mark.parametrize(("rate", "strength"), [(0.3, 1.2), (0.002, 3.0), (0.3, 0.0), (0.3, 30.0)])
def test_a_long_curve_keeps_its_shape_and_ends_in_few_points(rate: float, strength: float) -> None:
    y, chance = binary(30_000, rate, strength)
    found = curves(Problem.BINARY, y, chance, TWO)
    roc, pr = found["roc"], found["pr"]
    assert 100 < len(roc["fpr"]) <= 200
    assert 100 < len(pr["recall"]) <= 200
    assert (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
    assert (pr["recall"][0], pr["precision"][0], pr["recall"][-1]) == (0, 1, 1)
    assert area(roc["fpr"], roc["tpr"]) == pytest.approx(sk.roc_auc_score(y, chance), abs=2e-3)
    assert area(pr["recall"], pr["precision"]) == pytest.approx(sk.average_precision_score(y, chance), abs=0.02)
    gaps = np.diff(roc["fpr"]) + np.diff(roc["tpr"])
    every_fpr, every_tpr, _ = sk.roc_curve(y, chance, drop_intermediate=False)
    assert gaps.max() < 2 / 197 + np.max(np.diff(every_fpr) + np.diff(every_tpr)) + 1e-9


def test_points_are_what_their_threshold_gives() -> None:
    y, chance = binary(3_000)
    roc = curves(Problem.BINARY, y, chance, TWO)["roc"]
    for fpr, tpr, threshold in list(zip(roc["fpr"], roc["tpr"], roc["threshold"], strict=True))[1::20]:
        called = chance >= threshold
        assert (fpr, tpr) == pytest.approx((called[y == 0].mean(), called[y == 1].mean()))


def test_calibration_bins_hold_equal_counts_and_their_wilson_intervals() -> None:
    y, chance = binary(1_000)
    found = curves(Problem.BINARY, y, chance, TWO)["calibration"]
    assert found["count"] == [100] * 10
    order = np.argsort(chance)
    assert found["predicted"] == pytest.approx(chance[order].reshape(10, 100).mean(axis=1))
    assert found["observed"] == pytest.approx(y[order].reshape(10, 100).mean(axis=1))
    lies = zip(found["low"], found["observed"], found["high"], strict=True)
    assert all(low <= observed <= high for low, observed, high in lies)


def test_calibration_never_parts_rows_of_one_score() -> None:
    y = np.arange(100) % 2
    chance = np.where(np.arange(100) < 90, 0.4, 0.9)
    found = curves(Problem.BINARY, y, chance, TWO)["calibration"]
    assert found["count"] == [90, 10]
    assert found["predicted"] == pytest.approx([0.4, 0.9])


def test_confusion_histogram_and_prevalence() -> None:
    y, chance = binary(500)
    found = curves(Problem.BINARY, y, chance, TWO)
    assert found["confusion"] == {
        "labels": TWO,
        "matrix": sk.confusion_matrix(y, chance > 0.5).tolist(),
    }
    histogram = found["score_histogram"]
    assert len(histogram["edges"]) == len(histogram["positive"]) + 1 == 21
    assert sum(histogram["positive"]) == y.sum()
    assert sum(histogram["negative"]) == (1 - y).sum()
    assert found["prevalence"] == pytest.approx(y.mean())


def test_one_class_has_no_roc() -> None:
    found = curves(Problem.BINARY, np.zeros(5, int), np.linspace(0, 1, 5), TWO)
    assert found["roc"] == {"fpr": [], "tpr": [], "threshold": []}
    assert found["pr"] == {"precision": [], "recall": [], "threshold": []}
    assert found["confusion"]["matrix"] == [[3, 2], [0, 0]]


def test_multiclass_counts_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(4), 300)
    y = np.array([rng.choice(4, p=row) for row in chances])
    y[y == 3] = 0
    label = chances.argmax(axis=1)
    found = curves(Problem.MULTICLASS, y, chances, list("abcd"))
    assert found["confusion"]["matrix"] == sk.confusion_matrix(y, label, labels=range(4)).tolist()
    precision, recall, f1, support = sk.precision_recall_fscore_support(y, label, labels=range(4), zero_division=0)
    for code, row in enumerate(found["per_class"]):
        assert row["label"] == "abcd"[code]
        assert row["support"] == support[code]
        assert (row["precision"], row["f1"]) == pytest.approx((precision[code], f1[code]))
        if support[code]:
            assert row["recall"] == pytest.approx(recall[code])
            assert row["roc_auc"] == pytest.approx(sk.roc_auc_score(y == code, chances[:, code]))
    assert (found["per_class"][3]["recall"], found["per_class"][3]["roc_auc"]) == (None, None)
    assert sum(found["calibration"]["count"]) == 300
    top = np.average(found["calibration"]["observed"], weights=found["calibration"]["count"])
    assert top == pytest.approx(np.mean(label == y))


def test_residuals_are_a_fair_part_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=5_000)
    prediction = y + rng.normal(size=5_000)
    found = curves(Problem.REGRESSION, y, prediction, [])
    residuals, pairs = found["residuals"], found["predicted_vs_actual"]
    assert len(residuals["predicted"]) == len(residuals["residual"]) == len(pairs["actual"]) == 500
    assert (residuals["predicted"][0], residuals["predicted"][-1]) == (prediction.min(), prediction.max())
    assert residuals["residual"] == pytest.approx(np.array(pairs["actual"]) - np.array(pairs["predicted"]))
    assert np.std(residuals["residual"]) == pytest.approx(1, abs=0.1)


def test_every_residual_is_counted_once_and_far_ones_apart() -> None:
    y = np.concatenate([np.random.default_rng(0).normal(size=2_000), [1e9, -1e9]])
    found = curves(Problem.REGRESSION, y, np.zeros(2_002), [])["residual_histogram"]
    assert len(found["edges"]) == len(found["count"]) + 1 == 21
    assert found["edges"][-1] < 10
    assert sum(found["count"]) + found["below"] + found["above"] == 2_002
    assert found["below"] >= 1
    assert found["above"] >= 1


def test_a_single_residual_has_one_step() -> None:
    found = curves(Problem.REGRESSION, np.full(7, 3.0), np.full(7, 1.0), [])["residual_histogram"]
    assert found == {"edges": [2.0, 2.0], "count": [7], "below": 0, "above": 0}


@pytest.mark.parametrize(
    ("problem", "prediction", "classes"),
    [
        (Problem.BINARY, np.empty(0), TWO),
        (Problem.MULTICLASS, np.empty((0, 3)), list("abc")),
        (Problem.REGRESSION, np.empty(0), []),
    ],
)
def test_no_rows(problem: Problem, prediction: NDArray[Any], classes: list[str]) -> None:
    json.dumps(curves(problem, np.empty(0, int), prediction, classes), allow_nan=False)


def assert_plain(data: Any) -> None:
    if isinstance(data, dict):
        assert all(type(key) is str for key in data)
        data = list(data.values())
    if isinstance(data, list):
        for item in data:
            assert_plain(item)
    else:
        assert type(data) in {int, float, str, type(None)}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_class_curves_are_always_json(data: st.DataObject) -> None:
    rows, classes = data.draw(st.integers(1, 15)), data.draw(st.integers(2, 4))
    y = data.draw(arrays(int, rows, elements=st.integers(0, classes - 1)))
    chances = data.draw(arrays(np.float32, (rows, classes), elements=st.floats(0, 1, width=32)))
    problem = Problem.BINARY if classes == 2 else Problem.MULTICLASS
    found = curves(problem, y, chances, list("abcd")[:classes])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert_plain(found)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_residual_curves_are_always_json(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 15))
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    y, prediction = (data.draw(arrays(float, rows, elements=numbers)) for _ in range(2))
    found = curves(Problem.REGRESSION, y, prediction, [])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert_plain(found)
