"""The storage on REST, for those who run the server."""

from __future__ import annotations

from fastapi import APIRouter

from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.security import Administrator, Wired
from rowcast.tasks import upkeep
from rowcast.tasks.views import Collected, StorageCheck

router = APIRouter(prefix="/storage", tags=["storage"])


@router.get("", responses=documented(401, 403, 409, 503))
def check_storage(services: Wired, _: Administrator) -> StorageCheck:
    """What is in the storage and of no use, and what is needed and not there. Nothing is changed."""
    return upkeep.check(services.database, services.storage)


@router.post("/collect", responses=documented(401, 403, 409, 503))
def collect_storage(services: Wired, principal: Administrator) -> Collected:
    """Delete what is of no use. Workers do so by themselves now and then."""
    return upkeep.collect(services.database, services.storage, principal)
