from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.datasets.row_faults import MAX_PROBLEMS
from rowcast.datasets.rows import RowReader, Rows
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.table import scan
from rowcast.errors import InvalidInput
from rowcast.scoring.requests import RowsToScore

AMOUNT = Feature(name="Amount", kind=Kind.NUMBER, unit="$")
PRICE = Feature(name="Preis", kind=Kind.NUMBER, decimal_mark=",")
TERM = Feature(name="Term", kind=Kind.NUMBER, may_be_missing=False)
DAY = Feature(name="ApprovalDate", kind=Kind.DATE, date_formats=("%d-%b-%y", "%d.%m.%Y"), century_pivot=61)
BARE_DAY = Feature(name="Day", kind=Kind.DATE, date_formats=("%Y%m%d",))
URBAN = Feature(name="Urban", kind=Kind.FLAG, true_values=("Y",), false_values=("N",))
NEW = Feature(name="NewExist", kind=Kind.FLAG, true_values=("2.0",), false_values=("1.0",))
STATE = Feature(name="State", kind=Kind.CATEGORY, categories=("CA", "NY", "Île"))
ZIP = Feature(name="Zip", kind=Kind.CATEGORY, categories=("89511", "12547"))
CODE = Feature(name="Code", kind=Kind.CATEGORY, categories=("2.0", "1.0"))
BOTH = Feature(name="Both", kind=Kind.CATEGORY, categories=("7.0", "7", "3"))
BANK = Feature(name="Bank", kind=Kind.CATEGORY, may_be_missing=False)
EVERY = (AMOUNT, PRICE, TERM, DAY, BARE_DAY, URBAN, NEW, STATE, ZIP, CODE, BOTH, BANK)


def reader(*features: Feature) -> RowReader:
    return RowReader(FeatureSchema(features=features))


def one(feature: Feature, cell: Any) -> Any:
    """The value that a cell of the feature becomes; None when it is missing."""
    value = reader(feature).read([{feature.name: cell}]).inputs[feature.name]
    assert value.shape == (1, 1)
    found = value[0, 0]
    if feature.kind is Kind.CATEGORY:
        return found or None
    assert value.dtype == np.float32
    return None if np.isnan(found) else float(found)


def problems(rows: list[Any], *features: Feature, skip_bad: bool = False) -> list[tuple[str, int | None, str | None]]:
    with pytest.raises(InvalidInput) as refused:
        reader(*features).read(rows, skip_bad=skip_bad)
    assert refused.value.code == "rows_invalid"
    return [(problem.code, problem.row, problem.field) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("feature", "cell", "value"),
    [
        (AMOUNT, 60000, 60000.0),
        (AMOUNT, 0.5, 0.5),
        (AMOUNT, "$60,000.00 ", 60000.0),
        (AMOUNT, " (12.5) ", -12.5),
        (AMOUNT, "1e3", 1000.0),
        (AMOUNT, "N/A", None),
        (AMOUNT, "", None),
        (AMOUNT, "  ", None),
        (AMOUNT, None, None),
        (AMOUNT, 2**100, float(2**100)),
        (AMOUNT, 3.4028234663852886e38, 3.4028234663852886e38),
        (PRICE, "1.234,5", 1234.5),
        (PRICE, 1234.5, 1234.5),
        (DAY, "1997-02-28", 9920.0),
        (DAY, " 1997-02-28 ", 9920.0),
        (DAY, "1997-02-28T12:00:00Z", 9920.5),
        (DAY, "1997-02-28T13:00:00+01:00", 9920.5),
        (DAY, "28-Feb-97", 9920.0),
        (DAY, "28.02.1997", 9920.0),
        (DAY, "1-Jan-62", -2922.0),
        (DAY, "NA", None),
        (BARE_DAY, 19970228, 9920.0),
        (BARE_DAY, "19970228", 9920.0),
        (URBAN, True, 1.0),
        (URBAN, False, 0.0),
        (URBAN, 1, 1.0),
        (URBAN, 0.0, 0.0),
        (URBAN, "Y", 1.0),
        (URBAN, " n ", 0.0),
        (URBAN, "TRUE", 1.0),
        (URBAN, "1.0", 1.0),
        (URBAN, "?", None),
        (NEW, 2, 1.0),
        (NEW, 1, 0.0),
        (NEW, 1.0, 0.0),
        (NEW, "1.0", 0.0),
        (NEW, True, 1.0),
        (NEW, False, 0.0),
        (STATE, "CA", "CA"),
        (STATE, " CA ", "CA"),
        (STATE, "Île", "Île"),
        (STATE, "unseen", "unseen"),
        (STATE, "null", None),
        (STATE, "", None),
        (ZIP, 89511, "89511"),
        (ZIP, 89511.0, "89511"),
        (ZIP, "89511", "89511"),
        (ZIP, 10001, "10001"),
        (CODE, 2, "2.0"),
        (CODE, 2.0, "2.0"),
        (CODE, "2.0", "2.0"),
        (CODE, 5, "5.0"),
        (BOTH, 7, "7.0"),
        (BOTH, 3.0, "3"),
        (BOTH, 4.0, "4"),
        (STATE, 1.5, "1.5"),
        (STATE, 10**20, "1" + "0" * 20),
    ],
)
def test_what_clients_send(feature: Feature, cell: Any, value: Any) -> None:
    assert one(feature, cell) == value


