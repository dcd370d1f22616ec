"""Reasons and what-if questions through a real server, on the built-in example."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rowcast.client import Client
from rowcast.errors import InvalidInput, NotFound


@pytest.fixture(scope="module")
def model(client: Client, example: Path) -> str:
    client.datasets.add(example, name="explained")
    client.datasets.set_dictionary("explained", {"State": "State of the borrower"})
    client.train_and_wait(dataset="explained", target="MIS_Status", algorithms=["lightgbm"], folds=3, promote=True)
    return "explained"


@pytest.fixture(scope="module")
def row(client: Client, model: str, example: Path) -> dict[str, Any]:
    with example.open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    return {name: first[name] for name in client.models.schema(model).names}


def test_a_prediction_with_its_reasons_replays(client: Client, model: str, row: dict[str, Any]) -> None:
    plain = client.predict(model, row).predictions[0]
    answer = client.predict(model, row, explain=3)
    (found,) = answer.predictions
    assert plain is not None and found is not None and found.explanation is not None
    assert (plain.probability, plain.explanation) == (found.probability, None)
    assert len(found.explanation.reasons) == 3
    every = client.predict(model, row, explain=True).predictions[0]
    assert every is not None and every.explanation is not None
    assert every.explanation.reasons[:3] == found.explanation.reasons
    state = next(reason for reason in every.explanation.reasons if reason.feature == "State")
    assert state.sentence.startswith(f"State (State of the borrower) is {row['State']}, which ")
    assert answer.receipt is not None
    assert client.predictions.replay(answer.receipt).matches


def test_a_question_costs_one_call_and_leaves_one_receipt(client: Client, model: str, row: dict[str, Any]) -> None:
    changes = [{"State": "CA"}, {"NoEmp": 300, "ApprovalDate": "5-Sep-96"}]
    answer = client.what_if(f"{model}@champion", row, changes)
    assert (answer.model, answer.version, answer.alias) == (model, 1, "champion")
    rows = [row, *({**row, **change} for change in changes)]
    asked = [found.probability for found in client.predict(model, rows).predictions if found]
    assert [answer.base.probability, *(one.prediction.probability for one in answer.variations)] == asked
    assert [one.difference for one in answer.variations] == [pytest.approx(one - asked[0]) for one in asked[1:]]
    assert answer.receipt is not None
    assert client.predictions.get(answer.receipt).row_count == 3
    assert client.predictions.replay(answer.receipt).matches


def test_questions_that_cannot_be_answered(client: Client, server: Any, model: str, row: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        client.what_if(model, row, [{"State": "CA"}, {"NoEmp": "many"}])
    assert [(problem.row, problem.field) for problem in caught.value.problems] == [(3, "NoEmp")]
    with pytest.raises(NotFound):
        client.what_if("nothing", row, [{}])
    url, headers = f"{server.url}/api/v1/models/{model}/what-if", {"Authorization": f"Bearer {server.key}"}
    for body in (b"{", b'{"row": {}}', b'{"row": {}, "variations": []}', b'{"row": 1, "variations": [{}]}'):
        assert httpx2.post(url, content=body, headers=headers).status_code == 422
    assert httpx2.post(url, json={"row": row, "variations": [{}]}).status_code == 401
    many = {"row": row, "variations": [{}] * 100_000}
    assert httpx2.post(url, json=many, headers=headers).status_code == 413
    explain = httpx2.post(url.replace("what-if", "predict"), json={"rows": [row] * 1001, "explain": 1}, headers=headers)
    assert (explain.status_code, explain.json()["code"]) == (413, "too_many_rows_to_explain")


def test_partial_dependence_is_what_asking_for_every_row_gives(client: Client, example: Path, tmp_path: Path) -> None:
    lines = example.read_text(encoding="utf-8").splitlines(keepends=True)
    few = tmp_path / "few.csv"
    few.write_text("".join(lines[:161]), encoding="utf-8")
    client.datasets.add(few, name="few")
    client.train_and_wait(dataset="few", target="MIS_Status", algorithms=["linear"], preset="fast", promote=True)
    evaluation = client.models.version("few", 1).evaluation
    names = client.models.schema("few").names
    rows = [{name: row[name] or None for name in names} for row in csv.DictReader(lines[:161]) if row["MIS_Status"]]
    curves = evaluation["partial_dependence"]
    assert [curve["feature"] for curve in curves] == [each["feature"] for each in evaluation["importance"]][
        : len(curves)
    ]
    of_each_kind = {curve["kind"]: curve for curve in curves}
    assert of_each_kind.keys() >= {"number", "category", "date"}
    for curve in of_each_kind.values():
        assert curve["rows"] == len(rows)
        for value, average in zip(curve["values"], curve["averages"]["CHGOFF"], strict=True):
            answers = client.predict("few", [{**row, curve["feature"]: value} for row in rows]).predictions
            asked = [one.probability for one in answers if one is not None and one.probability is not None]
            assert average == pytest.approx(sum(asked) / len(rows), abs=1e-5)
