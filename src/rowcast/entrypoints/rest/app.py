"""The REST application: operations, errors, limits and documentation put together."""

from __future__ import annotations

import re

from fastapi import APIRouter, FastAPI
from starlette.types import Receive, Scope, Send

from rowcast import __version__
from rowcast.entrypoints.measures import Measures
from rowcast.entrypoints.mlflow.app import MlflowScoring
from rowcast.entrypoints.rest import (
    account,
    administration,
    credits,
    datasets,
    documentation,
    figures,
    file_predictions,
    health,
    keys,
    licence,
    metrics,
    models,
    openapi,
    policies,
    predictions,
    problems,
    receipts,
    sharing,
    tasks,
    trainings,
    what_if,
)
from rowcast.entrypoints.rest.hot_path import HotPath
from rowcast.entrypoints.rest.limits import BodyLimit
from rowcast.entrypoints.rest.outcome import API
from rowcast.entrypoints.rest.pages import installation as pages
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2.app import V2

ROUTERS = (
    health.public,
    health.router,
    account.public,
    account.router,
    datasets.router,
    trainings.router,
    models.router,
    policies.router,
    predictions.router,
    file_predictions.router,
    what_if.router,
    receipts.router,
    credits.router,
    figures.router,
    tasks.router,
    licence.router,
    sharing.router,
    keys.router,
    administration.router,
)
"""Every operation there is, under ``API``."""

DEFAULT_BODY_BYTES = 64 * 2**20

UPLOADS = re.compile(f"{API}/(datasets|models/[^/]+{file_predictions.FILE_PATH_END})")
"""Paths of the operations that take a file of any size."""


class _Application(FastAPI):
    """The framework's application, which lets the calls that are made most take the way past it."""

    hot_path: HotPath | None = None
    further: tuple[V2 | MlflowScoring, ...] = ()
    measures: Measures | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.measures and scope["type"] == "http":
            send = self.measures.timed(metrics.name_of, scope, send)
        for door in self.further:
            if door.takes(scope):
                scope["operation"] = type(door).__name__
                await door(scope, receive, send)
                return
        way = self.hot_path.way(scope) if self.hot_path else None
        await (way or super().__call__)(scope, receive, send)


def create_app(services: Services | None = None) -> FastAPI:
    """The application on wired services; without any it only describes itself."""
    app = _Application(
        title="Rowcast",
        version=__version__,
        description=openapi.DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=openapi.operation_id,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.services = services
    app.hot_path = HotPath(services) if services else None
    app.further = (V2(services), MlflowScoring(services)) if services else ()
    app.measures = services.measures if services else None
    api = APIRouter(prefix=API)
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api)
    app.include_router(metrics.router)
    pages.install(app)
    documentation.install(app)
    problems.install(app)
    max_bytes = services.settings.max_body_bytes if services else DEFAULT_BODY_BYTES
    app.add_middleware(BodyLimit, max_bytes=max_bytes, uploads=UPLOADS)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> openapi.Document:
    """The OpenAPI document, made once."""
    if not app.openapi_schema:
        app.openapi_schema = openapi.build(app)
    return app.openapi_schema