@pytest.mark.parametrize(
    ("feature", "cell", "code"),
    [
        (AMOUNT, True, "field_type"),
        (AMOUNT, [1], "field_type"),
        (AMOUNT, {"a": 1}, "field_type"),
        (AMOUNT, "many", "field_unreadable"),
        (AMOUNT, "1.2.3", "field_unreadable"),
        (AMOUNT, "Infinity", "field_unreadable"),
        (AMOUNT, "-nan", "field_unreadable"),
        (AMOUNT, "9" * 5000, "field_unreadable"),
        (AMOUNT, math.nan, "field_not_finite"),
        (AMOUNT, -math.inf, "field_not_finite"),
        (AMOUNT, 1e39, "field_out_of_range"),
        (AMOUNT, -(10**400), "field_out_of_range"),
        (AMOUNT, "1e39", "field_out_of_range"),
        (TERM, None, "field_required"),
        (TERM, "NA", "field_required"),
        (DAY, "31-Feb-97", "field_unreadable"),
        (DAY, "1997-02-30", "field_unreadable"),
        (DAY, 35489, "field_type"),
        (DAY, True, "field_type"),
        (DAY, ["1997-02-28"], "field_type"),
        (BARE_DAY, 10**400, "field_type"),
        (BARE_DAY, 19970230, "field_unreadable"),
        (URBAN, "maybe", "field_unreadable"),
        (URBAN, 2, "field_unreadable"),
        (URBAN, 0.5, "field_unreadable"),
        (URBAN, math.nan, "field_unreadable"),
        (URBAN, math.inf, "field_unreadable"),
        (URBAN, [], "field_type"),
        (STATE, True, "field_type"),
        (STATE, ["CA"], "field_type"),
        (STATE, {}, "field_type"),
        (STATE, math.nan, "field_not_finite"),
        (STATE, math.inf, "field_not_finite"),
        (STATE, 10**400, "field_out_of_range"),
        (STATE, "\ud800", "field_unreadable"),
        (BANK, "", "field_required"),
        (BANK, None, "field_required"),
    ],
)
def test_what_is_refused(feature: Feature, cell: Any, code: str) -> None:
    assert problems([{feature.name: cell}], feature) == [(code, 1, feature.name)]
    other = {feature.name: {Kind.NUMBER: 1, Kind.DATE: "2000-01-01", Kind.FLAG: True}.get(feature.kind, "x")}
    assert problems([other, {feature.name: cell}], feature) == [(code, 2, feature.name)]


def test_messages_say_what_would_be_right_and_never_what_was_sent() -> None:
    row = {feature.name: "geheim-4711" for feature in EVERY} | {"Term": None, "Zip": [], "geheim": 1}
    with pytest.raises(InvalidInput) as refused:
        reader(*EVERY).read([row])
    messages = {problem.field: problem.message for problem in refused.value.problems}
    assert messages["ApprovalDate"] == "This cannot be read: give a date such as 1997-02-28 or 28-Feb-97."
    assert messages["Preis"] == "This cannot be read: give a number such as 12.5 (as text: 12,5)."
    assert messages["Urban"] == "This cannot be read: give true or false (as text: Y or N)."
    assert messages["Term"].startswith("This may not be missing: give a number such as 12.5, or train again with ")
    assert messages["Zip"] == "This is of the wrong type: give one of 89511, 12547."
    assert "4711" not in json.dumps([refused.value.message, list(messages.values())])


