"""The exploratory report of a table on REST: its profile as one page."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from rowcast.accounts.principal import Principal
from rowcast.datasets import catalogue
from rowcast.datasets.report.rendering import POLICY, report
from rowcast.datasets.views import TableProfile
from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.outcome import IdempotencyKey, PreferredWait, Wait
from rowcast.entrypoints.rest.problems import Responses, documented
from rowcast.entrypoints.rest.references import Name, TableVersion, version_number
from rowcast.entrypoints.rest.security import Anyone, Wired
from rowcast.entrypoints.services import Services
from rowcast.tasks.views import TaskState

router = APIRouter(prefix="/datasets", tags=["datasets"], route_class=JsonRoute)

HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
PAGE: Responses = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "The report, all in one page."},
    202: {
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Task"}}},
        "description": "Still at it: follow the task at `Location`, then call again with the same `Idempotency-Key`.",
    },
}


@router.get(
    "/{name}/versions/{version}/report",
    response_class=HTMLResponse,
    responses=PAGE | documented(401, 404, 409, 422, 429, 503),
)
async def get_table_report(
    services: Wired,
    principal: Anyone,
    name: Name,
    version: TableVersion,
    target: Annotated[
        str | None,
        Query(description="The column to be predicted, to see what goes with it.", examples=["MIS_Status"]),
    ] = None,
    wait: Wait = 30,
    idempotency_key: IdempotencyKey = None,
    preferred_wait: PreferredWait = None,
) -> Any:
    """The table in figures and plots as one HTML page to read, print, send or keep; it runs no script and fetches
    nothing."""
    number = version_number(version)
    if target is None:
        return await to_thread.run_sync(_page, services, principal, name, number, None)
    once = outcome.once_of(idempotency_key, "get_table_report", name, version, target)
    made = await outcome.submitted(
        partial(services.desk.submit_profile, principal, once=once, dataset=name, number=number, target=target)
    )
    task = await outcome.settled(services, principal, made.task.id, wait if preferred_wait is None else preferred_wait)
    if task.state is not TaskState.SUCCEEDED:
        return outcome.accepted(task, before=made.before)
    profile = TableProfile.model_validate(task.result)
    page = await to_thread.run_sync(_page, services, principal, name, number, profile)
    outcome.say(page, preferred_wait, before=made.before)
    return page


def _page(
    services: Services, principal: Principal, name: str, number: int | None, profile: TableProfile | None
) -> HTMLResponse:
    with services.database.reading() as session:
        version = catalogue.version_view(session, principal, name, number)
        description = catalogue.find_dataset(session, principal, name).description
    page = report(version, profile or version.profile, description=description, made_at=datetime.now(UTC))
    filename = f"{version.dataset}-{version.number}.html"
    return HTMLResponse(page, headers={**HEADERS, "Content-Disposition": f'inline; filename="{filename}"'})
