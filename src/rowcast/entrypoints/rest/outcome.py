"""Answering for a task: wait a while for its end, then the result, its error, or 202 with where to look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import Query
from fastapi.responses import JSONResponse

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.services import Services
from rowcast.errors import Cancelled, RowcastError
from rowcast.tasks.views import Task, TaskState

API = "/api/v1"
Wait = Annotated[
    float, Query(ge=0, le=60, description="Seconds to wait for the result before answering 202 with the task.")
]


async def current(services: Services, principal: Principal, task_id: str) -> Task:
    """The task as its row says now.

    Raises:
        NotFound: there is none, or it is someone else's.
    """
    return await to_thread.run_sync(services.desk.get, principal, task_id)


def follow(services: Services, principal: Principal, task_id: str, seconds: float) -> AsyncIterator[Task]:
    """The task now and after each of its changes, until it ends or ``seconds`` have passed."""
    return services.notices.follow(task_id, lambda: current(services, principal, task_id), timeout=seconds)


async def changed(services: Services, principal: Principal, task_id: str, seconds: float) -> Task:
    """The task at its next change; as it is when it has ended, or after ``seconds``."""
    first: Task | None = None
    async for task in follow(services, principal, task_id, seconds):
        if first is not None:
            return task
        first = task
    assert first is not None
    return first


async def settled(services: Services, principal: Principal, task_id: str, seconds: float) -> Task:
    """The task once it has ended well, or as it is after ``seconds``.

    Raises:
        RowcastError: the task failed or was cancelled; its own error.
    """
    task = [task async for task in follow(services, principal, task_id, seconds)][-1]
    if task.state is TaskState.CANCELLED:
        raise Cancelled("task_cancelled", "The task was cancelled before it was done.")
    if task.state is TaskState.FAILED and task.error is not None:
        raise RowcastError.from_dict(task.error)
    return task


def accepted(task: Task) -> JSONResponse:
    """202: the work goes on; ``Location`` is where to look."""
    return JSONResponse(task.model_dump(mode="json"), 202, {"Location": f"{API}/tasks/{task.id}"})
