"""A training: how far it is, fold by fold, and what came of it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rowcast.client.answers import failure_of
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.train_compare import compare, show_candidates
from rowcast.entrypoints.dashboard.tasks import leave, state_of, subject_of
from rowcast.entrypoints.dashboard.telling import remark, why_left_out
from rowcast.entrypoints.dashboard.work import show_progress
from rowcast.models.views import TrainingResult
from rowcast.tasks.views import Task, TaskState

TASK = "train.task"
"""Where the tab keeps which training it follows."""

LOOK_SECONDS = 1.0


def show_task(page: Page, task_id: str) -> None:
    """The training that the page follows."""
    known = f"tasks.{task_id}"
    task: Task = page.recall(known, lambda: page.client.tasks.get(task_id), seconds=0.0)
    if not task.state.final:
        _follow(page, task_id)
        return
    if st.button(page.t("train.another"), icon=":material/add:", key="train.another"):
        leave(page, TASK)
    match task.state:
        case TaskState.SUCCEEDED:
            _result(page, TrainingResult.model_validate(task.result))
        case TaskState.CANCELLED:
            st.info(page.t("train.cancelled"), icon=":material/info:")
        case _:
            page.tell(failure_of(task.error))


@st.fragment(run_every=LOOK_SECONDS)
def _follow(page: Page, task_id: str) -> None:
    t = page.t
    task = page.client.tasks.get(task_id)
    if task.state.final:
        page.forget("tasks", "models")
        st.rerun()
    st.markdown(f"{state_of(page, task)} {subject_of(page, task)}")
    if task.state is TaskState.QUEUED and task.progress is None:
        st.progress(0.0, t("train.waits"))
    else:
        show_progress(page, task.progress)
    _folds(page, task)
    if st.button(t("train.cancel"), icon=":material/cancel:", disabled=task.cancel_requested, key="train.cancel"):
        page.client.tasks.cancel(task)
    if task.cancel_requested:
        st.caption(t("train.cancelling"))


def seen(folds: dict[tuple[str, int], float | None], task: Task) -> dict[tuple[str, int], float | None]:
    """The folds that were seen so far, each with the figure it reached once that is known."""
    now = task.progress
    if now is None or now.algorithm is None or now.fold is None:
        return folds
    at = (now.algorithm, now.fold)
    return {**folds, at: now.score if now.score is not None else folds.get(at)}


def _folds(page: Page, task: Task) -> None:
    """A line for each algorithm with its folds, as far as this page has seen them go by."""
    key = f"train.folds.{task.id}"
    st.session_state[key] = folds = seen(st.session_state.get(key, {}), task)
    if not folds:
        return
    count = max([task.progress.folds or 0 if task.progress else 0, *(fold for _, fold in folds)])
    rows: list[dict[str, Any]] = []
    for algorithm in dict.fromkeys(name for name, _ in folds):
        scores = {fold: folds.get((algorithm, fold)) for fold in range(1, count + 1)}
        cells = {
            page.t("train.fold", fold=fold): page.f.number(score, 3) if (algorithm, fold) in folds else ""
            for fold, score in scores.items()
        }
        rows.append({page.t("train.algorithm"): algorithm, **cells})
    st.dataframe(rows, hide_index=True)


def _result(page: Page, result: TrainingResult) -> None:
    t, f = page.t, page.f
    st.success(
        t("train.done", model=plain(result.model), version=result.best_version, rows=f.number(result.row_count, 0)),
        icon=":material/task_alt:",
    )
    if result.promoted:
        st.write(t("train.promoted", version=result.best_version))
        page.link("predict", t("train.predict"), icon=":material/online_prediction:", model=result.model)
    else:
        page.link("models", t("train.to_models"), icon=":material/workspaces:", model=result.model)
    show_candidates(page, result)
    if result.left_out:
        with st.expander(t.count("train.were_left_out", len(result.left_out), f.number(len(result.left_out)))):
            st.markdown("\n".join(f"- {why_left_out(page, each)}" for each in result.left_out))
    for warning in result.warnings:
        st.warning(remark(page, warning))
    made = [each.version for each in result.candidates if each.version is not None]
    compare(page, result.model, made)
