"""Messages of data as JSON has it, and the other way round: by the names of the fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from rowcast.v1.common_pb2 import Cell, Cells, Row
from rowcast.v1.models_pb2 import Amount


def fill(message: Message, data: Mapping[str, Any]) -> None:
    """Set the fields that ``data`` has a value for. What the message has no field for is left out: a test holds the
    messages against the views."""
    fields: Mapping[str, Any] = message.DESCRIPTOR.fields_by_name
    for name, value in data.items():
        field = fields.get(name)
        if field is not None and value is not None:
            _set(message, field, value)


def _set(message: Message, field: FieldDescriptor, value: Any) -> None:
    target = getattr(message, field.name)
    if is_map(field):
        _fill_map(target, field, value)
    elif field.is_repeated and field.message_type:
        for one in value:
            _put(target.add(), one)
    elif field.is_repeated:
        target.extend(value)
    elif field.message_type:
        target.SetInParent()
        _put(target, value)
    else:
        setattr(message, field.name, value)


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _fill_map(target: Any, field: FieldDescriptor, values: Mapping[str, Any]) -> None:
    assert field.message_type is not None
    if field.message_type.fields_by_name["value"].message_type is None:
        target.update(values)
        return
    for name, value in values.items():
        _put(target[name], value)


def _put(message: Message, value: Any) -> None:
    put = _PUT.get(message.DESCRIPTOR.full_name)
    if put is not None:
        put(message, value)
    elif isinstance(value, Mapping):
        fill(message, value)


def put_cell(cell: Cell, value: object) -> None:
    """Put a value into a cell; what is no single value goes in as its JSON."""
    if isinstance(value, bool):
        cell.flag = value
    elif isinstance(value, int | float):
        cell.number = value
    elif isinstance(value, str):
        cell.text = value
    elif value is not None:
        cell.text = json.dumps(value, ensure_ascii=False)


def put_row(row: Row, cells: object) -> None:
    if isinstance(cells, Mapping):
        for name, value in cells.items():
            put_cell(row.cells[name], value)


def _put_cells(cells: Cells, values: Sequence[Any]) -> None:
    for value in values:
        put_cell(cells.cells.add(), value)


def _put_amount(amount: Amount, value: Any) -> None:
    if isinstance(value, Mapping):
        fill(amount.column, value)
    else:
        amount.number = value


def _put_time(time: Timestamp, text: str) -> None:
    zoned = text.endswith("Z") or "+" in text or text.rfind("-") > text.find("T")
    time.FromJsonString(text if zoned else f"{text}Z")


_PUT: dict[str, Callable[[Any, Any], None]] = {
    Cell.DESCRIPTOR.full_name: put_cell,
    Row.DESCRIPTOR.full_name: put_row,
    Cells.DESCRIPTOR.full_name: _put_cells,
    Amount.DESCRIPTOR.full_name: _put_amount,
    Timestamp.DESCRIPTOR.full_name: _put_time,
    Struct.DESCRIPTOR.full_name: Struct.update,
}


def data_of(message: Message) -> dict[str, Any]:
    """The fields that are set, as JSON has them; what maps hold goes by name, for they have an order that is another in
    every process, and a call that is made again has to be known by another server."""
    return {field.name: _read(field, value) for field, value in message.ListFields()}


def _read(field: FieldDescriptor, value: Any) -> Any:
    if is_map(field):
        return {name: _plain(value[name]) for name in sorted(value)}
    if field.is_repeated:
        return [_plain(one) for one in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if not isinstance(value, Message):
        return value
    take = _TAKE.get(value.DESCRIPTOR.full_name)
    return data_of(value) if take is None else take(value)


def value_of(cell: Cell) -> Any:
    """The value of a cell; None is not known. A number without a fraction is an int, as JSON has it."""
    kind = cell.WhichOneof("value")
    if kind == "number":
        return _number(cell.number)
    return None if kind is None or kind == "null" else getattr(cell, kind)


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def row_of(row: Row) -> dict[str, Any]:
    """The cells of a row by name, in the order of names: see ``data_of``."""
    cells = row.cells
    return {name: value_of(cells[name]) for name in sorted(cells)}


def _amount_of(amount: Amount) -> Any:
    return data_of(amount.column) if amount.HasField("column") else amount.number


def _open(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _struct_of(value.struct_value)
        case "list_value":
            return _list_of(value.list_value)
        case "number_value":
            return _number(value.number_value)
        case "null_value" | None:
            return None
        case kind:
            return getattr(value, kind)


def _struct_of(struct: Struct) -> dict[str, Any]:
    return {name: _open(struct.fields[name]) for name in sorted(struct.fields)}


def _list_of(values: ListValue) -> list[Any]:
    return [_open(value) for value in values.values]


_TAKE: dict[str, Callable[[Any], Any]] = {
    Cell.DESCRIPTOR.full_name: value_of,
    Row.DESCRIPTOR.full_name: row_of,
    Amount.DESCRIPTOR.full_name: _amount_of,
    Timestamp.DESCRIPTOR.full_name: Timestamp.ToJsonString,
    Struct.DESCRIPTOR.full_name: _struct_of,
}
