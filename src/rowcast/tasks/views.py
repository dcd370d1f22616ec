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

    id: str = Field(description="Its identifier.")
    kind: str = Field(description="import, profile or train.")
    state: TaskState = Field(description="How it is doing; the last three are final.")
    owner: str = Field(description="Who started it.")
    subject: str = Field(description="What it works on: the dataset or model by name.")
    progress: Progress | None = Field(default=None, description="How far it is, while it runs.")
    result: dict[str, Any] | None = Field(default=None, description="Depends on the kind; set once it succeeded.")
    error: dict[str, Any] | None = Field(default=None, description="code, message and problems; set once it failed.")
    attempts: int = Field(description="How often it was started.")
    cancel_requested: bool = Field(description="Whether it was asked to stop.")
    created_at: datetime = Field(description="When it was asked for.")
    started_at: datetime | None = Field(default=None, description="When a worker took it.")
    finished_at: datetime | None = Field(default=None, description="When it ended.")
