"""The pages at /api/docs: Swagger from files of the package, so that they work on a closed network, for those who are
signed in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from rowcast.entrypoints.rest.outcome import API
from rowcast.entrypoints.rest.pages.languages import language_of
from rowcast.entrypoints.rest.pages.rendering import HEADERS, to_sign_in, who
from rowcast.entrypoints.rest.pages.texts import Texts
from rowcast.entrypoints.rest.security import caller, services_of

DOCS = "/api/docs"
FILES = "/api/docs/files"
DOCUMENT = f"{API}/openapi.json"

_HEADERS: Mapping[str, str] = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}


def install(app: FastAPI) -> None:
    """Serve the OpenAPI document, Swagger at /api/docs and its files beside it."""
    app.mount(FILES, StaticFiles(directory=Path(__file__).parent / "swagger"), name="swagger")

    @app.get(DOCUMENT, include_in_schema=False)
    async def document(request: Request) -> Response:
        if services_of(request) is not None:
            await caller(services_of(request), request.scope)
        return JSONResponse(app.openapi())

    @app.get(DOCS, include_in_schema=False)
    async def swagger(request: Request) -> Response:
        principal = await who(request)
        if principal is None:
            return to_sign_in(request)
        texts = Texts(language_of(request))
        page = app.state.templates.get_template("docs.html")
        content = page.render(texts=texts, name=principal.name, files=FILES, document=DOCUMENT)
        return HTMLResponse(content, headers=dict(_HEADERS))


def at_front_door(app: FastAPI) -> None:
    """Send whoever comes to the front door there."""

    @app.get("/", include_in_schema=False)
    async def front_door() -> RedirectResponse:
        return RedirectResponse(DOCS)
