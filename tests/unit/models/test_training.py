from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from rowcast.datasets.rows import RowReader
from rowcast.datasets.views import TableProfile
from rowcast.errors import InvalidInput, RowcastError
from rowcast.models.bundle.runtime import NativeRuntime, difference, golden_difference, open_runtime
from rowcast.models.recipe import Problem
from rowcast.models.train import candidates

FEATURES = ["term", "income, $", "since", "state", "town", "owns home"]
SMALL = {
    "random_forest": {"n_estimators": 30},
    "lightgbm": {"n_estimators": "60"},
    "xgboost": {"n_estimators": 60},
    "catboost": {"n_estimators": 60},
}
TARGETS = {Problem.BINARY: "outcome", Problem.MULTICLASS: "grade", Problem.REGRESSION: "amount"}


def best(workshop: Any, target: str, **recipe: Any) -> dict[str, Any]:
    return workshop.train(target, features=FEATURES, preset="best", folds=2, hyperparameters=SMALL, **recipe)


@pytest.mark.parametrize("problem", Problem)
def test_every_algorithm_is_served_by_onnx_as_it_was_learned(workshop: Any, loans: Any, problem: Problem) -> None:
    workshop.put(loans())
    outcome = best(workshop, TARGETS[problem])
    assert outcome["problem"] == problem
    assert [one["algorithm"] for one in outcome["candidates"]][-1] == "baseline"
    assert len(outcome["candidates"]) == 6
    for one in outcome["candidates"]:
        bundle = workshop.bundle(one["algorithm"])
        assert bundle.manifest.parity.passed, (one["algorithm"], bundle.manifest.parity)
        assert bundle.manifest.runtime == "onnx"
        assert bundle.bundle_hash == one["bundle_hash"]
        assert bundle.schema.names == FEATURES
        assert golden_difference(bundle, open_runtime(bundle)) <= 1e-6
        assert golden_difference(bundle, NativeRuntime.load(bundle.folder / "native")) <= 1e-5
        unseen, unknown = bundle.golden.rows[-2:]
        assert unseen["town"] == unseen["state"] == "never seen before"
        assert [unknown[name] for name in FEATURES if name != "term"] == [None] * 5


@pytest.mark.parametrize("target", TARGETS.values())
def test_one_refitted_model_is_served_by_the_balanced_preset(workshop: Any, loans: Any, target: str) -> None:
    workshop.put(loans())
    outcome = workshop.train(target, features=FEATURES, folds=3)
    assert {one["algorithm"] for one in outcome["candidates"]} == {"baseline", "linear", "lightgbm"}
    for one in outcome["candidates"]:
        bundle = workshop.bundle(one["algorithm"])
        assert bundle.manifest.runtime == "onnx"
        assert not (bundle.folder / "native" / "2").exists()
        assert len(one["metrics"][0]["folds"]) == 3
        json.dumps(one["evaluation"], allow_nan=False)


