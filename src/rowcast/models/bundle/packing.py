"""Packing a trained model: export, golden answers, card and hashes, written to storage as a bundle."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rowcast.datasets.ports import Storage
from rowcast.datasets.rows import RowReader
from rowcast.datasets.schema import FeatureSchema
from rowcast.models.algorithms import learner_of
from rowcast.models.bundle import contents as bundle
from rowcast.models.bundle.card import write_card
from rowcast.models.bundle.contents import DatasetReference, Golden, Manifest
from rowcast.models.bundle.exporting import Export, export
from rowcast.models.bundle.golden import golden_rows
from rowcast.models.bundle.native import NativeModel, save_members
from rowcast.models.bundle.runtime import MatrixRuntime, NativeRuntime, OnnxRuntime, Runtime
from rowcast.models.calibrate.choice import Calibration
from rowcast.models.calibrate.maps import NONE
from rowcast.models.decide.held_out import HeldOut
from rowcast.models.evaluate.conformal import PredictionIntervals
from rowcast.models.recipe import Recipe
from rowcast.models.train.candidates import Table
from rowcast.models.train.member import Member
from rowcast.models.views import LeftOut, Metric

SCRIPT = Path(__file__).with_name("predict_script.py")
_LIBRARIES = {
    "linear": ("scikit-learn",),
    "random_forest": ("scikit-learn", "skops"),
    "lightgbm": ("lightgbm",),
    "xgboost": ("xgboost-cpu",),
    "catboost": ("catboost",),
}


@dataclass(frozen=True)
class Pack:
    """Everything that goes into a bundle. ``schema`` has the features in input order, ``row_count`` says how many rows
    were learned from, of which ``table`` may hold but a sample."""

    algorithm: str
    members: Sequence[Member]
    table: Table
    row_count: int
    schema: FeatureSchema
    recipe: Recipe
    positive_class: str | None
    source: DatasetReference
    hyperparameters: dict[str, Any]
    metrics: list[Metric]
    evaluation: dict[str, Any]
    held_out: HeldOut
    left_out: list[LeftOut]
    warnings: list[str]
    calibration: Calibration | None = None
    intervals: PredictionIntervals | None = None


def pack(content: Pack, storage: Storage, key: str, threads: int) -> str:
    """Write the bundle under ``key``; its hash. The manifest is stored last: without it there is no bundle."""
    with tempfile.TemporaryDirectory(prefix="rowcast-bundle-") as name:
        folder = Path(name)
        bundle_hash = write(content, folder, threads)
        store(folder, storage, key)
    return bundle_hash


def store(folder: Path, storage: Storage, key: str) -> None:
    """Move a bundle's files to the storage, the manifest last."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in sorted(paths, key=lambda path: path.name == bundle.MANIFEST):
        storage.put_file(f"{key}/{path.relative_to(folder).as_posix()}", path, move=True)


def write(content: Pack, folder: Path, threads: int) -> str:
    """Write the bundle into an empty folder; its hash."""
    table = content.table
    calibration = content.calibration.map if content.calibration else NONE
    exported = export(content.members, table.features, table.problem, table.inputs, content.recipe.seed, calibration)
    runtime: Runtime = NativeRuntime(NativeModel(list(content.members), calibration))
    if exported.model is not None:
        (folder / bundle.ONNX).write_bytes(exported.model)
        runtime = OnnxRuntime(exported.model, threads)
    if exported.quicker is not None:
        graph, matrix = exported.quicker
        (folder / bundle.QUICK).write_bytes(graph)
        _write_json(folder / bundle.TABLES, matrix.to_json())
        runtime = MatrixRuntime(graph, matrix, threads)
    save_members(folder / bundle.NATIVE, content.members, calibration)
    _write_json(folder / bundle.SCHEMA, content.schema.model_dump(mode="json"))
    _write_json(folder / bundle.GOLDEN, _golden(content, runtime).model_dump())
    _write_json(folder / bundle.EVALUATION, content.evaluation)
    (folder / bundle.HELD_OUT).write_bytes(content.held_out.packed())
    shutil.copyfile(SCRIPT, folder / bundle.SCRIPT)
    manifest = _manifest(content, exported)
    title = "Ensemble" if content.recipe.ensemble else learner_of(content.algorithm).describe().title
    card = write_card(manifest, content.schema, content.evaluation, content.warnings, title)
    (folder / bundle.CARD).write_text(card, encoding="utf-8")
    return bundle.seal(folder, manifest)


def _golden(content: Pack, runtime: Runtime) -> Golden:
    """The answers are to the rows as they are read back, as every later check reads them."""
    rows = golden_rows(content.schema, content.table.inputs, content.recipe.seed)
    answers = runtime.run(RowReader(content.schema).read(rows).inputs)
    return Golden(rows=rows, outputs=answers.tolist())


def _manifest(content: Pack, exported: Export) -> Manifest:
    return Manifest(
        algorithm=content.algorithm,
        problem=content.table.problem,
        target=content.recipe.target,
        classes=content.table.classes,
        positive_class=content.positive_class,
        runtime="native" if exported.model is None else "onnx",
        dataset=content.source,
        row_count=content.row_count,
        hyperparameters=content.hyperparameters,
        recipe=content.recipe,
        metrics=content.metrics,
        left_out=content.left_out,
        parity=exported.parity,
        calibration=content.calibration,
        intervals=content.intervals,
        libraries=versions([member.algorithm for member in content.members]),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def versions(algorithms: Iterable[str]) -> dict[str, str]:
    """Of the libraries that models of the algorithms stand on."""
    from rowcast import __version__

    names = {"numpy", "onnx", "onnxruntime", "polars"}
    for algorithm in algorithms:
        names.update(_LIBRARIES.get(algorithm, ()))
    found = {name: importlib.metadata.version(name) for name in sorted(names)}
    return {"rowcast": __version__, "python": platform.python_version(), **found}


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, allow_nan=False), encoding="utf-8")
