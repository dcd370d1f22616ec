"""Tensors as rows of a model: one tensor per feature, or one matrix of all numeric features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rowcast.datasets.columns import Block, Columns, plain
from rowcast.datasets.names import nearest
from rowcast.entrypoints.v2.tensors import TEXT, Tensor
from rowcast.errors import InvalidInput
from rowcast.scoring.loaded import LoadedModel


def rows_of(tensors: Sequence[Tensor], model: LoadedModel) -> Sequence[dict[str, Any]]:
    """Rows by feature name, by the column where there are several or one matrix has it all; a feature without a tensor
    is missing in all.

    Raises:
        InvalidInput: a tensor is no feature's, or not of the right shape, or they differ in their number of rows.
    """
    matrix = _matrix(tensors, model)
    if matrix is None:
        _check(tensors, model)
    count = tensors[0].shape[0]
    if count > 1 or (count and matrix is not None and len(matrix.names) == len(model.reader.names)):
        return Columns([Block((one.name,), one.cells) for one in tensors] if matrix is None else [matrix], count)
    if not count:
        return []
    if matrix is not None:
        return [dict(zip(matrix.names, matrix.values, strict=True))]
    return [{one.name: (one.cells if isinstance(one.cells, list) else plain(one.cells))[0] for one in tensors}]


def _matrix(tensors: Sequence[Tensor], model: LoadedModel) -> Block | None:
    """A matrix as columns; None when there is none, and each tensor is a feature's."""
    if len(tensors) != 1 or tensors[0].datatype == TEXT or tensors[0].name in model.reader.names:
        return None
    tensor, numeric = tensors[0], model.reader.numeric
    if not numeric or len(tensor.shape) != 2 or tensor.shape[1] != len(numeric):
        raise _invalid(
            f"There is no input '{tensor.name[:100]}'. A matrix of all numeric features has the shape "
            f"[rows, {len(numeric)}], in the order of the model's metadata."
        )
    return Block(numeric, tensor.cells)


def _check(tensors: Sequence[Tensor], model: LoadedModel) -> None:
    if not tensors:
        raise _invalid("There are no inputs. Send one tensor for each feature; those left out are missing.")
    names = {tensor.name for tensor in tensors}
    if len(names) < len(tensors):
        raise _invalid("Two inputs have the same name.")
    if not names <= model.reader.names:
        _refuse_unknown(next(tensor.name for tensor in tensors if tensor.name not in model.reader.names), model)
    count = tensors[0].shape[0]
    right = ((count, 1), (count,))
    for tensor in tensors:
        if tensor.shape not in right:
            _refuse_shape(tensor)


def _refuse_unknown(name: str, model: LoadedModel) -> None:
    meant = nearest(name, model.schema.names)
    hint = f"Did you mean '{meant}'?" if meant else "The model's metadata names its inputs."
    raise _invalid(f"There is no input '{name[:100]}'. {hint}")


def _refuse_shape(tensor: Tensor) -> None:
    if len(tensor.shape) > 2 or tensor.shape[1:] not in ((), (1,)):
        raise _invalid(f"Input '{tensor.name}' has the shape [rows, 1].")
    raise _invalid("The inputs differ in their number of rows.")


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("tensors_invalid", message)
