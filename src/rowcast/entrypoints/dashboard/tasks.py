"""Tasks on pages: how one is doing, as a word with a sign, what it works on, and which of them a tab follows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import streamlit as st

from rowcast.entrypoints.dashboard.page import Page, plain
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


def state_of(page: Page, task: Task) -> str:
    """A badge, in Markdown."""
    color, sign = _BADGES[task.state]
    return f":{color}-badge[{sign} {page.t(f'task.{task.state.value}')}]"


def subject_of(page: Page, task: Task) -> str:
    """What is done to what, in Markdown."""
    kind = page.t.get(f"kind_of_task.{task.kind}") or plain(task.kind)
    return f"{kind}: **{plain(task.subject)}**"


def show_running(page: Page, kind: str, slot: str) -> None:
    """Links to the tasks of a kind that are under way: a page that was closed may come back to them. ``slot`` is where
    the tab keeps which one it follows."""
    running = page.recall(
        f"tasks.{kind}.running",
        lambda: page.client.tasks.list(kind=kind, state="running", limit=5),
        seconds=RUNNING_SECONDS,
    )
    for task in running:
        with st.container(border=True):
            st.markdown(f"{state_of(page, task)} {subject_of(page, task)}")
            if st.button(page.t("train.follow"), key=f"{slot}.follow.{task.id}", icon=":material/visibility:"):
                st.session_state[slot] = task.id
                st.rerun()


def leave(page: Page, slot: str) -> None:
    """Follow no task any more, and draw the page anew."""
    st.session_state.pop(slot, None)
    st.query_params.pop("task", None)
    page.forget("tasks", "models")
    st.rerun()
