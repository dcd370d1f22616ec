"""Tasks: imports, trainings, predictions of files and from the queue, with what came of them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rowcast.client.answers import failure_of
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.predict_file import show_result
from rowcast.tasks.views import Task, TaskState

AT_ONCE = 50
KINDS = ("import", "profile", "train", "tune", "predict", "score")


def show_tasks(page: Page, asked: str | None) -> None:
    """The newest tasks, and the one that is chosen; it is followed while it runs."""
    t = page.t
    if asked:
        with page.attempt():
            _show_one(page, page.client.tasks.get(asked))
    left, right = st.columns(2)
    states = [None, *(state.value for state in TaskState)]
    state = left.selectbox(
        t("history.state"), states, key="history.state",
        format_func=lambda each: t("history.any") if each is None else t(f"history.states.{each}"),
    )  # fmt: skip
    kind = right.selectbox(
        t("history.kind"), [None, *KINDS], key="history.kind",
        format_func=lambda each: t("history.any") if each is None else t(f"history.kinds.{each}"),
    )  # fmt: skip
    tasks = page.recall(
        f"history.tasks.{state}.{kind}",
        lambda: page.client.tasks.list(state=state, kind=kind, limit=AT_ONCE),
        seconds=2.0,
    )
    if not tasks:
        st.info(t("history.no_tasks"), icon=":material/info:")
        return
    selected = st.dataframe(
        [_row(page, task) for task in tasks], hide_index=True, on_select="rerun", selection_mode="single-row",
        key="history.tasks_table",
    )  # fmt: skip
    places = selected["selection"]["rows"]
    if places and places[0] < len(tasks):
        _show_one(page, tasks[places[0]])


def _show_one(page: Page, task: Task) -> None:
    st.subheader(f"{page.t(f'history.kinds.{task.kind}')}: {plain(task.subject)}")
    st.caption(f"{page.f.moment(task.created_at)} · {plain(task.owner)} · {task.id}")
    st.fragment(_follow, run_every=None if task.state.final else 1.0)(page, task)


def _follow(page: Page, known: Task) -> None:
    with page.attempt():
        task = known if known.state.final else page.client.tasks.get(known.id)
        if task.state.final and not known.state.final:
            page.forget("history.tasks", "tasks", "models", "datasets")
            st.rerun()
        _show_state(page, task)


def _show_state(page: Page, task: Task) -> None:
    t = page.t
    if not task.state.final:
        progress = task.progress
        fraction = progress.fraction if progress else 0.0
        st.progress(fraction, f"{t(f'history.states.{task.state.value}')}: {page.f.percent(fraction, 0)}")
        cancel = st.button(t("history.cancel"), key=f"history.cancel.{task.id}", disabled=task.cancel_requested)
        if cancel:
            page.client.tasks.cancel(task)
        return
    if task.state is not TaskState.SUCCEEDED:
        if task.state is TaskState.CANCELLED:
            st.info(t("history.states.cancelled"))
        else:
            page.tell(failure_of(task.error))
        return
    match task.kind:
        case "score":
            show_result(page, task)
        case "tune":
            page.link("tune", t("history.to_trials"), icon=":material/search:", task=task.id)
        case "train":
            page.link("models", t("history.to_model"), icon=":material/deployed_code:", model=task.subject)
        case "predict":
            receipt = str((task.result or {}).get("receipt") or "")
            if receipt:
                page.link("history", t("history.to_receipt"), icon=":material/receipt_long:", receipt=receipt)
        case _:
            page.link("data", t("history.to_data"), icon=":material/table:", dataset=task.subject)


def _row(page: Page, task: Task) -> dict[str, Any]:
    t = page.t
    seconds = (task.finished_at - task.started_at).total_seconds() if task.finished_at and task.started_at else None
    return {
        t("history.when"): page.f.moment(task.created_at),
        t("history.kind"): t(f"history.kinds.{task.kind}"),
        t("history.subject"): task.subject,
        t("history.state"): t(f"history.states.{task.state.value}"),
        t("history.took"): page.f.duration(seconds),
        **({t("history.caller"): task.owner} if page.administers else {}),
    }
