"""A curve drawn with letters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

WIDTH, HEIGHT = 60, 12
POINT, MARK = "•", "◆"


def plot(
    points: Sequence[tuple[float, float]],
    mark: tuple[float, float],
    along: Callable[[float], str],
    up: Callable[[float], str],
    floor: float,
) -> list[str]:
    """Lines of a plot of steps (x, y), x rising, each holding until the next, with ``mark`` drawn over it.

    What is lower than ``floor`` is not drawn, so that the rest can be told apart.
    ``along`` and ``up`` write the ends of the axes.
    """
    left, right = points[0][0], points[-1][0]
    xs = [x for x, _ in points]
    steps = [left + (right - left) * column / (WIDTH - 1) for column in range(WIDTH)]
    heights = [points[max(0, bisect_right(xs, step) - 1)][1] for step in steps]
    low, high = max(floor, min(*heights, mark[1])), max(*heights, mark[1])
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for column, height in enumerate(heights):
        if height < low:
            continue
        grid[_row(height, low, high)][column] = POINT
    place = round((WIDTH - 1) * (mark[0] - left) / (right - left)) if right > left else 0
    grid[_row(mark[1], low, high)][min(max(place, 0), WIDTH - 1)] = MARK
    names = {0: up(high), HEIGHT - 1: up(low)}
    margin = max(map(len, names.values()))
    lines = [f"{names.get(row, ''):>{margin}} │{''.join(letters)}".rstrip() for row, letters in enumerate(grid)]
    ends = along(left), along(right)
    lines.append(f"{'':>{margin}} └{'─' * WIDTH}")
    lines.append(f"{'':>{margin}}  {ends[0]}{ends[1]:>{WIDTH - len(ends[0])}}")
    return lines


def _row(height: float, low: float, high: float) -> int:
    """The line of a height, from the top."""
    share = (height - low) / (high - low) if high > low else 0.5
    return round((1 - share) * (HEIGHT - 1))
