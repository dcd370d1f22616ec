"""Ensembles: several models with weights are trained, served, explained and trained again as one version."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rowcast.datasets.rows import RowReader
from rowcast.errors import InvalidInput
from rowcast.models.algorithms import learners
from rowcast.models.algorithms.learner import Examples, Lesson, Link
from rowcast.models.bundle.contributions import feature_contributions
from rowcast.models.bundle.native import load_encoders, load_members
from rowcast.models.bundle.runtime import NativeRuntime, golden_difference, open_runtime
from rowcast.models.encode.inputs import from_feeds
from rowcast.models.hyperparameters import resolve
from rowcast.models.presets import check_alike, plan
from rowcast.models.recipe import Problem, Recipe, RetrainRequest
from rowcast.models.train.candidates import with_automatic
from rowcast.models.train.member import mean_score

FEATURES = ["term", "income, $", "since", "state", "town", "owns home"]
MEMBERS: list[dict[str, Any]] = [
    {"algorithm": "linear", "weight": 0.3, "features": ["term", "state"], "outliers": "clip"},
    {"algorithm": "lightgbm", "weight": 0.5, "hyperparameters": {"n_estimators": 40}},
    {
        "algorithm": "lightgbm",
        "weight": 0.2,
        "hyperparameters": {"n_estimators": 20},
        "features": ["term", "income, $"],
    },
]


@pytest.mark.parametrize("target", ["outcome", "grade", "amount"])
@pytest.mark.parametrize("preset", ["balanced", "best"])
def test_an_ensemble_is_served_by_onnx_as_it_was_learned(workshop: Any, loans: Any, target: str, preset: str) -> None:
    workshop.put(loans())
    outcome = workshop.train(target, features=FEATURES, preset=preset, folds=2, ensemble=MEMBERS)
    (one,) = outcome["candidates"]
    bundle = workshop.bundle("ensemble")
    assert one["algorithm"] == bundle.manifest.algorithm == "ensemble"
    assert bundle.manifest.parity.passed, bundle.manifest.parity
    assert golden_difference(bundle, open_runtime(bundle)) <= 1e-6
    assert golden_difference(bundle, NativeRuntime.load(bundle.folder / "native")) <= 1e-5
    model = load_members(bundle.folder / "native", 1)
    copies = 2 if preset == "best" else 1
    assert [member.algorithm for member in model.members] == ["linear"] * copies + ["lightgbm"] * 2 * copies
    assert [member.weight * copies for member in model.members][::copies] == [0.3, 0.5, 0.2]
    assert load_encoders(bundle.folder / "native")[0].limits is not None
    assert {entry["feature"] for entry in one["evaluation"]["importance"]} == set(FEATURES)


def test_contributions_add_up_to_the_weighted_mean(workshop: Any, loans: Any) -> None:
    workshop.put(loans())
    workshop.train("outcome", features=FEATURES, folds=2, ensemble=MEMBERS)
    bundle = workshop.bundle("ensemble")
    model = load_members(bundle.folder / "native", 1)
    inputs = from_feeds(RowReader(bundle.schema).read(bundle.golden.rows).inputs)
    found = feature_contributions(model, inputs, bundle.schema.names)
    assert found is not None
    assert np.allclose(found.base + found.features.sum(axis=1), mean_score(model.members, inputs), atol=1e-5)


def test_members_must_score_alike(workshop: Any, loans: Any) -> None:
    workshop.put(loans())
    mixed = [{"algorithm": "linear", "weight": 0.5}, {"algorithm": "random_forest", "weight": 0.5}]
    with pytest.raises(InvalidInput, match="score alike") as refused:
        workshop.train("outcome", features=FEATURES, folds=2, ensemble=mixed)
    assert refused.value.code == "ensemble_mixed"


@pytest.mark.parametrize("name", learners())
def test_what_scores_alike_is_known_before_a_fit(name: str) -> None:
    x, y = np.arange(40, dtype=np.float32).reshape(40, 1), np.arange(40) % 2
    values = with_automatic(name, resolve(name, {}), 40)
    for problem in (Problem.BINARY, Problem.REGRESSION):
        target = y if problem is Problem.BINARY else x[:, 0].astype(float)
        lesson = Lesson(problem, 2, Examples(x, target), values, seed=0, threads=1, rounds=2)
        link = learners()[name].fit(lesson).link
        beside = [{"algorithm": one, "weight": 0.5} for one in (name, "linear")]
        recipe = Recipe.model_validate({"target": "y", "ensemble": beside})
        if link is not Link.PROBABILITY:
            check_alike(recipe, of_classes=problem is Problem.BINARY)
            continue
        with pytest.raises(InvalidInput, match="score alike"):
            check_alike(recipe, of_classes=True)


@pytest.mark.parametrize("weights", [(1, 1), (0.1, 0.1), (0.5, 0.499)])
def test_weights_add_up_to_1(weights: tuple[float, float]) -> None:
    members = [{"algorithm": "linear", "weight": weight} for weight in weights]
    with pytest.raises(InvalidInput, match="add up to 1"):
        plan(Recipe.model_validate({"target": "y", "ensemble": members}))


def test_shares_of_rounds_add_up_and_weights_have_a_floor() -> None:
    shares = [{"algorithm": "linear", "weight": n / 19} for n in (7, 6, 3, 2, 1)]
    assert len(plan(Recipe.model_validate({"target": "y", "ensemble": shares})).ensemble) == 5
    tiny = [{"algorithm": "linear", "weight": 5e-324}] * 2
    with pytest.raises(ValidationError, match="greater than or equal"):
        Recipe.model_validate({"target": "y", "ensemble": tiny})


def test_an_ensemble_has_no_algorithms_beside_it_and_its_members_are_checked() -> None:
    with pytest.raises(InvalidInput, match="not both"):
        plan(Recipe.model_validate({"target": "y", "ensemble": MEMBERS, "algorithms": ["linear"]}))
    unknown = [{"algorithm": "linear", "weight": 0.5}, {"algorithm": "lightgmb", "weight": 0.5}]
    with pytest.raises(InvalidInput, match="lightgbm"):
        plan(Recipe.model_validate({"target": "y", "ensemble": unknown}))


def test_what_is_trained_again_keeps_its_members() -> None:
    recipe = Recipe.model_validate({"target": "y", "ensemble": MEMBERS})
    again = RetrainRequest().learning(recipe, "ensemble", {})
    assert plan(Recipe.model_validate(recipe.model_dump() | again)).ensemble[0].algorithm == "linear"
    with pytest.raises(InvalidInput, match="no hyperparameters of its own"):
        RetrainRequest(hyperparameters={"learning_rate": 0.1}).learning(recipe, "ensemble", {})
