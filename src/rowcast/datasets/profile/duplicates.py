"""Columns that say nearly the same as another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import rankdata

from rowcast.datasets.schema import TRAINABLE, Feature, FeatureSchema, Kind
from rowcast.datasets.table import scan
from rowcast.datasets.views import TableWarning

SAME_ORDER = 0.995
_SAMPLE_ROWS = 20_000
_MAX_COLUMNS = 300
_FEWEST_ROWS = 20


def duplicate_warnings(path: Path, schema: FeatureSchema, row_count: int, skip: set[str]) -> list[TableWarning]:
    """A warning for each column that orders rows as an earlier one does, or names them one to one."""
    features = [feature for feature in schema.features if feature.kind in TRAINABLE and feature.name not in skip]
    if not 2 <= len(features) <= _MAX_COLUMNS or row_count < _FEWEST_ROWS:
        return []
    every = max(1, row_count // _SAMPLE_ROWS)
    frame = scan(path, schema, [feature.name for feature in features], every).collect(engine="streaming")
    ordered = [feature for feature in features if feature.kind is not Kind.CATEGORY]
    named = [feature for feature in features if feature.kind is Kind.CATEGORY]
    return _same_order(frame, ordered) + _same_names(frame, named)


def _same_order(frame: pl.DataFrame, features: list[Feature]) -> list[TableWarning]:
    """By Spearman's rank correlation, missing cells ranked first in both."""
    if len(features) < 2:
        return []
    ranks = np.array([rankdata(frame[feature.name].fill_null(-np.inf).to_numpy()) for feature in features])
    varying = ranks.std(axis=1) > 0
    correlation = np.zeros((len(features), len(features)))
    correlation[np.ix_(varying, varying)] = np.atleast_2d(np.corrcoef(ranks[varying])) if varying.any() else 0
    found = []
    for later in range(1, len(features)):
        earlier = int(np.argmax(np.abs(correlation[later, :later])))
        strength = float(correlation[later, earlier])
        if abs(strength) >= SAME_ORDER:
            found.append(_warning(features[later].name, features[earlier].name, strength))
    return found


def _same_names(frame: pl.DataFrame, features: list[Feature]) -> list[TableWarning]:
    """Categories that map one to one, by the pattern of rows in which values first appear."""
    seen: dict[bytes, str] = {}
    found = []
    for feature in features:
        values = frame[feature.name]
        if values.n_unique() < 2:
            continue
        _, first, codes = np.unique(values.fill_null("").to_numpy(), return_index=True, return_inverse=True)
        pattern = first[codes].tobytes()
        if pattern in seen:
            found.append(_warning(feature.name, seen[pattern], None))
        seen.setdefault(pattern, feature.name)
    return found


def _warning(later: str, earlier: str, correlation: float | None) -> TableWarning:
    how = "one to one" if correlation is None else f"rank correlation {correlation:.3f}"
    values: dict[str, str | int | float] = {"how": "one_to_one", "other": earlier}
    if correlation is not None:
        values |= {"how": "order", "correlation": round(correlation, 3)}
    message = f"{later} says nearly the same as {earlier} ({how}); one of them would do."
    return TableWarning(code="near_duplicate", column=later, message=message, examples=[earlier], values=values)
