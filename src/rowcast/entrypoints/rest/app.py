"""The REST application: operations, errors, limits and documentation put together."""

from __future__ import annotations

import re
from http import HTTPStatus

from fastapi import APIRouter, FastAPI
from starlette.types import Message, Receive, Scope, Send

from rowcast import __version__
from rowcast.entrypoints.dashboard import paths
from rowcast.entrypoints.measures import Measures
from rowcast.entrypoints.mlflow.app import MlflowScoring
from rowcast.entrypoints.rest import (
    account,
    administration,
    credits,
    datasets,
    documentation,
    dvc,
    figures,
    file_predictions,
    front,
    health,
    keys,
    licence,
    metrics,
    model_imports,
    models,
    openapi,
    policies,
    predictions,
    problems,
    receipts,
    reports,
    sharing,
    storage,
    tasks,
    trainings,
    tunings,
    what_if,
)
from rowcast.entrypoints.rest.at_once import Answering
from rowcast.entrypoints.rest.browsers import first
from rowcast.entrypoints.rest.hot_path import HotPath
from rowcast.entrypoints.rest.limits import BodyLimit
from rowcast.entrypoints.rest.outcome import API
from rowcast.entrypoints.rest.pages import installation as pages
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2.app import V2
from rowcast.traces import Traces

ROUTERS = (
    health.public,
    health.router,
    account.public,
    account.router,
    datasets.router,
    reports.router,
    dvc.router,
    trainings.router,
    tunings.router,
    model_imports.router,
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
    storage.router,
    sharing.router,
    keys.router,
    administration.router,
)
"""Every operation there is, under ``API``."""

DEFAULT_BODY_BYTES = 64 * 2**20

UPLOADS = re.compile(f"{API}/(datasets|models/[^/]+{file_predictions.FILE_PATH_END})|{paths.UPLOAD}.+")
"""Paths of what takes a file of any size."""


class _Application(FastAPI):
    """The framework's application, which lets the calls that are made most take the way past it."""

    hot_path: HotPath | None = None
    quick: tuple[HotPath | V2, ...] = ()
    further: tuple[V2 | MlflowScoring, ...] = ()
    measures: Measures | None = None
    traces: Traces | None = None

    def at_once(self, scope: Scope) -> Answering | None:
        """See ``at_once.Application``."""
        if self.traces is not None:
            return None
        for door in self.quick:
            if answering := door.at_once(scope):
                return self.measures.counted(metrics.name_of, scope, answering) if self.measures else answering
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.traces is not None and scope["type"] == "http":
            await self._traced(self.traces, scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _traced(self, traces: Traces, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                status, operation = message["status"], metrics.name_of(scope)
                span.tell(name=operation, **{"http.route": operation, "http.response.status_code": status})
                if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    span.tell(error=str(status))
            await send(message)

        method = scope["method"]
        sent = first(scope["headers"], b"traceparent")
        with traces.span(method, "server", sent, **{"http.request.method": method}) as span:
            await self._answer(scope, receive, noted)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.measures and scope["type"] == "http":
            send = self.measures.timed(metrics.name_of, scope, send)
        for door in self.further:
            if door.takes(scope):
                scope["operation"] = type(door).__name__
                await door(scope, receive, send)
                return
        way = self.hot_path.way(scope) if self.hot_path else None
        await (way or super().__call__)(scope, receive, send)


def create_app(services: Services | None = None) -> _Application:
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
    if services:
        app.hot_path, v2 = HotPath(services), V2(services)
        app.quick, app.further = (app.hot_path, v2), (v2, MlflowScoring(services))
    app.measures = services.measures if services else None
    app.traces = services.traces if services and services.traces.on else None
    api = APIRouter(prefix=API)
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api)
    app.include_router(metrics.router)
    pages.install(app)
    documentation.install(app)
    if services and services.settings.dashboard_url:
        front.install(app, services.settings.dashboard_url, services.vouching)
    else:
        documentation.at_front_door(app)
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
