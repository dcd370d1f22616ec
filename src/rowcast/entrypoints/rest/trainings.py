"""Trainings on REST: what can be learned with, and learning as a durable task."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, Field

from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.outcome import ENDED, IdempotencyKey, PreferredWait, once_of
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import Name, VersionNumber
from rowcast.entrypoints.rest.security import Analyst, Anyone, Wired
from rowcast.models.algorithms import listing
from rowcast.models.recipe import RetrainRequest, TrainingRequest
from rowcast.models.views import Algorithm
from rowcast.tasks.views import Task

router = APIRouter(tags=["training"], route_class=JsonRoute)

EXAMPLE = {"dataset": "sba_loans", "target": "MIS_Status", "preset": "fast"}


class Algorithms(BaseModel):
    """What can be learned with."""

    items: list[Algorithm] = Field(description="The algorithms, simplest first.")


@router.get("/algorithms", responses=documented(401))
def list_algorithms(principal: Anyone) -> Algorithms:
    """What can be learned with: algorithms and their hyperparameters with types, ranges, defaults and meaning."""
    return Algorithms(items=listing())


@router.post(
    "/trainings",
    status_code=202,
    response_model=Task,
    responses=ENDED | documented(401, 403, 404, 409, 422, 429),
)
async def start_training(
    services: Wired,
    principal: Analyst,
    request: Annotated[TrainingRequest, Body(examples=[EXAMPLE])],
    idempotency_key: IdempotencyKey = None,
    wait: PreferredWait = None,
) -> Response:
    """Train on a dataset. The answer is a task to follow at `Location`; its result lists the candidates, best first."""
    once = once_of(idempotency_key, "start_training", request)
    submit = partial(services.desk.submit_training, principal, request, once=once)
    return await outcome.answered(services, principal, await outcome.submitted(submit), wait)


@router.post(
    "/models/{name}/versions/{number}/retrain",
    status_code=202,
    response_model=Task,
    responses=ENDED | documented(401, 403, 404, 409, 422, 429),
)
async def retrain_version(
    services: Wired,
    principal: Analyst,
    name: Name,
    number: VersionNumber,
    changes: Annotated[RetrainRequest | None, Body(examples=[{"hyperparameters": {"learning_rate": 0.05}}])] = None,
    idempotency_key: IdempotencyKey = None,
    wait: PreferredWait = None,
) -> Response:
    """Train a version again: the same recipe on newer data, or with other hyperparameters."""
    changes = changes or RetrainRequest()
    once = once_of(idempotency_key, "retrain_version", name, number, changes)
    submit = partial(services.desk.submit_retraining, principal, name, number, changes, once=once)
    return await outcome.answered(services, principal, await outcome.submitted(submit), wait)
