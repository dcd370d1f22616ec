"""Encoder: model inputs to the float32 matrix that a learner sees, fitted once, kept as JSON, run in numpy or ONNX.

Layout of the matrix. Numbers and flags as they are, then year, month, weekday and day of the month of each date, then
the dates as days, then one column or more per category. A linear learner gets these quantile-transformed, then an
indicator per column that can be missing. Columns of 0 and 1 are the last: of single levels, of words, and of pairs of
categories. With ``limits`` every number is first brought within the range that most of those learned from were in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.schema import Feature, Kind
from rowcast.models.encode.calendar_parts import PARTS, calendar_parts
from rowcast.models.encode.category_tables import CategoryTable, fit_tables
from rowcast.models.encode.inputs import Floats, Inputs, Labels, row_count
from rowcast.models.encode.quantiles import Quantiles, fit_quantiles
from rowcast.models.encode.same_levels import SameLevels, fit_same_levels
from rowcast.models.encode.word_tables import WordTable, fit_words
from rowcast.models.recipe import Problem

_LARGEST = float(np.finfo(np.float32).max)
_FAR_OUT = 0.005
"""Share of the numbers at either end that clipping counts as outliers."""


class Style(StrEnum):
    """What a learner can take: boosters read NaN, forests do not, linear models need all numbers alike."""

    BOOSTER = "booster"
    FOREST = "forest"
    LINEAR = "linear"


@dataclass(frozen=True)
class Encoder:
    """``fill`` has a value per numeric column that replaces "not known", or NaN where the learner reads it itself."""

    numbers: list[str]
    dates: list[str]
    tables: list[CategoryTable]
    fill: list[float]
    quantiles: Quantiles | None = None
    indicators: list[int] = field(default_factory=list)
    """Numeric columns that get a column "was missing"."""
    limits: list[list[float]] | None = None
    """Lowest and highest value of every numeric column, where outliers are clipped."""
    date_parts: int = PARTS
    """So many of each date's parts are columns."""
    words: list[WordTable] = field(default_factory=list)
    same: SameLevels | None = None

    @property
    def one_hot(self) -> list[tuple[int, float]]:
        """Table and code of every column that says "is this level"."""
        return [(i, float(code)) for i, table in enumerate(self.tables) for code in range(table.one_hot)]

    @property
    def value_tables(self) -> list[int]:
        """Tables whose value is itself a column."""
        return [i for i, table in enumerate(self.tables) if not table.one_hot]

    def sources(self) -> list[tuple[str, ...]]:
        """For every column of the matrix the inputs it comes from: two for a pair of categories."""
        numeric = self.numbers + [name for name in self.dates for _ in range(self.date_parts)] + self.dates
        values = [self.tables[i].name for i in self.value_tables]
        indicators = [numeric[i] for i in self.indicators]
        levels = [self.tables[i].name for i, _ in self.one_hot]
        words = [table.name for table in self.words for _ in table.words]
        pairs = [] if self.same is None else self.same.sources()
        return [*((name,) for name in numeric + values + indicators + levels + words), *pairs]

    def transform(self, inputs: Inputs) -> Floats:
        """The matrix [N, len(sources())] of these inputs."""
        columns = [table.transform(_labels(inputs, table.name)) for table in self.tables]
        words = [table.transform(_labels(inputs, table.name)) for table in self.words]
        return self._assemble(inputs, columns, words)

    def _assemble(self, inputs: Inputs, columns: list[Floats], words: list[Floats]) -> Floats:
        numeric = numeric_columns(inputs, self.numbers, self.dates, self.date_parts)
        missing = [np.isnan(numeric[:, i]) for i in self.indicators]
        if self.limits is not None:
            low, high = np.array(self.limits, dtype=np.float32)
            np.clip(numeric, low, high, out=numeric)
        for column, value in enumerate(self.fill):
            if not np.isnan(value):
                np.copyto(numeric[:, column], np.float32(value), where=np.isnan(numeric[:, column]))
        matrix = np.column_stack([numeric, *(columns[i] for i in self.value_tables)])
        if self.quantiles is not None:
            matrix = self.quantiles.transform(matrix)
        extra = missing + [columns[i] == code for i, code in self.one_hot] + words
        if self.same is not None:
            extra.append(self.same.transform({name: _labels(inputs, name) for name in self.same.names}))
        return np.ascontiguousarray(np.column_stack([matrix, *extra]) if extra else matrix, dtype=np.float32)

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["fill"] = [None if np.isnan(value) else value for value in self.fill]
        return data

    @staticmethod
    def from_json(data: dict[str, Any]) -> Encoder:
        return Encoder(
            numbers=data["numbers"],
            dates=data["dates"],
            tables=[CategoryTable(**table) for table in data["tables"]],
            fill=[np.nan if value is None else value for value in data["fill"]],
            quantiles=Quantiles(**data["quantiles"]) if data["quantiles"] else None,
            indicators=data["indicators"],
            limits=data.get("limits"),
            date_parts=data.get("date_parts", 3),
            words=[WordTable(**table) for table in data.get("words", [])],
            same=SameLevels(**data["same"]) if data.get("same") else None,
        )


