"""All pages put together."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from rowcast.entrypoints.rest.pages import absent, account, joining, providers, signing
from rowcast.entrypoints.rest.pages.rendering import templates

ASSETS = "/assets"
ROUTERS = (signing.router, providers.router, joining.router, account.router)
"""Every page there is, beside the API's documentation."""


def install(app: FastAPI) -> None:
    """Serve the pages and their stylesheet."""
    app.state.templates = templates()
    app.mount(ASSETS, StaticFiles(directory=Path(__file__).parent / "assets"), name="assets")
    for router in ROUTERS:
        app.include_router(router)
    absent.install(app)