@pytest.mark.parametrize(
    ("feature", "wanted"),
    [
        (Feature(name="x", kind=Kind.NUMBER, example=2002.0), "a number such as 2002"),
        (Feature(name="x", kind=Kind.NUMBER, example=0.125), "a number such as 0.125"),
        (Feature(name="x", kind=Kind.NUMBER, example=1.5, decimal_mark=","), "a number such as 1.5 (as text: 1,5)"),
        (
            Feature(name="x", kind=Kind.DATE, example="2006-09-05", date_formats=("%d-%b-%y",)),
            "a date such as 2006-09-05 or 05-Sep-06",
        ),
        (Feature(name="x", kind=Kind.DATE, example="0987-09-05"), "a date such as 1997-02-28"),
        (Feature(name="x", kind=Kind.CATEGORY, categories=("Y", "N")), "one of Y, N"),
        (Feature(name="x", kind=Kind.CATEGORY, categories=("RENO", *map(str, range(50)))), "a text such as RENO"),
        (
            Feature(name="x", kind=Kind.CATEGORY, categories=("a\nb", "x" * 50)),
            "a text, or a number where the table has numbers",
        ),
    ],
)
def test_a_missing_field_is_asked_for_with_the_columns_own_example(feature: Feature, wanted: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        reader(feature.model_copy(update={"may_be_missing": False})).read([{}])
    assert refused.value.problems[0].message == (
        f"This may not be missing: give {wanted}, or train again with it as optional (--optional)."
    )


def test_absent_is_missing_and_unknown_fields_are_named() -> None:
    read = reader(AMOUNT, URBAN, STATE).read([{}, {"State": "CA"}])
    assert np.isnan(read.inputs["Amount"]).all()
    assert np.isnan(read.inputs["Urban"]).all()
    assert read.inputs["State"].tolist() == [[""], ["CA"]]
    assert problems([{}], TERM) == [("field_required", 1, "Term")]
    with pytest.raises(InvalidInput) as refused:
        reader(AMOUNT, STATE).read([{"amount": 1}, {"Stat": "CA", "Weather": 3}])
    found = [(problem.row, problem.field, problem.message) for problem in refused.value.problems]
    assert found[0] == (1, "amount", "The model has no such field. Did you mean 'Amount'?")
    assert "Did you mean 'State'?" in found[1][2]
    assert "Leave it out" in found[2][2]


def test_rows_that_are_no_objects() -> None:
    bad = [None, 1, "Amount", ["Amount"], True]
    assert problems([{"Amount": 1}, *bad], AMOUNT) == [("row_not_object", row, None) for row in range(2, 7)]
    assert problems([["Amount"]], AMOUNT) == [("row_not_object", 1, None)]
    read = reader(AMOUNT).read([None, {"Amount": 1}, 3], skip_bad=True)
    assert (read.kept, read.count, read.inputs["Amount"].tolist()) == ([1], 1, [[1.0]])


def test_skipping_keeps_the_good_rows_in_order() -> None:
    rows = [{"Amount": 1, "State": "a"}, {"Amount": "x"}, {"Amount": 3, "State": []}, {"Amount": "4", "State": "d"}]
    read = reader(AMOUNT, STATE).read(rows, skip_bad=True)
    assert (read.kept, read.count) == ([0, 3], 2)
    assert read.inputs["Amount"].tolist() == [[1.0], [4.0]]
    assert read.inputs["State"].tolist() == [["a"], ["d"]]
    assert [(problem.row, problem.field) for problem in read.problems] == [(2, "Amount"), (3, "State")]
    assert reader(AMOUNT).read([{"Amount": 1}], skip_bad=True).kept is None
    nothing = reader(AMOUNT, STATE).read([{"Amount": []}], skip_bad=True)
    assert (nothing.kept, nothing.count, nothing.inputs["State"].shape) == ([], 0, (0, 1))


def test_no_rows() -> None:
    read = reader(AMOUNT, URBAN, STATE).read([])
    assert (read.count, read.kept) == (0, None)
    assert {name: array.shape for name, array in read.inputs.items()} == dict.fromkeys(
        ("Amount", "Urban", "State"), (0, 1)
    )


def test_problems_stop_at_a_hundred_but_every_skipped_row_has_one() -> None:
    rows = [{"Amount": "x", "State": []}] * 300
    assert len(problems(rows, AMOUNT, STATE)) == MAX_PROBLEMS
    assert len(problems([{f"Amuont{i}": 1 for i in range(5000)}], AMOUNT)) == MAX_PROBLEMS
    read = reader(AMOUNT, STATE).read(rows, skip_bad=True)
    assert {problem.row for problem in read.problems} == set(range(1, 301))
    assert len(read.problems) <= 300 + MAX_PROBLEMS


def test_a_field_name_is_not_repeated_at_length() -> None:
    with pytest.raises(InvalidInput) as refused:
        reader(AMOUNT).read([{"x" * 10_000: 1}])
    assert len(refused.value.problems[0].field or "") == 100


def test_arrays_are_as_runtimes_want_them() -> None:
    rows = [{"Amount": i, "Urban": True, "State": "CA", "Bank": "b"} for i in range(150)]
    for sent in (rows[:1], rows, [*rows, {"Bank": "b"}]):
        inputs = reader(STATE, AMOUNT, BANK, URBAN).read(sent).inputs
        assert set(inputs) == {"State", "Amount", "Bank", "Urban"}
        for name, array in inputs.items():
            assert array.shape == (len(sent), 1)
            assert array.flags.c_contiguous
            assert array.dtype == (object if name in ("State", "Bank") else np.float32)


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["$1,000.00 ", "(5)", "28-Feb-97", "1997-02-28", "Y", "NA", "1e400", "89511", "2.0", "\ud800"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
ROWS = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from([feature.name for feature in EVERY] + ["Other"]), CELLS, max_size=14),
        st.fixed_dictionaries({feature.name: CELLS for feature in EVERY}),
        CELLS,
    ),
    max_size=6,
)


