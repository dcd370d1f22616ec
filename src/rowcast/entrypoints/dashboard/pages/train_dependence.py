"""Partial dependence: how each version's average answer goes with one feature, over how frequent its values are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import altair as alt
import streamlit as st

from rowcast.entrypoints.dashboard.charts import Plot, draw, table
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.train_curves import Evaluation, Rows
from rowcast.entrypoints.dashboard.theme import SERIES
from rowcast.models.recipe import Problem

BAR_PIXELS = 26
DENSITY_SHARE = 0.25
"""Of the height of a plot, for how frequent the values are."""

_AS_DRAWN = {"number": "Q", "date": "T"}
Curves = Mapping[str, Mapping[str, Any]]


def curves_of(evaluations: Mapping[str, Evaluation], feature: str) -> Curves:
    """By version the curve of a feature, where it has one."""
    found = {}
    for version, evaluation in evaluations.items():
        for curve in evaluation.get("partial_dependence") or ():
            if curve["feature"] == feature:
                found[version] = curve
    return found


def point_rows(curves: Curves, of: str) -> Rows:
    """The points of each version's curve in their order; ``value`` None is the one that is not known."""
    rows: Rows = []
    for version, curve in curves.items():
        points = zip(curve["values"], curve["averages"].get(of, ()), curve["counts"], strict=False)
        rows += [{"version": version, "value": value, "y": y, "count": count} for value, y, count in points]
    return rows


def density_rows(curve: Mapping[str, Any]) -> Rows:
    """The bars of how a number or date is spread."""
    histogram = curve["histogram"] or {"edges": (), "counts": ()}
    pairs = zip(pairwise(histogram["edges"]), histogram["counts"], strict=True)
    return [{"low": low, "high": high, "count": count} for (low, high), count in pairs]


def show_dependence(page: Page, evaluations: Mapping[str, Evaluation], problem: Problem) -> None:
    """Choose a feature, of several classes one, and see the versions' curves."""
    t = page.t
    features = dict.fromkeys(
        curve["feature"] for each in evaluations.values() for curve in each.get("partial_dependence") or ()
    )
    without = [plain(version) for version, each in evaluations.items() if "partial_dependence" not in each]
    if without:
        st.caption(t("dependence.none", versions=", ".join(without)))
    if not features:
        if not without:
            st.caption(t("dependence.no_feature"))
        return
    choice, which = st.columns(2)
    feature = choice.selectbox(t("dependence.feature"), list(features), key=f"train.dependence.{'.'.join(evaluations)}")
    curves = curves_of(evaluations, feature)
    outputs = list(dict.fromkeys(name for curve in curves.values() for name in curve["averages"]))
    of = outputs[0]
    if len(outputs) > 1:
        of = which.selectbox(t("dependence.class"), outputs, key=f"train.dependence_of.{'.'.join(evaluations)}")
    first = next(iter(curves.values()))
    kind, rows = str(first["kind"]), point_rows(curves, of)
    answer = t("dependence.number" if problem is Problem.REGRESSION else "dependence.chance", of=of)
    picture = _along(feature, answer, rows, first) if kind in _AS_DRAWN else _by_value(page, answer, rows)
    draw(picture, page.f, alt_text=t("curve_text.dependence"), height=_height(kind, rows))
    _not_known(page, rows, kind)


def _height(kind: str, rows: Rows) -> int:
    return 320 if kind in _AS_DRAWN else BAR_PIXELS * len({row["value"] for row in rows}) + 80


def _color(rows: Rows) -> alt.Color:
    versions = list(dict.fromkeys(row["version"] for row in rows))
    scale = alt.Scale(domain=versions, range=list(SERIES[: len(versions)]))
    return alt.Color("version:N", title=None, scale=scale, legend=alt.Legend(orient="top"))


def _along(feature: str, answer: str, rows: Rows, curve: Mapping[str, Any]) -> Plot:
    """Lines over a number or date, with the spread of its values at the bottom."""
    drawn = _AS_DRAWN[curve["kind"]]
    bars = density_rows(curve)
    most = max((bar["count"] for bar in bars), default=1) / DENSITY_SHARE
    spread = alt.Chart(table(bars)).mark_bar(color="gray", opacity=0.25).encode(
        x=alt.X(f"low:{drawn}", title=feature), x2="high",
        y=alt.Y("count:Q", axis=None, scale=alt.Scale(domain=[0, most])), y2=alt.datum(0),
    )  # fmt: skip
    known = [row for row in rows if row["value"] is not None]
    lines = alt.Chart(table(known)).mark_line(point=True, strokeWidth=2).encode(
        x=alt.X(f"value:{drawn}", title=feature, scale=alt.Scale(zero=False, nice=False)),
        y=alt.Y("y:Q", title=answer, scale=alt.Scale(zero=False)),
        color=_color(known),
        strokeDash=alt.StrokeDash("version:N", legend=None),
    )  # fmt: skip
    picture: Plot = alt.layer(spread, lines).resolve_scale(y="independent")
    return picture


def _by_value(page: Page, answer: str, rows: Rows) -> Plot:
    """A point for each category or flag, which is written with how many rows have it."""
    counts: dict[Any, int] = {}
    for row in rows:
        counts.setdefault(row["value"], row["count"])
    shown = [
        {**row, "name": f"{_named(page, row['value'])} ({page.f.number(counts[row['value']], 0)})"} for row in rows
    ]
    base = alt.Chart(table(shown)).encode(
        y=alt.Y("name:N", sort=None, title=page.t("dependence.values"), axis=alt.Axis(labelLimit=180, grid=True)),
        x=alt.X("y:Q", title=answer, scale=alt.Scale(zero=False)),
    )
    points = base.mark_point(filled=True, size=90, opacity=0.9)
    picture: Plot = points.encode(color=_color(shown), shape=alt.Shape("version:N", legend=None))
    return picture


def _named(page: Page, value: Any) -> str:
    if value is None:
        return page.t("predict.unknown")
    return str(value) if not isinstance(value, bool) else page.t("predict.yes") if value else page.t("predict.no")


def _not_known(page: Page, rows: Sequence[Mapping[str, Any]], kind: str) -> None:
    """In words, what has no place along a number or date."""
    if kind not in _AS_DRAWN:
        return
    for row in rows:
        if row["value"] is None:
            told = {"version": plain(row["version"]), "average": page.f.number(row["y"], 3)}
            st.caption(page.t("dependence.not_known", **told, rows=page.f.number(row["count"], 0)))
