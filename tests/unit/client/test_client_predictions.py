from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from standin import Standin

from rowcast.client import Client
from rowcast.client.rows import Chunk, chunks, encode
from rowcast.errors import InvalidInput


@pytest.fixture
def model(client: Client, loans: Path) -> str:
    client.datasets.add(loans)
    client.train_and_wait(dataset="loans", target="status", promote=True)
    return "loans"


def test_one_row_is_an_object(client: Client, model: str) -> None:
    answer = client.predict(model, {"amount": 900, "grade": "A"})
    assert (answer.version, answer.alias, len(answer.predictions)) == (1, "champion", 1)


def test_many_rows_go_in_chunks_in_their_order(client: Client, standin: Standin, model: str) -> None:
    answer = client.predict(model, [{"amount": n} for n in range(250)], chunk_rows=100)
    assert [p.probability for p in answer.predictions if p] == [n / 1000 for n in range(250)]
    assert sum(path.endswith("/predict") for _, path, _ in standin.requests) == 3


def test_later_chunks_go_to_the_version_that_answered_first(client: Client, standin: Standin, model: str) -> None:
    client.train_and_wait(dataset="loans", target="status")
    answers = client.predict_each(model, ({"amount": n} for n in range(40)), chunk_rows=20)
    assert next(answers).version == 1
    client.models.promote(model, 2)
    assert next(answers).version == 1
    assert standin.requests[-1][1] == "/models/loans@1/predict"


def test_problems_count_rows_in_the_whole_when_bad_ones_are_skipped(client: Client, model: str) -> None:
    rows = [{"amount": "x" if n in (1, 99, 100, 199) else n} for n in range(200)]
    answer = client.predict(model, rows, on_error="skip", chunk_rows=100)
    assert [problem.row for problem in answer.errors] == [2, 100, 101, 200]
    assert [n for n, prediction in enumerate(answer.predictions) if prediction is None] == [1, 99, 100, 199]


def test_problems_count_rows_in_the_whole_when_all_is_refused(client: Client, model: str) -> None:
    rows = [{"amount": "x" if n == 149 else n} for n in range(200)]
    with pytest.raises(InvalidInput) as caught:
        client.predict(model, rows, chunk_rows=100)
    assert [(problem.row, problem.field) for problem in caught.value.problems] == [(150, "amount")]
    assert caught.value.code == "rows_invalid"


def test_no_rows_are_the_servers_to_judge(client: Client, model: str) -> None:
    assert client.predict(model, []).predictions == []


def test_tables_of_polars_and_lists_of_numpy_are_rows(client: Client, model: str) -> None:
    frame = pl.DataFrame({"amount": [100.0, None], "grade": ["A", "B"]})
    assert [p.probability for p in client.predict(model, frame).predictions if p] == [0.1, 0.0]
    assert client.predict(model, {"amount": np.int64(500)}).predictions[0].probability == 0.5  # type: ignore[union-attr]


def test_what_is_no_row_is_refused(client: Client, model: str) -> None:
    with pytest.raises(InvalidInput, match="object"):
        client.predict(model, [[1, 2]])


def test_values_are_written_so_that_any_server_reads_them() -> None:
    row = {"a": float("nan"), "b": np.float32("nan"), "c": date(2020, 1, 2), "d": Decimal("1.50"), "e": np.bool_(True)}
    assert encode(row) == b'{"a":null,"b":null,"c":"2020-01-02","d":"1.50","e":true}'


def test_pandas_missing_values_are_null() -> None:
    pandas = pytest.importorskip("pandas")
    assert encode({"a": pandas.NaT, "b": pandas.NA, "c": 1}) == b'{"a":null,"b":null,"c":1}'


def test_chunks_are_limited_by_size_too() -> None:
    made = list(chunks([{"t": "x" * 100}] * 10, size=100, size_bytes=350))
    assert [len(chunk.rows) for chunk in made] == [3, 3, 3, 1]
    assert [chunk.offset for chunk in made] == [0, 3, 6, 9]
    assert list(chunks([])) == [Chunk(0, [])]
    assert next(chunks([{}])).body("skip") == b'{"on_error":"skip","rows":[{}]}'


def test_reasons_come_with_every_row_in_calls_of_few_rows(client: Client, standin: Standin, model: str) -> None:
    answer = client.predict(model, [{"amount": n, "grade": "A"} for n in range(250)], explain=1, chunk_rows=90)
    assert [len(p.explanation.reasons) for p in answer.predictions if p and p.explanation] == [1] * 250
    (first,) = client.predict(model, {"amount": 1}, explain=True).predictions
    assert first is not None and first.explanation is not None
    found = first.explanation
    assert found.base is not None and found.rest is not None
    assert found.base + sum(reason.contribution for reason in found.reasons) + found.rest == found.score
    assert next(iter(chunks([{"a": 1}]))).body("skip", True) == b'{"on_error":"skip","explain":true,"rows":[{"a":1}]}'
    assert next(iter(chunks([{"a": 1}]))).body("fail") == b'{"on_error":"fail","rows":[{"a":1}]}'


def test_what_if_answers_in_order(client: Client, model: str) -> None:
    answer = client.what_if(model, {"amount": 100, "grade": "A"}, [{"amount": 300}, {"grade": "B", "amount": 50}])
    assert answer.base.probability == 0.1
    assert [(one.changed, one.difference) for one in answer.variations] == [
        (["amount"], pytest.approx(0.2)),
        (["grade", "amount"], pytest.approx(-0.05)),
    ]
    with pytest.raises(InvalidInput) as caught:
        client.what_if(model, {"amount": 100}, [{"amount": 300}, {"amount": "many"}])
    assert [problem.row for problem in caught.value.problems] == [3]
