"""Kinds that a recipe sets: the columns are read again as what a person says they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rowcast.datasets.inference.cells import gather
from rowcast.datasets.inference.inference import Hints, infer
from rowcast.datasets.profile.profiling import measure, with_ranges
from rowcast.datasets.schema import Feature, FeatureSchema, Kind


def with_kinds(path: Path, schema: FeatureSchema, kinds: Mapping[str, Kind]) -> FeatureSchema:
    """The schema of the table at ``path`` with these columns taken for these kinds.

    Raises ``InvalidInput`` when a column cannot be read as its kind.
    """
    changed = {name: kind for name, kind in kinds.items() if _kind_of(schema, name) is not kind}
    if not changed:
        return schema
    read: dict[str, Feature] = {}
    for cells in gather(path, schema.missing_tokens, list(changed)):
        feature = infer(cells, Hints(), changed[cells.name])
        read[cells.name] = with_ranges(feature, measure(path, feature, cells, schema.missing_tokens))
    features = tuple(
        read[old.name].model_copy(update={"description": old.description}) if old.name in read else old
        for old in schema.features
    )
    return schema.model_copy(update={"features": features})


def _kind_of(schema: FeatureSchema, name: str) -> Kind | None:
    feature = schema.feature(name)
    return None if feature is None else feature.kind
