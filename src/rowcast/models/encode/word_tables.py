"""Words of categories as columns: banks called "First National" and "National Savings" have one in common.

Of a category with many levels most are too rare to learn from by themselves. The words that they share are not: each of
the commonest becomes a column that says "the level has this word". Only the words of levels that were learned from are
known, so that nothing is taken to pieces when a row is encoded: a level is looked up, others have no words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rowcast.models.encode.category_tables import FEW_LEVELS, groups_of
from rowcast.models.encode.inputs import Floats, Labels

MOST_WORDS = 30
_LEAST_SHARE = 0.005
_LEAST_ROWS = 10
"""A word is in at least so many of the rows, and of them in at least this share."""

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class WordTable:
    """``levels[level]`` are the places of its words among ``words``; levels without any are left out."""

    name: str
    words: list[str]
    levels: dict[str, list[int]]

    @cached_property
    def patterns(self) -> tuple[dict[str, int], Floats]:
        """Levels as rows of a matrix [patterns, words] of 0 and 1. Its first row, which is all 0, is for all others."""
        rows: dict[tuple[int, ...], int] = {(): 0}
        codes = {level: rows.setdefault(tuple(places), len(rows)) for level, places in self.levels.items()}
        matrix = np.zeros((len(rows), len(self.words)), dtype=np.float32)
        for places, row in rows.items():
            matrix[row, list(places)] = 1.0
        return codes, matrix

    def transform(self, labels: Labels) -> Floats:
        """[N, len(words)]"""
        codes, matrix = self.patterns
        return matrix[np.array([codes.get(level, 0) for level in labels.levels], dtype=np.intp)[labels.codes]]


def fit_words(name: str, labels: Labels) -> tuple[WordTable, Floats] | None:
    """The table of a category, and the columns of the rows that it was learned from; None where levels are few or share
    no words.

    In those columns a level that one row has is without words, for that is how it would be seen had the row not been
    there.
    """
    groups = groups_of(labels, 1)
    rows = np.bincount(groups.codes, minlength=groups.count)[:-1]
    words = _common_words(groups.levels, rows, len(labels))
    if not words:
        return None
    place = {word: number for number, word in enumerate(words)}
    found = {level: sorted(place[word] for word in _words_of(level) & place.keys()) for level in groups.levels}
    table = WordTable(name, words, {level: places for level, places in found.items() if places})
    columns = table.transform(labels)
    columns[np.append(rows == 1, False)[groups.codes]] = 0.0
    return table, columns


def _common_words(levels: Sequence[str], rows: NDArray[np.int64], total: int) -> list[str]:
    """Words that several levels share, of levels that several rows have, the commonest first."""
    several = np.flatnonzero(rows > 1).tolist()
    if len(several) <= FEW_LEVELS:
        return []
    in_rows, in_levels = Counter[str](), Counter[str]()
    for number in several:
        words = _words_of(levels[number])
        in_levels.update(words)
        in_rows.update(dict.fromkeys(words, int(rows[number])))
    shared = [word for word, count in in_levels.items() if count > 1]
    least = max(_LEAST_ROWS, _LEAST_SHARE * total)
    common = [word for word in shared if least <= in_rows[word] < total]
    return sorted(common, key=lambda word: (-in_rows[word], word))[:MOST_WORDS]


def _words_of(level: str) -> set[str]:
    return {word for word in _WORD.findall(level.casefold()) if not word.isdigit()}
