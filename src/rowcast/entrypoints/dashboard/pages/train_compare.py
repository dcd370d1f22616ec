"""Versions of a model side by side: their figures with intervals, and the curves of rows held out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import streamlit as st

from rowcast.entrypoints.dashboard.charts import NAMES, draw, table
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages import train_curves as curves
from rowcast.entrypoints.dashboard.pages.models_choice import version_of
from rowcast.entrypoints.dashboard.pages.train_dependence import show_dependence
from rowcast.entrypoints.dashboard.tabs import show_open_tab
from rowcast.entrypoints.dashboard.theme import BLUE, SERIES
from rowcast.models.recipe import Problem
from rowcast.models.views import Metric, ModelVersion, ModelVersionDetail, TrainingResult

MOST_COMPARED = 6
"""Versions that are told apart by colour."""

MOST_FEATURES = 15
BAR_PIXELS = 24


def show_comparison(page: Page) -> None:
    """Choose a model and versions of it, and compare them."""
    t = page.t
    models = page.recall("models", page.client.models.list)
    if not models:
        st.info(t("train.no_models"), icon=":material/info:")
        return
    names = [model.name for model in models]
    name = st.selectbox(t("train.model"), names, key="train.compared_model")
    versions = page.recall(f"models.{name}.versions", lambda: page.client.models.versions(name))
    by_number = {version.number: version for version in versions}
    numbers = st.multiselect(
        t("train.versions"), list(by_number), default=list(by_number)[:3], max_selections=MOST_COMPARED,
        format_func=lambda number: title_of(by_number[number]), key=f"train.compared.{name}",
    )  # fmt: skip
    compare(page, name, numbers)


def compare(page: Page, model: str, numbers: Sequence[int]) -> None:
    """The figures of these versions, and their curves."""
    versions = [version_of(page, f"{model}@{number}") for number in numbers[:MOST_COMPARED]]
    if not versions:
        return
    st.subheader(page.t("train.comparison"))
    st.caption(page.t("train.held_out"))
    st.dataframe(metric_table(page, versions), hide_index=True, height="content")
    alike = [version for version in versions if version.problem is versions[0].problem]
    _primary(page, alike)
    _curves(page, alike)
    _runs(page, versions)


def _runs(page: Page, versions: Sequence[ModelVersionDetail]) -> None:
    """Links to the versions' runs in MLflow, where it has them and people can open it."""
    with st.container(horizontal=True):
        for version in versions:
            if version.tracking is not None and version.tracking.url:
                label = page.t("train.mlflow", version=plain(title_of(version)))
                st.link_button(label, version.tracking.url, icon=":material/open_in_new:")


def title_of(version: ModelVersion) -> str:
    """What a version is called in a comparison."""
    return f"{version.number} · {version.algorithm}"


def shown(page: Page, metric: Metric) -> str:
    """A figure with its interval."""
    value = page.f.number(metric.value, 3)
    if metric.low is None or metric.high is None:
        return value
    return f"{value} ({page.f.number(metric.low, 3)} – {page.f.number(metric.high, 3)})"


def metric_table(page: Page, versions: Sequence[ModelVersion]) -> list[dict[str, str]]:
    """A line for each figure, a column for each version."""
    by_version = [{metric.name: metric for metric in version.metrics} for version in versions]
    names = dict.fromkeys(name for metrics in by_version for name in metrics)
    rows = []
    for name in names:
        row = {page.t("train.figure"): page.t.get(f"metric.{name}") or name}
        for version, metrics in zip(versions, by_version, strict=True):
            row[title_of(version)] = shown(page, metrics[name]) if name in metrics else "—"
        rows.append(row)
    return rows


def show_ways_on(page: Page, result: TrainingResult) -> None:
    """Whether the best of it serves, and where to go from here."""
    t = page.t
    if result.promoted:
        st.write(t("train.promoted", version=result.best_version))
    with st.container(horizontal=True):
        if result.promoted:
            page.link("predict", t("train.predict"), icon=":material/online_prediction:", model=result.model)
        page.link("models", t("train.to_models"), icon=":material/workspaces:", model=result.model)


