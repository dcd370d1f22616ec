from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from sklearn import metrics as sk

from rowcast.errors import Internal
from rowcast.models.evaluate.intervals import weighted_median
from rowcast.models.evaluate.metrics import (
    ORDER,
    SMALLEST_PROBABILITY,
    evaluate,
    greater_is_better,
    primary_metric,
    score,
)
from rowcast.models.recipe import Problem
from rowcast.models.views import Metric

Array = NDArray[Any]
TWO = ["no", "yes"]


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def binary_case(name: str, rows: int = 300) -> tuple[Array, Array]:
    rng = np.random.default_rng(7)
    y = (rng.random(rows) < 0.25).astype(int)
    chance = 1 / (1 + np.exp(-(rng.normal(size=rows) + 1.2 * y - 1)))
    cases = {
        "smooth": chance,
        "tied": np.round(chance, 1),
        "constant": np.full(rows, 0.3),
        "perfect": y * 0.8 + 0.1,
        "reversed": 0.9 - y * 0.8,
        "certain": (chance > 0.5).astype(float),
        "halves": np.where(chance > 0.4, 0.5, 0.2),
    }
    return y, cases[name]


CASES = ["smooth", "tied", "constant", "perfect", "reversed", "certain", "halves"]


def probabilities(rows: int, classes: int, seed: int = 0, decimals: int = 12) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    logits = rng.normal(size=(rows, classes))
    logits[np.arange(rows), y] += 1
    chances = np.exp(logits)
    return y, np.round(chances / chances.sum(axis=1, keepdims=True), decimals)


def values(found: list[Metric]) -> dict[str, float]:
    return {metric.name: metric.value for metric in found}


