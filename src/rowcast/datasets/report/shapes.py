"""Figures as text, and small plots as SVG that a stylesheet colours; nothing here takes text from a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from markupsafe import Markup

from rowcast.datasets.schema import Kind
from rowcast.datasets.views import ColumnProfile, Histogram

_WIDTH, _HEIGHT, _GAP = 600, 120, 1
_DIGITS = 4
_SEPARATED = 10_000
"""Thousands are set apart from here on: below there are years."""
_ALIKE = 1e-6
_SVG = Markup('<svg viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">{}</svg>')


def figure(value: float | None) -> str:
    """A number with four digits that count, or all of those before the point."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0 or 1e-4 <= abs(value) < 1e15:
        places = _DIGITS - 1 - math.floor(math.log10(abs(value))) if value else 0
        separator = "," if abs(value) >= _SEPARATED else ""
        text = f"{value:{separator}.{max(0, places)}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
    return f"{value:.3e}"


def share(part: float, whole: float) -> str:
    """A part in per cent; what there is never reads as none, and what is not all never as all."""
    if not whole:
        return "–"
    per_cent = 100 * part / whole
    if 0 < per_cent < 0.1:
        return "< 0.1 %"
    if 99.9 < per_cent < 100:
        return "> 99.9 %"
    return f"{per_cent:.1f} %"


def value_of(column: ColumnProfile, value: float | None) -> str:
    """A value of the column: of a date the day, which profiles count from 1970-01-01."""
    if value is None or column.kind is not Kind.DATE:
        return figure(value)
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=value)).date().isoformat()
    except OverflowError:
        return figure(value)


def bar(fraction: float) -> Markup:
    """A bar of this share of the width; the figure that it shows has to stand beside it as text."""
    width = 100 * min(1.0, max(0.0, fraction)) if math.isfinite(fraction) else 0.0
    return _SVG.format(100, 8, Markup('<rect width="{}" height="8"/>').format(f"{width:.1f}"))


def bar_about_zero(value: float) -> Markup:
    """A bar from the middle, to the right for what is above 0 and to the left for what is below, of -1 to 1."""
    width = 50 * min(1.0, abs(value)) if math.isfinite(value) else 0.0
    rect = Markup('<rect x="{}" width="{}" height="8"/><path d="M50 0V8"/>')
    return _SVG.format(100, 8, rect.format(f"{50 if value >= 0 else 50 - width:.1f}", f"{width:.1f}"))


@dataclass(frozen=True)
class Bars:
    """A histogram drawn, and what its sides stand for. With ``tails`` the outermost bars gather what lies beyond."""

    picture: Markup
    left: str
    right: str
    tails: bool
    told: str


def bars(column: ColumnProfile) -> Bars | None:
    """The histogram of a column of numbers or dates, None where it has none. ``told`` says its shape in words."""
    histogram = column.histogram
    if histogram is None or not any(histogram.counts):
        return None
    tails = _has_tails(histogram)
    edges = histogram.edges
    inner = edges[1:-1] if tails else edges
    most = max(range(len(histogram.counts)), key=lambda at: histogram.counts[at])
    low, high = value_of(column, edges[most]), value_of(column, edges[most + 1])
    part = share(histogram.counts[most], sum(histogram.counts))
    told = f"The highest bar has {part} of the known values, from {low} to {high}."
    left, right = value_of(column, inner[0]), value_of(column, inner[-1])
    return Bars(_drawn(histogram, tails=tails), left, right, tails, told)


def _has_tails(histogram: Histogram) -> bool:
    """Whether the first and the last bin are there for what is far out: they are not as wide as the others."""
    widths = [high - low for low, high in pairwise(histogram.edges)]
    return len(widths) > 2 and max(widths) - min(widths) > _ALIKE * max(widths)


def _drawn(histogram: Histogram, *, tails: bool) -> Markup:
    counts, step = histogram.counts, _WIDTH / len(histogram.counts)
    rect = Markup('<rect x="{}" y="{}" width="{}" height="{}"{}/>')
    drawn = []
    for at, count in enumerate(counts):
        height = _HEIGHT * count / max(counts)
        height = max(height, 1.0) if count else 0.0
        kind = Markup(' class="tail"') if tails and at in (0, len(counts) - 1) else ""
        x, width = at * step, step - _GAP
        drawn.append(rect.format(f"{x:.1f}", f"{_HEIGHT - height:.1f}", f"{width:.1f}", f"{height:.1f}", kind))
    return _SVG.format(_WIDTH, _HEIGHT, Markup("").join(drawn))
