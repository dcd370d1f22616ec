"""What a policy would have done with the cases that were held out of the training, in colours and in money."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import streamlit as st

from rowcast.entrypoints.dashboard.charts import draw, table
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.predict_bands import SHADES
from rowcast.models.views import ColorShare, PolicyPreview, ProfitCurve, Spread


def show_effect(page: Page, preview: PolicyPreview) -> None:
    """The colours with what became of their cases; with a payoff the profit at every threshold."""
    t = page.t
    st.write(t("models.tried", rows=page.f.number(preview.rows), version=preview.version))
    for warning in preview.warnings:
        st.warning(f"{plain(warning.field or '')}: {plain(warning.message)}", icon=":material/warning:")
    if preview.colors:
        draw(strip(preview.colors, page), page.f, alt_text=t("models.shares"), height=None)
        st.table([_row(page, each, preview) for each in preview.colors], hide_index=True)
    if preview.profit is not None:
        _show_profit(page, preview.profit)


def strip(colors: Sequence[ColorShare], page: Page) -> alt.LayerChart | alt.FacetChart:
    """One bar of all cases, cut by colour."""
    rows = [
        {
            "color": each.color, "share": each.share, "place": place,
            "name": f"{page.t(f'predict.color.{each.color}')} {page.f.percent(each.share, 0)}",
        }
        for place, each in enumerate(colors)
        if each.count
    ]  # fmt: skip
    base = alt.Chart(table(rows)).encode(
        x=alt.X("share:Q", stack=True, axis=None, scale=alt.Scale(domain=[0, 1])), order=alt.Order("place:O")
    )
    shades = alt.Scale(domain=[*SHADES], range=[*SHADES.values()])
    bars = base.mark_bar(height=30).encode(color=alt.Color("color:N", scale=shades, legend=None))
    names = base.mark_text(align="center", color="white", fontWeight="bold", limit=110).encode(
        x=alt.X("share:Q", stack=True, bandPosition=0.5), text="name:N"
    )
    return alt.layer(bars, names).properties(height=44)


def curve(profit: ProfitCurve, words: tuple[str, str]) -> alt.LayerChart | alt.FacetChart:
    """What all cases earn together, by threshold, with the policy's thresholds and the best one. ``words`` name the
    axes."""
    points = [{"at": point.threshold, "profit": point.profit} for point in profit.points if point.threshold is not None]
    marks: list[dict[str, Any]] = [
        {"at": point.threshold, "profit": point.profit, "color": color}
        for color, point in (("yellow", profit.yellow), ("red", profit.red))
        if point is not None and point.threshold is not None
    ]
    along = alt.X("at:Q", title=words[0], axis=alt.Axis(format="%"))
    line = alt.Chart(table(points)).mark_line().encode(x=along, y=alt.Y("profit:Q", title=words[1]))
    shades = alt.Scale(domain=[*SHADES], range=[*SHADES.values()])
    rules = (
        alt.Chart(table(marks))
        .mark_rule(strokeWidth=3)
        .encode(x="at:Q", color=alt.Color("color:N", scale=shades, legend=None))
    )
    best = [{"at": profit.best.threshold, "profit": profit.best.profit}] if profit.best.threshold is not None else []
    peak = (
        alt.Chart(table(best))
        .mark_point(shape="diamond", size=120, filled=True, color="#7F7F7F")
        .encode(x="at:Q", y="profit:Q")
    )
    return alt.layer(line, rules, peak)


def spread(page: Page, found: Spread | None, *, share: bool) -> str:
    """A figure with its interval."""
    if found is None:
        return "—"
    write = page.f.percent if share else page.f.number
    digits = 1 if share else 0
    value = write(found.value, digits)
    if found.low is None or found.high is None:
        return value
    return f"{value} ({write(found.low, digits)} – {write(found.high, digits)})"


def _row(page: Page, each: ColorShare, preview: PolicyPreview) -> dict[str, Any]:
    t = page.t
    classes = preview.policy.bands is not None and preview.policy.bands.of is not None
    observed = t("models.observed" if classes else "models.observed_mean", of=plain(preview.of))
    row = {
        t("models.color"): t(f"predict.color.{each.color}"),
        t("models.cases"): page.f.number(each.count),
        observed: spread(page, each.observed, share=classes),
    }
    if preview.profit is not None:
        row[t("models.accepted")] = spread(page, each.accepted, share=False)
    return row


def _show_profit(page: Page, profit: ProfitCurve) -> None:
    t, f = page.t, page.f
    draw(
        curve(profit, (t("models.threshold_axis", of=profit.of), t("models.profit_axis"))),
        f,
        alt_text=t("models.profit"),
    )
    lines = [
        ("models.profit_rows.yellow", profit.yellow),
        ("models.profit_rows.red", profit.red),
        ("models.profit_rows.best", profit.best),
        ("models.profit_rows.each", profit.each),
        ("models.profit_rows.all", profit.accept_all),
    ]
    st.table(
        [
            {
                t("models.rule"): t(key),
                t("models.threshold"): f.percent(point.threshold) if point.threshold is not None else "—",
                t("models.accepted_share"): f.percent(point.accepted_share),
                t("models.profit"): f.number(point.profit, 0),
                t("models.profit_each"): f.number(point.profit_per_case, 0),
            }
            for key, point in lines
            if point is not None
        ],
        hide_index=True,
    )
    st.caption(t("models.new_cases", spread=spread(page, profit.new_cases, share=False)))
    if profit.unknown:
        st.caption(t("models.unknown_rows", rows=f.number(profit.unknown)))
