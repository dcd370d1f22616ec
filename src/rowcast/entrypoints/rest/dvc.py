"""DVC on REST: where its remote is, tables put there, and tables taken from there."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Response

from rowcast.accounts.audit import record
from rowcast.datasets import catalogue, dvc
from rowcast.datasets.dvc import DvcFile, DvcRemote, DvcTable
from rowcast.datasets.views import DatasetVersionDetail
from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.datasets import SAME, TASK, imported, name_from, start_import
from rowcast.entrypoints.rest.outcome import IdempotencyKey, PreferredWait, Wait
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import Name, TableVersion, version_number
from rowcast.entrypoints.rest.security import Analyst, Wired
from rowcast.entrypoints.rest.uploads import plain_name

router = APIRouter(tags=["datasets"], route_class=JsonRoute)


@router.get("/dvc/remote", responses=documented(401, 403))
def get_dvc_remote(services: Wired, _: Analyst) -> DvcRemote:
    """Where repositories push tables to with DVC, and pull them from."""
    settings = services.settings
    return dvc.remote_at(settings.resolved_storage_url, settings.storage_options)


@router.post("/datasets/{name}/versions/{version}/dvc", responses=documented(401, 403, 404, 422, 503))
def push_to_dvc(services: Wired, principal: Analyst, name: Name, version: TableVersion) -> DvcFile:
    """Put a version on the remote of DVC, where all who have the keys of the remote can read it, and say what a `.dvc`
    file has to name. For the owner of the dataset."""
    with services.database.transaction() as session:
        dataset, row = catalogue.find_version(session, principal, name, version_number(version))
        catalogue.check_may_change(principal, dataset)
        record(session, "dataset.pushed_to_dvc", name, principal=principal, version=row.number)
        content_hash, filename = row.content_hash, row.filename
    return dvc.push(services.storage, content_hash, filename)


@router.post(
    "/datasets/dvc",
    status_code=201,
    response_model=DatasetVersionDetail,
    responses=TASK | SAME | documented(401, 403, 404, 409, 422, 429, 503),
)
async def add_dvc_table(
    response: Response,
    services: Wired,
    principal: Analyst,
    table: DvcTable,
    wait: Wait = 30,
    idempotency_key: IdempotencyKey = None,
    preferred_wait: PreferredWait = None,
) -> Any:
    """Add a file that `dvc push` put on the remote as a new version of a dataset.

    It is read as an uploaded file is. Whoever has its `.dvc` file may have the table: nothing else is asked.
    """
    file = plain_name(table.path)
    once = outcome.once_of(idempotency_key, "add_dvc_table", table)
    store = partial(dvc.fetch, services.storage, table)
    asked = (table.name or name_from(file), file, table.description, table.kinds)
    made = await outcome.submitted(partial(start_import, services, principal, store, *asked, once))
    return await imported(response, services, principal, made, wait, preferred_wait)
