"""What a door can refuse of a recipe's columns without the table's rows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.views import TableProfile
from rowcast.errors import InvalidInput
from rowcast.models.recipe import Recipe
from rowcast.models.train.columns import check_names, choose
from rowcast.models.tune.views import TuningRequest

KINDS = {"a": Kind.NUMBER, "b": Kind.CATEGORY, "n": Kind.NUMBER, "y": Kind.CATEGORY}
SCHEMA = FeatureSchema(features=tuple(Feature(name=name, kind=kind) for name, kind in KINDS.items()))


def recipe(**fields: Any) -> Recipe:
    return Recipe.model_validate({"target": "y"} | fields)


def members(*features: list[str] | None, algorithms: tuple[str, str] = ("linear", "lightgbm")) -> list[dict[str, Any]]:
    pairs = zip(algorithms, features or (None, None), strict=True)
    return [{"algorithm": algorithm, "weight": 0.5, "features": names} for algorithm, names in pairs]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"ensemble": members(["nope"], None)}, "column_unknown"),
        ({"ensemble": members(None, ["a", "y"])}, "features_invalid"),
        ({"ensemble": members([], None)}, "features_empty"),
        ({"ensemble": members(["a"], ["b"]), "exclude": ["b"]}, "features_empty"),
        ({"ensemble": members(["a"], ["b"]), "features": ["a"]}, "features_empty"),
        ({"features": ["y"]}, "features_invalid"),
        ({"include": ["y"]}, "features_invalid"),
        ({"features": []}, "features_empty"),
        ({"exclude": ["a", "b", "n"]}, "features_empty"),
        ({"features": ["a"], "exclude": ["a"]}, "features_empty"),
    ],
)
def test_what_cannot_fit_is_refused(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_names(recipe(**fields), SCHEMA)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "fields",
    [
        {"features": ["a", "y"], "exclude": ["y"]},
        {"ensemble": members(["a"], None), "exclude": ["b"]},
        {"ensemble": members(algorithms=("lightgbm", "random_forest"))},
    ],
)
def test_what_may_fit_passes(fields: dict[str, Any]) -> None:
    check_names(recipe(**fields), SCHEMA)


def test_what_is_told_of_unknown_names_is_short() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_names(recipe(target="x" * 1_000_000, exclude=["z"] * 1_000), SCHEMA)
    problems = caught.value.problems
    assert len(problems) == 100
    assert len(problems[0].field or "") == 100
    assert len(problems[0].message) < 200


def test_reasons_end_with_one_full_stop() -> None:
    warnings = [
        {"code": "constant", "column": name, "message": f"{name} is constant.", "exclude": True} for name in "abn"
    ]
    profile = TableProfile.model_validate({"row_count": 9, "columns": [], "warnings": warnings})
    with pytest.raises(InvalidInput, match=r"a: a is constant\. b: b is constant\. n: ") as caught:
        choose(recipe(), SCHEMA, profile)
    assert ".." not in caught.value.message


def test_lists_of_algorithms_are_short() -> None:
    for made in (Recipe, TuningRequest):
        with pytest.raises(ValidationError, match="at most 20"):
            made.model_validate({"target": "y", "dataset": "d", "algorithms": ["linear"] * 21})
