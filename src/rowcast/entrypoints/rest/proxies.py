"""Requests that proxies pass on: who calls, and by which scheme, is what those say that the settings trust."""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from rowcast.entrypoints.rest.at_once import Answering

_SCHEMES = (b"http", b"https", b"ws", b"wss")


class BehindProxies(ProxyHeadersMiddleware):
    """An application that is called through them; uvicorn's own middleware with the shorter way of ``at_once``."""

    def __init__(self, app: Any, trusted: str) -> None:
        super().__init__(app, trusted)
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        if scope["type"] != "lifespan":
            self._believe(scope)
        await self._app(scope, receive, send)

    def at_once(self, scope: Scope) -> Answering | None:
        """See ``at_once.Application``."""
        at_once = getattr(self._app, "at_once", None)
        if at_once is None:
            return None
        self._believe(scope)
        answering: Answering | None = at_once(scope)
        return answering

    def _believe(self, scope: Scope) -> None:
        """Put what a trusted proxy says in the place of the proxy; done again, it changes nothing."""
        client = scope.get("client")
        if (client[0] if client else None) not in self.trusted_hosts:
            return
        callers = []
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                callers.append(value)
            elif name == b"x-forwarded-proto" and value.strip() in _SCHEMES:
                scheme = value.strip().decode()
                scope["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
        if callers:
            address = self.trusted_hosts.get_trusted_client_address(b", ".join(callers).decode("latin-1"))
            if address[0]:
                scope["client"] = address
