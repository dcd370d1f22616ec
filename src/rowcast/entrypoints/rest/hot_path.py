"""A way past the framework for the two operations that are called thousands of times a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.at_once import Answering, Whole
from rowcast.entrypoints.rest.browsers import Headers
from rowcast.entrypoints.rest.limits import check_size, whole_body, within
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
        found = self._found(scope)
        return partial(self._answer, *found) if found else None

    def at_once(self, scope: Scope) -> Answering | None:
        """The same for a request that has arrived whole: see ``at_once``."""
        found = self._found(scope)
        return (lambda body, _: self._whole(*found, scope, body)) if found else None

    def _found(self, scope: Scope) -> tuple[str, Answer] | None:
        """The operation that is asked for, and what answers it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path: str = scope["path"]
        if path == _TASKS:
            return _SUBMIT, self._submitted
        if not (path.startswith(_START) and path.endswith(_END)):
            return None
        reference = path[len(_START) : -len(_END)]
        if not 0 < len(reference) <= 200 or "/" in reference:
            return None
        return _PREDICT, partial(self._predicted, reference)

    async def _answer(self, operation: str, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        async def body() -> bytes:
            return await whole_body(within(scope, receive, self._services.settings.max_body_bytes))

        try:
            whole = await self._whole(operation, answer, scope, body)
        except ClientDisconnect:
            return
        await send({"type": "http.response.start", "status": whole.status, "headers": whole.headers})
        await send({"type": "http.response.body", "body": whole.body})

    async def _whole(
        self, operation: str, answer: Answer, scope: Scope, body: bytes | Callable[[], Awaitable[bytes]]
    ) -> Whole:
        """The answer, an error too. A body that is yet to come is received once it is known whose it is.

        Raises:
            ClientDisconnect: nobody waits for one.
        """
        services = self._services
        scope["operation"] = operation
        try:
            principal = await caller(services, scope)
            PREDICTING.check(principal)
            if not isinstance(body, bytes):
                body = await body()
            check_size(len(body), services.settings.max_body_bytes)
            status, said, reply = await answer(principal, scope["headers"], body)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  (the last to see it)
            problem = answer_to(error, operation)
            return Whole(problem.status_code, problem.raw_headers, bytes(problem.body))
        headers = [(b"content-length", b"%d" % len(reply)), (b"content-type", b"application/json")]
        headers += [(name.lower().encode(), value.encode()) for name, value in said.items()]
        return Whole(status, headers, reply)

    async def _predicted(
        self, reference: str, principal: Principal, sent: Headers, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        scored = await predicted(self._services, principal, reference, body, outcome.key_in(sent))
        return 200, outcome.replayed(before=scored.before), scored.reply

    async def _submitted(self, principal: Principal, sent: Headers, body: bytes) -> tuple[int, dict[str, str], bytes]:
        key, wait = outcome.wishes(sent)
        made = await taken_in(self._services, principal, body, key)
        return await outcome.answer(self._services, principal, made, wait)
