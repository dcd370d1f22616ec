"""History: predictions that were made, with their answers and replay, and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.pages.history_receipt import show_receipt
from rowcast.entrypoints.dashboard.pages.history_tasks import show_tasks
from rowcast.entrypoints.dashboard.pages.models_choice import models_of
from rowcast.monitoring.views import Receipt

AT_ONCE = 50
LIMIT = "history.limit"


def show(page: Page) -> None:
    """Predictions or tasks. The address may name one: ``?receipt=`` or ``?task=``."""
    t = page.t
    st.title(t("history.title"))
    parts = ("predictions", "tasks")
    first = "tasks" if "task" in st.query_params else "predictions"
    part = st.segmented_control(
        t("history.part"), parts, default=first, required=True, format_func=lambda each: t(f"history.parts.{each}"),
        key="history.part", label_visibility="collapsed",
    )  # fmt: skip
    if part == "tasks":
        show_tasks(page, st.query_params.get("task"))
        return
    asked = st.query_params.get("receipt")
    if asked:
        with page.attempt():
            show_receipt(page, asked)
        if st.button(t("history.all"), icon=":material/arrow_back:", key="history.all"):
            del st.query_params["receipt"]
            st.rerun()
        return
    _show_predictions(page)


def window(since: date | None, until: date | None, zone: str) -> dict[str, datetime]:
    """The moments at which whole days of a time zone begin and end, by name; what is not given is left out."""
    try:
        place: Any = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        place = UTC
    found: dict[str, datetime] = {}
    if since is not None:
        found["since"] = datetime.combine(since, time(), place)
    if until is not None:
        found["until"] = datetime.combine(until + timedelta(days=1), time(), place)
    return found


def export_address(path: str, kind: str, chosen: Mapping[str, Any]) -> str:
    """Where the browser gets a list as a file, with the same filters."""
    written = {
        name: value.isoformat() if isinstance(value, datetime) else str(value).lower() if value is True else value
        for name, value in chosen.items()
        if value is not None
    }
    return f"/api/v1/{path}?{urlencode({'format': kind, **written})}"


def _show_predictions(page: Page) -> None:
    t = page.t
    chosen = _filters(page)
    limit = st.session_state.setdefault(LIMIT, AT_ONCE)
    name = f"history.predictions.{sorted(chosen.items(), key=str)}.{limit}"
    receipts = page.recall(name, lambda: page.client.predictions.list(**chosen, limit=limit), seconds=5.0)
    if not receipts:
        st.info(t("history.none"), icon=":material/info:")
        page.link("predict", t("history.to_predict"), icon=":material/play_arrow:")
        return
    st.caption(t("history.choose"))
    selected = st.dataframe(
        [_row(page, receipt) for receipt in receipts], hide_index=True, on_select="rerun", selection_mode="single-row",
        key="history.table",
    )  # fmt: skip
    with st.container(horizontal=True):
        if len(receipts) == limit and st.button(t("history.more"), icon=":material/expand_more:", key="history.more"):
            st.session_state[LIMIT] = limit + AT_ONCE
            st.rerun()
        st.link_button(
            t("history.export_csv"), export_address("predictions/export", "csv", chosen), icon=":material/download:"
        )
        st.link_button(
            t("history.export_jsonl"), export_address("predictions/export", "jsonl", chosen), icon=":material/download:"
        )
    places = selected["selection"]["rows"]
    if places and places[0] < len(receipts):
        with page.attempt():
            show_receipt(page, receipts[places[0]].id)


def _filters(page: Page) -> dict[str, Any]:
    """What is looked for, as the client takes it."""
    t = page.t
    model, since, until, mine = st.columns([2, 1, 1, 1], vertical_alignment="bottom")
    names = [None, *(each.name for each in models_of(page))]
    wanted = model.selectbox(
        t("models.model"),
        names,
        key="history.model",
        format_func=lambda each: t("history.any") if each is None else each,
    )
    first = since.date_input(t("history.since"), None, format=page.f.calendar, key="history.since")
    last = until.date_input(t("history.until"), None, format=page.f.calendar, key="history.until")
    chosen: dict[str, Any] = {"model": wanted, **window(first, last, page.f.zone)}
    if page.administers:
        chosen["mine"] = mine.toggle(t("history.mine"), True, key="history.mine") or None
    return chosen


def _row(page: Page, receipt: Receipt) -> dict[str, Any]:
    t = page.t
    row = {
        t("history.when"): page.f.moment(receipt.created_at),
        t("models.model"): receipt.model,
        t("models.version"): receipt.version,
        t("history.rows"): receipt.row_count,
        t("history.policy"): page.f.number(receipt.policy_version),
        t("history.price"): receipt.price,
        t("history.receipt"): receipt.id,
    }
    return row | ({t("history.caller"): receipt.caller or "—"} if page.administers else {})
