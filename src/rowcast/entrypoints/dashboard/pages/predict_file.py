"""Predictions for a whole file: sent, followed, looked at, saved."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from rowcast.client.answers import failure_of
from rowcast.datasets.ports import Progress
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.models.decide.policy import Color
from rowcast.scoring.views import FilePredictions
from rowcast.tasks.views import Task, TaskState

if TYPE_CHECKING:
    import polars as pl

TASK = "predict.task"
"""Where the tab keeps which file it follows."""

SEEN = "predict.ended"
"""Whether it was seen to have ended."""

FIRST_ROWS = 20
ROWS_TO_LOOK_INTO = 50_000
"""A larger file is not fetched for its first rows: it can be saved."""

OURS, PROBABILITY = "rowcast_", "probability_"
COLORS: tuple[Color, ...] = ("green", "yellow", "red")


def show_file(page: Page, reference: str, price: int) -> None:
    """Ask for a file, and follow the one that was sent last."""
    t = page.t
    st.write(t("predict.file_help"))
    with st.form("predict.file", border=True):
        file = st.file_uploader(t("predict.file"), type=["csv", "tsv", "txt", "parquet"], key="predict.upload")
        if price:
            st.caption(t("predict.file_price", price=page.f.credits(price)))
        sent = st.form_submit_button(t("predict.file_send"), type="primary", icon=":material/upload_file:")
    if sent and file is None:
        st.warning(t("predict.file_none"))
    elif sent and file is not None:
        with page.attempt():
            bar = st.progress(0.0, t("predict.file_sending"))

            def tell(progress: Progress) -> None:
                bar.progress(progress.fraction, t("predict.file_sending"))

            st.session_state[TASK] = page.client.files.submit(reference, file, filename=file.name, progress=tell).id
            bar.empty()
    if task_id := st.session_state.get(TASK):
        with page.attempt():
            ended = _latest(page, task_id).state.final
            st.fragment(follow, run_every=None if ended else 1.0)(page, task_id)


def follow(page: Page, task_id: str) -> None:
    """How far the file is; what came of it once it is done."""
    with page.attempt():
        seen = st.session_state.get(SEEN)
        task = _latest(page, task_id)
        st.session_state[SEEN] = task.state.final
        if task.state.final and seen is False:
            st.rerun()  # so that nothing is asked every second any more
        show_task(page, task)


def _latest(page: Page, task_id: str) -> Task:
    """The task; one that has ended does not change and is not asked again."""
    ended: Task | None = st.session_state.get(f"{TASK}.{task_id}")
    if ended is not None:
        return ended
    task = page.client.tasks.get(task_id)
    if task.state.final:
        st.session_state[f"{TASK}.{task_id}"] = task
    return task


def show_task(page: Page, task: Task) -> None:
    """A file that is worked on, or what came of it."""
    t = page.t
    match task.state:
        case TaskState.QUEUED | TaskState.RUNNING:
            fraction = task.progress.fraction if task.progress else 0.0
            st.progress(fraction, t(f"predict.file_{task.state.value}", share=page.f.percent(fraction, 0)))
            if st.button(t("predict.file_cancel"), key=f"predict.cancel.{task.id}", disabled=task.cancel_requested):
                page.client.tasks.cancel(task)
        case TaskState.SUCCEEDED:
            show_result(page, task)
        case TaskState.CANCELLED:
            st.info(t("predict.file_cancelled"))
        case _:
            page.tell(failure_of(task.error))


def show_result(page: Page, task: Task) -> None:
    """The counts, the first rows, and the files to save."""
    result, t, f = FilePredictions.model_validate(task.result), page.t, page.f
    answered = result.row_count - result.skipped
    st.success(
        t("predict.file_done", name=plain(result.filename), rows=f.number(answered), version=result.version),
        icon=":material/task_alt:",
    )
    if result.skipped:
        st.warning(t.count("predict.file_skipped", result.skipped, f.number(result.skipped)))
    save, errors = st.columns(2)
    files = f"/api/v1/tasks/{task.id}/files"
    save.link_button(
        t("predict.file_save"), f"{files}/predictions", type="primary", icon=":material/download:", width="stretch"
    )
    if result.errors:
        errors.link_button(t("predict.file_errors"), f"{files}/errors", icon=":material/rule:", width="stretch")
    if result.row_count > ROWS_TO_LOOK_INTO:
        st.caption(t("predict.file_too_large"))
        return
    made, shown = page.recall(f"predict.rows.{task.id}", lambda: first_rows(page, task, result), seconds=3600.0)
    st.caption(t("predict.file_first", rows=f.number(len(shown))))
    st.dataframe(shown, hide_index=True, column_config={name: title_of(page, name) for name in made})


def title_of(page: Page, column: str) -> str:
    """The title of a column that was answered, in the visitor's words."""
    name = column.removeprefix(OURS)
    if name.startswith(PROBABILITY):
        return page.t("predict.probability_of", of=name.removeprefix(PROBABILITY))
    return page.t.get(f"predict.column.{name}") or column


def first_rows(page: Page, task: Task, result: FilePredictions) -> tuple[list[str], pl.DataFrame]:
    """The columns that were answered, and the first rows of the file with these columns first, as they are written but
    for the colours."""
    import polars as pl

    with tempfile.TemporaryDirectory() as folder:
        path = page.client.files.download(task, Path(folder) / f"scored.{result.format}")
        if result.format == "parquet":
            frame = pl.read_parquet(path, n_rows=FIRST_ROWS)
        else:
            with path.open(encoding="utf-8", errors="replace") as file:
                head = file.readline()
            delimiter = max(",;\t|", key=head.count)
            frame = pl.read_csv(path, n_rows=FIRST_ROWS, infer_schema=False, separator=delimiter, encoding="utf8-lossy")
    # Answers come last, and a name that the file has already is told from it by this beginning.
    made = max(
        (place for place, name in enumerate(frame.columns) if name.removeprefix(OURS) == "prediction"), default=0
    )
    answered = frame.columns[made:]
    colors = {color: page.t(f"predict.color.{color}") for color in COLORS}
    decided = [pl.col(name).replace(colors) for name in answered if name.removeprefix(OURS) == "decision"]
    return answered, frame.with_columns(decided).select([*answered, *frame.columns[:made]])
