"""Tables and bars of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich import box
from rich.table import Table

from rowcast.entrypoints.cli.session import clean
from rowcast.models.views import LeftOut, Metric, TrainingResult

BLOCK = "█"
PARTS = " ▏▎▍▌▋▊▉"
WIDE = 128
"""Columns that four metrics with their intervals need."""


def table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = (), title: str = ""
) -> Table:
    """A plain table; columns named in ``right`` are figures. None shows as nothing."""
    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
    figures = set(right)
    for header in headers:
        made.add_column(header, justify="right" if header in figures else "left", overflow="fold")
    for row in rows:
        made.add_row(*("" if cell is None else clean(cell) for cell in row))
    return made


def leaderboard(result: TrainingResult, width: int) -> Table:
    """The candidates, best first, each metric with its 95 % interval, the primary one first; where the screen is too
    narrow for all of that, fewer metrics, and the interval of the primary one alone."""
    wide = width >= WIDE
    names = metric_names([item.metrics for item in result.candidates], result.primary_metric, most=4 if wide else 3)
    rows = [
        (
            candidate.version,
            candidate.algorithm,
            *(metric(find(candidate.metrics, name), interval=wide or name == names[0]) for name in names),
            f"{candidate.seconds:.1f} s",
        )
        for candidate in result.candidates
    ]
    headers = ("version", "algorithm", *names, "time")
    return table(headers, rows, right=("version", *names, "time"))


def metric_names(groups: Iterable[Sequence[Metric]], primary: str, most: int = 4) -> list[str]:
    """The metrics worth a column: the primary one, then the others in their order."""
    found = list(dict.fromkeys(metric.name for group in groups for metric in group))
    return sorted(found, key=lambda name: name != primary)[:most]


def find(metrics: Sequence[Metric], name: str) -> Metric | None:
    return next((metric for metric in metrics if metric.name == name), None)


def metric(value: Metric | None, *, interval: bool = True) -> str:
    """``0.812 (0.79-0.83)``"""
    if value is None:
        return ""
    if not interval or value.low is None or value.high is None:
        return figure(value.value)
    return f"{figure(value.value)} ({figure(value.low)}-{figure(value.high)})"


def figure(value: float | None) -> str:
    """A number with the digits that matter."""
    if value is None:
        return ""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))
    return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def percent(part: float, whole: float) -> str:
    """``12 %``; less than half a percent shows as more than nothing."""
    if not part or not whole:
        return ""
    share = 100 * part / whole
    return "< 1 %" if share < 0.5 else f"{share:.0f} %"


def counted(count: int, noun: str) -> str:
    """``1 row`` or ``2,000 rows``"""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def probability(value: float) -> str:
    return f"{100 * value:.1f} %"


def moment(value: datetime | None) -> str:
    """A moment on the clock of whoever reads it."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M") if value else ""


def left_out(columns: Iterable[LeftOut]) -> Table:
    return table(("left out", "why"), [(item.column, item.reason) for item in columns])


def bar(value: float, largest: float, width: int = 30) -> str:
    """A horizontal bar, exact to an eighth of a letter."""
    if largest <= 0 or value <= 0:
        return ""
    eighths = round(width * 8 * min(1.0, value / largest))
    return BLOCK * (eighths // 8) + PARTS[eighths % 8].strip()


def chart(items: Sequence[tuple[str, float]], *, width: int = 30) -> Table:
    """A bar for each item, the longest for the largest."""
    largest = max((value for _, value in items), default=0.0)
    made = Table(box=None, show_header=False, pad_edge=False)
    for style in (None, "cyan", "dim"):
        made.add_column(style=style, no_wrap=True)
    for name, value in items:
        made.add_row(clean(name), bar(value, largest, width), f"{value:.4f}")
    return made
