"""A way past the router for the one operation that is called thousands of times a second."""

from __future__ import annotations

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from rowcast.entrypoints.rest.outcome import API
from rowcast.entrypoints.rest.predictions import predict_rows
from rowcast.entrypoints.rest.problems import answer_to
from rowcast.entrypoints.rest.security import caller, services_of
from rowcast.errors import RowcastError

_START, _END = f"{API}/models/", "/predict"


class HotPath:
    """ASGI middleware: hands predictions to the same function that the router would call, without its search.

    Finding the operation and injecting its parameters takes the framework longer than the prediction takes us. The
    operation stays registered: the document describes it there, and what this leaves alone is found as usual.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reference = _reference(scope)
        if reference is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await predict_rows(request, services_of(request), await caller(request), reference)
        except ClientDisconnect:
            return
        except (RowcastError, HTTPException) as error:
            response = await answer_to(request, error)
        await response(scope, receive, send)


def _reference(scope: Scope) -> str | None:
    """The model of a prediction call that is plainly one; None for everything else."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    path: str = scope["path"]
    if not (path.startswith(_START) and path.endswith(_END)):
        return None
    reference = path[len(_START) : -len(_END)]
    return reference if 0 < len(reference) <= 200 and "/" not in reference else None
