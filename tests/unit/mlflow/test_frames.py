"""The forms of MLflow's scoring protocol as rows."""

import json

import pytest

from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.entrypoints.mlflow.frames import rows_of
from rowcast.errors import InvalidInput

SCHEMA = FeatureSchema(features=(Feature(name="a", kind=Kind.NUMBER), Feature(name="b", kind=Kind.CATEGORY)))
ROWS = [{"a": 1.5, "b": "x"}, {"a": None, "b": "y"}]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"index": [0, 1], "columns": ["a", "b"], "data": [[1.5, "x"], [None, "y"]]}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"instances": [[1.5, "x"], [None, "y"]]},
        {"inputs": {"a": [1.5, None], "b": ["x", "y"]}},
        {"inputs": {"a": [[1.5], [None]], "b": [["x"], ["y"]]}},
        {"inputs": ROWS, "params": {"ignored": 1}},
    ],
)
def test_all_forms_say_the_same(body):
    assert rows_of("application/json; charset=utf-8", json.dumps(body).encode(), SCHEMA) == ROWS


def test_csv_has_its_cells_as_they_are_written():
    assert rows_of("text/csv", '\ufeffa,b\r\n1.5,x\r\n,"y, z"\r\n'.encode(), SCHEMA) == [
        {"a": "1.5", "b": "x"},
        {"a": "", "b": "y, z"},
    ]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("application/json", b'{"instances": [], "inputs": []}'),
        ("application/json", b'{"instances": [5]}'),
        ("application/json", b'{"instances": [[1]]}'),
        ("application/json", b'{"inputs": {"a": [1], "b": [1, 2]}}'),
        ("application/json", b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}'),
        ("application/json", b"NaN"),
        ("text/csv", b""),
        ("text/csv", b"a,b\n1\n"),
        ("text/csv", b"\xff\xfe"),
        ("application/octet-stream", b"{}"),
    ],
)
def test_what_is_none_of_them_is_refused(kind, body):
    with pytest.raises(InvalidInput):
        rows_of(kind, body, SCHEMA)
