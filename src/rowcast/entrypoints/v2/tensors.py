"""Tensors on the wire: JSON with or without binary sections (Triton's binary data extension), and raw bytes as in gRPC.

Whatever form they come in, they are flat and row-major here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from math import prod
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from rowcast.datasets.columns import Cells
from rowcast.errors import InvalidInput
from rowcast.scoring.requests import strictly

DTYPES = {
    "BOOL": "|b1",
    "UINT8": "|u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "|i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""Numpy's names for the datatypes of the protocol that hold numbers; BYTES holds texts."""

_DTYPES: dict[str, np.dtype[Any]] = {name: np.dtype(form) for name, form in DTYPES.items()}

TEXT = "BYTES"
_LENGTH_BYTES = 4
_MOST_DIMENSIONS = 8
_KINDS: dict[str, frozenset[type]] = {
    "b": frozenset({bool}),
    "u": frozenset({int}),
    "i": frozenset({int}),
    "f": frozenset({int, float, type(None)}),
}
_JSON_TYPES = {name: _KINDS[np.dtype(form).kind] for name, form in DTYPES.items()}
_JSON_TYPES[TEXT] = frozenset({str, type(None)})
_AS_WRITTEN = frozenset({"FP32", "FP64", TEXT})
_FEW = 100
"""So many numbers are not worth an array."""

_SINGLE = ([1, 1], [1])


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """``cells`` are flat: an array, or texts or numbers as they are written; NaN and None are missing."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    cells: Cells


class Wanted(NamedTuple):
    """An output that is asked for, and whether in binary form; ``classes`` of it as text, best first, if not 0."""

    name: str
    binary: bool
    classes: int = 0


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A call. ``wanted`` is None for all outputs, then in binary form if ``binary``."""

    id: str
    inputs: list[Tensor]
    wanted: list[Wanted] | None
    binary: bool


