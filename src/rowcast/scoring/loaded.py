"""A model version in memory, ready to answer; opened only when it still answers as it did when it was trained."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rowcast.datasets.ports import Storage
from rowcast.datasets.rows import RowReader
from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import RowcastError, Unavailable
from rowcast.models.bundle.contents import Manifest
from rowcast.models.bundle.contents import load as load_bundle
from rowcast.models.bundle.runtime import Runtime, check_golden, open_runtime
from rowcast.models.recipe import Problem
from rowcast.scoring.answers import Answer, renderer_of
from rowcast.scoring.directory import VersionKey

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class LoadedModel:
    """One version of a model with all that a prediction needs. Used by any number of threads at once.

    ``used`` is when it was last asked for, on the monotonic clock.
    """

    key: VersionKey
    manifest: Manifest
    schema: FeatureSchema
    reader: RowReader
    runtime: Runtime
    render: Callable[[npt.NDArray[np.float32]], list[Answer]]
    used: float = field(default_factory=monotonic)

    @property
    def name(self) -> str:
        return self.key.model

    @property
    def number(self) -> int:
        return self.key.number

    @property
    def problem(self) -> Problem:
        return self.manifest.problem

    @property
    def classes(self) -> list[str]:
        """The classes in the order of the probabilities; of two, the second is the positive one."""
        return self.manifest.classes


class Served(NamedTuple):
    """What a reference stands for now: a model, and the alias when one was used."""

    model: LoadedModel
    alias: str | None


def open_model(storage: Storage, key: VersionKey, threads: int = 1) -> LoadedModel:
    """The version's model, loaded from its bundle: every file as it was written, every golden row answered as before.

    Raises:
        Unavailable: ``model_damaged`` when it is not so, or the storage does not answer.
    """
    try:
        with storage.local_folder(key.bundle_key) as folder:
            return _open(folder, key, threads)
    except Unavailable:
        raise
    except Exception as error:  # whatever keeps a model from opening, it is not served, and a call never sees why
        code = error.code if isinstance(error, RowcastError) else type(error).__name__
        log.error("model %s version %d cannot be opened: %s", key.model, key.number, code)
        raise Unavailable(
            "model_damaged",
            f"Version {key.number} of model '{key.model}' does not open as it was trained ({code}) and is not served. "
            "Roll back to another version, restore its bundle, or train it again.",
        ) from error


def _open(folder: Path, key: VersionKey, threads: int) -> LoadedModel:
    bundle = load_bundle(folder, key.bundle_hash)
    runtime = open_runtime(bundle, threads)
    check_golden(bundle, runtime)
    return LoadedModel(
        key=key,
        manifest=bundle.manifest,
        schema=bundle.schema,
        reader=RowReader(bundle.schema),
        runtime=runtime,
        render=renderer_of(bundle.manifest.problem, bundle.manifest.classes),
    )
