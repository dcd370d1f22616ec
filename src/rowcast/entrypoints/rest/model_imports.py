"""Importing models on REST, as a durable task."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Response

from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.outcome import ENDED, IdempotencyKey, PreferredWait, once_of
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.security import Analyst, Wired
from rowcast.models.importing.request import ImportRequest
from rowcast.tasks.views import Task

router = APIRouter(tags=["models"], route_class=JsonRoute)


@router.post(
    "/models/import",
    status_code=202,
    response_model=Task,
    responses=ENDED | documented(401, 403, 409, 422, 429),
)
async def import_model(
    services: Wired,
    principal: Analyst,
    request: Annotated[ImportRequest, Body(examples=[{"source": "churn@champion"}])],
    idempotency_key: IdempotencyKey = None,
    wait: PreferredWait = None,
) -> Response:
    """Make a model that is registered in MLflow a version here. Its formats must hold no code: ONNX, the boosters' own,
    skops. An administrator may have a pickle converted, where the operator allows it."""
    once = once_of(idempotency_key, "import_model", request)
    submit = partial(services.desk.submit_model_import, principal, request, once=once)
    return await outcome.answered(services, principal, await outcome.submitted(submit), wait)
