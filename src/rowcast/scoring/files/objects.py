"""Where the files of a file task are in the storage."""

from __future__ import annotations

ROOT = "scored"


def folder_key(task_id: str) -> str:
    """The folder of everything that belongs to the task but the upload."""
    return f"{ROOT}/{task_id}"


def parts_key(task_id: str) -> str:
    """The folder of finished parts, of use until the task has ended."""
    return f"{folder_key(task_id)}/parts"


def plan_key(task_id: str) -> str:
    """How the file is cut, where several nodes work on it."""
    return f"{parts_key(task_id)}/plan"


def predictions_key(task_id: str) -> str:
    """The rows with their predictions."""
    return f"{folder_key(task_id)}/predictions"


def errors_key(task_id: str) -> str:
    """What is wrong with rows that have no prediction, as CSV."""
    return f"{folder_key(task_id)}/errors"
