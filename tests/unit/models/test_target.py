from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rowcast.datasets.schema import Kind
from rowcast.errors import InvalidInput
from rowcast.models.recipe import Problem, Recipe
from rowcast.models.train.target import Target, WrittenTarget, read_target


def numbers(values: list[Any], **recipe: Any) -> Target:
    return read_target(WrittenTarget(Kind.NUMBER, np.array(values, dtype=float), None), Recipe(target="y", **recipe))


def labels(values: list[str], **recipe: Any) -> Target:
    written = WrittenTarget(Kind.CATEGORY, None, np.array(values, dtype=object))
    return read_target(written, Recipe(target="y", **recipe))


def test_two_values_are_two_classes_and_the_rarer_is_positive() -> None:
    target = labels(["good"] * 8 + ["bad"] * 4 + [""])
    assert target.problem is Problem.BINARY
    assert target.classes == ["good", "bad"]
    assert target.positive_class == "bad"
    assert target.y.tolist() == [0] * 8 + [1] * 4
    assert target.rows.tolist() == list(range(12))
    assert target.warnings == ["1 rows without a value in 'y' were left out."]


def flags(values: list[str], yes: str, **recipe: Any) -> Target:
    written = WrittenTarget(Kind.FLAG, None, np.array(values, dtype=object), frozenset({yes}))
    return read_target(written, Recipe(target="y", **recipe))


def test_of_a_flag_yes_is_positive_however_frequent() -> None:
    assert flags(["1"] * 8 + ["0"] * 4, "1").classes == ["0", "1"]
    assert flags(["yes"] * 4 + ["no"] * 8, "yes").positive_class == "yes"
    assert flags(["Y"] * 8 + ["N"] * 4, "Y", positive_class="N").positive_class == "N"


def test_the_positive_class_may_be_given() -> None:
    assert labels(["good"] * 8 + ["bad"] * 4, positive_class="good").classes == ["bad", "good"]
    with pytest.raises(InvalidInput) as caught:
        labels(["good"] * 8 + ["bad"] * 4, positive_class="ugly")
    assert caught.value.code == "positive_class_unknown"
    assert "ugly" not in caught.value.message


def test_numbers() -> None:
    assert numbers([0, 1] * 10).classes == ["0", "1"]
    assert numbers([0.5, 1.5] * 10).classes == ["0.5", "1.5"]
    assert numbers([10, 9, 1, 1] * 5).classes == ["1", "9", "10"]
    assert numbers([1, 2, 2.5] * 5).problem is Problem.REGRESSION
    assert numbers(list(range(21))).problem is Problem.REGRESSION
    assert numbers([1, 2, 3] * 5, problem="regression").problem is Problem.REGRESSION
    missing = numbers([*range(30), float("nan")])
    assert (len(missing.y), len(missing.warnings)) == (30, 1)


@pytest.mark.parametrize(
    ("make", "values", "recipe", "code"),
    [
        (labels, ["a"] * 20, {}, "target_constant"),
        (labels, ["a"] * 20 + ["b"], {}, "target_constant"),
        (labels, [""] * 20, {}, "target_constant"),
        (numbers, [7] * 20, {}, "target_constant"),
        (numbers, [7] * 20, {"problem": "regression"}, "target_constant"),
        (numbers, [float("nan")] * 20, {}, "target_constant"),
        (labels, [f"label {n}" for n in range(50)], {}, "target_too_many_classes"),
        (labels, ["a", "b", "c"] * 5, {"problem": "binary"}, "target_not_binary"),
        (labels, ["a", "b"] * 10, {"problem": "regression"}, "target_not_number"),
        (labels, ["a", "b"] * 2, {}, "too_few_rows"),
        (labels, ["a", "b", "c"] * 5, {"positive_class": "a"}, "positive_class_unknown"),
        (numbers, list(range(50)), {"positive_class": "1"}, "positive_class_unknown"),
    ],
)
def test_targets_that_cannot_be_learned(make: Any, values: list[Any], recipe: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make(values, **recipe)
    assert caught.value.code == code
    assert caught.value.problems[0].field in {"y", "positive_class"}


def test_an_empty_target_is_called_empty() -> None:
    for make, values, recipe in (
        (labels, [""], {}),
        (numbers, [np.nan], {}),
        (numbers, [np.nan], {"problem": "regression"}),
    ):
        with pytest.raises(InvalidInput, match="has no values"):
            make(values * 20, **recipe)


def test_dates_are_no_target() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_target(WrittenTarget(Kind.DATE, np.arange(20.0), None), Recipe(target="y"))
    assert caught.value.code == "target_kind"


def test_classes_of_a_single_row_are_left_out() -> None:
    target = labels(["a"] * 10 + ["b"] * 10 + ["c", "c", "d", "e"])
    assert target.classes == ["a", "b", "c"]
    assert len(target.y) == 22
    assert "2 classes" in target.warnings[0]
