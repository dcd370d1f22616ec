"""Bands: intervals of the score with what happened to the held-out rows in each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.evaluate.intervals import wilson

MOST_BANDS = 10
_ROWS_PER_BAND = 50
_VARIANCE_OF_NEW_ROWS = 5.0
"""That of the difference between the rates of n and n / 4 rows, as a multiple of that of the rate of n rows."""


def bands(score: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """At most ten intervals of the probability [N] with about as many rows each, lowest first, from 0 to 1.

    Each has ``low`` (inclusive) and ``high`` (exclusive, but for the last), ``count``, the ``observed`` rate of the
    positive class and its 95 % Wilson interval ``observed_low`` to ``observed_high``: where the true rate lies. What is
    observed in new rows varies more, for they vary as well: ``new_low`` to ``new_high`` is where 95 % of the rates of
    a quarter as many new rows lie (as in a test on a fifth of a table). Equal scores stay together.
    """
    if not len(score):
        return []
    order = np.argsort(score, kind="stable")
    ascending = score[order].astype(np.float64)
    parts = max(1, min(MOST_BANDS, len(order) // _ROWS_PER_BAND))
    wanted = np.linspace(0, len(order), parts + 1)[:-1].astype(np.int64)
    starts = np.unique(np.searchsorted(ascending, ascending[wanted], "left"))
    counts = np.diff(np.append(starts, len(order)))
    hits = np.add.reduceat(positive[order].astype(np.int64), starts)
    low, high = wilson(hits, counts)
    new_low, new_high = wilson(hits / _VARIANCE_OF_NEW_ROWS, counts / _VARIANCE_OF_NEW_ROWS)
    inner = [float(ascending[start] + ascending[start - 1]) / 2 for start in starts[1:]]
    edges = [0.0, *inner, 1.0]
    return [
        {
            "low": edges[number],
            "high": edges[number + 1],
            "count": int(counts[number]),
            "observed": float(hits[number] / counts[number]),
            "observed_low": float(low[number]),
            "observed_high": float(high[number]),
            "new_low": float(new_low[number]),
            "new_high": float(new_high[number]),
        }
        for number in range(len(counts))
    ]
