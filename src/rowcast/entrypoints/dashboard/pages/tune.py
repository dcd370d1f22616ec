"""Tune: have the best model searched for within a time; follow it live, and see what was chosen and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from rowcast.datasets.schema import TRAINABLE, Kind
from rowcast.datasets.views import Dataset, DatasetVersionDetail
from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.pages.tune_run import show_every_trial, show_going, show_made
from rowcast.entrypoints.dashboard.tasks import followed, show_followed, show_running, slot_of

LISTED_SECONDS = 30.0
BUDGETS = (60, 300, 600, 1800, 3600)
"""Seconds to choose from."""


def show(page: Page) -> None:
    """A new search; what runs is followed on top."""
    t = page.t
    st.title(t("tune.title"))
    if task_id := followed("tune"):
        if show_followed(page, "tune", task_id, show_going, show_made):
            show_every_trial(page, task_id)
        return
    st.caption(t("tune.about"))
    show_running(page, "tune")
    tables = page.recall("datasets", page.client.datasets.list, seconds=LISTED_SECONDS)
    if not tables:
        st.info(t("train.no_table"), icon=":material/info:")
        page.link("data", t("train.to_data"), icon=":material/upload_file:")
        return
    _form(page, tables)


def _form(page: Page, tables: Sequence[Dataset]) -> None:
    t = page.t
    by_name = {table.name: table for table in tables}
    left, right = st.columns(2)
    name = left.selectbox(t("train.table"), list(by_name), key="tune.table")
    number = by_name[name].latest.number
    detail: DatasetVersionDetail = page.recall(
        f"datasets.{name}.{number}", lambda: page.client.datasets.version(name, number), seconds=600.0
    )
    columns = [feature.name for feature in detail.table_schema.features if feature.kind in TRAINABLE]
    target = right.selectbox(
        t("train.target"), columns, index=None, placeholder=t("train.choose"), help=t("train.target_help"),
        key=f"tune.target.{name}",
    )  # fmt: skip
    asked = {"dataset": name, "dataset_version": number, "target": target, **_budget(page), **_more(page, detail)}
    left, right = st.columns(2, vertical_alignment="bottom")
    model = left.text_input(t("train.model"), name, help=t("train.model_help"), key=f"tune.model.{name}")
    promote = right.toggle(t("tune.promote"), value=True, help=t("train.promote_help"), key="tune.promote")
    if target is None:
        st.caption(t("tune.target_first"))
    if st.button(t("tune.start"), type="primary", icon=":material/search:", disabled=target is None, key="tune.start"):
        _start(page, {**asked, "model": model.strip() or None, "promote": promote})


def _budget(page: Page) -> dict[str, Any]:
    seconds = st.segmented_control(
        page.t("tune.time"), BUDGETS, default=300, required=True, format_func=page.f.duration, key="tune.seconds",
        help=page.t("tune.time_help"),
    )  # fmt: skip
    return {"seconds": seconds}


def _more(page: Page, detail: DatasetVersionDetail) -> dict[str, Any]:
    """What few need: a number of trials, algorithms, a split by time."""
    t = page.t
    algorithms = page.recall("algorithms", page.client.algorithms, seconds=3600.0)
    titles = {each.name: each.title for each in algorithms if each.hyperparameters}
    dates = [each.name for each in detail.table_schema.features if each.kind is Kind.DATE]
    with st.expander(t("tune.more")):
        first, second, third = st.columns(3)
        trials = first.number_input(
            t("tune.most"), min_value=1, max_value=5000, value=None, step=10, key="tune.trials",
            placeholder=t("tune.any"), help=t("tune.most_help"),
        )  # fmt: skip
        named = second.multiselect(
            t("train.algorithms"), list(titles), format_func=titles.__getitem__, key="tune.algorithms",
            placeholder=t("tune.all"),
        )  # fmt: skip
        time_column = third.selectbox(
            t("train.time"), dates, index=None, placeholder=t("train.no_time"), help=t("train.time_help"),
            key=f"tune.time.{detail.dataset}",
        )  # fmt: skip
        select = st.toggle(t("tune.select"), value=True, help=t("tune.select_help"), key="tune.select")
    asked = {"trials": trials, "algorithms": named or None, "time_column": time_column}
    return {name: value for name, value in asked.items() if value is not None} | {"select": select}


def _start(page: Page, asked: dict[str, Any]) -> None:
    with page.attempt():
        task = page.client.tune(**asked)
        page.forget("tasks")
        st.session_state[slot_of("tune")] = task.id
        st.rerun()
