"""Tasks on REST: how long work is doing, following it, stopping it. Everyone sees their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.outcome import ENDED, IdempotencyKey, PreferredWait
from rowcast.entrypoints.rest.paging import After, Limit, Page
from rowcast.entrypoints.rest.predictions import EXAMPLE as PREDICTION
from rowcast.entrypoints.rest.problems import Responses, documented
from rowcast.entrypoints.rest.references import TaskId
from rowcast.entrypoints.rest.security import READING, Anyone, Predictor, Submitter, Wired, identified
from rowcast.entrypoints.services import Services
from rowcast.errors import RowcastError, Unavailable
from rowcast.tasks import predictions
from rowcast.tasks.intake import Submitted
from rowcast.tasks.views import Task, TaskState

EVENTS: Responses = {200: {"content": {"text/event-stream": {}}, "description": "An event `task` at every change."}}

EXAMPLE: dict[str, Any] = {"kind": predictions.KIND, "model": "sba_loans", **PREDICTION}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/PredictTaskRequest"}, "example": EXAMPLE}
        },
    }
}

router = APIRouter(prefix="/tasks", tags=["tasks"])

KEEP_ALIVE_SECONDS = 15
"""The task is sent again this often although nothing changed, so that nobody on the way closes a silent stream."""

PAUSE_SECONDS = 1.0
"""A stream that has begun looks again this often while the database is away."""


@router.get("", responses=documented(401, 422))
def list_tasks(
    services: Wired,
    principal: Anyone,
    state: Annotated[TaskState | None, Query(description="Only tasks in this state.")] = None,
    kind: Annotated[
        str | None,
        Query(max_length=30, description="Only tasks of this kind: import, profile, train, tune, predict or score."),
    ] = None,
    limit: Limit = 50,
    after: After = None,
) -> Page[Task]:
    """Your tasks, newest first; an administrator sees everyone's."""
    items, following = services.desk.list(principal, state=state, kind=kind, limit=limit, after=after)
    return Page(items=items, next=following)


@router.post(
    "",
    status_code=202,
    response_model=Task,
    openapi_extra=BODY,
    responses=ENDED | documented(401, 402, 404, 408, 409, 413, 422, 429, 503),
)
async def submit_task(
    request: Request,
    services: Wired,
    principal: Predictor,
    idempotency_key: IdempotencyKey = None,
    wait: PreferredWait = None,
) -> Response:
    """Have rows answered through the queue: the task is on record when this answers, and its result stays.

    The rows are those of a prediction, and so is `result` once the task succeeded. With `Prefer: wait=20` the answer
    comes with the end of the task, at the latest after so many seconds. It is no error of this call when the task
    fails: `error` says why.
    """
    submitted = await taken_in(services, principal, await request.body(), idempotency_key)
    return await outcome.answered(services, principal, submitted, wait)


async def taken_in(services: Services, principal: Principal, body: bytes, key: str | None) -> Submitted:
    """The task that a body asks for, on record.

    Raises:
        RowcastError: it is refused, or cannot be taken in now.
    """
    asked = predictions.read(principal, body, max_rows=services.settings.max_rows_per_call, key=key)
    served = services.catalog.find(principal, asked.subject)
    if served is None:
        served = await to_thread.run_sync(services.catalog.get, principal, asked.subject)
    rate = services.tariff.rate(served.price, reasons=asked.reasons)
    return await services.intake.submit(asked._replace(rate=rate) if rate else asked)


@router.get("/{task_id}", responses=documented(401, 404, 422))
async def get_task(
    services: Wired,
    principal: Anyone,
    response: Response,
    task_id: TaskId,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for a change before answering.")] = 0,
    until_ended: PreferredWait = None,
) -> Task:
    """A task: its state, how far it is, its result or what went wrong."""
    if until_ended is None:
        return await outcome.changed(services, principal, task_id, wait)
    response.headers["Preference-Applied"] = f"wait={until_ended:g}"
    seen = services.notices.seen(task_id)
    task = await outcome.current(services, principal, task_id)
    return await outcome.ended(services, principal, task, until_ended, seen)


@router.post("/{task_id}/cancel", responses=documented(401, 404))
def cancel_task(services: Wired, principal: Submitter, task_id: TaskId) -> Task:
    """Stop a task; one that has ended stays as it ended."""
    return services.desk.cancel(principal, task_id)


@router.get(
    "/{task_id}/events",
    response_class=StreamingResponse,
    responses=EVENTS | documented(401, 404),
)
async def follow_task(request: Request, services: Wired, principal: Anyone, task_id: TaskId) -> StreamingResponse:
    """Follow a task as server-sent events, each with the task as JSON; the stream ends when the task does, or with an
    event `error` within five seconds of the end of the caller's key or session."""
    await outcome.current(services, principal, task_id)  # an unknown task is an error, not an empty stream

    async def look() -> Task:
        still = await identified(services, request.scope)
        READING.check(still)
        return await outcome.current(services, still, task_id)

    async def events() -> AsyncIterator[str]:
        ended = False
        while not ended:
            try:
                async for task in services.notices.follow(task_id, look, timeout=KEEP_ALIVE_SECONDS):
                    yield f"event: task\ndata: {task.model_dump_json()}\n\n"
                    ended = task.state.final
            except Unavailable:  # too late for a status: a comment, which also finds out who has gone
                yield ": the task cannot be read now\n\n"
                await asyncio.sleep(PAUSE_SECONDS)
            except RowcastError as error:
                yield f"event: error\ndata: {json.dumps({'code': error.code, 'message': error.message})}\n\n"
                ended = True

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


def describe(document: dict[str, Any]) -> None:
    """Put the form of the request, which the framework does not parse, into an OpenAPI document."""
    form = predictions.PredictTaskRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"]["PredictTaskRequest"] = form
