from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.datasets.rows import RowReader, Rows
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.errors import InvalidInput, TooLarge
from rowcast.scoring.requests import decode
from rowcast.scoring.views import PredictRequest


def test_a_body_is_read() -> None:
    request = decode('{"rows": [{"Ä": 1, "b": null}, 7], "on_error": "skip"}'.encode(), max_rows=2)
    assert request.rows == [{"Ä": 1, "b": None}, 7]
    assert request.skip_bad
    assert not decode(b'{"rows": []}', max_rows=2).skip_bad


def test_it_knows_the_fields_of_the_view() -> None:
    assert set(decode(b'{"rows": []}', max_rows=1).__struct_fields__) == set(PredictRequest.model_fields)


@pytest.mark.parametrize(
    ("body", "code", "hint"),
    [
        (b"", "json_invalid", "no JSON"),
        (b"rows=1", "json_invalid", "no JSON"),
        (b'{"rows": [{"a": NaN}]}', "json_invalid", "NaN and Infinity"),
        (b'{"rows": [{"a": -Infinity}]}', "json_invalid", "NaN and Infinity"),
        (b'{"rows": [{"a": 1}', "json_invalid", "truncated"),
        (b'{"rows": []} {}', "json_invalid", "trailing"),
        (b'{"rows": [{"a": "\xff"}]}', "json_invalid", "UTF-8"),
        (b'{"rows": [{"a": "\\ud800"}]}', "json_invalid", "no JSON"),
        (b'{"rows": ' + b"[" * 100_000, "json_invalid", "nested"),
        (b'{"rows": [{"a": ' + b'{"a": ' * 100_000, "json_invalid", "nested"),
        (b"[]", "request_invalid", "Expected `object`"),
        (b'"text"', "request_invalid", "Expected `object`"),
        (b"{}", "request_invalid", "`rows`"),
        (b'{"rows": null}', "request_invalid", "`array`"),
        (b'{"rows": {"a": 1}}', "request_invalid", "`array`"),
        (b'{"rows": [], "row": 1}', "request_invalid", "`row`"),
        (b'{"rows": [], "on_error": 1}', "request_invalid", "`str`"),
        (b'{"rows": [], "on_error": "geheim"}', "request_invalid", '"skip"'),
        (b'{"rows": [{"a": 1e999}]}', "request_invalid", "range"),
        (b'{"rows": [{"a": ' + b"9" * 5000 + b"}]}", "request_invalid", "range"),
    ],
)
def test_a_body_that_is_none(body: bytes, code: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode(body, max_rows=10)
    assert refused.value.code == code
    assert hint in refused.value.message
    assert "geheim" not in refused.value.message


def test_too_many_rows() -> None:
    with pytest.raises(TooLarge, match="at most 2 rows"):
        decode(b'{"rows": [1, 2, 3]}', max_rows=2)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(rows=st.lists(JSON, max_size=5))
def test_rows_come_as_they_were_sent(rows: list[object]) -> None:
    assert decode(json.dumps({"rows": rows}).encode(), max_rows=5).rows == rows


@given(body=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises((InvalidInput, TooLarge)):
        decode(b'{"rows": [' + body, max_rows=1)


FEATURES = (
    Feature(name="Größe", kind=Kind.NUMBER, may_be_missing=False),
    Feature(name="amount", kind=Kind.NUMBER),
    Feature(name="since", kind=Kind.DATE),
    Feature(name="urban", kind=Kind.FLAG),
    Feature(name="state", kind=Kind.CATEGORY, categories=("CA", "NY", "1")),
)
CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5),
    st.sampled_from(["$1,000.00", "1997-02-28", "NA", "CA", " CA "]), st.lists(st.integers(), max_size=2),
)  # fmt: skip
NAMES = [feature.name for feature in FEATURES]
SENT = st.lists(
    st.one_of(
        st.fixed_dictionaries({"Größe": st.integers(0, 9)}, optional=dict.fromkeys(NAMES[1:], CELLS)),
        st.dictionaries(st.sampled_from([*NAMES, "other"]), CELLS, max_size=6),
        CELLS,
    ),
    max_size=5,
)


def outcome(reader: RowReader, rows: list[Any], *, skip_bad: bool) -> Rows | list[Any]:
    try:
        return reader.read(rows, skip_bad=skip_bad)
    except InvalidInput as error:
        return [error.message, *error.problems]


@given(rows=SENT, skip_bad=st.booleans())
@settings(max_examples=300, deadline=None)
def test_rows_as_a_readers_own_objects_are_the_same_rows(rows: list[Any], skip_bad: bool) -> None:
    reader = RowReader(FeatureSchema(features=FEATURES))
    body = json.dumps({"rows": rows}).encode()
    try:
        named = decode(body, max_rows=5)
    except InvalidInput as error:
        with pytest.raises(InvalidInput, match=error.code):
            decode(body, max_rows=5, reader=reader)
        return
    quick = decode(body, max_rows=5, reader=reader)
    expected, found = (outcome(reader, asked.rows, skip_bad=skip_bad) for asked in (named, quick))
    if not isinstance(expected, Rows) or not isinstance(found, Rows):
        assert found == expected
        return
    assert (found.count, found.kept, list(found.problems)) == (expected.count, expected.kept, list(expected.problems))
    for name, column in expected.inputs.items():
        np.testing.assert_array_equal(found.inputs[name], column)


def test_rows_are_dictionaries_where_reasons_are_asked_for_or_a_name_is_odd() -> None:
    reader = RowReader(FeatureSchema(features=FEATURES))
    body = b'{"rows": [{"state": "CA"}], "explain": 1}'
    assert decode(body, max_rows=1, reader=reader).rows == [{"state": "CA"}]
    odd = RowReader(FeatureSchema(features=(Feature(name='a "b"', kind=Kind.NUMBER),)))
    asked = decode(b'{"rows": [{"a \\"b\\"": 1}]}', max_rows=1, reader=odd)
    assert asked.rows == [{'a "b"': 1}]
    assert odd.read(asked.rows).count == 1
