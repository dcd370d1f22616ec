"""A task in a line: how it is doing, as a word with a sign, and what it works on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

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


def state_of(page: Page, task: Task) -> str:
    """A badge, in Markdown."""
    color, sign = _BADGES[task.state]
    return f":{color}-badge[{sign} {page.t(f'task.{task.state.value}')}]"


def subject_of(page: Page, task: Task) -> str:
    """What is done to what, in Markdown."""
    kind = page.t.get(f"kind_of_task.{task.kind}") or plain(task.kind)
    return f"{kind}: **{plain(task.subject)}**"
