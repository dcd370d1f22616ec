"""The figures for Prometheus, and who may read them."""

from __future__ import annotations

import hmac
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Request, Response
from starlette.types import Scope

from rowcast.entrypoints.rest.outcome import API
from rowcast.entrypoints.rest.problems import operation_of
from rowcast.entrypoints.rest.security import ADMINISTERING, Wired, caller, key_of, services_of

PATH = "/metrics"
OTHER = "other"

router = APIRouter()


async def _reader(request: Request) -> None:
    """Pass for whoever shows the token of the settings, or the key of an administrator.

    Raises:
        Unauthenticated: they show neither.
        Forbidden: they are somebody else.
    """
    services = services_of(request)
    token = services.settings.metrics_token
    if token and hmac.compare_digest(key_of(request.headers.raw).encode(), token.encode()):
        return  # without the database: a scraper must be answered when that is away
    ADMINISTERING.check(await caller(services, request.scope))


@router.get(PATH, include_in_schema=False, dependencies=[Depends(_reader)])
async def get_metrics(services: Wired, accept: Annotated[str, Header()] = "") -> Response:
    """Figures of this server in Prometheus's text format."""
    text, content_type = await to_thread.run_sync(services.metrics.text, accept)
    return Response(text, media_type=content_type)


def name_of(scope: Scope) -> str:
    """The operation that was called, as it is documented; everything that is none goes by one name."""
    named: str | None = scope.get("operation")
    if named or "route" not in scope:
        return named or OTHER
    method, _, path = operation_of(scope).partition(" ")
    return f"{method} {API if scope['path'].startswith(API) else ''}{path}"  # a route does not know where it is hung up
