"""The exploratory report: distributions, missing values, what goes with the target, and what to beware of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import altair as alt
import streamlit as st

from rowcast.datasets.report.rendering import report
from rowcast.datasets.schema import TRAINABLE, Kind
from rowcast.datasets.views import ColumnProfile, Dataset, DatasetVersionDetail, TableProfile, TableWarning
from rowcast.entrypoints.dashboard.charts import HEIGHT, NAMES, Plot, draw, table
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.telling import said
from rowcast.entrypoints.dashboard.theme import BLUE, ORANGE
from rowcast.entrypoints.dashboard.work import begin, finished, outcome, under_way

MOST_BARS = 25
BAR_PIXELS = 22
FIGURE_PIXELS = 160
NO_USE = 0.5
"""The ROC AUC of a column that tells nothing."""


def show_report(page: Page, chosen: Dataset, detail: DatasetVersionDetail) -> None:
    """The report, with a target where one is chosen."""
    t = page.t
    names = [feature.name for feature in detail.table_schema.features]
    target = st.selectbox(
        t("data.target"), names, index=None, placeholder=t("data.no_target"), help=t("data.target_help"),
        key=f"data.target.{chosen.name}",
    )  # fmt: skip
    profile: TableProfile | None = detail.profile
    if target is not None:
        profile = profile_of(page, chosen.name, detail.number, target)
    if profile is None:
        return
    _warnings(page, profile.warnings)
    _as_file(page, chosen, detail, profile)
    if target is not None:
        _associations(page, profile)
    _missing(page, profile)
    _column(page, chosen, profile)


def _as_file(page: Page, chosen: Dataset, detail: DatasetVersionDetail, profile: TableProfile) -> None:
    """The report as one file, to read or send elsewhere."""
    content = page.recall(
        f"datasets.{detail.dataset}.{detail.number}.report.{profile.target}",
        lambda: report(detail, profile, description=chosen.description, made_at=datetime.now(UTC)),
    )
    saved_as = f"{detail.dataset}-{detail.number}.html"
    st.download_button(
        page.t("data.report_download"), content, saved_as, "text/html", on_click="ignore",
        icon=":material/download:", key="data.report_download",
    )  # fmt: skip


def profile_of(page: Page, name: str, version: int, target: str) -> TableProfile | None:
    """The table in figures, with how each column relates to the target. None while the server works on it: then the
    page shows how far it is, and runs again."""
    known, key = f"datasets.{name}.{version}.profile.{target}", f"data.profile.{name}.{version}.{target}"
    if not page.knows(known):
        if not under_way(key):
            client = page.client
            begin(key, lambda report: client.datasets.profile(name, target=target, version=version, progress=report))
        if not finished(page, key):
            return None
    profile: TableProfile = page.recall(known, lambda: outcome(key), seconds=math.inf)
    return profile


def _warnings(page: Page, warnings: Sequence[TableWarning]) -> None:
    t = page.t
    if not warnings:
        st.success(t("data.no_warnings"), icon=":material/check_circle:")
        return
    left_out = [warning for warning in warnings if warning.exclude]
    others = [warning for warning in warnings if not warning.exclude]
    if left_out:
        lines = "\n".join(f"- {said(page, each)}" for each in left_out)
        st.warning(f"{t('data.left_out')}\n\n{lines}", icon=":material/warning:")
    if others:
        lines = "\n".join(f"- {said(page, each)}" for each in others)
        with st.expander(t.count("data.more_warnings", len(others), page.f.number(len(others)))):
            st.markdown(lines)


def association_rows(profile: TableProfile) -> list[dict[str, Any]]:
    """How well each column alone tells the target, best first; those that training leaves out are marked."""
    left_out = {warning.column for warning in profile.warnings if warning.exclude}
    rows: list[dict[str, Any]] = [
        {
            "column": column.name,
            "association": column.association,
            "correlation": column.correlation,
            "left_out": column.name in left_out,
        }
        for column in profile.columns
        if column.association is not None
    ]
    return sorted(rows, key=lambda row: -row["association"])


def _associations(page: Page, profile: TableProfile) -> None:
    t, f = page.t, page.f
    rows = association_rows(profile)
    if not rows:
        return
    st.subheader(t("data.associations", target=plain(profile.target)))
    st.caption(t("data.associations_help"))
    words = {False: t("data.learned_from"), True: t("data.is_left_out")}
    shown = [{**row, "use": words[row["left_out"]], "shown": f.number(row["association"], 3)} for row in rows]
    shown = shown[:MOST_BARS]
    colors = alt.Scale(domain=[words[False], words[True]], range=[BLUE, ORANGE])
    floor = min(NO_USE, *(row["association"] for row in rows)) if len(rows) > 1 else 0.0
    base = alt.Chart(table(shown)).encode(
        y=alt.Y("column:N", sort=None, title=None, axis=NAMES),
        x=alt.X(
            "association:Q",
            title=t("data.association"),
            scale=alt.Scale(domainMin=floor, zero=False),
            axis=alt.Axis(grid=False),
        ),
    )
    bars = base.mark_bar(cornerRadius=2).encode(
        x2=alt.datum(floor), color=alt.Color("use:N", title=None, scale=colors, legend=alt.Legend(orient="top"))
    )
    picture = alt.layer(bars, base.mark_text(align="left", dx=4, color="gray").encode(text="shown:N"))
    draw(picture, f, alt_text=t("data.associations", target=str(profile.target)), height=BAR_PIXELS * len(shown) + 60)


def _missing(page: Page, profile: TableProfile) -> None:
    t, f = page.t, page.f
    rows = [
        {"column": each.name, "missing": each.missing / each.count, "shown": f.percent(each.missing / each.count)}
        for each in sorted(profile.columns, key=lambda column: -column.missing)
        if each.missing and each.count
    ][:MOST_BARS]
    st.subheader(t("data.missing_values"))
    if not rows:
        st.caption(t("data.nothing_missing"))
        return
    base = alt.Chart(table(rows)).encode(
        y=alt.Y("column:N", sort=None, title=None, axis=NAMES),
        x=alt.X("missing:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", grid=False)),
    )
    texts = base.mark_text(align="left", dx=4, color="gray").encode(text="shown:N")
    picture = alt.layer(base.mark_bar(cornerRadius=2, color=BLUE), texts)
    draw(picture, f, alt_text=t("data.missing_values"), height=BAR_PIXELS * len(rows) + 40)


def _column(page: Page, chosen: Dataset, profile: TableProfile) -> None:
    t, f = page.t, page.f
    st.subheader(t("data.one_column"))
    columns = {column.name: column for column in profile.columns}
    first = next((place for place, each in enumerate(profile.columns) if each.kind in TRAINABLE), 0)
    name = st.selectbox(t("data.column"), list(columns), index=first, key=f"data.column.{chosen.name}")
    column = columns[name]
    st.caption(plain(chosen.dictionary.get(name, "")))
    figures = {"data.distinct": f.number(column.distinct, 0), "data.missing": f.percent(column.missing / column.count)}
    if column.quantiles:
        figures |= {"data.median": _value(page, column, column.quantiles.get("0.5"))}
        figures |= {"data.mean": _value(page, column, column.mean)}
    with st.container(horizontal=True):
        for key, value in figures.items():
            st.metric(t(key), value, width=FIGURE_PIXELS)
    drawn = (_histogram(page, column), None) if column.histogram else _frequent(page, column)
    if drawn is not None:
        picture, height = drawn
        draw(picture, f, alt_text=t("data.distribution", column=name), height=height or HEIGHT)


def bins(column: ColumnProfile) -> list[dict[str, Any]]:
    """The bars of a histogram; those of dates with moments in milliseconds, as plots take them."""
    if column.histogram is None:
        return []
    scale = 86_400_000.0 if column.kind is Kind.DATE else 1.0
    edges = [edge * scale for edge in column.histogram.edges]
    pairs = zip(pairwise(edges), column.histogram.counts, strict=True)
    return [{"low": low, "high": high, "count": count} for (low, high), count in pairs]


def _histogram(page: Page, column: ColumnProfile) -> Plot:
    kind = "T" if column.kind is Kind.DATE else "Q"
    along = alt.X(f"low:{kind}", title=column.name, axis=alt.Axis(grid=False))
    bars = alt.Chart(table(bins(column))).mark_bar(color=BLUE, stroke="white", strokeWidth=0.5)
    picture: Plot = bars.encode(x=along, x2=f"high:{kind}", y=alt.Y("count:Q", title=page.t("data.row_count")))
    return picture


def _frequent(page: Page, column: ColumnProfile) -> tuple[Plot, int] | None:
    """The most frequent values, and the height that they need."""
    if not column.top or column.top[0].count == 1:
        return None
    rows = [{"value": each.value, "count": each.count} for each in column.top[:MOST_BARS]]
    bars = alt.Chart(table(rows)).mark_bar(color=BLUE, cornerRadius=2)
    picture: Plot = bars.encode(
        y=alt.Y("value:N", sort=None, title=None, axis=NAMES),
        x=alt.X("count:Q", title=page.t("data.row_count")),
    )
    return picture, BAR_PIXELS * len(rows) + 50


def _value(page: Page, column: ColumnProfile, value: float | None) -> str:
    if value is None or column.kind is not Kind.DATE:
        return page.f.number(value)
    return page.f.day((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=value)).date())
