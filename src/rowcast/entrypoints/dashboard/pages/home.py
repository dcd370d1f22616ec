"""Home: what is served and how it is doing, one's own recent tasks and credits; at the very first, a way to begin."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rowcast.entrypoints.dashboard.example import load_and_train
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.tasks import state_of, subject_of
from rowcast.entrypoints.dashboard.work import begin, finished, outcome, under_way
from rowcast.models.views import Model, ModelVersion
from rowcast.tasks.views import Task

EXAMPLE = "home.example"
RECENT_TASKS = 5
MOST_MODELS = 12
ABREAST = 3


def show(page: Page) -> None:
    """Show it."""
    t = page.t
    st.title(t("home.title"))
    if under_way(EXAMPLE):
        with page.attempt():
            if finished(page, EXAMPLE):
                outcome(EXAMPLE)
                page.forget()
            else:
                st.caption(t("home.example_runs"))
    models = page.recall("models", page.client.models.list)
    if models:
        _served(page, models)
    elif not under_way(EXAMPLE):
        _begin(page)
    _tasks(page)
    _standing(page)


def _begin(page: Page) -> None:
    """For an installation, or a person, that has nothing yet."""
    t = page.t
    if not page.may_train:
        st.info(t("home.nothing_shared"), icon=":material/info:")
        return
    with st.container(border=True):
        st.subheader(t("home.begin"))
        st.write(t("home.begin_text"))
        first, second = st.columns(2)
        if first.button(t("home.example"), type="primary", icon=":material/play_arrow:", width="stretch"):
            client, language = page.client, t.language
            begin(EXAMPLE, lambda report: load_and_train(client, report, language))
            st.rerun()
        with second:
            page.link("data", t("home.own_table"), icon=":material/upload_file:")


def _served(page: Page, models: Sequence[Model]) -> None:
    st.subheader(page.t("home.served"))
    for start in range(0, min(len(models), MOST_MODELS), ABREAST):
        for column, model in zip(st.columns(ABREAST), models[start : start + ABREAST], strict=False):
            with column, st.container(border=True):
                _model(page, model)
    if len(models) > MOST_MODELS:
        page.link("models", page.t("home.all_models", count=page.f.number(len(models))))


def _model(page: Page, model: Model) -> None:
    t, f = page.t, page.f
    st.markdown(f"**{plain(model.name)}**")
    if model.champion is None:
        st.caption(t.count("home.not_served", model.version_count, f.number(model.version_count)))
        page.link("models", t("home.look"), icon=":material/search:", model=model.name)
        return
    st.write(t("home.predicts", target=plain(model.champion.target), version=model.champion.number))
    st.caption(figure_of(page, model.champion))
    page.link("predict", t("home.predict"), icon=":material/online_prediction:", model=model.name)


def figure_of(page: Page, version: ModelVersion) -> str:
    """The figure that a version was compared by, with its interval."""
    if not version.metrics:
        return page.t("home.no_figure")
    metric = version.metrics[0]
    name = page.t.get(f"metric.{metric.name}") or metric.name
    told = f"{name} {page.f.number(metric.value, 3)}"
    if metric.low is None or metric.high is None:
        return told
    return f"{told} ({page.f.number(metric.low, 3)} – {page.f.number(metric.high, 3)})"


def _tasks(page: Page) -> None:
    t, f = page.t, page.f
    tasks: list[Task] = page.recall("tasks.recent", lambda: page.client.tasks.list(limit=RECENT_TASKS), seconds=5.0)
    if not tasks:
        return
    st.subheader(t("home.tasks"))
    for task in tasks:
        what, when = st.columns([3, 2])
        what.markdown(f"{state_of(page, task)} {subject_of(page, task)}")
        when.caption(f.moment(task.created_at))
    page.link("history", t("home.all_tasks"), icon=":material/history:")


def _standing(page: Page) -> None:
    """Credits, and whether the server can work."""
    t, f = page.t, page.f
    credits = page.recall("credits", page.client.credits.get, seconds=15.0)
    health = page.recall("health", page.client.health, seconds=15.0)
    left, right = st.columns(2)
    with left.container(border=True):
        free = credits.mode == "free"
        st.metric(t("home.credits"), t("home.free") if free else f.credits(credits.balance))
        spent = t.count("home.spent", credits.spent, f.credits(credits.spent))
        st.caption(t("home.free_text") if free else spent)
    with right.container(border=True):
        well = health.get("status") == "ok"
        st.metric(t("home.server"), t("home.well") if well else t("home.unwell"))
        parts: dict[str, str] = health.get("parts", {})
        faults = [f"{plain(part)}: {plain(fault)}" for part, fault in parts.items() if fault != "ok"]
        st.caption(" · ".join(faults) or t("home.well_text"))
