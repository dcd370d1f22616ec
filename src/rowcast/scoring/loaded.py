"""A model version in memory, ready to answer; opened only when it still answers as it did when it was trained."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from rowcast.accounts.visibility import Access
from rowcast.datasets.ports import Storage
from rowcast.datasets.rows import RowReader
from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import RowcastError, Unavailable
from rowcast.models.algorithms import learner_of
from rowcast.models.bundle.contents import NATIVE, Manifest
from rowcast.models.bundle.contents import load as load_bundle
from rowcast.models.bundle.runtime import Runtime, check_golden, open_runtime
from rowcast.models.recipe import Problem
from rowcast.scoring.answers import Answer, renderer_of
from rowcast.scoring.banding import Band, Outcomes, bands_of, outcomes_of
from rowcast.scoring.native import Native
from rowcast.scoring.version_key import VersionKey

if TYPE_CHECKING:
    from rowcast.models.bundle.native import NativeModel
    from rowcast.scoring.deciding import Decider

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
    quick_reader: RowReader
    """Reads categories as their codes: for the runtime alone."""
    runtime: Runtime
    render: Callable[[npt.NDArray[np.float32]], list[Answer]]
    native: Native | None = None
    """What tells how a score comes about, for algorithms that can."""
    bands: list[Band] = field(default_factory=list)
    """What became of held-out rows, by score."""
    outcomes: Outcomes | None = None
    """The same row by row, of a model of two classes."""
    tolerant: dict[frozenset[str], tuple[RowReader, RowReader]] = field(default_factory=dict)
    """By the fields that they ignore both readers, the quick one first."""
    deciders: dict[int, Decider | None] = field(default_factory=dict)
    """Policies made ready for it, by number; None for those that do not fit it."""
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
    """What a reference stands for now: a model, the alias when one was used, the policy in force when it fits, who may
    see it, and what a row costs if the model has a price of its own.

    ``ignored`` are columns that some policy of the model has read: whoever sends them need not know that it no longer
    does.
    """

    model: LoadedModel
    alias: str | None
    decider: Decider | None = None
    access: Access = Access("")
    ignored: frozenset[str] = frozenset()
    price: int | None = None

    @property
    def reader(self) -> RowReader:
        """Reads rows, with the amounts that the policy needs, for the runtime."""
        if self.decider is not None and self.decider.reader is not None:
            return self.decider.reader
        return self._readers[0] if self.ignored else self.model.quick_reader

    @property
    def text_reader(self) -> RowReader:
        """The same with the texts of categories, which explanations need, instead of their codes."""
        if self.decider is not None and self.decider.reader is not None:
            return self.decider.reader
        return self._readers[1] if self.ignored else self.model.reader

    @property
    def _readers(self) -> tuple[RowReader, RowReader]:
        model, names = self.model, self.ignored
        if names not in model.tolerant:
            model.tolerant[names] = (model.quick_reader.ignoring(names), model.reader.ignoring(names))
        return model.tolerant[names]


def open_model(storage: Storage, key: VersionKey, threads: int = 1) -> LoadedModel:
    """The version's model, loaded from its bundle: every file as it was written, every golden row answered as before.

    Raises:
        Unavailable: ``model_damaged`` when it is not so, or the storage does not answer.
    """
    with _opening(key), storage.local_folder(key.bundle_key) as folder:
        model = _open(folder, key, threads)
        if _explains(model.manifest):
            model.native = Native(partial(_open_native, storage, key, threads))
        return model


@contextmanager
def _opening(key: VersionKey) -> Iterator[None]:
    """Whatever keeps a model from opening, it is not served, and a call never sees why."""
    try:
        yield
    except Unavailable:
        raise
    except Exception as error:
        code = error.code if isinstance(error, RowcastError) else type(error).__name__
        log.error("model %s version %d cannot be opened: %s", key.model, key.number, code)
        raise Unavailable(
            "model_damaged",
            f"Version {key.number} of model '{key.model}' does not open as it was trained ({code}) and is not served. "
            "Roll back to another version, restore its bundle, or train it again.",
        ) from error


def _explains(manifest: Manifest) -> bool:
    own_form = any(name.startswith(f"{NATIVE}/") for name in manifest.files)
    members = [member.algorithm for member in manifest.recipe.ensemble or []]
    return own_form and all(learner_of(algorithm).explains for algorithm in members or [manifest.algorithm])


def _open_native(storage: Storage, key: VersionKey, threads: int) -> NativeModel:
    from rowcast.models.bundle.native import load_members

    with _opening(key), storage.local_folder(key.bundle_key) as folder:
        return load_members(load_bundle(folder, key.bundle_hash).folder / NATIVE, threads)


def _open(folder: Path, key: VersionKey, threads: int) -> LoadedModel:
    bundle = load_bundle(folder, key.bundle_hash)
    runtime = open_runtime(bundle, threads)
    check_golden(bundle, runtime)
    return LoadedModel(
        key=key,
        manifest=bundle.manifest,
        schema=bundle.schema,
        reader=RowReader(bundle.schema),
        quick_reader=RowReader(bundle.schema, runtime.codes),
        runtime=runtime,
        render=renderer_of(bundle.manifest.problem, bundle.manifest.classes, bundle.manifest.intervals),
        bands=bands_of(bundle),
        outcomes=outcomes_of(bundle),
    )
