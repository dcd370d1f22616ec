"""Bodies of ``/invocations`` as rows: the four JSON forms of MLflow's scoring protocol, and CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import InvalidInput
from rowcast.scoring.requests import strictly

JSON_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
SHAPE = "one of dataframe_split, dataframe_records, instances or inputs, as MLflow's scoring protocol has them"


class _Split(msgspec.Struct):
    columns: list[str]
    data: list[list[Any]]


class _Body(msgspec.Struct):
    dataframe_split: _Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[Any] | None = None
    inputs: list[Any] | dict[str, list[Any]] | None = None


def rows_of(content_type: str, body: bytes, schema: FeatureSchema) -> list[dict[str, Any]]:
    """Rows by feature name. What comes without names is in the order of the model's features.

    Raises:
        InvalidInput: it is none of these forms, or its columns differ in length.
    """
    match content_type.partition(";")[0].strip().lower():
        case "application/json" | "":
            return _of_json(strictly(body, _Body, SHAPE), schema)
        case "text/csv":
            return _of_csv(body)
        case _:
            raise InvalidInput("content_type_unknown", "Send application/json or text/csv.")


def _of_json(body: _Body, schema: FeatureSchema) -> list[dict[str, Any]]:
    given = [form for form in JSON_FORMS if getattr(body, form) is not None]
    if len(given) != 1:
        raise InvalidInput("request_invalid", f"The body is {SHAPE}: exactly one of them.")
    if body.dataframe_split is not None:
        split = body.dataframe_split
        return [_named(split.columns, cells) for cells in split.data]
    if body.dataframe_records is not None:
        return body.dataframe_records
    if isinstance(body.inputs, dict):
        return _of_columns(body.inputs)
    return [_instance(one, schema) for one in (body.instances if body.instances is not None else body.inputs) or []]


def _of_columns(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    if len({len(column) for column in columns.values()}) > 1:
        raise InvalidInput("request_invalid", "The columns of 'inputs' differ in length.")
    flat = {name: [_only(cell) for cell in column] for name, column in columns.items()}
    return [dict(zip(flat, cells, strict=True)) for cells in zip(*flat.values(), strict=True)]


def _instance(one: Any, schema: FeatureSchema) -> dict[str, Any]:
    if isinstance(one, dict):
        return {name: _only(cell) for name, cell in one.items()}
    if isinstance(one, list):
        return _named(schema.names, one)
    raise InvalidInput("request_invalid", "An instance is an object by feature name, or a list of all features.")


def _only(cell: Any) -> Any:
    """The cell, also where it is wrapped in a list of its own."""
    return cell[0] if isinstance(cell, list) and len(cell) == 1 else cell


def _named(names: Sequence[str], cells: Sequence[Any]) -> dict[str, Any]:
    if len(cells) != len(names):
        raise InvalidInput("request_invalid", f"A row has {len(cells)} values, and there are {len(names)} columns.")
    return dict(zip(names, cells, strict=True))


def _of_csv(body: bytes) -> list[dict[str, Any]]:
    try:
        lines = body.decode("utf-8-sig").splitlines(keepends=True)
        header, *rows = [row for row in csv.reader(lines, strict=True) if row]
    except (UnicodeDecodeError, csv.Error, ValueError):
        raise InvalidInput("request_invalid", "The body is no CSV in UTF-8 with the names of columns first.") from None
    return [_named(header, row) for row in rows]
