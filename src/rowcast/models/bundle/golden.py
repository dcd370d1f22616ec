"""Golden rows: a few rows as a client sends them, kept with the model's answers and re-checked at every load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.models.bundle.exporting import UNSEEN
from rowcast.models.encode.inputs import Inputs, row_count, take, written

_ROWS = 10


def golden_rows(schema: FeatureSchema, inputs: Inputs, seed: int) -> list[dict[str, Any]]:
    """Rows of the table; then, where the schema allows it, one with unseen categories and one with nothing known."""
    total = row_count(inputs)
    chosen = np.sort(np.random.default_rng(seed).choice(total, min(total, _ROWS), replace=False))
    sample = take(inputs, chosen)
    columns = [written(feature, sample[feature.name]) for feature in schema.features]
    names = schema.names
    rows = [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return [*rows, _unseen(schema.features, rows[0]), _unknown(schema.features, rows[-1])]


def _unseen(features: Sequence[Feature], row: dict[str, Any]) -> dict[str, Any]:
    return row | {feature.name: UNSEEN for feature in features if feature.kind is Kind.CATEGORY}


def _unknown(features: Sequence[Feature], row: dict[str, Any]) -> dict[str, Any]:
    return row | {feature.name: None for feature in features if feature.may_be_missing}
