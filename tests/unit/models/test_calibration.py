"""Calibration maps: they bring probabilities back to the rates, never reorder, and are the same in ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rowcast.models.algorithms.learner import Link
from rowcast.models.bundle.contents import card, evaluation
from rowcast.models.bundle.runtime import NativeRuntime, OnnxRuntime, golden_difference, open_runtime
from rowcast.models.calibrate.choice import calibrate
from rowcast.models.calibrate.fitting import fit, fit_isotonic, fit_sigmoid
from rowcast.models.calibrate.maps import NONE, CalibrationMap, prediction_nodes, predictions
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.evaluate.metrics import calibration_figures
from rowcast.models.recipe import Problem

FEATURES = ["term", "income, $", "since", "state", "town", "owns home"]


def drawn(rows: int, seed: int, distort: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores that are ``distort`` of the true log odds, with outcomes drawn from the true ones."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.5, 1.2, rows)
    return distort(true).reshape(-1, 1), (rng.random(rows) < 1 / (1 + np.exp(-true))).astype(np.int64)


def error(scores: Any, y: Any, found: CalibrationMap = NONE) -> float:
    return calibration_figures(Problem.BINARY, y, predictions(Link.LOG_ODDS, scores, found))["ece"]


def test_a_sigmoid_undoes_scale_and_shift() -> None:
    scores, y = drawn(20_000, 0, lambda true: 3 * true + 4)
    found = fit_sigmoid(scores[:, 0], y)
    assert found.slope[0] == pytest.approx(1 / 3, rel=0.05)
    assert found.intercept[0] == pytest.approx(-4 / 3, abs=0.08)
    unseen, outcome = drawn(20_000, 1, lambda true: 3 * true + 4)
    assert error(unseen, outcome) > 0.2
    assert error(unseen, outcome, found) < 0.01


def test_isotonic_undoes_what_no_sigmoid_can_and_keeps_every_order() -> None:
    def bent(true: Any) -> Any:
        return np.where(true > -1, 6 * true + 5, 0.2 * true - 0.8)

    scores, y = drawn(30_000, 2, bent)
    found = fit_isotonic(scores[:, 0], y)
    assert found is not None
    assert 2 <= len(found.knots) <= 30
    assert np.diff(found.knots).min() > 0
    assert np.diff(found.log_odds).min() > 0
    unseen, outcome = drawn(20_000, 3, bent)
    assert error(unseen, outcome, found) < 0.015 < error(unseen, outcome, fit_sigmoid(scores[:, 0], y))
    grid = np.linspace(-60, 60, 4001).reshape(-1, 1)
    chances = predictions(Link.LOG_ODDS, grid, found)[:, 1]
    assert np.diff(chances).min() >= 0
    inside = chances[(chances > 1e-4) & (chances < 1 - 1e-4)]
    assert len(np.unique(inside)) == len(inside)


def test_pure_bins_do_not_become_certainty() -> None:
    score = np.linspace(-1, 1, 2000)
    y = (score > 0).astype(np.int64)
    for method in ("sigmoid", "isotonic"):
        found = fit(method, Link.LOG_ODDS, score.reshape(-1, 1), y)
        assert found is not None
        chances = predictions(Link.LOG_ODDS, score.reshape(-1, 1), found)[:, 1]
        assert 0 < chances.min() < 0.01
        assert 0.99 < chances.max() < 1


def test_scores_that_mean_nothing_become_the_rate() -> None:
    rng = np.random.default_rng(0)
    scores, y = rng.normal(0, 3, (5000, 1)), (rng.random(5000) < 0.3).astype(np.int64)
    found = calibrate(Problem.BINARY, Link.LOG_ODDS, scores, y, np.arange(5000) % 5, in_time=False, seed=0)
    assert found.calibration.map.method == "sigmoid"
    assert found.predictions[:, 1].min() > 0.2
    assert found.predictions[:, 1].max() < 0.4


@pytest.mark.parametrize(("link", "outputs"), [(Link.LOG_ODDS, 1), (Link.PROBABILITY, 1), (Link.LOG_ODDS, 3)])
def test_scores_that_are_right_are_left_alone(link: Link, outputs: int) -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0, 1, (4000, outputs))
    chances = predictions(Link.LOG_ODDS, true)
    y = (rng.random((4000, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, chances.shape[1] - 1)
    scores = chances[:, 1:].astype(np.float64) if link is Link.PROBABILITY else true
    problem = Problem.BINARY if outputs == 1 else Problem.MULTICLASS
    found = calibrate(problem, link, scores, y, np.arange(4000) % 4, in_time=False, seed=0)
    assert found.calibration.map.method == "none"
    assert set(found.calibration.log_loss_by_method) >= {"none"}
    assert found.calibration.before == found.calibration.after


def test_weighted_classes_get_their_rates_back() -> None:
    rng = np.random.default_rng(4)
    true = rng.normal(0, 1, (9000, 3)) - np.array([0, 1.5, 3])
    chances = predictions(Link.LOG_ODDS, true)
    y = (rng.random((9000, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    scores = 2 * (true + np.array([0, 1.5, 3]))
    found = calibrate(Problem.MULTICLASS, Link.LOG_ODDS, scores, y, np.arange(9000) % 3, in_time=False, seed=0)
    assert found.calibration.map.method == "per_class"
    assert found.calibration.after.ece < 0.02 < found.calibration.before.ece
    assert np.abs(found.predictions.mean(axis=0) - np.bincount(y) / 9000).max() < 0.01


def test_too_few_rows_are_not_calibrated() -> None:
    scores, y = drawn(90, 5, lambda true: 9 * true)
    found = calibrate(Problem.BINARY, Link.LOG_ODDS, scores, y, np.arange(90) % 3, in_time=False, seed=0)
    assert found.calibration.map == NONE
    assert (found.predictions == predictions(Link.LOG_ODDS, scores)).all()


def test_held_out_rows_are_never_calibrated_by_themselves_nor_by_later_ones() -> None:
    scores, y = drawn(3000, 6, lambda true: 3 * true + 4)
    folds = np.arange(3000) // 1000
    before = calibrate(Problem.BINARY, Link.LOG_ODDS, scores, y, folds, in_time=True, seed=0).predictions
    turned = np.where(folds == 2, 1 - y, y)
    after = calibrate(Problem.BINARY, Link.LOG_ODDS, scores, turned, folds, in_time=True, seed=0).predictions
    assert (before == after).all()
    for number in range(3):
        flipped = np.where(np.arange(3000) == 1000 * number, 1 - y, y)
        other = calibrate(Problem.BINARY, Link.LOG_ODDS, scores, flipped, folds, in_time=False, seed=0).predictions
        plain = calibrate(Problem.BINARY, Link.LOG_ODDS, scores, y, folds, in_time=False, seed=0).predictions
        assert (other[folds == number] == plain[folds == number]).all()
        assert (other[folds != number] != plain[folds != number]).any()


@pytest.mark.parametrize("link", [Link.LOG_ODDS, Link.PROBABILITY])
@pytest.mark.parametrize(
    "found",
    [
        NONE,
        CalibrationMap(method="sigmoid", slope=[0.4], intercept=[-1.5], limit=6.0),
        CalibrationMap(
            method="isotonic", slope=[0.7], knots=[-3.0, -1.0, 0.5, 2.0], log_odds=[-4.0, -3.5, 0.2, 0.3], limit=9.0
        ),
    ],
)
def test_two_classes_are_the_same_in_onnx(link: Link, found: CalibrationMap) -> None:
    scores = np.linspace(-20, 20, 801)
    if link is Link.PROBABILITY:
        scores = np.linspace(0, 1, 801)
    agree(link, scores.reshape(-1, 1), found)


@pytest.mark.parametrize("link", [Link.LOG_ODDS, Link.PROBABILITY])
@pytest.mark.parametrize(
    "found",
    [
        NONE,
        CalibrationMap(method="temperature", slope=[0.5], intercept=[0.0]),
        CalibrationMap(method="per_class", slope=[0.5, 1.0, 2.0], intercept=[1.0, 0.0, -2.0]),
    ],
)
def test_several_classes_are_the_same_in_onnx(link: Link, found: CalibrationMap) -> None:
    scores = np.random.default_rng(0).normal(0, 4, (500, 3))
    if link is Link.PROBABILITY:
        scores = predictions(Link.LOG_ODDS, scores).astype(np.float64)
        scores[0] = [0, 1, 0]
    agree(link, scores, found)


def agree(link: Link, scores: NDArray[np.float64], found: CalibrationMap) -> None:
    """The map in numpy and in ONNX, of scores that come as one input per output."""
    width = scores.shape[1]
    graph = OnnxGraph({f"s{number}": False for number in range(width)})
    made = prediction_nodes(graph, link, graph.concat([f"s{number}" for number in range(width)]), width, found)
    runtime = OnnxRuntime(graph.finish(made, "probabilities", max(2, width)))
    given = scores.astype(np.float32)
    answer = runtime.run({f"s{number}": given[:, [number]] for number in range(width)})
    expected = predictions(link, given.astype(np.float64), found)
    assert np.abs(answer - expected).max() < 5e-6
    assert np.abs(answer.sum(axis=1) - 1).max() < 1e-6


@pytest.mark.parametrize("target", ["outcome", "grade"])
@pytest.mark.parametrize("preset", ["balanced", "best"])
def test_the_calibration_is_served_and_on_record(workshop: Any, loans: Any, target: str, preset: str) -> None:
    workshop.put(loans(600))
    small = {"random_forest": {"n_estimators": 20}, "linear": {"C": 1000}}
    outcome = workshop.train(
        target, features=FEATURES, preset=preset, imbalance="balanced", folds=3,
        algorithms=["baseline", "linear", "random_forest"], hyperparameters=small,
    )  # fmt: skip
    for one in outcome["candidates"]:
        bundle = workshop.bundle(one["algorithm"])
        shown = evaluation(bundle)
        if one["algorithm"] == "baseline":
            assert bundle.manifest.calibration is None
            assert shown["calibration"] == shown["calibration_before"]
            continue
        found = bundle.manifest.calibration
        assert found is not None
        assert found.map.method != "none"
        assert found.after.log_loss < found.before.log_loss
        metrics = {metric["name"]: metric["value"] for metric in one["metrics"]}
        assert metrics["log_loss"] == pytest.approx(found.after.log_loss)
        assert shown["calibration"] != shown["calibration_before"]
        assert bundle.manifest.runtime == "onnx"
        assert golden_difference(bundle, open_runtime(bundle)) == 0
        assert golden_difference(bundle, NativeRuntime.load(bundle.folder / "native")) <= 1e-5
        assert "## Calibration" in card(bundle)
        assert "do not match the rates" not in card(bundle)


def test_bands_hold_what_happened(workshop: Any, loans: Any) -> None:
    workshop.put(loans(1200))
    outcome = workshop.train("outcome", features=FEATURES, algorithms=["lightgbm", "baseline"], folds=3)
    one, baseline = outcome["candidates"]
    assert [band["count"] for band in baseline["evaluation"]["bands"]] == [1200]
    bands = one["evaluation"]["bands"]
    assert len(bands) == 10
    assert (bands[0]["low"], bands[-1]["high"]) == (0.0, 1.0)
    assert [band["high"] for band in bands[:-1]] == [band["low"] for band in bands[1:]]
    assert sum(band["count"] for band in bands) == 1200
    assert all(100 <= band["count"] <= 140 for band in bands)
    for band in bands:
        assert 0 <= band["new_low"] <= band["observed_low"] <= band["observed"] <= band["observed_high"]
        assert band["observed_high"] <= band["new_high"] <= 1
    assert bands[0]["observed_high"] < bands[-1]["observed_low"]
