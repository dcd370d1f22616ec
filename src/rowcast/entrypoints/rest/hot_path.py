"""A way past the framework for the two operations that are called thousands of times a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.browsers import Headers
from rowcast.entrypoints.rest.limits import whole_body, within
from rowcast.entrypoints.rest.outcome import API
from rowcast.entrypoints.rest.predictions import predicted
from rowcast.entrypoints.rest.problems import answer_to
from rowcast.entrypoints.rest.security import PREDICTING, caller
from rowcast.entrypoints.rest.tasks import taken_in
from rowcast.entrypoints.services import Services

_START, _END = f"{API}/models/", "/predict"
_TASKS = f"{API}/tasks"
_PREDICT = f"POST {_START}{{reference}}{_END}"
_SUBMIT = f"POST {_TASKS}"

Way = Callable[[Scope, Receive, Send], Awaitable[None]]
Answer = Callable[[Principal, Headers, bytes], Awaitable[tuple[int, dict[str, str], bytes]]]


class HotPath:
    """Answers calls of these operations with the same functions, limits and errors as the application, without its
    layers.

    Those take longer than the work does: the search for the operation, parameters by injection, objects around request
    and response. The operations stay registered: the document describes them there, and what this leaves alone is found
    as usual.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def way(self, scope: Scope) -> Way | None:
        """What answers the request, when it is plainly one of these operations; None for everything else."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path: str = scope["path"]
        if path == _TASKS:
            return partial(self._answer, _SUBMIT, self._submitted)
        if not (path.startswith(_START) and path.endswith(_END)):
            return None
        reference = path[len(_START) : -len(_END)]
        if not 0 < len(reference) <= 200 or "/" in reference:
            return None
        return partial(self._answer, _PREDICT, partial(self._predicted, reference))

    async def _answer(self, operation: str, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        services, sent = self._services, scope["headers"]
        scope["operation"] = operation
        try:
            limited = within(scope, receive, services.settings.max_body_bytes)
            principal = await caller(services, scope)
            PREDICTING.check(principal)
            status, said, reply = await answer(principal, sent, await whole_body(limited))
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  (the last to see it)
            await answer_to(error, operation)(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(reply)), (b"content-type", b"application/json")]
        headers += [(name.lower().encode(), value.encode()) for name, value in said.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": reply})

    async def _predicted(
        self, reference: str, principal: Principal, sent: Headers, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, await predicted(self._services, principal, reference, body)

    async def _submitted(self, principal: Principal, sent: Headers, body: bytes) -> tuple[int, dict[str, str], bytes]:
        key, wait = outcome.wishes(sent)
        made = await taken_in(self._services, principal, body, key)
        return await outcome.answer(self._services, principal, made, wait)
