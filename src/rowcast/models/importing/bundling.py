"""An imported model as a bundle: what is not known of it, for want of its table, is absent from it."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rowcast.datasets.ports import Storage
from rowcast.datasets.rows import RowReader
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.models.bundle import contents
from rowcast.models.bundle.card import write_card
from rowcast.models.bundle.contents import DatasetReference, Golden, Manifest
from rowcast.models.bundle.golden import golden_rows
from rowcast.models.bundle.native import NativeModel, save_members
from rowcast.models.bundle.packing import SCRIPT, store, versions
from rowcast.models.bundle.runtime import MatrixRuntime, NativeRuntime, OnnxRuntime, Runtime
from rowcast.models.calibrate.maps import NONE
from rowcast.models.importing.foreign import Converted, Foreign, probe
from rowcast.models.recipe import Recipe

_SEED = 0
_LONGEST_NAME = 100
_TITLES = {
    "lightgbm": "LightGBM",
    "xgboost": "XGBoost",
    "catboost": "CatBoost",
    "onnx": "ONNX model",
    "scikit-learn": "Scikit-learn model",
}


def pack(
    converted: Converted, foreign: Foreign, source: DatasetReference, target: str, storage: Storage, key: str
) -> dict[str, Any]:
    """Write the bundle under ``key``: the one candidate of an outcome, as a training has it. ``source`` names the model
    and its version where it was made."""
    with tempfile.TemporaryDirectory(prefix="rowcast-bundle-") as name:
        folder = Path(name)
        bundle_hash = _write(converted, foreign, source, target, folder)
        store(folder, storage, key)
    return {
        "algorithm": converted.algorithm,
        "hyperparameters": {},
        "metrics": [],
        "seconds": 0.0,
        "evaluation": {},
        "bundle_key": key,
        "bundle_hash": bundle_hash,
    }


def _write(converted: Converted, foreign: Foreign, source: DatasetReference, target: str, folder: Path) -> str:
    features = tuple(_with_example(feature, foreign) for feature in converted.features)
    schema = FeatureSchema(features=features)
    manifest = _manifest(converted, source, target)
    golden = _golden(schema, converted, foreign, _runtime(converted, folder))
    (folder / contents.SCHEMA).write_text(schema.model_dump_json(), encoding="utf-8")
    (folder / contents.GOLDEN).write_text(golden.model_dump_json(), encoding="utf-8")
    (folder / contents.EVALUATION).write_text("{}")
    shutil.copyfile(SCRIPT, folder / contents.SCRIPT)
    card = write_card(manifest, schema, {}, [], _TITLES[converted.algorithm])
    (folder / contents.CARD).write_text(card, encoding="utf-8")
    return contents.seal(folder, manifest)


def _runtime(converted: Converted, folder: Path) -> Runtime:
    """What serves it, its files written."""
    if converted.members:
        save_members(folder / contents.NATIVE, converted.members)
    if converted.graph is None:
        return NativeRuntime(NativeModel(converted.members, NONE))
    (folder / contents.ONNX).write_bytes(converted.graph)
    if converted.quicker is None:
        return OnnxRuntime(converted.graph)
    graph, matrix = converted.quicker
    (folder / contents.QUICK).write_bytes(graph)
    (folder / contents.TABLES).write_text(json.dumps(matrix.to_json()))
    return MatrixRuntime(graph, matrix)


def _golden(schema: FeatureSchema, converted: Converted, foreign: Foreign, runtime: Runtime) -> Golden:
    rows = golden_rows(schema, probe(schema.features, foreign.rows), _SEED)
    return Golden(rows=rows, outputs=runtime.run(RowReader(schema).read(rows).inputs).tolist())


def _manifest(converted: Converted, source: DatasetReference, target: str) -> Manifest:
    return Manifest(
        algorithm=converted.algorithm,
        problem=converted.problem,
        target=target,
        classes=converted.classes,
        positive_class=converted.classes[1] if len(converted.classes) == 2 else None,
        runtime="native" if converted.graph is None else "onnx",
        dataset=source.model_copy(update={"name": source.name[:_LONGEST_NAME]}),
        row_count=0,
        hyperparameters={},
        recipe=Recipe(target=target),
        metrics=[],
        left_out=[],
        parity=converted.parity,
        libraries=versions([converted.algorithm]),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        origin=f"version {source.version} of {source.name}",
    )


def _with_example(feature: Feature, foreign: Foreign) -> Feature:
    """The feature with a typical value, and with the levels that its examples show."""
    known = [row[feature.name] for row in foreign.rows if row.get(feature.name) is not None]
    if not known:
        return feature
    texts = tuple(dict.fromkeys(str(cell) for cell in known)) if feature.kind is Kind.CATEGORY else ()
    return feature.model_copy(update={"example": known[0], "categories": texts})
