"""A version's features and answers as MLflow describes them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, DataType, TensorSpec
from mlflow.types.schema import Schema as Columns

from rowcast.datasets.schema import FeatureSchema, Kind
from rowcast.models.bundle.contents import Manifest

_TYPES = {Kind.NUMBER: DataType.double, Kind.FLAG: DataType.boolean}
"""Of the kinds of columns; categories and dates are texts, as tables have them."""


def signature_of(manifest: Manifest, schema: FeatureSchema) -> ModelSignature:
    """What the model takes, and what it answers: see ``pyfunc_script.py``."""
    takes: list[ColSpec | TensorSpec] = [
        ColSpec(_TYPES.get(feature.kind, DataType.string), feature.name, required=not feature.may_be_missing)
        for feature in schema.features
    ]
    if not manifest.classes:
        return ModelSignature(Columns(takes), Columns([ColSpec(DataType.float, "prediction")]))
    chances = [ColSpec(DataType.float, f"probability_{label}") for label in manifest.classes]
    return ModelSignature(Columns(takes), Columns([ColSpec(DataType.string, "prediction"), *chances]))


def frame_of(schema: FeatureSchema, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a frame that fits the signature."""
    columns = {feature.name: [row.get(feature.name) for row in rows] for feature in schema.features}
    return pd.DataFrame(
        {
            feature.name: pd.Series(columns[feature.name], dtype="float64" if feature.kind is Kind.NUMBER else object)
            for feature in schema.features
        }
    )
