"""Searches for the best model on REST: a durable task, and its trials as they come in."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Response

from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.outcome import ENDED, IdempotencyKey, PreferredWait, once_of
from rowcast.entrypoints.rest.paging import After, Limit, Page
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import TaskId
from rowcast.entrypoints.rest.security import Analyst, Anyone, Wired
from rowcast.models.tune.views import TrialResult, TuningRequest
from rowcast.tasks.views import Task

router = APIRouter(tags=["training"], route_class=JsonRoute)

EXAMPLE = {"dataset": "sba_loans", "target": "MIS_Status", "seconds": 600}


@router.post(
    "/tunings",
    status_code=202,
    response_model=Task,
    responses=ENDED | documented(401, 403, 404, 409, 422, 429),
)
async def start_tuning(
    services: Wired,
    principal: Analyst,
    request: Annotated[TuningRequest, Body(examples=[EXAMPLE])],
    idempotency_key: IdempotencyKey = None,
    wait: PreferredWait = None,
) -> Response:
    """Search for the best model of a dataset: algorithms, hyperparameters and preparation, within a time or a number
    of trials.

    The answer is a task to follow at `Location`. Its result is that of a training with the one version that was made,
    and in `study` what was chosen and how good it is on rows that the search never saw. A search that is interrupted
    goes on from its last finished trial.
    """
    once = once_of(idempotency_key, "start_tuning", request)
    submit = partial(services.desk.submit_study, principal, request, once=once)
    return await outcome.answered(services, principal, await outcome.submitted(submit), wait)


@router.get("/tasks/{task_id}/trials", responses=documented(401, 404, 422))
def list_trials(
    services: Wired, principal: Anyone, task_id: TaskId, limit: Limit = 50, after: After = None
) -> Page[TrialResult]:
    """Finished trials of a search by number, also while it runs."""
    items, following = services.desk.trials(principal, task_id, limit=limit, after=after)
    return Page(items=list(items), next=following)
