"""Model inputs: the typed values of a table's rows, column by column, as training and native serving hold them.

Numbers, flags and dates are float32 with NaN for "not known"; a category is ``Labels``. What a serving runtime is
given (float32 [N,1], object arrays of str [N,1] with "" for missing) is the same, unpacked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.schema import Feature, Kind

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
MISSING = ""
"""A category that is not known."""
_EPOCH = datetime(1970, 1, 1)
_MINUTES = 1440


@dataclass(frozen=True)
class Labels:
    """A column of categories: ``levels[codes[row]]``; the level "" is "not known"."""

    codes: NDArray[np.int32]
    levels: list[str]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Indices) -> Labels:
        return Labels(self.codes[rows], self.levels)

    def texts(self) -> NDArray[Any]:
        """The labels written out, as an object array."""
        return np.array(self.levels, dtype=object)[self.codes]

    @staticmethod
    def of(texts: NDArray[Any]) -> Labels:
        """From an array of str."""
        positions: dict[str, int] = {}
        codes = [positions.setdefault(text, len(positions)) for text in texts.ravel().tolist()]
        return Labels(np.array(codes, dtype=np.int32), list(positions))


Column = Floats | Labels
Inputs = Mapping[str, Column]


def take(inputs: Inputs, rows: Indices) -> dict[str, Column]:
    """The same columns at these rows."""
    return {name: column.take(rows) if isinstance(column, Labels) else column[rows] for name, column in inputs.items()}


def row_count(inputs: Inputs) -> int:
    return len(next(iter(inputs.values())))


def feeds(inputs: Inputs) -> dict[str, NDArray[Any]]:
    """As a runtime takes them: each column [N,1], categories as objects."""
    return {
        name: (column.texts() if isinstance(column, Labels) else column).reshape(-1, 1)
        for name, column in inputs.items()
    }


def from_feeds(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Column]:
    """The reverse of ``feeds``."""
    return {
        name: Labels.of(array) if array.dtype.kind in "OUS" else array.astype(np.float32, copy=False).ravel()
        for name, array in arrays.items()
    }


def written(feature: Feature, column: Column) -> list[Any]:
    """The values of a column as a client sends them, with None for what is not known."""
    if isinstance(column, Labels):
        return [text or None for text in column.texts().tolist()]
    values = [None if np.isnan(value) else value for value in column]
    if feature.kind is Kind.FLAG:
        return [None if value is None else bool(value) for value in values]
    if feature.kind is Kind.DATE:
        return [None if value is None else _iso(float(value)) for value in values]
    # The shortest decimal that is this float32.
    return [None if value is None or np.isinf(value) else float(str(value)) for value in values]


def _iso(days: float) -> str | None:
    """ISO 8601 to the minute, as far as float32 carries; None outside the years 1 to 9999."""
    try:
        moment = _EPOCH + timedelta(minutes=round(days * _MINUTES))
    except OverflowError:
        return None
    return moment.date().isoformat() if (moment.hour, moment.minute) == (0, 0) else moment.isoformat()
