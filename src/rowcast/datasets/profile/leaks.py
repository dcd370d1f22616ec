"""Columns that know the outcome: filled in after it, or changed by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rowcast.datasets.profile.associations import TargetSample
from rowcast.datasets.views import ColumnProfile, TableWarning

CERTAIN = 0.99
"""Association (ROC AUC or R2) at which a column stands in for the target, unless others come close."""

SUSPICIOUS = 0.9
"""ROC AUC that no honest column reaches alone while nearly all others stay far behind."""

GAP = 3.0
"""How many times more the next best column must err: strong honest columns come as a ladder without such a gap."""

_FEW = 0.2
_LEAST_COLUMNS = 8
_LEAST_ERROR = 0.01
_HALF = 0.5
_LEAST_ROWS = 30
_LEAST_LIFT = 20.0

Mask = npt.NDArray[np.bool_]


def leak_warnings(sample: TargetSample, columns: Sequence[ColumnProfile], target: str) -> list[TableWarning]:
    """A warning for each column that gives the target away, with the reason; training leaves these out."""
    others = [column for column in columns if column.name != target]
    found = {c.name: leak for c in others if (leak := _presence(sample, c.name, target)) is not None}
    for leak in _too_good(others, is_number=sample.target.is_number, target=target):
        found.setdefault(str(leak.column), leak)
    return [found[column.name] for column in others if column.name in found]


def _leak(name: str, message: str, values: Mapping[str, Any]) -> TableWarning:
    return TableWarning(code="leak", column=name, message=message, exclude=True, values=values)


def _too_good(columns: Sequence[ColumnProfile], *, is_number: bool, target: str) -> Iterator[TableWarning]:
    """Columns above a wide gap in the ladder of single-column predictions, as few against many.

    An association of ``CERTAIN`` is a leak when fewer than half of the columns come near it; one of ``SUSPICIOUS``
    (for classes only: numbers such as an area and a price may well be that close) when nearly none does.
    """
    ladder = sorted((c for c in columns if c.association is not None), key=lambda c: -_strength(c))
    level = CERTAIN if is_number else SUSPICIOUS
    leaks = 0
    for rank, (column, following) in enumerate(pairwise(ladder), 1):
        certain = _strength(column) >= CERTAIN and rank < len(ladder) / 2
        suspicious = not is_number and rank <= _FEW * len(ladder) and len(ladder) >= _LEAST_COLUMNS
        if _strength(column) < level:
            break
        if (certain or suspicious) and _error(following) >= GAP * max(_error(column), _LEAST_ERROR):
            leaks = rank
    measure = "R2" if is_number else "ROC AUC"
    for column in ladder[:leaks]:
        message = (
            f"{column.name} alone predicts {target} with a {measure} of {_strength(column):.3f}, far better than other "
            "columns: it was probably filled in or changed after the outcome. Training leaves it out."
        )
        values = {"how": "alone", "target": target, "measure": measure, "strength": round(_strength(column), 3)}
        yield _leak(column.name, message, values)


def _strength(column: ColumnProfile) -> float:
    return column.association or 0.0


def _error(column: ColumnProfile) -> float:
    return 1.0 - _strength(column)


def _presence(sample: TargetSample, name: str, target: str) -> TableWarning | None:
    """Why being filled (or being empty) gives the class away; None when it does not."""
    if sample.target.is_number:
        return None
    values = sample.frame[name]
    missing = values.is_null().to_numpy()
    for mask, state in ((~missing, "filled"), (missing, "empty")):
        owner = _only_in_one_class(mask, sample)
        if owner is not None:
            message = (
                f"{name} is {state} almost only where {target} is {owner!r}: it is known only after the outcome. "
                "Training leaves it out."
            )
            return _leak(name, message, {"how": state, "target": target, "class": owner})
    return None


def _only_in_one_class(mask: Mask, sample: TargetSample) -> str | None:
    """The class that nearly all these rows are of, when they are at least half of it."""
    size = int(mask.sum())
    if size < _LEAST_ROWS or size == mask.size:
        return None
    inside = sample.target.values[mask].sum(0)
    total = sample.target.values.sum(0)
    best = int(np.argmax(inside))
    purity, base = inside[best] / size, total[best] / mask.size
    lift = (1 - base) / max(1 - purity, 1 / size)  # how much rarer the other classes are here than at large
    covers_class = inside[best] >= _HALF * total[best]
    return sample.target.classes[best] if lift >= _LEAST_LIFT and covers_class else None
