"""The rows that a search works on, those that it never sees, and what its trials share."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rowcast.datasets.schema import FeatureSchema
from rowcast.models.encode.inputs import Floats, Indices, take
from rowcast.models.train.candidates import Candidate, Conditions, Encoded, Table, encode
from rowcast.models.train.fold_plan import TestedRows, plan_folds
from rowcast.models.train.folds import Fold, folds_in_time, random_folds
from rowcast.models.train.preparing import Prepared, Tell, prepare
from rowcast.models.tune.ranking import selected
from rowcast.models.tune.views import Selection, TuningRequest

_PARTS = 5
"""One of so many is held out from the whole search."""

_HOLD_OUT_ROWS = 200_000
"""Beyond, trials are scored on one tenth of the rows instead of folds, as the interval is narrow."""

_MOST_CELLS = 50_000_000
"""Of encoded rows that are kept for the trials that follow."""


@dataclass(frozen=True)
class Grounds:
    """``searched`` and ``held_out`` are rows of the table that is prepared, and so are those of the folds. ``tested``
    is the plan of these folds in terms of the rows that are searched."""

    prepared: Prepared
    searched: Indices
    held_out: Indices
    folds: list[Fold]
    tested: TestedRows
    conditions: Conditions
    _encoded: OrderedDict[Any, tuple[Encoded, Floats]] = field(default_factory=OrderedDict)
    _selected: dict[tuple[int, Selection], tuple[str, ...]] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        return self.prepared.table

    def features(self, selection: Selection, fold: int | None = None) -> tuple[str, ...]:
        """What a selection keeps in a fold, by the rows learned from in it, or by all rows searched."""
        key = (-1 if fold is None else fold, selection)
        if key not in self._selected:
            rows = self.searched if fold is None else np.sort(self.folds[fold].training)
            self._selected[key] = selected(self.table, rows, selection, self.conditions)
        return self._selected[key]

    def encoded(self, candidate: Candidate, fold: int) -> tuple[Encoded, Floats]:
        """A fold as the candidate sees it, and the rows held out."""
        key = (fold, candidate.view)
        if key not in self._encoded:
            encoded = encode(candidate, self.table, self.folds[fold], self.conditions)
            aside = encoded.encoder.transform(take(self.table.inputs, self.held_out))
            self._encoded[key] = (encoded, aside)
            self._forget()
        self._encoded.move_to_end(key)
        return self._encoded[key]

    def _forget(self) -> None:
        while len(self._encoded) > 1 and sum(map(_cells, self._encoded.values())) > _MOST_CELLS:
            self._encoded.popitem(last=False)


def _cells(kept: tuple[Encoded, Floats]) -> int:
    return kept[0].training.size + kept[0].testing.size + kept[1].size


def grounds(path: Path, request: TuningRequest, schema: FeatureSchema, threads: int, tell: Tell) -> Grounds:
    """The same for every job of a search. Raises ``InvalidInput`` for a request that does not fit the table."""
    prepared = prepare(path, request.recipe(), schema, tell)
    plan = replace(prepared.plan, hold_out_beyond=_HOLD_OUT_ROWS) if request.folds is None else prepared.plan
    if prepared.moments is not None:
        plan_folds(prepared.target, plan, prepared.moments, request.seed)  # refuses a time that cannot be cut
    split = _split(prepared, request.seed)
    part = prepared.take(split.training)
    tested = plan_folds(part.target, plan, part.moments, request.seed)
    return Grounds(
        prepared=prepared,
        searched=split.training,
        held_out=split.testing,
        folds=[Fold(split.training[fold.training], split.training[fold.testing]) for fold in tested.folds],
        tested=tested,
        conditions=Conditions(request.seed, threads, in_time=request.time_column is not None),
    )


def _split(prepared: Prepared, seed: int) -> Fold:
    """Rows to search on, and a fifth that is held out: the latest ones in time, else at random and of every class."""
    if prepared.moments is not None:
        last = folds_in_time(prepared.moments, _PARTS - 1)[-1]
        return Fold(np.sort(last.training), last.testing)
    return random_folds(prepared.target.y, _PARTS, seed, by_class=prepared.target.of_classes)[0]
