"""Ensembles: several models with weights are trained, served, explained and trained again as one version."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rowcast.datasets.rows import RowReader
from rowcast.errors import InvalidInput
from rowcast.models.algorithms.learner import Link
from rowcast.models.bundle.contributions import feature_contributions
from rowcast.models.bundle.native import load_encoders, load_members
from rowcast.models.bundle.runtime import NativeRuntime, golden_difference, open_runtime
from rowcast.models.calibrate.maps import SMALLEST_SHARE
from rowcast.models.encode.inputs import from_feeds
from rowcast.models.presets import plan
from rowcast.models.recipe import Recipe, RetrainRequest
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


@pytest.mark.parametrize("target", ["outcome", "grade", "amount"])
def test_members_that_score_differently_count_by_their_log_odds(workshop: Any, loans: Any, target: str) -> None:
    workshop.put(loans())
    mixed = [{"algorithm": "random_forest", "weight": 0.25}, {"algorithm": "linear", "weight": 0.75}]
    outcome = workshop.train(target, features=FEATURES, folds=2, ensemble=mixed)
    bundle = workshop.bundle("ensemble")
    assert bundle.manifest.parity.passed, bundle.manifest.parity
    assert golden_difference(bundle, open_runtime(bundle)) <= 1e-6
    members = load_members(bundle.folder / "native", 1).members
    inputs = from_feeds(RowReader(bundle.schema).read(bundle.golden.rows).inputs)
    forest, linear = (mean_score([member], inputs) for member in members)
    if members[0].model.link is Link.PROBABILITY:
        forest = np.log(forest / (1 - forest)) if target == "outcome" else np.log(np.maximum(forest, SMALLEST_SHARE))
    assert np.allclose(mean_score(members, inputs), 0.25 * forest + 0.75 * linear)
    assert outcome["candidates"][0]["metrics"]


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
