"""Trainings on REST: what can be learned with, and learning as a durable task."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, Field

from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.outcome import API
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


@router.post("/trainings", status_code=202, responses=documented(401, 403, 404, 409, 422))
def start_training(
    services: Wired,
    principal: Analyst,
    response: Response,
    request: Annotated[TrainingRequest, Body(examples=[EXAMPLE])],
) -> Task:
    """Train on a dataset. The answer is a task to follow at `Location`; its result lists the candidates, best first."""
    return _located(response, services.desk.submit_training(principal, request))


@router.post("/models/{name}/versions/{number}/retrain", status_code=202, responses=documented(401, 403, 404, 409, 422))
def retrain_version(
    services: Wired,
    principal: Analyst,
    response: Response,
    name: Name,
    number: VersionNumber,
    changes: Annotated[RetrainRequest | None, Body(examples=[{"hyperparameters": {"learning_rate": 0.05}}])] = None,
) -> Task:
    """Train a version again: the same recipe on newer data, or with other hyperparameters."""
    task = services.desk.submit_retraining(principal, name, number, changes or RetrainRequest())
    return _located(response, task)


def _located(response: Response, task: Task) -> Task:
    response.headers["Location"] = f"{API}/tasks/{task.id}"
    return task
