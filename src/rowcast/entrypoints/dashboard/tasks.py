"""Tasks on pages: how one is doing, as a word with a sign, what it works on, and the one that a tab follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import streamlit as st

from rowcast.client.answers import failure_of
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.work import show_progress
from rowcast.tasks.views import Task, TaskState

_BADGES: Mapping[TaskState, tuple[str, str]] = MappingProxyType(
    {
        TaskState.QUEUED: ("gray", ":material/schedule:"),
        TaskState.RUNNING: ("blue", ":material/progress_activity:"),
        TaskState.SUCCEEDED: ("green", ":material/check_circle:"),
        TaskState.FAILED: ("red", ":material/error:"),
        TaskState.CANCELLED: ("gray", ":material/cancel:"),
        TaskState.REJECTED: ("orange", ":material/credit_card_off:"),
    }
)

RUNNING_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""Between two looks at a task that is followed."""

Followed = Literal["train", "tune"]
"""The pages that follow a task, which is in their address."""


def state_of(page: Page, task: Task) -> str:
    """A badge, in Markdown."""
    color, sign = _BADGES[task.state]
    return f":{color}-badge[{sign} {page.t(f'task.{task.state.value}')}]"


def subject_of(page: Page, task: Task) -> str:
    """What is done to what, in Markdown."""
    kind = page.t.get(f"kind_of_task.{task.kind}") or plain(task.kind)
    return f"{kind}: **{plain(task.subject)}**"


def slot_of(name: Followed) -> str:
    """Where the tab keeps which task that page follows."""
    return f"{name}.task"


def followed(name: Followed) -> str | None:
    """The task that the page is to follow, if any; kept in the address, so that it can be come back to."""
    task_id = st.session_state.get(slot_of(name)) or st.query_params.get("task")
    if task_id:
        st.query_params["task"] = task_id
    return task_id


def show_running(page: Page, name: Followed) -> None:
    """Links to the tasks of a page that are under way: one that was closed may come back to them."""
    running = page.recall(
        f"tasks.{name}.running",
        lambda: page.client.tasks.list(kind=name, state="running", limit=5),
        seconds=RUNNING_SECONDS,
    )
    for task in running:
        with st.container(border=True):
            st.markdown(f"{state_of(page, task)} {subject_of(page, task)}")
            if st.button(page.t("run.follow"), key=f"{name}.follow.{task.id}", icon=":material/visibility:"):
                st.session_state[slot_of(name)] = task.id
                st.rerun()


def show_followed(
    page: Page, name: Followed, task_id: str, going: Callable[[Page, Task], None], made: Callable[[Page, Task], None]
) -> bool:
    """How far the task is, with what ``going`` shows of it; in the end what ``made`` shows, or why there is nothing.
    Whether it has ended."""
    task: Task = page.recall(f"tasks.{task_id}", lambda: page.client.tasks.get(task_id), seconds=0.0)
    if not task.state.final:
        _follow(page, name, task_id, going)
        return False
    if st.button(page.t(f"run.another.{name}"), icon=":material/add:", key=f"{name}.another"):
        _leave(page, name)
    match task.state:
        case TaskState.SUCCEEDED:
            made(page, task)
        case TaskState.CANCELLED:
            st.info(page.t(f"run.cancelled.{name}"), icon=":material/info:")
        case _:
            page.tell(failure_of(task.error))
    return True


@st.fragment(run_every=LOOK_SECONDS)
def _follow(page: Page, name: Followed, task_id: str, going: Callable[[Page, Task], None]) -> None:
    t, task = page.t, page.client.tasks.get(task_id)
    if task.state.final:
        page.forget("tasks", "models")
        st.rerun()
    st.markdown(f"{state_of(page, task)} {subject_of(page, task)}")
    if task.state is TaskState.QUEUED and task.progress is None:
        st.progress(0.0, t("run.waits"))
    else:
        show_progress(page, task.progress)
    if st.button(t("run.cancel"), icon=":material/cancel:", disabled=task.cancel_requested, key=f"{name}.cancel"):
        page.client.tasks.cancel(task)
    if task.cancel_requested:
        st.caption(t("run.cancelling"))
    going(page, task)


def _leave(page: Page, name: Followed) -> None:
    """Follow no task any more, and draw the page anew."""
    st.session_state.pop(slot_of(name), None)
    st.query_params.pop("task", None)
    page.forget("tasks", "models")
    st.rerun()
