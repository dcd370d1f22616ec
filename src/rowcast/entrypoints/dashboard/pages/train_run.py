"""A training: how far it is, fold by fold, and what came of it."""

from __future__ import annotations

import streamlit as st

from rowcast.datasets.ports import Progress
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.train_compare import compare, show_candidates, show_ways_on
from rowcast.entrypoints.dashboard.retelling import remark
from rowcast.entrypoints.dashboard.telling import why_left_out
from rowcast.models.views import TrainingResult
from rowcast.tasks.views import Task


def show_going(page: Page, task: Task) -> None:
    """The folds that are done."""
    if rows := fold_rows(page, task.progress):
        st.dataframe(rows, hide_index=True)


def fold_rows(page: Page, progress: Progress | None) -> list[dict[str, str]]:
    """A line for each algorithm with the figures of all its folds that are done."""
    if progress is None or not progress.folds:
        return []
    return [
        {page.t("train.algorithm"): algorithm}
        | {
            page.t("train.fold", fold=fold): page.f.number(scores[fold - 1], 3) if fold <= len(scores) else ""
            for fold in range(1, progress.folds + 1)
        }
        for algorithm, scores in (progress.fold_scores or {}).items()
    ]


def show_made(page: Page, task: Task) -> None:
    """What was made, what was left out and why, and the versions side by side."""
    result = TrainingResult.model_validate(task.result)
    t, f = page.t, page.f
    st.success(
        t("train.done", model=plain(result.model), version=result.best_version, rows=f.number(result.row_count, 0)),
        icon=":material/task_alt:",
    )
    show_ways_on(page, result)
    show_candidates(page, result)
    if result.left_out:
        with st.expander(t.count("train.were_left_out", len(result.left_out), f.number(len(result.left_out)))):
            st.markdown("\n".join(f"- {why_left_out(page, each)}" for each in result.left_out))
    for warning in result.warnings:
        st.warning(remark(page, warning))
    made = [each.version for each in result.candidates if each.version is not None]
    compare(page, result.model, made)
