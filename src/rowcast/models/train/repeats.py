"""Rows that are copies of others: one case both learned from and tested makes held-out figures too good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.encode.inputs import Column, Inputs, Labels

_NOTABLE_SHARE = 0.05
_TIMES_CHANCE = 3.0
"""Columns of few values repeat themselves anyway: copies are many more than the shuffled columns would give."""

Keys = NDArray[np.uint64]


def repeats_warning(inputs: Inputs, y: NDArray[Any], seed: int) -> list[str]:
    """A sentence when many more rows than chance explains are the same as another in every feature and the target."""
    keys = [_key(column) for column in inputs.values()] + [np.ascontiguousarray(y).view(np.uint64)]
    share = _repeated_share(keys)
    if share < _NOTABLE_SHARE:
        return []
    rng = np.random.default_rng(seed)
    if share < _NOTABLE_SHARE + _TIMES_CHANCE * _repeated_share([rng.permutation(key) for key in keys]):
        return []
    return [
        f"{share:.0%} of the rows repeat another in every feature and the target. If they are copies of the same "
        "case, remove them: held-out figures are too good when a case is both learned from and tested."
    ]


def _key(column: Column) -> Keys:
    codes = column.codes if isinstance(column, Labels) else np.ascontiguousarray(column).view(np.int32)
    return codes.astype(np.uint64)


def _repeated_share(keys: Sequence[Keys]) -> float:
    mixed = np.zeros(len(keys[0]), dtype=np.uint64)
    for key in keys:  # the mixing of SplitMix64 (Steele, Lea and Flood, 2014)
        mixed = (mixed ^ key) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
    return 1 - len(np.unique(mixed)) / len(mixed)