def expected_binary(y: Array, chance: Array, weights: Array | None = None) -> dict[str, float]:
    label = (chance > 0.5).astype(int)
    clipped = np.clip(chance, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    given: dict[str, Any] = {"sample_weight": weights}
    return {
        "roc_auc": sk.roc_auc_score(y, chance, **given),
        "pr_auc": sk.average_precision_score(y, chance, **given),
        "log_loss": sk.log_loss(y, clipped, **given),
        "brier": sk.brier_score_loss(y, chance, **given),
        "accuracy": sk.accuracy_score(y, label, **given),
        "balanced_accuracy": sk.balanced_accuracy_score(y, label, **given),
        "precision": sk.precision_score(y, label, zero_division=0, **given),
        "recall": sk.recall_score(y, label, **given),
        "f1": sk.f1_score(y, label, **given),
        "mcc": sk.matthews_corrcoef(y, label, **given),
    }


def assert_close(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found == pytest.approx({**found, **expected}, rel=1e-9, abs=1e-12)


# Against scikit-learn


@pytest.mark.parametrize("case", CASES)
def test_binary_metrics_are_those_of_scikit_learn(case: str) -> None:
    y, chance = binary_case(case)
    found = values(evaluate(Problem.BINARY, y, chance, TWO))
    assert tuple(found) == ORDER[Problem.BINARY]
    assert_close(found, expected_binary(y, chance))
    assert found["ks"] == pytest.approx(ks_2samp(chance[y == 1], chance[y == 0]).statistic)


@pytest.mark.parametrize("case", CASES)
def test_weighted_binary_metrics_are_those_of_scikit_learn(case: str) -> None:
    y, chance = binary_case(case)
    weights = np.random.default_rng(2).exponential(size=len(y)) * (np.arange(len(y)) % 5 > 0)
    assert_close(values(evaluate(Problem.BINARY, y, chance, TWO, weights=weights)), expected_binary(y, chance, weights))


def test_whole_weights_count_as_repeated_rows() -> None:
    y, chance = binary_case("tied")
    times = np.random.default_rng(0).integers(0, 4, len(y))
    weighted = values(evaluate(Problem.BINARY, y, chance, TWO, weights=times))
    repeated = values(evaluate(Problem.BINARY, np.repeat(y, times), np.repeat(chance, times), TWO))
    assert_close(weighted, repeated)


@pytest.mark.parametrize("shape", ["flat", "column", "pair", "float32"])
def test_shapes_of_binary_predictions(shape: str) -> None:
    y, chance = binary_case("smooth")
    given = {
        "flat": chance,
        "column": chance[:, None],
        "pair": np.column_stack([1 - chance, chance]),
        "float32": chance.astype(np.float32),
    }[shape]
    found = values(evaluate(Problem.BINARY, y, given, TWO, positive="yes"))
    assert found == pytest.approx(values(evaluate(Problem.BINARY, y, chance, TWO)), abs=1e-6)


def test_calibration_error_of_known_bins() -> None:
    chance = np.repeat([0.1, 0.6], 50)
    y = np.concatenate([np.repeat([1, 0], [10, 40]), np.repeat([1, 0], [40, 10])])
    assert values(evaluate(Problem.BINARY, y, chance, TWO))["ece"] == pytest.approx(0.5 * 0.1 + 0.5 * 0.2)


@pytest.mark.parametrize("decimals", [12, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_multiclass_metrics_are_those_of_scikit_learn(decimals: int, weighted: bool) -> None:
    y, chances = probabilities(400, 4, decimals=decimals)
    weights = np.random.default_rng(1).exponential(size=400) if weighted else None
    label, given = np.argmax(chances, axis=1), {"sample_weight": weights}
    own = np.eye(4, dtype=int)[y]
    loss = -np.log(np.clip(chances[np.arange(400), y], SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))
    found = values(evaluate(Problem.MULTICLASS, y, chances, list("abcd"), weights=weights))
    assert tuple(found) == ORDER[Problem.MULTICLASS]
    expected = {
        "log_loss": np.average(loss, weights=weights),
        "accuracy": sk.accuracy_score(y, label, **given),
        "balanced_accuracy": sk.balanced_accuracy_score(y, label, **given),
        "precision_macro": sk.precision_score(y, label, average="macro", zero_division=0, **given),
        "recall_macro": sk.recall_score(y, label, average="macro", **given),
        "f1_macro": sk.f1_score(y, label, average="macro", **given),
        "roc_auc_ovr": np.mean([sk.roc_auc_score(own[:, k], chances[:, k], **given) for k in range(4)]),
        "brier": np.average(np.sum((chances - own) ** 2, axis=1), weights=weights),
    }
    assert_close(found, expected)
    if decimals == 12:
        assert found["log_loss"] == pytest.approx(sk.log_loss(y, chances, **given))
        assert found["brier"] == pytest.approx(sk.brier_score_loss(y, chances, **given))
        expected_auc = sk.roc_auc_score(own, chances, average="macro", **given)
        assert found["roc_auc_ovr"] == pytest.approx(expected_auc)


def test_classes_without_rows_are_left_out_of_the_means() -> None:
    y, chances = probabilities(200, 4)
    some = np.isin(y, [0, 2])
    y, chances = y[some], chances[some]
    found = values(evaluate(Problem.MULTICLASS, y, chances, list("abcd")))
    aucs = [sk.roc_auc_score(y == code, chances[:, code]) for code in (0, 2)]
    label = np.argmax(chances, axis=1)
    assert found["roc_auc_ovr"] == pytest.approx(np.mean(aucs))
    assert found["recall_macro"] == pytest.approx(sk.recall_score(y, label, average="macro", zero_division=0))
    recalls = sk.recall_score(y, label, labels=[0, 2], average=None)
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_metrics_are_those_of_scikit_learn(weighted: bool) -> None:
    rng = np.random.default_rng(5)
    y = np.round(rng.normal(size=301) + 5, 1)
    prediction = y + np.round(rng.standard_t(3, size=301), 1)
    weights = rng.integers(1, 4, 301).astype(float) if weighted else None
    given: dict[str, Any] = {"sample_weight": weights}
    found = values(evaluate(Problem.REGRESSION, y, prediction[:, None], [], weights=weights))
    assert tuple(found) == ORDER[Problem.REGRESSION]
    expected = {
        "rmse": sk.root_mean_squared_error(y, prediction, **given),
        "mae": sk.mean_absolute_error(y, prediction, **given),
        "r2": sk.r2_score(y, prediction, **given),
        "median_absolute_error": sk.median_absolute_error(y, prediction, **given),
        "mape": sk.mean_absolute_percentage_error(y, prediction, **given),
    }
    assert_close(found, expected)


def test_r2_of_targets_far_from_zero_keeps_its_digits() -> None:
    rng = np.random.default_rng(0)
    y = 1e9 + rng.normal(size=500)
    prediction = y + rng.normal(size=500)
    found = {metric.name: metric for metric in evaluate(Problem.REGRESSION, y, prediction, [])}
    assert found["r2"].value == pytest.approx(sk.r2_score(y, prediction), abs=1e-6)
    assert found["r2"].low is not None
    assert found["r2"].low > found["r2"].value - 0.5


# Folds, order and names


def test_folds_hold_the_metric_of_each_in_ascending_order() -> None:
    y, chance = binary_case("smooth")
    folds = np.random.default_rng(0).integers(0, 3, len(y))
    found = {metric.name: metric for metric in evaluate(Problem.BINARY, y, chance, TWO, folds=folds)}
    for fold in range(3):
        expected = expected_binary(y[folds == fold], chance[folds == fold])
        assert {name: found[name].folds[fold] for name in expected} == pytest.approx(expected)


def test_a_fold_of_one_class_is_left_out_where_it_has_no_value() -> None:
    y, chance = binary_case("smooth")
    folds = np.where(y == 0, np.arange(len(y)) % 2, 1)
    found = {metric.name: metric for metric in evaluate(Problem.BINARY, y, chance, TWO, folds=folds)}
    assert len(found["roc_auc"].folds) == len(found["recall"].folds) == 1
    assert len(found["log_loss"].folds) == len(found["accuracy"].folds) == 2


@pytest.mark.parametrize(
    ("problem", "name"),
    [(Problem.BINARY, "roc_auc"), (Problem.MULTICLASS, "log_loss"), (Problem.REGRESSION, "rmse")],
)
def test_score_is_the_primary_metric(problem: Problem, name: str) -> None:
    y, chances = probabilities(200, 2 if problem is Problem.BINARY else 3)
    classes = [str(code) for code in range(chances.shape[1])]
    given = chances[:, 0] if problem is Problem.REGRESSION else chances
    found = evaluate(problem, y, given, classes)
    assert primary_metric(problem) == name
    assert score(problem, y, given) == pytest.approx(values(found)[name], rel=1e-12)
    assert all(metric.greater_is_better is greater_is_better(metric.name) for metric in found)


def test_which_metrics_are_losses() -> None:
    losses = {name for names in ORDER.values() for name in names if not greater_is_better(name)}
    assert losses == {"log_loss", "brier", "ece", "rmse", "mae", "median_absolute_error", "mape"}


# Degenerate inputs


def test_rows_of_one_class_have_no_metrics_of_order() -> None:
    for code in (0, 1):
        found = values(evaluate(Problem.BINARY, np.full(9, code), np.linspace(0, 1, 9), TWO))
        assert not {"roc_auc", "pr_auc", "ks", "balanced_accuracy"} & set(found)
        assert {"log_loss", "brier", "accuracy", "mcc", "ece"} <= set(found)
    assert score(Problem.BINARY, np.zeros(9, int), np.linspace(0, 1, 9)) == 0.5


def test_precision_without_predicted_positives_is_zero_without_interval() -> None:
    y, chance = binary_case("constant")
    precision = next(m for m in evaluate(Problem.BINARY, y, chance, TWO) if m.name == "precision")
    assert (precision.value, precision.low, precision.high) == (0.0, None, None)


def test_constant_target_has_no_r2_and_zero_has_no_mape() -> None:
    found = values(evaluate(Problem.REGRESSION, np.zeros(8), np.arange(8.0), []))
    assert set(found) == {"rmse", "mae", "median_absolute_error"}
    assert "mape" in values(evaluate(Problem.REGRESSION, np.full(8, 0.1), np.arange(8.0), []))


def test_no_rows() -> None:
    assert evaluate(Problem.BINARY, np.array([], int), np.array([]), TWO) == []
    assert evaluate(Problem.MULTICLASS, np.array([0]), np.full((1, 3), 0.3), list("abc"), weights=np.zeros(1)) == []
    with pytest.raises(Internal):
        score(Problem.REGRESSION, np.array([]), np.array([]))


@pytest.mark.parametrize(
    ("y", "prediction", "classes", "more"),
    [
        ([0, 1], [0.1], TWO, {}),
        ([0, 1], [0.1, np.nan], TWO, {}),
        ([0, np.nan], [0.1, 0.2], TWO, {}),
        ([0, 2], [0.1, 0.2], TWO, {}),
        ([0, 1], [[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]], TWO, {}),
        ([0, 1], [0.1, 0.2], TWO, {"positive": "no"}),
        ([0, 1], [0.1, 0.2], TWO, {"weights": np.array([1.0, -1.0])}),
    ],
)
def test_arrays_that_do_not_fit_are_refused(y: Any, prediction: Any, classes: list[str], more: dict[str, Any]) -> None:
    with pytest.raises(Internal):
        evaluate(Problem.BINARY, np.array(y), np.array(prediction), classes, **more)


def test_the_median_of_the_smallest_floats_is_not_0() -> None:
    least = float(np.nextafter(0.0, 1.0))
    assert weighted_median(np.full(6, least), np.ones(6)) == least


def assert_sound(found: list[Metric]) -> None:
    for metric in found:
        figures = [metric.value, *metric.folds]
        if metric.low is not None and metric.high is not None:
            assert metric.low <= metric.value <= metric.high
            figures += [metric.low, metric.high]
        assert all(type(figure) is float and np.isfinite(figure) for figure in figures)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_class_predictions_give_finite_figures(data: st.DataObject) -> None:
    rows, classes = data.draw(st.integers(1, 12)), data.draw(st.integers(2, 4))
    y = data.draw(arrays(int, rows, elements=st.integers(0, classes - 1)))
    chances = data.draw(arrays(float, (rows, classes), elements=st.sampled_from([0.0, 1e-300, 0.2, 0.5, 1.0])))
    weights = data.draw(arrays(float, rows, elements=st.sampled_from([0.0, 1e-200, 1e-3, 1.0, 1e9])))
    problem = Problem.BINARY if classes == 2 else Problem.MULTICLASS
    assert_sound(evaluate(problem, y, chances, list("abcd")[:classes], folds=np.arange(rows) % 2, weights=weights))
    assert np.isfinite(score(problem, y, chances))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_numbers_give_finite_figures(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 12))
    numbers = st.one_of(
        st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, 1.0, -1e308, 1e308, 5e-324])
    )
    y, prediction = (data.draw(arrays(float, rows, elements=numbers)) for _ in range(2))
    assert_sound(evaluate(Problem.REGRESSION, y, prediction, [], folds=np.arange(rows) % 2))
    assert np.isfinite(score(Problem.REGRESSION, y, prediction))


# Intervals


def test_the_seed_decides_the_intervals_and_nothing_else() -> None:
    y, chance = binary_case("smooth")
    first, again, other = (evaluate(Problem.BINARY, y, chance, TWO, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert values(first) == values(other)
    assert first != other


def test_intervals_are_those_of_the_plain_bootstrap() -> None:
    y, chance = binary_case("smooth", 400)
    rng = np.random.default_rng(11)
    drawn = [rng.integers(0, 400, 400) for _ in range(250)]
    replicates = [plain_figures(y[rows], chance[rows]) for rows in drawn]
    found = {metric.name: metric for metric in evaluate(Problem.BINARY, y, chance, TWO)}
    for name in replicates[0]:
        low, high = np.percentile([replicate[name] for replicate in replicates], [2.5, 97.5])
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.25 * (high - low)), name


def plain_figures(y: Array, chance: Array) -> dict[str, float]:
    fpr, tpr, _ = sk.roc_curve(y, chance)
    return {
        "roc_auc": sk.auc(fpr, tpr),
        "pr_auc": sk.average_precision_score(y, chance),
        "f1": sk.f1_score(y, chance > 0.5),
        "log_loss": -np.mean(np.log(np.where(y == 1, chance, 1 - chance))),
    }


def test_condensed_rows_keep_the_width_of_the_intervals() -> None:
    rng = np.random.default_rng(0)
    rows = 60_000
    y = (rng.random(rows) < 0.01).astype(int)
    chance = 1 / (1 + np.exp(4 - rng.normal(size=rows) - 2 * y))
    found = {metric.name: metric for metric in evaluate(Problem.BINARY, y, chance, TWO)}
    own, other = chance[y == 1], chance[y == 0]
    wins = np.searchsorted(np.sort(other), own) / len(other)
    losses = 1 - np.searchsorted(np.sort(own), other) / len(own)
    spread = np.sqrt(np.var(wins) / len(own) + np.var(losses) / len(other))  # DeLong 1988
    assert width(found["roc_auc"]) == pytest.approx(2 * 1.96 * spread, rel=0.2)
    assert width(found["accuracy"]) == pytest.approx(
        2 * 1.96 * np.sqrt(found["accuracy"].value * (1 - found["accuracy"].value) / rows), rel=0.2
    )


def test_multiclass_auc_interval_is_that_of_the_plain_bootstrap() -> None:
    y, chances = probabilities(300, 3)
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, 300, 300) for _ in range(300)]
    replicates = [sk.roc_auc_score(np.eye(3)[y[rows]], chances[rows]) for rows in drawn]
    found = next(m for m in evaluate(Problem.MULTICLASS, y, chances, list("abc")) if m.name == "roc_auc_ovr")
    low, high = np.percentile(replicates, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.2 * (high - low))


def width(metric: Metric) -> float:
    assert metric.low is not None
    assert metric.high is not None
    return metric.high - metric.low


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Scores N(0, 1) and N(1, 1): AUC is Phi(1 / sqrt 2), accuracy at the middle Phi(1 / 2) and KS twice that - 1."""
    rng = np.random.default_rng(0)
    truth = {"roc_auc": 0.7602, "accuracy": 0.6915, "mcc": 0.3829, "ks": 0.3829}
    covered = dict.fromkeys(truth, 0)
    for seed in range(100):
        y = rng.integers(0, 2, 200)
        chance = 1 / (1 + np.exp(0.5 - rng.normal(size=200) - y))
        found = {metric.name: metric for metric in evaluate(Problem.BINARY, y, chance, TWO, seed=seed)}
        for name, value in truth.items():
            low, high = found[name].low, found[name].high
            covered[name] += low is not None and high is not None and low <= value <= high
    assert all(0.89 <= count / 100 <= 0.995 for count in covered.values()), covered
