"""What serves and served: the aliases of a model, promotion, rollback, and who let what serve when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import altair as alt
import streamlit as st

from rowcast.entrypoints.dashboard.charts import CLOCK, draw, table
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.models_choice import version_of
from rowcast.entrypoints.dashboard.pages.models_compare import Span, change_of, goes_back_to, spans
from rowcast.entrypoints.dashboard.pages.models_versions import CHAMPION, promoting, show_change
from rowcast.models.views import AliasEvent, Model, ModelVersion

ROW_PIXELS = 44


def show_serving(page: Page, model: Model, may_change: bool) -> None:
    """The aliases as they are, what can be done about them, and their history."""
    t = page.t
    events = page.recall(f"models/history/{model.name}", lambda: page.client.models.history(model.name))
    versions = page.recall(f"models.{model.name}.versions", lambda: page.client.models.versions(model.name))
    for alias, number in sorted(model.aliases.items(), key=lambda each: (each[0] != CHAMPION, each[0])):
        st.write(t("models.points", alias=plain(alias), number=number))
    if CHAMPION not in model.aliases:
        st.info(t("models.no_champion"), icon=":material/info:")
    if may_change:
        _change(page, model, versions, events)
    st.subheader(t("models.served"))
    found = spans(events)
    if not found:
        st.caption(t("models.nothing_served"))
        return
    draw(timeline(found, datetime.now(UTC), t("models.version")), page.f, alt_text=t("models.served"), height=None)
    st.dataframe([_row(page, span) for span in found], hide_index=True)


def timeline(found: Sequence[Span], now: datetime, version: str) -> alt.Chart:
    """A bar for each span of time in which an alias pointed at a version."""
    rows: list[dict[str, Any]] = [
        {
            "alias": span.alias, "number": f"{span.number}", "start": _milliseconds(span.start),
            "end": _milliseconds(span.end or now),
        }
        for span in found
    ]  # fmt: skip
    base = alt.Chart(table(rows)).encode(
        y=alt.Y("alias:N", title=None),
        x=alt.X("start:T", title=None, axis=alt.Axis(labelOverlap=True, tickCount=5, format=cast(Any, CLOCK))),
        x2="end:T",
    )
    color = alt.Color("number:N", title=version, legend=alt.Legend(orient="bottom"))
    bars: alt.Chart = base.mark_bar(height=22, stroke="#7F7F7F", strokeWidth=0.5).encode(color=color)
    return bars.properties(height=ROW_PIXELS * len({span.alias for span in found}))


def _change(page: Page, model: Model, versions: Sequence[ModelVersion], events: Sequence[AliasEvent]) -> None:
    t = page.t
    with st.container(border=True):
        alias, number = st.columns(2, vertical_alignment="bottom")
        name = alias.text_input(t("models.alias"), CHAMPION, help=t("models.alias_help"), key="models.alias")
        numbers = [version.number for version in versions]
        wanted = number.selectbox(t("models.version"), numbers, key=f"models.number.{model.name}")
        with st.container(horizontal=True):
            if st.button(t("models.point"), icon=":material/publish:", type="primary", key="models.point"):
                promoting(page, model, wanted, name.strip())
            back = goes_back_to(events, name.strip(), numbers)
            clicked = st.button(
                t("models.rollback"), icon=":material/undo:", key="models.rollback", disabled=back is None
            )
            if clicked and back is not None:
                title = t("models.rollback_title", alias=plain(name))
                st.dialog(title, width="large")(_confirm_rollback)(page, model, name.strip(), back)
            removable = name.strip() in model.aliases and name.strip() != CHAMPION
            if removable and st.button(t("models.remove_alias"), icon=":material/label_off:", key="models.remove"):
                with page.attempt():
                    page.client.models.remove_alias(model.name, name.strip())
                    page.forget("models")
                    st.rerun()


def _confirm_rollback(page: Page, model: Model, alias: str, number: int) -> None:
    t = page.t
    serving = model.aliases[alias]
    now, then = (version_of(page, f"{model.name}@{each}") for each in (serving, number))
    st.write(t("models.promote_text", now=serving, then=number))
    show_change(page, change_of(now, then))
    if st.button(t("models.rollback_yes", number=number), type="primary", key="models.rollback_yes"):
        with page.attempt():
            event = page.client.models.rollback(model.name, alias)
            page.forget("models")
            st.toast(t("models.promoted", number=event.number), icon=":material/check:")
            st.rerun()


def _row(page: Page, span: Span) -> dict[str, Any]:
    t = page.t
    return {
        t("models.alias"): span.alias,
        t("models.version"): span.number,
        t("models.from"): page.f.moment(span.start),
        t("models.until"): t("models.until_now") if span.end is None else page.f.moment(span.end),
        t("models.by"): span.moved_by,
        t("models.how"): t(f"models.action.{span.action}"),
    }


def _milliseconds(moment: datetime) -> float:
    return moment.timestamp() * 1000
