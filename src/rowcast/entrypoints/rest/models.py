"""Models on REST: reading is for everyone, changing what serves for analysts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from rowcast.datasets.schema import FeatureSchema
from rowcast.entrypoints.rest.archives import zip_stream
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.paging import After, Limit, Page
from rowcast.entrypoints.rest.problems import Responses, documented
from rowcast.entrypoints.rest.references import ModelReference, Name, VersionNumber
from rowcast.entrypoints.rest.security import Analyst, Anyone, Wired
from rowcast.entrypoints.rest.streams import Stream
from rowcast.errors import NotFound
from rowcast.models import aliases, registry
from rowcast.models.references import CHAMPION, find_version
from rowcast.models.views import AliasEvent, Model, ModelVersion, ModelVersionDetail

router = APIRouter(prefix="/models", tags=["models"], route_class=JsonRoute)

ZIP: Responses = {
    200: {"content": {"application/zip": {}}, "description": "The bundle: a folder that onnxruntime can run."}
}

AliasName = Annotated[
    str, Path(max_length=50, description="`champion`, `challenger`, or a name of your own.", examples=["challenger"])
]


class VersionChoice(BaseModel):
    """Which version an alias is to point at."""

    version: int = Field(ge=1, description="Number of the version.", examples=[1])


class Promotion(VersionChoice):
    """Which version is to serve."""

    alias: str = Field(default=CHAMPION, max_length=50, description="The alias to move; champion serves by default.")


class Rollback(BaseModel):
    """Which alias is to go back."""

    alias: str = Field(default=CHAMPION, max_length=50, description="The alias to move; champion serves by default.")


@router.get("", responses=documented(401, 422))
def list_models(services: Wired, principal: Anyone, limit: Limit = 50, after: After = None) -> Page[Model]:
    """Models by name, each with its aliases and its champion."""
    with services.database.reading() as session:
        items, following = registry.list_models(session, principal, limit=limit, after=after)
    return Page(items=items, next=following)


@router.get("/{name}", responses=documented(401, 404))
def get_model(services: Wired, principal: Anyone, name: Name) -> Model:
    """A model with its aliases and its champion."""
    with services.database.reading() as session:
        return registry.model_view(session, principal, name)


@router.delete("/{name}", status_code=204, responses=documented(401, 403, 404))
def delete_model(services: Wired, principal: Analyst, name: Name) -> None:
    """Remove a model with all its versions, aliases and files."""
    with services.database.transaction() as session:
        bundles = registry.delete_model(session, principal, name)
    services.catalog.refresh()
    for key in bundles:
        services.storage.delete(key)


@router.get("/{name}/versions", responses=documented(401, 404, 422))
def list_model_versions(
    services: Wired, principal: Anyone, name: Name, limit: Limit = 50, after: After = None
) -> Page[ModelVersion]:
    """Versions of a model, newest first."""
    with services.database.reading() as session:
        items, following = registry.list_versions(session, principal, name, limit=limit, after=after)
    return Page(items=items, next=following)


@router.get("/{name}/versions/{number}", responses=documented(401, 404))
def get_model_version(services: Wired, principal: Anyone, name: Name, number: VersionNumber) -> ModelVersionDetail:
    """A version with all that is needed to use it, judge it and train it again."""
    with services.database.reading() as session:
        return registry.version_view(session, principal, name, number, services.tracked)


@router.delete("/{name}/versions/{number}", status_code=204, responses=documented(401, 403, 404, 409))
def delete_model_version(services: Wired, principal: Analyst, name: Name, number: VersionNumber) -> None:
    """Remove a version and its files; refused while an alias points at it."""
    with services.database.transaction() as session:
        bundles = registry.delete_version(session, principal, name, number)
    services.catalog.refresh()
    for key in bundles:
        services.storage.delete(key)


@router.get(
    "/{name}/versions/{number}/export",
    response_class=StreamingResponse,
    responses=ZIP | documented(401, 404, 503),
)
def export_model_version(services: Wired, principal: Anyone, name: Name, number: VersionNumber) -> StreamingResponse:
    """The version's bundle as a zip: ONNX, schema, golden rows, model card and a program that runs it alone.

    The golden rows, in `golden.json`, are up to ten rows of the table that it learned from, as they were: where those
    are about people, so is the zip. Whoever sees a model may export it.
    """
    with services.database.reading() as session:
        _, version = find_version(session, principal, name, number)
        prefix = version.bundle_key
    if not services.storage.exists(f"{prefix}/manifest.json"):
        raise NotFound("bundle_not_found", "This version's files are gone: it was deleted a moment ago, or by hand.")
    folder = f"{name}-{number}"
    headers = {"Content-Disposition": f'attachment; filename="{folder}.zip"'}
    return Stream(zip_stream(services.storage, prefix, folder), media_type="application/zip", headers=headers)


@router.get("/{name}/aliases", responses=documented(401, 404))
def list_aliases(services: Wired, principal: Anyone, name: Name) -> dict[str, int]:
    """The model's aliases, each with the version it points at."""
    with services.database.reading() as session:
        return aliases.list_aliases(session, principal, name)


