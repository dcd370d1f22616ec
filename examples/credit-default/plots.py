"""The plots of both reports, as small SVG files whose text stays text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas
from measures import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#767676"


def _save(canvas: Canvas, path: Path) -> None:
    # The same figures make the same file: no date in it, and ids that do not change.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "credit-default", "font.family": "sans-serif"}):
        canvas.savefig(path, format="svg", bbox_inches="tight", facecolor="white", metadata={"Date": None})


def rates(path: Path, years: Sequence[int], found: Sequence[Figure], split: float) -> None:
    """The share of loans that were charged off, by year of approval, and where the table was split."""
    canvas = Canvas(figsize=(7, 3))
    axes = canvas.subplots()
    middle = [one.value for one in found]
    below, above = [one.value - one.low for one in found], [one.high - one.value for one in found]
    axes.errorbar(years, middle, yerr=[below, above], fmt="o", color=BLUE, capsize=2, markersize=4)
    axes.axvline(split, color=GREY, linestyle="--")
    across = axes.get_xaxis_transform()
    axes.text(split, 0.97, "learned from ", transform=across, va="top", ha="right", color=GREY)
    axes.set(xlabel="year of approval", ylabel="charged off", ylim=(0, None))
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
    axes.spines[["top", "right"]].set_visible(False)
    _save(canvas, path)


def intervals(path: Path, names: Sequence[str], sides: dict[str, Sequence[Figure]], label: str) -> None:
    """Figures with their intervals below one another; ``sides`` are at most two of them by name."""
    canvas = Canvas(figsize=(7, 0.6 + 0.35 * len(names)))
    axes = canvas.subplots()
    for place, ((side, found), color) in enumerate(zip(sides.items(), (BLUE, ORANGE), strict=False)):
        at = [row + 0.22 * place for row in range(len(names))]
        error = [[one.value - one.low for one in found], [one.high - one.value for one in found]]
        axes.errorbar(
            [one.value for one in found], at, xerr=error, fmt="o", color=color, label=side, capsize=2, markersize=4
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    _save(canvas, path)


def bars(path: Path, names: Sequence[str], values: Sequence[float], left_out: Sequence[bool], label: str) -> None:
    """Values above 0.5 as bars, those of columns that are left out in orange."""
    canvas = Canvas(figsize=(7, 0.6 + 0.24 * len(names)))
    axes = canvas.subplots()
    colors = [ORANGE if out else BLUE for out in left_out]
    axes.barh(range(len(names)), [value - 0.5 for value in values], left=0.5, color=colors)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel=label, xlim=(0.5, 1.0))
    axes.spines[["top", "right"]].set_visible(False)
    _save(canvas, path)
