"""What callers see of tasks: the answers of REST, the types of the client."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from rowcast.datasets.ports import Progress


class TaskState(StrEnum):
    """queued -> running -> succeeded | failed | cancelled; running -> queued when a worker died. One that there were no
    credits for is rejected and never queued."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def final(self) -> bool:
        return self not in (TaskState.QUEUED, TaskState.RUNNING)


class Task(BaseModel):
    """A piece of durable work and how it is doing."""

    id: str = Field(description="Its identifier.")
    kind: str = Field(description="import, profile, train, tune, predict or score.")
    state: TaskState = Field(description="How it is doing; the last four are final.")
    owner: str = Field(description="Who started it.")
    subject: str = Field(description="What it works on: the dataset or model by name.")
    progress: Progress | None = Field(default=None, description="How far it is, while it runs.")
    result: dict[str, Any] | None = Field(default=None, description="Depends on the kind; set once it succeeded.")
    error: dict[str, Any] | None = Field(
        default=None, description="code, message and problems; set once it failed or was rejected."
    )
    last_error: dict[str, Any] | None = Field(
        default=None, description="Why the attempt before failed, while it waits for another or runs again."
    )
    attempts: int = Field(description="How often it was started.")
    cancel_requested: bool = Field(description="Whether it was asked to stop.")
    held: int = Field(
        default=0, description="Credits that were set aside for it; its receipt says how many of them it cost."
    )
    created_at: datetime = Field(description="When it was asked for.")
    started_at: datetime | None = Field(default=None, description="When a worker took it.")
    finished_at: datetime | None = Field(default=None, description="When it ended.")


class LaneFigures(BaseModel):
    """One lane: a queue of tasks that the same workers take."""

    lane: str = Field(description="Its name.")
    queued: int = Field(description="Tasks that wait for a worker.")
    delayed: int = Field(default=0, description="Those of them that wait for the moment of their next attempt.")
    running: int = Field(description="Tasks that a worker has.")
    retried: int = Field(description="Tasks of both sorts that were started more than once.")
    oldest_seconds: float | None = Field(default=None, description="Age of the oldest task that waits.")
    lease_seconds: float | None = Field(
        default=None, description="Until the first lease runs out; below 0 its worker has gone silent."
    )


class DeadMessage(BaseModel):
    """A message that no worker could do anything with."""

    id: str = Field(description="The task's id, or the message's own when it names no task.")
    lane: str = Field(description="Where it was.")
    reason: str = Field(description="Why it was put aside.")
    died_at: datetime | None = Field(default=None, description="When it was put aside.")


class Figures(BaseModel):
    """How the queue is doing."""

    lanes: list[LaneFigures] = Field(description="The lanes that have tasks to do.")
    messages: dict[str, int] | None = Field(
        default=None,
        description="Messages by lane that no worker has yet, each about one task or several; null while the broker "
        "does not answer.",
    )
    dead: list[DeadMessage] | None = Field(
        default=None, description="The oldest dead letters; null while the broker does not answer."
    )


class UselessObjects(BaseModel):
    """An object, or a folder of objects, that is of no use."""

    key: str = Field(description="Its key, or that of the folder.")
    why: str = Field(description="Why nothing will ever need it.")


class MissingObject(BaseModel):
    """An object that should be there."""

    key: str = Field(description="Its key.")
    needed_by: str = Field(description="What needs it, as dataset NAME@VERSION, model NAME@VERSION or task ID.")


class StorageCheck(BaseModel):
    """What the storage holds, held against the database."""

    objects: int = Field(description="Objects in the storage.")
    useless: list[UselessObjects] = Field(description="What is of no use, and can be deleted.")
    missing: list[MissingObject] = Field(description="What is needed and not there: restore it from a backup.")


class Collected(BaseModel):
    """What was deleted from the storage."""

    deleted: list[UselessObjects] = Field(description="What was of no use.")
