"""Whether two categories have the same level: is the bank in the borrower's own state?

A learner sees one column at a time. However well it knows the levels of both, it would have to learn for each of them
anew that the other one agrees. So categories that share their levels have a column that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from rowcast.models.encode.category_tables import groups_of
from rowcast.models.encode.inputs import MISSING, Floats, Labels

MOST_PAIRS = 10
_FEWEST_SHARED = 5
"""Fewer levels are told apart by splits."""


@dataclass(frozen=True)
class SameLevels:
    """A column for each of ``pairs``, two places among ``names``; ``levels`` are those known to be shared."""

    names: list[str]
    levels: list[str]
    pairs: list[list[int]]

    def sources(self) -> list[tuple[str, str]]:
        """The two categories of each column."""
        return [(self.names[first], self.names[second]) for first, second in self.pairs]

    @cached_property
    def codes(self) -> dict[str, float]:
        """A number for each level."""
        return {level: float(code) for code, level in enumerate(self.levels)}

    @staticmethod
    def other(place: int) -> float:
        """What stands for all other levels of the category at ``place``: never the same as anything of another one."""
        return -1.0 - place

    def transform(self, labels: Mapping[str, Labels]) -> Floats:
        """1 where both are the same, else 0: [N, len(pairs)]."""
        known = self.codes
        columns = []
        for place, name in enumerate(self.names):
            column = labels[name]
            columns.append(np.array([known.get(level, self.other(place)) for level in column.levels])[column.codes])
        return np.column_stack([columns[first] == columns[second] for first, second in self.pairs]).astype(np.float32)


def fit_same_levels(labels: Mapping[str, Labels]) -> SameLevels | None:
    """None where no two of these categories share half of the levels that one of them has in several rows."""
    kept = {name: set(groups_of(column, 2).levels) - {MISSING} for name, column in labels.items()}
    shared = {pair: kept[pair[0]] & kept[pair[1]] for pair in combinations(sorted(kept), 2)}
    alike = [
        (first, second)
        for (first, second), both in shared.items()
        if len(both) >= max(_FEWEST_SHARED, min(len(kept[first]), len(kept[second])) / 2)
    ]
    if not alike:
        return None
    chosen = sorted(alike, key=lambda pair: (-len(shared[pair]), pair))[:MOST_PAIRS]
    names = sorted({name for pair in chosen for name in pair})
    levels = sorted(set[str]().union(*(shared[pair] for pair in chosen)))
    return SameLevels(names, levels, [[names.index(name) for name in pair] for pair in chosen])
