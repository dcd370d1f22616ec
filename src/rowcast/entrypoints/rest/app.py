"""The REST application: operations, errors, limits and documentation put together."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi

from rowcast import __version__
from rowcast.entrypoints.rest import (
    datasets,
    documentation,
    health,
    models,
    predictions,
    problems,
    tasks,
    trainings,
)
from rowcast.entrypoints.rest.limits import BodyLimit
from rowcast.entrypoints.rest.outcome import API
from rowcast.entrypoints.services import Services

DESCRIPTION = """Train, version, explain and serve models of your own tables.

Press **Authorize** and paste an API key (`rc_...`, printed at the first start). Then: add a table with
`POST /datasets`, train on it with `POST /trainings`, follow the task, and predict with
`POST /models/{reference}/predict`.
Every error has the form of RFC 9457 with a stable `code`."""

ROUTERS = (
    health.public,
    health.router,
    datasets.router,
    trainings.router,
    models.router,
    predictions.router,
    tasks.router,
)
"""Every operation there is, under ``API``."""

DEFAULT_BODY_BYTES = 64 * 2**20


def create_app(services: Services | None = None) -> FastAPI:
    """The application on wired services; without any it only describes itself."""
    app = FastAPI(
        title="Rowcast",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.services = services
    api = APIRouter(prefix=API)
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api)
    documentation.install(app)
    problems.install(app)
    max_bytes = services.settings.max_body_bytes if services else DEFAULT_BODY_BYTES
    app.add_middleware(BodyLimit, max_bytes=max_bytes, upload_path=f"{API}/datasets")
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI with the one form that errors really have, in place of the framework's."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        license_info=app.license_info,
    )
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problems.describe(document)
    predictions.describe(document)
    app.openapi_schema = document
    return document
