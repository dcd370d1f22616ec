"""Sharing on REST: whom a model or a dataset is shared with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from rowcast.accounts.views import Sharing
from rowcast.datasets import sharing as datasets
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import Name
from rowcast.entrypoints.rest.security import Analyst, Wired
from rowcast.models import sharing as models

router = APIRouter(route_class=JsonRoute)

Wanted = Annotated[
    Sharing, Body(examples=[{"visibility": "everyone"}, {"visibility": "named", "users": ["anna", "ben"]}])
]


@router.get("/models/{name}/sharing", tags=["models"], responses=documented(401, 403, 404))
def get_model_sharing(services: Wired, principal: Analyst, name: Name) -> Sharing:
    """Whom a model is shared with: for its owner."""
    with services.database.reading() as session:
        return models.sharing_of(session, principal, name)


@router.put("/models/{name}/sharing", tags=["models"], responses=documented(401, 403, 404, 422))
def share_model(services: Wired, principal: Analyst, name: Name, wanted: Wanted) -> Sharing:
    """Let nobody else, some users or everyone see a model and predict with it. Only its owner changes it."""
    with services.database.transaction() as session:
        sharing = models.share(session, principal, name, wanted)
    services.catalog.refresh()
    return sharing


@router.get("/datasets/{name}/sharing", tags=["datasets"], responses=documented(401, 403, 404))
def get_dataset_sharing(services: Wired, principal: Analyst, name: Name) -> Sharing:
    """Whom a dataset is shared with: for its owner."""
    with services.database.reading() as session:
        return datasets.sharing_of(session, principal, name)


@router.put("/datasets/{name}/sharing", tags=["datasets"], responses=documented(401, 403, 404, 422))
def share_dataset(services: Wired, principal: Analyst, name: Name, wanted: Wanted) -> Sharing:
    """Let nobody else, some users or everyone see a dataset and train on it. Only its owner changes it."""
    with services.database.transaction() as session:
        return datasets.share(session, principal, name, wanted)
