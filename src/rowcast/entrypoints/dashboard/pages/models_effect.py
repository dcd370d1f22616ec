"""What a policy would have done with the cases that were held out of the training, in colours and in money."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import altair as alt
import streamlit as st

from rowcast.entrypoints.dashboard.charts import draw, table
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.predict_bands import SHADES
from rowcast.models.views import ColorShare, PolicyPreview, ProfitCurve, Spread

ROOMY = 0.25
"""Share of the bar that has room for a word on a phone, too."""

DARK_INK = "#1A2230"


def show_effect(page: Page, preview: PolicyPreview, unit: str | None) -> None:
    """The colours with what became of their cases; with a payoff the profit at every threshold, counted in
    ``unit``."""
    t = page.t
    st.write(t("models.tried", rows=page.f.number(preview.rows), version=preview.version))
    for warning in preview.warnings:
        told = t.get(f"models.doubt.{warning.code}").format(column=plain(warning.field or ""))
        st.warning(told or plain(warning.message), icon=":material/warning:")
    if preview.colors:
        draw(strip(preview.colors, page), page.f, alt_text=t("models.shares"), height=None)
        st.table([_row(page, each, preview, unit) for each in preview.colors], hide_index=True)
    if preview.profit is not None:
        _show_profit(page, preview.profit, unit)


def strip(colors: Sequence[ColorShare], page: Page) -> alt.LayerChart | alt.FacetChart:
    """One bar of all cases, cut by colour."""
    rows = [
        {
            "color": each.color, "share": each.share, "place": place,
            "name": f"{page.t(f'predict.color.{each.color}')} " * (each.share >= ROOMY) + page.f.percent(each.share, 0),
        }
        for place, each in enumerate(colors)
        if each.count
    ]  # fmt: skip
    base = alt.Chart(table(rows)).encode(
        x=alt.X("share:Q", stack=True, axis=None, scale=alt.Scale(domain=[0, 1])), order=alt.Order("place:O")
    )
    shades = alt.Scale(domain=[*SHADES], range=[*SHADES.values()])
    bars = base.mark_bar(height=30).encode(color=alt.Color("color:N", scale=shades, legend=None))
    ink = alt.when("datum.color == 'yellow'").then(alt.value(DARK_INK)).otherwise(alt.value("white"))
    names = base.mark_text(align="center", fontWeight="bold", limit=110).encode(
        x=alt.X("share:Q", stack=True, bandPosition=0.5), text="name:N", color=ink
    )
    return alt.layer(bars, names).properties(height=44)


def scale_of(profit: ProfitCurve) -> int:
    """The power of a thousand in which the sums are written shortest."""
    most = max((abs(point.profit) for point in profit.points), default=0.0)
    return next((power for power in (3, 2, 1) if most >= 10 * 1000**power), 0)


def curve(profit: ProfitCurve, words: tuple[str, str], power: int = 0) -> alt.LayerChart | alt.FacetChart:
    """What all cases earn together, by threshold, with the policy's thresholds and the best one. ``words`` name the
    axes; sums are drawn in that power of a thousand."""
    one = 1000**power
    drawn = [point for point in profit.points if point.threshold is not None]
    points = [{"at": point.threshold, "profit": point.profit / one} for point in drawn]
    marks: list[dict[str, Any]] = [
        {"at": point.threshold, "profit": point.profit / one, "color": color}
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
    peak_at, peak_profit = profit.best.threshold, profit.best.profit / one
    best = [{"at": peak_at, "profit": peak_profit}] if peak_at is not None else []
    peak = (
        alt.Chart(table(best))
        .mark_point(shape="diamond", size=120, filled=True, color="#7F7F7F")
        .encode(x="at:Q", y="profit:Q")
    )
    return alt.layer(line, rules, peak)


def spread(found: Spread | None, write: Callable[[float], str]) -> str:
    """A figure with its interval."""
    if found is None:
        return "—"
    if found.low is None or found.high is None:
        return write(found.value)
    return f"{write(found.value)} ({write(found.low)} – {write(found.high)})"


def _row(page: Page, each: ColorShare, preview: PolicyPreview, unit: str | None) -> dict[str, Any]:
    t, f = page.t, page.f
    classes = preview.policy.bands is not None and preview.policy.bands.of is not None
    observed = t("models.observed" if classes else "models.observed_mean", of=plain(preview.of))
    row = {
        t("models.color"): t(f"predict.color.{each.color}"),
        t("models.cases"): f.number(each.count),
        observed: spread(each.observed, f.percent if classes else f.number),
    }
    if preview.profit is not None:
        row[t("models.accepted")] = spread(each.accepted, partial(f.money, unit=unit))
    return row


def _show_profit(page: Page, profit: ProfitCurve, unit: str | None) -> None:
    t, f = page.t, page.f
    power = scale_of(profit)
    counted = " ".join(each for each in (t.get(f"models.thousands.{power}"), unit) if each)
    axes = t("models.threshold_axis", of=profit.of), t("models.profit_axis") + (f", {counted}" if counted else "")
    draw(curve(profit, axes, power), f, alt_text=t("models.profit"))
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
                t("models.profit"): f.money(point.profit, unit),
                t("models.profit_each"): f.money(point.profit_per_case, unit),
            }
            for key, point in lines
            if point is not None
        ],
        hide_index=True,
    )
    st.caption(t("models.new_cases", spread=spread(profit.new_cases, partial(f.money, unit=unit))))
    if profit.unknown:
        st.caption(t("models.unknown_rows", rows=f.number(profit.unknown)))
