"""The bundle: a model version as a folder of files that hold no code and are all covered by one hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import Conflict, NotFound
from rowcast.models.calibrate.choice import Calibration
from rowcast.models.evaluate.conformal import PredictionIntervals
from rowcast.models.recipe import Problem, Recipe
from rowcast.models.views import LeftOut, Metric

MANIFEST = "manifest.json"
SCHEMA = "schema.json"
ONNX = "model.onnx"
QUICK, TABLES = "quick.onnx", "tables.json"
NATIVE = "native"
GOLDEN = "golden.json"
EVALUATION = "evaluation.json"
HELD_OUT = "held_out.npy"
CARD = "README.md"
SCRIPT = "predict.py"
TOLERANCE = 1e-5
"""Largest difference between two runtimes of one model, of outputs on a scale of at least 1."""


class DatasetReference(BaseModel):
    """The table a model was trained on."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    content_hash: str


class Parity(BaseModel):
    """How far ONNX and the native model differ. ``reason`` says why ONNX was refused, if it was."""

    model_config = ConfigDict(frozen=True)

    max_difference: float | None
    rows: int
    tolerance: float = TOLERANCE
    passed: bool
    reason: str | None = None


class Manifest(BaseModel):
    """What the bundle holds and where it comes from. ``files`` has the SHA-256 of every other file."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    algorithm: str
    problem: Problem
    target: str
    classes: list[str]
    positive_class: str | None
    runtime: Literal["onnx", "native"]
    dataset: DatasetReference
    row_count: int
    hyperparameters: dict[str, Any]
    recipe: Recipe
    metrics: list[Metric]
    left_out: list[LeftOut]
    parity: Parity
    calibration: Calibration | None = None
    """How scores become probabilities; part of the served graph, kept here to be read."""
    intervals: PredictionIntervals | None = None
    """How far a predicted number may be off."""
    libraries: dict[str, str]
    created_at: str
    origin: str | None = None
    """Where an imported model comes from; its dataset, its metrics and how it was learned are not known."""
    files: dict[str, str] = {}


class Golden(BaseModel):
    """Rows as a client sends them, with what the served runtime answers."""

    model_config = ConfigDict(frozen=True)

    rows: list[dict[str, Any]]
    outputs: list[list[float]]


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose every file has been checked against its hash."""

    folder: Path
    manifest: Manifest
    schema: FeatureSchema
    golden: Golden
    bundle_hash: str


def seal(folder: Path, manifest: Manifest) -> str:
    """Write the manifest over all other files of the folder; the bundle's hash."""
    files = {name: _sha256(folder / name) for name in _names(folder)}
    data = manifest.model_copy(update={"files": files}).model_dump_json(indent=1).encode()
    (folder / MANIFEST).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def load(folder: Path, bundle_hash: str | None = None) -> Bundle:
    """The bundle in a folder, once every hash is right.

    Raises ``NotFound("bundle_not_found")`` when there is none and ``Conflict("bundle_damaged")`` when a file is
    missing, unexpected or not what was written, or when the manifest is not that of ``bundle_hash``.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise NotFound("bundle_not_found", "There is no model bundle here; train or import the model again.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if bundle_hash is not None and found != bundle_hash:
        raise _damaged("its manifest is not the one that was registered")
    try:
        manifest = Manifest.model_validate_json(data)
    except ValueError as error:
        raise _damaged("its manifest cannot be read") from error
    _verify(folder, manifest)
    return Bundle(
        folder=folder,
        manifest=manifest,
        schema=FeatureSchema.model_validate_json((folder / SCHEMA).read_bytes()),
        golden=Golden.model_validate_json((folder / GOLDEN).read_bytes()),
        bundle_hash=found,
    )


def evaluation(bundle: Bundle) -> dict[str, Any]:
    """The curves and importance of the model."""
    data: dict[str, Any] = json.loads((bundle.folder / EVALUATION).read_bytes())
    return data


def card(bundle: Bundle) -> str:
    """The model card, as Markdown."""
    return (bundle.folder / CARD).read_text(encoding="utf-8")


def _verify(folder: Path, manifest: Manifest) -> None:
    names = set(_names(folder))
    if names != set(manifest.files):
        raise _damaged("files are missing or were added")
    for name, expected in manifest.files.items():
        if _sha256(folder / name) != expected:
            raise _damaged(f"{name} is not what was written")


def _names(folder: Path) -> list[str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [name for name in names if name != MANIFEST]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(what: str) -> Conflict:
    return Conflict("bundle_damaged", f"The model bundle is damaged: {what}. Restore it from a backup or train again.")
