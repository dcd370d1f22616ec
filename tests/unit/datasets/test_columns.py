"""Rows that came by the column are read, refused and kept as the same rows one by one."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.datasets.columns import Block, Columns, Stacked, plain
from rowcast.datasets.rows import RowReader
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.errors import InvalidInput

NUMBERS = ("Amount", "Term", "Score")
SCHEMA = FeatureSchema(
    features=(
        Feature(name="Amount", kind=Kind.NUMBER),
        Feature(name="State", kind=Kind.CATEGORY, categories=("CA", "NY")),
        Feature(name="Term", kind=Kind.NUMBER, may_be_missing=False),
        Feature(name="Day", kind=Kind.DATE, date_formats=("%d-%b-%y",)),
        Feature(name="Score", kind=Kind.NUMBER),
        Feature(name="Urban", kind=Kind.FLAG, true_values=("Y",), false_values=("N",)),
    )
)
CODES = {"State": lambda text: float(["", "CA", "NY"].index(text)) if text in ("", "CA", "NY") else -1.0}
TEXTS = st.sampled_from(["CA", "unseen", "", None, "NA", "1997-02-28", "28-Feb-97", "Y", "N", "12.5", "$1,000", "x"])
LISTED = st.one_of(TEXTS, st.floats(), st.integers(-10, 10), st.booleans(), st.sampled_from([1e39, 2**80]))
WIDE = st.floats(allow_nan=True, allow_infinity=True)
ARRAYS = {
    "<f4": st.floats(width=32),
    "<f8": st.one_of(WIDE, st.just(1e300)),
    "<i8": st.integers(-(2**63), 2**63 - 1),
    "<u8": st.integers(0, 2**64 - 1),
    "|u1": st.integers(0, 255),
    "|b1": st.booleans(),
}


@st.composite
def blocks(draw: st.DrawFn) -> tuple[list[Block], int]:
    """Columns as tensors bring them: a matrix of the numbers, or a column for each of some features."""
    count = draw(st.integers(2, 5))
    form = draw(st.sampled_from(sorted(ARRAYS)))
    if draw(st.booleans()):
        cells = draw(st.lists(ARRAYS[form], min_size=3 * count, max_size=3 * count))
        return [Block(NUMBERS, np.array(cells, form))], count
    names = draw(st.lists(st.sampled_from([*SCHEMA.names, "Other"]), unique=True, min_size=1))
    return [Block((name,), draw(_column(count))) for name in names], count


def _column(count: int) -> st.SearchStrategy[Any]:
    def array(form: str) -> st.SearchStrategy[Any]:
        return st.lists(ARRAYS[form], min_size=count, max_size=count).map(lambda cells: np.array(cells, form))

    usual = st.lists(st.floats(-1e6, 1e6), min_size=count, max_size=count)
    return st.one_of(usual, st.lists(LISTED, min_size=count, max_size=count), *map(array, ARRAYS))


def outcome(reader: RowReader, rows: Any) -> Any:
    try:
        return {name: array.tolist() for name, array in reader.read(rows).inputs.items()}
    except InvalidInput as error:
        return [problem.model_dump() for problem in error.problems]


@pytest.mark.parametrize("codes", [None, CODES])
@given(sent=blocks())
@settings(max_examples=150, deadline=None)
def test_columns_are_read_as_rows_are(codes: Any, sent: tuple[list[Block], int]) -> None:
    columns, reader = Columns(*sent), RowReader(SCHEMA, codes)
    assert repr(outcome(reader, columns)) == repr(outcome(reader, list(columns)))


MATRIX = FeatureSchema(features=[feature for feature in SCHEMA.features if feature.kind is Kind.NUMBER])
PLAIN = st.one_of(st.floats(), st.integers(-10, 10), st.sampled_from([None, True, "12.5", "x", 1e39, 2**80]))
ROWS = st.lists(st.one_of(st.floats(-1e6, 1e6), PLAIN), min_size=3, max_size=3)


@given(rows=st.lists(ROWS, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_matrix_of_all_there_is_is_read_as_rows_are_by_itself_and_with_others(rows: list[list[Any]]) -> None:
    reader = RowReader(MATRIX)
    calls = [Columns([Block(NUMBERS, row)], 1) for row in rows]
    for call in calls:
        assert repr(outcome(reader, call)) == repr(outcome(reader, list(call)))
    joined = Columns.joined(calls)
    assert isinstance(joined, Columns)
    assert repr(outcome(reader, joined)) == repr(outcome(reader, list(chain.from_iterable(calls))))


def test_calls_with_other_columns_or_in_another_form_are_joined_row_by_row() -> None:
    one = Columns([Block(("Amount",), [1.0])], 1)
    others = (
        Columns([Block(("Term",), [2.0])], 1),
        Columns([Block(("Amount",), np.array([2.0]))], 1),
        Columns([Block(("Amount",), [2.0]), Block(("Term",), [3.0])], 1),
        [{"Amount": None}],
    )
    for other in others:
        assert Columns.joined([one, other]) == [*one, *other]
        assert Columns.joined([other, one]) == [*other, *one]


@given(sent=blocks())
@settings(max_examples=60, deadline=None)
def test_what_is_kept_are_the_same_rows(sent: tuple[list[Block], int]) -> None:
    columns = Columns(*sent)
    again = Columns.from_bytes(columns.to_bytes())
    finite = all(cell not in (float("inf"), -float("inf")) for row in columns for cell in row.values())
    if finite and all(cell == cell for row in columns for cell in row.values()):
        assert list(again) == list(columns)
    assert len(again) == len(columns)


def test_nan_is_not_known() -> None:
    assert plain(np.array([1.5, np.nan], np.float32)) == [1.5, None]
    columns = Columns([Block(("Amount", "Term"), np.array([1, 2, np.nan, 4], np.float32))], 2)
    assert list(columns) == [{"Amount": 1.0, "Term": 2.0}, {"Amount": None, "Term": 4.0}]
    assert columns[1]["Term"] == 4.0


def test_a_matrix_gives_its_columns_in_any_order() -> None:
    stacked = Stacked(np.arange(6, dtype=np.float32).reshape(2, 3), {"a": 0, "b": 1, "c": 2})
    assert stacked.in_order(["c", "a"]).tolist() == [[2, 0], [5, 3]]
    assert stacked.in_order(["a", "b", "c"]).tolist() == [[0, 1, 2], [3, 4, 5]]
    del stacked["b"]
    assert stacked.in_order(["a", "c"]).tolist() == [[0, 2], [3, 5]]
    stacked["d"] = np.array([[7], [8]], np.float32)
    assert {name: column.ravel().tolist() for name, column in stacked.items()} == {
        "a": [0, 3],
        "c": [2, 5],
        "d": [7, 8],
    }