def test_the_outcome_says_all_that_was_done(workshop: Any, loans: Any) -> None:
    rows = loans()
    rows["outcome"][3] = None
    rows["only one"] = ["x"] * len(rows["term"])
    workshop.put(rows)
    outcome = workshop.train("outcome", exclude=["grade", "amount"])
    assert outcome["classes"] == ["paid", "default"]
    assert outcome["positive_class"] == "default"
    assert outcome["row_count"] == 239
    assert outcome["primary_metric"] == "roc_auc"
    assert any("1 rows without a value in 'outcome'" in warning for warning in outcome["warnings"])
    reasons = {left["column"]: left["reason"] for left in outcome["left_out"]}
    assert set(reasons) == {"grade", "amount", "only one"}
    assert reasons["grade"] == "left out as asked"
    first = outcome["candidates"][0]
    assert first["algorithm"] in {"linear", "lightgbm"}
    assert first["metrics"][0]["value"] > 0.75
    features = [item["feature"] for item in first["evaluation"]["importance"]]
    assert sorted(features) == sorted(FEATURES)
    assert features[0] in {"term", "income, $"}
    fractions = [progress.fraction for progress in workshop.progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    scored = [progress for progress in workshop.progress if progress.score is not None]
    assert {(one.algorithm, one.fold, one.folds) for one in scored} >= {("lightgbm", fold, 5) for fold in range(1, 6)}
    assert any(one.message.startswith("lightgbm: fold 2 of 5, ROC AUC 0.") for one in scored)


def test_the_same_request_gives_the_same_models(workshop: Any, loans: Any) -> None:
    workshop.put(loans())
    first, golden = best(workshop, "outcome"), {}
    for one in first["candidates"]:
        golden[one["algorithm"]] = workshop.bundle(one["algorithm"]).golden
    again = best(workshop, "outcome")
    for old, new in zip(first["candidates"], again["candidates"], strict=True):
        assert old["metrics"] == new["metrics"]
        assert old["evaluation"] == new["evaluation"]
        assert workshop.bundle(new["algorithm"]).golden == golden[new["algorithm"]]


@pytest.mark.parametrize(
    ("recipe", "code", "fields"),
    [
        ({"target": "outcom"}, "column_unknown", ["outcom"]),
        ({"features": ["term", "nothing", "terms"]}, "column_unknown", ["nothing", "terms"]),
        ({"include": ["nothing"], "exclude": ["neither"]}, "column_unknown", ["nothing", "neither"]),
        ({"kinds": {"nothing": "date"}}, "column_unknown", ["nothing"]),
        ({"optional": ["*", "nothing"]}, "column_unknown", ["nothing"]),
        ({"features": ["term", "outcome"]}, "features_invalid", ["outcome"]),
        ({"features": []}, "features_empty", []),
        ({"time_column": "state"}, "time_column_invalid", ["time_column"]),
        ({"folds": 50, "features": FEATURES, "target": "grade"}, "folds_too_many", ["folds"]),
        ({"algorithms": ["lightgbn"]}, "algorithm_unknown", ["algorithms"]),
        ({"hyperparameters": {"linear": {"C": "x"}}}, "hyperparameter_invalid", ["linear.C"]),
        ({"positive_class": "maybe"}, "positive_class_unknown", ["positive_class"]),
        ({"target": "town"}, "target_too_many_classes", ["town"]),
        ({"target": "since"}, "target_kind", ["since"]),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(
    workshop: Any, loans: Any, recipe: dict[str, Any], code: str, fields: list[str]
) -> None:
    workshop.put(loans(rows=120))
    with pytest.raises(InvalidInput) as caught:
        workshop.train(**({"target": "outcome"} | recipe))
    assert caught.value.code == code
    assert [problem.field for problem in caught.value.problems] == fields
    assert not workshop.folder("lightgbm").exists()


@pytest.mark.parametrize("optional", [["term"], ["*"]])
def test_an_optional_column_may_be_left_out_of_a_prediction(workshop: Any, loans: Any, optional: list[str]) -> None:
    workshop.put(loans())
    workshop.train("outcome", features=FEATURES, algorithms=["linear", "lightgbm"], folds=2)
    assert [f.name for f in workshop.bundle("linear").schema.features if not f.may_be_missing] == ["term"]
    workshop.train("outcome", features=FEATURES, algorithms=["linear", "lightgbm"], folds=2, optional=optional)
    for algorithm in ("linear", "lightgbm"):
        bundle = workshop.bundle(algorithm)
        assert all(feature.may_be_missing for feature in bundle.schema.features)
        assert bundle.manifest.recipe.optional == optional
        assert bundle.golden.rows[-1]["term"] is None
        assert golden_difference(bundle, open_runtime(bundle)) <= 1e-6
        rows = RowReader(bundle.schema).read([{}, {"term": 12}])
        assert np.isfinite(open_runtime(bundle).run(rows.inputs)).all()


def test_rare_classes_train(workshop: Any, loans: Any) -> None:
    rows = loans()
    rows["grade"][:7] = ["rare", "rare", "rarer", "rarer", "scarce", "scarce", "single"]
    workshop.put(rows)
    outcome = best(workshop, "grade")
    assert outcome["classes"] == ["A", "B", "C", "rare", "rarer", "scarce"]
    assert outcome["row_count"] == 239
    assert len(outcome["candidates"]) == 6
    assert all(workshop.bundle(one["algorithm"]).manifest.runtime == "onnx" for one in outcome["candidates"])
    workshop.train("grade", features=FEATURES, preset="fast")


def test_a_time_column_tests_later_rows_and_drops_rows_without_a_time(workshop: Any, loans: Any) -> None:
    workshop.put(loans())
    outcome = workshop.train("outcome", features=FEATURES, time_column="since", folds=3, algorithms=["lightgbm"])
    assert outcome["row_count"] < 240
    assert any("without a value in 'since'" in warning for warning in outcome["warnings"])
    assert len(outcome["candidates"][0]["metrics"][0]["folds"]) == 3


def test_where_a_date_or_a_year_matters_most_a_split_by_time_is_hinted_at(workshop: Any, loans: Any) -> None:
    rows = loans()
    days = [f"{1990 + i % 20}-03-01" for i in range(240)]
    rows |= {"day": days, "year": [day[:4] for day in days], "late": [str(day > "2000") for day in days]}
    workshop.put(rows)
    for name in ("day", "year"):
        asked = {"features": [name, "term"], "folds": 2, "algorithms": ["lightgbm"]}
        (hint,) = [said for said in workshop.train("late", **asked)["warnings"] if said.startswith(name)]
        assert f"--time-column {name})" in hint
    in_time = workshop.train(
        "outcome", features=["since", "term"], folds=2, algorithms=["lightgbm"], time_column="since"
    )
    assert not any("--time-column" in said for said in in_time["warnings"])
    usual = workshop.train("outcome", features=FEATURES, folds=2, algorithms=["lightgbm"])
    assert not any("--time-column" in said for said in usual["warnings"])


def test_kinds_are_read_again(workshop: Any, loans: Any) -> None:
    workshop.put(loans())
    workshop.train("outcome", features=["term", "town"], kinds={"term": "category"}, algorithms=["linear"])
    feature = workshop.bundle("linear").schema.feature("term")
    assert feature.kind == "category"
    assert feature.categories


def test_weighing_classes_equally_raises_the_rarer_ones(workshop: Any, loans: Any) -> None:
    workshop.put(loans())
    shares = []
    for imbalance in ("none", "balanced"):
        workshop.train("outcome", features=FEATURES, algorithms=["baseline", "linear"], imbalance=imbalance)
        shares.append(workshop.bundle("baseline").golden.outputs[0])
    assert shares[0][1] < 0.5
    assert shares[1] == pytest.approx([0.5, 0.5])


def test_one_failing_algorithm_does_not_lose_the_others(workshop: Any, loans: Any, monkeypatch: Any) -> None:
    workshop.put(loans())
    real = candidates.learner_of

    class Broken:
        style, stops_early = real("linear").style, False

        def automatic(self, rows: int) -> dict[str, Any]:
            return {}

        def fit(self, lesson: Any) -> Any:
            raise ValueError("cell 17 is secret")

    monkeypatch.setattr(candidates, "learner_of", lambda name: Broken() if name == "linear" else real(name))
    outcome = workshop.train("outcome", features=FEATURES)
    assert {one["algorithm"] for one in outcome["candidates"]} == {"baseline", "lightgbm"}
    assert any(warning.startswith("linear failed with ValueError") for warning in outcome["warnings"])
    assert "secret" not in json.dumps(outcome)
    with pytest.raises(RowcastError) as caught:
        workshop.train("outcome", features=FEATURES, algorithms=["baseline", "linear"])
    assert caught.value.code == "training_failed"


def test_classes_are_named_as_they_are_written(workshop: Any, loans: Any) -> None:
    rows = loans()
    rows["coded"] = [{"A": "1", "B": "2.0", "C": "3"}[grade] for grade in rows["grade"]]
    rows["said"] = [{"A": "Yes", "B": "No", "C": "no"}[grade] for grade in rows["grade"]]
    workshop.put(rows)
    assert workshop.train("coded", features=FEATURES, preset="fast")["classes"] == ["1", "2.0", "3"]
    assert set(workshop.train("said", features=FEATURES, preset="fast")["classes"]) == {"Yes", "No"}


def test_feature_names_may_be_those_of_outputs(workshop: Any, loans: Any) -> None:
    rows = loans()
    workshop.put({"probabilities": rows["term"], "t1": rows["state"], "t2": rows["since"], "y": rows["outcome"]})
    workshop.train("y", features=["probabilities", "t1", "t2"], preset="fast")
    bundle = workshop.bundle("lightgbm")
    assert bundle.manifest.runtime == "onnx"
    assert golden_difference(bundle, open_runtime(bundle)) == 0


def test_the_profile_is_never_asked_for_columns_nobody_wants(workshop: Any, loans: Any, monkeypatch: Any) -> None:
    from rowcast.models.train import preparing

    workshop.put(loans())
    asked: list[str] = []

    def profile(path: Any, schema: Any, target: str) -> TableProfile:
        asked.extend(schema.names)
        return TableProfile(row_count=240, columns=[])

    monkeypatch.setattr(preparing, "profile", profile)
    workshop.train("outcome", features=["term", "town"], preset="fast")
    assert asked == ["term", "town", "outcome"]


def test_difference_is_relative_to_the_largest_output() -> None:
    import numpy as np

    assert difference(np.array([[1e6]]), np.array([[1e6 + 1]])) == pytest.approx(1e-6)
    assert difference(np.array([[0.5]]), np.array([[0.25]])) == 0.25
    assert difference(np.array([[0.5]]), np.array([[np.nan]])) == float("inf")


def test_the_models_of_folds_that_serve_learn_from_all_rows_of_theirs(workshop: Any, loans: Any) -> None:
    """Not from those alone that are left when some are watched to stop early."""
    workshop.put(loans(240))
    knobs = {"lightgbm": {"subsample": 1.0, "n_estimators": 30}}
    workshop.train("outcome", preset="best", folds=2, algorithms=["lightgbm"], hyperparameters=knobs)
    for number in (1, 2):
        text = (workshop.folder("lightgbm") / "native" / str(number) / "model.txt").read_text()
        counts = [line.removeprefix("leaf_count=") for line in text.splitlines() if line.startswith("leaf_count=")]
        assert {sum(map(int, line.split())) for line in counts} == {120}
