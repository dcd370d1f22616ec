"""The evaluation of a version as rows for plots: the very figures that the API gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Evaluation = Mapping[str, Any]
Rows = list[dict[str, Any]]


def line_rows(evaluations: Mapping[str, Evaluation], name: str, across: str, up: str) -> Rows:
    """The points of a curve of each version, in their order."""
    rows: Rows = []
    for version, evaluation in evaluations.items():
        curve = evaluation.get(name) or {}
        pairs = zip(curve.get(across, ()), curve.get(up, ()), strict=True)
        rows += [{"version": version, "place": place, "x": x, "y": y} for place, (x, y) in enumerate(pairs)]
    return rows


def confusion_rows(evaluation: Evaluation) -> Rows:
    """The cells of a confusion matrix; ``share`` is that of all cases that really were of the class."""
    confusion = evaluation.get("confusion") or {"labels": [], "matrix": []}
    rows: Rows = []
    for actual, counts in zip(confusion["labels"], confusion["matrix"], strict=True):
        total = sum(counts)
        for predicted, count in zip(confusion["labels"], counts, strict=True):
            share = count / total if total else 0.0
            rows.append({"actual": actual, "predicted": predicted, "count": count, "share": share})
    return rows


def importance_rows(evaluation: Evaluation) -> Rows:
    """How much worse the version gets without each feature, most first."""
    return sorted((dict(row) for row in evaluation.get("importance") or []), key=lambda row: -row["mean"])