def show_candidates(page: Page, result: TrainingResult) -> None:
    """What was tried, best first."""
    t, f = page.t, page.f
    rows = []
    for candidate in result.candidates:
        metric = next(each for each in candidate.metrics if each.name == result.primary_metric)
        rows.append(
            {
                t("data.version"): "" if candidate.version is None else str(candidate.version),
                t("train.algorithm"): candidate.algorithm,
                t.get(f"metric.{metric.name}") or metric.name: shown(page, metric),
                t("train.seconds"): f.duration(candidate.seconds),
            }
        )
    st.dataframe(rows, hide_index=True)


def primary_rows(versions: Sequence[ModelVersion]) -> list[dict[str, Any]]:
    """The figure that each version was compared by, with its interval."""
    rows = []
    for version in versions:
        metric = next(iter(version.metrics), None)
        if metric is not None:
            low, high = metric.low or metric.value, metric.high or metric.value
            rows.append({"version": title_of(version), "value": metric.value, "low": low, "high": high})
    return rows


def _primary(page: Page, versions: Sequence[ModelVersion]) -> None:
    rows = primary_rows(versions)
    if len(rows) < 2:
        return
    metric = next(version.metrics[0].name for version in versions if version.metrics)
    name = page.t.get(f"metric.{metric}") or metric
    base = alt.Chart(table(rows)).encode(y=alt.Y("version:N", sort=None, title=None, axis=NAMES))
    along = alt.X("low:Q", title=name, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6))
    ranges = base.mark_rule(strokeWidth=3, color=BLUE).encode(x=along, x2="high:Q")
    points = base.mark_point(filled=True, size=90, color=BLUE, opacity=1).encode(x="value:Q")
    draw(alt.layer(ranges, points), page.f, alt_text=name, height=BAR_PIXELS * len(rows) + 90)


@st.fragment
def _curves(page: Page, versions: Sequence[ModelVersionDetail]) -> None:
    t = page.t
    drawn = {
        Problem.BINARY: ("roc", "pr", "calibration", "confusion", "importance", "dependence"),
        Problem.MULTICLASS: ("calibration", "confusion", "importance", "dependence"),
        Problem.REGRESSION: ("residuals", "predicted_vs_actual", "importance", "dependence"),
    }[versions[0].problem]
    shows = {t(f"curve.{name}"): partial(_curve, page, name, versions) for name in drawn}
    show_open_tab(shows, f"train.curves.{versions[0].problem.value}")


def _curve(page: Page, name: str, versions: Sequence[ModelVersionDetail]) -> None:
    st.caption(page.t(f"curve_text.{name}"))
    titles = [title_of(version) for version in versions]
    evaluations = dict(zip(titles, (version.evaluation for version in versions), strict=True))
    match name:
        case "roc":
            _lines(page, name, curves.line_rows(evaluations, "roc", "fpr", "tpr"), titles, diagonal=True)
        case "pr":
            _lines(page, name, curves.line_rows(evaluations, "pr", "recall", "precision"), titles)
        case "calibration":
            rows = curves.line_rows(evaluations, "calibration", "predicted", "observed")
            _lines(page, name, rows, titles, diagonal=True, points=True)
        case "confusion":
            _each(page, versions, curves.confusion_rows, _confusion)
        case "importance":
            _each(page, versions, curves.importance_rows, _importance)
        case "dependence":
            show_dependence(page, evaluations, versions[0].problem)
        case "residuals":
            _points(page, name, curves.line_rows(evaluations, "residuals", "predicted", "residual"), titles)
        case _:
            rows = curves.line_rows(evaluations, "predicted_vs_actual", "actual", "predicted")
            _points(page, name, rows, titles)


def _color(titles: Sequence[str]) -> alt.Color:
    scale = alt.Scale(domain=list(titles), range=list(SERIES[: len(titles)]))
    return alt.Color("version:N", title=None, scale=scale, legend=alt.Legend(orient="top"))


