"""Golden rows: a few rows as a client sends them, kept with the model's answers and re-checked at every load."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.models.bundle.exporting import UNSEEN
from rowcast.models.encode.inputs import Floats, Inputs, Labels, row_count, take

_ROWS = 10
_EPOCH = datetime(1970, 1, 1)
_MINUTES = 1440


def golden_rows(schema: FeatureSchema, inputs: Inputs, seed: int) -> list[dict[str, Any]]:
    """Rows of the table; then, where the schema allows it, one with unseen categories and one with nothing known."""
    total = row_count(inputs)
    chosen = np.sort(np.random.default_rng(seed).choice(total, min(total, _ROWS), replace=False))
    sample = take(inputs, chosen)
    columns = [_written(feature, sample[feature.name]) for feature in schema.features]
    names = schema.names
    rows = [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return [*rows, _unseen(schema.features, rows[0]), _unknown(schema.features, rows[-1])]


def _written(feature: Feature, column: Floats | Labels) -> list[Any]:
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


def _unseen(features: Sequence[Feature], row: dict[str, Any]) -> dict[str, Any]:
    return row | {feature.name: UNSEEN for feature in features if feature.kind is Kind.CATEGORY}


def _unknown(features: Sequence[Feature], row: dict[str, Any]) -> dict[str, Any]:
    return row | {feature.name: None for feature in features if feature.may_be_missing}
