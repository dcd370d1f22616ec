"""What callers see of tasks: the answers of REST, the types of the client."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from rowcast.datasets.ports import Progress


class TaskState(StrEnum):
    """queued -> running -> succeeded | failed | cancelled; running -> queued when a worker died."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)


class Task(BaseModel):
    """A piece of durable work and how it is doing."""

    id: str
    kind: str = Field(description="import, profile or train.")
    state: TaskState
    owner: str
    subject: str = Field(description="What it works on: the dataset or model by name.")
    progress: Progress | None = None
    result: dict[str, Any] | None = Field(default=None, description="Depends on the kind; set once it succeeded.")
    error: dict[str, Any] | None = Field(default=None, description="code, message and problems; set once it failed.")
    attempts: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
