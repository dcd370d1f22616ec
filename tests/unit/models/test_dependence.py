from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rowcast.datasets.rows import RowReader
from rowcast.datasets.schema import Feature, Kind
from rowcast.models.bundle.contents import evaluation
from rowcast.models.bundle.runtime import open_runtime
from rowcast.models.encode.inputs import Inputs, Labels
from rowcast.models.evaluate.dependence import MOST_FEATURES, MOST_POINTS, partial_dependence


def test_each_value_with_the_average_answer_and_how_frequent_it_is() -> None:
    features = [Feature(name="size", kind=Kind.NUMBER), Feature(name="paid", kind=Kind.FLAG)]
    features += [Feature(name="town", kind=Kind.CATEGORY), Feature(name="always", kind=Kind.NUMBER)]
    inputs: Inputs = {
        "size": np.array([1, 2, 3, 4, np.nan], np.float32),
        "paid": np.array([0, 1, 1, np.nan, 1], np.float32),
        "town": Labels(np.array([1, 0, 1, 2, 1], np.int32), ["B", "A", "", "never"]),
        "always": np.ones(5, np.float32),
    }

    def answers(asked: Inputs) -> Any:
        size, town = asked["size"], asked["town"]
        assert isinstance(size, np.ndarray) and isinstance(town, Labels)
        return np.stack([np.nan_to_num(size, nan=10.0), town.texts() == "A"], axis=1).astype(np.float64)

    size, paid, town = partial_dependence(answers, features, inputs, {"size": 0, "in A": 1}, 0)
    assert size["values"] == [1.0, 2.0, 3.0, 4.0, None] and size["averages"]["size"] == [1, 2, 3, 4, 10]
    assert size["averages"]["in A"] == pytest.approx([0.6] * 5)
    assert size["counts"] == [None, None, None, None, 1] and sum(size["histogram"]["counts"]) == 4
    assert (paid["values"], paid["counts"], paid["histogram"]) == ([False, True, None], [1, 3, 1], None)
    assert (town["values"], town["counts"]) == (["A", "B", None], [3, 1, 1])
    assert town["averages"]["in A"] == [1, 0, 0] and town["rows"] == 5


@pytest.mark.parametrize(
    ("target", "outputs"), [("outcome", ["default"]), ("grade", ["A", "B", "C"]), ("amount", ["amount"])]
)
def test_it_is_the_model_that_serves_that_is_asked(workshop: Any, loans: Any, target: str, outputs: list[str]) -> None:
    table = loans(150)
    workshop.put(table)
    features = ["term", "income, $", "since", "state", "town", "owns home"]
    (trained,) = workshop.train(target, features=features, algorithms=["lightgbm"], preset="fast")["candidates"]
    bundle = workshop.bundle("lightgbm")
    documented = (Path(__file__).parents[3] / "docs" / "reference" / "evaluation.md").read_text(encoding="utf-8")
    assert [name for name in evaluation(bundle) if f"\n| `{name}` |" not in documented] == []
    curves = evaluation(bundle)["partial_dependence"]
    assert curves == trained["evaluation"]["partial_dependence"] and 0 < len(curves) <= MOST_FEATURES
    rows = [dict(zip(features, cells, strict=True)) for cells in zip(*(table[name] for name in features), strict=True)]
    runtime, reader = open_runtime(bundle), RowReader(bundle.schema)
    for curve in curves:
        assert list(curve["averages"]) == outputs and len(curve["values"]) <= MOST_POINTS + 1
        for place, value in enumerate(curve["values"]):
            answers = runtime.run(reader.read([{**row, curve["feature"]: value} for row in rows]).inputs)
            found = [curve["averages"][name][place] for name in outputs]
            assert found == pytest.approx(answers.mean(axis=0)[-len(outputs) :].tolist(), rel=1e-4)
