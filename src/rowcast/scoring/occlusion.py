"""Occlusion: how the served answer changes when a feature gets its typical value, for models without contributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rowcast.datasets.rows import RowReader
from rowcast.datasets.schema import Feature, FeatureSchema
from rowcast.errors import InvalidInput
from rowcast.models.bundle.runtime import Runtime

_MOST_CELLS = 4_000_000
"""Cells of the changed rows that are answered in one batch."""

Columns = dict[str, npt.NDArray[Any]]


def typical_row(schema: FeatureSchema) -> dict[str, Any]:
    """A row with the typical value of every feature that has one."""
    return {feature.name: value for feature in schema.features if (value := _typical(feature)) is not None}


def typical_inputs(schema: FeatureSchema, reader: RowReader) -> Columns:
    """The same as a model's inputs, without features whose value does not read."""
    row = typical_row(schema)
    try:
        return dict(reader.read([row]).inputs)
    except InvalidInput as error:
        bad = {problem.field for problem in error.problems}
    readable = {name: value for name, value in row.items() if name not in bad}
    features = tuple(feature.model_copy(update={"may_be_missing": True}) for feature in schema.features)
    inputs = RowReader(schema.model_copy(update={"features": features})).read([readable]).inputs
    return {name: column for name, column in inputs.items() if name not in bad}


def occluded(
    runtime: Runtime, inputs: Mapping[str, npt.NDArray[Any]], typical: Columns, names: Sequence[str]
) -> npt.NDArray[np.float64]:
    """The model's outputs [N,F,outputs] for every row with one of the features ``names`` [F] at its typical value."""
    rows = len(next(iter(inputs.values())))
    row, feature = (part.ravel() for part in np.indices((rows, len(names))))
    size = max(1, _MOST_CELLS // max(1, len(inputs)))
    found = []
    for start in range(0, len(row), size):
        rows_here, features_here = row[start : start + size], feature[start : start + size]
        changed = {name: column[rows_here] for name, column in inputs.items()}
        for position in np.unique(features_here).tolist():
            name = names[position]
            if name in typical:
                changed[name][features_here == position] = typical[name][0]
        found.append(runtime.run(changed).astype(np.float64))
    return np.concatenate(found).reshape(rows, len(names), -1)


def _typical(feature: Feature) -> Any:
    if feature.example is not None:
        return feature.example
    return feature.categories[0] if feature.categories else None
