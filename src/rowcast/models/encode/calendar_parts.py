"""Year, month, weekday and day of the month of days since 1970-01-01: by integer arithmetic in numpy, by table in ONNX.

The arithmetic is that of C. Neri and L. Schneider, "Euclidean affine functions and their application to calendar
algorithms" (2021): the year starts in March, so that the leap day is its last. Days are clipped to the years 1 to 9999.
The calendar repeats every 400 years, so in a graph, where every node costs a microsecond, a table of one such cycle
takes the place of twenty nodes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph

PARTS = 4
"""Of which models of earlier releases saw the first three."""

_FIRST, _LAST = -719_162, 2_932_896
_MARCH_OF_YEAR_0 = 719_468
_CYCLE = 146_097
_CYCLES = 26


def calendar_parts(days: Floats) -> Floats:
    """Year, month (1-12), weekday (0 is Monday) and day of the month (1-31) of days [N]: float32 [N,4], NaN where
    ``days`` is NaN."""
    missing = np.isnan(days)
    whole = np.clip(np.floor(np.where(missing, np.float32(0), days)), _FIRST, _LAST).astype(np.int32)
    parts = _parts(whole + np.int32(_MARCH_OF_YEAR_0)).astype(np.float32)
    parts[missing] = np.nan
    return parts


def _parts(day: NDArray[np.int32]) -> NDArray[np.int32]:
    """Of days since 1 March of the year 0, none negative: int32 [N,4]."""
    quarters = 4 * day + 3
    century = quarters // _CYCLE
    rest = 4 * ((quarters - _CYCLE * century) // 4) + 3
    year = rest // 1461
    fifths = 5 * ((rest - 1461 * year) // 4) + 461  # of days of the year, of which five months have 153
    month = fifths // 153  # 3 is March, 14 next year's February
    late = (month - 1) // 12
    weekday = day + 2 - 7 * ((day + 2) // 7)  # numpy divides by a constant much faster than it takes remainders
    of_month = (fifths - 153 * month) // 5 + 1
    return np.column_stack([100 * century + year + late, month - 12 * late, weekday, of_month])


def calendar_nodes(graph: OnnxGraph, days: str, dates: int) -> str:
    """The nodes that compute ``calendar_parts`` of a float32 [N,dates] tensor, side by side: [N, 4 dates]."""
    # What is missing becomes a day of a cycle before the year 0, whose row in the table of cycles is NaN.
    first, last = graph.constant(float(_FIRST)), graph.constant(float(_LAST))
    clipped = graph.add("Clip", graph.add("Floor", days), first, last)
    nowhere = graph.constant(float(_FIRST - _CYCLE))
    known = graph.add("Where", graph.add("IsNaN", days), nowhere, clipped)
    shift = graph.constant(_MARCH_OF_YEAR_0 + _CYCLE, np.int32)
    day = graph.add("Add", graph.add("Cast", known, to=6), shift)
    length = graph.constant(_CYCLE, np.int32)
    in_cycle = graph.add("Gather", graph.constant(_one_cycle(), np.float16), graph.add("Mod", day, length))
    start = graph.add("Gather", graph.constant(_starts()), graph.add("Div", day, length))
    parts = graph.add("Add", graph.add("Cast", in_cycle, to=1), start)
    return graph.add("Reshape", parts, graph.constant([-1, PARTS * dates], np.int64))


def _one_cycle() -> NDArray[np.int32]:
    return _parts(np.arange(_CYCLE, dtype=np.int32))


def _starts() -> Floats:
    starts = np.zeros((_CYCLES + 1, PARTS), dtype=np.float32)
    starts[1:, 0] = 400 * np.arange(_CYCLES)
    starts[0] = np.nan
    return starts