def _lines(
    page: Page,
    name: str,
    rows: Sequence[dict[str, Any]],
    titles: Sequence[str],
    *,
    diagonal: bool = False,
    points: bool = False,
) -> None:
    """Curves from 0 to 1 both ways, told apart by colour and by dashes."""
    t, whole = page.t, alt.Scale(domain=[0, 1])
    dashes = alt.StrokeDash("version:N", sort=list(titles), legend=None)
    lines = (
        alt.Chart(table(rows))
        .mark_line(point=points, strokeWidth=2)
        .encode(
            x=alt.X("x:Q", title=t(f"curve_x.{name}"), scale=whole, axis=alt.Axis(tickCount=5)),
            y=alt.Y("y:Q", title=t(f"curve_y.{name}"), scale=whole, axis=alt.Axis(tickCount=5)),
            order="place:Q",
            color=_color(titles),
            strokeDash=dashes,
        )
    )
    corners = table([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
    chance = alt.Chart(corners).mark_line(color="gray", strokeDash=[2, 4]).encode(x="x:Q", y="y:Q")
    draw(alt.layer(chance, lines) if diagonal else lines, page.f, alt_text=t(f"curve_text.{name}"), height=360)


def _points(page: Page, name: str, rows: Sequence[dict[str, Any]], titles: Sequence[str]) -> None:
    t = page.t
    scatter = (
        alt.Chart(table(rows))
        .mark_point(opacity=0.6, size=25)
        .encode(
            x=alt.X("x:Q", title=t(f"curve_x.{name}"), scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", title=t(f"curve_y.{name}"), scale=alt.Scale(zero=False)),
            color=_color(titles),
            shape=alt.Shape("version:N", sort=list(titles), legend=None),
        )
    )
    draw(scatter, page.f, alt_text=t(f"curve_text.{name}"), height=360)


def _each(page: Page, versions: Sequence[ModelVersionDetail], rows_of: Any, picture_of: Any) -> None:
    """A picture of its own for each version, two abreast."""
    for start in range(0, len(versions), 2):
        for column, version in zip(st.columns(2), versions[start : start + 2], strict=False):
            rows = rows_of(version.evaluation)
            if not rows:
                continue
            with column:
                st.markdown(f"**{plain(title_of(version))}**")
                picture_of(page, rows)


def _confusion(page: Page, rows: Sequence[dict[str, Any]]) -> None:
    t = page.t
    base = alt.Chart(table([{**row, "shown": page.f.number(row["count"], 0)} for row in rows])).encode(
        x=alt.X("predicted:N", sort=None, title=t("curve_x.confusion"), axis=alt.Axis(labelAngle=0)),
        y=alt.Y("actual:N", sort=None, title=t("curve_y.confusion")),
    )
    shades = alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=["#EAF2F8", BLUE]), legend=None)
    ink = alt.when("datum.share > 0.5").then(alt.value("white")).otherwise(alt.value("#16202B"))
    cells, counts = base.mark_rect().encode(color=shades), base.mark_text(fontSize=14).encode(text="shown:N", color=ink)
    draw(alt.layer(cells, counts), page.f, alt_text=t("curve_text.confusion"), height=240)


def _importance(page: Page, rows: Sequence[dict[str, Any]]) -> None:
    best = rows[:MOST_FEATURES]
    base = alt.Chart(table(best)).encode(y=alt.Y("feature:N", sort=None, title=None, axis=NAMES))
    along = alt.X("mean:Q", title=page.t("curve_x.importance"))
    bars = base.mark_bar(color=BLUE, cornerRadius=2).encode(x=along)
    ranges = base.mark_rule(color="gray").encode(x="low:Q", x2="high:Q")
    text = page.t("curve_text.importance")
    draw(alt.layer(bars, ranges), page.f, alt_text=text, height=BAR_PIXELS * len(best) + 50)