def numeric_columns(inputs: Inputs, numbers: Sequence[str], dates: Sequence[str], parts: int = PARTS) -> Floats:
    """Numbers, ``parts`` of each date, then the dates as days: [N, len(numbers) + (parts + 1) len(dates)]. It is stored
    column by column, as it is worked on."""
    rows = row_count(inputs)
    matrix = np.empty((rows, len(numbers) + (parts + 1) * len(dates)), dtype=np.float32, order="F")
    for position, name in enumerate(numbers):
        np.clip(_floats(inputs, name), -_LARGEST, _LARGEST, out=matrix[:, position])
    for number, name in enumerate(dates):
        days = _floats(inputs, name)
        start = len(numbers) + parts * number
        matrix[:, start : start + parts] = calendar_parts(days)[:, :parts]
        matrix[:, number - len(dates)] = days
    return matrix


def fit_encoder(
    features: Sequence[Feature],
    inputs: Inputs,
    y: NDArray[Any],
    problem: Problem,
    style: Style,
    seed: int,
    *,
    clip: bool = False,
    one_hot: bool = False,
) -> tuple[Encoder, Floats]:
    """An encoder learned from these rows, and their own matrix; with ``clip`` it keeps outliers within limits, with
    ``one_hot`` few levels have columns in every style.

    The matrix is not ``transform(inputs)``: columns made from the target are cross-fitted, each row's value learned
    from other rows, so that a learner cannot read its own target there.
    """
    numbers = [feature.name for feature in features if feature.kind in (Kind.NUMBER, Kind.FLAG)]
    dates = [feature.name for feature in features if feature.kind is Kind.DATE]
    categories = [feature.name for feature in features if feature.kind is Kind.CATEGORY]
    target = None if problem is Problem.MULTICLASS else y.astype(np.float64)
    linear = style is Style.LINEAR
    fitted = [
        one
        for name in categories
        for one in fit_tables(
            name, _labels(inputs, name), target, codes=not linear, one_hot=linear or one_hot, seed=seed
        )
    ]
    numeric = numeric_columns(inputs, numbers, dates)
    ever_missing: NDArray[np.bool_] = np.atleast_1d(np.isnan(numeric).any(axis=0))
    fill = [
        float("nan") if style is Style.BOOSTER and missing else _median(numeric[:, i])
        for i, missing in enumerate(ever_missing)
    ]
    measured = [feature.name for feature in features if feature.kind is Kind.NUMBER]
    limits = _limits(numeric, [numbers.index(name) for name in measured]) if clip else None
    found = [one for name in categories if (one := fit_words(name, _labels(inputs, name)))]
    tables, words = [table for table, _ in fitted], [table for table, _ in found]
    same = fit_same_levels({name: _labels(inputs, name) for name in categories})
    encoder = Encoder(numbers, dates, tables, fill, limits=limits, words=words, same=same)
    columns = [column for _, column in fitted]
    if linear:
        encoder = _with_quantiles(encoder, inputs, columns, np.flatnonzero(ever_missing).tolist())
    return encoder, encoder._assemble(inputs, columns, [column for _, column in found])


def _with_quantiles(encoder: Encoder, inputs: Inputs, columns: list[Floats], indicators: list[int]) -> Encoder:
    width = len(encoder.fill) + len(encoder.value_tables)
    quantiles = fit_quantiles(encoder._assemble(inputs, columns, [])[:, :width])
    return replace(encoder, quantiles=quantiles, indicators=indicators)


def _limits(numeric: Floats, measured: Sequence[int]) -> list[list[float]]:
    """Lowest and highest values [2,columns]. Only columns ``measured`` have limits, and none that would leave them a
    single value: what is rare there is all that they tell."""
    low, high = np.full((2, numeric.shape[1]), [[-_LARGEST], [_LARGEST]])
    for column in measured:
        known = numeric[:, column][~np.isnan(numeric[:, column])]
        if len(known):
            ends = np.quantile(known, [_FAR_OUT, 1 - _FAR_OUT], method="nearest")
            if ends[0] < ends[1]:
                low[column], high[column] = ends
    return [low.tolist(), high.tolist()]


def _median(column: Floats) -> float:
    known = column[~np.isnan(column)]
    return float(np.float32(np.median(known))) if len(known) else 0.0


def _floats(inputs: Inputs, name: str) -> Floats:
    column = inputs[name]
    assert not isinstance(column, Labels)
    return column


def _labels(inputs: Inputs, name: str) -> Labels:
    column = inputs[name]
    assert isinstance(column, Labels)
    return column
