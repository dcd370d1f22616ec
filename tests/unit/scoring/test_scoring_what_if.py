from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from answering import predict, what_if

from rowcast.accounts.principal import Principal, Role
from rowcast.adapters.database.engine import SqlDatabase
from rowcast.adapters.storage.local import LocalStorage
from rowcast.errors import InvalidInput
from rowcast.models.recipe import Problem
from rowcast.scoring.catalog import Catalog
from rowcast.scoring.loaded import LoadedModel
from rowcast.scoring.views import WhatIf
from rowcast.scoring.what_if import encode

ANNE = Principal("a" * 32, "anne", Role.ANALYST)

ROW = {"State": "CA", "Amount": 1.0, "Urban": "yes"}
VARIATIONS = [{"Amount": -3}, {"State": "NY", "Urban": None}, {}]


@pytest.fixture
def load(database: SqlDatabase, storage: LocalStorage, train: Callable[..., int]) -> Callable[..., LoadedModel]:
    def load(problem: Problem) -> LoadedModel:
        train(problem=problem)
        return Catalog(database, storage).get(ANNE, "loans").model

    return load


@pytest.mark.parametrize("problem", Problem)
def test_each_variation_is_answered_as_the_row_it_stands_for(
    load: Callable[..., LoadedModel], principal: Principal, problem: Problem
) -> None:
    model = load(problem)
    found = what_if(principal, model, "champion", ROW, VARIATIONS)
    rows = [ROW, *({**ROW, **changes} for changes in VARIATIONS)]
    alone = [predict(principal, model, None, [row]).predictions[0] for row in rows]
    assert [found.base, *(one.prediction for one in found.variations)] == alone
    assert [one.changed for one in found.variations] == [["Amount"], ["State", "Urban"], []]
    for one in found.variations:
        if problem is Problem.MULTICLASS:
            assert one.difference is None and one.differences is not None
            assert sum(one.differences.values()) == pytest.approx(0, abs=1e-6)
        else:
            assert one.differences is None and one.difference is not None
    same = found.variations[2]
    assert (same.difference or 0) == 0 and not any((same.differences or {}).values())
    if problem is Problem.REGRESSION:
        assert [one.difference for one in found.variations] == [pytest.approx(-40.0), pytest.approx(-20.0), 0.0]
    sent = json.loads(encode(found))
    assert json.loads(WhatIf.model_validate(sent).model_dump_json(exclude_unset=True)) == sent


def test_a_bad_variation_is_named(load: Callable[..., LoadedModel], principal: Principal) -> None:
    model = load(Problem.BINARY)
    with pytest.raises(InvalidInput) as caught:
        what_if(principal, model, None, ROW, [{"Amount": 2}, {"Amuont": 2}])
    assert [(problem.row, problem.field) for problem in caught.value.problems] == [(3, "Amuont")]
    with pytest.raises(InvalidInput) as none:
        what_if(principal, model, None, ROW, [])
    assert none.value.code == "variations_empty"
