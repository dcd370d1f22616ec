"""The door: ``/mlflow/MODEL/ping``, ``/health``, ``/version`` and ``/invocations``."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import msgspec
from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from rowcast import __version__
from rowcast.accounts.principal import Principal
from rowcast.entrypoints.mlflow.frames import rows_of
from rowcast.entrypoints.rest import problems
from rowcast.entrypoints.rest.limits import whole_body, within
from rowcast.entrypoints.rest.security import caller
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2.app import PREDICTOR
from rowcast.entrypoints.v2.infer import ROWS_ON_THE_LOOP, served
from rowcast.errors import NotFound
from rowcast.monitoring.receipts import Scored
from rowcast.scoring.loaded import Served
from rowcast.scoring.requests import RowsToScore, check

PREFIX = "/mlflow"
_PATH = re.compile(rf"{PREFIX}/(?P<model>[^/]+)/(?P<operation>ping|health|version|invocations)/?")
_KEPT_HEADERS = frozenset({b"retry-after", b"www-authenticate", b"allow"})
METHODS = {"ping": "GET", "health": "GET", "version": "GET", "invocations": "POST"}


class MlflowScoring:
    """An ASGI application for paths that begin with ``/mlflow``. Only invocations need a caller."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def takes(self, scope: Scope) -> bool:
        """Whether the address is one of these."""
        path: str = scope.get("path", "")
        return scope["type"] == "http" and path.startswith(f"{PREFIX}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, body, headers = 200, await self._answered(scope, receive), []
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  (the last to see it)
            problem = problems.answer_to(error, f"{scope['method']} {PREFIX}")
            # This protocol knows no 422: what is wrong with a request is 400.
            status = 400 if problem.status_code == 422 else problem.status_code
            body = _refusal(bytes(problem.body))
            headers = [(name, value) for name, value in problem.raw_headers if name in _KEPT_HEADERS]
        headers += [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answered(self, scope: Scope, receive: Receive) -> bytes:
        found = _PATH.fullmatch(scope["path"])
        if found is None:
            raise NotFound("not_found", "There is nothing at this address: /mlflow/MODEL/invocations answers rows.")
        if scope["method"] != (method := METHODS[found["operation"]]):
            raise HTTPException(405, f"This address takes {method}.", {"Allow": method})
        match found["operation"]:
            case "version":
                return msgspec.json.encode(__version__)
            case "invocations":
                return await self._invoked(scope, receive, found["model"])
            case _:
                return b"\n"

    async def _invoked(self, scope: Scope, receive: Receive, reference: str) -> bytes:
        principal = await caller(self._services, scope)
        PREDICTOR.check(principal)
        body = await whole_body(within(scope, receive, self._services.settings.max_body_bytes))
        found = await served(self._services, principal, reference)
        kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
        rows = RowsToScore(rows_of(kind, body, found.model.schema))
        check(rows, max_rows=self._services.settings.max_rows_per_call)
        score = partial(self._scored, principal, found, rows)
        scored = score() if len(rows.rows) <= ROWS_ON_THE_LOOP else await to_thread.run_sync(score)
        await self._services.receipts.keep(scored)
        return _predictions(scored.reply)

    def _scored(self, principal: Principal, found: Served, rows: RowsToScore[Any]) -> Scored:
        # The receipt holds the call as REST has it, so that it is listed, redacted and replayed like any other.
        body = msgspec.json.encode({"rows": rows.rows})
        return self._services.receipts.score(principal, found, body, rows)


class _Reply(msgspec.Struct):
    predictions: list[Any]


def _predictions(reply: bytes) -> bytes:
    """The answers of REST's reply, row by row."""
    return msgspec.json.encode(msgspec.json.decode(reply, type=_Reply))


def _refusal(problem: bytes) -> bytes:
    told = msgspec.json.decode(problem)
    places = [f"row {one.get('row')}, {one.get('field')}: {one['message']}" for one in told.get("problems", [])[:5]]
    return msgspec.json.encode({"error_code": told["code"].upper(), "message": " ".join([told["detail"], *places])})
