"""Rows of a prediction call, validated and encoded by a FeatureSchema: the hot path.

A schema is compiled once into a ``RowReader``. Well-formed rows are read a column at a time; only when something is
off are cells looked at one by one, to say what is wrong with each. Nothing here ever repeats a submitted value.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import isfinite
from operator import itemgetter
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from rowcast.datasets.cell_readers import LARGEST, CellError, CellReader, Code, NumberReader, reader_of
from rowcast.datasets.columns import Columns, Stacked, plain
from rowcast.datasets.names import nearest
from rowcast.datasets.row_faults import Faults, Notes, Problems
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.errors import Problem

_FEW = 100
NOT_PLAIN = (CellError, KeyError, TypeError, ValueError, OverflowError, AttributeError)

MESSAGES = {
    "field_type": "This is of the wrong type: give {wanted}.",
    "field_unreadable": "This cannot be read: give {wanted}.",
    "field_not_finite": "NaN and infinity are not accepted: give {wanted}, or null where it is not known.",
    "field_out_of_range": "This is too large: give {wanted}, between -3.4e38 and 3.4e38.",
    "field_required": "This may not be missing: give {wanted}, or train again with it as optional (--optional).",
}

_NUMBER, _FLOAT, _TEXT = range(3)
_PLAIN_NUMBERS = frozenset((int, float))

Inputs = MutableMapping[str, npt.NDArray[Any]]


@dataclass(slots=True)
class Rows:
    """Rows as a model's inputs: an array [count, 1] by feature, of float32 with NaN or of str with "" for missing.

    ``kept`` are the positions, from 0, of the rows that were read when bad ones were skipped, else None: all of them.
    ``problems`` are those of the skipped rows; their ``row`` counts from 1, as the rows of a table do. ``notes`` are of
    cells that could not be read and are taken as not known.
    """

    inputs: Inputs
    count: int
    problems: Sequence[Problem] = ()
    kept: list[int] | None = None
    notes: Sequence[Problem] = ()


class RowReader:
    """Reads rows by one schema. Made once for a model; safe to use from any number of threads."""

    def __init__(
        self, schema: FeatureSchema, codes: Mapping[str, Code] | None = None, dispensable: Iterable[str] = ()
    ) -> None:
        """With ``codes`` of features these categories are read as float32 instead. A cell of a ``dispensable`` feature
        that cannot be read is one that is not known, and noted."""
        codes = codes or {}
        group = {feature.name: _group(feature, coded=feature.name in codes) for feature in schema.features}
        features = sorted(schema.features, key=lambda feature: group[feature.name])
        self._names = [feature.name for feature in features]
        self._known = frozenset(self._names)
        self._dispensable = frozenset(dispensable)
        self._readers = [reader_of(feature, schema.missing_tokens, codes.get(feature.name)) for feature in features]
        groups = sorted(group.values())
        self._numbers = groups.count(_NUMBER)
        self._floats = self._numbers + groups.count(_FLOAT)
        self._reads = [reader.read for reader in self._readers]
        self._numeric = tuple(self._names[: self._numbers])
        self._places = {name: place for place, name in enumerate(self._names)}
        required = any(not feature.may_be_missing for feature in features[: self._numbers])
        self._number_types = {int, float} if required else {int, float, type(None)}
        self._cells_of = _cells_of(self._names)
        self._row = _row_of(self._names, self._numbers)
        self._cells_of_own: Callable[[Any], tuple[Any, ...]] = msgspec.structs.astuple
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}

    @property
    def names(self) -> frozenset[str]:
        """The fields of a row."""
        return self._known

    @property
    def numeric(self) -> tuple[str, ...]:
        """Those of numbers, in the order of the schema."""
        return self._numeric

    def ignoring(self, names: Iterable[str]) -> RowReader:
        """The same for rows that may have these fields as well, which are not looked at."""
        ignored = sorted(set(names).difference(self._names))
        if not ignored:
            return self
        other = copy(self)
        other._known = self._known.union(ignored)
        other._row = _row_of([*self._names, *ignored], self._numbers)
        other._cells_of_own = partial(_first_cells, len(self._names))
        other._decoders = {}
        return other

    def decoder_of(self, message: Any) -> msgspec.json.Decoder[Any] | None:
        """A decoder of a message that is generic in its rows, which makes them objects that ``read`` takes as it takes
        dictionaries: quicker, but it refuses unknown fields without a word. None where a name is beyond it."""
        if self._row is None:
            return None
        if message not in self._decoders:
            self._decoders[message] = msgspec.json.Decoder(message[self._row])
        return self._decoders[message]

    def read(self, rows: Sequence[Any], *, skip_bad: bool = False) -> Rows:
        """The rows as a model's inputs, in their order; with ``skip_bad`` without those that cannot be read.

        Null and left-out fields are missing. After 100 problems no more are looked for; where bad rows are skipped,
        each of them has its first problem listed all the same.

        Raises:
            InvalidInput: a row cannot be read and bad ones are not to be skipped; ``problems`` names rows and fields.
        """
        try:
            if type(rows) is Columns:
                return Rows(self._by_column(rows), len(rows))
            return Rows(self._well_formed(rows), len(rows))
        except NOT_PLAIN:
            return self._examined(self._by_name(rows), Problems(len(rows), skip_bad=skip_bad))

    def _well_formed(self, rows: Sequence[Any]) -> Inputs:
        """Inputs from rows that have no unknown field, each cell written plainly.

        Raises:
            one of NOT_PLAIN: some row is otherwise and must be examined.
        """
        own = self._owns(rows)
        cells = list(chain.from_iterable(map(self._cells_of_own, rows) if own else self._cells(rows)))
        if len(rows) == 1:
            return self._single(cells)
        if self._numbers == len(self._names) and (matrix := _matrix(cells, len(rows))) is not None:
            return Stacked(matrix, self._places)
        count, typed = len(self._names), self._numbers if own else 0
        columns: list[Sequence[Any]] = [cells[place::count] for place in range(count)]
        for place in range(typed, count):
            columns[place] = self._readers[place].plain(columns[place])
        return self._inputs(columns, typed)

    def _owns(self, rows: Sequence[Any]) -> bool:
        """Whether they come from its own decoder, which makes all rows alike."""
        return bool(rows) and type(rows[0]) is self._row

    def _by_name(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The rows as dictionaries."""
        if not self._owns(rows):
            return rows
        return [dict(zip(self._names, self._cells_of_own(row), strict=True)) for row in rows]

    def _cells(self, rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The cells of each row, from dictionaries.

        Raises:
            KeyError, AttributeError, TypeError: a row has an unknown field, or is none.
        """
        try:
            cells = [self._cells_of(row) for row in rows]
        except KeyError:
            return [self._cells_of_some(row) for row in rows]
        if sum(map(len, rows)) != len(self._names) * len(rows):
            return [self._cells_of_some(row) for row in rows]
        return cells

    def _cells_of_some(self, row: dict[str, Any]) -> tuple[Any, ...]:
        """The cells of a row that may leave fields out, or have such as are ignored."""
        if not row.keys() <= self._known:
            raise KeyError("a row has more than the known fields")
        return tuple(map(row.get, self._names))

    def _single(self, cells: list[Any]) -> Inputs:
        """Inputs of a single well-formed row: without a list for each column it takes half the time."""
        plain = self._numbers if self._number_types.issuperset(map(type, cells[: self._numbers])) else 0
        if plain == len(cells):
            return Stacked(_as_float32(cells).reshape(1, plain), self._places)
        others = [read(cell) for read, cell in zip(self._reads[plain:], cells[plain:], strict=True)]
        split = self._floats - plain
        floats = _as_float32([*cells[:plain], *others[:split]]).reshape(self._floats, 1)
        return self._arrays(floats, [[text] for text in others[split:]])

    def _by_column(self, rows: Columns) -> Inputs:
        """Inputs from columns that are known, each cell written plainly.

        Raises:
            one of NOT_PLAIN: some column is otherwise, and the rows must be examined.
        """
        count = len(rows)
        whole = rows.blocks[0].cells if len(rows.blocks) == 1 and rows.blocks[0].names == self._numeric else None
        if isinstance(whole, list) and self._numbers == len(self._names):
            if count == 1:
                return self._single(whole)
            if (matrix := _matrix(whole, count)) is not None:
                return Stacked(matrix, self._places)
        found = {name: self._plain(name, column) for block in rows.blocks for name, column in block.columns(count)}
        if not found.keys() <= self._known:
            raise KeyError("there are more than the known columns")
        missing = [None] * count
        return self._inputs([found[name] if name in found else self._plain(name, missing) for name in self._names])

    def _plain(self, name: str, column: Sequence[Any] | npt.NDArray[Any]) -> Any:
        """The values of a column: an array of numbers as it is, whatever else as ``CellReader.plain`` has it."""
        place = self._places.get(name)
        if place is None:  # nobody looks at it
            return column
        reader = self._readers[place]
        if not isinstance(column, np.ndarray):
            return reader.plain(column)
        if place >= self._numbers or column.dtype.kind == "b":
            return reader.plain(plain(column))
        if np.isnan(column).any():
            reader.read(None)  # says so where it may not be missing
        return column

    def _inputs(self, columns: list[Sequence[Any]], typed: int = 0) -> Inputs:
        """Columns of values as arrays; of the first ``typed`` it is known only that they are numbers, texts and nulls.

        Raises:
            CellError, ValueError, OverflowError: a number is missing, unreadable, not finite or beyond float32.
        """
        count = len(columns[0])
        floats = np.empty((self._floats, count), dtype=np.float64)
        pack = struct.Struct(f"{count}d").pack  # a third of the time of numpy's own ways to read a list
        for place in range(self._floats):
            if isinstance(columns[place], np.ndarray):
                floats[place] = columns[place]
                continue
            try:
                floats[place] = np.frombuffer(pack(*columns[place]))
            except struct.error:  # something is missing, or a number written as text
                if place < typed:
                    columns[place] = self._readers[place].plain(columns[place])
                floats[place] = np.array(columns[place], dtype=np.float64)
        return self._arrays(_narrowed(floats, columns), columns[self._floats :])

    def _arrays(self, floats: npt.NDArray[np.float32], texts: Sequence[Sequence[Any]]) -> Inputs:
        """Inputs of columns of floats [F,N] and of texts."""
        if not texts:
            return Stacked(floats.T, self._places)
        numbers = floats.reshape(*floats.shape, 1)
        others = np.array(texts, dtype=object).reshape(len(texts), floats.shape[1], 1)
        return dict(zip(self._names, chain(numbers, others), strict=True))

    def _examined(self, rows: Sequence[Any], problems: Problems) -> Rows:
        """The rows read with a look at whatever is not plain."""
        positions = [position for position, row in enumerate(rows) if self._is_object(row, position, problems)]
        columns, notes = [], Notes()
        for name, reader in zip(self._names, self._readers, strict=True):
            cells = [rows[position].get(name) for position in positions]
            faults = notes if name in self._dispensable else problems
            columns.append(_column(name, reader, cells, positions, faults))
        problems.raise_if_refused()
        bad = problems.rows
        if not bad:
            return Rows(self._inputs(columns), len(positions), notes=notes.found)
        kept = [place for place, position in enumerate(positions) if position not in bad]
        inputs = self._inputs([[column[place] for place in kept] for column in columns])
        return Rows(inputs, len(kept), problems.in_order(), [positions[place] for place in kept], notes.found)

    def _is_object(self, row: Any, position: int, problems: Problems) -> bool:
        """Whether a row is an object; fields that the schema does not know are noted."""
        if not isinstance(row, Mapping):
            message = "A row is an object with a value for each field, by name."
            problems.add(position, Problem(code="row_not_object", message=message, row=position + 1))
            return False
        if not row.keys() <= self._known:
            for name in row:
                if name not in self._known and not problems.enough(position):
                    problems.add(position, self._unknown(str(name), position, problems))
        return True

    def _unknown(self, name: str, position: int, problems: Problems) -> Problem:
        meant = nearest(name, self._names) if problems.may_suggest() else None
        hint = f"Did you mean '{meant}'?" if meant else "Leave it out, or see the model's schema for its fields."
        message = f"The model has no such field. {hint}"
        return Problem(code="field_unknown", message=message, row=position + 1, field=name[:100])


def _group(feature: Feature, *, coded: bool) -> int:
    """Numbers come first, then what else becomes a float, then texts: each group is made one array."""
    if feature.kind is Kind.NUMBER:
        return _NUMBER
    return _FLOAT if coded or feature.kind in (Kind.FLAG, Kind.DATE) else _TEXT


def _cells_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What takes the cells of these fields out of a row; KeyError when one is not there."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple(row[name] for name in names)


def _first_cells(count: int, row: Any) -> tuple[Any, ...]:
    cells: tuple[Any, ...] = msgspec.structs.astuple(row)
    return cells[:count]


def _row_of(names: list[str], numbers: int) -> type[msgspec.Struct] | None:
    """A class of rows with a field for each of these names, None where it is left out; the first ``numbers`` take only
    numbers and texts. There is no such class for names that msgspec refuses, such as those with quotes."""
    kinds = [float | str | None] * numbers + [Any] * (len(names) - numbers)
    fields = [(f"field_{number}", kind, None) for number, kind in enumerate(kinds)]
    renamed = {field: name for (field, _, _), name in zip(fields, names, strict=True)}
    try:
        return msgspec.defstruct("Row", fields, rename=renamed, forbid_unknown_fields=True, gc=False)
    except ValueError:
        return None


def _as_float32(values: Sequence[float | None]) -> npt.NDArray[np.float32]:
    """Finite numbers as float32, None as NaN.

    Raises:
        ValueError, OverflowError: a number is not finite or beyond float32.
    """
    if len(values) <= _FEW and None not in values:
        packed = array("f", cast(Sequence[float], values))  # for a single row this takes half the time of what follows
        if isfinite(sum(packed)):
            return np.frombuffer(packed, dtype=np.float32)
    narrowed: npt.NDArray[np.float32] = _narrowed(np.array([values], dtype=np.float64), [values])[0]
    return narrowed


def _matrix(cells: list[Any], count: int) -> npt.NDArray[np.float32] | None:
    """The cells of so many rows as float32 [count, F]; None unless all are numbers that are finite as such.

    Raises:
        OverflowError: a number is far beyond float32.
    """
    if not _PLAIN_NUMBERS.issuperset(map(type, cells)):
        return None
    packed = np.frombuffer(array("f", cells), dtype=np.float32)
    return packed.reshape(count, -1) if np.isfinite(packed).all() else None


def _narrowed(floats: npt.NDArray[np.float64], columns: Sequence[Sequence[float | None]]) -> npt.NDArray[np.float32]:
    """The arrays [F,N], made of the first F of these columns with NaN for None, as float32.

    Raises:
        ValueError: a number is not finite or beyond float32.
    """
    odd = floats.shape[1] - np.count_nonzero(np.abs(floats) <= LARGEST, axis=1)  # NaN is odd as well
    for place in np.flatnonzero(odd).tolist():
        if _unknown(columns[place]) != odd[place]:
            raise ValueError("a number is not finite as float32")
    return floats.astype(np.float32)


def _unknown(column: Sequence[Any]) -> int:
    """How many cells are not known."""
    return int(np.isnan(column).sum()) if isinstance(column, np.ndarray) else column.count(None)


def _column(name: str, reader: CellReader, cells: list[Any], positions: list[int], problems: Faults) -> Sequence[Any]:
    """A column's values, with None in place of those that cannot be read."""
    try:
        values = reader.plain(cells)
        if isinstance(reader, NumberReader):
            _as_float32(values)
    except NOT_PLAIN:
        return [_cell(name, reader, cell, position, problems) for cell, position in zip(cells, positions, strict=True)]
    return values


def _cell(name: str, reader: CellReader, cell: Any, position: int, problems: Faults) -> Any:
    try:
        return reader.read(cell)
    except CellError as error:
        message = MESSAGES[error.code].format(wanted=reader.wanted)
        problems.add(position, Problem(code=error.code, message=message, row=position + 1, field=name))
        return None
