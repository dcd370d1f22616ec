"""The door: ``/mlflow/MODEL/ping``, ``/health``, ``/version`` and ``/invocations``."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from rowcast import __version__
from rowcast.accounts.principal import Principal
from rowcast.entrypoints.mlflow.frames import rows_of
from rowcast.entrypoints.rest import problems
from rowcast.entrypoints.rest.limits import whole_body, within
from rowcast.entrypoints.rest.outcome import key_in
from rowcast.entrypoints.rest.predictions import by_size
from rowcast.entrypoints.rest.security import PREDICTING, caller
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2.infer import score_rows, served
from rowcast.entrypoints.wording import in_a_sentence
from rowcast.errors import NotFound
from rowcast.monitoring.receipts import Scored
from rowcast.scoring.loaded import Served

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
            body = _refusal(problem)
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
        PREDICTING.check(principal)
        body = await whole_body(within(scope, receive, self._services.settings.max_body_bytes))
        found = await served(self._services, principal, reference)
        kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
        scored = await by_size(self._services, len(body), partial(self._scored, principal, found, kind, body))
        scored = await self._services.receipts.keep(scored, key_in(scope["headers"]))
        return _predictions(scored.reply)

    def _scored(self, principal: Principal, found: Served, kind: str, body: bytes) -> Scored:
        return score_rows(self._services, principal, found, body, rows_of(kind, body, found.model.schema))


class _Reply(msgspec.Struct):
    predictions: list[Any]


def _predictions(reply: bytes) -> bytes:
    """The answers of REST's reply, row by row."""
    return msgspec.json.encode(msgspec.json.decode(reply, type=_Reply))


def _refusal(problem: problems.ProblemResponse) -> bytes:
    told = problems.ProblemDetails.model_validate_json(bytes(problem.body))
    message = in_a_sentence(told.code, told.detail, told.problems)
    return msgspec.json.encode({"error_code": told.code.upper(), "message": message})
