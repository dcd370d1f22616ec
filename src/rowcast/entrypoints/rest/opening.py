"""The application while its parts are not there yet: it lives, says what it waits for, and asks to come back."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from rowcast.entrypoints.rest.at_once import Answering, Application
from rowcast.entrypoints.rest.health import Alive, Readiness
from rowcast.entrypoints.rest.outcome import API
from rowcast.entrypoints.rest.problems import RETRY_AFTER_SECONDS, render
from rowcast.errors import Unavailable


class Opening:
    """ASGI application that hands everything to ``app`` once there is one."""

    def __init__(self) -> None:
        self.app: Application | None = None
        self._waits_for: Unavailable | None = None

    def wait_for(self, error: Unavailable | None) -> None:
        """Why there is none yet."""
        self._waits_for = error

    def at_once(self, scope: Scope) -> Answering | None:
        """See ``at_once.Application``."""
        return self.app.at_once(scope) if self.app is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(Request(scope).url.path)(scope, receive, send)

    def _answer(self, path: str) -> Response:
        if path == f"{API}/health/live":
            return JSONResponse(Alive().model_dump())
        if path == f"{API}/health/ready":
            readiness = Readiness(status="degraded", parts=self._parts())
            return JSONResponse(readiness.model_dump(), 503, {"Retry-After": RETRY_AFTER_SECONDS})
        reason = self._waits_for.message if self._waits_for else "It will be there in a moment."
        return render(Unavailable("server_starting", f"The server is starting. {reason}"))

    def _parts(self) -> dict[str, str]:
        """The part that is missing, as its errors name it: ``database_unavailable`` is the database."""
        if self._waits_for is None:
            return {"server": "It is starting."}
        return {self._waits_for.code.partition("_")[0]: self._waits_for.message}
