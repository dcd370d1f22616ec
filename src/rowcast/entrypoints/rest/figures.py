"""The queue on REST, for those who run the server."""

from __future__ import annotations

from fastapi import APIRouter

from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import TaskId
from rowcast.entrypoints.rest.security import Administrator, Wired
from rowcast.tasks import figures
from rowcast.tasks.views import Figures

router = APIRouter(prefix="/tasks", tags=["tasks"])


@router.get("/figures", responses=documented(401, 403))
def get_figures(services: Wired, _: Administrator) -> Figures:
    """How the queue is doing: what waits in each lane and for how long, leases, retries, dead letters."""
    return figures.figures(services.database, services.broker)


@router.post("/{task_id}/requeue", status_code=204, responses=documented(401, 403, 404, 503))
def requeue_task(services: Wired, _: Administrator, task_id: TaskId) -> None:
    """Put the dead letter of a task back into its lane, once the cause is gone."""
    figures.revive(services.broker, task_id)
