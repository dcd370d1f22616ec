"""Whole columns of a file as a model's inputs: what a prediction call reads cell by cell, by the same rules.

Where cells repeat, each distinct one is read once for the whole file. ``datasets/casts.py`` reads what is written
plainly, a column at a time. Every other cell goes to the reader of prediction calls, and that alone says whether it is
missing or wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from rowcast.datasets.casts import mostly_distinct, read_cells
from rowcast.datasets.cell_readers import LARGEST, LONGEST_TEXT, CellError, reader_of
from rowcast.datasets.rows import MESSAGES
from rowcast.datasets.schema import Feature, Kind
from rowcast.models.encode.inputs import MISSING, Column, Labels
from rowcast.scoring.files.lexicon import MOST_CELLS, Codes, Lexicon, Read

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the cells at these places of a column."""

    field: str
    code: str
    message: str
    places: Places


class ColumnReader:
    """Reads the cells of one feature. Made once for a model; safe to use from any number of threads."""

    def __init__(self, feature: Feature, missing_tokens: Iterable[str], most_kept: int = MOST_CELLS) -> None:
        """``most_kept`` is how many distinct cells it may remember."""
        self.name = feature.name
        self.required = not feature.may_be_missing
        self._feature = feature
        self._missing_tokens = tuple(missing_tokens)
        self._reader = reader_of(feature, self._missing_tokens)
        self._is_text = feature.kind is Kind.CATEGORY
        self._lexicon = Lexicon(self._read, most_kept)

    def absent(self, count: int) -> Column:
        """The column of a file that does not have it: nothing is known."""
        if self._is_text:
            return Labels(np.zeros(count, dtype=np.int32), [MISSING])
        return np.full(count, np.nan, dtype=np.float32)

    def read(self, cells: pl.Series) -> tuple[Column, list[Fault]]:
        """The cells as inputs, with missing ones in place of those that cannot be read, and what is wrong with these.

        Text is read as a prediction call reads it. Numbers, dates and flags of a Parquet file are taken as they are; a
        float that is no number is one that is not known.
        """
        if cells.dtype != pl.String:
            return self._whole(cells.fill_nan(None) if cells.dtype.is_float() else cells)
        cells = cells.fill_null("") if cells.null_count() else cells  # nulls are cells that a short row does not have
        found = self._lexicon.look_up(cells)
        if found is not None:
            return self._by_code(*found)
        if mostly_distinct(cells):
            return self._whole(cells)
        distinct = cells.unique()
        codes = cells.cast(pl.Enum(distinct)).to_physical().to_numpy()
        return self._by_code(self._read(distinct), codes)

    def _whole(self, cells: pl.Series) -> tuple[Column, list[Fault]]:
        read = self._read(cells)
        values = read.values
        column = Labels.of(np.array(values, dtype=object)) if isinstance(values, list) else values
        return column, self._faults(read, None)

    def _by_code(self, read: Read, codes: Codes) -> tuple[Column, list[Fault]]:
        values = read.values
        column = Labels(codes.astype(np.int32), values) if isinstance(values, list) else values[codes]
        return column, self._faults(read, codes)

    def _read(self, cells: pl.Series) -> Read:
        values = read_cells(cells, self._feature, self._missing_tokens)
        doubtful = values.is_null()
        if not self._is_text:
            doubtful |= (values.abs() > LARGEST).fill_null(False)
            if cells.dtype == pl.String:
                doubtful |= (cells.str.len_bytes() > LONGEST_TEXT).fill_null(False)
        places = doubtful.arg_true()
        found, faults = self._one_by_one(cells.gather(places).to_list(), places.to_list())
        if found:
            values = values.scatter(places, pl.Series(found, dtype=values.dtype))
        return Read(values.to_list() if self._is_text else _floats(values), faults)

    def _one_by_one(self, cells: list[Any], places: list[int]) -> tuple[list[Any], dict[int, str]]:
        """The values of single cells, and by place the codes of those that cannot be read."""
        known: dict[Any, tuple[Any, str | None]] = {}
        for cell in cells:
            if cell not in known:
                known[cell] = self._value(cell)
        faults = {place: code for cell, place in zip(cells, places, strict=True) if (code := known[cell][1])}
        return [known[cell][0] for cell in cells], faults

    def _value(self, cell: Any) -> tuple[Any, str | None]:
        nothing = MISSING if self._is_text else None
        try:
            return self._reader.read(cell), None
        except CellError as error:
            return nothing, error.code

    def _faults(self, read: Read, codes: Codes | None) -> list[Fault]:
        """``codes`` say for every row which of the cells it has; None where each row was read on its own."""
        by_code: dict[str, list[int]] = {}
        for place, code in read.faults.items():
            by_code.setdefault(code, []).append(place)
        found = []
        for code, places in by_code.items():
            bad = np.zeros(len(read.values), dtype=np.bool_)
            bad[places] = True
            rows = np.flatnonzero(bad if codes is None else bad[codes])
            if len(rows):
                message = MESSAGES[code].format(wanted=self._reader.wanted)
                found.append(Fault(self.name, code, message, rows))
        return found


def _floats(values: pl.Series) -> npt.NDArray[np.float32]:
    floats: npt.NDArray[np.float64] = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return floats.astype(np.float32)
