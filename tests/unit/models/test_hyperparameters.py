from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from rowcast.errors import InvalidInput
from rowcast.models.algorithms import learner_of, listing
from rowcast.models.hyperparameters import resolve
from rowcast.models.presets import plan
from rowcast.models.recipe import Preset, Problem, Recipe


def test_text_from_forms_becomes_numbers() -> None:
    given = {"learning_rate": " 1e-3 ", "n_estimators": "300", "num_leaves": 15.0, "max_depth": "", "subsample": "1"}
    values = resolve("lightgbm", given)
    assert values["learning_rate"] == 0.001
    assert values["n_estimators"] == 300
    assert isinstance(values["n_estimators"], int)
    assert values["num_leaves"] == 15
    assert values["max_depth"] == -1
    assert values["subsample"] == 1.0


def test_what_is_not_given_is_the_default_and_none_is_automatic() -> None:
    values = resolve("random_forest", {"max_depth": None})
    assert values["n_estimators"] == 200
    assert values["min_samples_leaf"] is None


@pytest.mark.parametrize("value", ["fast", "0", 0, -1, "nan", "inf", True, [1], 20_001, "1.5", 1e400, "1_0x"])
def test_a_value_that_cannot_be_is_refused_with_the_range(value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve("lightgbm", {"n_estimators": value})
    assert caught.value.code == "hyperparameter_invalid"
    (problem,) = caught.value.problems
    assert problem.field == "lightgbm.n_estimators"
    assert "a whole number from 1 to 20000" in problem.message


def test_every_fault_is_named_and_the_nearest_name_suggested() -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve("xgboost", {"learning_rates": 0.1, "max_depth": "deep", "zzz": 1})
    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["xgboost.learning_rates", "xgboost.max_depth", "xgboost.zzz"]
    assert "'learning_rate'" in caught.value.problems[0].message


def test_an_unknown_algorithm_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="'lightgbm'") as caught:
        plan(Recipe(target="y", algorithms=["LightGMB"]))
    assert caught.value.code == "algorithm_unknown"


def test_hyperparameters_of_an_algorithm_that_is_not_compared_are_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        plan(Recipe(target="y", preset=Preset.FAST, hyperparameters={"catboost": {"max_depth": 3}}))
    assert caught.value.code == "hyperparameter_unused"


def test_presets() -> None:
    assert plan(Recipe(target="y", preset=Preset.FAST)).algorithms == ("lightgbm",)
    balanced = plan(Recipe(target="y"))
    assert balanced.algorithms == ("baseline", "linear", "lightgbm")
    assert (balanced.folds, balanced.average_folds) == (5, False)
    best = plan(Recipe(target="y", preset=Preset.BEST, folds=4))
    assert (len(best.algorithms), best.folds, best.average_folds) == (6, 4, True)


def test_every_algorithm_is_described_and_its_defaults_are_valid() -> None:
    for algorithm in listing():
        assert algorithm.problems == list(Problem)
        defaults = {knob.name: knob.default for knob in algorithm.hyperparameters}
        assert resolve(algorithm.name, defaults) == defaults
        automatic = learner_of(algorithm.name).automatic(1000)
        assert resolve(algorithm.name, automatic) == defaults | automatic


def test_listing_imports_no_heavy_library() -> None:
    code = (
        "import sys; from rowcast.models.algorithms import listing; from rowcast.models.presets import plan; listing();"
        "heavy = ('polars', 'sklearn', 'lightgbm', 'xgboost', 'catboost', 'onnx', 'onnxruntime');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
