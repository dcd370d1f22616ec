"""The front door, where there is a dashboard: a server of its own, called at the address of this one."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from rowcast.entrypoints.dashboard.paths import is_dashboard
from rowcast.entrypoints.passing import Passing
from rowcast.entrypoints.rest.browsers import address_of, token_of
from rowcast.entrypoints.rest.problems import render
from rowcast.entrypoints.vouching import HEADER, Vouching
from rowcast.errors import Unavailable


def install(app: FastAPI, url: str, vouching: Vouching) -> None:
    """Pass on to the server at ``url`` what is the dashboard's and no operation of ours: only what nothing else answers
    is looked at."""

    def said(scope: Scope) -> list[tuple[bytes, bytes]]:
        token = token_of(scope["headers"])
        return [(HEADER, vouching.word(address_of(scope), token).encode())] if token else []

    passing, otherwise = Passing(url, _no_dashboard, said), app.router.default

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        await (passing if is_dashboard(scope["path"]) else otherwise)(scope, receive, send)

    app.router.default = front


async def _no_dashboard(scope: Scope, receive: Receive, send: Send) -> None:
    error = Unavailable("dashboard_unavailable", "The dashboard does not answer. Try again in a moment.")
    await render(error)(scope, receive, send)
