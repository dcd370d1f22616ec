"""Categories as numbers: tables from level to value, each of them a column, learned from training rows.

Few levels become codes in the order of the target's mean (of their frequency with more than two classes), or a column
each that says "is this level", which shows what the order hides, such as a mean that other columns explain. Of many
levels there are up to three tables: the target's smoothed mean (unless there are more than two classes), the share of
rows that have the level, for what is common differs from what is rare, and where all levels are numbers, such as postal
codes, those numbers, for neighbours are often alike. Rare and unseen levels share the value ``other``; "not known" is a
level like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.cell_readers import LARGEST
from rowcast.datasets.values import read_number
from rowcast.models.encode.inputs import MISSING, Floats, Labels

FEW_LEVELS = 30
MOST_LEVELS = 100_000
_SMOOTHING = 3.0
"""Rows of the overall mean mixed into each level's own (Micci-Barreca, 2001)."""
_PARTS = 5


@dataclass(frozen=True)
class CategoryTable:
    """``values[level]``, else ``other``. With ``one_hot`` > 0 the values are codes, those below it get columns."""

    name: str
    values: dict[str, float]
    other: float
    one_hot: int = 0

    def transform(self, labels: Labels) -> Floats:
        lookup = np.array([self.values.get(level, self.other) for level in labels.levels], dtype=np.float32)
        return lookup[labels.codes]


@dataclass(frozen=True)
class Groups:
    """Rows by level kept, in order of the levels; the last group is "other", which may be empty."""

    levels: list[str]
    codes: NDArray[np.int64]

    @property
    def count(self) -> int:
        return len(self.levels) + 1


Fitted = tuple[CategoryTable, Floats]
"""A table, and the column of the rows that it was learned from."""


def fit_tables(
    name: str, labels: Labels, target: NDArray[np.float64] | None, *, codes: bool, one_hot: bool, seed: int
) -> list[Fitted]:
    """The tables of a category, cross-fitted where they hold means of the target. Few levels become a column of
    ``codes``, a column each, or both."""
    common = groups_of(labels, 3 if len(labels) < 2000 else 10)
    if len(common.levels) <= FEW_LEVELS:
        wanted = [False] * codes + [True] * one_hot
        return [_few(name, common, target, each) for each in wanted]
    groups = groups_of(labels, 2)
    fitted = [] if target is None else [_means(name, groups, target, seed)]
    fitted.append(_frequencies(name, groups))
    numbers = _numbers(groups.levels)
    if numbers is not None:
        fitted.append(_as_numbers(name, groups, numbers))
    return fitted


def groups_of(labels: Labels, least: int) -> Groups:
    counts = np.bincount(labels.codes, minlength=len(labels.levels))
    kept = np.flatnonzero(counts >= least)
    if len(kept) > MOST_LEVELS:
        kept = np.sort(kept[np.argsort(-counts[kept], kind="stable")[:MOST_LEVELS]])
    position = np.full(len(labels.levels), len(kept), dtype=np.int64)
    position[kept] = np.arange(len(kept))
    return Groups([labels.levels[i] for i in kept], position[labels.codes])


def _few(name: str, groups: Groups, target: NDArray[np.float64] | None, one_hot: bool) -> Fitted:
    counts = np.bincount(groups.codes, minlength=groups.count)
    rank = -counts.astype(np.float64) if target is None else _smoothed_means(groups, target)
    if one_hot and not counts[-1]:
        rank[-1] = np.inf  # nothing was learned about "other": it is the code without a column
    codes = np.empty(groups.count, dtype=np.float32)
    codes[np.argsort(rank, kind="stable")] = np.arange(groups.count)
    columns = (groups.count - (not counts[-1])) if one_hot else 0
    return _table(name, groups, codes, int(columns)), codes[groups.codes]


def _frequencies(name: str, groups: Groups) -> Fitted:
    """The share of the rows that have the level, 0 for "other"."""
    shares = (np.bincount(groups.codes, minlength=groups.count) / len(groups.codes)).astype(np.float32)
    shares[-1] = 0.0
    return _table(name, groups, shares), shares[groups.codes]


def _means(name: str, groups: Groups, target: NDArray[np.float64], seed: int) -> Fitted:
    means = _smoothed_means(groups, target).astype(np.float32)
    return _table(name, groups, means), _cross_fitted(groups, target, seed)


def _numbers(levels: Sequence[str]) -> Floats | None:
    """The levels as numbers, NaN for "not known"; None unless all the others are some."""
    found = [read_number(level) if level != MISSING else np.nan for level in levels]
    if None in found:
        return None
    numbers = np.array(found, dtype=np.float64)
    return None if (np.abs(numbers) > LARGEST).any() else numbers.astype(np.float32)


def _as_numbers(name: str, groups: Groups, numbers: Floats) -> Fitted:
    """The numbers that the levels are, and for other texts the one in the middle of them."""
    middle = np.nanmedian(np.append(numbers, np.nan)[groups.codes])
    values = np.append(np.where(np.isnan(numbers), middle, numbers), middle).astype(np.float32)
    return _table(name, groups, values), values[groups.codes]


def _table(name: str, groups: Groups, values: Floats, one_hot: int = 0) -> CategoryTable:
    by_level = dict(zip(groups.levels, values[:-1].tolist(), strict=True))
    return CategoryTable(name, by_level, float(values[-1]), one_hot)


def _smoothed_means(groups: Groups, target: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.bincount(groups.codes, minlength=groups.count)
    sums = np.bincount(groups.codes, weights=target, minlength=groups.count)
    smoothed: NDArray[np.float64] = (sums + _SMOOTHING * target.mean()) / (counts + _SMOOTHING)
    return smoothed


def _cross_fitted(groups: Groups, target: NDArray[np.float64], seed: int) -> Floats:
    """Each row's smoothed mean from the four fifths of the rows that it is not in."""
    part = np.random.default_rng(seed).permutation(len(target)) % _PARTS
    column = np.empty(len(target), dtype=np.float32)
    for number in range(_PARTS):
        inside = part == number
        others = Groups(groups.levels, groups.codes[~inside])
        column[inside] = _smoothed_means(others, target[~inside])[groups.codes[inside]]
    return column
