"""The columns of a table in memory: features as model inputs, the target as written, the moments of a time column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.table import Source, scan
from rowcast.datasets.values import read_flag
from rowcast.models.encode.inputs import MISSING, Column, Labels
from rowcast.models.train.target import WrittenTarget

_BLOCK = 64
"""Columns read at a time: a wide table is never whole in memory as text."""


def read_inputs(source: Source, schema: FeatureSchema) -> dict[str, Column]:
    """Every feature of the schema as a model input column."""
    columns: dict[str, Column] = {}
    for start in range(0, len(schema.features), _BLOCK):
        features = schema.features[start : start + _BLOCK]
        frame = _collect(source, schema.select(feature.name for feature in features))
        for feature in features:
            columns[feature.name] = _column(frame[feature.name], feature)
    return columns


def read_target(source: Source, schema: FeatureSchema, name: str) -> WrittenTarget:
    """The target's column. A flag keeps its spellings: its classes are the most frequent ones of yes and no."""
    feature = schema.feature(name)
    assert feature is not None
    written_as = feature if feature.kind in (Kind.NUMBER, Kind.DATE) else _as(feature, Kind.CATEGORY)
    column = _collect(source, FeatureSchema(features=(written_as,), missing_tokens=schema.missing_tokens))[name]
    if feature.kind in (Kind.NUMBER, Kind.DATE):
        return WrittenTarget(feature.kind, _numbers(column), None)
    labels = _labels(column)
    if feature.kind is Kind.FLAG and len(set(labels.levels) - {MISSING}) > 2:
        labels = _one_spelling_each(labels, read_moments(source, schema, name))
    return WrittenTarget(feature.kind, None, labels.texts(), _meaning_yes(labels.levels, feature))


def _meaning_yes(levels: Sequence[str], feature: Feature) -> frozenset[str]:
    if feature.kind is not Kind.FLAG:
        return frozenset()
    return frozenset(level for level in levels if read_flag(level, feature) == 1.0)


def read_moments(source: Source, schema: FeatureSchema, name: str) -> NDArray[np.float64]:
    """A number, date or flag column as numbers, NaN where missing."""
    return _numbers(_collect(source, schema.select([name]))[name])


def _collect(source: Source, schema: FeatureSchema) -> pl.DataFrame:
    return scan(source, schema, schema.names).collect()


def _as(feature: Feature, kind: Kind) -> Feature:
    return feature.model_copy(update={"kind": kind})


def _column(column: pl.Series, feature: Feature) -> Column:
    if feature.kind is Kind.CATEGORY:
        return _labels(column)
    return _numbers(column).astype(np.float32)


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64, copy=False)


def _labels(column: pl.Series) -> Labels:
    texts = column.cast(pl.String).fill_null(MISSING)
    levels = texts.unique().sort()
    codes: NDArray[Any] = texts.cast(pl.Enum(levels)).to_physical().to_numpy()
    return Labels(codes.astype(np.int32), levels.to_list())


def _one_spelling_each(labels: Labels, flags: NDArray[np.float64]) -> Labels:
    levels, codes = [MISSING], np.zeros(len(labels), dtype=np.int32)
    for number, side in enumerate((0.0, 1.0), start=1):
        counts = np.bincount(labels.codes[flags == side], minlength=len(labels.levels))
        levels.append(labels.levels[int(counts.argmax())])
        codes[flags == side] = number
    return Labels(codes, levels)