class _Input(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Request(msgspec.Struct):
    inputs: list[_Input]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


def read(body: bytes, header_length: int | None = None) -> Asked:
    """A call as it was sent; with ``header_length`` so many bytes of it are JSON, and the others binary sections.

    Raises:
        InvalidInput: it is not of the protocol's form.
    """
    if header_length is not None and not 0 <= header_length <= len(body):
        raise _invalid("Inference-Header-Content-Length is not within the body.")
    head = body if header_length is None else body[:header_length]
    request = strictly(head, _Request, '{"inputs": [{"name", "shape", "datatype", "data"}, ...]}')
    inputs = [*map(_of_json, request.inputs)] if len(head) == len(body) else _with_sections(request, body, len(head))
    binary = _flag(request.parameters, "binary_data_output")
    wanted = None if request.outputs is None else [_wanted(one, binary) for one in request.outputs]
    return Asked(request.id or "", inputs, wanted or None, binary)


def _with_sections(request: _Request, body: bytes, start: int) -> list[Tensor]:
    """The inputs of a request, some of them in the sections that begin there."""
    sections = memoryview(body)[start:]
    sizes = [_size(one.parameters, "binary_data_size") for one in request.inputs]
    if sum(size or 0 for size in sizes) != len(sections):
        raise _invalid(f"The inputs' binary_data_size add up to other than the {len(sections):,} bytes after the JSON.")
    starts = accumulate((size or 0 for size in sizes), initial=0)
    return [
        _of_json(one) if size is None else of_raw(one.name, one.datatype, one.shape, sections[start : start + size])
        for one, size, start in zip(request.inputs, sizes, starts, strict=False)
    ]


def of_raw(name: str, datatype: str, shape: Sequence[int], raw: memoryview | bytes) -> Tensor:
    """A tensor from its bytes: little-endian numbers, or texts each after its length in four bytes.

    Raises:
        InvalidInput: they are not as many as the shape says, or no such datatype is known.
    """
    count = _count(name, shape)
    if datatype == TEXT:
        return Tensor(name, datatype, tuple(shape), _texts(name, memoryview(raw), count))
    dtype = _dtype(name, datatype)
    if len(raw) != count * dtype.itemsize:
        raise _invalid(f"Input '{name}' has {len(raw):,} bytes, and its shape says {count * dtype.itemsize:,}.")
    if dtype.kind == "b":
        return Tensor(name, datatype, tuple(shape), np.frombuffer(raw, "|u1") != 0)
    return Tensor(name, datatype, tuple(shape), np.frombuffer(raw, dtype))


def of_values(name: str, datatype: str, shape: Sequence[int], values: list[Any]) -> Tensor:
    """A tensor from a flat list of plain values.

    Raises:
        InvalidInput: they are not as many as the shape says, or not of the datatype.
    """
    if len(values) != _count(name, shape):
        raise _invalid(f"Input '{name}' has {len(values):,} values, and its shape says {_count(name, shape):,}.")
    if not _types(name, datatype).issuperset(map(type, values)):
        hint = "Give texts" if datatype == TEXT else "Give numbers" if datatype.startswith("FP") else ""
        said = f" {hint}, or null where one is not known." if hint else " It may not be null either."
        raise _invalid(f"Input '{name}' holds something that is no {datatype}.{said}")
    if datatype in _AS_WRITTEN and (datatype == TEXT or len(values) <= _FEW):
        return Tensor(name, datatype, tuple(shape), values)
    try:
        # Numbers are taken as they are written: a model rounds them in any case.
        dtype = np.dtype(np.float64) if datatype in _AS_WRITTEN else _dtype(name, datatype)
        with np.errstate(over="ignore"):
            return Tensor(name, datatype, tuple(shape), np.array(values, dtype=dtype))
    except OverflowError:
        raise _invalid(f"Input '{name}' holds a number that is too large for {datatype}.") from None


def raw_of(cells: npt.NDArray[Any] | Sequence[str]) -> bytes:
    """The bytes of an output: see ``of_raw``."""
    if isinstance(cells, np.ndarray):
        return cells.tobytes()
    encoded = [text.encode() for text in cells]
    return b"".join(chain.from_iterable((len(text).to_bytes(_LENGTH_BYTES, "little"), text) for text in encoded))


def _of_json(one: _Input) -> Tensor:
    if one.data is None or (one.parameters is not None and one.parameters.get("binary_data_size") is not None):
        return _not_sent(one)
    return of_values(one.name, one.datatype, one.shape, _flat(one.name, one.data))


def _not_sent(one: _Input) -> Tensor:
    """What has no data in JSON: it is empty, or refused."""
    if _size(one.parameters, "binary_data_size") == 0:
        return of_raw(one.name, one.datatype, one.shape, b"")
    raise _invalid(f"Input '{one.name}' has no data.")


def _flat(name: str, data: list[Any]) -> list[Any]:
    if data and type(data[0]) is not list:  # a list further on is of no datatype
        return data
    for _ in range(_MOST_DIMENSIONS):
        kinds = set(map(type, data))
        if list not in kinds:
            return data
        if len(kinds) > 1:
            break
        data = list(chain.from_iterable(data))
    raise _invalid(f"The data of input '{name}' is nested unevenly.")


def _texts(name: str, raw: memoryview, count: int) -> list[str | None]:
    texts: list[str | None] = []
    place = 0
    for _ in range(count):
        start = place + _LENGTH_BYTES
        place = start + int.from_bytes(raw[place:start], "little")
        if start > len(raw) or place > len(raw):
            raise _invalid(f"Input '{name}' ends before its {count:,} texts do.")
        try:
            texts.append(str(raw[start:place], "utf-8"))
        except UnicodeDecodeError:
            raise _invalid(f"Input '{name}' holds a text that is not UTF-8.") from None
    if place != len(raw):
        raise _invalid(f"Input '{name}' has more bytes than its {count:,} texts.")
    return texts


def _count(name: str, shape: Sequence[int]) -> int:
    if shape in _SINGLE:
        return 1
    if not 0 < len(shape) <= _MOST_DIMENSIONS or min(shape) < 0:
        raise _invalid(f"The shape of input '{name}' has 1 to {_MOST_DIMENSIONS} sizes, none of them negative.")
    return prod(shape)


def _dtype(name: str, datatype: str) -> np.dtype[Any]:
    try:
        return _DTYPES[datatype]
    except KeyError:
        raise _unknown(name) from None


def _types(name: str, datatype: str) -> frozenset[type]:
    try:
        return _JSON_TYPES[datatype]
    except KeyError:
        raise _unknown(name) from None


def _unknown(name: str) -> InvalidInput:
    known = ", ".join([*DTYPES, TEXT])
    return _invalid(f"Input '{name}' is of a datatype that is not known here. There are {known}.")


def _wanted(one: _Output, binary: bool) -> Wanted:
    named = one.parameters or {}
    return Wanted(
        one.name,
        _flag(named, "binary_data") if "binary_data" in named else binary,
        _size(named, "classification") or 0,
    )


def _size(parameters: dict[str, Any] | None, name: str) -> int | None:
    value = (parameters or {}).get(name)
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise _invalid(f"The parameter {name} is a number from 0 on.")
    return value


def _flag(parameters: dict[str, Any] | None, name: str) -> bool:
    value = (parameters or {}).get(name, False)
    if type(value) is not bool:
        raise _invalid(f"The parameter {name} is true or false.")
    return value


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("tensors_invalid", message)
