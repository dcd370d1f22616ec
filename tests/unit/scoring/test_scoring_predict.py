from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from answering import predict

from rowcast.accounts.principal import Principal, Role
from rowcast.adapters.database.engine import SqlDatabase
from rowcast.adapters.storage.local import LocalStorage
from rowcast.errors import InvalidInput
from rowcast.models.recipe import Problem
from rowcast.scoring.answers import Answer, encode, renderer_of
from rowcast.scoring.catalog import Catalog
from rowcast.scoring.loaded import LoadedModel
from rowcast.scoring.views import Predictions

ANNE = Principal("a" * 32, "anne", Role.ANALYST)

ROWS = [
    {"State": "CA", "Amount": "$1.00 ", "Urban": "yes"},
    {"State": "unseen", "Amount": None},
    {"State": "NY", "Amount": -3, "Urban": False},
]


@pytest.fixture
def load(database: SqlDatabase, storage: LocalStorage, train: Callable[..., int]) -> Callable[..., LoadedModel]:
    def load(problem: Problem) -> LoadedModel:
        train(problem=problem)
        return Catalog(database, storage).get(ANNE, "loans").model

    return load


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


def test_two_classes(load: Callable[..., LoadedModel], principal: Principal) -> None:
    answers = predict(principal, load(Problem.BINARY), "champion", ROWS)
    assert (answers.model, answers.version, answers.alias, answers.errors) == ("loans", 1, "champion", [])
    for answer, score in zip(answers.predictions, (2.5, 0.1, -3.5), strict=True):
        assert answer is not None
        assert answer.value == ("CHGOFF" if score > 0 else "P I F")
        assert answer.probability == pytest.approx(sigmoid(score), abs=1e-6)
        assert answer.probabilities == {
            "P I F": pytest.approx(sigmoid(-score), abs=1e-6), "CHGOFF": answer.probability,
        }  # fmt: skip


def test_many_classes(load: Callable[..., LoadedModel], principal: Principal) -> None:
    answers = predict(principal, load(Problem.MULTICLASS), None, ROWS)
    assert [answer.value for answer in answers.predictions if answer] == ["blue", "green", "green"]
    for answer in answers.predictions:
        assert answer is not None
        assert answer.probability is None
        assert answer.probabilities is not None
        assert list(answer.probabilities) == ["red", "green", "blue"]
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_numbers_are_the_shortest_that_mean_the_same(load: Callable[..., LoadedModel], principal: Principal) -> None:
    model = load(Problem.REGRESSION)
    answers = predict(principal, model, None, ROWS)
    assert [answer.value for answer in answers.predictions if answer] == [25.0, 1.0, -35.0]
    read = model.reader.read([{"Amount": 0.1234, "State": "CA"}])
    value = predict(principal, model, None, [{"Amount": 0.1234, "State": "CA"}]).predictions[0]
    assert value is not None
    assert np.float32(value.value) == model.runtime.run(read.inputs)[0, 0]
    assert len(str(value.value)) <= 10
    assert json.loads(encode(predict(principal, model, None, ROWS[:1])))["predictions"] == [{"value": 25.0}]


def test_one_row_and_many_are_answered_alike(load: Callable[..., LoadedModel], principal: Principal) -> None:
    model = load(Problem.BINARY)
    together = predict(principal, model, None, ROWS).predictions
    assert together == [predict(principal, model, None, [row]).predictions[0] for row in ROWS]


def test_a_bad_row_refuses_the_call_or_is_skipped(load: Callable[..., LoadedModel], principal: Principal) -> None:
    model = load(Problem.BINARY)
    rows = [ROWS[0], {"Amount": "many"}, 7, ROWS[2]]
    with pytest.raises(InvalidInput) as refused:
        predict(principal, model, None, rows)
    assert [(problem.row, problem.field) for problem in refused.value.problems] == [(2, "Amount"), (3, None)]
    answers = predict(principal, model, None, rows, "skip")
    assert [answer is None for answer in answers.predictions] == [False, True, True, False]
    assert [error["row"] for error in answers.errors] == [2, 3]
    alone = predict(principal, model, None, [ROWS[0], ROWS[2]])
    assert [answer for answer in answers.predictions if answer] == alone.predictions
    assert predict(principal, model, None, [7], "skip").predictions == [None]
    assert predict(principal, model, None, []).predictions == []


def test_numbers_beyond_the_models_arithmetic(load: Callable[..., LoadedModel], principal: Principal) -> None:
    model = load(Problem.REGRESSION)
    rows = [{"Amount": 1}, {"Amount": 3e38}, {"Amount": "x"}, {"Amount": 2}]
    with pytest.raises(InvalidInput) as refused:
        predict(principal, model, None, rows[:2])
    assert [(problem.code, problem.row) for problem in refused.value.problems] == [("row_out_of_range", 2)]
    answers = predict(principal, model, None, rows, "skip")
    assert [answer and answer.value for answer in answers.predictions] == [11.0, None, None, 21.0]
    assert [error["row"] for error in answers.errors] == [2, 3]


@pytest.mark.parametrize("problem", list(Problem))
def test_the_json_is_that_of_the_views(
    load: Callable[..., LoadedModel], principal: Principal, problem: Problem
) -> None:
    sent = encode(predict(principal, load(problem), "champion", [*ROWS, {"Amount": []}], "skip"))
    view = Predictions.model_validate_json(sent)
    assert view.predictions[3] is None
    written = json.loads(view.model_dump_json(exclude_unset=True))
    assert written == json.loads(sent)
    assert {*json.loads(sent), "receipt"} == set(Predictions.model_fields)  # which is added once it has been written


def test_the_class_is_decided_before_rounding() -> None:
    render = renderer_of(Problem.BINARY, ["no", "yes"])
    below = np.nextafter(np.float32(0.5), np.float32(0))
    assert render(np.array([[1 - below, below]], np.float32)) == [Answer("no", 0.5, {"no": 0.5, "yes": 0.5})]
    assert render(np.array([[0.5, 0.5]], np.float32))[0].value == "yes"
    assert render(np.array([[0.1, 0.9]] * 2, np.float32))[1].probabilities == {"no": 0.1, "yes": 0.9}
