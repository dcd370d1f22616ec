"""The pages at /api/docs: Swagger from files of the package, so that they work on a closed network."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

DOCS = "/api/docs"
FILES = "/api/docs/files"


def install(app: FastAPI) -> None:
    """Serve Swagger at /api/docs, its files beside it, and send the front door there."""
    app.mount(FILES, StaticFiles(directory=Path(__file__).parent / "swagger"), name="swagger")

    @app.get(DOCS, include_in_schema=False)
    async def swagger() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=app.openapi_url or "",
            title=app.title,
            swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{FILES}/swagger-ui.css",
            swagger_favicon_url=f"{FILES}/favicon-32x32.png",
            swagger_ui_parameters={"persistAuthorization": True, "tryItOutEnabled": True, "docExpansion": "list"},
        )

    @app.get("/", include_in_schema=False)
    async def front_door() -> RedirectResponse:
        return RedirectResponse(DOCS)
