"""The curves of a version's evaluation as pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_PLACE, _WIDE = (0.16, 0.16, 0.8, 0.76), (0.32, 0.12, 0.64, 0.8)
"""Left, bottom, width and height of what is within the axes, as shares of the figure; labels of features are long. To
have Matplotlib find the place takes as long as all the rest of it."""

_MOST_FEATURES = 20
_LONGEST_LABEL = 24
_MOST_CELLS = 12
"""Classes up to which a confusion matrix has its counts written in it."""

_SHORT_LABEL = 10

Data = dict[str, Any]
Draw = Callable[[Axes, Data], None]


def draw_all(evaluation: Data, folder: Path) -> None:
    """A PNG file for each curve that there is."""
    with matplotlib.rc_context({"text.parse_math": False}):  # names of columns may hold dollars
        for name, draw in _PLOTS.items():
            if _is_empty(evaluation.get(name)):
                continue
            figure = Figure(figsize=(6.4, 4.8))
            draw(figure.add_axes(_WIDE if name == "importance" else _PLACE), evaluation)
            figure.savefig(folder / f"{name}.png", dpi=100)


def _is_empty(data: Any) -> bool:
    return not (any(data.values()) if isinstance(data, dict) else data)


def _roc(axes: Axes, data: Data) -> None:
    axes.plot(data["roc"]["fpr"], data["roc"]["tpr"])
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.set(title="ROC curve on held-out rows", xlabel="false positive rate", ylabel="true positive rate")


def _pr(axes: Axes, data: Data) -> None:
    axes.plot(data["pr"]["recall"], data["pr"]["precision"])
    axes.axhline(data["prevalence"] or 0.0, linestyle=":", color="grey")
    axes.set(title="Precision and recall on held-out rows", xlabel="recall", ylabel="precision")


def _calibration(axes: Axes, data: Data) -> None:
    for name, label in (("calibration_before", "before calibration"), ("calibration", "as served")):
        if bins := data.get(name):
            axes.plot(bins["predicted"], bins["observed"], marker="o", label=label)
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.legend()
    axes.set(title="Calibration on held-out rows", xlabel="predicted probability", ylabel="observed rate")


def _confusion(axes: Axes, data: Data) -> None:
    labels, counts = data["confusion"]["labels"], data["confusion"]["matrix"]
    axes.imshow(counts, cmap="Blues", alpha=0.6)
    places = range(len(labels))
    if len(labels) <= _MOST_CELLS:
        for row in places:
            for column in places:
                axes.text(column, row, f"{counts[row][column]:,}", ha="center", va="center")
        axes.set_xticks(places, [label[:_SHORT_LABEL] for label in labels])
        axes.set_yticks(places, [label[:_SHORT_LABEL] for label in labels])
    axes.set(title="Confusion on held-out rows", xlabel="predicted", ylabel="true")


def _importance(axes: Axes, data: Data) -> None:
    top = sorted(data["importance"], key=lambda one: one["mean"] or 0.0)[-_MOST_FEATURES:]
    axes.barh([_short(one["feature"]) for one in top], [one["mean"] or 0.0 for one in top])
    axes.set(title="Importance", xlabel="loss when the feature is shuffled")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def _predicted(axes: Axes, data: Data) -> None:
    pairs = data["predicted_vs_actual"]
    axes.scatter(pairs["predicted"], pairs["actual"], s=8, alpha=0.5)
    known = [value for value in pairs["actual"] if value is not None]
    ends = [min(known), max(known)]
    axes.plot(ends, ends, linestyle=":", color="grey")
    axes.set(title="Held-out rows", xlabel="predicted", ylabel="true")


def _residuals(axes: Axes, data: Data) -> None:
    axes.scatter(data["residuals"]["predicted"], data["residuals"]["residual"], s=8, alpha=0.5)
    axes.axhline(0, linestyle=":", color="grey")
    axes.set(title="Residuals of held-out rows", xlabel="predicted", ylabel="true minus predicted")


_PLOTS: dict[str, Draw] = {
    "roc": _roc,
    "pr": _pr,
    "calibration": _calibration,
    "confusion": _confusion,
    "importance": _importance,
    "predicted_vs_actual": _predicted,
    "residuals": _residuals,
}
