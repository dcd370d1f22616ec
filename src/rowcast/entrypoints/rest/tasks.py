"""Tasks on REST: how long work is doing, following it, stopping it. Everyone sees their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.paging import After, Limit, Page
from rowcast.entrypoints.rest.problems import Responses, documented
from rowcast.entrypoints.rest.references import TaskId
from rowcast.entrypoints.rest.security import Anyone, Wired
from rowcast.tasks.views import Task, TaskState

EVENTS: Responses = {200: {"content": {"text/event-stream": {}}, "description": "An event `task` at every change."}}

router = APIRouter(prefix="/tasks", tags=["tasks"])

KEEP_ALIVE_SECONDS = 15
"""The task is sent again this often although nothing changed, so that nobody on the way closes a silent stream."""


@router.get("", responses=documented(401, 422))
def list_tasks(
    services: Wired,
    principal: Anyone,
    state: Annotated[TaskState | None, Query(description="Only tasks in this state.")] = None,
    kind: Annotated[
        str | None, Query(max_length=30, description="Only tasks of this kind: import, profile or train.")
    ] = None,
    limit: Limit = 50,
    after: After = None,
) -> Page[Task]:
    """Your tasks, newest first; an administrator sees everyone's."""
    items, following = services.desk.list(principal, state=state, kind=kind, limit=limit, after=after)
    return Page(items=items, next=following)


@router.get("/{task_id}", responses=documented(401, 404, 422))
async def get_task(
    services: Wired,
    principal: Anyone,
    task_id: TaskId,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for a change before answering.")] = 0,
) -> Task:
    """A task: its state, how far it is, its result or what went wrong."""
    return await outcome.changed(services, principal, task_id, wait)


@router.post("/{task_id}/cancel", responses=documented(401, 404))
def cancel_task(services: Wired, principal: Anyone, task_id: TaskId) -> Task:
    """Stop a task; one that has ended stays as it ended."""
    return services.desk.cancel(principal, task_id)


@router.get(
    "/{task_id}/events",
    response_class=StreamingResponse,
    responses=EVENTS | documented(401, 404),
)
async def follow_task(services: Wired, principal: Anyone, task_id: TaskId) -> StreamingResponse:
    """Follow a task as server-sent events, each with the task as JSON; the stream ends when the task does."""
    await outcome.current(services, principal, task_id)  # an unknown task is an error, not an empty stream

    async def events() -> AsyncIterator[str]:
        ended = False
        while not ended:
            async for task in outcome.follow(services, principal, task_id, KEEP_ALIVE_SECONDS):
                yield f"event: task\ndata: {task.model_dump_json()}\n\n"
                ended = task.state.final

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)