@router.put("/{name}/aliases/{alias}", responses=documented(401, 403, 404, 422, 503))
def set_alias(
    services: Wired,
    principal: Analyst,
    name: Name,
    alias: AliasName,
    choice: Annotated[VersionChoice, Body(examples=[{"version": 1}])],
) -> AliasEvent:
    """Point an alias at a version; one that is there already moves."""
    services.catalog.get(principal, f"{name}@{choice.version}")
    with services.database.transaction() as session:
        event = aliases.set_alias(session, principal, name, alias, choice.version)
    services.catalog.refresh()
    return event


@router.delete("/{name}/aliases/{alias}", status_code=204, responses=documented(401, 403, 404))
def remove_alias(services: Wired, principal: Analyst, name: Name, alias: AliasName) -> None:
    """Take an alias away; calls that use it fail from then on."""
    with services.database.transaction() as session:
        aliases.remove_alias(session, principal, name, alias)
    services.catalog.refresh()


@router.post("/{name}/promote", responses=documented(401, 403, 404, 422, 503))
def promote_version(
    services: Wired, principal: Analyst, name: Name, promotion: Annotated[Promotion, Body(examples=[{"version": 1}])]
) -> AliasEvent:
    """Make a version the one that serves: it is loaded and checked first, so no request fails over it."""
    services.catalog.get(principal, f"{name}@{promotion.version}")
    with services.database.transaction() as session:
        event = aliases.promote(session, principal, name, promotion.version, promotion.alias)
    services.catalog.refresh()
    return event


@router.post("/{name}/rollback", responses=documented(401, 403, 404, 409, 422))
def roll_back(
    services: Wired,
    principal: Analyst,
    name: Name,
    which: Annotated[Rollback | None, Body(examples=[{"alias": "champion"}])] = None,
) -> AliasEvent:
    """Point an alias back at what it served before what it serves now."""
    with services.database.transaction() as session:
        event = aliases.rollback(session, principal, name, which.alias if which else CHAMPION)
    services.catalog.refresh()
    return event


@router.get("/{name}/history", responses=documented(401, 404, 422))
def list_alias_moves(
    services: Wired, principal: Anyone, name: Name, limit: Limit = 50, after: After = None
) -> Page[AliasEvent]:
    """What served when: every move of the model's aliases, newest first."""
    with services.database.reading() as session:
        items, following = aliases.history(session, principal, name, limit=limit, after=after)
    return Page(items=items, next=following)


@router.get("/{reference}/schema", responses=documented(401, 404, 422))
def get_feature_schema(services: Wired, principal: Anyone, reference: ModelReference) -> FeatureSchema:
    """What a row for a prediction holds: features in order, kinds, categories, ranges, meanings."""
    return services.catalog.get(principal, reference).model.schema