@given(rows=ROWS)
@settings(max_examples=300, deadline=None)
def test_whatever_is_sent_is_read_or_refused_row_by_row(rows: list[Any]) -> None:
    compiled = reader(*EVERY)
    together = compiled.read(rows, skip_bad=True)
    kept = list(range(len(rows))) if together.kept is None else together.kept
    for position, row in enumerate(rows):
        try:
            alone: Rows | None = compiled.read([row])
        except InvalidInput:
            alone = None
        assert (alone is not None) == (position in kept)
        if alone is not None:
            place = kept.index(position)
            for name, array in alone.inputs.items():
                np.testing.assert_array_equal(together.inputs[name][place], array[0])
    for name, array in together.inputs.items():
        assert array.shape == (together.count, 1)
        assert name in ("State", "Zip", "Code", "Both", "Bank") or not np.isinf(array).any()
    assert {problem.row for problem in together.problems} == {i + 1 for i in range(len(rows))} - {i + 1 for i in kept}


SPACE = st.sampled_from(["", " ", "\t", " \n", "\xa0"])
WRITTEN = st.one_of(
    st.text(max_size=10),
    st.sampled_from(
        ["", "NA", "n/a", "NaN", "-", ".", "nan", "inf", "Infinity", "1,2,3", "1 000", "50 %", "--5", "(", "()"]
    ),
    st.floats().map(str),
    st.floats(-1e6, 1e6).map(lambda number: f"${number:,.2f}"),
    st.integers().map(str),
    st.dates().map(lambda day: day.isoformat()),
    st.dates(date(1950, 1, 1), date(2049, 1, 1)).map(lambda day: day.strftime("%d-%b-%y")),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(["Y", "N", "y", "true", "FALSE", "1", "0", "1.0", "2.0", "T"]),
)


