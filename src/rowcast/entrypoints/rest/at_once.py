"""Requests that have arrived whole, answered whole.

ASGI hands a request over piece by piece, and takes the answer so: events, messages and checks that cost a small call
more than all that it is made for. An application that has ``at_once`` is asked first; where it takes a request, it is
given the body and gives the answer. Requests that arrive in several pieces go the usual way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Whole(NamedTuple):
    """An answer; its headers say the length of its body."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


Answering = Callable[[bytes], Awaitable[Whole]]


class Application(Protocol):
    """An ASGI application with a shorter way beside."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def at_once(self, scope: Scope) -> Answering | None:
        """What answers the request, given its body; None for one that goes the usual way. It raises nothing."""
        ...


class WholeRequests(HttpToolsProtocol):
    """HTTP that asks the application for ``at_once``."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._receiving = False
        self._taken: tuple[Any, Any, Answering] | None = None

    def data_received(self, data: bytes) -> None:
        self._receiving = True
        super().data_received(data)
        self._receiving = False
        if self._taken is not None:  # more of it is to come
            cycle, app, _ = self._taken
            self._taken = None
            super()._start_asgi_task(cycle, app)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        at_once = getattr(app, "at_once", None)
        # What was sent before the answer to another request waits for that, and has long arrived.
        answering = at_once(cycle.scope) if at_once is not None and self._receiving else None
        if answering is None:
            super()._start_asgi_task(cycle, app)
        else:
            self._taken = (cycle, app, answering)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._taken is not None:
            cycle, _, answering = self._taken
            self._taken = None
            super()._start_asgi_task(cycle, partial(_answer, cycle, answering))


async def _answer(cycle: Any, answering: Answering, scope: Scope, receive: Receive, send: Send) -> None:
    """An application for this request alone, which writes the answer in one piece."""
    answer = await answering(bytes(cycle.body))
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    headers = [*cycle.default_headers, *answer.headers]
    if not cycle.keep_alive:
        headers.append((b"connection", b"close"))
    lines = [b"%b: %b\r\n" % header for header in headers]
    cycle.transport.write(b"".join([_LINES[answer.status], *lines, b"\r\n", answer.body]))
    cycle.response_started = cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
