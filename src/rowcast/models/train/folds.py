"""Folds: which rows are learned from and which are tested, so that no row is ever tested by a model that saw it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.encode.inputs import Indices

_WATCHED_SHARE = 0.15


@dataclass(frozen=True)
class Fold:
    """Row numbers, ascending; in a fold in time ``training`` is in the order of time."""

    training: Indices
    testing: Indices


def random_folds(y: NDArray[Any], count: int, seed: int, *, by_class: bool) -> list[Fold]:
    """``count`` folds that test every row once; with ``by_class`` each class is spread evenly over them."""
    return [_fold(_parts(y, count, seed, by_class) == number) for number in range(count)]


def hold_out(y: NDArray[Any], seed: int, *, by_class: bool) -> list[Fold]:
    """One fold that tests a tenth of the rows."""
    return [_fold(_parts(y, 10, seed, by_class) == 0)]


def folds_in_time(moments: NDArray[np.float64], count: int) -> list[Fold]:
    """``count`` folds (fewer with few different moments), each testing rows later than all that it learns from.

    The rows are cut into ``count + 1`` stretches of time; fold i learns from the first i and tests the next. Rows of
    the same moment stay together.
    """
    order = np.argsort(moments, kind="stable")
    ascending = moments[order]
    wanted = np.linspace(0, len(order), count + 2)[1:-1].astype(np.int64)
    starts = np.unique(np.searchsorted(ascending, ascending[wanted], "left"))
    cuts = [*starts[starts > 0].tolist(), len(order)]
    return [Fold(order[:start], np.sort(order[start:end])) for start, end in pairwise(cuts)]


def watched_split(y: NDArray[Any], seed: int, *, by_class: bool, in_time: bool) -> tuple[Indices, Indices]:
    """Positions to learn from and to watch for early stopping, within the rows that a fold learns from.

    In time the last rows are watched, else a random share, which keeps at least one row of each class to learn from.
    """
    rows = len(y)
    if in_time:
        cut = max(1, round(rows * (1 - _WATCHED_SHARE)))
        return np.arange(cut), np.arange(cut, rows)
    watched = _parts(y, round(1 / _WATCHED_SHARE), seed, by_class) == 0
    if by_class:
        _, first = np.unique(y, return_index=True)
        watched[first] = False
    return np.flatnonzero(~watched), np.flatnonzero(watched)


def _fold(testing: NDArray[np.bool_]) -> Fold:
    return Fold(np.flatnonzero(~testing), np.flatnonzero(testing))


def _parts(y: NDArray[Any], count: int, seed: int, by_class: bool) -> NDArray[np.int64]:
    """A part 0..count-1 for every row; the parts' sizes differ by one at most, within every class too."""
    order = np.random.default_rng(seed).permutation(len(y))
    if by_class:
        order = order[np.argsort(y[order], kind="stable")]
    parts = np.empty(len(y), dtype=np.int64)
    parts[order] = np.arange(len(y)) % count
    return parts
