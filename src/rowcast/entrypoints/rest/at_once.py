"""Requests that have arrived whole, answered whole.

ASGI hands a request over piece by piece, and takes the answer so: events, messages and checks that cost a small call
more than all that it is made for. An application that has ``at_once`` is asked first; where it takes a request, it is
given the body and gives the answer. Requests that arrive in several pieces go the usual way.

Callers send the same line and headers over and over. What was read of them once stands for as long as the connection:
the next request whose head is the same to the byte is a body to whoever answered the first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol, cast

import msgspec
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_HEADS = 8
"""That are remembered of a connection: their lengths differ, as those of the bodies do."""

MOST_HEAD_BYTES = 1024

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_END = b"\r\n\r\n"
_UNKNOWN: tuple[int, None] = (0, None)


class Whole(msgspec.Struct, frozen=True, gc=False):
    """An answer; its headers say the length of its body."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


Answer = Callable[[Whole], None]

Answering = Callable[[bytes, Answer], Awaitable[Whole] | None]
"""What answers a request, given its body, and others of the same connection with the same head. It may take the other
argument, which it calls with the answer in a later turn of the event loop, and return None; or return the answer to be
awaited. It raises nothing."""


class Application(Protocol):
    """An ASGI application with a shorter way beside."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def at_once(self, scope: Scope) -> Answering | None:
        """What answers the request; None for one that goes the usual way."""
        ...


class WholeRequests(HttpToolsProtocol):
    """HTTP that asks the application for ``at_once``."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._receiving: bytes | None = None
        self._between = True
        self._taken: tuple[Any, Any, Answering] | None = None
        self._known: dict[bytes, tuple[int, Answering]] = {}
        self._handed_over = False
        self._defaults: Sequence[tuple[bytes, bytes]] = ()
        self._default_lines = b""

    def data_received(self, data: bytes) -> None:
        if self._between and self._known and self.cycle.response_complete:
            end = data.find(_END) + len(_END)
            length, answering = self._known.get(data[:end], _UNKNOWN)
            if answering is not None and len(data) - end == length:
                self._unset_keepalive_if_required()
                self.cycle = cycle = cast(RequestResponseCycle, _Exchange())
                self._begin(cycle, answering, data[end:])
                return
        self._receiving = data if self._between else b""
        super().data_received(data)
        self._receiving = None
        if self._taken is not None:  # more of it is to come
            cycle, app, _ = self._taken
            self._taken = None
            super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        self._between = False
        super().on_message_begin()

    def handle_websocket_upgrade(self) -> None:
        self._handed_over = True
        super().handle_websocket_upgrade()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        at_once = getattr(app, "at_once", None)
        # What was sent before the answer to another request waits for that, and has long arrived.
        answering = at_once(cycle.scope) if at_once is not None and self._receiving is not None else None
        if answering is None:
            super()._start_asgi_task(cycle, app)
        else:
            self._taken = (cycle, app, answering)

    def on_message_complete(self) -> None:
        self._between = True
        super().on_message_complete()
        if self._taken is not None:
            cycle, _, answering = self._taken
            self._taken = None
            body = bytes(cycle.body)
            if cycle.keep_alive and self._receiving:
                self._remember(self._receiving, body, answering)
            self._begin(cycle, answering, body)

    def _remember(self, data: bytes, body: bytes, answering: Answering) -> None:
        """Keep what answers the request that the data are, if they are one and no more."""
        end = data.find(_END) + len(_END)
        if end > MOST_HEAD_BYTES or data[end:] != body:
            return
        if len(self._known) >= MOST_HEADS:
            self._known.clear()
        self._known[data[:end]] = (len(body), answering)

    def _begin(self, cycle: Any, answering: Answering, body: bytes) -> None:
        answer = answering(body, partial(self._reply, cycle))
        if answer is not None:
            self._run(self._reply_later(cycle, answer))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _reply_later(self, cycle: Any, answer: Awaitable[Whole]) -> None:
        whole = await answer
        if self.flow.write_paused and not cycle.disconnected:
            await self.flow.drain()
        self._write(cycle, whole)

    def _reply(self, cycle: Any, whole: Whole) -> None:
        if self.flow.write_paused:
            self._run(self._reply_later(cycle, _given(whole)))
        else:
            self._write(cycle, whole)

    def _write(self, cycle: Any, whole: Whole) -> None:
        """Send the answer in one piece, if the connection is still there for it."""
        if cycle.disconnected or self._handed_over or self.transport.is_closing():
            return
        lines = _lines(whole.headers)
        if not cycle.keep_alive:
            lines += b"connection: close\r\n"
        defaults = self.server_state.default_headers
        if defaults is not self._defaults:  # they change by the second
            self._defaults, self._default_lines = defaults, _lines(defaults)
        self.transport.write(b"".join((_LINES[whole.status], self._default_lines, lines, b"\r\n", whole.body)))
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()


def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class _Nobody:
    """An event that nobody waits for."""

    def set(self) -> None: ...


class _Exchange:
    """A request whose head is known, and its answer: what uvicorn asks of a cycle of its own. The one of the request
    before may still be at work when its answer is complete."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    message_event = _Nobody()

    def __init__(self) -> None:
        self.disconnected = self.response_complete = False
        self.keep_alive = True


async def _given(whole: Whole) -> Whole:
    return whole
