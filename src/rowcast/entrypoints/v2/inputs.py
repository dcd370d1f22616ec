"""Tensors as rows of a model: one tensor per feature, or one matrix of all numeric features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rowcast.datasets.names import nearest
from rowcast.datasets.schema import FeatureSchema, Kind
from rowcast.entrypoints.v2.tensors import TEXT, Tensor
from rowcast.errors import InvalidInput

Columns = dict[str, list[Any]]


def rows_of(tensors: Sequence[Tensor], schema: FeatureSchema) -> list[dict[str, Any]]:
    """Rows by feature name; a feature without a tensor is missing in all of them.

    Raises:
        InvalidInput: a tensor is no feature's, or not of the right shape, or they differ in their number of rows.
    """
    matrix = _matrix(tensors, schema)
    columns = {tensor.name: _cells(tensor) for tensor in tensors} if matrix is None else matrix
    names = list(columns)
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _matrix(tensors: Sequence[Tensor], schema: FeatureSchema) -> Columns | None:
    """The columns of a matrix; None when there is none, and each tensor is a feature's."""
    if len(tensors) != 1 or tensors[0].datatype == TEXT or schema.feature(tensors[0].name) is not None:
        _check(tensors, schema)
        return None
    numeric = [feature.name for feature in schema.features if feature.kind is Kind.NUMBER]
    tensor = tensors[0]
    if not numeric or len(tensor.shape) != 2 or tensor.shape[1] != len(numeric):
        raise _invalid(
            f"There is no input '{tensor.name[:100]}'. A matrix of all numeric features has the shape "
            f"[rows, {len(numeric)}], in the order of the model's metadata."
        )
    cells = np.asarray(tensor.cells).reshape(tensor.shape)
    return {name: _known(cells[:, place]) for place, name in enumerate(numeric)}


def _check(tensors: Sequence[Tensor], schema: FeatureSchema) -> None:
    if not tensors:
        raise _invalid("There are no inputs. Send one tensor for each feature; those left out are missing.")
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise _invalid("Two inputs have the same name.")
    for tensor in tensors:
        if schema.feature(tensor.name) is None:
            meant = nearest(tensor.name, schema.names)
            hint = f"Did you mean '{meant}'?" if meant else "The model's metadata names its inputs."
            raise _invalid(f"There is no input '{tensor.name[:100]}'. {hint}")
        if len(tensor.shape) > 2 or tensor.shape[1:] not in ((), (1,)):
            raise _invalid(f"Input '{tensor.name}' has the shape [rows, 1].")
    if len({tensor.shape[0] for tensor in tensors}) > 1:
        raise _invalid("The inputs differ in their number of rows.")


def _cells(tensor: Tensor) -> list[Any]:
    return tensor.cells if isinstance(tensor.cells, list) else _known(tensor.cells)


def _known(cells: np.ndarray[Any, Any]) -> list[Any]:
    """Plain values, None for NaN."""
    values: list[Any] = cells.tolist()
    if cells.dtype.kind == "f" and np.isnan(cells).any():
        return [None if value != value else value for value in values]
    return values


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("tensors_invalid", message)
