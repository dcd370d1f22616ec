"""The distinct cells of a column, each read once for a whole file instead of once for every part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import numpy.typing as npt
import polars as pl

from rowcast.models.encode.inputs import Floats

MOST_CELLS = 20_000
MOST_CELLS_OF_ALL = 500_000
"""Distinct cells that are kept of one column, and of all columns together."""

LONGEST = 100
"""Bytes of a cell on average: longer ones take much memory, and rarely repeat."""

Codes = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Read:
    """What cells say, in their order: numbers with NaN for "not known", or texts. ``faults`` are the codes of what is
    wrong with some, by place."""

    values: Floats | list[str]
    faults: dict[int, str] = field(default_factory=dict)


class Lexicon:
    """Numbers the distinct cells of a column as they turn up. Safe to use from any number of threads."""

    def __init__(self, read: Callable[[pl.Series], Read], most: int = MOST_CELLS) -> None:
        self._read = read
        self._most = most
        self._known: Read | None = None
        self._lock = Lock()
        self._categories = pl.Categories.random()
        # Polars forgets the categories that no series uses. None when there are too many.
        self._used: pl.Series | None = pl.Series(dtype=pl.Categorical(self._categories))

    def look_up(self, cells: pl.Series) -> tuple[Read, Codes] | None:
        """Of text without nulls: what the cells met so far say, and which of them each of these is. None where there
        are too many different ones to be kept, or they are too long."""
        if cells.estimated_size() > LONGEST * cells.len():
            return None
        with self._lock:  # a category that another thread is about to add has a number, but no text yet
            if self._used is None:
                return None
            codes = cells.cast(self._used.dtype).to_physical().to_numpy()
            return self._knowing(int(codes.max(initial=0)) + 1), codes

    def _knowing(self, count: int) -> Read:
        """What at least so many cells say."""
        known = self._known
        if known is None:
            known = self._known = self._read(self._categories.to_series())
        elif len(known.values) < count:
            known = self._known = _joined(known, self._read(self._categories.to_series().slice(len(known.values))))
        if len(known.values) > self._most:
            self._known = self._used = None
        return known


def _joined(first: Read, second: Read) -> Read:
    start = len(first.values)
    faults = first.faults | {start + place: code for place, code in second.faults.items()}
    if isinstance(first.values, list):
        return Read([*first.values, *second.values], faults)
    return Read(np.concatenate([first.values, np.asarray(second.values, dtype=np.float32)]), faults)