@given(cells=st.lists(st.tuples(SPACE, WRITTEN, SPACE).map("".join), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_text_is_read_as_the_table_is(cells: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    features = [feature.model_copy(update={"may_be_missing": True}) for feature in EVERY]
    assert_same_as_table(cells, features, tmp_path_factory.mktemp("agreement"))


def test_the_example_is_read_as_the_table_is(tmp_path: Path) -> None:
    cells = [
        "$60,000.00 ",
        "28-Feb-97",
        "1997-02-28T10:00",
        "Y",
        "n ",
        "(1)",
        "1.234,5",
        "2.0",
        "Île",
        "a\0b",
        "🙂",
        "1\u0660",
    ]
    assert_same_as_table(cells, list(EVERY), tmp_path)


def assert_same_as_table(cells: list[str], features: list[Feature], folder: Path) -> None:
    """Each cell, as a cell of every feature, is read to the same value by requests and by the stored table.

    A cell that cannot be read is missing in a table and refused in a request; one beyond float32 is refused as well.
    """
    schema = FeatureSchema(features=tuple(features))
    path = folder / "table.parquet"
    pl.DataFrame({feature.name: cells for feature in features}).write_parquet(path)
    table = scan(path, schema).collect()
    for feature in features:
        one_column = RowReader(schema.select([feature.name]))
        for cell, known in zip(cells, table[feature.name].to_list(), strict=True):
            try:
                read = one_column.read([{feature.name: cell}]).inputs[feature.name][0, 0]
            except InvalidInput:
                assert known is None or (feature.kind is Kind.NUMBER and abs(known) > 3.4e38)
                continue
            if feature.kind is Kind.CATEGORY:
                assert (read or None) == known
            else:
                np.testing.assert_array_equal(read, np.float32("nan" if known is None else known))


def test_fields_to_ignore_change_nothing() -> None:
    plain = reader(AMOUNT, STATE)
    tolerant = plain.ignoring(["Fee", "Amount", 'a "b"'])
    assert plain.ignoring(["Amount"]) is plain
    rows: list[dict[str, Any]] = [{"Amount": 1, "State": "CA"}, {"State": "NY"}, {"Amount": "$3", "State": None}]
    extra: list[dict[str, Any]] = [{"Fee": 5}, {"Fee": [{}]}, {}]
    more = [row | other for row, other in zip(rows, extra, strict=True)]
    for some, others in ((rows, more), (rows[:2], more[:2]), (rows[:1], more[:1])):
        wanted, found = plain.read(some), tolerant.read(others)
        for name in ("Amount", "State"):
            np.testing.assert_array_equal(found.inputs[name], wanted.inputs[name])
        assert list(found.inputs) == list(wanted.inputs)
    for unknown in ("fee", "Fees"):
        with pytest.raises(InvalidInput):
            tolerant.read([rows[0] | {unknown: 1}])
    with pytest.raises(InvalidInput):
        plain.read(more)


def test_fields_to_ignore_are_decoded_as_quickly() -> None:
    tolerant = reader(AMOUNT, STATE).ignoring(["Fee"])
    decoder = tolerant.decoder_of(RowsToScore)
    assert decoder is not None
    for fee in ("5", '[{"deep": 1}]', "null"):
        asked = decoder.decode(b'{"rows": [{"Amount": 2, "Fee": %b}, {"State": "CA"}]}' % fee.encode())
        assert tolerant.read(asked.rows).inputs["Amount"].ravel().tolist()[0] == 2
    asked = decoder.decode(b'{"rows": [{"Amount": "much", "Fee": 1}]}')
    with pytest.raises(InvalidInput):
        tolerant.read(asked.rows)
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(b'{"rows": [{"Fees": 1}]}')


def test_what_can_be_done_without_is_noted_where_it_cannot_be_read() -> None:
    lenient = RowReader(FeatureSchema(features=(AMOUNT, STATE, PRICE)), dispensable=["Preis"])
    rows: list[dict[str, Any]] = [{"Preis": "1,5"}, {"Preis": "dear"}, {"Preis": 1e300}, {"Preis": True}, {}]
    read = lenient.read(rows)
    assert (read.count, read.kept, read.problems) == (5, None, ())
    np.testing.assert_array_equal(read.inputs["Preis"].ravel(), np.float32([1.5, np.nan, np.nan, np.nan, np.nan]))
    assert [(note.row, note.field, note.code) for note in read.notes] == [
        (2, "Preis", "field_unreadable"), (3, "Preis", "field_out_of_range"), (4, "Preis", "field_type"),
    ]  # fmt: skip
    assert lenient.read(rows[1:2]).inputs["Preis"].shape == (1, 1)
    skipped = lenient.read([{"Amount": "much", "Preis": "much"}, *rows], skip_bad=True)
    assert skipped.kept == [1, 2, 3, 4, 5]
    assert len(skipped.notes) == 4
